//! How good a ranking is: recall, completeness, nDCG and reciprocal rank of labelled queries.
//!
//! A query has needs; each is met by any one of its tools, and counts once, at the first of them. With
//! one tool a need these are the usual measures.

/// Ranks at which recall is taken.
pub const RECALL_AT: [usize; 4] = [1, 3, 5, 10];
/// Ranks at which nDCG and completeness are taken.
pub const DEEP_AT: [usize; 2] = [5, 10];

/// The measures of one query, or their means over several; each from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Metrics {
    /// Share of the needs that are met within the first 1, 3, 5, 10 ranks ([`RECALL_AT`]).
    pub recall: [f64; RECALL_AT.len()],
    /// Normalised discounted cumulative gain at ranks 5 and 10 ([`DEEP_AT`]).
    pub ndcg: [f64; DEEP_AT.len()],
    /// 1 / rank of the first tool that meets a need; 0 if there is none.
    pub reciprocal_rank: f64,
    /// Whether all needs are met within the first 5 and 10 ranks.
    pub complete: [f64; DEEP_AT.len()],
}

impl Metrics {
    /// Measures one ranking against the needs of its query, each a list of tools. A tool that is ranked
    /// twice counts at its first rank. Without needs everything is 0.
    pub fn of<T: PartialEq<U>, U>(ranked: &[T], needs: &[Vec<U>]) -> Self {
        let n_needs = needs.len() as f64;
        if needs.is_empty() {
            return Self::default();
        }
        let rank_of = |need: &Vec<U>| {
            ranked
                .iter()
                .position(|tool| need.iter().any(|met| tool == met))
        };
        let mut ranks: Vec<usize> = needs.iter().filter_map(rank_of).collect();
        ranks.sort_unstable();
        let n_within = |depth| ranks.iter().filter(|rank| **rank < depth).count() as f64;
        let mut distinct = ranks.clone();
        // Two needs met by one tool share a rank: its gain counts once.
        distinct.dedup();
        let ndcg = |depth: usize| {
            let gain: f64 = distinct
                .iter()
                .filter(|rank| **rank < depth)
                .map(|rank| discount(*rank))
                .sum();
            let ideal: f64 = (0..depth.min(needs.len())).map(discount).sum();
            gain / ideal
        };
        Self {
            recall: RECALL_AT.map(|depth| n_within(depth) / n_needs),
            ndcg: DEEP_AT.map(ndcg),
            reciprocal_rank: ranks.first().map_or(0.0, |rank| 1.0 / (*rank + 1) as f64),
            complete: DEEP_AT.map(|depth| f64::from(u8::from(n_within(depth) == n_needs))),
        }
    }
}

fn discount(rank: usize) -> f64 {
    1.0 / ((rank + 2) as f64).log2()
}

/// Adds measures up to means.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MeanMetrics {
    sum: Metrics,
    n_queries: usize,
}

impl MeanMetrics {
    /// Counts one more query.
    pub fn add(&mut self, metrics: &Metrics) {
        let add = |sum: &mut [f64], more: &[f64]| {
            for (sum, more) in sum.iter_mut().zip(more) {
                *sum += more;
            }
        };
        add(&mut self.sum.recall, &metrics.recall);
        add(&mut self.sum.ndcg, &metrics.ndcg);
        add(&mut self.sum.complete, &metrics.complete);
        self.sum.reciprocal_rank += metrics.reciprocal_rank;
        self.n_queries += 1;
    }

    /// Returns how many queries were counted.
    pub fn n_queries(&self) -> usize {
        self.n_queries
    }

    /// Returns the means; `None` if nothing was counted.
    pub fn mean(&self) -> Option<Metrics> {
        let n = self.n_queries as f64;
        (self.n_queries > 0).then(|| Metrics {
            recall: self.sum.recall.map(|sum| sum / n),
            ndcg: self.sum.ndcg.map(|sum| sum / n),
            reciprocal_rank: self.sum.reciprocal_rank / n,
            complete: self.sum.complete.map(|sum| sum / n),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn one_need() {
        let found = Metrics::of(&["a", "b", "c"], &[vec!["b"]]);
        assert_eq!(found.recall, [0.0, 1.0, 1.0, 1.0]);
        assert!(close(found.ndcg[0], 1.0 / 3f64.log2()));
        assert!(close(found.reciprocal_rank, 0.5));
        assert_eq!(found.complete, [1.0, 1.0]);
        let missed = Metrics::of(&["a"], &[vec!["z"]]);
        assert_eq!(missed, Metrics::default());
        assert_eq!(
            Metrics::of(&["a"], &Vec::<Vec<&str>>::new()),
            Metrics::default()
        );
    }

    #[test]
    fn needs_are_met_by_any_of_their_tools() {
        let needs = [vec!["x", "c"], vec!["a"], vec!["z"]];
        let found = Metrics::of(&["a", "b", "c"], &needs);
        assert!(close(found.recall[0], 1.0 / 3.0) && close(found.recall[1], 2.0 / 3.0));
        assert_eq!(found.complete, [0.0, 0.0]);
        // One tool for two needs gains once.
        let shared = Metrics::of(&["a"], &[vec!["a"], vec!["a"]]);
        assert!(close(shared.ndcg[0], 1.0 / (1.0 + 1.0 / 3f64.log2())));
        assert_eq!(shared.recall[0], 1.0);
    }

    #[test]
    fn means() {
        let mut mean = MeanMetrics::default();
        assert_eq!(mean.mean(), None);
        mean.add(&Metrics::of(&["a"], &[vec!["a"]]));
        mean.add(&Metrics::of(&["b"], &[vec!["a"]]));
        let found = mean.mean().expect("two were counted");
        assert_eq!((found.recall[0], found.reciprocal_rank), (0.5, 0.5));
        assert_eq!(mean.n_queries(), 2);
    }
}
