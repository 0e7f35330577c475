//! Tools of the tasks extension (SEP-2663).

use std::time::Duration;

use rmcp::{
    RoleServer,
    model::{CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult, ErrorData},
    service::RequestContext,
    task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions},
};
use serde_json::{Value, json};

use crate::{
    arguments::Call,
    content::{ToolOutcome, failure, text, typed},
    input,
    state::Shared,
};

/// How long the server keeps a task, and how often a client should look, in milliseconds.
const TASK_TTL_MS: u64 = 300_000;
const POLL_INTERVAL_MS: u64 = 200;

/// The most that `slow_compute` takes where it cannot become a task, in seconds.
const LONGEST_CALL_S: u64 = 2;

/// Runs a tool of this module, or says nothing where the name is none of them.
pub(crate) async fn call(
    call: &Call<'_>,
    context: &RequestContext<RoleServer>,
    shared: &Shared,
) -> Option<ToolOutcome> {
    let declared = context.client_capabilities();
    let supports_tasks = declared.is_some_and(|client| client.supports_tasks());
    let outcome = match call.name() {
        "greet" => call
            .text("name", "World")
            .and_then(|name| text(format!("Hello, {name}!"))),
        "slow_compute" => slow_compute(call, context, shared, supports_tasks).await,
        "failing_job"
        | "protocol_error_job"
        | "confirm_delete"
        | "multi_input"
        | "test_tool_with_task"
            if !supports_tasks =>
        {
            Err(ErrorData::missing_required_client_capability(
                ClientCapabilities::builder().enable_tasks().build(),
            ))
        }
        "failing_job" => spawn(shared, |task| Box::pin(failing_job(task))),
        "protocol_error_job" => spawn(shared, |_| {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let error = ErrorData::internal_error("The job broke the protocol.", None);
                Err(TaskExit::Error(error))
            })
        }),
        "confirm_delete" => confirm_delete(call, shared),
        "multi_input" => spawn(shared, |task| Box::pin(multi_input(task))),
        "test_tool_with_task" => name_then_task(call, shared),
        _ => return None,
    };
    Some(outcome)
}

fn spawn<F>(shared: &Shared, make_future: F) -> ToolOutcome
where
    F: FnOnce(TaskContext) -> TaskFuture,
{
    let options = TaskOptions::new()
        .with_ttl_ms(TASK_TTL_MS)
        .with_poll_interval_ms(POLL_INTERVAL_MS);
    let task = shared.tasks.spawn(options, make_future);
    Ok(CallToolResponse::Task(CreateTaskResult::new(task)))
}

/// The result a task ends with.
fn finished(outcome: ToolOutcome) -> Result<CallToolResult, TaskExit> {
    match outcome {
        Ok(CallToolResponse::Complete(result)) => Ok(result),
        Ok(_) => Err(TaskExit::Error(ErrorData::internal_error(
            "a task ended with an unfinished result",
            None,
        ))),
        Err(error) => Err(TaskExit::Error(error)),
    }
}

async fn slow_compute(
    call: &Call<'_>,
    context: &RequestContext<RoleServer>,
    shared: &Shared,
    supports_tasks: bool,
) -> ToolOutcome {
    let seconds = call.whole("seconds", 1)?;
    let label = call.text("label", "compute")?.to_owned();
    // A client without tasks sits and waits, so it does not wait for long.
    let seconds = if supports_tasks {
        seconds
    } else {
        seconds.min(LONGEST_CALL_S)
    };
    let sleep = tokio::time::sleep(Duration::from_secs(seconds));
    let report = text(format!("{label} is done after {seconds} s."));
    if supports_tasks {
        return spawn(shared, move |task| {
            Box::pin(async move {
                tokio::select! {
                    () = sleep => finished(report),
                    () = task.cancelled() => Err(TaskExit::Cancelled),
                }
            })
        });
    }
    tokio::select! {
        () = sleep => report,
        () = context.ct.cancelled() => failure("The call was cancelled."),
    }
}

async fn failing_job(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(1)) => {
            finished(failure("The job failed, as it always does."))
        }
        () = task.cancelled() => Err(TaskExit::Cancelled),
    }
}

fn confirm_delete(call: &Call<'_>, shared: &Shared) -> ToolOutcome {
    let file = call.text("filename", "file.txt")?.to_owned();
    let message = format!("Delete {file}?");
    let question = input::elicitation(&message, json!({ "confirm": { "type": "boolean" } }));
    let question = typed(question)?;
    spawn(shared, move |task| {
        Box::pin(async move {
            let answer = task.request_input("confirm", question).await?;
            let is_confirmed = answer.pointer("/content/confirm") == Some(&Value::Bool(true));
            let verb = if is_confirmed { "Deleted" } else { "Kept" };
            finished(text(format!("{verb} {file}.")))
        })
    })
}

async fn multi_input(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let confirm = input::elicitation("Continue?", json!({ "confirm": { "type": "boolean" } }));
    let (name, confirm) = tokio::join!(
        task.request_input("name", typed(input::name_form())?),
        task.request_input("confirm", typed(confirm)?),
    );
    finished(text(
        json!({ "name": name?, "confirm": confirm? }).to_string(),
    ))
}

fn name_then_task(call: &Call<'_>, shared: &Shared) -> ToolOutcome {
    let name = call
        .answer("user_name")
        .and_then(|answer| answer.pointer("/content/name"))
        .and_then(Value::as_str);
    let Some(name) = name else {
        let questions = json!({ "user_name": input::name_form() });
        return Ok(CallToolResponse::InputRequired(input::required(
            questions,
            Some(input::seal(&shared.state_key, call.name(), "name")),
        )?));
    };
    let report = text(format!("Hello, {name}, from a task!"));
    spawn(shared, move |_| Box::pin(async move { finished(report) }))
}
