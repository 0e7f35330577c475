//! A client inside this process: commands that look at servers go through the same proxy path as
//! everybody else.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{ServerSettings, Settings};
use crate::hub::settings::HubLimits;
use crate::hub::{cut_short, take_page};
use crate::jsonrpc::Limits;
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::members;
use crate::jsonrpc::message::{Kind, Message};
use crate::jsonrpc::write::{self, Outgoing};
use crate::mcp::method::{self, ListKind};
use crate::mcp::version;
use crate::upstream::Fetch;

use super::{Downstream, Outcome, Setup, run};

/// How long the end of a server is waited for.
const END: Duration = Duration::from_secs(15);

/// Why a request of ours was not answered with a result.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The answer is an error.
    #[error("`{method}` failed: {message}")]
    Refused {
        /// The method.
        method: String,
        /// What the error says.
        message: String,
        /// Its code.
        code: i64,
    },
    /// The proxy ended.
    #[error("`{method}` was not answered: the connection ended")]
    Ended {
        /// The method.
        method: String,
    },
}

/// A message that came beside an answer.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The message.
    pub message: Message,
}

impl Setup {
    /// A proxy whose client is in this process: nothing listens, and nobody takes its exit code.
    pub fn inside(
        settings: Settings,
        from_client: mpsc::Receiver<Bytes>,
        to_client: mpsc::UnboundedSender<Outgoing>,
    ) -> Self {
        Self {
            settings,
            downstream: Downstream::Channel {
                from_client,
                to_client,
            },
            admin: None,
            is_inner: false,
            wraps: false,
            reload: None,
        }
    }
}

/// What was read of a list.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The answers, page by page, as they came.
    pub pages: Vec<Message>,
    /// The items, without those that came twice in a list without an end and those beyond the bounds.
    pub items: Vec<Bytes>,
    /// What to say where the list was cut short.
    pub cut: Option<String>,
}

impl Listing {
    /// Returns the raw result of each page.
    pub fn results(&self) -> Vec<Bytes> {
        let result = |page: &Message| Some(page.raw().slice_ref(page.result()?));
        self.pages.iter().filter_map(result).collect()
    }

    /// Returns the raw items as text.
    pub fn texts(&self) -> Vec<String> {
        let text = |item: &Bytes| String::from_utf8_lossy(item).into_owned();
        self.items.iter().map(text).collect()
    }
}

/// A client of one proxy in this process.
pub struct LocalClient {
    to_proxy: mpsc::Sender<Bytes>,
    from_proxy: mpsc::UnboundedReceiver<Outgoing>,
    task: JoinHandle<std::io::Result<Outcome>>,
    next_id: i64,
    limits: Limits,
    list_limits: HubLimits,
    n_messages: usize,
    last_request_bytes: usize,
    /// Notifications that came and were not taken.
    pub beside: VecDeque<Beside>,
}

impl LocalClient {
    /// Starts a proxy for these settings with this process as its client.
    pub fn start(settings: Settings) -> Self {
        let (to_proxy, from_client) = mpsc::channel(16);
        let (to_client, from_proxy) = mpsc::unbounded_channel();
        let list_limits = super::hub_settings::hub_limits(&settings);
        let setup = Setup::inside(settings, from_client, to_client);
        Self {
            to_proxy,
            from_proxy,
            task: tokio::spawn(run(setup)),
            next_id: 0,
            limits: list_limits.message,
            list_limits,
            n_messages: 0,
            last_request_bytes: 0,
            beside: VecDeque::new(),
        }
    }

    /// Returns settings for one server alone, seen as it is: nothing shaped, prefixed or remembered.
    pub fn alone(settings: &Settings, server: &ServerSettings) -> Settings {
        let mut alone = settings.clone();
        alone.servers = vec![server.clone()];
        alone.naming.prefix = false;
        alone.shaping.surface = crate::config::SurfaceMode::Full;
        alone.state = crate::config::StateSettings::None;
        alone.listen = None;
        alone.guard = crate::policy::guard::Guard::off();
        // Looking at lists calls nothing, and must not write into a running proxy's file.
        alone.audit = crate::config::AuditSettings::default();
        alone.telemetry = crate::config::TelemetrySettings::default();
        alone
    }

    /// Shakes hands and returns the raw result of `initialize`.
    ///
    /// # Errors
    /// When the server cannot be started or refuses.
    pub async fn initialize(&mut self) -> Result<Message, LocalError> {
        let params = format!(
            "{{\"protocolVersion\":\"{}\",\"capabilities\":{{\"roots\":{{}},\"sampling\":{{}},\"elicitation\":{{}}}},\"clientInfo\":{{\"name\":\"mcp-whittle\",\"version\":\"{}\"}}}}",
            version::NEWEST_LEGACY,
            env!("CARGO_PKG_VERSION")
        );
        let answer = self
            .request(method::INITIALIZE, Some(params.as_bytes()))
            .await?;
        self.notify(method::INITIALIZED, None).await;
        Ok(answer)
    }

