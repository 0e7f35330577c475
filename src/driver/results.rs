//! Shaping results away from the loop: processor work on threads of its own, as many at once as there are
//! cores ([`super::slots`]). Whatever goes wrong there is told as "not shaped".

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::config::Settings;
use crate::hub::exchange::ExchangeId;
use crate::hub::results::{Redaction, SHAPING, ShapeJob};
use crate::policy::redact::Redactor;
use crate::result::channels::Parts;
use crate::result::learned::Learned;
use crate::result::options::View;
use crate::result::query::Document;
use crate::result::shape::{Outside, Shaped, shape, shape_uncounted};
use crate::store::results::{Meta, ResultStore};
use crate::telemetry::secrets::of_results;
use crate::token::TokenCounter;

use super::event::Event;
use super::memory;
use super::slots::{Ran, Slots};

/// Results from so many bytes on are shaped one after the other, and what that took is given back.
const LARGE_BYTES: usize = 1 << 20;

/// What shaping needs of the outside.
#[derive(Clone)]
pub(super) struct Shaping {
    sender: mpsc::Sender<Event>,
    counter: Arc<dyn TokenCounter>,
    store: Option<ResultStore>,
    /// Made for the first result, since cores have to be counted for them.
    slots: Arc<LazyLock<Slots>>,
    jq_timeout: Duration,
    redactor: SharedRedactor,
}

/// What takes secrets out of results; another one after the settings changed.
#[derive(Debug, Clone)]
pub(super) struct SharedRedactor(Arc<RwLock<Arc<Redactor>>>);

impl SharedRedactor {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(of_results(settings)))))
    }

    pub(super) fn replace(&self, settings: &Settings) {
        let redactor = Arc::new(of_results(settings));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = redactor;
    }

    pub(super) fn get(&self) -> Arc<Redactor> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shaping {
    pub(super) fn new(
        sender: mpsc::Sender<Event>,
        counter: Arc<dyn TokenCounter>,
        store: Option<ResultStore>,
        jq_timeout: Duration,
        redactor: SharedRedactor,
    ) -> Self {
        Self {
            sender,
            counter,
            store,
            slots: Arc::new(LazyLock::new(|| Slots::new(SHAPING))),
            jq_timeout,
            redactor,
        }
    }

    /// Shapes a result and tells the loop; not of one that is late, which the loop notices by itself.
    pub(super) fn start(&self, exchange: ExchangeId, job: Box<ShapeJob>) {
        let this = self.clone();
        tokio::spawn(async move {
            let is_large = job.result.len() >= LARGE_BYTES;
            let redacts = job.redacts;
            let worker = this.clone();
            let ran = this.slots.run(is_large, move || worker.work(job)).await;
            let (redaction, shaped) = match ran {
                Ran::Done(done) => done,
                Ran::Refused if !redacts => (Redaction::NotAsked, None),
                Ran::Broken | Ran::Refused => (Redaction::Failed, None),
                Ran::Late => return,
            };
            // The loop is gone only when the process ends.
            let _ = this
                .sender
                .send(Event::Shaped(exchange, redaction, shaped))
                .await;
        });
    }

    fn work(&self, job: Box<ShapeJob>) -> (Redaction, Option<Box<Shaped>>) {
        let is_large = job.result.len() >= LARGE_BYTES;
        let redaction = self.redacted(&job);
        let shaped = match &redaction {
            Redaction::Failed => None,
            Redaction::Changed(result) => self.shaped(&job, result),
            Redaction::NotAsked | Redaction::Same => self.shaped(&job, &job.result),
        };
        if is_large {
            drop(job);
            memory::give_heap_back();
        }
        (redaction, shaped.map(Box::new))
    }

    fn redacted(&self, job: &ShapeJob) -> Redaction {
        if !job.redacts {
            return Redaction::NotAsked;
        }
        let redacted = catch_unwind(AssertUnwindSafe(|| self.redactor.get().value(&job.result)));
        match redacted {
            Ok((_, found)) if found.total() == 0 => Redaction::Same,
            Ok((result, _)) => Redaction::Changed(result),
            Err(_) => Redaction::Failed,
        }
    }

    fn shaped(&self, job: &ShapeJob, result: &Bytes) -> Option<Shaped> {
        let options = job.options.as_ref()?;
        let result = std::str::from_utf8(result).ok()?;
        let keeper = Keeper {
            store: self.store.as_ref(),
            job,
            jq_timeout: self.jq_timeout,
        };
        let shaped = catch_unwind(AssertUnwindSafe(|| {
            let how = if job.is_counted_first {
                shape
            } else {
                shape_uncounted
            };
            let mut shaped = how(result, options, &keeper, &*self.counter);
            shaped.learned = job.is_learned_from.then(|| learned_of(result)).flatten();
            shaped
        }));
        if shaped.is_err() {
            tracing::error!(
                server = job.server,
                "a result could not be shaped; it is sent as it came"
            );
        }
        shaped.ok()
    }
}

/// The shape of what `fields` would select from; errors have none.
fn learned_of(result: &str) -> Option<Learned> {
    Parts::of(result).filter(|parts| !parts.is_error)?;
    let document = Document::of(result, View::Text);
    Learned::of(document.json()?)
}

struct Keeper<'a> {
    store: Option<&'a ResultStore>,
    job: &'a ShapeJob,
    jq_timeout: Duration,
}

impl Outside for Keeper<'_> {
    /// What is kept is the original, also where secrets were taken out of what is shown: a read takes them out
    /// again (DESIGN §3: original stored, then redaction, then shaping).
    fn keep(&self, _shown: &str, view: View) -> Option<String> {
        let meta = Meta {
            server: self.job.server.clone(),
            tool: self.job.tool.clone(),
            arguments: self.job.arguments.clone(),
            view,
        };
        match self
            .store?
            .put(&self.job.principal, &self.job.result, &meta)
        {
            Ok(handle) => Some(handle.to_string()),
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::warn!(
                    server = self.job.server,
                    "a long result is sent whole, because it could not be kept: {error:#}"
                );
                None
            }
        }
    }

    fn jq(&self, program: &str, json: &str) -> Result<String, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let run = crate::jq::run(&own, program, json, self.jq_timeout);
        // This thread is one for blocking work, so it may wait.
        tokio::runtime::Handle::current()
            .block_on(run)
            .map_err(|error| error.to_string())
    }
}
