//! The raw numbers: one form for all that is measured, so that the report needs to know no part.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What was measured of one route.
#[derive(Default, Clone)]
pub(crate) struct Numbers {
    /// One number for each round.
    pub(crate) rounds: Vec<f64>,
    /// How many calls stand behind them, in all rounds.
    pub(crate) calls: usize,
    /// Bytes of an answer, where the row is about answers.
    pub(crate) answer_bytes: Option<usize>,
    /// Why there are no (more) numbers.
    pub(crate) failed: Option<String>,
    /// Why it is not compared with the others.
    pub(crate) apart: Option<&'static str>,
}

/// A row: one figure of all routes.
pub(crate) struct Measure {
    /// `stdio, one core`, `http`, …
    pub(crate) group: &'static str,
    /// What was done.
    pub(crate) what: String,
    /// Which figure of it: `median`, `p99`, …
    pub(crate) figure: &'static str,
    pub(crate) unit: &'static str,
    /// More is better, as with calls a second.
    pub(crate) is_more_better: bool,
    /// By the id of the route.
    pub(crate) routes: BTreeMap<&'static str, Numbers>,
}

impl Measure {
    /// Begins a row.
    pub(crate) fn new(
        group: &'static str,
        what: impl Into<String>,
        figure: &'static str,
        unit: &'static str,
    ) -> Self {
        Self {
            group,
            what: what.into(),
            figure,
            unit,
            is_more_better: false,
            routes: BTreeMap::new(),
        }
    }

    /// Adds a number of a route.
    pub(crate) fn push(&mut self, route: &'static str, number: f64) {
        self.routes.entry(route).or_default().rounds.push(number);
    }

    /// Takes routes out of the comparison, each with its reason; their numbers stay.
    pub(crate) fn set_apart(&mut self, apart: &[(&'static str, &'static str)]) {
        for (id, why) in apart {
            if let Some(numbers) = self.routes.get_mut(id) {
                numbers.apart = Some(why);
            }
        }
    }

    /// Notes why a route has no number.
    pub(crate) fn fail(&mut self, route: &'static str, why: &str) {
        self.routes.entry(route).or_default().failed = Some(why.chars().take(300).collect());
    }

    /// Returns the raw form.
    pub(crate) fn to_json(&self) -> Value {
        let routes: Map<String, Value> = self
            .routes
            .iter()
            .map(|(id, numbers)| {
                let rounds: Vec<f64> = numbers.rounds.iter().copied().map(rounded).collect();
                let mut value = json!({"rounds": rounds, "calls": numbers.calls});
                if let Some(bytes) = numbers.answer_bytes {
                    value["answer_bytes"] = bytes.into();
                }
                if let Some(why) = &numbers.failed {
                    value["failed"] = why.as_str().into();
                }
                if let Some(why) = numbers.apart {
                    value["apart"] = why.into();
                }
                ((*id).to_owned(), value)
            })
            .collect();
        json!({
            "group": self.group,
            "what": self.what,
            "figure": self.figure,
            "unit": self.unit,
            "better": if self.is_more_better { "more" } else { "less" },
            "routes": routes,
        })
    }
}

/// Four digits are more than any of these numbers has.
fn rounded(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return 0.0;
    }
    let digits = 10f64.powf(3.0 - number.abs().log10().floor());
    (number * digits).round() / digits
}

/// Returns the value below which the part `q` of the numbers lies.
pub(crate) fn quantile(numbers: &[f64], q: f64) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * q).round() as usize).copied()
}
