//! The report as JSON: what was asked for, what came out, and every sample.

use serde_json::{Map, Value, json};

use crate::soak::sample::Sample;
use crate::soak::{Plan, Report, Seen};

/// One value a line where there are many, so that two runs can be compared.
pub(crate) fn of(plan: &Plan, report: &Report) -> String {
    let [median, most, slowest] = report.quick_millis();
    let faults: Map<String, Value> = report
        .faults
        .iter()
        .map(|(fault, made)| {
            let made = json!({"made": made.times, "answered": made.answered});
            (format!("{fault:?}"), made)
        })
        .collect();
    let summary = json!({
        "seed": plan.seed,
        "sessions": plan.sessions,
        "workers": plan.workers,
        "faults_in_100": plan.faults,
        "seconds": report.seconds,
        "asked": report.asked,
        "right": report.right,
        "refused": report.refused,
        "unanswered": report.unanswered,
        "duplicated": report.duplicated,
        "renewed": report.renewed,
        "lost_streams": report.lost_streams,
        "server_sessions_left": report.server_sessions,
        "wrong": report.wrong,
        "faults": faults,
        "quick_calls_ms": {"median": median, "p99": most, "slowest": slowest},
    });
    let mut text = String::from("{\n");
    for (name, value) in summary.as_object().into_iter().flatten() {
        text.push_str(&format!("  {}: {value},\n", json!(name)));
    }
    text.push_str(&format!("  \"columns\": {}", json!(COLUMNS)));
    for seen in &report.seen {
        let drift = |value: fn(&Sample) -> u64| format!("{:.5}", Report::drift(seen, value));
        let (slope, error) = Report::line(seen);
        let values = [
            ("before", row(&seen.before).to_string()),
            ("full", row(&seen.full).to_string()),
            ("after", row(&seen.after).to_string()),
            (
                "kib_per_session",
                format!("{:.1}", report.kib_per_session(seen)),
            ),
            ("second_half", drift(|sample| sample.resident)),
            (
                "second_half_allocated",
                drift(|sample| sample.heap.allocated),
            ),
            ("second_half_active", drift(|sample| sample.heap.active)),
            (
                "second_half_least_squares",
                format!("[{slope:.5}, {error:.5}]"),
            ),
            ("exit_code", json!(seen.code).to_string()),
        ];
        text.push_str(&format!(",\n  \"{:?}\": {{\n", seen.half));
        for (name, value) in values {
            text.push_str(&format!("    \"{name}\": {value},\n"));
        }
        text.push_str("    \"series\": [\n");
        text.push_str(&series(seen));
        text.push_str("\n    ]\n  }");
    }
    text.push_str("\n}\n");
    text
}

/// What stands in a row.
const COLUMNS: [&str; 12] = [
    "second",
    "resident_kib",
    "descriptors",
    "children",
    "threads",
    "sessions",
    "anonymous_kib",
    "file_kib",
    "heap_allocated_kib",
    "heap_active_kib",
    "heap_resident_kib",
    "heap_metadata_kib",
];

fn series(seen: &Seen) -> String {
    let rows: Vec<String> = seen
        .samples
        .iter()
        .map(|sample| format!("      {}", row(sample)))
        .collect();
    rows.join(",\n")
}

fn row(sample: &Sample) -> Value {
    let row: [u64; COLUMNS.len()] = [
        sample.at,
        sample.resident,
        sample.descriptors as u64,
        sample.children as u64,
        sample.threads,
        sample.sessions,
        sample.anonymous,
        sample.file,
        sample.heap.allocated,
        sample.heap.active,
        sample.heap.resident,
        sample.heap.metadata,
    ];
    json!(row)
}
