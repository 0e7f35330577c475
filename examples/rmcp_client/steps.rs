//! The steps, the same as in `tests/peers/clients`.

#![expect(
    deprecated,
    reason = "the legacy era's logging and subscribe are what is driven"
)]

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use rmcp::{
    RoleClient,
    model::{
        ArgumentInfo, CallToolRequest, CallToolRequestParams, ClientRequest, CompleteRequestParams,
        LoggingLevel, Reference, RequestMetaObject, ServerNotification, SetLevelRequestParams,
        SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
    },
    service::{PeerRequestOptions, RunningService},
};
use serde_json::{Map, Value, json};

use crate::{
    names::{ANSWER, Names},
    user::{Event, Events, User, root, sampled},
};

/// Every step, in the usual order.
pub(crate) const ALL: &str =
    "list,call,elicitation,sampling,roots,progress,cancel,subscription,log,completion";

/// How long an update is waited for before the resource is changed again.
const UPDATE_PATIENCE: Duration = Duration::from_secs(1);

/// How often the server is asked whether it saw a cancellation.
const POLL: Duration = Duration::from_millis(100);

/// One connection and what the steps use on it.
pub(crate) struct Steps {
    pub(crate) client: Arc<RunningService<RoleClient, User>>,
    pub(crate) names: Names,
    pub(crate) events: Events,
    pub(crate) is_modern: bool,
}

impl Steps {
    /// Runs one step; the detail says what was seen.
    pub(crate) async fn run(&self, step: &str) -> anyhow::Result<Value> {
        match step {
            "list" => self.list().await,
            "schemas" => self.schemas().await,
            call if call == "call" || call.starts_with("call.") => self.asks(step, "").await,
            "elicitation" => self.asks(step, ANSWER).await,
            "sampling" => self.asks(step, &sampled()).await,
            "roots" => self.asks(step, &root()).await,
            "progress" => self.progress().await,
            "cancel" => self.cancel().await,
            "subscription" => self.subscription().await,
            "log" => self.log().await,
            "completion" => self.completion().await,
            _ => anyhow::bail!("no such step"),
        }
    }

    fn request(&self, step: &str) -> anyhow::Result<CallToolRequestParams> {
        let arguments = self.names.get(step, "arguments").as_object().cloned();
        Ok(CallToolRequestParams::new(self.names.text(step, "name")?)
            .with_arguments(arguments.unwrap_or_else(Map::new)))
    }

    async fn call(&self, step: &str) -> anyhow::Result<Value> {
        let result = self.client.call_tool(self.request(step)?).await?;
        Ok(serde_json::to_value(result)?)
    }

    async fn list(&self) -> anyhow::Result<Value> {
        let tools = self.client.list_all_tools().await?;
        ensure!(!tools.is_empty(), "no tools");
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        let mut canonical = serde_json::to_value(&tools)?;
        canonical.sort_all_objects();
        // A server need not offer anything but tools.
        Ok(json!({
            "tools": names,
            "digest": blake3::hash(canonical.to_string().as_bytes()).to_string(),
            "prompts": self.client.list_all_prompts().await.map_or(0, |items| items.len()),
            "resources": self.client.list_all_resources().await.map_or(0, |items| items.len()),
            "templates":
                self.client.list_all_resource_templates().await.map_or(0, |items| items.len()),
        }))
    }

    /// Every schema as a validator takes it; the SDK has none of its own.
    async fn schemas(&self) -> anyhow::Result<Value> {
        let tools = self.client.list_all_tools().await?;
        let mut refused = Vec::new();
        for tool in &tools {
            let schema = Value::Object((*tool.input_schema).clone());
            if let Err(error) = jsonschema::validator_for(&schema) {
                refused.push(format!("{}: {error}", tool.name));
            }
        }
        let detail = json!({ "tools": tools.len(), "refused": refused });
        ensure!(
            !tools.is_empty() && refused.is_empty(),
            "not as expected: {detail}"
        );
        Ok(detail)
    }

    async fn asks(&self, step: &str, default: &str) -> anyhow::Result<Value> {
        let result = self.call(step).await?;
        let expected = self.names.expected(step, default);
        let is_error = self.names.get(step, "is_error") == true;
        ensure!(
            (result["isError"] == true) == is_error && shows(&result, &expected),
            "not as expected: {result}"
        );
        Ok(json!({ "result": text(&result) }))
    }

    async fn progress(&self) -> anyhow::Result<Value> {
        let mut events = self.events.watch();
        let result = self.call("progress").await?;
        let mut seen = Vec::new();
        // What arrives after the answer does not count.
        while let Ok(event) = events.try_recv() {
            if let Event::Progress(params) = event {
                seen.push(
                    params["progress"]
                        .as_f64()
                        .context("progress is a number")?,
                );
            }
        }
        let rises = seen.windows(2).all(|pair| pair[0] < pair[1]);
        ensure!(
            result["isError"] != true && seen.len() >= 2 && rises,
            "not as expected: {seen:?} {result}"
        );
        Ok(json!({ "progress": seen }))
    }

