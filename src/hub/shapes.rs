//! Shapes of results: learned from answers that pass, and shown with a tool's definition once an epoch has them.
//! Pure and bounded.
//!
//! What is learned is kept for each principal and enters no answer of this process. What is shown comes from the
//! epoch file alone, read at the start, so no text moves under a conversation; and a principal is shown what its
//! own results had, or what results of several principals had in common.

use std::collections::BTreeMap;

use crate::jsonrpc::members;
use crate::result::learned::{Learned, MOST_BYTES};
use crate::session::{Principal, SessionId};
use crate::surface::plan::fits;

use super::Hub;
use super::cache::Part;
use super::exchange::ExchangeId;

/// Tools that are learned of, over all principals.
pub const TOOLS: usize = 256;
/// Results of one tool that are learned from in one process.
pub const RESULTS: u32 = 16;
/// In the place of a principal: what results of several had in common.
pub const EVERYBODY: &str = "*";

/// Shapes as they are shown: by the tool's name as clients see it, then by principal or [`EVERYBODY`].
pub type ShapeTexts = BTreeMap<String, BTreeMap<String, String>>;

/// What was learned, by principal and by the tool's name as clients see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultShapes {
    by_tool: BTreeMap<(String, String), Learned>,
    n_added: u64,
}

impl ResultShapes {
    /// Returns all that is known: principal, tool, shape.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Learned)> {
        self.by_tool
            .iter()
            .map(|((principal, tool), shape)| (principal.as_str(), tool.as_str(), shape))
    }

    /// Returns how often something was added.
    pub fn n_added(&self) -> u64 {
        self.n_added
    }

    /// Adds what was learned.
    pub fn add(&mut self, principal: &str, tool: &str, shape: &Learned) {
        let key = (principal.to_owned(), tool.to_owned());
        if let Some(known) = self.by_tool.get_mut(&key) {
            known.add(shape);
        } else if self.by_tool.len() < TOOLS {
            self.by_tool.insert(key, shape.clone());
        } else {
            return;
        }
        self.n_added += 1;
    }

    /// Tells whether more results of a tool would be learned from.
    fn has_room(&self, principal: &str, tool: &str) -> bool {
        let key = (principal.to_owned(), tool.to_owned());
        match self.by_tool.get(&key) {
            Some(known) => known.results < RESULTS,
            None => self.by_tool.len() < TOOLS,
        }
    }
}

impl Hub {
    /// What was learned in this process.
    pub fn result_shapes(&self) -> &ResultShapes {
        &self.shapes
    }

    /// Tells whether the shape of a result is worth learning: somebody may ask for the tool's definition, which
    /// does not say it, and there is a place where it is kept.
    pub(super) fn learns_from(
        &self,
        id: ExchangeId,
        bytes: usize,
        definition: Option<&[u8]>,
    ) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else {
            return false;
        };
        let (Some(tool), Some(principal)) = (
            &exchange.counted_as,
            self.lasting_principal(exchange.session),
        ) else {
            return false;
        };
        self.settings.keeps_snapshots
            && bytes <= MOST_BYTES
            && !matches!(exchange.cache, Part::Hit { .. })
            && self
                .seen_surface(exchange.session, exchange.era)
                .is_some_and(|seen| seen.made.surface.hides())
            && definition.is_some_and(|definition| self.wants_shape(tool, definition))
            && self.shapes.has_room(&principal, tool)
    }

    /// Takes what one result had.
    pub(super) fn learn(&mut self, id: ExchangeId, shape: &Learned) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let principal = self.lasting_principal(exchange.session);
        if let (Some(tool), Some(principal)) = (exchange.counted_as.clone(), principal) {
            self.shapes.add(&principal, &tool, shape);
        }
    }

    /// The shape that a session is shown with the definition of a tool.
    pub(super) fn shape_of(
        &self,
        session: SessionId,
        tool: &str,
        definition: &[u8],
    ) -> Option<&str> {
        let texts = self.settings.result_shapes.get(tool)?;
        let own = self
            .lasting_principal(session)
            .and_then(|principal| texts.get(&principal));
        let text = own.or_else(|| texts.get(EVERYBODY))?;
        self.wants_shape(tool, definition).then_some(text)
    }

    /// Tells whether a definition lacks the shape of results, or calls may name fields of them.
    fn wants_shape(&self, tool: &str, definition: &[u8]) -> bool {
        let offered = &self.settings.projection.offered;
        members::member(definition, "outputSchema").is_none()
            || offered.iter().any(|pattern| fits(pattern, tool))
    }

    /// The name of a principal that may come back; nobody comes back as the principal of one session.
    fn lasting_principal(&self, session: SessionId) -> Option<String> {
        let principal = &self.sessions.get(&session)?.principal;
        (!matches!(principal, Principal::Session(_))).then(|| principal.key())
    }
}
