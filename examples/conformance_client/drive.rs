//! One connection: opens it, lists everything, uses everything.

use std::error::Error;

use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError,
    model::{
        CallToolRequestParams, GetPromptRequestParams, ProtocolVersion, ReadResourceRequestParams,
        Tool,
    },
    service::{ClientInitializeError, RunningService},
    transport::{
        StreamableHttpClientTransport,
        streamable_http_client::{
            AuthRequiredError, InsufficientScopeError, StreamableHttpClientTransportConfig,
        },
    },
};
use serde_json::{Map, Value};

use crate::{
    Scenario,
    authorization::Challenge,
    user::{User, examples},
};

/// Why a connection failed, and what the server wants where it is a matter of authorization.
pub(crate) struct Failure {
    pub(crate) error: anyhow::Error,
    pub(crate) challenge: Option<Challenge>,
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let challenge = match &error {
            ServiceError::TransportSend(sent) => challenge(sent.error.as_ref()),
            _ => None,
        };
        Self {
            error: error.into(),
            challenge,
        }
    }
}

impl From<ClientInitializeError> for Failure {
    fn from(error: ClientInitializeError) -> Self {
        let challenge = match &error {
            ClientInitializeError::TransportError { error, .. } => challenge(error.error.as_ref()),
            _ => None,
        };
        Self {
            error: error.into(),
            challenge,
        }
    }
}

/// The `WWW-Authenticate` challenge behind an error of the transport.
fn challenge(error: &(dyn Error + 'static)) -> Option<Challenge> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(required) = error.downcast_ref::<AuthRequiredError>() {
            return Some(Challenge::Token(required.www_authenticate_header.clone()));
        }
        if let Some(scope) = error.downcast_ref::<InsufficientScopeError>() {
            return Some(Challenge::Scope(scope.required_scope.clone()?));
        }
        cause = error.source();
    }
    None
}

/// Runs the whole session with the token, if there is one.
pub(crate) async fn drive(
    url: &str,
    version: &str,
    token: Option<String>,
    scenario: &Scenario,
) -> Result<(), Failure> {
    let version: ProtocolVersion =
        serde_json::from_value(Value::from(version)).map_err(|error| Failure {
            error: error.into(),
            challenge: None,
        })?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Some(token) = token {
        config = config.auth_header(token);
    }
    let lifecycle = if version.has_initialize() {
        ClientLifecycleMode::Initialize
    } else {
        ClientLifecycleMode::Discover {
            preferred_versions: vec![version.clone()],
        }
    };
    let transport = StreamableHttpClientTransport::from_config(config);
    let client = User { version }
        .serve_with_lifecycle(transport, lifecycle)
        .await?;
    let outcome = use_everything(&client, scenario).await;
    // The session ends either way; a server that is gone already is no failure.
    let _ = client.cancel().await;
    outcome
}

async fn use_everything(
    client: &RunningService<RoleClient, User>,
    scenario: &Scenario,
) -> Result<(), Failure> {
    let capabilities = client
        .peer_info()
        .map(|server| server.capabilities.clone())
        .unwrap_or_default();
    // Asked even of a server that did not declare tools: scenarios count on one request.
    let tools = client.list_all_tools().await?;
    for (name, arguments) in calls(&tools, scenario) {
        let request = CallToolRequestParams::new(name.clone()).with_arguments(arguments);
        used(&name, client.call_tool(request).await)?;
    }
    if capabilities.resources.is_some() {
        for resource in client.list_all_resources().await? {
            let request = ReadResourceRequestParams::new(resource.uri.clone());
            used(&resource.uri, client.read_resource(request).await)?;
        }
    }
    if capabilities.prompts.is_some() {
        for prompt in client.list_all_prompts().await? {
            let request = GetPromptRequestParams::new(prompt.name.clone());
            used(&prompt.name, client.get_prompt(request).await)?;
        }
    }
    Ok(())
}

/// The calls the scenario names, or one for each tool with arguments made from its schema.
fn calls(tools: &[Tool], scenario: &Scenario) -> Vec<(String, Map<String, Value>)> {
    if !scenario.tool_calls.is_empty() {
        let asked = scenario.tool_calls.iter();
        return asked
            .map(|call| (call.name.clone(), call.arguments.clone()))
            .collect();
    }
    let focal = tools
        .iter()
        .find(|tool| tool.name == "json_schema_2020_12_tool");
    let call = |tool: &Tool| {
        let properties = tool.input_schema.get("properties").unwrap_or(&Value::Null);
        let mut arguments = examples(properties);
        // The scenario json-schema-2020-12-preservation wants the schema back as it came.
        if let (Some(focal), Some(schema)) = (focal, arguments.get_mut("schema")) {
            *schema = Value::Object(focal.input_schema.as_ref().clone());
        }
        (tool.name.to_string(), arguments)
    };
    tools.iter().map(call).collect()
}

/// An answer of the server counts as use, also an error; a lost connection or a challenge
/// does not.
fn used<T>(what: &str, outcome: Result<T, ServiceError>) -> Result<(), Failure> {
    match outcome {
        Ok(_) => Ok(()),
        Err(ServiceError::McpError(error)) => {
            tracing::info!(what, %error, "the server answered with an error");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
