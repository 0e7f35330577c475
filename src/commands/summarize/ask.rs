//! The endpoint: OpenAI's chat completions, which most services and local servers speak.

use std::time::Duration;

use anyhow::{Context, bail};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::cli::SummarizeArgs;
use crate::config::{EnvSource, ProcessEnvironment};
use crate::surface::constraints::clauses;
use crate::surface::lock::visible;
use crate::telemetry::one_line;
use crate::transport::http_client::{HttpUpstreamConfig, ProxySettings, post_json};

/// How long one answer may take.
const WITHIN: Duration = Duration::from_secs(120);
/// Bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// Characters of a service's own words in a message.
const MAX_SAID: usize = 200;

const TASK: &str = "You shorten one description of a tool, or of a parameter of a tool, for a language model that will use the tool. \
Say what it is for first. Leave out greetings, marketing, repetitions and all examples but one. \
Copy every clause that is listed as a constraint word for word. Add no duty, condition or advice of your own. \
Answer with the shortened description and nothing else.";

fn variable(name: &str) -> Option<String> {
    ProcessEnvironment.get(name)?.into_string().ok()
}

/// A model behind an endpoint.
pub(super) struct Model {
    config: HttpUpstreamConfig,
    name: String,
}

impl Model {
    /// Reads the endpoint and the key, which is never an argument.
    ///
    /// # Errors
    /// When the variable that has the key is not set, or has what no header can carry.
    pub(super) fn of(args: &SummarizeArgs) -> anyhow::Result<Self> {
        let base = args.endpoint.trim_end_matches('/');
        let url = if base.ends_with("/chat/completions") {
            base.to_owned()
        } else {
            format!("{base}/chat/completions")
        };
        let mut config = HttpUpstreamConfig::new(url);
        config.proxy = ProxySettings::from_variables(variable);
        if let Some(name) = &args.key_env {
            let Some(key) = variable(name) else {
                bail!("the variable `{name}` is not set\nhint: put the key of the service into it");
            };
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim()))
                .ok()
                .with_context(|| {
                    format!(
                        "`{name}` holds bytes that no header can carry\nhint: is it the key alone?"
                    )
                })?;
            value.set_sensitive(true);
            config.headers.push((header::AUTHORIZATION, value));
        }
        Ok(Self {
            config,
            name: args.model.clone(),
        })
    }

    /// Asks for a shorter text; says what was wrong with the answer where it is none.
    ///
    /// # Errors
    /// When the endpoint cannot be reached or refuses: then the next question would fail as well.
    pub(super) async fn shorter(
        &self,
        original: &str,
        complaint: &str,
    ) -> anyhow::Result<Result<String, String>> {
        let kept: Vec<String> = clauses(original)
            .iter()
            .map(|clause| format!("- {}", clause.text.trim()))
            .collect();
        let mut wish = format!(
            "Constraints:\n{}\n\nDescription:\n{original}",
            kept.join("\n")
        );
        if !complaint.is_empty() {
            wish.push_str(&format!("\n\nYour last answer was refused: {complaint}"));
        }
        let request = json!({
            "model": self.name,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": TASK},
                {"role": "user", "content": wish},
            ],
        });
        let body = serde_json::to_vec(&request)?;
        let (status, body) = post_json(&self.config, body, WITHIN, MAX_ANSWER).await?;
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        if status != StatusCode::OK {
            let said = answer
                .as_ref()
                .and_then(|answer| answer.pointer("/error/message"))
                .and_then(Value::as_str)
                .map(|said| {
                    visible(&one_line(said))
                        .chars()
                        .take(MAX_SAID)
                        .collect::<String>()
                })
                .unwrap_or_default();
            bail!(
                "the endpoint answered {status} {said}\nhint: check --endpoint, --model and the key in --key-env"
            );
        }
        let text = answer
            .as_ref()
            .and_then(|answer| answer.pointer("/choices/0/message/content"))
            .and_then(Value::as_str);
        Ok(match text {
            Some(text) => Ok(text.trim().to_owned()),
            None => Err("the answer is no chat completion".to_owned()),
        })
    }
}
