//! What a child process is started with.

use std::ffi::OsString;

use secrecy::{ExposeSecret, SecretString};

use crate::config::{InheritEnv, is_setting_variable};

/// Tells a child that is a hop of ours how many hops lie downstream of it.
pub(crate) const HOP_VARIABLE: &str = "MCP_WHITTLE_HOP";

/// Variables that name a terminal, a window, a login or a process and never an account or its data: they differ
/// from shell to shell. The list is short on purpose: one that is missing here costs a cold start, one that
/// does not belong here mixes what servers of two accounts said. So the sockets of agents, of the session bus and
/// of an editor that answers git's questions for passwords (`VSCODE_GIT_IPC_HANDLE`), where credentials lie, the
/// display, and `PWD`, which a server may take for its project, are not in it.
const PASSING: &[&str] = &[
    "ALACRITTY_SOCKET",
    "ALACRITTY_WINDOW_ID",
    "CLAUDE_CODE_SSE_PORT",
    "COLORTERM",
    "COLUMNS",
    "DESKTOP_STARTUP_ID",
    "GNOME_TERMINAL_SCREEN",
    "GNOME_TERMINAL_SERVICE",
    "GPG_TTY",
    "HISTFILE",
    // Each container has another, and replicas share what they keep.
    "HOSTNAME",
    "INVOCATION_ID",
    "ITERM_SESSION_ID",
    "JOURNAL_STREAM",
    "KITTY_PID",
    "KITTY_WINDOW_ID",
    "KONSOLE_DBUS_SERVICE",
    "KONSOLE_DBUS_SESSION",
    "KONSOLE_DBUS_WINDOW",
    "LINES",
    "LS_COLORS",
    "OLDPWD",
    "PS1",
    "SESSION_MANAGER",
    "SHELL_SESSION_ID",
    "SHLVL",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "STY",
    "SYSTEMD_EXEC_PID",
    "TERM",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TERM_SESSION_ID",
    "TMUX",
    "TMUX_PANE",
    "VSCODE_IPC_HOOK",
    "VSCODE_IPC_HOOK_CLI",
    "VSCODE_PID",
    "WEZTERM_PANE",
    "WEZTERM_UNIX_SOCKET",
    "WINDOWID",
    "WINDOWPATH",
    "WT_PROFILE_ID",
    "WT_SESSION",
    "XDG_ACTIVATION_TOKEN",
    "XDG_SESSION_CLASS",
    "XDG_SESSION_ID",
    "XDG_SESSION_PATH",
    "XDG_SESSION_TYPE",
    "XDG_VTNR",
    "ZELLIJ_PANE_ID",
    "ZELLIJ_SESSION_NAME",
    "_",
];

/// Returns our own environment.
#[expect(
    clippy::disallowed_methods,
    reason = "a child's environment starts from ours; nothing is read as a setting here"
)]
pub(super) fn own_environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Returns the whole environment of a child: what it inherits, what is configured, and the announcement
/// of this hop, each name once. Our own settings are never inherited.
pub(super) fn environment(
    inherit: InheritEnv,
    configured: &[(String, SecretString)],
) -> Vec<(OsString, OsString)> {
    let mut all = given(own_environment(), inherit, configured);
    let hops = hops_before().saturating_add(1).to_string();
    all.push((HOP_VARIABLE.into(), hops.into()));
    all
}

/// Returns what of a child's environment decides what it can reach: all that it is given, in the order of
/// names, but for what only names a terminal or a process. What is configured always counts.
pub(super) fn telling_environment(
    own: Vec<(OsString, OsString)>,
    inherit: InheritEnv,
    configured: &[(String, SecretString)],
) -> Vec<(OsString, OsString)> {
    let mut lasting = own;
    lasting.retain(|(name, _)| !name.to_str().is_some_and(|name| PASSING.contains(&name)));
    let mut all = given(lasting, inherit, configured);
    all.sort_unstable();
    all
}

/// Returns what a child gets of our own environment and of what is configured, each name once.
fn given(
    own: Vec<(OsString, OsString)>,
    inherit: InheritEnv,
    configured: &[(String, SecretString)],
) -> Vec<(OsString, OsString)> {
    let mut all = own;
    all.retain(|(name, _)| {
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
    });
    all.extend(
        configured
            .iter()
            .map(|(name, value)| (name.into(), value.expose_secret().into())),
    );
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
