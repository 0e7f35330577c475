//! What clients saw: which surface, whether it may change, what its names mean, and which of its tools are
//! still there. Makes no surface.

use std::collections::HashMap;
use std::sync::Arc;

use crate::jsonrpc::error::METHOD_NOT_FOUND;
use crate::jsonrpc::members;
use crate::jsonrpc::text;
use crate::jsonrpc::write::{Edit, splice};
use crate::mcp::method::ListKind;
use crate::mcp::version::Era;
use crate::session::SessionId;
use crate::surface::made::{Live, Made};
use crate::surface::plan::Budget;
use crate::upstream::UpstreamId;

use super::Hub;
use super::action::NoteLevel;
use super::naming::{NameKind, Target};

/// What the clients of a set saw.
#[derive(Debug, Clone)]
pub(super) struct SeenSurface {
    pub(super) made: Arc<Made>,
    /// Whether the tools of every server were in it.
    is_complete: bool,
    /// The lists that it was made of, by their fingerprints.
    lists: Vec<(UpstreamId, [u8; 32])>,
}

/// What the clients of a set saw, by the profile of their path and by era: older clients cannot read all that
/// newer ones are shown.
#[derive(Debug, Default)]
pub(super) struct SeenSurfaces {
    by_profile: ByProfile,
    /// What the names of tools mean in a surface that may not change; they mean it as long.
    names: Option<Arc<HashMap<String, Target>>>,
}

/// What was seen, by profile and era. A list with room for what is in it: a session of its own has one profile, and
/// the node of a tree would have room for eleven (1,280 bytes for each session).
#[derive(Debug, Default)]
struct ByProfile(Vec<(Option<String>, [Option<SeenSurface>; 2])>);

impl ByProfile {
    fn get(&self, profile: &Option<String>) -> Option<&[Option<SeenSurface>; 2]> {
        let found = self.0.iter().find(|(known, _)| known == profile);
        found.map(|(_, both)| both)
    }

