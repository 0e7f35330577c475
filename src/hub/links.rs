//! Links to kept results: to whom they are shown, and that a client that is shown them is told that there are
//! resources, whatever its server has.
//!
//! A `resource_link` is known from MCP 2025-06-18 on; clients of older versions refuse a result with one. Whoever
//! gets no links is not told of resources of ours: its handshake and its lists are those of its server.

use bytes::Bytes;

use crate::jsonrpc::members;
use crate::jsonrpc::write::{edit_object, splice};
use crate::mcp::method::{self, ListKind};
use crate::mcp::version::Era;
use crate::result::link::{LinkForm, Links};
use crate::session::SessionId;
use crate::surface::plan::ReadsResults;
use crate::upstream::UpstreamId;

use super::Hub;
use super::exchange::ExchangeId;

/// The first version whose clients know `resource_link`.
const FIRST_VERSION: &str = "2025-06-18";

impl Hub {
    /// To whom links to kept results are shown in a session.
    pub(super) fn links(&self, session: SessionId, era: Era) -> Links {
        let Some(record) = self.sessions.get(&session) else {
            return Links::Never;
        };
        let is_known = era == Era::Modern || record.version() >= FIRST_VERSION;
        if self.settings.is_transparent
            || self.settings.is_shadow
            || record.is_inner
            || !is_known
            || self.reads_results(session) == ReadsResults::Never
        {
            return Links::Never;
        }
        self.result_form(session)
            .map_or(Links::Never, |form| form.links)
    }

    /// The link beside a result of a tool, by the name that clients see.
    pub(super) fn link_form(&self, session: SessionId, era: Era, tool: &str) -> Option<LinkForm> {
        let to = self.links(session, era);
        (to != Links::Never).then(|| LinkForm {
            to,
            tool: tool.to_owned(),
        })
    }

    /// A server's own handshake, which says that there are resources where links lead to some.
    pub(super) fn with_own_resources(&self, session: SessionId, era: Era, result: Bytes) -> Bytes {
        if self.links(session, era) == Links::Never {
            return result;
        }
        let none = Bytes::from_static(b"{}");
        let edits = match members::member(&result, "capabilities") {
            Some(at) if result.get(at.start) == Some(&b'{') => {
                if members::get(&result[at.clone()], "resources").is_some() {
                    return result;
                }
                edit_object(&result, at, &[], &[("resources", none)])
            }
            // Nothing that we understand.
            Some(_) => return result,
            None => {
                let with = Bytes::from_static(b"{\"resources\":{}}");
                edit_object(&result, 0..result.len(), &[], &[("capabilities", with)])
            }
        };
        splice(&result, edits).to_bytes()
    }

    /// Tells whether the resources that a session was told of are ours alone, so that its server cannot be asked
    /// for their list. Ours are in none: a handle is a secret of whoever got the result.
    pub(super) fn has_only_own_resources(
        &self,
        session: SessionId,
        upstream: UpstreamId,
        kind: ListKind,
        era: Era,
    ) -> bool {
        matches!(kind, ListKind::Resources | ListKind::Templates)
            && self.links(session, era) != Links::Never
            && !self.may_list(upstream, kind)
    }

    /// Tells whether a read of a URI that is not ours can be answered by no server.
    pub(super) fn is_nobodys_resource(&self, id: ExchangeId) -> bool {
        let exchange = &self.exchanges[&id];
        if exchange.request.method() != method::RESOURCES_READ {
            return false;
        }
        let (session, era) = (exchange.session, exchange.era);
        self.only_upstream(session).is_some_and(|only| {
            self.has_only_own_resources(session, only, ListKind::Resources, era)
        })
    }
}
