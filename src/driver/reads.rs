//! Reading kept results away from the loop: the store, the search in what it gives, and programs in a
//! process of their own. Every read ends with one event, unless it is given up.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::hub::exchange::ExchangeId;
use crate::hub::reads::{Fetched, Kept, Origin, ReadJob, ReadOutcome, ReadWhat};
use crate::jq;
use crate::jsonrpc::text;
use crate::result::handle::Handle;
use crate::result::options::Cap;
use crate::result::query::{
    self, Answer, Document, Limits, Outcome, Query, QueryError, URI_PREFIX,
};
use crate::store::results::{Meta, ResultStore, Stored};
use crate::token::TokenCounter;

use super::event::Event;
use super::results::SharedRedactor;
use super::slots;

/// What a model reads when a read fails for no reason of its own.
const BROKEN: &str =
    "the result could not be read; ask for another part of it, or call the tool that gave it again";

/// What reads need of the outside.
pub(super) struct Reads {
    reader: Arc<Reader>,
    running: HashMap<ExchangeId, AbortHandle>,
}

struct Reader {
    sender: mpsc::Sender<Event>,
    counter: Arc<dyn TokenCounter>,
    store: Option<ResultStore>,
    jq_timeout: Duration,
    /// As many as there are cores, which are counted when the first one is asked for.
    slots: LazyLock<Arc<Semaphore>>,
    redactor: SharedRedactor,
}

impl Reads {
    pub(super) fn new(
        sender: mpsc::Sender<Event>,
        counter: Arc<dyn TokenCounter>,
        store: Option<ResultStore>,
        jq_timeout: Duration,
        redactor: SharedRedactor,
    ) -> Self {
        Self {
            reader: Arc::new(Reader {
                sender,
                counter,
                store,
                jq_timeout,
                slots: LazyLock::new(|| Arc::new(Semaphore::new(slots::cores()))),
                redactor,
            }),
            running: HashMap::new(),
        }
    }

    /// Tells whether there is anything to read from.
    pub(super) fn can_read(&self) -> bool {
        self.reader.store.is_some()
    }

    /// Reads and tells the loop.
    pub(super) fn start(&mut self, exchange: ExchangeId, job: Box<ReadJob>) {
        let reader = Arc::clone(&self.reader);
        let task = tokio::spawn(async move {
            // A panic in there is an answer too.
            let read = tokio::spawn(Arc::clone(&reader).read(job));
            let outcome = AbortOnDrop(read).await;
            // The loop is gone only when the process ends.
            let _ = reader
                .sender
                .send(Event::Read(exchange, Box::new(outcome)))
                .await;
        });
        self.running.insert(exchange, task.abort_handle());
    }

    /// Stops a read that nobody waits for; a program that runs for it is killed.
    pub(super) fn abort(&mut self, exchange: ExchangeId) {
        if let Some(task) = self.running.remove(&exchange) {
            task.abort();
        }
    }

