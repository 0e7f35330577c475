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
    text.push_str("  \"columns\": [\"second\", \"resident_kib\", \"descriptors\", \"children\", \"threads\", \"sessions\"]");
    for seen in &report.seen {
        text.push_str(&format!(
            ",\n  \"{:?}\": {{\n    \"before\": {},\n    \"full\": {},\n    \"after\": {},\n    \"kib_per_session\": {:.1},\n    \"second_half\": {:.5},\n    \"exit_code\": {},\n    \"series\": [\n",
            seen.half,
            row(&seen.before, 0),
            row(&seen.full, report.sessions as u64 / 2),
            row(&seen.after, seen.sessions_after),
            report.kib_per_session(seen),
            Report::drift(seen),
            json!(seen.code),
        ));
        text.push_str(&series(seen));
        text.push_str("\n    ]\n  }");
    }
    text.push_str("\n}\n");
    text
}

fn series(seen: &Seen) -> String {
    let rows: Vec<String> = seen
        .samples
        .iter()
        .zip(&seen.open)
        .map(|(sample, open)| format!("      {}", row(sample, *open)))
        .collect();
    rows.join(",\n")
}

fn row(sample: &Sample, sessions: u64) -> Value {
    json!([
        sample.at,
        sample.resident,
        sample.descriptors,
        sample.children,
        sample.threads,
        sessions
    ])
}
