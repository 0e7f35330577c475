use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, RgbImage};

use super::*;

/// Stripes, letters-like noise and a gradient: it compresses like a screenshot, not like nothing.
fn picture(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 13;
        let ink = if (y / 12) % 3 == 0 && noise % 5 < 2 {
            20
        } else {
            240
        };
        image::Rgb([ink, (x * 255 / width) as u8, (y * 255 / height) as u8])
    }))
}

fn png(image: &DynamicImage) -> Vec<u8> {
    let mut out = Vec::new();
    image.write_with_encoder(PngEncoder::new(&mut out)).unwrap();
    out
}

fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let mut out = Vec::new();
    image
        .write_with_encoder(JpegEncoder::new_with_quality(&mut out, 90))
        .unwrap();
    out
}

fn block(bytes: &[u8], media_type: &str) -> Bytes {
    let data = STANDARD.encode(bytes);
    format!(
        r#"{{"type": "image", "data": "{data}", "mimeType": "{media_type}", "annotations":{{"priority":0.50}},"x":1E2}}"#
    )
    .into()
}

fn image_of(block: &Bytes) -> DynamicImage {
    let data = string_value(members::get(block, "data").unwrap()).unwrap();
    image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap()
}

#[test]
fn a_large_image_is_scaled_and_the_rest_of_the_block_stays() {
    for (bytes, media_type) in [
        (png(&picture(2560, 1440)), "image/png"),
        (jpeg(&picture(2560, 1440)), "image/jpeg"),
        (jpeg(&picture(2560, 1440)), "IMAGE/JPG"),
    ] {
        let original = block(&bytes, media_type);
        let scaled = scale(&original, &Vision::default()).expect(media_type);
        assert_eq!((scaled.from, scaled.to), ((2560, 1440), (1568, 882)));
        assert_eq!((scaled.before.get(), scaled.after.get()), (4784, 1844));
        let small = image_of(&scaled.block);
        assert_eq!((small.width(), small.height()), (1568, 882));
        assert!(scaled.block.len() < original.len());
        let rest = |block: &Bytes| {
            let data = members::member(block, "data").unwrap();
            [&block[..data.start], &block[data.end..]].concat()
        };
        assert_eq!(rest(&scaled.block), rest(&original));
        assert_eq!(scale(&original, &Vision::default()).unwrap(), scaled);
        // Smaller is not scaled again.
        assert_eq!(scale(&scaled.block, &Vision::default()), None);
    }
}

/// A simple WebP file around a chunk of its bitstream, as RFC 9649 has it.
fn webp(image: &DynamicImage) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut out);
    image.write_with_encoder(encoder).unwrap();
    out
}

