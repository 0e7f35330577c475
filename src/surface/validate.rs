//! Are these arguments what the tool takes? Compiles a tool's **original** `inputSchema` and judges
//! raw argument bytes by it, so that a call with wrong arguments can be answered with the fault and
//! the schema instead of being sent, or so that our help can be attached to the server's own error.
//!
//! It may refuse only what the schema refuses. Whatever we cannot judge (a schema that does not
//! compile, refers to the outside, is too large or would take too long) counts as *not checked*, and
//! the call goes to the server. Nothing is ever fetched. Formats, `contentEncoding` and
//! `contentMediaType` are annotations, not assertions (JSON Schema 2020-12 validation §7.2.1 and §8.1;
//! in draft 6 and 7 servers may choose, and hardly one asserts them). A `null` where the schema says
//! `nullable: true` (OpenAPI 3.0) is no fault. What a `pattern` says of letters beyond ASCII differs
//! with the language of the server, so a text that only fails one is not refused. Without `$schema` the dialect is 2020-12
//! (MCP 2025-11-25 and newer, basic: "JSON Schema usage").

mod answer;
mod bounds;
mod cost;
mod fault;
mod nullable;
mod similar;
mod subschemas;

use jsonschema::PatternOptions;
use jsonschema::Retrieve;
use serde_json::Value;

pub use crate::surface::validate::answer::help_for_server_error;
pub use crate::surface::validate::answer::tool_error_text;
pub use crate::surface::validate::bounds::NotCompiled;
pub use crate::surface::validate::cost::NotChecked;
pub use crate::surface::validate::fault::Fault;
pub use crate::surface::validate::similar::closest;

use crate::surface::validate::bounds::Bounds;

/// Values of `contentEncoding` that would be asserted in schemas of draft 6 and 7.
const CONTENT_ENCODINGS: [&str; 5] = ["base64", "base64url", "base32", "base32hex", "base16"];

/// How much is looked at. Beyond it a call is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one input schema.
    pub max_schema_bytes: usize,
    /// Nesting of values in one input schema.
    pub max_schema_depth: usize,
    /// Object members in one input schema, at any depth.
    pub max_schema_members: usize,
    /// Schemas that can stand inside one another when references are followed. It bounds the stack
    /// that compiling takes.
    pub max_reference_depth: usize,
    /// Bytes that one compiled pattern may take.
    pub max_pattern_bytes: usize,
    /// Bytes of the arguments of one call.
    pub max_argument_bytes: usize,
    /// Nesting of values in the arguments.
    pub max_argument_depth: usize,
    /// Schemas inside one another while judging one value. It bounds the stack that judging takes.
    pub max_judging_depth: usize,
    /// Work of one judgement. A unit takes below a nanosecond for usual schemas and up to 80 for the
    /// worst patterns, so the default keeps the worst judgement near a tenth of a second.
    pub max_cost: u64,
}

impl Default for Limits {
    /// The largest tool of 140 real servers has 85 kB, schema and all; a judgement of its calls costs
    /// far below the bound.
    fn default() -> Self {
        Self {
            max_schema_bytes: 512 * 1024,
            max_schema_depth: 64,
            max_schema_members: 20_000,
            max_reference_depth: 512,
            max_pattern_bytes: 1024 * 1024,
            max_argument_bytes: 1024 * 1024,
            max_argument_depth: 48,
            max_judging_depth: 192,
            max_cost: 2_000_000,
        }
    }
}

/// What was found out about the arguments of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The schema accepts them.
    Valid,
    /// The schema refuses them; the first faults, at least one.
    Faulty(Vec<Fault>),
    /// Nobody knows; the server has to say.
    NotChecked(NotChecked),
}

/// A compiled input schema. Compiling takes far longer than judging, so callers keep it.
#[derive(Debug)]
pub struct Validator {
    compiled: jsonschema::Validator,
    schema: Value,
    bounds: Bounds,
    limits: Limits,
}

impl Validator {
    /// Compiles one input schema. `raw_schema` is its JSON as the server sent it.
    ///
    /// # Errors
    ///
    /// When it cannot be judged by; that is no fault of a call.
    pub fn compile(raw_schema: &str, limits: &Limits) -> Result<Self, NotCompiled> {
        let schema = bounds::read(raw_schema, limits)?;
        let bounds = Bounds::of(&schema, limits)?;
        let mut options =
            jsonschema::options().without_content_media_type_support("application/json");
        for encoding in CONTENT_ENCODINGS {
            options = options.without_content_encoding_support(encoding);
        }
        let compiled = options
            .with_retriever(RefusingRetriever)
            .should_validate_formats(false)
            .with_pattern_options(PatternOptions::regex().size_limit(limits.max_pattern_bytes))
            .build(&schema)
            .map_err(|error| NotCompiled::NoSchema(fault::shorten(&error.to_string(), 200)))?;
        Ok(Self {
            compiled,
            schema,
            bounds,
            limits: *limits,
        })
    }

    /// Judges the arguments of one call. `arguments` is the raw JSON of `params.arguments`; a call
    /// without any is judged as `{}`.
    pub fn check(&self, arguments: &[u8]) -> Verdict {
        let limits = &self.limits;
        let value = match cost::read(arguments, limits) {
            Ok(value) => value,
            Err(reason) => return Verdict::NotChecked(reason),
        };
        if let Err(reason) = cost::admit(&self.schema, &self.bounds, &value, limits) {
            return Verdict::NotChecked(reason);
        }
        if self.compiled.is_valid(&value) {
            return Verdict::Valid;
        }
        match fault::faults(&self.compiled, &self.schema, &self.bounds, &value) {
            None => Verdict::Valid,
            Some(faults) if faults.is_empty() => Verdict::NotChecked(NotChecked::Undecided),
            Some(faults) => Verdict::Faulty(faults),
        }
    }
}

/// Refuses every reference to the outside; dialects of JSON Schema itself are compiled in.
struct RefusingRetriever;

impl Retrieve for RefusingRetriever {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("references to the outside are not followed: {uri}").into())
    }
}

#[cfg(test)]
mod tests;