    async fn cancellations(&self) -> anyhow::Result<u64> {
        let text = text(&self.call("cancelled_count").await?);
        let digits = text
            .split(|letter: char| !letter.is_ascii_digit())
            .find(|digits| !digits.is_empty());
        Ok(digits
            .with_context(|| format!("no number in {text}"))?
            .parse()?)
    }

    async fn cancel(&self) -> anyhow::Result<Value> {
        let before = self.cancellations().await?;
        let mut events = self.events.watch();
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(self.request("cancel")?));
        let handle = self
            .client
            .send_cancellable_request(request, PeerRequestOptions::no_options())
            .await?;
        // The first progress says that the tool runs: a cancellation that overtakes its call
        // would prove nothing.
        let token = serde_json::to_value(&handle.progress_token)?;
        loop {
            match events.recv().await? {
                Event::Progress(params) if params["progressToken"] == token => break,
                _ => {}
            }
        }
        handle.cancel(None).await?;
        // A server need not answer a cancelled call, so its answer is not waited for.
        loop {
            let after = self.cancellations().await?;
            if after > before {
                return Ok(json!({ "before": before, "after": after }));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn subscription(&self) -> anyhow::Result<Value> {
        let uri = self.names.text("subscription", "uri")?;
        let touches = if self.is_modern {
            self.listen(&uri).await?
        } else {
            self.subscribe(&uri).await?
        };
        Ok(json!({ "uri": uri, "touches": touches }))
    }

    async fn subscribe(&self, uri: &str) -> anyhow::Result<u32> {
        let mut events = self.events.watch();
        let request = SubscribeRequestParams::new(uri);
        self.client.subscribe(request).await?;
        let touches = self
            .touch_until(async || {
                while let Ok(event) = events.recv().await {
                    if matches!(event, Event::Updated(params) if params["uri"] == uri) {
                        return;
                    }
                }
            })
            .await?;
        let request = UnsubscribeRequestParams::new(uri);
        self.client.unsubscribe(request).await?;
        Ok(touches)
    }

    async fn listen(&self, uri: &str) -> anyhow::Result<u32> {
        let mut filter = SubscriptionFilter::default();
        filter.resource_subscriptions = Some(vec![uri.to_owned()]);
        let mut subscription = self.client.listen(filter).await?;
        let mut failure = None;
        let touches = self
            .touch_until(async || {
                loop {
                    match subscription.next().await {
                        Ok(Some(ServerNotification::ResourceUpdatedNotification(update)))
                            if update.params.uri == uri =>
                        {
                            return;
                        }
                        Ok(Some(_)) => {}
                        Ok(None) => {
                            failure = Some(anyhow::anyhow!("the subscription ended"));
                            return;
                        }
                        Err(error) => {
                            failure = Some(error.into());
                            return;
                        }
                    }
                }
            })
            .await?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        subscription.cancel().await?;
        Ok(touches)
    }

    /// Changes the resource until an update is seen; says how often. A legacy HTTP client opens
    /// its listening stream without saying when it is open, so an early change may be lost.
    async fn touch_until(&self, mut seen: impl AsyncFnMut()) -> anyhow::Result<u32> {
        let mut touches = 0;
        loop {
            self.call("touch").await?;
            touches += 1;
            if tokio::time::timeout(UPDATE_PATIENCE, seen()).await.is_ok() {
                return Ok(touches);
            }
        }
    }

    async fn log(&self) -> anyhow::Result<Value> {
        let mut events = self.events.watch();
        let expected = self.names.expected("log", "");
        let mut options = PeerRequestOptions::no_options();
        // Modern clients ask for logs request by request.
        if self.is_modern {
            let mut meta = RequestMetaObject::default();
            meta.set_log_level(LoggingLevel::Info);
            options = options.with_meta(meta);
        } else {
            let request = SetLevelRequestParams::new(LoggingLevel::Info);
            self.client.set_level(request).await?;
        }
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(self.request("log")?));
        let handle = self
            .client
            .send_cancellable_request(request, options)
            .await?;
        handle.await_response().await?;
        loop {
            if let Event::Log(params) = events.recv().await? {
                if !params["data"].to_string().contains(&expected) {
                    continue;
                }
                ensure!(params["level"] == "info", "not as expected: {params}");
                return Ok(params);
            }
        }
    }

    async fn completion(&self) -> anyhow::Result<Value> {
        let reference = match self.names.get("completion", "resource").as_str() {
            Some(uri) => Reference::for_resource(uri),
            None => Reference::for_prompt(self.names.text("completion", "prompt")?),
        };
        let argument: ArgumentInfo = serde_json::from_value(json!({
            "name": self.names.text("completion", "argument")?,
            "value": self.names.text("completion", "value")?,
        }))?;
        let request = CompleteRequestParams::new(reference, argument);
        let values = self.client.complete(request).await?.completion.values;
        ensure!(!values.is_empty(), "no values");
        Ok(json!({ "values": values }))
    }
}

fn shows(result: &Value, expected: &str) -> bool {
    text(result).contains(expected) || result.to_string().contains(expected)
}

/// The text blocks of a result, one a line.
fn text(result: &Value) -> String {
    let blocks = result["content"].as_array().into_iter().flatten();
    let lines: Vec<&str> = blocks.filter_map(|block| block["text"].as_str()).collect();
    lines.join("\n")
}