    /// Sends a request and waits for its result. Questions of the server are declined.
    ///
    /// # Errors
    /// [`LocalError`] when the answer is an error or none comes.
    pub async fn request(
        &mut self,
        method_name: &str,
        params: Option<&[u8]>,
    ) -> Result<Message, LocalError> {
        let id = RequestId::from_integer(self.next_id);
        self.next_id += 1;
        let ended = || LocalError::Ended {
            method: method_name.to_owned(),
        };
        let text = write::request(&id, method_name, params);
        self.last_request_bytes = text.len();
        self.n_messages += 1;
        self.to_proxy.send(text.into()).await.map_err(|_| ended())?;
        loop {
            let text = self.from_proxy.recv().await.ok_or_else(ended)?.to_bytes();
            self.n_messages += 1;
            let Ok(message) = Message::parse_single(text, self.limits) else {
                continue;
            };
            match message.kind() {
                Kind::Response(of) if *of == id => return Ok(message),
                Kind::ErrorResponse(Some(of)) if *of == id => {
                    return Err(LocalError::Refused {
                        method: method_name.to_owned(),
                        message: message.body_text("message").unwrap_or_default(),
                        code: message
                            .body("code")
                            .and_then(|raw| std::str::from_utf8(raw).ok()?.parse().ok())
                            .unwrap_or_default(),
                    });
                }
                Kind::Request(question) => self.decline(&message, &question.clone()).await,
                Kind::Notification => self.beside.push_back(Beside { message }),
                _ => {}
            }
        }
    }

    async fn decline(&mut self, message: &Message, id: &RequestId) {
        let answer = match message.method() {
            method::PING => write::response(id, Bytes::from_static(b"{}").into()),
            method::ROOTS_LIST => write::response(id, Bytes::from_static(b"{\"roots\":[]}").into()),
            method::ELICITATION => {
                write::response(id, Bytes::from_static(b"{\"action\":\"decline\"}").into())
            }
            _ => write::error_response(
                Some(id),
                &crate::jsonrpc::error::ErrorObject::new(
                    crate::jsonrpc::error::METHOD_NOT_FOUND,
                    "nobody is here to answer",
                ),
            ),
        };
        self.beside.push_back(Beside {
            message: message.clone(),
        });
        self.n_messages += 1;
        let _ = self.to_proxy.send(answer.to_bytes()).await;
    }

    /// Returns how many messages passed, both ways.
    pub fn n_messages(&self) -> usize {
        self.n_messages
    }

    /// Returns the length of the last request.
    pub fn last_request_bytes(&self) -> usize {
        self.last_request_bytes
    }

    /// Sends a notification.
    pub async fn notify(&mut self, method_name: &str, params: Option<&[u8]>) {
        let text = write::notification(method_name, params);
        self.n_messages += 1;
        let _ = self.to_proxy.send(text.into()).await;
    }

    /// Reads a list page by page, as the proxy itself reads it: within the bounds of the settings, and not for ever.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn list(&mut self, kind: ListKind) -> Result<Listing, LocalError> {
        let mut fetch = Fetch::default();
        let mut pages = Vec::new();
        let mut cursor: Option<Bytes> = None;
        loop {
            let params = cursor.as_ref().map(|cursor| {
                let mut params = b"{\"cursor\":".to_vec();
                params.extend_from_slice(cursor);
                params.push(b'}');
                params
            });
            let message = self.request(kind.method(), params.as_deref()).await?;
            cursor = take_page(&mut fetch, &message, kind, &self.list_limits);
            pages.push(message);
            if cursor.is_none() {
                break;
            }
        }
        let list = fetch.list;
        Ok(Listing {
            cut: list
                .is_truncated
                .then(|| cut_short(kind, pages.len(), list.items.len())),
            items: list.items,
            pages,
        })
    }

    /// Ends the connection in order.
    pub async fn close(self) {
        drop(self.to_proxy);
        let abort = self.task.abort_handle();
        if timeout(END, self.task).await.is_err() {
            abort.abort();
        }
    }
}

/// Takes the raw items out of raw pages.
pub fn items(pages: &[Bytes], kind: ListKind) -> Vec<String> {
    pages
        .iter()
        .flat_map(|page| {
            let array = members::get(page, kind.member()).unwrap_or_default();
            members::elements(array)
                .into_iter()
                .map(|at| String::from_utf8_lossy(&array[at]).into_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}
