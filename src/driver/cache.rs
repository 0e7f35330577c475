//! The tier of the cache outside memory: what the hub asks of it is done beside the loop, and told back.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use crate::cache::key::{Key, KeySecret, Scope};
use crate::cache::lru::{Answer, TierEpoch};
use crate::cache::record::Record;
use crate::config::{CacheConfig, Mode, RedisSettings, Settings};
use crate::hub::cache::{CacheSettings, Found, Looked};
use crate::hub::exchange::ExchangeId;
use crate::store::Store;
use crate::store::answers::DiskAnswers;
use crate::store::redis::{Access, RedisAnswers, read_ca};

use super::event::Event;

/// Where answers are kept outside memory.
#[derive(Debug, Clone)]
enum Place {
    Nowhere,
    Disk(Arc<DiskAnswers>),
    Redis(Arc<RedisAnswers>),
}

/// The tier, and what names things in it.
#[derive(Debug)]
pub(super) struct Tier {
    place: Place,
    secret: [u8; 32],
    user: String,
    sender: mpsc::Sender<Event>,
}

/// Returns the secret that replicas share, if there is one.
pub(super) fn shared_secret(cache: &CacheConfig) -> Option<[u8; 32]> {
    let secret = cache.redis.as_ref()?.secret.as_ref()?;
    Some(blake3::derive_key(
        "mcp-whittle 2026 secret of replicas",
        secret.expose_secret().as_bytes(),
    ))
}

impl Tier {
    /// Opens what the settings name. What cannot be used is told and left out.
    pub(super) fn open(
        settings: &Settings,
        store: Option<&Store>,
        secret: [u8; 32],
        sender: mpsc::Sender<Event>,
    ) -> Self {
        let cache = &settings.cache;
        let is_on = settings.mode == Mode::Normal && cache.max_bytes > 0;
        let place = match (&cache.redis, store) {
            (Some(redis), _) if is_on => open_redis(redis, &secret),
            (None, Some(store)) if is_on && cache.disk_bytes > 0 => {
                match store.answers(cache.disk_bytes) {
                    Ok(answers) => Place::Disk(Arc::new(answers)),
                    Err(error) => {
                        tracing::warn!("answers are kept in memory only: {error}");
                        Place::Nowhere
                    }
                }
            }
            _ => Place::Nowhere,
        };
        let user = match &place {
            // Users of other machines have their own data.
            Place::Redis(_) => format!("{}@{}", rustix::process::geteuid().as_raw(), host_name()),
            _ => String::new(),
        };
        Self {
            place,
            secret,
            user,
            sender,
        }
    }

    /// Adds to the hub's settings what only this process knows.
    pub(super) fn complete(&self, settings: &mut CacheSettings) {
        settings.secret = KeySecret(blake3::derive_key(
            "mcp-whittle 2026 names of answers",
            &self.secret,
        ));
        settings.user.clone_from(&self.user);
        settings.has_tier = !matches!(self.place, Place::Nowhere);
    }

    /// Looks for an answer, and for the numbers of what it depends on.
    pub(super) fn look(&self, exchange: ExchangeId, key: Key, scopes: Vec<Scope>, wants: bool) {
        let sender = self.sender.clone();
        match self.place.clone() {
            Place::Nowhere => {
                tokio::spawn(async move {
                    let event = Event::Cached(exchange, Looked::default());
                    let _ = sender.send(event).await;
                });
            }
            Place::Disk(answers) => {
                tokio::task::spawn_blocking(move || {
                    // Numbers first: an entry that is written in between does not fit them.
                    let looked = answers.epochs(&scopes).map_or_else(
                        |_| Looked::default(),
                        |epochs| {
                            let record = wants.then(|| answers.load(key)).flatten();
                            looked(&scopes, epochs, record)
                        },
                    );
                    let _ = sender.blocking_send(Event::Cached(exchange, looked));
                });
            }
            Place::Redis(answers) => {
                tokio::spawn(async move {
                    let found = answers.look(wants.then_some(key), &scopes).await;
                    let looked = found.map_or_else(
                        |_| Looked::default(),
                        |(epochs, record)| looked(&scopes, epochs, record),
                    );
                    let _ = sender.send(Event::Cached(exchange, looked)).await;
                });
            }
        }
    }

