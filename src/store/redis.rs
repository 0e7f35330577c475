//! Kept answers in Redis or Valkey, for replicas. Shell.
//!
//! It fails open: nothing here takes longer than [`DEADLINE`], and every doubt is a miss. A connection
//! that failed is made anew in the background with growing waits; until it is there nothing is tried, so
//! a dead Redis costs a request nothing (the circuit breaker). Values are sealed, names are keyed hashes.
//! An epoch is a random number under a name of its own; one that Redis lost (flush, eviction, failover)
//! is another number, which makes what depended on it worthless.
//!
//! Commands used: `MGET`, `SET` (with `NX`, `PX`), `DEL`; `SCAN` and `DEL` by `mcp-whittle cache`. The ACL
//! user needs no more.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, TlsCertificates};
use secrecy::{ExposeSecret, SecretString};

use crate::cache::key::{Key, Scope};
use crate::cache::lru::TierEpoch;
use crate::cache::record::Record;

use super::answers::Stock;
use super::sealed::Sealer;

/// How long an operation may take.
pub const DEADLINE: Duration = Duration::from_millis(50);
/// How long a connection may take to be made, in the background.
const CONNECT: Duration = Duration::from_secs(2);
/// Waits between attempts to connect: the first, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Operations in a row that may miss their deadline until the connection counts as dead.
const MISSES: u32 = 3;
/// How long an epoch is remembered after its last use; longer than any answer is kept.
const EPOCH_MS: u64 = 7 * 24 * 3600 * 1000;
/// Bytes of one entry, at most.
const ENTRY_BYTES: usize = 8 << 20;

/// How it is reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// `redis://…` or `rediss://…`, without credentials.
    pub url: String,
    /// PEM with the authorities that TLS trusts; none = the system's.
    pub ca: Option<Vec<u8>>,
    /// The ACL user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// What all names begin with.
    pub prefix: String,
}

/// Why it cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error(
    "Redis cannot be used: {0}\nhint: `cache.redis.url` is `redis://host:port/db`, or `rediss://` for TLS"
)]
pub struct AccessError(String);

/// What is known of the connection.
#[derive(Default)]
struct Line {
    connection: Option<MultiplexedConnection>,
    is_connecting: bool,
    /// Attempts that failed in a row.
    failures: u32,
    /// Until when nothing is tried.
    until: Option<Instant>,
    /// Operations in a row that missed their deadline.
    misses: u32,
    was_told: bool,
}

/// The shared tier.
#[derive(Clone)]
pub struct RedisAnswers {
    client: Client,
    line: Arc<Mutex<Line>>,
    sealer: Sealer,
    prefix: String,
}

impl std::fmt::Debug for RedisAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisAnswers(..)")
    }
}

/// An operation that did not come to its end; why is in the log.
#[derive(Debug)]
pub struct Missed;

impl RedisAnswers {
    /// Makes one; connects to nothing yet.
    ///
    /// # Errors
    /// When the address or the authorities cannot be read.
    pub fn new(access: &Access, secret: &[u8; 32]) -> Result<Self, AccessError> {
        let wrong = |error: redis::RedisError| AccessError(error.to_string());
        let info = access.url.as_str().into_connection_info().map_err(wrong)?;
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(username) = &access.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &access.password {
            settings = settings.set_password(password.expose_secret());
        }
        let info = info.set_redis_settings(settings);
        let client = match access.url.starts_with("rediss://") {
            true => {
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: access.ca.clone(),
                };
                Client::build_with_tls(info, certificates).map_err(wrong)?
            }
            false => Client::open(info).map_err(wrong)?,
        };
        Ok(Self {
            client,
            line: Arc::default(),
            sealer: Sealer::new(secret, "answers in redis"),
            prefix: access.prefix.clone(),
        })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to connect, unless that is under way or was tried just now.
    pub fn connect(&self) {
        let now = Instant::now();
        {
            let mut line = self.line();
            let waits = line.until.is_some_and(|until| now < until);
            if line.connection.is_some() || line.is_connecting || waits {
                return;
            }
            line.is_connecting = true;
        }
        let tier = self.clone();
        tokio::spawn(async move {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(Some(CONNECT));
            let attempt = tier
                .client
                .get_multiplexed_async_connection_with_config(&config);
            let outcome = match tokio::time::timeout(CONNECT, attempt).await {
                // One that accepts and never answers is no connection.
                Ok(Ok(mut connection)) => {
                    let ping = redis::cmd("MGET")
                        .arg(format!("{}:ping", tier.prefix))
                        .clone();
                    let answer = ping.query_async::<Vec<Option<Vec<u8>>>>(&mut connection);
                    match tokio::time::timeout(DEADLINE, answer).await {
                        Ok(Ok(_)) => Ok(connection),
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(_) => Err("it does not answer".to_owned()),
                    }
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("it did not answer within {CONNECT:?}")),
            };
            tier.connected(outcome);
        });
    }

