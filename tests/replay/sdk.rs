//! The official SDK's client in front of `replay`, in both eras and probing: what it reads is what
//! was recorded.

use mcp_whittle::capture::{demo, read_folder};
use mcp_whittle::mcp::method::ListKind;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, serve_client_with_lifecycle};
use rmcp::transport::TokioChildProcess;

use super::PATIENCE;

async fn session(lifecycle: ClientLifecycleMode, era: &str) {
    let parent = tempfile::tempdir().unwrap();
    let folders = demo::write_to(parent.path()).unwrap();
    let at = demo::SERVERS
        .iter()
        .position(|server| server.name == demo::CALL.server);
    let folder = &folders[at.unwrap()];
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mcp-whittle"));
    command.arg("replay").arg(folder).args(["--era", era]);
    let child = TokioChildProcess::new(command).unwrap();
    let client = serve_client_with_lifecycle((), child, lifecycle)
        .await
        .unwrap();
    let recording = read_folder(folder).unwrap();
    let tools = client.list_all_tools().await.unwrap();
    assert_eq!(tools.len(), recording.items(ListKind::Tools).len());
    assert!(client.list_all_prompts().await.unwrap().is_empty());
    assert!(client.list_all_resources().await.unwrap().is_empty());
    let call = || CallToolRequestParams::new(demo::CALL.tool);
    let result = client.call_tool(call()).await.unwrap();
    let response: serde_json::Value =
        serde_json::from_slice(recording.exchanges()[0].response.as_deref().unwrap()).unwrap();
    assert_eq!(
        result.structured_content.as_ref(),
        response["result"].get("structuredContent")
    );
    let arguments = serde_json::json!({"x": 1}).as_object().cloned();
    let unknown = call().with_arguments(arguments.unwrap());
    let error = client.call_tool(unknown).await.unwrap_err().to_string();
    assert!(error.contains("not in the recording"), "{error}");
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn the_sdk_reads_what_was_recorded() {
    let modern = || vec![ProtocolVersion::V_2026_07_28];
    for (lifecycle, era) in [
        (ClientLifecycleMode::Initialize, "auto"),
        (ClientLifecycleMode::Initialize, "legacy"),
        (
            ClientLifecycleMode::Discover {
                preferred_versions: modern(),
            },
            "auto",
        ),
        (
            ClientLifecycleMode::Discover {
                preferred_versions: modern(),
            },
            "modern",
        ),
        (
            ClientLifecycleMode::Auto {
                preferred_versions: modern(),
                legacy_version: None,
            },
            "legacy",
        ),
    ] {
        let ended = tokio::time::timeout(PATIENCE, session(lifecycle, era)).await;
        ended.expect("a session with the SDK ends");
    }
}
