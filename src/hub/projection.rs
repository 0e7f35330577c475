//! Parts of a result that a caller asks for although the server has no such argument: `fields` and `jq` are
//! taken off a call before its server sees it, and applied to the answer.
//!
//! Only of tools that the operator named, whose listed schema says so, and only where the tool itself may have no
//! argument of that name.

use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::text::string_value;
use crate::jsonrpc::write::{edit_object, splice};
use crate::result::options::Projection;
use crate::surface::parameters::may_have;
use crate::surface::plan::fits;
use crate::upstream::UpstreamId;

use super::Hub;
use super::exchange::ExchangeId;

/// Fields in one call.
const FIELDS: usize = 64;
/// Bytes of a field's path, and of a program.
const FIELD_BYTES: usize = 256;
const PROGRAM_BYTES: usize = 4096;

/// Which calls may ask for parts of results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectionSettings {
    /// Tools whose listed schema has `fields`, by the name that clients see; `*` stands for any characters.
    pub offered: Vec<String>,
    /// Fields of a tool where a call names none; the first that fits counts.
    pub defaults: Vec<(String, Vec<String>)>,
}

impl Hub {
    /// Takes `fields` and `jq` off a call by the tool's own name.
    pub(super) fn project_call(
        &mut self,
        id: ExchangeId,
        upstream: UpstreamId,
        shown: &str,
        real: &str,
    ) {
        let settings = &self.settings.projection;
        if settings.offered.is_empty() && settings.defaults.is_empty() {
            return;
        }
        let definition = self.original_tool(upstream, real);
        let exchange = &self.exchanges[&id];
        let arguments = exchange.request.body("arguments").map(<[u8]>::to_vec);
        let left = self.take_projection(id, definition.as_ref(), shown, arguments.as_deref());
        if let (Some(left), Some(exchange)) = (left, self.exchanges.get_mut(&id)) {
            exchange.extra_params.push(("arguments", left));
        }
    }

    /// Takes `fields` and `jq` off a call of a real tool and remembers them; returns its arguments without
    /// them where it had any. `shown` is the name that clients see.
    pub(super) fn take_projection(
        &mut self,
        id: ExchangeId,
        definition: Option<&Bytes>,
        shown: &str,
        arguments: Option<&[u8]>,
    ) -> Option<Bytes> {
        let exchange = self.exchanges.get(&id)?;
        if self.settings.is_transparent
            || self.settings.is_shadow
            || self.result_form(exchange.session).is_none()
        {
            return None;
        }
        let settings = &self.settings.projection;
        let is_offered = settings.offered.iter().any(|pattern| fits(pattern, shown));
        let has_own = |name: &str| definition.is_none_or(|raw| may_have(raw, name));
        let mut taken = Taken::default();
        if is_offered && let Some(arguments) = arguments {
            taken = Taken::of(arguments, &has_own);
        }
        if taken.projection.is_empty()
            && let Some((_, fields)) = settings
                .defaults
                .iter()
                .find(|(pattern, _)| fits(pattern, shown))
        {
            taken.projection.fields.clone_from(fields);
            taken.projection.is_default = true;
        }
        let exchange = self.exchanges.get_mut(&id)?;
        exchange.projection = Some(taken.projection).filter(|projection| !projection.is_empty());
        taken.left
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    projection: Projection,
    left: Option<Bytes>,
}

impl Taken {
    fn of(arguments: &[u8], has_own: &dyn Fn(&str) -> bool) -> Self {
        let mut taken = Self::default();
        let mut remove: Vec<&str> = Vec::new();
        if !has_own("fields")
            && let Some(fields) = members::get(arguments, "fields").and_then(fields_of)
        {
            taken.projection.fields = fields;
            remove.push("fields");
        }
        if !has_own("jq")
            && let Some(program) = members::get(arguments, "jq").and_then(string_value)
            && (1..=PROGRAM_BYTES).contains(&program.len())
        {
            taken.projection.jq = Some(program);
            remove.push("jq");
        }
        if !remove.is_empty() {
            let raw = Bytes::copy_from_slice(arguments);
            let edits = edit_object(&raw, 0..raw.len(), &remove, &[]);
            taken.left = Some(splice(&raw, edits).to_bytes());
        }
        taken
    }
}

/// Reads a list of paths, or one text with commas; none where it is neither, so that it goes to the server
/// and its error says what it expects.
fn fields_of(raw: &[u8]) -> Option<Vec<String>> {
    let fields: Vec<String> = match raw.first()? {
        b'"' => string_value(raw)?
            .split(',')
            .map(|field| field.trim().to_owned())
            .collect(),
        b'[' => members::elements(raw)
            .into_iter()
            .map(|at| string_value(&raw[at]))
            .collect::<Option<_>>()?,
        _ => return None,
    };
    let is_fine = (1..=FIELDS).contains(&fields.len())
        && fields
            .iter()
            .all(|field| (1..=FIELD_BYTES).contains(&field.len()));
    is_fine.then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(arguments: &str, own: &[&str]) -> (Vec<String>, Option<String>, Option<String>) {
        let taken = Taken::of(arguments.as_bytes(), &|name| own.contains(&name));
        let left = taken
            .left
            .map(|left| String::from_utf8_lossy(&left).into_owned());
        (taken.projection.fields, taken.projection.jq, left)
    }

    #[test]
    fn what_is_not_the_tools_own_is_taken_off() {
        let both = r#"{"q":1.50,"fields":["a","b.c"],"jq":".x"}"#;
        assert_eq!(
            taken(both, &[]),
            (
                vec!["a".into(), "b.c".into()],
                Some(".x".into()),
                Some(r#"{"q":1.50}"#.into())
            )
        );
        assert_eq!(
            taken(both, &["fields"]).2.as_deref(),
            Some(r#"{"q":1.50,"fields":["a","b.c"]}"#)
        );
        assert_eq!(taken(both, &["fields", "jq"]).2, None);
        assert_eq!(taken(r#"{"fields":"a, b"}"#, &[]).0, ["a", "b"]);
    }

    #[test]
    fn what_makes_no_sense_goes_to_the_server() {
        for arguments in [
            r#"{"fields":7}"#,
            r#"{"fields":[]}"#,
            r#"{"fields":[""]}"#,
            r#"{"fields":[1]}"#,
            r#"{"jq":""}"#,
            r#"{"jq":["."]}"#,
            "{}",
            "7",
        ] {
            assert_eq!(
                taken(arguments, &[]),
                (Vec::new(), None, None),
                "{arguments}"
            );
        }
        let many = format!("{{\"fields\":[{}]}}", vec!["\"a\""; 65].join(","));
        assert_eq!(taken(&many, &[]).2, None);
    }
}
