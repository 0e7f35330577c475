//! `cache stats` and `cache purge`: what is kept of answers outside the memory of running proxies.

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::cli::{CacheStoreArgs, ProxyArgs, SourceArgs};
use crate::config::StateSettings;
use crate::driver::cache_access;
use crate::store::Store;
use crate::store::answers::Stock;

use super::{Output, load_settings_alone};

/// What is done with what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It is counted.
    Stats,
    /// It is removed.
    Purge,
}

/// Counts or removes kept answers.
///
/// # Errors
/// When the configuration is wrong, or the state folder or Redis cannot be reached.
pub fn run(
    args: &CacheStoreArgs,
    wanted: Wanted,
    output: &mut Output<'_>,
) -> anyhow::Result<ExitCode> {
    let proxy = ProxyArgs {
        source: SourceArgs {
            config: args.config.clone(),
            state_dir: args.state_dir.clone(),
            ..SourceArgs::default()
        },
        ..ProxyArgs::default()
    };
    let settings = load_settings_alone(&proxy)?.settings;
    let folder = match &settings.state {
        StateSettings::Dir(folder) => Some(folder.clone()),
        StateSettings::None => None,
    };
    let redis = settings.cache.redis.as_ref();
    if folder.is_none() && redis.is_none() {
        bail!(
            "there is no state folder and no Redis\nhint: name one with --state-dir, or a configuration with --config"
        );
    }
    let mut places: Vec<(&str, Stock)> = Vec::new();
    let mut counts = None;
    if let Some(folder) = folder {
        let store = Store::open(&folder)?;
        let answers = store
            .answers(u64::MAX)
            .with_context(|| format!("cannot use `{}`", folder.display()))?;
        let stock = match wanted {
            Wanted::Stats => answers.stock(),
            Wanted::Purge => answers.purge(),
        };
        places.push(("disk", stock));
        counts = Some(store.cache_counts());
    }
    if let Some(redis) = redis {
        let answers = cache_access(redis).map_err(anyhow::Error::msg)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stock = runtime
            .block_on(answers.stock(wanted == Wanted::Purge))
            .map_err(anyhow::Error::msg)?;
        places.push(("redis", stock));
    }
    let verb = match wanted {
        Wanted::Stats => "kept",
        Wanted::Purge => "removed",
    };
    let (counters, processes) = counts.unwrap_or_default();
    if args.json {
        let places: serde_json::Map<String, Value> = places
            .iter()
            .map(|(place, stock)| {
                let value = json!({"answers": stock.entries, "bytes": stock.bytes});
                ((*place).to_owned(), value)
            })
            .collect();
        output.write_json(&json!({
            verb: places,
            "processes": processes,
            "hits": counters.hits,
            "tier_hits": counters.tier_hits,
            "misses": counters.misses,
            "joined": counters.joined,
            "stored": counters.stored,
            "evicted": counters.evicted,
            "stood_in": counters.stood_in,
            "writes": counters.writes,
            "tier_late": counters.tier_late,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for (place, stock) in places {
        text.push_str(&format!(
            "{verb:<8}{place:<7}{:>8} answers  {:>12} bytes\n",
            stock.entries, stock.bytes
        ));
    }
    if wanted == Wanted::Stats && processes > 0 {
        text.push_str(&format!(
            "measured in {processes} processes: {} hits in memory, {} outside, {} shared a call in flight, {} stood in for a server that failed; {} sent, {} kept, {} made room; {} calls ended what was kept\n",
            counters.hits,
            counters.tier_hits,
            counters.joined,
            counters.stood_in,
            counters.misses,
            counters.stored,
            counters.evicted,
            counters.writes,
        ));
    }
    if wanted == Wanted::Purge {
        text.push_str(
            "What running proxies hold in memory stays until its time is over, or SIGHUP.\n",
        );
    }
    output.write(text)?;
    Ok(ExitCode::SUCCESS)
}
