//! A static table of word vectors, read from the bytes of a model2vec folder: one row for each token of
//! a WordPiece vocabulary, and texts cut to those tokens. A text's vector is the sum of its rows: its
//! length says nothing, since vectors are only compared by their angle.
//!
//! Words come from `words`, as everywhere in search: identifiers are split and case and accents folded
//! before the vocabulary is asked, and punctuation has no token.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::search::words::for_each_word;

/// Rows of a table, at most.
const MAX_ROWS: usize = 1 << 20;
/// Numbers in a row, at most.
const MAX_DIMENSIONS: usize = 4096;
/// Tokens of one text that are read, at most; model2vec has the same bound.
const MAX_TOKENS: usize = 512;
/// Name of the tensor.
const TENSOR: &str = "embeddings";
/// Other tensors of model2vec that change what a row means.
const UNREAD: [&str; 2] = ["weights", "mapping"];

/// Why bytes are no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The weights are not in the safetensors format.
    #[error("the weights are not safetensors: {0}")]
    Format(String),
    /// The tensor is not there; the others are named.
    #[error("there is no tensor `embeddings`; there are: {0}")]
    NoTensor(String),
    /// A tensor is there that changes the meaning of the others.
    #[error("the tensor `{0}` cannot be read: only tables with one row for each token can")]
    Unread(&'static str),
    /// The tensor is of another type or shape.
    #[error("the tensor `embeddings` is {0}; it has to be rows and columns of F32, F16 or I8")]
    Tensor(String),
    /// The tokenizer is not JSON of the expected form.
    #[error("the tokenizer cannot be read: {0}")]
    Tokenizer(String),
    /// The tokenizer is of another kind.
    #[error("the tokenizer is `{0}`; only `WordPiece` is known")]
    Kind(String),
    /// A token has no row.
    #[error("the vocabulary has a token {0}, the table only {1} rows")]
    Rows(u32, usize),
}

/// A table of vectors for tokens.
pub struct Table {
    vocabulary: HashMap<Box<str>, u32>,
    /// What a token that continues a word starts with.
    continuing: Box<str>,
    /// Bytes of a word, at most; a longer one has no tokens.
    word_bytes: usize,
    n_dimensions: usize,
    kind: Dtype,
    rows: Box<[u8]>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("n_tokens", &self.vocabulary.len())
            .field("n_dimensions", &self.n_dimensions)
            .finish_non_exhaustive()
    }
}

/// The members of `tokenizer.json` that are read.
#[derive(Deserialize)]
struct Tokenizer {
    model: TokenizerModel,
}

#[derive(Deserialize)]
struct TokenizerModel {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    vocab: serde_json::Value,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<Box<str>>,
    max_input_chars_per_word: Option<usize>,
}

impl Table {
    /// Reads a table from the bytes of `model.safetensors` and the text of `tokenizer.json`.
    ///
    /// # Errors
    /// When either is not what a model2vec folder with a WordPiece tokenizer has.
    pub fn parse(weights: &[u8], tokenizer: &str) -> Result<Self, TableError> {
        let tensors = SafeTensors::deserialize(weights)
            .map_err(|error| TableError::Format(error.to_string()))?;
        if let Some(name) = UNREAD.into_iter().find(|name| tensors.tensor(name).is_ok()) {
            return Err(TableError::Unread(name));
        }
        let tensor = tensors.tensor(TENSOR).map_err(|_| {
            let mut names: Vec<String> = tensors.names().into_iter().map(Into::into).collect();
            names.sort();
            names.truncate(8);
            TableError::NoTensor(names.join(", "))
        })?;
        let (n_rows, n_dimensions) = match (tensor.dtype(), tensor.shape()) {
            (Dtype::F32 | Dtype::F16 | Dtype::I8, &[rows, columns])
                if (1..=MAX_ROWS).contains(&rows) && (1..=MAX_DIMENSIONS).contains(&columns) =>
            {
                (rows, columns)
            }
            (kind, shape) => return Err(TableError::Tensor(format!("{kind:?} {shape:?}"))),
        };
        let read: Tokenizer = serde_json::from_str(tokenizer)
            .map_err(|error| TableError::Tokenizer(error.to_string()))?;
        let model = read.model;
        if model.kind.as_deref() != Some("WordPiece") {
            return Err(TableError::Kind(model.kind.unwrap_or_default()));
        }
        let mut vocabulary: HashMap<Box<str>, u32> = serde_json::from_value(model.vocab)
            .map_err(|error| TableError::Tokenizer(error.to_string()))?;
        if let Some(row) = vocabulary.values().find(|row| **row as usize >= n_rows) {
            return Err(TableError::Rows(*row, n_rows));
        }
        // An unknown word says nothing; its token must not be found by a word of that spelling.
        if let Some(unknown) = model.unk_token {
            vocabulary.remove(unknown.as_str());
        }
        vocabulary.shrink_to_fit();
        Ok(Self {
            vocabulary,
            continuing: model.continuing_subword_prefix.unwrap_or("##".into()),
            word_bytes: model.max_input_chars_per_word.unwrap_or(100).min(400),
            n_dimensions,
            kind: tensor.dtype(),
            rows: tensor.data().into(),
        })
    }

    /// Returns how many numbers a vector has.
    pub fn n_dimensions(&self) -> usize {
        self.n_dimensions
    }

    /// Returns how many tokens are known.
    pub fn n_tokens(&self) -> usize {
        self.vocabulary.len()
    }