    fn connected(&self, outcome: Result<MultiplexedConnection, String>) {
        let mut line = self.line();
        line.is_connecting = false;
        line.misses = 0;
        match outcome {
            Ok(connection) => {
                if line.was_told {
                    tracing::info!("Redis answers again; replicas share the cache");
                }
                *line = Line {
                    connection: Some(connection),
                    ..Line::default()
                };
            }
            Err(why) => {
                let wait = WAITS
                    .0
                    .saturating_mul(1 << line.failures.min(10))
                    .min(WAITS.1);
                line.failures += 1;
                line.until = Instant::now().checked_add(wait);
                if !line.was_told {
                    line.was_told = true;
                    tracing::warn!(
                        "Redis cannot be reached ({}); this process goes on with its own cache and tries again",
                        crate::telemetry::one_line(&why)
                    );
                }
            }
        }
    }

    /// Does something with the connection in time.
    async fn in_time<T, F>(
        &self,
        operation: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, Missed>
    where
        F: Future<Output = redis::RedisResult<T>>,
    {
        let connection = self.line().connection.clone();
        let Some(connection) = connection else {
            self.connect();
            return Err(Missed);
        };
        let outcome = tokio::time::timeout(DEADLINE, operation(connection)).await;
        let why = match outcome {
            Ok(Ok(value)) => {
                self.line().misses = 0;
                return Ok(value);
            }
            // A command that was refused says nothing of the connection.
            Ok(Err(error)) if !error.is_unrecoverable_error() && error.code().is_some() => {
                let mut line = self.line();
                if !line.was_told {
                    line.was_told = true;
                    tracing::warn!(
                        "Redis refused a command: {}\nhint: the ACL user needs MGET, SET and DEL on `{}:*`",
                        crate::telemetry::one_line(&error.to_string()),
                        self.prefix
                    );
                }
                return Err(Missed);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                let mut line = self.line();
                line.misses += 1;
                if line.misses < MISSES {
                    return Err(Missed);
                }
                format!("it did not answer {MISSES} times within {DEADLINE:?}")
            }
        };
        self.line().connection = None;
        self.connected(Err(why));
        Err(Missed)
    }

    fn entry(&self, key: Key) -> String {
        format!("{}:a:{}", self.prefix, key.to_hex())
    }

    fn epoch(&self, scope: Scope) -> String {
        format!("{}:e:{}", self.prefix, scope.to_hex())
    }

    /// Reads epochs and, where wanted, an entry in one go, so that both are of one moment.
    ///
    /// # Errors
    /// When Redis does not say in time.
    pub async fn look(
        &self,
        key: Option<Key>,
        scopes: &[Scope],
    ) -> Result<(Vec<TierEpoch>, Option<Record>), Missed> {
        let mut names: Vec<String> = scopes.iter().map(|scope| self.epoch(*scope)).collect();
        names.extend(key.map(|key| self.entry(key)));
        let values = self.mget(&names).await?;
        let mut epochs: Vec<Option<TierEpoch>> = values
            .iter()
            .take(scopes.len())
            .map(|value| number(value.as_deref()))
            .collect();
        let mut sealed = values.into_iter().nth(scopes.len()).flatten();
        if epochs.iter().any(Option::is_none) {
            // Lost or never there: whoever makes it first decides, and no old entry fits it.
            let mut pipe = redis::pipe();
            for (name, epoch) in names.iter().zip(&epochs) {
                if epoch.is_none() {
                    pipe.cmd("SET")
                        .arg(name)
                        .arg(rand::random::<u64>().to_string())
                        .arg("NX")
                        .arg("PX")
                        .arg(EPOCH_MS)
                        .ignore();
                }
            }
            self.in_time(async move |mut connection| pipe.exec_async(&mut connection).await)
                .await?;
            let values = self.mget(&names[..scopes.len()]).await?;
            epochs = values
                .iter()
                .map(|value| number(value.as_deref()))
                .collect();
            sealed = None;
        }
        let epochs: Vec<TierEpoch> = epochs.into_iter().collect::<Option<_>>().ok_or(Missed)?;
        let Some((key, sealed)) = key.zip(sealed) else {
            return Ok((epochs, None));
        };
        let record = (sealed.len() <= ENTRY_BYTES)
            .then(|| self.sealer.open(&key.0, &sealed))
            .flatten()
            .and_then(|bytes| Record::of_bytes(&bytes));
        if record.is_none() {
            tracing::error!(
                "an answer in Redis was damaged or not written by these replicas; it is removed\nhint: who else may write to this Redis?"
            );
            let name = self.entry(key);
            let _ = self
                .in_time(async move |mut connection| {
                    redis::cmd("DEL")
                        .arg(name)
                        .exec_async(&mut connection)
                        .await
                })
                .await;
        }
        Ok((epochs, record))
    }

    async fn mget(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, Missed> {
        let mut command = redis::cmd("MGET");
        command.arg(names);
        let n = names.len();
        let values: Vec<Option<Vec<u8>>> = self
            .in_time(async move |mut connection| command.query_async(&mut connection).await)
            .await?;
        match values.len() == n {
            true => Ok(values),
            false => Err(Missed),
        }
    }

    /// Keeps an entry for so long.
    ///
    /// # Errors
    /// When Redis does not take it in time.
    pub async fn store(&self, key: Key, record: &Record) -> Result<(), Missed> {
        let sealed = record
            .to_bytes()
            .and_then(|bytes| self.sealer.seal(&key.0, &bytes))
            .filter(|sealed| sealed.len() <= ENTRY_BYTES)
            .ok_or(Missed)?;
        let mut command = redis::cmd("SET");
        command.arg(self.entry(key)).arg(sealed).arg("PX").arg(
            record
                .ttl_ms
                .saturating_add(record.stale_ms)
                .clamp(1, EPOCH_MS),
        );
        self.in_time(async move |mut connection| command.exec_async(&mut connection).await)
            .await
    }

    /// Makes everything worthless that depends on one of these.
    ///
    /// # Errors
    /// When Redis does not confirm it in time; it may have happened all the same.
    pub async fn bump(&self, scopes: &[Scope]) -> Result<(), Missed> {
        let mut pipe = redis::pipe();
        for scope in scopes {
            pipe.cmd("SET")
                .arg(self.epoch(*scope))
                .arg(rand::random::<u64>().to_string())
                .arg("PX")
                .arg(EPOCH_MS)
                .ignore();
        }
        self.in_time(async move |mut connection| pipe.exec_async(&mut connection).await)
            .await
    }

    /// Walks over all entries and counts them; `removes` takes them away.
    ///
    /// # Errors
    /// A sentence when Redis cannot be reached or refuses.
    pub async fn stock(&self, removes: bool) -> Result<Stock, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT));
        let told = |error: redis::RedisError| format!("Redis: {error}");
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(told)?;
        let mut stock = Stock::default();
        for (kind, is_entry) in [("e", false), ("a", true)] {
            if !is_entry && !removes {
                continue;
            }
            let mut cursor = 0_u64;
            loop {
                let (next, names): (u64, Vec<String>) = redis::cmd("SCAN")
                    .arg(cursor)
                    .arg("MATCH")
                    .arg(format!("{}:{kind}:*", self.prefix))
                    .arg("COUNT")
                    .arg(500)
                    .query_async(&mut connection)
                    .await
                    .map_err(told)?;
                for name in names {
                    if is_entry {
                        let size: u64 = redis::cmd("STRLEN")
                            .arg(&name)
                            .query_async(&mut connection)
                            .await
                            .map_err(told)?;
                        stock.entries += 1;
                        stock.bytes += size;
                    }
                    if removes {
                        redis::cmd("DEL")
                            .arg(&name)
                            .exec_async(&mut connection)
                            .await
                            .map_err(told)?;
                    }
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(stock)
    }
}

fn number(value: Option<&[u8]>) -> Option<TierEpoch> {
    std::str::from_utf8(value?).ok()?.parse().ok()
}

/// Reads a file with authorities.
///
/// # Errors
/// When it cannot be read.
pub fn read_ca(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}