    /// Keeps an answer.
    pub(super) fn store(
        &self,
        key: Key,
        answer: Answer,
        ttl: Duration,
        stale_if_error: Duration,
        scopes: Vec<(Scope, TierEpoch)>,
    ) {
        let record = Record {
            answer,
            received_ms: now_ms(),
            ttl_ms: millis(ttl),
            stale_ms: millis(stale_if_error),
            scopes,
        };
        match self.place.clone() {
            Place::Nowhere => {}
            Place::Disk(answers) => {
                tokio::task::spawn_blocking(move || {
                    if let Err(error) = answers.store(key, &record) {
                        tracing::warn!("an answer could not be kept on disk: {error}");
                    }
                });
            }
            Place::Redis(answers) => {
                tokio::spawn(async move {
                    // What is not kept is asked for again.
                    let _ = answers.store(key, &record).await;
                });
            }
        }
    }

    /// Makes worthless what depends on these.
    pub(super) fn bump(&self, bump: u64, scopes: Vec<Scope>) {
        let sender = self.sender.clone();
        match self.place.clone() {
            Place::Nowhere => {
                tokio::spawn(async move {
                    let _ = sender.send(Event::Bumped(bump, true)).await;
                });
            }
            Place::Disk(answers) => {
                tokio::task::spawn_blocking(move || {
                    let is_done = match answers.bump(&scopes) {
                        Ok(()) => true,
                        Err(error) => {
                            tracing::warn!("kept answers on disk could not be ended: {error}");
                            false
                        }
                    };
                    let _ = sender.blocking_send(Event::Bumped(bump, is_done));
                });
            }
            Place::Redis(answers) => {
                tokio::spawn(async move {
                    let is_done = answers.bump(&scopes).await.is_ok();
                    let _ = sender.send(Event::Bumped(bump, is_done)).await;
                });
            }
        }
    }
}

/// What counts of a record: only one that is fresh and whose numbers are the tier's.
fn looked(scopes: &[Scope], epochs: Vec<TierEpoch>, record: Option<Record>) -> Looked {
    let found = record
        .filter(|record| record.is_current(scopes, &epochs))
        .and_then(|record| {
            let age = record.age(now_ms())?;
            Some(Found {
                answer: record.answer,
                age,
                ttl: Duration::from_millis(record.ttl_ms),
                stale_if_error: Duration::from_millis(record.stale_ms),
            })
        });
    Looked {
        epochs: Some(epochs),
        found,
    }
}

fn open_redis(settings: &RedisSettings, secret: &[u8; 32]) -> Place {
    if settings.secret.is_none() {
        tracing::warn!(
            "replicas share no secret, so kept answers and handles are this process's own\nhint: give all replicas the same `cache.redis.secret_file`"
        );
    }
    let opened = access_of(settings)
        .and_then(|access| RedisAnswers::new(&access, secret).map_err(|error| error.to_string()));
    match opened {
        Ok(answers) => {
            answers.connect();
            Place::Redis(Arc::new(answers))
        }
        Err(error) => {
            tracing::error!("answers are kept in memory only: {error}");
            Place::Nowhere
        }
    }
}

/// Opens the Redis of the settings for a look from outside, where nothing is sealed or opened.
///
/// # Errors
/// A sentence when it cannot be used.
pub fn cache_access(settings: &RedisSettings) -> Result<RedisAnswers, String> {
    let access = access_of(settings)?;
    RedisAnswers::new(&access, &[0; 32]).map_err(|error| error.to_string())
}

/// Reads what the settings name.
fn access_of(settings: &RedisSettings) -> Result<Access, String> {
    let ca = match &settings.ca {
        Some(path) => Some(
            read_ca(path)
                .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?,
        ),
        None => None,
    };
    Ok(Access {
        url: settings.url.clone(),
        ca,
        username: settings.username.clone(),
        password: settings.password.clone(),
        prefix: settings.prefix.clone(),
    })
}

fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, millis)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
