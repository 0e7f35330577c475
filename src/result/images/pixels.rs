//! Pixels of PNG, JPEG and WebP, within bounds: read, scaled, written again. Pure.
//!
//! PNG and JPEG stay what they are. WebP becomes one of them, because what writes it in Rust only writes it
//! without loss, which makes photos larger: JPEG where it was lossy and nothing is transparent, else PNG.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, ImageEncoder, Limits, imageops};

use super::Size;

/// Pixels of an image that is decoded, at most; larger ones (a decompression bomb is one) stay as they are.
const MOST_PIXELS: u64 = 32_000_000;
/// Bytes that a decoder may take.
const MOST_BYTES: u64 = 192 << 20;
/// An edge that is not looked at.
const MOST_EDGE: u32 = 30_000;
/// Quality of JPEG: text in screenshots stays clear.
const QUALITY: u8 = 85;

/// A kind that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP that loses something.
    WebpLossy,
    /// WebP that loses nothing.
    Webp,
}

impl Kind {
    /// Tells the kind by the first bytes.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(if is_lossy(bytes) {
                Self::WebpLossy
            } else {
                Self::Webp
            })
        } else {
            None
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebpLossy | Self::Webp => "image/webp",
        }
    }

    /// Tells whether a media type names this kind.
    pub(super) fn is_called(self, media_type: &str) -> bool {
        let name = media_type.to_ascii_lowercase();
        match self {
            Self::Jpeg => name == "image/jpeg" || name == "image/jpg",
            kind => name == kind.media_type(),
        }
    }
}

/// Chunks of a WebP file that are looked at.
const CHUNKS: usize = 16;

/// Tells whether a WebP file has a chunk `VP8 ` (RFC 9649, section 2.5), by itself or behind `VP8X`.
fn is_lossy(bytes: &[u8]) -> bool {
    let mut at = 12_usize;
    for _ in 0..CHUNKS {
        let Some(head) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) else {
            return false;
        };
        let [name @ .., a, b, c, d] = head;
        if name == b"VP8 " {
            return true;
        }
        let n_bytes = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        // Padded to an even length.
        at = at
            .saturating_add(8)
            .saturating_add(n_bytes.saturating_add(n_bytes % 2));
    }
    false
}

/// Tells whether every pixel hides what is behind it.
fn is_opaque(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageRgba8(image) => image.pixels().all(|pixel| pixel.0[3] == u8::MAX),
        image => !image.color().has_alpha(),
    }
}

/// Reads width and height from the header, as the image is shown; none where they are out of bounds.
pub(super) fn size(bytes: &[u8], kind: Kind) -> Option<Size> {
    let (size, is_turned) = match kind {
        Kind::Png => (png(bytes)?.dimensions(), false),
        Kind::Jpeg => {
            let mut decoder = JpegDecoder::new(Cursor::new(bytes)).ok()?;
            // EXIF: orientations 5 to 8 lie on their side.
            let turned = decoder.orientation().ok()?.to_exif() >= 5;
            (decoder.dimensions(), turned)
        }
        Kind::WebpLossy | Kind::Webp => {
            let mut decoder = webp(bytes)?;
            let turned = decoder.orientation().ok()?.to_exif() >= 5;
            (decoder.dimensions(), turned)
        }
    };
    let (width, height) = size;
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MOST_PIXELS || width.max(height) > MOST_EDGE {
        return None;
    }
    Some(if is_turned { (height, width) } else { size })
}

/// Scales to a smaller size, and says what kind came of it; none where it cannot be decoded, or is animated.
pub(super) fn scaled(bytes: &[u8], kind: Kind, (width, height): Size) -> Option<(Vec<u8>, Kind)> {
    let (image, profile) = match kind {
        Kind::Png => decoded(png(bytes)?)?,
        Kind::Jpeg => decoded(JpegDecoder::new(Cursor::new(bytes)).ok()?)?,
        Kind::WebpLossy | Kind::Webp => decoded(webp(bytes)?)?,
    };
    // What a model sees has eight bits.
    let image = match image {
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageLuma8(image.to_luma8()),
        DynamicImage::ImageLumaA16(_) => DynamicImage::ImageLumaA8(image.to_luma_alpha8()),
        DynamicImage::ImageRgb16(_) => DynamicImage::ImageRgb8(image.to_rgb8()),
        DynamicImage::ImageRgba16(_) => DynamicImage::ImageRgba8(image.to_rgba8()),
        image => image,
    };
    // Triangle weighs every pixel that falls into a new one, so thin lines and letters do not vanish.
    let small = image.resize_exact(width, height, imageops::FilterType::Triangle);
    drop(image);
    let mut out = Vec::new();
    let (small, kind) = match kind {
        Kind::WebpLossy if is_opaque(&small) => {
            (DynamicImage::ImageRgb8(small.to_rgb8()), Kind::Jpeg)
        }
        Kind::WebpLossy | Kind::Webp => (small, Kind::Png),
        kind => (small, kind),
    };
    match kind {
        Kind::Png | Kind::WebpLossy | Kind::Webp => {
            let compression = CompressionType::Default;
            let mut encoder =
                PngEncoder::new_with_quality(&mut out, compression, FilterType::Adaptive);
            if let Some(profile) = profile {
                encoder.set_icc_profile(profile).ok()?;
            }
            small.write_with_encoder(encoder).ok()?;
        }
        Kind::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(&mut out, QUALITY);
            if let Some(profile) = profile {
                encoder.set_icc_profile(profile).ok()?;
            }
            small.write_with_encoder(encoder).ok()?;
        }
    }
    Some((out, kind))
}

fn webp(bytes: &[u8]) -> Option<WebPDecoder<Cursor<&[u8]>>> {
    let decoder = WebPDecoder::new(Cursor::new(bytes)).ok()?;
    (!decoder.has_animation()).then_some(decoder)
}

fn png(bytes: &[u8]) -> Option<PngDecoder<Cursor<&[u8]>>> {
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits()).ok()?;
    // Scaling would leave one picture of an animation.
    (!decoder.is_apng().ok()?).then_some(decoder)
}

/// Decodes, turned as it is shown, with its colour profile.
fn decoded(mut decoder: impl ImageDecoder) -> Option<(DynamicImage, Option<Vec<u8>>)> {
    decoder.set_limits(limits()).ok()?;
    if decoder.total_bytes() > MOST_BYTES {
        return None;
    }
    let profile = decoder.icc_profile().ok()?;
    let orientation = decoder.orientation().ok()?;
    let mut image = DynamicImage::from_decoder(decoder).ok()?;
    image.apply_orientation(orientation);
    Some((image, profile))
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    limits.max_image_width = Some(MOST_EDGE);
    limits.max_image_height = Some(MOST_EDGE);
    limits
}
