//! The risk class of a tool, from the hints that its server gave (MCP 2025-03-26 and newer,
//! `ToolAnnotations`). Hints are claims: the class sorts tools under callers so that a client's
//! approval rules still mean something; it grants nothing.

use std::fmt;

use crate::catalog::tool_view::ToolView;
use crate::catalog::tool_view::members;

/// What a call can do, the worse the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RiskClass {
    /// Changes nothing.
    Read,
    /// Changes something, and only adds.
    Write,
    /// May destroy something; also whatever says nothing about itself.
    Destructive,
}

impl RiskClass {
    /// Every class, the mildest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Destructive];

    /// Reads the hints from raw `annotations`. Missing, unreadable and repeated hints count as
    /// destructive, contradictory ones as the worse.
    pub fn of_annotations(annotations: Option<&str>) -> Self {
        let Some(members) = annotations.and_then(|raw| members(raw).ok()) else {
            return Self::Destructive;
        };
        // A hint that stands twice says something else to each parser.
        let hint = |name: &str| {
            let mut found = members.iter().filter(|member| member.key == name);
            match (found.next(), found.next()) {
                (Some(member), None) => match member.raw {
                    "true" => Hint::Yes,
                    "false" => Hint::No,
                    _ => Hint::Nothing,
                },
                (Some(_), Some(_)) => Hint::Unclear,
                _ => Hint::Nothing,
            }
        };
        match (hint("readOnlyHint"), hint("destructiveHint")) {
            (Hint::Unclear, _) | (_, Hint::Unclear | Hint::Yes) => Self::Destructive,
            (Hint::Yes, _) => Self::Read,
            (_, Hint::No) => Self::Write,
            _ => Self::Destructive,
        }
    }

    /// Reads the hints of a tool.
    pub fn of_tool(tool: &ToolView<'_>) -> Self {
        if tool.is_annotated_twice() {
            return Self::Destructive;
        }
        Self::of_annotations(tool.annotations)
    }

    /// Reads the hints of a raw definition. What is no tool counts as destructive.
    pub fn of_definition(raw: &[u8]) -> Self {
        std::str::from_utf8(raw)
            .ok()
            .and_then(|text| ToolView::parse(text).ok())
            .map_or(Self::Destructive, |tool| Self::of_tool(&tool))
    }

    /// Returns the word that models and logs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }
}

impl fmt::Display for RiskClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

enum Hint {
    Yes,
    No,
    Nothing,
    Unclear,
}

/// A set of risk classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RiskClasses {
    bits: u8,
}

impl RiskClasses {
    /// Returns the set with `class` in it.
    #[must_use]
    pub fn with(self, class: RiskClass) -> Self {
        Self {
            bits: self.bits | 1 << class as u8,
        }
    }

    /// Tells whether `class` is in it.
    pub fn has(self, class: RiskClass) -> bool {
        self.bits & (1 << class as u8) != 0
    }
}

impl FromIterator<RiskClass> for RiskClasses {
    fn from_iter<I: IntoIterator<Item = RiskClass>>(classes: I) -> Self {
        classes.into_iter().fold(Self::default(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_counts_as_the_worse() {
        use RiskClass::{Destructive, Read, Write};
        for (annotations, expected) in [
            (None, Destructive),
            (Some("{}"), Destructive),
            (Some("null"), Destructive),
            (Some("{"), Destructive),
            (Some(r#"{"readOnlyHint":true}"#), Read),
            (Some(r#"{"readOnly\u0048int":true}"#), Read),
            (
                Some(r#"{"readOnlyHint":true,"destructiveHint":false}"#),
                Read,
            ),
            (
                Some(r#"{"readOnlyHint":true,"destructiveHint":true}"#),
                Destructive,
            ),
            (Some(r#"{"readOnlyHint":false}"#), Destructive),
            (Some(r#"{"readOnlyHint":"true"}"#), Destructive),
            (Some(r#"{"readOnlyHint":1}"#), Destructive),
            (
                Some(r#"{"readOnlyHint":false,"destructiveHint":false}"#),
                Write,
            ),
            (Some(r#"{"destructiveHint":false}"#), Write),
            (Some(r#"{"destructiveHint":true}"#), Destructive),
            (Some(r#"{"idempotentHint":true}"#), Destructive),
            (
                Some(r#"{"readOnlyHint":true,"readOnlyHint":false}"#),
                Destructive,
            ),
            (
                Some(r#"{"destructiveHint":true,"destructiveHint":false}"#),
                Destructive,
            ),
        ] {
            assert_eq!(
                RiskClass::of_annotations(annotations),
                expected,
                "{annotations:?}"
            );
        }
        let twice = r#"{"name":"a","annotations":{"readOnlyHint":false},"annotations":{"readOnlyHint":true}}"#;
        let tool = ToolView::parse(twice).expect("a tool");
        assert_eq!(RiskClass::of_tool(&tool), Destructive);
        assert!(Read < Write && Write < Destructive);
    }

    /// Broken variants that this catches: the first `annotations` count, the last ones do, and only the first key
    /// that occurs twice is looked at.
    #[test]
    fn annotations_that_stand_twice_count_as_the_worse() {
        for (definition, expected) in [
            (
                r#"{"name":"a","annotations":{"readOnlyHint":true}}"#,
                RiskClass::Read,
            ),
            (
                r#"{"annotations":{"readOnlyHint":true},"annotations":{"readOnlyHint":true}}"#,
                RiskClass::Destructive,
            ),
            (
                r#"{"x":1,"x":2,"annotations":{"readOnlyHint":true},"annotations":{"readOnlyHint":true}}"#,
                RiskClass::Destructive,
            ),
            (
                r#"{"x":1,"x":2,"annotations":{"readOnlyHint":true}}"#,
                RiskClass::Read,
            ),
            ("7", RiskClass::Destructive),
        ] {
            let class = RiskClass::of_definition(definition.as_bytes());
            assert_eq!(class, expected, "{definition}");
        }
        assert_eq!(RiskClass::of_definition(b"\xff"), RiskClass::Destructive);
    }

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let some: RiskClasses = [RiskClass::Read, RiskClass::Destructive]
            .into_iter()
            .collect();
        let has: Vec<bool> = RiskClass::ALL
            .iter()
            .map(|class| some.has(*class))
            .collect();
        assert_eq!(has, [true, false, true]);
    }
}
