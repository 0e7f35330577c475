//! Images that real servers answered with (`testdata/images`): scaled for each client, valid, and never lost.
//! `--nocapture` shows the numbers of `docs/results.md`.

#![allow(
    clippy::print_stdout,
    reason = "the numbers are for whoever asks for them"
)]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mcp_whittle::config::profiles::Profile;
use mcp_whittle::result::images::tokens::Formula;
use mcp_whittle::result::images::{self, Vision};
use serde_json::{Value, json};

use crate::kit::Proxy;
use crate::peers_kit::account::proof;
use crate::peers_kit::process::run;
use crate::peers_kit::{PROXY, driver, peer_runner, root};

const LIMIT: Duration = Duration::from_secs(120);
/// An answer of a real server whose image is too large, and the server that gave it.
const LARGE: &str = "filesystem--shot-webp";

/// The image blocks of the captured answers, by name.
fn captured() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let folder = root().join("testdata/images");
    for entry in fs::read_dir(folder).expect("testdata/images").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|kind| kind != "json") {
            continue;
        }
        let file: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        let blocks = file["response"]["result"]["content"].as_array();
        let block = blocks
            .into_iter()
            .flatten()
            .find(|block| block["type"] == "image");
        let name = path.file_stem().expect("a name").to_string_lossy();
        found.push((name.into_owned(), block.expect("an image").clone()));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn bytes_of(block: &Value) -> Vec<u8> {
    let data = block["data"].as_str().expect("data");
    STANDARD.decode(data).expect("base64")
}

/// Width and height of an image whose bytes are what its media type says.
fn size_of(block: &Value) -> (u32, u32) {
    let kind = block["mimeType"].as_str().expect("a media type");
    let format = image::ImageFormat::from_mime_type(kind).expect("a known type");
    let decoded = image::load_from_memory_with_format(&bytes_of(block), format);
    let decoded = decoded.expect("a valid image");
    (decoded.width(), decoded.height())
}

#[test]
fn each_client_gets_valid_images_that_cost_less() {
    let profiles = ["generic", "claude-code", "codex", "gemini-cli"].map(|name| {
        let profile = Profile::by_name(name).expect("it is known");
        (name, profile.shown().vision)
    });
    let tiles = Vision {
        formula: Formula::OpenaiTiles,
        ..Vision::default()
    };
    let visions = [&profiles[..], &[("openai-tiles", tiles)]].concat();
    let mut n_scaled = 0;
    let mut total = vec![(0, 0); visions.len()];
    for (name, block) in captured() {
        let size = size_of(&block);
        let mut line = format!("| {name} | {}x{} ", size.0, size.1);
        let raw = Bytes::from(block.to_string());
        for ((client, vision), total) in visions.iter().zip(&mut total) {
            let before = vision.formula.tokens(size).get();
            let scaled = images::scale(&raw, vision);
            let after = scaled.as_ref().map_or(before, |scaled| scaled.after.get());
            line.push_str(&format!("| {before} → {after} "));
            *total = (total.0 + before, total.1 + after);
            let Some(scaled) = scaled else { continue };
            n_scaled += 1;
            let now: Value = serde_json::from_slice(&scaled.block).expect("JSON");
            assert_eq!(size_of(&now), scaled.to, "{name} for {client}");
            assert_eq!(scaled.from, size, "{name}");
            assert_eq!(scaled.to.0.max(scaled.to.1), vision.long_edge, "{name}");
            assert!(after < before, "{name} for {client}");
            assert!(
                bytes_of(&now).len() < bytes_of(&block).len().max(1 << 20),
                "{name}"
            );
        }
        println!("{line}|");
    }
    println!("| all | {total:?}");
    assert!(n_scaled >= 10, "{n_scaled}");
    // The client that takes each image for the same tokens gets each as it is.
    assert_eq!(total[3].0, total[3].1);
}

/// Through the built program: an official server, the image of its answer smaller, its type right, the note
/// beside it, and the original back byte for byte.
#[test]
fn a_servers_image_is_scaled_and_comes_back() {
    let proof = proof("images::a_servers_image_is_scaled_and_comes_back");
    let (_, block) = captured()
        .into_iter()
        .find(|(name, _)| name == LARGE)
        .expect("it is captured");
    let original = bytes_of(&block);
    let folder = tempfile::tempdir().expect("a folder to serve");
    let file = folder.path().join("shot.webp");
    fs::write(&file, &original).expect("the folder is ours");
    let arguments = json!({ "path": file });
    let server = [
        peer_runner().display().to_string(),
        "server-filesystem".to_owned(),
        folder.path().display().to_string(),
    ];
    let ask = |settings: &str| {
        let mut proxy = Proxy::wrap_command(&server)
            .options("--result-cap 5000")
            .settings(settings)
            .start();
        proxy.initialize();
        proxy.ask("tools/list", json!({}));
        let content = content(&proxy.ask_call("read_media_file", arguments.clone()));
        (proxy, content)
    };

    let (mut proxy, shown) = ask("");
    assert_eq!(shown[0]["mimeType"], "image/jpeg", "{}", shown[1]);
    assert_eq!(size_of(&shown[0]), (1568, 980));
    let note = shown[1]["text"].as_str().expect("a note");
    let start = "[image scaled from 1920x1200 to 1568x980: coordinates in it are 0.8167 of the original's; original: read_result ";
    let call = note.strip_prefix(start).expect(note).trim_end_matches(']');
    let call: Value = serde_json::from_str(call).expect("arguments");
    let back = content(&proxy.ask_call("read_result", call));
    assert_eq!(back[0]["mimeType"], "image/webp");
    assert_eq!(bytes_of(&back[0]), original);
    proxy.finish();

    // A smaller edge, and a model for which nothing is gained.
    let (proxy, shown) = ask("results.image_edge = 640");
    assert_eq!(size_of(&shown[0]), (640, 400));
    proxy.finish();
    let (proxy, shown) = ask("results.image_tokens = \"gemini\"");
    assert_eq!(bytes_of(&shown[0]), original);
    assert_eq!(shown.len(), 1, "{shown:?}");
    proxy.finish();
    let (proxy, shown) = ask("results.media = false");
    assert_eq!(bytes_of(&shown[0]), original);
    proxy.finish();

    official_client_takes_it(&file, folder.path());
    proof.ran("server-filesystem", 5);
    proof.ran("ts-sdk-v1", 1);
    proof.close();
}

fn content(answer: &Value) -> Vec<Value> {
    let result = answer.get("result").unwrap_or(answer);
    result["content"].as_array().expect("content").clone()
}

fn official_client_takes_it(file: &Path, folder: &Path) {
    let call = json!({
        "name": "read_media_file",
        "arguments": { "path": file },
        "expect": "[image scaled from 1920x1200 to 1568x980",
    });
    let mut client = driver("client-ts1");
    client.args(["--era", "legacy", "--steps", "list,call"]);
    client.args(["--names", &json!({ "call": call }).to_string()]);
    client.args(["--stdio", "--", PROXY].map(OsStr::new));
    let state = tempfile::tempdir().expect("a state folder");
    client.arg("--state-dir").arg(state.path());
    client.args(["--result-cap", "5000", "--"]);
    client
        .arg(peer_runner())
        .arg("server-filesystem")
        .arg(folder);
    let ended = run(&mut client, LIMIT);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}
