//! Samples and tables.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// Samples of one thing in microseconds, in rounds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples {
    pub(crate) rounds: Vec<Vec<f64>>,
}

impl Samples {
    /// Adds a round.
    pub(crate) fn push_round(&mut self, round: &[Duration]) {
        self.rounds
            .push(round.iter().map(|d| d.as_secs_f64() * 1e6).collect());
    }

    /// Returns the median of each round.
    pub(crate) fn medians(&self) -> Vec<f64> {
        self.rounds
            .iter()
            .map(|round| quantile(round, 0.5))
            .collect()
    }

    /// Returns the median of the rounds' medians.
    pub(crate) fn median(&self) -> f64 {
        quantile(&self.medians(), 0.5)
    }

    /// Returns the 99th percentile over all rounds.
    pub(crate) fn p99(&self) -> f64 {
        quantile(&self.rounds.concat(), 0.99)
    }

    /// Returns the lowest and highest median of a round.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let medians = self.medians();
        (quantile(&medians, 0.0), quantile(&medians, 1.0))
    }

    /// Returns the ratio to another route: the median over rounds of the ratio within one round.
    pub(crate) fn ratio(&self, floor: &Self) -> f64 {
        let ratios: Vec<f64> = self
            .medians()
            .iter()
            .zip(floor.medians())
            .map(|(own, floor)| own / floor)
            .collect();
        quantile(&ratios, 0.5)
    }

    /// Returns the numbers for the file of raw numbers.
    pub(crate) fn to_json(&self) -> Value {
        let (lowest, highest) = self.spread();
        json!({
            "unit": "microseconds",
            "median": self.median(),
            "p99": self.p99(),
            "lowest_round": lowest,
            "highest_round": highest,
            "rounds": self.rounds.iter().map(|round| round.iter().map(|n| (n * 10.0).round() / 10.0).collect()).collect::<Vec<Vec<f64>>>(),
        })
    }
}

/// Returns the value below which the part `q` of the numbers lies.
pub(crate) fn quantile(numbers: &[f64], q: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * q).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Says whether a number keeps a limit, for the last column.
pub(crate) fn verdict(number: f64, limit: f64) -> &'static str {
    if number <= limit { "kept" } else { "MISSED" }
}

/// Prints a line.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Says what was measured on, because a number without it means nothing.
pub(crate) fn print_machine() -> io::Result<()> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    say(&format!(
        "Machine: {cpu}, {cores} cores, Linux {}, load {}",
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("unknown")
    ))
}

/// Writes raw numbers to `target/bench/NAME.json`.
pub(crate) fn write_raw(name: &str, value: &Value) -> io::Result<()> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .map_or_else(|| PathBuf::from("target"), PathBuf::from)
        .join("bench");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.json"));
    std::fs::write(&path, serde_json::to_vec_pretty(value)?)?;
    say(&format!("\nraw numbers: {}", path.display()))
}
