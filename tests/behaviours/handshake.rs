//! Rows on the handshake: version, and what each side says of itself.

use super::catalog;
use super::check::{Outcome, holds, same};
use super::client::{CAPABILITIES, CLIENT_INFO};
use super::stage::Stage;
use super::wire::at;

fn negotiates(stage: &Stage, version: &str) -> Outcome {
    let mut client = stage.connect()?;
    let answer = client.initialize(version)?;
    let wanted = format!("\"{version}\"");
    let got = at(&answer, &["result", "protocolVersion"]);
    same("version in the answer", got, &wanted)?;
    let line = client.seen_one("initialize")?;
    let got = at(&line, &["params", "protocolVersion"]);
    same("version that reached the server", got, &wanted)?;
    holds(
        "`notifications/initialized` did not reach the server once",
        client.seen("notifications/initialized")?.len() == 1,
    )
}

pub(crate) fn version_2024_11_05(stage: &Stage) -> Outcome {
    negotiates(stage, "2024-11-05")
}

pub(crate) fn version_2025_03_26(stage: &Stage) -> Outcome {
    negotiates(stage, "2025-03-26")
}

pub(crate) fn version_2025_06_18(stage: &Stage) -> Outcome {
    negotiates(stage, "2025-06-18")
}

pub(crate) fn version_2025_11_25(stage: &Stage) -> Outcome {
    negotiates(stage, "2025-11-25")
}

pub(crate) fn client_capabilities(stage: &Stage) -> Outcome {
    let line = stage.legacy()?.seen_one("initialize")?;
    let got = at(&line, &["params", "capabilities"]);
    same("capabilities", got, CAPABILITIES)
}

pub(crate) fn client_info(stage: &Stage) -> Outcome {
    let line = stage.legacy()?.seen_one("initialize")?;
    same(
        "clientInfo",
        at(&line, &["params", "clientInfo"]),
        CLIENT_INFO,
    )
}

/// Claims that a member of the handshake's answer is what the server wrote.
fn told(stage: &Stage, member: &str) -> Outcome {
    let mut client = stage.connect()?;
    let answer = client.initialize("2025-11-25")?;
    let offer = format!("{{{}}}", catalog::INITIALIZE);
    let wanted = at(&offer, &[member]).ok_or("the catalog lacks the member")?;
    same(member, at(&answer, &["result", member]), &wanted)
}

pub(crate) fn server_name(stage: &Stage) -> Outcome {
    told(stage, "serverInfo")
}

pub(crate) fn instructions(stage: &Stage) -> Outcome {
    told(stage, "instructions")
}

pub(crate) fn server_capabilities(stage: &Stage) -> Outcome {
    told(stage, "capabilities")
}
