//! Signed tokens checked against keys at hand: what the gate does once it has an issuer's keys, without
//! what fetches them. Reads the clock, as the gate does.

use super::JwtConfig;
use super::jwt::JwtRules;
use super::keys::KeySet;

/// What is asked of signed tokens, and the keys that may have signed them.
pub struct SignedTokens {
    rules: JwtRules,
    keys: KeySet,
}

impl std::fmt::Debug for SignedTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedTokens").finish_non_exhaustive()
    }
}

impl SignedTokens {
    /// Takes a JSON Web Key Set as it was read; where `config` says that keys are is not looked at.
    ///
    /// # Errors
    /// What is wrong with the set, or the name of an algorithm that is not served.
    pub fn new(config: &JwtConfig, key_set: &[u8]) -> Result<Self, String> {
        Ok(Self {
            rules: JwtRules::new(config)?,
            keys: KeySet::parse(key_set)?,
        })
    }

    /// Returns the number of keys that may verify.
    #[must_use]
    pub fn n_keys(&self) -> usize {
        self.keys.len()
    }

    /// Names the principal of a token, as [`super::Verified::principal`] does.
    ///
    /// # Errors
    /// Why the token does not count, in the words that its sender gets.
    pub fn principal(&self, token: &str) -> Result<String, &'static str> {
        let header = self.rules.header(token).map_err(|fault| fault.text())?;
        let candidates = self
            .keys
            .candidates(header.key_id.as_deref(), header.algorithm);
        self.rules
            .verify_with_any(token, &header, &candidates)
            .map(|claims| self.rules.principal(&claims, false))
            .map_err(|fault| fault.text())
    }
}