    /// Forgets a read that has ended.
    pub(super) fn forget(&mut self, exchange: ExchangeId) {
        self.running.remove(&exchange);
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<Kept>);

impl Future for AbortOnDrop {
    type Output = Kept;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Kept> {
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map(|ended| ended.unwrap_or_else(|_| unfound(ReadOutcome::Wrong(BROKEN.to_owned()))))
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reader {
    async fn read(self: Arc<Self>, job: Box<ReadJob>) -> Kept {
        // Never closed; a closed one would only mean that more run at once.
        let _slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        let ReadJob {
            principal,
            what,
            redacts,
        } = *job;
        match what {
            ReadWhat::Resource { uri, handle, block } => {
                let reader = Arc::clone(&self);
                let read = blocking(move || {
                    let stored = reader.stored(&principal, &handle, redacts)?;
                    let contents = contents(&stored, &uri, &handle, block)?;
                    Some((stored.meta, contents))
                });
                match read.await.flatten() {
                    Some((meta, contents)) => Kept {
                        of: Some(origin(meta)),
                        outcome: ReadOutcome::Contents(contents),
                    },
                    None => unfound(ReadOutcome::NotFound),
                }
            }
            ReadWhat::Part { query, tool, cap } => {
                self.part(principal, &query, &tool, cap, redacts).await
            }
        }
    }

    async fn part(
        self: Arc<Self>,
        principal: String,
        query: &Query,
        tool: &str,
        cap: Option<Cap>,
        redacts: bool,
    ) -> Kept {
        let ask = (Arc::clone(&self), query.clone(), tool.to_owned());
        let read = blocking(move || {
            let (reader, query, tool) = ask;
            let stored = reader.stored(&principal, &query.handle, redacts)?;
            let document = document(&stored);
            let answer = query::answer(&query, &document, &tool, &reader.limits(cap));
            Some((answer, stored.meta))
        })
        .await;
        let (answer, meta) = match read {
            None => return unfound(ReadOutcome::Wrong(format!("{tool}: {BROKEN}."))),
            Some(None) => return unfound(ReadOutcome::Wrong(QueryError::Gone.text(tool))),
            Some(Some(read)) => read,
        };
        let outcome = match answer {
            Ok(answer) => self.finished(answer, &meta, query, tool, cap).await,
            Err(error) => Err(error),
        };
        Kept {
            of: Some(origin(meta)),
            outcome: outcome.unwrap_or_else(|error| ReadOutcome::Wrong(error.text(tool))),
        }
    }

    /// Runs the program that a query asks for, if it does.
    async fn finished(
        self: Arc<Self>,
        outcome: Outcome,
        meta: &Meta,
        query: &Query,
        tool: &str,
        cap: Option<Cap>,
    ) -> Result<ReadOutcome, QueryError> {
        let (program, input) = match outcome {
            Outcome::Answer(answer) => return Ok(self.counted(of_answer(answer), meta)),
            Outcome::Jq { program, input } => (program, input),
        };
        let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
        let printed = jq::run(&own, &program, &input, self.jq_timeout)
            .await
            .map_err(|error| QueryError::Jq(error.to_string()))?;
        let ask = (Arc::clone(&self), query.clone(), tool.to_owned());
        let answer = blocking(move || {
            let (reader, query, tool) = ask;
            query::jq_answer(&query, &printed, &tool, &reader.limits(cap))
        })
        .await;
        match answer {
            None => Ok(ReadOutcome::Wrong(format!("{tool}: {BROKEN}."))),
            Some(answer) => answer.map(|answer| self.counted(of_answer(answer), meta)),
        }
    }

    /// Says what was read, for the ledger: it counts against what was saved.
    fn counted(&self, outcome: ReadOutcome, meta: &Meta) -> ReadOutcome {
        let ReadOutcome::Texts(texts, _) = outcome else {
            return outcome;
        };
        let tokens = texts.iter().map(|text| self.counter.count(text)).sum();
        let fetched = Fetched {
            server: meta.server.clone(),
            tool: meta.tool.clone(),
            tokens,
        };
        ReadOutcome::Texts(texts, Some(fetched))
    }

    /// What is kept under a handle. Secrets go before anything is searched or cut, so that no part of one is
    /// found by itself.
    fn stored(&self, principal: &str, handle: &Handle, redacts: bool) -> Option<Stored> {
        let mut stored = self.store.as_ref()?.get(principal, handle)?;
        if redacts {
            stored.content = self.redactor.get().value(&stored.content).0;
        }
        Some(stored)
    }

    fn limits(&self, cap: Option<Cap>) -> Limits<'_> {
        Limits {
            cap,
            counter: &*self.counter,
        }
    }
}

fn origin(meta: Meta) -> Origin {
    Origin {
        server: meta.server,
        tool: meta.tool,
        arguments: meta.arguments,
    }
}

fn unfound(outcome: ReadOutcome) -> Kept {
    Kept { of: None, outcome }
}

/// Runs on a thread that may block; none where it panics.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::task::spawn_blocking(work).await;
    if done.is_err() {
        tracing::error!("a kept result could not be read");
    }
    done.ok()
}

fn document(stored: &Stored) -> Document {
    Document::of(&String::from_utf8_lossy(&stored.content), stored.meta.view)
}

fn of_answer(answer: Answer) -> ReadOutcome {
    match answer.block {
        Some(block) => ReadOutcome::Block(block),
        None if answer.text.is_empty() => {
            ReadOutcome::Texts(vec![answer.note.unwrap_or_default()], None)
        }
        None => {
            let mut texts = vec![answer.text];
            texts.extend(answer.note);
            ReadOutcome::Texts(texts, None)
        }
    }
}

/// The `contents` of a resource (MCP `ReadResourceResult`): the text of a result and its blobs, or one block.
fn contents(stored: &Stored, uri: &str, handle: &Handle, block: Option<usize>) -> Option<String> {
    let document = document(stored);
    let of_text = |uri: &str, text: &str, is_json: bool| {
        let kind = if is_json {
            "application/json"
        } else {
            "text/plain"
        };
        format!(
            "{{\"uri\":{},\"mimeType\":\"{kind}\",\"text\":{}}}",
            text::to_string(uri),
            text::to_string(text)
        )
    };
    let of_block = |uri: &str, index: usize| {
        let block = document.block(index)?;
        if let Some(text) = block.text() {
            return Some(of_text(uri, &text, false));
        }
        let (data, kind) = block.blob()?;
        let kind = kind.unwrap_or_else(|| "application/octet-stream".to_owned());
        Some(format!(
            "{{\"uri\":{},\"mimeType\":{},\"blob\":{}}}",
            text::to_string(uri),
            text::to_string(&kind),
            text::to_string(&data)
        ))
    };
    if let Some(index) = block {
        return Some(format!("[{}]", of_block(uri, index)?));
    }
    let mut all = Vec::new();
    if !document.text().is_empty() || document.n_blocks() == 0 {
        all.push(of_text(uri, document.text(), document.is_json()));
    }
    for index in 0..document.n_blocks() {
        let is_text = document
            .block(index)
            .is_some_and(|block| block.text().is_some());
        if !is_text {
            all.extend(of_block(
                &format!("{URI_PREFIX}{handle}/blocks/{index}"),
                index,
            ));
        }
    }
    Some(format!("[{}]", all.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::options::View;
    use crate::store::results::Meta;

    #[test]
    fn a_resource_is_the_text_and_the_blobs() {
        let raw = r#"{"content":[{"type":"text","text":"[1]"},{"type":"image","data":"AAAA","mimeType":"image/png"}]}"#;
        let stored = Stored {
            content: raw.into(),
            meta: Meta {
                view: View::Text,
                ..Meta::default()
            },
            created: std::time::SystemTime::UNIX_EPOCH,
        };
        let handle = Handle::of(&[1; 32], "user", b"");
        let uri = format!("{URI_PREFIX}{handle}");
        let image = format!(r#"{{"uri":"{uri}/blocks/1","mimeType":"image/png","blob":"AAAA"}}"#);
        assert_eq!(
            contents(&stored, &uri, &handle, None).unwrap(),
            format!(r#"[{{"uri":"{uri}","mimeType":"application/json","text":"[1]"}},{image}]"#)
        );
        let block = format!("{uri}/blocks/1");
        assert_eq!(
            contents(&stored, &block, &handle, Some(1)).unwrap(),
            format!("[{image}]")
        );
        assert_eq!(contents(&stored, &block, &handle, Some(2)), None);
    }
}
