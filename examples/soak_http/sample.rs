//! What a process holds, as `/proc` and its own metrics tell it, and what that says over time.

use std::fs;

/// One look. Memory is in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Seconds since the start.
    pub(crate) at: u64,
    /// Resident memory: the next two, and shared memory, of which there is none.
    pub(crate) resident: u64,
    /// Of no file: heap, stacks, data that was written to.
    pub(crate) anonymous: u64,
    /// Of files: code and constants.
    pub(crate) file: u64,
    /// Open descriptors.
    pub(crate) descriptors: usize,
    /// Child processes.
    pub(crate) children: usize,
    /// Threads.
    pub(crate) threads: u64,
    /// Sessions that the proxy has.
    pub(crate) sessions: u64,
    /// What its allocator holds.
    pub(crate) heap: Heap,
}

/// What an allocator says of itself (docs/metrics.md).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heap {
    /// What the program asked for.
    pub(crate) allocated: u64,
    /// Pages with some of it.
    pub(crate) active: u64,
    /// Pages in memory.
    pub(crate) resident: u64,
    /// The allocator's own.
    pub(crate) metadata: u64,
}

impl Sample {
    /// Looks at a process.
    pub(crate) fn of(process: u32, at: u64) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let number = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
                .unwrap_or_default()
        };
        let entries = |path: String| fs::read_dir(path).map_or(0, |entries| entries.count());
        let children: usize = fs::read_dir(format!("/proc/{process}/task"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
            .map(|children| children.split_ascii_whitespace().count())
            .sum();
        Self {
            at,
            resident: number("VmRSS:"),
            anonymous: number("RssAnon:"),
            file: number("RssFile:"),
            descriptors: entries(format!("/proc/{process}/fd")),
            children,
            threads: number("Threads:"),
            ..Self::default()
        }
    }

    /// With what the process says of itself in `/metrics`.
    pub(crate) fn with_metrics(self, text: &str) -> Self {
        let gauge = |name: &str| -> u64 {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or_default()
        };
        let heap = |kind: &str| gauge(&format!("mcp_whittle_heap_bytes{{kind=\"{kind}\"}}")) >> 10;
        Self {
            sessions: gauge("mcp_whittle_open{kind=\"sessions\"}"),
            heap: Heap {
                allocated: heap("allocated"),
                active: heap("active"),
                resident: heap("resident"),
                metadata: heap("metadata"),
            },
            ..self
        }
    }
}

/// By how much a value changes over the samples, as a share of its median: the median of the slopes between any two
/// samples (Theil and Sen) times the time between the first and the last. What goes on all the time moves it as much
/// as it moves a line of least squares; peaks in less than a quarter of the samples hardly do, wherever they lie.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn drift(samples: &[Sample], value: impl Fn(&Sample) -> u64) -> f64 {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return 0.0;
    };
    let mut slopes = Vec::new();
    for (at, one) in samples.iter().enumerate() {
        for other in samples[at + 1..].iter().filter(|other| other.at > one.at) {
            let more = value(other) as f64 - value(one) as f64;
            slopes.push(more / (other.at - one.at) as f64);
        }
    }
    let middle = median(samples.iter().map(|one| value(one) as f64).collect());
    if middle == 0.0 {
        return 0.0;
    }
    median(slopes) * (last.at - first.at) as f64 / middle
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[upper],
        _ => f64::midpoint(values[upper - 1], values[upper]),
    }
}

/// The same by the line of least squares, and its standard error: how far it may be off by chance. A peak at one end
/// moves it by much.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn least_squares(samples: &[Sample], value: impl Fn(&Sample) -> u64) -> (f64, f64) {
    let n = samples.len() as f64;
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return (0.0, 0.0);
    };
    let mean_at = samples.iter().map(|one| one.at as f64).sum::<f64>() / n;
    let mean = samples.iter().map(|one| value(one) as f64).sum::<f64>() / n;
    let (mut above, mut below, mut around) = (0.0, 0.0, 0.0);
    for one in samples {
        let (x, y) = (one.at as f64 - mean_at, value(one) as f64 - mean);
        above += x * y;
        below += x * x;
        around += y * y;
    }
    if below == 0.0 || mean == 0.0 {
        return (0.0, 0.0);
    }
    let slope = above / below;
    let left = (around - slope * above).max(0.0) / (n - 2.0).max(1.0);
    let share = (last.at - first.at) as f64 / mean;
    (slope * share, (left / below).sqrt() * share)
}

/// The value below which a share of the sorted values lies.
pub(crate) fn quantile(sorted: &[u32], share: f64) -> u32 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index, rounded"
    )]
    let at = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}
