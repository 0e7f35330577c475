//! Which kind of client is served: the one that the URL path names, else the configured one. The answer is
//! the same for a path as long as the settings are, so a list never varies by connection. Only what is
//! *shown* goes by it; nothing that allows or refuses does.

use crate::jsonrpc::error::{ErrorObject, INVALID_REQUEST};
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::write;
use crate::session::{SessionId, StreamId};
use crate::surface::plan::Settings;

use super::Hub;
use super::action::HttpHead;

/// Characters of an unknown name that are repeated to the client.
const SHOWN: usize = 64;

impl Hub {
    /// Refuses a request whose path names no profile that is known; tells whether it did.
    pub(super) fn refuse_profile(
        &mut self,
        stream: StreamId,
        head: &HttpHead,
        id: Option<&RequestId>,
    ) -> bool {
        let Some(name) = &head.profile else {
            return false;
        };
        let forms = &self.settings.profiles.forms;
        if forms.contains_key(name) {
            return false;
        }
        let known: Vec<&str> = forms.keys().map(String::as_str).collect();
        let shown: String = name.chars().take(SHOWN).collect();
        let error = ErrorObject::new(
            INVALID_REQUEST,
            format!(
                "the path names `{shown}`, which is no client profile\nhint: the path of the endpoint alone, or with one of {} behind it",
                known.join(", ")
            ),
        );
        self.counters.refused += 1;
        self.status(stream, 404, Some(write::error_response(id, &error)));
        true
    }

    /// The name of the profile that a session is served by.
    pub(super) fn profile_name(&self, session: SessionId) -> &str {
        self.sessions
            .get(&session)
            .and_then(|session| session.profile.as_deref())
            .unwrap_or(&self.settings.profiles.configured)
    }

    /// What the lists of a session are planned by; none where they stay as they come.
    pub(super) fn plan_settings(&self, session: SessionId) -> Option<Settings> {
        let mut settings = self.settings.surface.clone()?;
        let named = self
            .sessions
            .get(&session)
            .and_then(|session| session.profile.as_ref());
        // A name that a reload took away is served as the configured one until the session ends.
        if let Some(form) = named.and_then(|name| self.settings.profiles.forms.get(name)) {
            settings.form = *form;
        }
        settings.reads_results = self.reads_results(session);
        Some(settings)
    }
}
