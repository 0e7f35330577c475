//! Images of results, scaled down to what a model can use. Pure: bytes in, bytes out.
//!
//! Only PNG, JPEG and WebP that are larger than the useful size are touched, only where the vendor's formula says
//! that fewer tokens come of it, and never beyond bounds of bytes and pixels: whatever is odd (another kind
//! than it says, animated, damaged, a decompression bomb) stays as it is. The original is kept by the caller
//! under a handle, and [`Scaled::note`] says beside the image how large it was and how to get it: whoever
//! clicks at coordinates must know that they are of another size.

mod pixels;
pub mod tokens;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::text::string_value;
use crate::jsonrpc::write::{Edit, splice};
use crate::token::Tokens;

pub use pixels::Kind;
use tokens::Formula;

/// Characters of base64 of an image that is looked at, at least: smaller ones gain nothing.
pub const LEAST_BASE64: usize = 16 << 10;
/// Characters of base64 of an image that is decoded, at most.
pub const MOST_BASE64: usize = 32 << 20;

/// What a model makes of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vision {
    /// Longest edge in pixels that is useful. 1,568 is what Anthropic's guide names ("Vision", "Evaluate image
    /// size"); OpenAI's tiles see less than 2,048 by 768 of any image.
    pub long_edge: u32,
    /// How its vendor counts.
    pub formula: Formula,
}

impl Default for Vision {
    fn default() -> Self {
        Self {
            long_edge: 1568,
            formula: Formula::Anthropic,
        }
    }
}

/// A width and a height in pixels.
pub type Size = (u32, u32);

/// An image that was scaled down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaled {
    /// The content block with the smaller image; everything else in it is as it was.
    pub block: Bytes,
    /// Its kind now: PNG and JPEG stay what they are.
    pub kind: Kind,
    /// Its size before.
    pub from: Size,
    /// Its size now.
    pub to: Size,
    /// Tokens before, estimated by the vendor's formula.
    pub before: Tokens,
    /// Tokens now, estimated.
    pub after: Tokens,
}

impl Scaled {
    /// The text that stands beside the image. `rest` says how to get the original.
    pub fn note(&self, rest: &str) -> String {
        let ((from_x, from_y), (to_x, to_y)) = (self.from, self.to);
        let scale = f64::from(to_x) / f64::from(from_x.max(1));
        format!(
            "[image scaled from {from_x}x{from_y} to {to_x}x{to_y}: coordinates in it are {scale:.4} of the original's; original: {rest}]"
        )
    }
}

/// Scales the image of a raw content block down, or says that it stays as it is.
pub fn scale(block: &Bytes, vision: &Vision) -> Option<Scaled> {
    if members::get(block, "type") != Some(b"\"image\"") {
        return None;
    }
    let data_at = members::member(block, "data")?;
    let data = block[data_at.clone()]
        .strip_prefix(b"\"")?
        .strip_suffix(b"\"")?;
    if !(LEAST_BASE64..=MOST_BASE64).contains(&data.len()) {
        return None;
    }
    // An escape in base64 (`\/`) is no base64 here, and stays.
    let original = STANDARD.decode(data).ok()?;
    let kind = Kind::of(&original)?;
    let type_at = members::member(block, "mimeType")?;
    let said = string_value(&block[type_at.clone()])?;
    if !kind.is_called(&said) {
        return None;
    }
    let from = pixels::size(&original, kind)?;
    let to = fitting(from, vision.long_edge)?;
    let (before, after) = (vision.formula.tokens(from), vision.formula.tokens(to));
    if after >= before {
        return None;
    }
    let (smaller, new_kind) = pixels::scaled(&original, kind, to)?;
    let encoded = STANDARD.encode(smaller);
    // Few colours scale to many: an image that gains tokens may not cost the client much more to carry.
    if encoded.len() > data.len().max(1 << 20) {
        return None;
    }
    let mut edits = vec![Edit {
        range: data_at.start + 1..data_at.end - 1,
        with: encoded.into(),
    }];
    if new_kind != kind {
        edits.push(Edit {
            range: type_at,
            with: format!("\"{}\"", new_kind.media_type()).into(),
        });
    }
    edits.sort_by_key(|edit| edit.range.start);
    Some(Scaled {
        block: splice(block, edits).to_bytes(),
        kind: new_kind,
        from,
        to,
        before,
        after,
    })
}

/// The size whose longest edge is `long_edge`, in the same proportion; none where it is not smaller.
fn fitting((width, height): Size, long_edge: u32) -> Option<Size> {
    let longest = width.max(height);
    if longest <= long_edge || long_edge == 0 {
        return None;
    }
    let scaled = |edge: u32| {
        let edge = u64::from(edge) * u64::from(long_edge);
        let rounded = (edge + u64::from(longest) / 2) / u64::from(longest);
        u32::try_from(rounded).unwrap_or(long_edge).max(1)
    };
    Some((scaled(width), scaled(height)))
}

#[cfg(test)]
mod tests;
