//! Settings of how results are shown and kept.

use super::*;

/// Pixels that images may be scaled to: below, models see little (Anthropic's guide warns of less than 200);
/// above, no vendor takes an image.
const IMAGE_EDGES: std::ops::RangeInclusive<u32> = 200..=8000;

/// A list of what is said of single tools, `NAME=VALUE` each.
macro_rules! of_tools {
    ($name:literal, $field:ident) => {
        Key {
            name: $name,
            option: None,
            set: |draft, input| {
                draft.shaping.results.$field = input
                    .list()?
                    .iter()
                    .map(|said| said.parse().map_err(Fault::new))
                    .collect::<Result<_, _>>()?;
                Ok(())
            },
            show: |draft| {
                let said = draft.shaping.results.$field.iter();
                show_list(&said.map(ToString::to_string).collect::<Vec<_>>())
            },
        }
    };
}

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "result_cap",
        option: option("result-cap", |args| {
            given(args.surface.shaping.result_cap.as_ref())
        }),
        set: |draft, input| {
            input
                .checked_number(text::result_cap)
                .map(|value| draft.shaping.results.cap = value)
        },
        show: |draft| draft.shaping.results.cap.to_string(),
    },
    switch!("results.compact", None, shaping.results.compact),
    switch!("results.legend", None, shaping.results.legend),
    of_tools!("results.tool_legends", tool_legends),
    switch!("results.media", None, shaping.results.media),
    Key {
        name: "results.image_edge",
        option: None,
        set: |draft, input| {
            draft.shaping.results.image_edge = match input.text() {
                Ok(word) if word == "auto" => None,
                _ => Some(input.count(IMAGE_EDGES).map_err(|fault| {
                    fault.hint(
                        "pixels of the longer edge, or \"auto\" for what the client's model uses",
                    )
                })?),
            };
            Ok(())
        },
        show: |draft| {
            let edge = draft.shaping.results.image_edge;
            edge.map_or_else(|| "auto".to_owned(), |edge| edge.to_string())
        },
    },
    Key {
        name: "results.image_tokens",
        option: None,
        set: |draft, input| {
            draft.shaping.results.image_tokens = input.checked(text::image_tokens)?;
            Ok(())
        },
        show: |draft| {
            let formula = draft.shaping.results.image_tokens;
            formula.map_or_else(|| "auto".to_owned(), |formula| formula.to_string())
        },
    },
    switch!("results.repeats", None, shaping.results.repeats),
    Key {
        name: "results.links",
        option: None,
        set: |draft, input| {
            input
                .checked(|text| text.parse::<crate::config::results::LinkChoice>())
                .map(|value| draft.shaping.results.links = value)
        },
        show: |draft| draft.shaping.results.links.to_string(),
    },
    Key {
        name: "results.offer_fields",
        option: None,
        set: |draft, input| {
            draft.shaping.results.offer_fields = input.list()?;
            Ok(())
        },
        show: |draft| show_list(&draft.shaping.results.offer_fields),
    },
    of_tools!("results.fields", fields),
    of_tools!("results.tool_caps", tool_caps),
    time!("results.ttl", None, shaping.results.keeping.ttl),
    size!(
        "results.max_bytes",
        None,
        shaping.results.keeping.max_bytes,
        1 << 20
    ),
    Key {
        name: "results.key_file",
        option: None,
        set: |draft, input| {
            let path = input.text()?;
            if path.is_empty() {
                return Err(Fault::new("the path is empty")
                    .hint("a file of at least 32 bytes that nobody can guess"));
            }
            draft.shaping.results.keeping.key_file = Some(input.path(&path));
            Ok(())
        },
        show: |draft| {
            let path = draft.shaping.results.keeping.key_file.as_ref();
            path.map_or_else(|| "none".to_owned(), |path| path.display().to_string())
        },
    },
    time!(
        "results.jq_timeout",
        None,
        shaping.results.keeping.jq_timeout
    ),
];
