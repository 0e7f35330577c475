//! The chart: for each row how many times as much ours takes as the relay and as the best peer, on a scale of
//! powers of ten. Made of the raw numbers alone.

use std::fmt::Write;

use serde_json::Value;

use super::rows::{Row, rows, shown};

/// Pixels.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 430.0;
const RIGHT: f64 = 60.0;
const LINE: f64 = 18.0;
const TOP: f64 = 64.0;
/// Ratios beyond are drawn at the edge.
const LEAST: f64 = 0.001;
const MOST: f64 = 100.0;

/// Draws the chart.
pub(crate) fn svg(raw: &Value) -> String {
    let rows = rows(raw);
    // p99 and throughput say much the same once more; the report has them.
    let drawn: Vec<&Row<'_>> = rows
        .iter()
        .filter(|row| !matches!(row.figure, "p99" | "throughput"))
        .filter(|row| row.judged().is_some())
        .collect();
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = draw(&mut text, raw, &drawn);
    text
}

fn x(ratio: f64) -> f64 {
    let part = (ratio.clamp(LEAST, MOST) / LEAST).log10() / (MOST / LEAST).log10();
    LEFT + part * (WIDTH - LEFT - RIGHT)
}

fn draw(text: &mut String, raw: &Value, rows: &[&Row<'_>]) -> std::fmt::Result {
    let height = TOP + LINE * rows.len() as f64 + 30.0;
    writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"15\">mcp-whittle {}: how many times as much as the best peer, and as the byte relay</text>\n\
         <circle cx=\"16\" cy=\"38\" r=\"4\" fill=\"#1a6faf\"/><text x=\"26\" y=\"42\">× best peer</text>\n\
         <circle cx=\"116\" cy=\"38\" r=\"4\" fill=\"none\" stroke=\"#777\"/><text x=\"126\" y=\"42\">× relay</text>\n\
         <text x=\"196\" y=\"42\">left of the line is better; {}</text>",
        escaped(raw["version"].as_str().unwrap_or_default()),
        escaped(raw["date"].as_str().unwrap_or_default()),
    )?;
    for power in -3..=2 {
        let ratio = 10f64.powi(power);
        let (at, stroke) = (x(ratio), if power == 0 { "#333" } else { "#ddd" });
        writeln!(
            text,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{:.1}\" stroke=\"{stroke}\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            height - 26.0,
            height - 10.0,
            if power < 0 {
                format!("1/{}", 10u32.pow(power.unsigned_abs()))
            } else {
                format!("{ratio}")
            },
        )?;
    }
    for (at, row) in rows.iter().enumerate() {
        let y = TOP + LINE * (at as f64 + 0.5);
        writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            escaped(&name(row))
        )?;
        let Some(ours) = row.judged() else { continue };
        if let Some(ratio) = row.cell("relay").and_then(|relay| row.ratio(ours, relay)) {
            writeln!(
                text,
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"none\" stroke=\"#777\"/>",
                x(ratio)
            )?;
        }
        if let Some(ratio) = row.best_peer().and_then(|peer| row.ratio(ours, peer)) {
            let fill = if ratio > 1.0 { "#c0392b" } else { "#1a6faf" };
            writeln!(
                text,
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{fill}\"/><text x=\"{:.1}\" y=\"{:.1}\" fill=\"{fill}\">{}</text>",
                x(ratio),
                WIDTH - RIGHT + 8.0,
                y + 4.0,
                shown(ratio)
            )?;
        }
    }
    writeln!(text, "</svg>")
}

/// The name of a row, as long as there is room.
fn name(row: &Row<'_>) -> String {
    const ROOM: usize = 68;
    let name = format!("{}: {}", row.group, row.what);
    if name.chars().count() <= ROOM {
        return name;
    }
    name.chars().take(ROOM - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
