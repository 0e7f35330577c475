//! The report, as Markdown, made of the raw numbers alone.

use std::fmt::Write;

use serde_json::Value;

use super::rows::{Cell, Row, rows, shown};

/// A load average above this part of the cores, before anything was measured, is somebody else's work.
const BUSY: f64 = 0.5;

/// Writes the report; `chart` is the file of the chart beside it.
pub(crate) fn markdown(raw: &Value, chart: &str) -> String {
    let rows = rows(raw);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut text, raw, &rows, chart);
    text
}

fn write_all(text: &mut String, raw: &Value, rows: &[Row<'_>], chart: &str) -> std::fmt::Result {
    head(text, raw)?;
    verdict(text, raw, rows)?;
    writeln!(text, "\n![Ratios]({chart})\n")?;
    writeln!(
        text,
        "Each row is the same work in the same run, in turns. **× relay** and **× best peer** say how many times as much ours takes (for throughput: how many times as much the other gives): below 1 \
         is better. They are medians of the ratios of rounds. Beside the medians stand the lowest and the highest round. Where the default makes an answer shorter, the row is judged by \
         `--transparent`, which sends it whole as the peers do (marked *transparent*). Rows of lists compare the setting of each product that costs least in the row, since one of them hides tools by default and another does not. A peer that did not send the answer whole (†), does another thing (§), or failed is shown below and is not the best."
    )?;
    let mut groups: Vec<&str> = Vec::new();
    for row in rows {
        if !groups.contains(&row.group) {
            groups.push(row.group);
        }
    }
    for group in &groups {
        let of_group = of_group(rows, group);
        ratios(text, raw, group, &of_group)?;
    }
    writeln!(
        text,
        "\n## All numbers\n\nMedians of the rounds. † the answer was not sent whole. ‡ so slow that it made fewer rounds. § not compared, as it does another thing (below). – failed, or not asked; the reasons are below."
    )?;
    for group in &groups {
        let of_group = of_group(rows, group);
        everything(text, raw, group, &of_group)?;
    }
    failures(text, raw, rows)?;
    routes(text, raw)
}

/// The rows of a group that have numbers.
fn of_group<'a, 'b>(rows: &'b [Row<'a>], group: &str) -> Vec<&'b Row<'a>> {
    rows.iter()
        .filter(|row| row.group == group)
        .filter(|row| row.cells.iter().any(|cell| !cell.rounds.is_empty()))
        .collect()
}

fn head(text: &mut String, raw: &Value) -> std::fmt::Result {
    let is_quick = raw["quick"] == true;
    let machine = &raw["machine"];
    let word = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    writeln!(
        text,
        "# Side by side\n\nMade by `benches/run{}`; do not edit. The raw numbers are in the JSON file beside this one; `benches/README.md` says what is measured and how.\n",
        if is_quick { " --quick" } else { "" }
    )?;
    writeln!(
        text,
        "mcp-whittle {} ({}), {}, in {} s. {}, {} cores, {}, Linux {}; {}; Python {}; Node {}. Load average {} before, {} after.\n",
        word(&raw["version"]),
        word(&raw["commit"]),
        word(&raw["date"]),
        raw["seconds"],
        word(&machine["cpu"]),
        machine["cores"],
        word(&machine["memory"]),
        word(&machine["kernel"]),
        word(&machine["rustc"]),
        word(&machine["python"]).trim_start_matches("Python "),
        word(&machine["node"]),
        first(&raw["load"]["before"]),
        first(&raw["load"]["after"]),
    )?;
    if is_quick {
        writeln!(
            text,
            "**A rehearsal**: few rounds, short ones. It shows that everything runs, and no more.\n"
        )?;
    }
    let before = raw["load"]["before"][0].as_f64().unwrap_or_default();
    if before > BUSY * machine["cores"].as_f64().unwrap_or(1.0) {
        writeln!(
            text,
            "**The machine was busy** before anything was measured (load {before:.1} on {} cores): times are noisy, read the spread and the ratios.\n",
            machine["cores"]
        )?;
    }
    for peer in raw["peers"].as_array().into_iter().flatten() {
        if let Some(why) = peer["skipped"].as_str() {
            writeln!(
                text,
                "**Left out**: {} {} is not installed here ({why}).\n",
                word(&peer["name"]),
                word(&peer["version"])
            )?;
        }
    }
    for part in raw["parts_failed"].as_array().into_iter().flatten() {
        writeln!(text, "**Not measured**: {}.\n", word(part))?;
    }
    Ok(())
}

