//! The SDK's server handler: hands each request to the module that knows it.

#![expect(
    deprecated,
    reason = "legacy clients and the suite still use logging and subscribe"
)]

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rmcp::{
    ErrorData, Peer, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CancelledNotificationParam,
        CompleteRequestParams, CompleteResult, ErrorCode, GetPromptRequestParams,
        GetPromptResponse, GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult,
        ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
        LoggingLevel, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
        ReadResourceResponse, ResourceUpdatedNotificationParam, ServerConfig,
        SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
        UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext, SubscriptionSendError},
};
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    arguments::Call,
    catalog,
    content::{failure, typed},
    era::Era,
    input, probes,
    state::{Change, Shared},
    suite, tasks,
};

/// How long clients may keep a list or a resource; short, so that tests need not wait.
const CACHE_TTL_MS: u64 = 100;

/// One session of a legacy client, one process on stdio, or one modern HTTP request.
pub(crate) struct Fixture {
    shared: Arc<Shared>,
    session: Arc<Session>,
    /// One for each subscription about to open: changes count from before its acknowledgement.
    watches: Mutex<Vec<Receiver<Change>>>,
}

/// What a legacy client set for its session.
struct Session {
    subscriptions: Mutex<HashSet<String>>,
    level: Mutex<LoggingLevel>,
}

impl Fixture {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            session: Arc::new(Session {
                subscriptions: Mutex::default(),
                level: Mutex::new(LoggingLevel::Debug),
            }),
            watches: Mutex::default(),
        }
    }

    async fn run_tool(
        &self,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = Call(request);
        let level = *lock(&self.session.level);
        if let Some(outcome) = input::call(&call, context, &self.shared.state_key) {
            return outcome;
        }
        if let Some(outcome) = suite::call(&call, context, &self.shared, level).await {
            return outcome;
        }
        if let Some(outcome) = tasks::call(&call, context, &self.shared).await {
            return outcome;
        }
        if let Some(outcome) = probes::call(&call, context, &self.shared).await {
            return outcome;
        }
        Err(ErrorData::invalid_params(
            format!("Unknown tool: {}", request.name),
            None,
        ))
    }

    /// The page of `items` that the cursor names, and the cursor of the next one.
    fn page<T>(
        &self,
        items: Vec<T>,
        request: Option<PaginatedRequestParams>,
    ) -> Result<(Vec<T>, Option<String>), ErrorData> {
        let start = match request.and_then(|request| request.cursor) {
            None => 0,
            Some(cursor) => cursor
                .strip_prefix("from-")
                .and_then(|start| start.parse().ok())
                .filter(|start| *start < items.len())
                .ok_or_else(|| ErrorData::invalid_params("unknown cursor", None))?,
        };
        let size = match self.shared.page_size {
            0 => items.len(),
            size => size,
        };
        let next = (start + size < items.len()).then(|| format!("from-{}", start + size));
        Ok((items.into_iter().skip(start).take(size).collect(), next))
    }
}

