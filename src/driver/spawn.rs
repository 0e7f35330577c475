//! What a child process is started with.

use std::ffi::OsString;

use secrecy::{ExposeSecret, SecretString};

use crate::config::{InheritEnv, is_setting_variable};

/// Tells a child that is a hop of ours how many hops lie downstream of it.
pub(crate) const HOP_VARIABLE: &str = "MCP_WHITTLE_HOP";

/// Returns the whole environment of a child: what it inherits, what is configured, and the announcement
/// of this hop, each name once. Our own settings are never inherited.
#[expect(
    clippy::disallowed_methods,
    reason = "a child's environment starts from ours; nothing is read as a setting here"
)]
pub(super) fn environment(
    inherit: InheritEnv,
    configured: &[(String, SecretString)],
) -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| {
            let Some(name) = name.to_str() else {
                return inherit == InheritEnv::All;
            };
            let is_inherited = match inherit {
                InheritEnv::All => true,
                InheritEnv::Safe => InheritEnv::SAFE.contains(&name),
                InheritEnv::None => false,
            };
            let is_configured = configured.iter().any(|(configured, _)| configured == name);
            is_inherited && !is_configured && !is_setting_variable(name) && name != HOP_VARIABLE
        })
        .collect();
    all.extend(
        configured
            .iter()
            .map(|(name, value)| (name.into(), value.expose_secret().into())),
    );
    let hops = hops_before().saturating_add(1).to_string();
    all.push((HOP_VARIABLE.into(), hops.into()));
    all
}

/// How many hops of ours lie between the client and this process, as far as they started one another.
#[expect(
    clippy::disallowed_methods,
    reason = "the announcement of a hop is no setting of the operator's"
)]
pub fn hops_before() -> u32 {
    let announced = std::env::var_os(HOP_VARIABLE);
    announced.map_or(0, |value| {
        // Whatever else stands there was put there by somebody: one hop.
        value
            .to_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_stands_once_and_instead_of_what_is_inherited() {
        let configured = [("PATH".to_owned(), SecretString::from("/configured"))];
        for inherit in [InheritEnv::All, InheritEnv::Safe, InheritEnv::None] {
            let all = environment(inherit, &configured);
            let paths: Vec<_> = all.iter().filter(|(name, _)| name == "PATH").collect();
            assert_eq!(paths.len(), 1, "{inherit:?}");
            assert_eq!(paths[0].1, "/configured");
        }
        let inherited = environment(InheritEnv::All, &[]);
        assert!(inherited.iter().any(|(name, _)| name == "PATH"));
    }
}
