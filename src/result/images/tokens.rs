//! What an image costs, by the formulas that vendors publish. Always an estimate: models differ, hosts scale
//! before they send, and nobody's counter is here. Pure.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::token::Tokens;

use super::Size;

/// How a vendor counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Formula {
    /// Anthropic: width x height / 750, after the image was made to fit what the model takes. The limits are
    /// those of models with high resolution (2,576 pixels on the long edge, 4,784 tokens); others scale to
    /// 1,568 and about 1,600 tokens themselves, so that scaling saves them time and bytes, but no tokens
    /// (docs "Vision", "Image resolution and token costs").
    #[default]
    Anthropic,
    /// Anthropic's models before those: the same with 1,568 pixels and 1,600 tokens.
    #[serde(rename = "anthropic-1568")]
    Anthropic1568,
    /// OpenAI's tiles (GPT-4o, GPT-4.1, GPT-5): fits 2,048 x 2,048, then the short edge to 768; 85 tokens, and
    /// 170 for each tile of 512 x 512 (docs "Images and vision", "Calculating costs").
    OpenaiTiles,
    /// OpenAI's patches (GPT-4.1 mini and nano, o4-mini, before their factor): one token for each
    /// 32 x 32, 1,536 at most (same page).
    OpenaiPatches,
    /// OpenAI from GPT-5.6 on, which by default takes an image in its size: 1.2 tokens for each 32 x 32.
    OpenaiOriginal,
    /// Gemini 2: 258 tokens where both edges have at most 384 pixels, else 258 for each tile of 768 x 768
    /// (docs "Understand and count tokens").
    GeminiTiles,
    /// Gemini 3: about 1,120 tokens whatever its size (docs "Media resolution").
    Gemini,
}

/// A word that names no formula.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no way to count images")]
pub struct UnknownFormula {
    /// What was given.
    pub word: String,
}

impl Formula {
    /// Every formula.
    pub const ALL: [Self; 7] = [
        Self::Anthropic,
        Self::Anthropic1568,
        Self::OpenaiTiles,
        Self::OpenaiPatches,
        Self::OpenaiOriginal,
        Self::GeminiTiles,
        Self::Gemini,
    ];

    /// Returns the word for settings and profiles.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Anthropic1568 => "anthropic-1568",
            Self::OpenaiTiles => "openai-tiles",
            Self::OpenaiPatches => "openai-patches",
            Self::OpenaiOriginal => "openai-original",
            Self::GeminiTiles => "gemini-tiles",
            Self::Gemini => "gemini",
        }
    }

    /// Estimates the tokens of an image.
    pub fn tokens(self, size: Size) -> Tokens {
        let tokens = match self {
            Self::Anthropic => area(size, 2576.0, 4784.0),
            Self::Anthropic1568 => area(size, 1568.0, 1600.0),
            Self::OpenaiTiles => {
                let (width, height) = within(size, 2048.0);
                let short = (768.0 / width.min(height).max(1.0)).min(1.0);
                let tiles = |edge: f64| (edge * short / 512.0 - 1e-9).ceil().max(1.0);
                85.0 + 170.0 * tiles(width) * tiles(height)
            }
            Self::OpenaiPatches => squares(size, 32).min(1536.0),
            Self::OpenaiOriginal => (squares(size, 32) * 1.2).ceil(),
            Self::GeminiTiles if size.0.max(size.1) <= 384 => 258.0,
            Self::GeminiTiles => 258.0 * squares(size, 768),
            Self::Gemini => 1120.0,
        };
        Tokens::new(tokens as u64)
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Formula {
    type Err = UnknownFormula;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|formula| formula.as_str() == word)
            .ok_or_else(|| UnknownFormula {
                word: word.to_owned(),
            })
    }
}

fn area(size: Size, long_edge: f64, most: f64) -> f64 {
    let (width, height) = within(size, long_edge);
    (width * height / 750.0).ceil().min(most)
}

/// The squares of this edge that cover an image.
fn squares(size: Size, edge: u32) -> f64 {
    let along = |length: u32| f64::from(length.div_ceil(edge).max(1));
    along(size.0) * along(size.1)
}

/// The size after it was made to fit a square.
fn within((width, height): Size, edge: f64) -> (f64, f64) {
    let (width, height) = (f64::from(width), f64::from(height));
    let scale = (edge / width.max(height).max(1.0)).min(1.0);
    (width * scale, height * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of the vendors' pages, and measured ones (`image-token-cost` on Hugging Face) where these
    /// have none.
    #[test]
    fn the_vendors_examples() {
        let check = |formula: Formula, size: Size, tokens: u64| {
            assert_eq!(formula.tokens(size).get(), tokens, "{formula:?} {size:?}");
        };
        check(Formula::Anthropic1568, (200, 200), 54);
        check(Formula::Anthropic1568, (1000, 1000), 1334);
        check(Formula::Anthropic1568, (4000, 4000), 1600);
        check(Formula::Anthropic, (2000, 1000), 2667);
        check(Formula::Anthropic, (9000, 9000), 4784);
        check(Formula::OpenaiTiles, (1024, 1024), 765);
        check(Formula::OpenaiTiles, (2048, 4096), 1105);
        check(Formula::OpenaiTiles, (512, 512), 255);
        check(Formula::OpenaiTiles, (0, 0), 255);
        check(Formula::OpenaiPatches, (1024, 1024), 1024);
        check(Formula::OpenaiPatches, (1800, 2400), 1536);
        check(Formula::OpenaiOriginal, (1024, 1024), 1229);
        check(Formula::OpenaiOriginal, (1920, 1080), 2448);
        check(Formula::OpenaiOriginal, (4032, 3024), 14364);
        check(Formula::GeminiTiles, (384, 384), 258);
        check(Formula::GeminiTiles, (960, 540), 516);
        check(Formula::Gemini, (4032, 3024), 1120);
    }

    #[test]
    fn words_are_read_and_shown() {
        for formula in Formula::ALL {
            assert_eq!(formula.to_string().parse(), Ok(formula));
            // Data files use the same word.
            let json = format!("\"{formula}\"");
            assert_eq!(serde_json::from_str::<Formula>(&json).unwrap(), formula);
        }
        assert!("openai".parse::<Formula>().is_err());
    }
}