/// A list result in wire form; caching hints are for peers of 2026-07-28 only.
fn list<T: serde::Serialize>(
    field: &str,
    (items, next): (Vec<T>, Option<String>),
    context: &RequestContext<RoleServer>,
) -> Value {
    let mut result = json!({ "resultType": "complete", field: items });
    if let Some(next) = next {
        result["nextCursor"] = json!(next);
    }
    if input::is_modern(context) {
        result["ttlMs"] = json!(CACHE_TTL_MS);
        result["cacheScope"] = json!("public");
    }
    result
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The values behind these locks are replaced whole, so a panic leaves them usable.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown_resource(uri: &str) -> ErrorData {
    // The SDK turns the code into -32602 for peers of 2026-07-28.
    ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": uri })))
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let mut info = typed::<ServerConfig>(json!({
            "protocolVersion": ProtocolVersion::V_2025_11_25,
            "capabilities": {
                "completions": {},
                "logging": {},
                "prompts": { "listChanged": true },
                "resources": { "subscribe": true, "listChanged": true },
                "tools": { "listChanged": true },
            },
            "serverInfo": {
                "name": self.shared.name,
                "title": "Fixture server",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "instructions": "A server for tests. Its tools do what their descriptions say.",
        }))
        .expect("the server's own description has the SDK's shape");
        if self.shared.era != Era::Legacy {
            info.capabilities.extensions =
                typed(json!({ "io.modelcontextprotocol/tasks": {} })).ok();
        }
        info
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.shared.era.versions()
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        // The handshake versions have no extensions.
        result.capabilities.extensions = None;
        Ok(result)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        tokio::spawn(tell_session(
            context.peer,
            Arc::clone(&self.session),
            self.shared.watch(),
        ));
    }

    async fn on_cancelled(
        &self,
        _notification: CancelledNotificationParam,
        _context: NotificationContext<RoleServer>,
    ) {
        self.shared.cancel_notifications.increment();
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if input::is_modern(&context) {
            return Err(ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                "logging/setLevel",
                None,
            ));
        }
        *lock(&self.session.level) = request.level;
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        lock(&self.session.subscriptions).insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        lock(&self.session.subscriptions).remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        lock(&self.watches).push(self.shared.watch());
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let watch = lock(&self.watches).pop();
        let mut watch = watch.unwrap_or_else(|| self.shared.watch());
        loop {
            let change = tokio::select! {
                change = watch.recv() => change,
                () = context.cancelled() => return Ok(()),
            };
            let sink = context.sink();
            let sent = match change {
                Ok(Change::Tools) => sink.notify_tool_list_changed().await,
                Ok(Change::Prompts) => sink.notify_prompt_list_changed().await,
                Ok(Change::Resource(uri)) => sink.notify_resource_updated(uri).await,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Ok(()),
            };
            match sent {
                Ok(()) | Err(SubscriptionSendError::NotificationNotAccepted(_)) => {}
                Err(_) => return Ok(()),
            }
        }
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let page = self.page(catalog::tools(&self.shared)?, request)?;
        typed(list("tools", page, &context))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let tools = catalog::tools(&self.shared).ok()?;
        tools.into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        mut request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        for _ in 0..input::MAXIMUM_ROUNDS {
            let required = match self.run_tool(&request, &context).await? {
                CallToolResponse::InputRequired(required) => required,
                response => return Ok(response),
            };
            let declared = context.client_capabilities();
            let missing = input::missing_capabilities(declared.as_ref(), &required)?;
            if input::is_modern(&context) {
                return match missing {
                    Some(missing) => Err(ErrorData::missing_required_client_capability(missing)),
                    None => Ok(CallToolResponse::InputRequired(required)),
                };
            }
            if let Some(missing) = missing {
                return failure(format!("The client does not support {}.", json!(missing)));
            }
            request.request_state = required.request_state.clone();
            match input::ask_legacy(&context, required).await {
                Ok(answers) => request.input_responses = Some(answers),
                Err(error) => return failure(format!("The client refused: {error}")),
            }
        }
        failure("The client was asked too often.")
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let page = self.page(
            typed::<Vec<Value>>(catalog::prompts(&self.shared))?,
            request,
        )?;
        typed(list("prompts", page, &context))
    }

    async fn get_prompt(
        &self,
        mut request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        for _ in 0..input::MAXIMUM_ROUNDS {
            let required = match suite::get_prompt(&request)? {
                GetPromptResponse::InputRequired(required) if !input::is_modern(&context) => {
                    required
                }
                response => return Ok(response),
            };
            request.request_state = required.request_state.clone();
            let answers = input::ask_legacy(&context, required).await;
            let refused = |error| ErrorData::internal_error(format!("refused: {error}"), None);
            request.input_responses = Some(answers.map_err(refused)?);
        }
        Err(ErrorData::internal_error(
            "the client was asked too often",
            None,
        ))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let page = self.page(typed::<Vec<Value>>(catalog::resources())?, request)?;
        typed(list("resources", page, &context))
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let page = self.page(typed::<Vec<Value>>(catalog::templates())?, request)?;
        typed(list("resourceTemplates", page, &context))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let content = suite::read_resource(&request.uri, &self.shared)
            .ok_or_else(|| unknown_resource(&request.uri))?;
        let result = list("contents", (vec![content], None), &context);
        typed(result).map(ReadResourceResponse::Complete)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let values: Vec<&str> = ["paris", "park", "party", "test-one", "test-two"]
            .into_iter()
            .filter(|value| value.starts_with(&request.argument.value))
            .collect();
        let total = values.len();
        typed(json!({
            "resultType": "complete",
            "completion": { "values": values, "total": total, "hasMore": false },
        }))
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let task = self.shared.tasks.get_task(&request.task_id)?;
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared
            .tasks
            .update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }
}

/// Tells a legacy session about changes until its transport closes.
async fn tell_session(peer: Peer<RoleServer>, session: Arc<Session>, mut watch: Receiver<Change>) {
    while !peer.is_transport_closed() {
        let sent = match watch.recv().await {
            Ok(Change::Tools) => peer.notify_tool_list_changed().await,
            Ok(Change::Prompts) => peer.notify_prompt_list_changed().await,
            Ok(Change::Resource(uri)) => {
                let is_subscribed = lock(&session.subscriptions).contains(&uri);
                if !is_subscribed {
                    continue;
                }
                let update = ResourceUpdatedNotificationParam::new(uri);
                peer.notify_resource_updated(update).await
            }
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        if sent.is_err() {
            return;
        }
    }
}
