//! What a tool's definition says of its calls (MCP 2025-03-26 and newer, `ToolAnnotations`), read in one
//! place for all who believe it: the policy, the audit log and the cache.

use crate::catalog::risk::RiskClass;
use crate::catalog::tool_view::members;

/// What a tool's server says of it; what is not said, or not clearly, counts as the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy something.
    pub destructive: bool,
    /// `idempotentHint: true`: calling it twice is as calling it once.
    pub says_idempotent: bool,
    /// It reaches beyond its server.
    pub open_world: bool,
}

impl Hints {
    /// What counts where nothing is said, or nothing that is said is believed (MCP 2025-11-25, `ToolAnnotations`).
    pub const WORST: Self = Self {
        read_only: false,
        destructive: true,
        says_idempotent: false,
        open_world: true,
    };

    /// Reads a raw definition. What is missing, unreadable or stands twice counts as the worst.
    pub fn of(definition: &[u8]) -> Self {
        let Some(top) = std::str::from_utf8(definition)
            .ok()
            .and_then(|raw| members(raw).ok())
        else {
            return Self::WORST;
        };
        let mut found = top.iter().filter(|member| member.key == "annotations");
        let (Some(annotations), None) = (found.next(), found.next()) else {
            return Self::WORST;
        };
        let class = RiskClass::of_annotations(Some(annotations.raw));
        let hints = members(annotations.raw).unwrap_or_default();
        let is = |name: &str, wanted: &str| {
            let mut found = hints.iter().filter(|member| member.key == name);
            matches!((found.next(), found.next()), (Some(one), None) if one.raw == wanted)
        };
        Self {
            read_only: class == RiskClass::Read,
            destructive: class == RiskClass::Destructive,
            says_idempotent: is("idempotentHint", "true"),
            open_world: !is("openWorldHint", "false"),
        }
    }

    /// Whether calling it twice is as calling it once: so it says, or it changes nothing (the hint has a
    /// meaning for tools that do).
    pub fn is_idempotent(self) -> bool {
        self.read_only || self.says_idempotent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: the first of two `annotations` counts.
    #[test]
    fn hints_count_as_the_worst_unless_they_are_clear() {
        let read = Hints {
            read_only: true,
            destructive: false,
            says_idempotent: false,
            open_world: true,
        };
        for (definition, expected) in [
            ("{", Hints::WORST),
            ("{}", Hints::WORST),
            (r#"{"annotations":{"readOnlyHint":true}}"#, read),
            (
                r#"{"annotations":{"readOnlyHint":true},"annotations":{"readOnlyHint":true}}"#,
                Hints::WORST,
            ),
            (
                r#"{"annotations":{"readOnlyHint":true},"annotations":{"destructiveHint":true}}"#,
                Hints::WORST,
            ),
            (
                r#"{"annotations":{"destructiveHint":true},"annotations":{"readOnlyHint":true}}"#,
                Hints::WORST,
            ),
            (
                r#"{"annotations":{"readOnlyHint":true,"destructiveHint":true}}"#,
                Hints::WORST,
            ),
            (
                r#"{"annotations":{"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}}"#,
                Hints {
                    read_only: false,
                    destructive: false,
                    says_idempotent: true,
                    open_world: false,
                },
            ),
            (
                r#"{"annotations":{"openWorldHint":false,"openWorldHint":false}}"#,
                Hints::WORST,
            ),
        ] {
            assert_eq!(Hints::of(definition.as_bytes()), expected, "{definition}");
        }
        assert!(read.is_idempotent() && !Hints::WORST.is_idempotent());
    }
}