#[test]
fn webp_becomes_png_and_its_type_says_so() {
    let bytes = webp(&picture(2400, 1200));
    for media_type in ["image/webp", "image/WebP"] {
        let original = block(&bytes, media_type);
        let scaled = scale(&original, &Vision::default()).expect(media_type);
        assert_eq!((scaled.from, scaled.to), ((2400, 1200), (1568, 784)));
        assert_eq!(scaled.kind, Kind::Png);
        let said = members::get(&scaled.block, "mimeType").unwrap();
        assert_eq!(string_value(said).as_deref(), Some("image/png"));
        let data = string_value(members::get(&scaled.block, "data").unwrap()).unwrap();
        let data = STANDARD.decode(data).unwrap();
        assert_eq!(Kind::of(&data), Some(Kind::Png));
        let small = image_of(&scaled.block);
        assert_eq!((small.width(), small.height()), (1568, 784));
        let text = std::str::from_utf8(&scaled.block).unwrap();
        assert!(text.ends_with(r#""annotations":{"priority":0.50},"x":1E2}"#));
    }
    for wrong in ["image/png", "image/jpeg"] {
        assert_eq!(scale(&block(&bytes, wrong), &Vision::default()), None);
    }
    let cut = block(&bytes[..bytes.len() / 2], "image/webp");
    assert_eq!(scale(&cut, &Vision::default()), None);
}

/// Chunks are followed, and lengths that lie end the search.
#[test]
fn lossy_webp_is_told_by_its_chunks() {
    let file = |chunks: &[(&[u8; 4], u32, usize)]| {
        let mut bytes = b"RIFF\0\0\0\0WEBP".to_vec();
        for (name, said, has) in chunks {
            bytes.extend_from_slice(*name);
            bytes.extend_from_slice(&said.to_le_bytes());
            bytes.resize(bytes.len() + has, 0);
        }
        Kind::of(&bytes)
    };
    for lossy in [
        file(&[(b"VP8 ", 4, 4)]),
        file(&[(b"VP8X", 10, 10), (b"ALPH", 3, 4), (b"VP8 ", 4, 4)]),
    ] {
        assert_eq!(lossy, Some(Kind::WebpLossy));
    }
    for other in [
        file(&[]),
        file(&[(b"VP8L", 4, 4)]),
        file(&[(b"VP8X", u32::MAX, 4), (b"VP8 ", 4, 4)]),
        file(&[(b"VP8X", 0, 0); 20]),
    ] {
        assert_eq!(other, Some(Kind::Webp));
    }
}

/// What one model is shown smaller gains nothing with another.
#[test]
fn the_formula_and_the_edge_decide() {
    let original = block(&png(&picture(2560, 1440)), "image/png");
    let scaled = |long_edge: u32, formula: Formula| {
        let vision = Vision { long_edge, formula };
        scale(&original, &vision).map(|scaled| (scaled.to, scaled.after.get()))
    };
    let to = |long_edge, formula| scaled(long_edge, formula).map(|(to, _)| to);
    assert_eq!(to(1568, Formula::Anthropic), Some((1568, 882)));
    assert_eq!(to(1568, Formula::Gemini), None);
    assert_eq!(to(1568, Formula::OpenaiTiles), None);
    assert_eq!(
        scaled(2048, Formula::OpenaiOriginal),
        Some(((2048, 1152), 2765))
    );
    assert_eq!(scaled(768, Formula::GeminiTiles), Some(((768, 432), 258)));
    assert_eq!(to(512, Formula::OpenaiTiles), Some((512, 288)));
    assert_eq!(to(0, Formula::Anthropic), None);
}

#[test]
fn the_picture_is_the_same_picture() {
    let scaled = scale(
        &block(&png(&picture(2400, 1200)), "image/png"),
        &Vision::default(),
    )
    .unwrap();
    let small = image_of(&scaled.block).to_rgb8();
    let large = picture(2400, 1200).to_rgb8();
    // The gradients of green and blue stand where they stood, up to half a new pixel.
    for (x, y) in [(10, 10), (700, 400), (1500, 700)] {
        let from = large.get_pixel(x * 2400 / 1568, y * 1200 / 784);
        let to = small.get_pixel(x, y);
        assert!(from[1].abs_diff(to[1]) <= 2, "{from:?} {to:?}");
        assert!(from[2].abs_diff(to[2]) <= 2, "{from:?} {to:?}");
    }
}

#[test]
fn what_gains_nothing_stays() {
    let large = png(&picture(2560, 1440));
    let old_models = Vision {
        formula: Formula::Anthropic1568,
        ..Vision::default()
    };
    // These scale by themselves: no token is saved.
    let scaled = scale(&block(&large, "image/png"), &old_models);
    assert_eq!(scaled, None);
    assert_eq!(
        scale(
            &block(&png(&picture(1500, 1500)), "image/png"),
            &Vision::default()
        ),
        None
    );
    assert_eq!(
        scale(&block(&large, "image/webp"), &Vision::default()),
        None
    );
    assert_eq!(
        scale(&block(&large, "text/plain"), &Vision::default()),
        None
    );
    assert_eq!(
        scale(
            &block(&large[..large.len() / 2], "image/png"),
            &Vision::default()
        ),
        None
    );
    let text = Bytes::from_static(br#"{"type":"text","text":"x"}"#);
    assert_eq!(scale(&text, &Vision::default()), None);
    for odd in [
        "",
        "7",
        "{}",
        r#"{"type":"image","data":7}"#,
        r#"{"type":"image","data":""#,
    ] {
        let odd = Bytes::from_static(odd.as_bytes());
        assert_eq!(scale(&odd, &Vision::default()), None);
    }
}

/// A few kilobytes that say they are 30,000 x 30,000 pixels, and 200 megapixels of nothing that really are.
#[test]
fn a_decompression_bomb_stays() {
    let mut lying = png(&picture(200, 200));
    lying.resize(20_000, 0);
    lying[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
    lying[20..24].copy_from_slice(&30_000_u32.to_be_bytes());
    let started = std::time::Instant::now();
    assert_eq!(scale(&block(&lying, "image/png"), &Vision::default()), None);
    let flat = DynamicImage::ImageLuma8(image::GrayImage::new(20_000, 10_000));
    let flat = png(&flat);
    assert!(flat.len() < 2 << 20, "{}", flat.len());
    let flat = block(&flat, "image/png");
    assert_eq!(scale(&flat, &Vision::default()), None);
    assert!(started.elapsed().as_secs() < 30);
}

#[test]
fn a_photo_that_lies_on_its_side_is_turned() {
    let image = picture(2000, 1000);
    let mut bytes = jpeg(&image);
    // APP1 with one EXIF entry: orientation 6 (turn a quarter to the right).
    let exif: &[u8] = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    bytes.splice(2..2, exif.iter().copied());
    let scaled = scale(&block(&bytes, "image/jpeg"), &Vision::default()).unwrap();
    assert_eq!((scaled.from, scaled.to), ((1000, 2000), (784, 1568)));
    let small = image_of(&scaled.block);
    assert_eq!((small.width(), small.height()), (784, 1568));
}

#[test]
fn the_note_says_what_changed() {
    let scaled = scale(
        &block(&png(&picture(3136, 100)), "image/png"),
        &Vision::default(),
    )
    .unwrap();
    assert_eq!(
        scaled.note(r#"read_result {"handle":"r_x","block":1}"#),
        r#"[image scaled from 3136x100 to 1568x50: coordinates in it are 0.5000 of the original's; original: read_result {"handle":"r_x","block":1}]"#
    );
}
