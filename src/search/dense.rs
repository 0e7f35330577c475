//! Nearness of meaning by a static [`Table`], fused with the scores of words. Optional: without a table
//! nothing here is reached.
//!
//! A table knows that "folder" is near "directory", but it has no order of words and no idea of what
//! counts in a long text, so it helps short queries only: those of at most [`QUERY_WORDS`] words.

use std::sync::Arc;

use crate::search::fields::{Entry, Field, Texts};
use crate::search::table::Table;
use crate::search::words::words;

/// Words of a query up to which meaning counts.
const QUERY_WORDS: usize = 25;
/// What the nearest tool's meaning is worth beside the best tool's words.
const WEIGHT: f64 = 0.3;
/// The fields whose meaning is looked at, with the weight of their words, and the bytes read of each.
const FIELDS: [(Field, f32, usize); 6] = [
    (Field::Server, 1.0, 256),
    (Field::Name, 2.0, 256),
    (Field::Title, 1.0, 256),
    (Field::Purpose, 1.0, 1 << 10),
    (Field::Details, 0.5, 1 << 10),
    (Field::ParameterNames, 0.5, 1 << 10),
];
/// Numbers that are multiplied side by side.
const LANES: usize = 8;

/// The meanings of a catalogue's tools.
pub(crate) struct Meanings {
    table: Arc<Table>,
    /// Tool after tool, each of length 1, or 0 if no word is known.
    vectors: Vec<f32>,
}

/// The meaning of a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Meaning(Vec<f32>);

impl Meanings {
    pub(crate) fn build(table: Arc<Table>, entries: &[Entry<'_>]) -> Self {
        let n = table.n_dimensions();
        let mut vectors = vec![0.0; n * entries.len()];
        for (entry, vector) in entries.iter().zip(vectors.chunks_exact_mut(n)) {
            let texts = Texts::of(entry);
            for (field, weight, max_bytes) in FIELDS {
                table.add(texts.text(field, max_bytes), weight, vector);
            }
            normalise(vector);
        }
        Self { table, vectors }
    }

    /// Reads a query; none if it is too long or none of its words is known.
    pub(crate) fn read(&self, query: &str) -> Option<Meaning> {
        if words(query).len() > QUERY_WORDS {
            return None;
        }
        let mut vector = vec![0.0; self.table.n_dimensions()];
        let n_tokens = self.table.add(query, 1.0, &mut vector);
        (n_tokens > 0 && normalise(&mut vector)).then_some(Meaning(vector))
    }

    /// Returns how near each tool is to a query, as a cosine.
    pub(crate) fn near(&self, meaning: &Meaning) -> Vec<f64> {
        self.vectors
            .chunks_exact(self.table.n_dimensions())
            .map(|vector| f64::from(dot(vector, &meaning.0)))
            .collect()
    }

    /// Adds to each tool's score what its nearness is worth: nothing for the farthest tool, [`WEIGHT`]
    /// of the best score of words for the nearest.
    pub(crate) fn fuse(&self, meaning: &Meaning, scores: &mut [f64]) {
        let near = self.near(meaning);
        let (least, most) = near
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), near| {
                (least.min(*near), most.max(*near))
            });
        if most <= least {
            return;
        }
        let best = scores.iter().copied().fold(0.0, f64::max);
        // Where no word is met, any scale will do.
        let unit = WEIGHT * if best > 0.0 { best } else { 1.0 };
        for (score, near) in scores.iter_mut().zip(near) {
            *score += unit * (near - least) / (most - least);
        }
    }
}

/// Makes a vector's length 1; `false` if it has none.
fn normalise(vector: &mut [f32]) -> bool {
    let length = dot(vector, vector).sqrt();
    let has_length = length > 0.0 && length.is_finite();
    for number in vector.iter_mut() {
        *number = if has_length { *number / length } else { 0.0 };
    }
    has_length
}

/// The sum of products, in an order that is the same on every machine.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
