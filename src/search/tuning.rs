//! The numbers of the ranking. They were chosen on the development halves of the evaluation sets
//! (`docs/search.md`) and are the same for every catalogue; nothing here is learned at run time.

use crate::search::fields::{Field, FieldWeight};

/// Occurrences of a term in one field that count. Real definitions repeat their subject once; more is
/// stuffing.
const MAX_COUNT: u32 = 2;

/// The numbers of the ranking; [`Tuning::default`] is what the product uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// How each field counts, in the order of [`Field::ALL`].
    pub fields: [FieldWeight; Field::ALL.len()],
    /// How soon more of the same term stops to help (`k1` of BM25).
    pub saturation: f64,
    /// Power of the inverse document frequency: below 1 rare words count less than in BM25.
    pub rarity_power: f64,
    /// How much a repeated word of the query gains, times the logarithm of its count.
    pub query_repeat: f64,
    /// Weight of a synonym beside the word itself.
    pub synonym: f64,
    /// Weight of a longer or shorter form of a word, times the ratio of the lengths.
    pub prefix: f64,
    /// Weight of two neighbouring words written as one.
    pub joined: f64,
    /// Weight of the nearest known words for a word that no tool has.
    pub misspelt: f64,
    /// Distinct words of a query beyond which unknown words are not corrected: in a long story they
    /// are names and places.
    pub misspelt_words: usize,
    /// What a query gains that covers the whole name of a tool.
    pub name_coverage: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        let field = |weight, length_share, max_bytes| FieldWeight {
            weight,
            length_share,
            max_count: MAX_COUNT,
            max_bytes,
        };
        Self {
            fields: [
                field(3.0, 1.0, 256),       // name
                field(1.0, 1.0, 256),       // title
                field(1.0, 1.0, 256),       // server
                field(1.0, 0.6, 4 << 10),   // purpose
                field(0.35, 0.35, 8 << 10), // details
                field(0.65, 0.8, 8 << 10),  // parameter names
                field(0.22, 0.1, 16 << 10), // parameter descriptions
                field(0.5, 0.3, 4 << 10),   // enum values
                field(0.15, 1.0, 4 << 10),  // server description
            ],
            saturation: 1.05,
            rarity_power: 0.68,
            query_repeat: 0.8,
            synonym: 0.15,
            prefix: 0.2,
            joined: 0.65,
            misspelt: 0.7,
            misspelt_words: 10,
            name_coverage: 0.3,
        }
    }
}
