//! What a child process is started with.

use std::ffi::OsString;

use secrecy::{ExposeSecret, SecretString};

use crate::config::{InheritEnv, is_setting_variable};

/// Tells a child that is a hop of ours how many hops lie downstream of it.
pub(crate) const HOP_VARIABLE: &str = "MCP_WHITTLE_HOP";

/// Returns the whole environment of a child: what it inherits, what is configured, and the announcement
/// of this hop. Our own settings are never inherited.
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
            is_inherited && !is_setting_variable(name) && name != HOP_VARIABLE
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
