//! Opening what outlives a process: the state folder, kept results, the audit log.

use std::path::Path;
use std::sync::Arc;

use super::cache::Tier;
use crate::config::Settings;
use crate::hub::settings::HubSettings;
use crate::store::Store;
use crate::store::results::{ResultOptions, ResultStore};
use crate::telemetry::audit::AuditSink;

/// Opens the audit log. Without it nothing starts: who wants records wants all of them.
pub(super) fn open_audit(settings: &Settings, process: &str) -> std::io::Result<Option<AuditSink>> {
    let Some(target) = &settings.audit.target else {
        return Ok(None);
    };
    AuditSink::open(target, process).map(Some).map_err(|error| {
        let text = format!(
            "cannot write the audit log: {error}\nhint: `audit.file` names a file in a folder that exists and can be written, or `stderr`"
        );
        std::io::Error::new(error.kind(), text)
    })
}

/// Adds what the state folder has: snapshots, and the weights of the epoch. Read at the start and on
/// SIGHUP, never in between, so that no list moves by itself.
pub(super) fn with_state(
    mut settings: HubSettings,
    store: Option<&Store>,
    tier: &Tier,
) -> HubSettings {
    tier.complete(&mut settings.cache);
    settings.keeps_snapshots = store.is_some();
    if let (Some(store), Some(surface)) = (store, &mut settings.surface) {
        let epoch = store.load_epoch();
        surface.weights = epoch.weights;
        settings.result_shapes = Arc::new(epoch.shapes);
    }
    settings
}

/// Where long results are kept; where that is nowhere, they are sent whole.
pub(super) fn open_results(store: Option<&Store>, settings: &Settings) -> Option<ResultStore> {
    let keeping = &settings.shaping.results.keeping;
    let options = ResultOptions {
        ttl: keeping.ttl,
        max_bytes: keeping.max_bytes,
        key_file: keeping.key_file.clone(),
    };
    match ResultStore::open(store, options) {
        Ok(results) => Some(results),
        Err(error) => {
            let error = anyhow::Error::from(error);
            tracing::warn!("long results are sent whole: {error:#}");
            None
        }
    }
}

pub(super) fn open_store(folder: &Path) -> Option<Store> {
    match Store::open(folder) {
        Ok(store) => Some(store),
        Err(error) => {
            let error = anyhow::Error::from(error);
            tracing::warn!("nothing is remembered between starts: {error:#}");
            None
        }
    }
}
