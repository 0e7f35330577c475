//! What an image costs, by the formulas that vendors publish. Always an estimate: models differ, hosts scale
//! before they send, and nobody's counter is here. Pure.

use crate::token::Tokens;

use super::Size;

/// How a vendor counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Formula {
    /// Anthropic: width x height / 750, after the image was made to fit what the model takes. The limits are
    /// those of the newest models (2,576 pixels on the long edge, 4,784 tokens); older ones scale to 1,568
    /// and about 1,600 tokens themselves, so that scaling saves them time and bytes, but no tokens
    /// (docs "Vision", "Image resolution and token costs").
    #[default]
    Area,
    /// Anthropic's models before those: the same with 1,568 pixels and 1,600 tokens.
    AreaSmall,
    /// OpenAI's tiles (GPT-4o, GPT-4.1): fits 2,048 x 2,048, then the short edge to 768; 85 tokens, and 170
    /// for each tile of 512 x 512 (docs "Images and vision", "Calculating costs").
    Tiles,
    /// OpenAI's patches (GPT-4.1 mini and nano, o4-mini, before their factor): one token for each
    /// 32 x 32, 1,536 at most (same page).
    Patches,
}

impl Formula {
    /// Estimates the tokens of an image.
    pub fn tokens(self, size: Size) -> Tokens {
        let tokens = match self {
            Self::Area => area(size, 2576.0, 4784.0),
            Self::AreaSmall => area(size, 1568.0, 1600.0),
            Self::Tiles => {
                let (width, height) = within(size, 2048.0);
                let short = (768.0 / width.min(height).max(1.0)).min(1.0);
                let tiles = |edge: f64| (edge * short / 512.0 - 1e-9).ceil().max(1.0);
                85.0 + 170.0 * tiles(width) * tiles(height)
            }
            Self::Patches => {
                let patches = |edge: u32| f64::from(edge.div_ceil(32).max(1));
                (patches(size.0) * patches(size.1)).min(1536.0)
            }
        };
        Tokens::new(tokens as u64)
    }
}

fn area(size: Size, long_edge: f64, most: f64) -> f64 {
    let (width, height) = within(size, long_edge);
    (width * height / 750.0).ceil().min(most)
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

    /// Examples of the vendors' pages.
    #[test]
    fn the_vendors_examples() {
        let check = |formula: Formula, size: Size, tokens: u64| {
            assert_eq!(formula.tokens(size).get(), tokens, "{formula:?} {size:?}");
        };
        check(Formula::AreaSmall, (200, 200), 54);
        check(Formula::AreaSmall, (1000, 1000), 1334);
        check(Formula::AreaSmall, (4000, 4000), 1600);
        check(Formula::Area, (2000, 1000), 2667);
        check(Formula::Area, (9000, 9000), 4784);
        check(Formula::Tiles, (1024, 1024), 765);
        check(Formula::Tiles, (2048, 4096), 1105);
        check(Formula::Tiles, (512, 512), 255);
        check(Formula::Patches, (1024, 1024), 1024);
        check(Formula::Patches, (1800, 2400), 1536);
        check(Formula::Tiles, (0, 0), 255);
    }
}
