//! A conversation between a client on our pipes and one server, recorded as it passes.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::capture::{Exchange, Side, Step};
use crate::config::{Mode, Settings};
use crate::driver::{self, Setup};
use crate::jsonrpc::Limits;
use crate::jsonrpc::frame::Framed;
use crate::jsonrpc::id::IdKey;
use crate::jsonrpc::message::{Kind, Message, Parsed};
use crate::jsonrpc::write::Outgoing;
use crate::mcp::meta;
use crate::mcp::method;
use crate::mcp::version::Era;
use crate::transport::stdio::{self, StdinEvent, StdoutWriter};

/// How long the last answers may take to be written.
const GRACE: Duration = Duration::from_secs(5);
/// Texts on their way between the pipes and the proxy.
const WAITING: usize = 64;

/// Proxies our pipes to the server, unchanged, until the client ends; returns what was said.
///
/// # Errors
/// When threads cannot be started or the proxy fails.
pub(super) async fn record(mut settings: Settings) -> anyhow::Result<Vec<Exchange>> {
    settings.mode = Mode::Transparent;
    let limits = Limits::default();
    let (lines_in, mut lines) = mpsc::channel::<Bytes>(WAITING);
    stdio::read_stdin(limits, move |event| match event {
        StdinEvent::Frame(Framed::Parsed(Parsed::Message(message))) => {
            lines_in.blocking_send(message.raw().clone()).is_ok()
        }
        StdinEvent::Frame(_) => true,
        StdinEvent::Closed => false,
    })?;
    let writer = StdoutWriter::new(|| {}, || {});
    let (to_proxy, from_client) = mpsc::channel(WAITING);
    let (to_client, mut from_proxy) = mpsc::unbounded_channel::<Outgoing>();
    let proxy = tokio::spawn(driver::run(Setup::inside(settings, from_client, to_client)));
    let mut tape = Tape::new(limits);
    let mut to_proxy = Some(to_proxy);
    loop {
        tokio::select! {
            line = lines.recv(), if to_proxy.is_some() => match (line, &to_proxy) {
                (Some(line), Some(sender)) => {
                    tape.heard(Side::Client, line.clone());
                    let _ = sender.send(line).await;
                }
                _ => to_proxy = None,
            },
            message = from_proxy.recv() => match message {
                Some(message) => {
                    let text = message.to_bytes();
                    tape.heard(Side::Server, text.clone());
                    writer.send(text.into());
                }
                None => break,
            },
        }
    }
    proxy.await??;
    writer.finish(GRACE);
    Ok(tape.exchanges)
}

/// Sorts messages into exchanges as they pass.
struct Tape {
    limits: Limits,
    exchanges: Vec<Exchange>,
    /// Requests without an answer: id, token, place in `exchanges`.
    open: Vec<(IdKey, Option<Bytes>, usize)>,
    /// Questions of the server without an answer, with the exchange they came in.
    questions: Vec<(IdKey, usize)>,
}

impl Tape {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            exchanges: Vec::new(),
            open: Vec::new(),
            questions: Vec::new(),
        }
    }

    fn heard(&mut self, from: Side, text: Bytes) {
        let Ok(message) = Message::parse_single(text.clone(), self.limits) else {
            return;
        };
        match (from, message.kind()) {
            (Side::Client, Kind::Request(id)) => {
                let is_modern = message.meta(meta::PROTOCOL_VERSION).is_some();
                self.exchanges.push(Exchange {
                    method: message.method().to_owned(),
                    params: message.params().map(Bytes::copy_from_slice),
                    era: if is_modern { Era::Modern } else { Era::Legacy },
                    messages: Vec::new(),
                    response: None,
                });
                let token = message
                    .meta(meta::PROGRESS_TOKEN)
                    .map(Bytes::copy_from_slice);
                self.open.push((id.key(), token, self.exchanges.len() - 1));
            }
            (Side::Server, Kind::Response(id) | Kind::ErrorResponse(Some(id))) => {
                let key = id.key();
                if let Some(at) = self.open.iter().position(|(open, ..)| *open == key) {
                    let (_, _, exchange) = self.open.remove(at);
                    self.exchanges[exchange].response = Some(text);
                }
            }
            (Side::Server, Kind::Notification) => {
                let token = message.body("progressToken").map(<[u8]>::to_vec);
                let owner = self
                    .open
                    .iter()
                    .rev()
                    .find(|(_, own, _)| {
                        message.method() != method::PROGRESS || own.as_deref() == token.as_deref()
                    })
                    .map(|(.., exchange)| *exchange);
                let exchange = owner.unwrap_or_else(|| self.unasked());
                self.step(exchange, from, text);
            }
            (Side::Server, Kind::Request(id)) => {
                let owner = self.open.last().map(|(.., exchange)| *exchange);
                let exchange = owner.unwrap_or_else(|| self.unasked());
                self.questions.push((id.key(), exchange));
                self.step(exchange, from, text);
            }
            (Side::Client, Kind::Response(id) | Kind::ErrorResponse(Some(id))) => {
                let key = id.key();
                if let Some(at) = self.questions.iter().position(|(asked, _)| *asked == key) {
                    let (_, exchange) = self.questions.remove(at);
                    self.step(exchange, from, text);
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, exchange: usize, from: Side, message: Bytes) {
        self.exchanges[exchange]
            .messages
            .push(Step { from, message });
    }

    /// What a server sends when nothing is open belongs to `notifications/initialized`.
    fn unasked(&mut self) -> usize {
        let known = self
            .exchanges
            .iter()
            .position(|exchange| exchange.method == method::INITIALIZED);
        known.unwrap_or_else(|| {
            self.exchanges.push(Exchange {
                method: method::INITIALIZED.to_owned(),
                params: None,
                era: Era::Legacy,
                messages: Vec::new(),
                response: None,
            });
            self.exchanges.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(lines: &[(Side, &'static str)]) -> Vec<Exchange> {
        let mut tape = Tape::new(Limits::default());
        for (side, line) in lines {
            tape.heard(*side, Bytes::from_static(line.as_bytes()));
        }
        tape.exchanges
    }

    #[test]
    fn messages_find_their_exchange() {
        use Side::{Client, Server};
        let exchanges = tape(&[
            (
                Server,
                r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            ),
            (
                Client,
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":7}}}"#,
            ),
            (
                Client,
                r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"b"}}"#,
            ),
            (
                Server,
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}"#,
            ),
            (Server, r#"{"jsonrpc":"2.0","id":9,"method":"roots/list"}"#),
            (Client, r#"{"jsonrpc":"2.0","id":9,"result":{"roots":[]}}"#),
            (Server, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#),
            (
                Server,
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
            ),
        ]);
        let shape: Vec<(&str, usize, bool)> = exchanges
            .iter()
            .map(|e| (e.method.as_str(), e.messages.len(), e.response.is_some()))
            .collect();
        assert_eq!(
            shape,
            [
                ("notifications/initialized", 1, false),
                ("tools/call", 1, true),
                ("tools/call", 2, true)
            ]
        );
        assert_eq!(exchanges[2].messages[1].from, Client);
    }
}
