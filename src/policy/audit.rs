//! The record of one call: who, what, what was decided and by what, what came of it. Pure; the schema is in
//! `docs/audit.md`. Values of arguments are in it only where the operator asked for them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::catalog::hints::Hints;

use super::{Decision, Verdict};

/// The version of the schema.
pub const VERSION: u32 = 1;
/// Bytes of arguments in one record, at most; longer ones are left out and that is said.
pub const ARGUMENT_BYTES: usize = 16 << 10;
/// Characters of a name in a record; a client or server may send longer ones.
const NAME: usize = 256;

/// What is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Nothing.
    #[default]
    Off,
    /// Calls, without the values of their arguments.
    Calls,
    /// Calls with their arguments.
    CallsWithArguments,
}

/// What the definition says of a tool, as the policy reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedHints {
    /// `readOnlyHint`.
    pub read_only: bool,
    /// `destructiveHint`.
    pub destructive: bool,
    /// `idempotentHint`.
    pub idempotent: bool,
    /// `openWorldHint`.
    pub open_world: bool,
}

impl RecordedHints {
    /// Reads a raw definition.
    pub fn of(definition: &[u8]) -> Self {
        let hints = Hints::of(definition);
        Self {
            read_only: hints.read_only,
            destructive: hints.destructive,
            idempotent: hints.is_idempotent(),
            open_world: hints.open_world,
        }
    }

    /// Returns a definition that says the same.
    pub fn definition(self) -> String {
        format!(
            r#"{{"annotations":{{"readOnlyHint":{},"destructiveHint":{},"idempotentHint":{},"openWorldHint":{}}}}}"#,
            self.read_only, self.destructive, self.idempotent, self.open_world
        )
    }
}

/// One record. Members that are not known are left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// The version of the schema.
    pub v: u32,
    /// When the answer was sent: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// Names the process; `seq` counts in it.
    pub process: String,
    /// The record's number in its process, from 1; a gap is a record that was lost.
    pub seq: u64,
    /// Whose call: `user`, `loopback`, `bearer-…`, `session-…`.
    pub principal: String,
    /// The method.
    pub method: String,
    /// The client's request id, raw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<RawValue>>,
    /// The name that the client used, or the URI.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub called: String,
    /// The server's configured name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// The tool's own name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tool: String,
    /// Whether a kept result was read instead of a call made.
    #[serde(skip_serializing_if = "is_false")]
    pub kept: bool,
    /// What the definition says of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hints: Option<RecordedHints>,
    /// The policy's mode.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// What was done: `allow`, `hide`, `refuse`, `approve`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// What decided, if something did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// What would have been done without audit mode, where it is something else.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub would_be: String,
    /// What would have decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub would_be_by: String,
    /// Whether the client's user agreed to this very call.
    #[serde(skip_serializing_if = "is_false")]
    pub approved: bool,
    /// `ok`, `toolError`, `error`, `inputRequired`, `cancelled`.
    pub outcome: String,
    /// The code of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<i64>,
    /// Whether the answer came from the cache.
    #[serde(skip_serializing_if = "is_false")]
    pub cached: bool,
    /// Tokens of the result as it came, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_before: Option<u64>,
    /// Tokens of the result as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_after: Option<u64>,
    /// From the request's arrival to its answer.
    pub duration_ms: u64,
    /// The trace id of the request's `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The raw arguments, where the operator asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Box<RawValue>>,
    /// Whether they were too long to be recorded.
    #[serde(skip_serializing_if = "is_false")]
    pub arguments_left_out: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Verdict {
    /// The word for it in records and tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Hide(_) => "hide",
            Self::Refuse(_) => "refuse",
            Self::Approve(_) => "approve",
        }
    }
}

impl Record {
    /// Notes what was decided.
    pub fn decided(&mut self, mode: &str, decision: &Decision) {
        let by = |verdict: &Verdict| verdict.reason().map(ToString::to_string);
        mode.clone_into(&mut self.mode);
        decision.verdict.word().clone_into(&mut self.decision);
        self.by = by(&decision.verdict).unwrap_or_default();
        if let Some(would_be) = &decision.would_be {
            would_be.word().clone_into(&mut self.would_be);
            self.would_be_by = by(would_be).unwrap_or_default();
        }
    }

    /// Notes arguments, if they are JSON and short enough.
    pub fn set_arguments(&mut self, raw: &[u8]) {
        if raw.len() > ARGUMENT_BYTES {
            self.arguments_left_out = true;
            return;
        }
        // A line of the log is one line: line ends are only space between the parts of JSON.
        let text = String::from_utf8_lossy(raw).replace(['\n', '\r'], " ");
        self.arguments = RawValue::from_string(text).ok();
    }
}

/// Cuts a name to a length that a record takes.
pub fn name(text: &str) -> String {
    text.chars().take(NAME).collect()
}

/// Writes seconds and milliseconds since 1970 as RFC 3339 in UTC (days to date: Hinnant, "chrono-compatible
/// low-level date algorithms").
pub fn timestamp(seconds: u64, millis: u32) -> String {
    let days = seconds / 86_400;
    let (era_days, of_day) = (days + 719_468, seconds % 86_400);
    let era = era_days / 146_097;
    let doe = era_days % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        assert_eq!(timestamp(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(951_782_399, 7), "2000-02-28T23:59:59.007Z");
        assert_eq!(timestamp(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(timestamp(1_795_867_200, 999), "2026-11-28T12:00:00.999Z");
    }

    #[test]
    fn a_record_is_one_line_and_reads_back() {
        let mut record = Record {
            v: VERSION,
            tool: "t".into(),
            hints: Some(RecordedHints::of(
                br#"{"annotations":{"readOnlyHint":true}}"#,
            )),
            ..Record::default()
        };
        record.set_arguments(b"{\"a\":\n1.50,\"b\":\"\\n\"}");
        let line = serde_json::to_string(&record).unwrap();
        assert!(!line.contains('\n') && line.contains("1.50"), "{line}");
        let back: Record = serde_json::from_str(&line).unwrap();
        assert_eq!(back.arguments.unwrap().get(), r#"{"a": 1.50,"b":"\n"}"#);
        let hints = back.hints.unwrap();
        assert_eq!(RecordedHints::of(hints.definition().as_bytes()), hints);
        let mut long = Record::default();
        long.set_arguments(&vec![b' '; ARGUMENT_BYTES + 1]);
        assert!(long.arguments.is_none() && long.arguments_left_out);
    }
}