fn first(load: &Value) -> String {
    load[0]
        .as_f64()
        .map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"))
}

/// Says where we are behind, before anything else.
fn verdict(text: &mut String, raw: &Value, rows: &[Row<'_>]) -> std::fmt::Result {
    let mut compared = 0;
    let mut behind = Vec::new();
    let mut lost = Vec::new();
    for row in rows {
        // What a peer did and ours did not is no row to leave out.
        if let (Some(why), Some(peer)) = (row.lost(), row.best_peer()) {
            compared += 1;
            lost.push((row, why, peer));
            continue;
        }
        let (Some(ours), Some(peer)) = (row.judged(), row.best_peer()) else {
            continue;
        };
        let Some(ratio) = row.ratio(ours, peer) else {
            continue;
        };
        compared += 1;
        if ratio > 1.0 {
            behind.push((row, ours, peer, ratio));
        }
    }
    writeln!(
        text,
        "## Where we are behind\n\nBehind the best peer on {} of {compared} rows{}",
        behind.len() + lost.len(),
        if behind.is_empty() && lost.is_empty() {
            "."
        } else {
            ":\n"
        }
    )?;
    for (row, why, peer) in lost {
        writeln!(
            text,
            "* {}: {}, {}: ours failed ({}); {} {} of {}",
            row.group,
            row.what,
            row.figure,
            plain(why),
            shown(peer.median().unwrap_or_default()),
            row.unit,
            label(raw, peer.id)
        )?;
    }
    behind.sort_by(|(_, _, _, a), (_, _, _, b)| b.total_cmp(a));
    for (row, ours, peer, ratio) in behind {
        let doubt = if row.overlap(ours, peer) {
            "; the rounds overlap"
        } else {
            ""
        };
        writeln!(
            text,
            "* {}: {}, {}: {} {} against {} of {} (× {}{doubt})",
            row.group,
            row.what,
            row.figure,
            shown(ours.median().unwrap_or_default()),
            row.unit,
            shown(peer.median().unwrap_or_default()),
            label(raw, peer.id),
            shown(ratio)
        )?;
    }
    Ok(())
}

fn ratios(text: &mut String, raw: &Value, group: &str, rows: &[&Row<'_>]) -> std::fmt::Result {
    writeln!(
        text,
        "\n## {group}\n\n| | × relay | × best peer | mcp-whittle | relay | best peer |\n|---|---:|---:|---:|---:|---|"
    )?;
    for row in rows {
        let ours = row.judged();
        let relay = row.cell("relay");
        let peer = row.best_peer();
        let ratio = |other: Option<&Cell<'_>>| {
            ours.zip(other)
                .and_then(|(ours, other)| row.ratio(ours, other))
                .map_or_else(String::new, |ratio| format!("**{}**", shown(ratio)))
        };
        let setting = match ours.map_or("whittle", |ours| ours.id) {
            "whittle-transparent" => " *transparent*",
            "whittle-budget" => " *budget 100*",
            _ => "",
        };
        writeln!(
            text,
            "| {}, {} ({}){} | {} | {} | {} | {} | {} |",
            row.what,
            row.figure,
            row.unit,
            setting,
            ratio(relay),
            ratio(peer),
            ours.map_or_else(|| "–".to_owned(), with_spread),
            relay.map_or_else(String::new, with_spread),
            peer.map_or_else(
                || "–".to_owned(),
                |cell| format!("{} {}", with_spread(cell), label(raw, cell.id))
            ),
        )?;
    }
    Ok(())
}

fn with_spread(cell: &Cell<'_>) -> String {
    let median = shown(cell.median().unwrap_or_default());
    match cell.spread() {
        Some((lowest, highest)) if cell.rounds.len() > 1 => {
            format!("{median} ({} to {})", shown(lowest), shown(highest))
        }
        _ => median,
    }
}

fn everything(text: &mut String, raw: &Value, group: &str, rows: &[&Row<'_>]) -> std::fmt::Result {
    let ids: Vec<&str> = raw["routes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|route| route["id"].as_str())
        .filter(|id| {
            rows.iter()
                .any(|row| row.cells.iter().any(|cell| cell.id == *id))
        })
        .collect();
    let labels: Vec<String> = ids.iter().map(|id| label(raw, id)).collect();
    writeln!(
        text,
        "\n### {group}\n\n| | {} |\n|---|{}",
        labels.join(" | "),
        "---:|".repeat(ids.len())
    )?;
    for row in rows {
        let most = row.cells.iter().map(|cell| cell.rounds.len()).max();
        let cells: Vec<String> = ids
            .iter()
            .map(|id| match row.cell(id) {
                Some(cell) => {
                    let shortened = if cell.is_shortened { " †" } else { "" };
                    let is_slow = Some(cell.rounds.len()) < most;
                    let fewer = if is_slow { " ‡" } else { "" };
                    let apart = if cell.apart.is_some() { " §" } else { "" };
                    shown(cell.median().unwrap_or_default()) + shortened + fewer + apart
                }
                None => "–".to_owned(),
            })
            .collect();
        writeln!(
            text,
            "| {}, {} ({}) | {} |",
            row.what,
            row.figure,
            row.unit,
            cells.join(" | ")
        )?;
    }
    Ok(())
}

/// What a program said, without what means something in Markdown.
fn plain(why: &str) -> String {
    why.replace(['\n', '|', '`', '<'], " ")
}

fn failures(text: &mut String, raw: &Value, rows: &[Row<'_>]) -> std::fmt::Result {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut apart: Vec<String> = Vec::new();
    for row in rows {
        for cell in &row.cells {
            if let Some(why) = cell.apart {
                let line = format!("* {}: {why}", label(raw, cell.id));
                if !apart.contains(&line) {
                    apart.push(line);
                }
            }
            if let Some(why) = cell.failed {
                let why = plain(why);
                let line = format!("{}: {}: {why}", row.group, row.what);
                let label = label(raw, cell.id);
                match lines.iter_mut().find(|(known, _)| *known == line) {
                    Some((_, labels)) => *labels += &format!(", {label}"),
                    None => lines.push((line, label)),
                }
            }
        }
    }
    if !apart.is_empty() {
        writeln!(text, "\n## What is not compared\n\n{}", apart.join("\n"))?;
    }
    if !lines.is_empty() {
        writeln!(text, "\n## What failed\n")?;
        for (line, labels) in lines {
            writeln!(text, "* {line} ({labels})")?;
        }
    }
    Ok(())
}

fn routes(text: &mut String, raw: &Value) -> std::fmt::Result {
    writeln!(text, "\n## The routes\n")?;
    for route in raw["routes"].as_array().into_iter().flatten() {
        writeln!(
            text,
            "* **{}**: {}",
            route["label"].as_str().unwrap_or_default(),
            route["note"].as_str().unwrap_or_default()
        )?;
    }
    writeln!(text, "\nVersions of the peers:\n")?;
    for peer in raw["peers"].as_array().into_iter().flatten() {
        writeln!(
            text,
            "* {} {}{}",
            peer["name"].as_str().unwrap_or_default(),
            peer["version"].as_str().unwrap_or_default(),
            if peer["skipped"].is_null() {
                ""
            } else {
                ", left out"
            }
        )?;
    }
    Ok(())
}

/// Returns what the report calls a route.
pub(crate) fn label(raw: &Value, id: &str) -> String {
    raw["routes"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|route| route["id"] == id)
        .and_then(|route| route["label"].as_str())
        .unwrap_or(id)
        .to_owned()
}