    /// Adds the vectors of a text's tokens to `sum`, each times `weight`; returns how many there were.
    pub(crate) fn add(&self, text: &str, weight: f32, sum: &mut [f32]) -> usize {
        let mut n_tokens = 0;
        let mut found = Vec::new();
        let mut piece = String::new();
        for_each_word(text, |word, _| {
            if n_tokens >= MAX_TOKENS {
                return;
            }
            self.pieces(word, &mut piece, &mut found);
            for row in found.drain(..) {
                n_tokens += 1;
                self.add_row(row, weight, sum);
            }
        });
        n_tokens
    }

    /// Greedy WordPiece: the longest known start, then the longest known continuation, and so on; a
    /// word with an unknown part has no tokens.
    fn pieces(&self, word: &str, piece: &mut String, found: &mut Vec<u32>) {
        if word.len() > self.word_bytes {
            return;
        }
        let mut start = 0;
        while start < word.len() {
            let mut ends = (start + 1..=word.len()).rev();
            let longest = ends
                .by_ref()
                .filter(|end| word.is_char_boundary(*end))
                .find_map(|end| {
                    piece.clear();
                    if start > 0 {
                        piece.push_str(&self.continuing);
                    }
                    piece.push_str(&word[start..end]);
                    Some((*self.vocabulary.get(piece.as_str())?, end))
                });
            let Some((row, end)) = longest else {
                found.clear();
                return;
            };
            found.push(row);
            start = end;
        }
    }

    fn add_row(&self, row: u32, weight: f32, sum: &mut [f32]) {
        let width = match self.kind {
            Dtype::F32 => 4,
            Dtype::F16 => 2,
            _ => 1,
        };
        let n_bytes = self.n_dimensions * width;
        let at = row as usize * n_bytes;
        let cells = self.rows[at..at + n_bytes].chunks_exact(width);
        for (sum, cell) in sum.iter_mut().zip(cells) {
            let number = match *cell {
                [byte] => f32::from(i8::from_le_bytes([byte])),
                [a, b] => half(u16::from_le_bytes([a, b])),
                [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
                _ => 0.0,
            };
            // A table with what is no number must not spoil every score.
            if number.is_finite() {
                *sum += weight * number;
            }
        }
    }
}

/// An IEEE 754 half as a number.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    match exponent {
        0 => sign * fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a safetensors file with one tensor.
    fn weights(name: &str, kind: &str, shape: [usize; 2], data: &[u8]) -> Vec<u8> {
        let header = format!(
            r#"{{"{name}":{{"dtype":"{kind}","shape":[{},{}],"data_offsets":[0,{}]}}}}"#,
            shape[0],
            shape[1],
            data.len()
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    const TOKENIZER: &str = r###"{"model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"[UNK]":0,"read":1,"##er":2,"file":3}}}"###;

    fn sum(table: &Table, text: &str) -> (usize, Vec<f32>) {
        let mut sum = vec![0.0; table.n_dimensions()];
        let n_tokens = table.add(text, 1.0, &mut sum);
        (n_tokens, sum)
    }

    #[test]
    fn rows_of_all_types_are_summed_by_the_longest_pieces() {
        let numbers: [i8; 8] = [9, 9, 1, 2, 10, 20, -3, 4];
        let bytes = numbers.map(|number| number as u8);
        let singles: Vec<u8> = numbers
            .iter()
            .flat_map(|number| f32::from(*number).to_le_bytes())
            .collect();
        let halves: Vec<u8> = [
            0x4880u16, 0x4880, 0x3c00, 0x4000, 0x4900, 0x4d00, 0xc200, 0x4400,
        ]
        .iter()
        .flat_map(|bits| bits.to_le_bytes())
        .collect();
        for (kind, data) in [("I8", &bytes[..]), ("F32", &singles), ("F16", &halves)] {
            let table = Table::parse(&weights("embeddings", kind, [4, 2], data), TOKENIZER)
                .expect("a table");
            assert_eq!(sum(&table, "Reader"), (2, vec![11.0, 22.0]), "{kind}");
            assert_eq!(sum(&table, "readFile"), (2, vec![-2.0, 6.0]), "{kind}");
            assert_eq!(sum(&table, "unk readx, ..."), (0, vec![0.0, 0.0]), "{kind}");
        }
    }

    #[test]
    fn what_is_no_table_is_said() {
        let good = weights("embeddings", "I8", [4, 2], &[0; 8]);
        let told = |weights: &[u8], tokenizer: &str| {
            Table::parse(weights, tokenizer)
                .expect_err("it is none")
                .to_string()
        };
        assert!(told(b"", TOKENIZER).starts_with("the weights are not safetensors"));
        assert!(told(&good[..good.len() - 1], TOKENIZER).starts_with("the weights are not"));
        let other = weights("vectors", "I8", [4, 2], &[0; 8]);
        assert_eq!(
            told(&other, TOKENIZER),
            "there is no tensor `embeddings`; there are: vectors"
        );
        let kind = weights("embeddings", "I32", [1, 2], &[0; 8]);
        assert!(told(&kind, TOKENIZER).starts_with("the tensor `embeddings` is I32 [1, 2]"));
        let few = weights("embeddings", "I8", [2, 4], &[0; 8]);
        assert!(told(&few, TOKENIZER).contains("the table only 2 rows"));
        assert!(told(&good, "{").starts_with("the tokenizer cannot be read"));
        assert_eq!(
            told(&good, r#"{"model":{"type":"Unigram","vocab":[["a",0.1]]}}"#),
            "the tokenizer is `Unigram`; only `WordPiece` is known"
        );
    }

    #[test]
    fn halves_are_numbers() {
        for (bits, number) in [(0u16, 0.0), (1, 5.960_464_5e-8), (0x7bff, 65504.0)] {
            assert_eq!(half(bits), number);
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }
}
