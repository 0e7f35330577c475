//! Tools that let a test of a proxy see what reached the server, and make it misbehave.

use std::{collections::BTreeMap, io::Write, sync::Arc, time::Duration};

use rmcp::{RoleServer, model::ErrorData, service::RequestContext};
use serde_json::{Value, json};

use crate::{
    arguments::Call,
    catalog::{self, WATCHED},
    content::{ToolOutcome, failure, structured, text, typed},
    state::{Change, Shared},
};

/// The most `big` and `stderr_flood` write, in bytes.
const MAXIMUM_BYTES: u64 = 64 * 1024 * 1024;

/// Runs a tool of this module, or says nothing where the name is none of them.
pub(crate) async fn call(
    call: &Call<'_>,
    context: &RequestContext<RoleServer>,
    shared: &Arc<Shared>,
) -> Option<ToolOutcome> {
    let outcome = match call.name() {
        "slow" => slow(call, context, shared).await,
        "counter" => structured(json!({ "value": shared.counter.increment() })),
        "cancelled_count" => structured(json!({
            "calls": shared.cancelled_calls.value(),
            "notifications": shared.cancel_notifications.value(),
        })),
        "echo" => text(json!({ "arguments": call.0.arguments, "_meta": context.meta }).to_string()),
        "big" => size(call)
            .and_then(|bytes| text("0123456789abcdef".repeat(bytes / 16 + 1)[..bytes].to_owned())),
        "crash" => crash(call),
        "notify_resource" => notify_resource(call, shared),
        "add_tool" => add_tool(call, shared),
        "stderr_flood" => stderr_flood(call).await,
        "http_headers" => text(http_headers(context).to_string()),
        name => return added(name, shared),
    };
    Some(outcome)
}

/// Counts a call that ends before its time: its future was dropped or told to stop.
struct CountsUnfinished<'a>(Option<&'a Shared>);

impl Drop for CountsUnfinished<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.cancelled_calls.increment();
        }
    }
}

async fn slow(
    call: &Call<'_>,
    context: &RequestContext<RoleServer>,
    shared: &Shared,
) -> ToolOutcome {
    let milliseconds = call.whole("ms", 1000)?;
    let mut guard = CountsUnfinished(Some(shared));
    // Who wants to cancel has to know that the call runs.
    if let Some(token) = context.meta.get_progress_token() {
        let started = typed(json!({ "progressToken": token, "progress": 1, "total": 2 }))?;
        // A client that went away is no error of the tool.
        let _ = context.peer.notify_progress(started).await;
    }
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => {
            guard.0 = None;
            text(format!("Slept {milliseconds} ms."))
        }
        () = context.ct.cancelled() => failure("The call was cancelled."),
    }
}

fn size(call: &Call<'_>) -> Result<usize, ErrorData> {
    let bytes = call.whole("bytes", 1024 * 1024)?;
    usize::try_from(bytes)
        .ok()
        .filter(|_| bytes <= MAXIMUM_BYTES)
        .ok_or_else(|| {
            ErrorData::invalid_params(format!("bytes must be at most {MAXIMUM_BYTES}"), None)
        })
}

#[expect(
    clippy::exit,
    reason = "the tool exists to end the process during a call"
)]
fn crash(call: &Call<'_>) -> ToolOutcome {
    let code = u8::try_from(call.whole("code", 1)?)
        .map_err(|_| ErrorData::invalid_params("code must be at most 255", None))?;
    std::process::exit(i32::from(code));
}

fn notify_resource(call: &Call<'_>, shared: &Shared) -> ToolOutcome {
    let uri = call.text("uri", WATCHED)?;
    let revision = shared.watched_revision.increment();
    shared.publish(Change::Resource(uri.to_owned()));
    text(format!("{uri} is at revision {revision}."))
}

fn add_tool(call: &Call<'_>, shared: &Shared) -> ToolOutcome {
    let count = shared.added_tools().len();
    let default = format!("added_{}", count + 1);
    let name = call.text("name", &default)?;
    let description = call.text("description", "Added at run time; returns its own name.")?;
    let tool = typed(catalog::tool(name, description, json!({}), &[]))?;
    if catalog::tools(shared)?
        .iter()
        .any(|known| known.name == name)
    {
        return failure(format!("There is already a tool {name}."));
    }
    shared.added_tools().push(tool);
    shared.publish(Change::Tools);
    text(format!("Added {name}."))
}

fn added(name: &str, shared: &Shared) -> Option<ToolOutcome> {
    let is_added = shared.added_tools().iter().any(|tool| tool.name == name);
    is_added.then(|| text(name))
}

/// Writes lines of 80 bytes on a thread of its own: a full pipe blocks only this call.
async fn stderr_flood(call: &Call<'_>) -> ToolOutcome {
    let bytes = size(call)?;
    let written = tokio::task::spawn_blocking(move || {
        let line = [b"x".repeat(79), b"\n".to_vec()].concat();
        let mut stderr = std::io::stderr().lock();
        let mut left = bytes;
        while left > 0 {
            let part = &line[line.len() - left.min(line.len())..];
            stderr.write_all(part)?;
            left -= part.len();
        }
        stderr.flush()
    })
    .await;
    match written {
        Ok(Ok(())) => text(format!("Wrote {bytes} bytes to standard error.")),
        Ok(Err(error)) => failure(format!("Standard error: {error}")),
        Err(error) => failure(error.to_string()),
    }
}

/// Header names are lower case; values of a repeated header are in order of arrival.
fn http_headers(context: &RequestContext<RoleServer>) -> Value {
    let Some(parts) = context.extensions.get::<http::request::Parts>() else {
        return Value::Null;
    };
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_default().push(value);
    }
    json!(headers)
}
