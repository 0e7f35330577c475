//! Raw numbers, read and compared: which of our routes is judged, which peer is best, and by how much. Pure: the
//! report and the chart are both made of this.

use serde_json::Value;

/// An answer shorter than this part of the server's own has not been sent whole.
const WHOLE: f64 = 0.95;

/// The numbers of one route in a row.
pub(crate) struct Cell<'a> {
    pub(crate) id: &'a str,
    pub(crate) rounds: Vec<f64>,
    pub(crate) failed: Option<&'a str>,
    /// The answer was not sent whole.
    pub(crate) is_shortened: bool,
    /// Why it is not compared with the others.
    pub(crate) apart: Option<&'a str>,
}

impl Cell<'_> {
    /// The median of the rounds.
    pub(crate) fn median(&self) -> Option<f64> {
        median(&self.rounds)
    }

    /// The lowest and the highest round.
    pub(crate) fn spread(&self) -> Option<(f64, f64)> {
        let lowest = self.rounds.iter().copied().reduce(f64::min)?;
        Some((lowest, self.rounds.iter().copied().reduce(f64::max)?))
    }
}

/// One figure of all routes.
pub(crate) struct Row<'a> {
    pub(crate) group: &'a str,
    pub(crate) what: &'a str,
    pub(crate) figure: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) is_more_better: bool,
    pub(crate) cells: Vec<Cell<'a>>,
}

/// Reads all rows.
pub(crate) fn rows(raw: &Value) -> Vec<Row<'_>> {
    let measures = raw["measures"].as_array().map_or(&[][..], Vec::as_slice);
    measures.iter().map(row).collect()
}

fn row(measure: &Value) -> Row<'_> {
    let text = |name: &str| measure[name].as_str().unwrap_or_default();
    let routes = measure["routes"].as_object();
    let whole = ["direct", "relay"]
        .iter()
        .find_map(|id| routes?.get(*id)?["answer_bytes"].as_f64());
    let cells = routes
        .into_iter()
        .flatten()
        .map(|(id, numbers)| {
            let bytes = numbers["answer_bytes"].as_f64();
            Cell {
                id,
                rounds: numbers["rounds"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_f64)
                    .collect(),
                failed: numbers["failed"].as_str(),
                apart: numbers["apart"].as_str(),
                is_shortened: whole
                    .zip(bytes)
                    .is_some_and(|(whole, bytes)| bytes < whole * WHOLE),
            }
        })
        .collect();
    Row {
        group: text("group"),
        what: text("what"),
        figure: text("figure"),
        unit: text("unit"),
        is_more_better: text("better") == "more",
        cells,
    }
}

impl<'a> Row<'a> {
    /// Returns the numbers of a route, if it has any.
    pub(crate) fn cell(&self, id: &str) -> Option<&Cell<'a>> {
        self.cells
            .iter()
            .find(|cell| cell.id == id && !cell.rounds.is_empty())
    }

    /// Returns our route that did what the peers did: the default one, or where that shortens the answer, the
    /// transparent one. Where several settings of a product took part, as in lists, the least of ours stands beside
    /// the least of theirs.
    pub(crate) fn judged(&self) -> Option<&Cell<'a>> {
        match self.cell("whittle") {
            Some(cell) if self.cell("whittle-budget").is_some() => self
                .cell("whittle-budget")
                .filter(|other| other.failed.is_none() && other.median() < cell.median())
                .or(Some(cell)),
            Some(cell) if cell.is_shortened => self.cell("whittle-transparent"),
            cell => cell,
        }
    }

    /// Returns why our route that should be judged has no number, where it failed or is missing beside the default one.
    pub(crate) fn lost(&self) -> Option<&'a str> {
        let failed = |id| self.cells.iter().find(|cell| cell.id == id)?.failed;
        if self.cell("whittle").is_some_and(|cell| cell.is_shortened) {
            let is_there = self.cell("whittle-transparent").is_some();
            failed("whittle-transparent").or((!is_there).then_some("no number"))
        } else {
            failed("whittle")
        }
    }

    /// Returns the best of the peers that did the same work: sent answers whole, failed in no round.
    pub(crate) fn best_peer(&self) -> Option<&Cell<'a>> {
        let is_peer = |id: &str| id != "direct" && id != "relay" && !id.starts_with("whittle");
        let sign = if self.is_more_better { -1.0 } else { 1.0 };
        self.cells
            .iter()
            .filter(|cell| is_peer(cell.id) && !cell.is_shortened)
            .filter(|cell| cell.failed.is_none() && cell.apart.is_none())
            .filter_map(|cell| Some((cell, cell.median()? * sign)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(cell, _)| cell)
    }

    /// Returns how much worse `cell` is than `other`: below 1 it is better, whatever the unit. The median of the
    /// ratios of the rounds where both made the same, as then what disturbed one round disturbed both.
    pub(crate) fn ratio(&self, cell: &Cell<'_>, other: &Cell<'_>) -> Option<f64> {
        let of = |a: f64, b: f64| if self.is_more_better { b / a } else { a / b };
        let ratio = if cell.rounds.len() == other.rounds.len() {
            let ratios: Vec<f64> = cell
                .rounds
                .iter()
                .zip(&other.rounds)
                .map(|(a, b)| of(*a, *b))
                .collect();
            median(&ratios)?
        } else {
            of(cell.median()?, other.median()?)
        };
        ratio.is_finite().then_some(ratio)
    }

    /// Says whether the rounds of two routes overlap, so that one run does not tell them apart.
    pub(crate) fn overlap(&self, cell: &Cell<'_>, other: &Cell<'_>) -> bool {
        match (cell.spread(), other.spread()) {
            (Some((a, b)), Some((c, d))) if cell.rounds.len() > 1 => a <= d && c <= b,
            _ => false,
        }
    }
}

/// The middle of some numbers.
pub(crate) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.is_empty() {
        return None;
    }
    if sorted.len() % 2 == 1 {
        return sorted.get(middle).copied();
    }
    Some((sorted.get(middle - 1)? + sorted.get(middle)?) / 2.0)
}

/// Writes a number with three digits that count, thousands apart.
pub(crate) fn shown(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.0995 => 2,
        _ => 3,
    };
    let text = format!("{number:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut apart = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && !apart.ends_with('-') {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart + rest
}
