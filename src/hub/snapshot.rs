//! What is remembered of a server between starts.

use std::time::Instant;

use bytes::Bytes;

use crate::jsonrpc::canonical::canonical;
use crate::jsonrpc::members;
use crate::mcp::method::ListKind;
use crate::mcp::version::Era;
use crate::upstream::{Handshake, UpstreamId};

use super::Hub;
use super::action::{Action, Snapshot};
use super::exchange::{ExchangeId, Plan};

impl Hub {
    /// Asks for the snapshot of a connection, once its key is known: the server's identity, the
    /// principal, and the client's era, version and capabilities (DESIGN §4).
    pub(super) fn ask_snapshot(&mut self, upstream: UpstreamId) {
        // A list may be answered from the snapshot as soon as it comes.
        self.ask_pins(upstream);
        // Where a token decides what the server shows, the server is asked.
        if !self.settings.keeps_snapshots
            || self.settings.is_transparent
            || self.has_credentials(upstream)
        {
            return;
        }
        let record = &self.upstreams[&upstream];
        if record.snapshot_key.is_some() {
            return;
        }
        let Some(set) = self.sets.get(&record.set) else {
            return;
        };
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: &[u8]| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        add(self.settings.servers[record.server].identity.as_bytes());
        add(set.principal.key().as_bytes());
        let legacy = self
            .users_of(record.set)
            .find_map(|session| self.sessions[&session].legacy.as_ref());
        let capabilities = match (legacy, &set.modern) {
            (Some(legacy), _) => {
                add(b"legacy");
                let version = members::get_text(&legacy.params, "protocolVersion");
                add(version.unwrap_or_default().as_bytes());
                legacy.capabilities.clone()
            }
            (None, Some(modern)) => {
                add(b"modern");
                modern.capabilities.clone()
            }
            (None, None) => return,
        };
        let canonical = canonical(&capabilities, &self.settings.limits.message);
        add(canonical.as_deref().unwrap_or(&capabilities));
        let key = hasher.finalize().to_hex()[..32].to_owned();
        if let Some(record) = self.upstreams.get_mut(&upstream) {
            record.snapshot_key = Some(key.clone());
            record.snapshot_pending = true;
        }
        self.actions
            .push_back(Action::LoadSnapshot { upstream, key });
    }

    /// Takes a snapshot, or the word that there is none.
    pub fn handle_snapshot(
        &mut self,
        now: Instant,
        upstream: UpstreamId,
        snapshot: Option<Snapshot>,
    ) {
        let Some(record) = self.upstreams.get_mut(&upstream) else {
            return;
        };
        record.snapshot_pending = false;
        let Some(snapshot) = snapshot else {
            return;
        };
        record.remembered = Some(Handshake {
            era: if snapshot.is_modern {
                Era::Modern
            } else {
                Era::Legacy
            },
            version: snapshot.version,
            capabilities: members::get(&snapshot.handshake, "capabilities")
                .map_or(Bytes::from_static(b"{}"), Bytes::copy_from_slice),
            result: snapshot.handshake,
            message: None,
        });
        for (kind, list) in ListKind::ALL.into_iter().zip(snapshot.lists) {
            let state = record.list_mut(kind);
            if state.live.is_none() {
                state.snapshot = list.map(|list| self.same_lists.share(list));
            }
        }
        self.settle_handshakes(now, upstream, None);
        let waiting: Vec<ExchangeId> = ListKind::ALL
            .into_iter()
            .filter(|kind| self.upstreams[&upstream].list(*kind).snapshot.is_some())
            .flat_map(|kind| self.upstreams[&upstream].list(kind).waiting.clone())
            .collect();
        for id in waiting {
            let Some(exchange) = self.exchanges.get_mut(&id) else {
                continue;
            };
            if let Plan::List { waiting, .. } = &mut exchange.plan {
                waiting.retain(|one| *one != upstream);
                if waiting.is_empty() {
                    self.finish_list(now, id);
                }
            }
        }
    }

    /// Keeps what the live server says now.
    pub(super) fn store_snapshot(&mut self, upstream: UpstreamId) {
        if !self.settings.keeps_snapshots || self.settings.is_transparent {
            return;
        }
        let record = &self.upstreams[&upstream];
        let (Some(key), Some(handshake)) = (&record.snapshot_key, &record.handshake) else {
            return;
        };
        let snapshot = Snapshot {
            is_modern: handshake.era == Era::Modern,
            version: handshake.version.clone(),
            handshake: handshake.result.clone(),
            lists: ListKind::ALL.map(|kind| {
                let state = record.list(kind);
                state.live.clone().or_else(|| state.snapshot.clone())
            }),
        };
        let key = key.clone();
        self.actions.push_back(Action::StoreSnapshot {
            key,
            snapshot: Box::new(snapshot),
        });
    }
}