    fn of(&mut self, profile: Option<String>) -> &mut [Option<SeenSurface>; 2] {
        let at = self.0.iter().position(|(known, _)| *known == profile);
        let at = at.unwrap_or_else(|| {
            self.0.reserve_exact(1);
            self.0.push((profile, [None, None]));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

impl SeenSurfaces {
    fn of(&self, profile: &Option<String>, era: Era) -> Option<&SeenSurface> {
        self.by_profile.get(profile)?[usize::from(era == Era::Modern)].as_ref()
    }

    fn all(&self) -> impl Iterator<Item = &SeenSurface> {
        let both = self.by_profile.0.iter().flat_map(|(_, both)| both);
        both.flatten()
    }

    /// What names meant when the surface was frozen.
    pub(super) fn names(&self) -> Option<&Arc<HashMap<String, Target>>> {
        self.names.as_ref()
    }
}

impl Hub {
    /// Remembers what the clients of a session are shown.
    pub(super) fn remember_seen(
        &mut self,
        session: SessionId,
        era: Era,
        made: Arc<Made>,
        upstreams: &[UpstreamId],
        is_complete: bool,
    ) {
        let lists = upstreams
            .iter()
            .filter_map(|upstream| {
                let list = self.shown_list(*upstream, ListKind::Tools)?;
                Some((*upstream, list.fingerprint))
            })
            .collect();
        let freezes = is_complete && self.has_set_budget();
        let Some(record) = self.sessions.get(&session) else {
            return;
        };
        let Some(set) = self.sets.get_mut(&record.set) else {
            return;
        };
        if freezes {
            set.surfaces.names = Some(Arc::clone(set.names.tools()));
        }
        let seen = SeenSurface {
            made,
            is_complete,
            lists,
        };
        let profile = record.profile.clone();
        let by_era = set.surfaces.by_profile.of(profile);
        by_era[usize::from(era == Era::Modern)] = Some(seen);
    }

    /// The surface that the clients of a session saw.
    pub(super) fn seen_surface(&self, session: SessionId, era: Era) -> Option<&SeenSurface> {
        let record = self.sessions.get(&session)?;
        let set = self.sets.get(&record.set)?;
        set.surfaces.of(&record.profile, era)
    }

    /// Tells whether lists stay as they are until the next start: under a set budget or a lock file.
    fn has_set_budget(&self) -> bool {
        let settings = self.settings.surface.as_ref();
        settings.is_some_and(|_| self.settings.locked.is_some())
            || settings.is_some_and(|settings| matches!(settings.budget, Budget::Tokens(_)))
    }

    /// The surface that may not change: under a set budget, once it was complete.
    pub(super) fn frozen(&self, session: SessionId, era: Era) -> Option<Arc<Made>> {
        let seen = self.seen_surface(session, era)?;
        (self.has_set_budget() && seen.is_complete).then(|| Arc::clone(&seen.made))
    }

    /// Tells whether a server's part of the tools is all that it will be: known and not empty, or
    /// certainly none. A server that fails, or has no tools yet, must not be left out for good.
    pub(super) fn is_part_complete(&self, upstream: UpstreamId) -> bool {
        if !self.may_list(upstream, ListKind::Tools) {
            return true;
        }
        if let Some(list) = self.shown_list(upstream, ListKind::Tools) {
            return !list.items.is_empty();
        }
        let error = self
            .upstreams
            .get(&upstream)
            .and_then(|record| record.list(ListKind::Tools).error.as_ref());
        let code = error.and_then(|error| members::get(error, "code"));
        code == Some(METHOD_NOT_FOUND.to_string().as_bytes())
    }

    /// Tells whether a change of a server's tools waits for the next epoch.
    pub(super) fn is_staged(&mut self, upstream: UpstreamId) -> bool {
        let is_set = self.has_set_budget();
        let set = self.upstreams.get(&upstream).map(|record| record.set);
        let is_staged = is_set
            && set
                .and_then(|set| self.sets.get(&set))
                .is_some_and(|set| set.surfaces.all().any(|seen| seen.is_complete));
        if is_staged {
            let name = self.server_name(upstream);
            self.note(
                NoteLevel::Info,
                &name,
                "its tools changed; under a set budget or a lock file the list stays as it is until the next start",
            );
        }
        is_staged
    }

    /// What became of a tool that clients saw under a name.
    pub(super) fn live(&self, session: SessionId, seen: &SeenSurface, shown: &str) -> Live {
        let target = match self.only_upstream(session) {
            Some(only) => Some((only, shown.to_owned())),
            None => self.resolve(session, NameKind::Tool, shown),
        };
        let Some((upstream, real)) = target else {
            return Live::Gone;
        };
        if self.is_withheld(session, upstream, &real) {
            return Live::Gone;
        }
        let list = self
            .upstreams
            .get(&upstream)
            .and_then(|record| record.list(ListKind::Tools).live.as_ref());
        let Some(list) = list else {
            return Live::Unknown;
        };
        if seen.lists.contains(&(upstream, list.fingerprint)) {
            return Live::Unknown;
        }
        let Some(tool) = self.original_tool(upstream, &real) else {
            return Live::Gone;
        };
        // What differs from its pin, or is hidden, is shown as in the list.
        let Some(tool) = self.guarded_item(session, upstream, ListKind::Tools, &tool) else {
            return Live::Gone;
        };
        if real == shown {
            return Live::Tool(tool);
        }
        let Some(range) = members::member(&tool, "name") else {
            return Live::Unknown;
        };
        let with = text::to_string(shown).into();
        Live::Tool(splice(&tool, vec![Edit { range, with }]).to_bytes())
    }
}

/// Runs what may not take the whole process along if it panics.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surface::plan::Settings;
    use crate::token::{Encoding, TiktokenCounter};

    #[test]
    fn a_panic_is_no_answer() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| -> u8 { panic!("on purpose") }), None);
    }

    #[test]
    fn profiles_have_their_own_surfaces_and_no_room_beyond() {
        let counter = TiktokenCounter::new(Encoding::O200kBase);
        let made = Arc::new(Made::of(&[], &Settings::default(), &counter));
        let seen = |is_complete| SeenSurface {
            made: Arc::clone(&made),
            is_complete,
            lists: Vec::new(),
        };
        let mut surfaces = SeenSurfaces::default();
        assert!(surfaces.of(&None, Era::Legacy).is_none());
        surfaces.by_profile.of(None)[0] = Some(seen(true));
        assert_eq!(surfaces.by_profile.0.capacity(), 1);
        surfaces.by_profile.of(Some("one".into()))[1] = Some(seen(false));
        surfaces.by_profile.of(None)[1] = Some(seen(false));
        let is_complete = |profile: Option<&str>, era| {
            let seen = surfaces.of(&profile.map(str::to_owned), era);
            seen.map(|seen| seen.is_complete)
        };
        assert_eq!(is_complete(None, Era::Legacy), Some(true));
        assert_eq!(is_complete(None, Era::Modern), Some(false));
        assert_eq!(is_complete(Some("one"), Era::Legacy), None);
        assert_eq!(is_complete(Some("one"), Era::Modern), Some(false));
        assert_eq!(is_complete(Some("two"), Era::Modern), None);
        assert_eq!(surfaces.all().count(), 3);
        assert_eq!(surfaces.by_profile.0.capacity(), 2);
    }
}
