//! What a tool's definition says of calls as tasks (MCP 2025-11-25, `execution.taskSupport`).

use crate::jsonrpc::members;

/// Tells whether every call of a tool has to be a task. Clients read that in the list, and refuse other calls of it
/// or have them refused by the server.
pub fn needs_task(definition: &[u8]) -> bool {
    members::get(definition, "execution")
        .and_then(|execution| members::get_text(execution, "taskSupport"))
        .is_some_and(|support| support == "required")
}

/// Tells whether a raw `execution` lets calls be tasks; where nothing is said they cannot.
pub fn may_be_task(execution: &[u8]) -> bool {
    members::get_text(execution, "taskSupport").is_some_and(|support| support != "forbidden")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variant that this catches: one that takes any `execution` for one that needs tasks.
    #[test]
    fn what_is_not_said_is_forbidden() {
        for (execution, may_be, needs) in [
            (r#"{"taskSupport":"required"}"#, true, true),
            (r#"{"taskSupport":"optional"}"#, true, false),
            (r#"{"taskSupport":"forbidden"}"#, false, false),
            ("{}", false, false),
            (r#"{"taskSupport":7}"#, false, false),
            (r#""required""#, false, false),
        ] {
            let definition = format!(r#"{{"name":"a","execution":{execution}}}"#);
            assert_eq!(may_be_task(execution.as_bytes()), may_be, "{execution}");
            assert_eq!(needs_task(definition.as_bytes()), needs, "{execution}");
        }
        assert!(!needs_task(br#"{"name":"a","taskSupport":"required"}"#));
    }
}
