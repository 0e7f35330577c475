//! Gets access tokens the way a user with a browser would, without the browser.

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rmcp::transport::{
    AuthorizationManager,
    auth::{AuthorizationRequest, OAuthState},
};

use crate::Scenario;

/// Where the suite expects the browser to be sent back to; nobody listens there.
const REDIRECT: &str = "http://localhost:3000/callback";

/// The client identity the suite knows (client identity metadata document).
const CLIENT_METADATA: &str = "https://conformance-test.local/client-metadata.json";

/// What a server wants before it serves.
pub(crate) enum Challenge {
    /// A token; the value of `WWW-Authenticate` says from where.
    Token(String),
    /// A token that carries this scope.
    Scope(String),
}

/// The authorization of one client at one server.
pub(crate) struct Authorization<'a> {
    url: &'a str,
    scenario: &'a Scenario,
    manager: Option<AuthorizationManager>,
    count: usize,
}

impl<'a> Authorization<'a> {
    pub(crate) fn new(url: &'a str, scenario: &'a Scenario) -> Self {
        Self {
            url,
            scenario,
            manager: None,
            count: 0,
        }
    }

    /// How often the user was asked.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The token of the last authorization.
    pub(crate) async fn token(&self) -> anyhow::Result<Option<String>> {
        match &self.manager {
            Some(manager) => Ok(Some(manager.get_access_token().await?)),
            None => Ok(None),
        }
    }

    /// Goes through one authorization.
    pub(crate) async fn answer(&mut self, challenge: Challenge) -> anyhow::Result<()> {
        self.count += 1;
        let mut state = match (challenge, self.manager.take()) {
            (Challenge::Scope(scope), Some(manager)) => {
                let mut state = OAuthState::Authorized(manager);
                state.request_scope_upgrade(&scope, REDIRECT).await?;
                state
            }
            // A manager of before is dropped: what one authorization server issued is of no
            // use to the next (SEP-2352).
            (challenge, _) => self.start(challenge).await?,
        };
        let page = state.get_authorization_url().await?;
        state
            .handle_callback_url(&redirect_of(&page).await?)
            .await?;
        self.manager = state.into_authorization_manager();
        Ok(())
    }

    async fn start(&self, challenge: Challenge) -> anyhow::Result<OAuthState> {
        let mut request = AuthorizationRequest::new(REDIRECT)
            .with_initial_scope_selection()
            .with_client_name("conformance-client")
            .with_client_metadata_url(CLIENT_METADATA);
        if let Challenge::Token(header) = challenge {
            request = request.with_challenge(header);
        }
        if let Some(id) = &self.scenario.client_id {
            request = request.with_preregistered_client(id);
        }
        if let Some(secret) = &self.scenario.client_secret {
            request = request.with_client_secret(secret);
        }
        let mut state = OAuthState::new(self.url, None).await?;
        state.start_authorization(request).await?;
        Ok(state)
    }
}

/// The URL the authorization page sends the browser to.
async fn redirect_of(page: &str) -> anyhow::Result<String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(page.parse()?).await?;
    let location = response
        .headers()
        .get(http::header::LOCATION)
        .context("the authorization page sends the browser nowhere")?;
    Ok(location.to_str()?.to_owned())
}
