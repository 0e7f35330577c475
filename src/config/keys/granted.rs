//! Settings of what an operator grants and forbids: kept answers, and calls.

use super::super::audit::AuditTarget;
use super::*;

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "cache.tools",
        option: option("cache-tools", |args| args.surface.cache_tools.clone()),
        set: |draft, input| cache::tools(input).map(|value| draft.cache.rules.tools = value),
        show: |draft| cache::show_tools(&draft.cache.rules.tools),
    },
    Key {
        name: "cache.servers",
        option: None,
        set: |draft, input| cache::servers(input).map(|value| draft.cache.rules.servers = value),
        show: |draft| cache::show_servers(&draft.cache.rules.servers),
    },
    size!("cache.max_bytes", None, cache.max_bytes, 0),
    time!("cache.max_ttl", None, cache.max_ttl),
    Key {
        name: "cache.negative_ttl",
        option: None,
        set: |draft, input| {
            input
                .duration_or_none()
                .map(|value| draft.cache.negative_ttl = value)
        },
        show: |draft| {
            draft
                .cache
                .negative_ttl
                .map_or_else(|| "none".to_owned(), show_duration)
        },
    },
    size!("cache.disk", None, cache.disk_bytes, 0),
    Key {
        name: "cache.redis",
        option: None,
        set: |draft, input| cache::redis(input).map(|value| draft.cache.redis = Some(value)),
        show: |draft| {
            draft
                .cache
                .redis
                .as_ref()
                .map_or_else(|| "none".to_owned(), ToString::to_string)
        },
    },
    Key {
        name: "policy.mode",
        option: None,
        set: |draft, input| {
            draft.policy.mode = policy::word(&input.text()?, &Mode::ALL)?;
            Ok(())
        },
        show: |draft| draft.policy.mode.as_str().to_owned(),
    },
    Key {
        name: "policy.approval",
        option: None,
        set: |draft, input| {
            draft.policy.remember = policy::word(&input.text()?, &Remember::ALL)?;
            Ok(())
        },
        show: |draft| draft.policy.remember.as_str().to_owned(),
    },
    Key {
        name: "policy.default",
        option: None,
        set: |draft, input| {
            let words = [("allow", false), ("deny", true)];
            draft.policy.denies_by_default = policy::word(&input.text()?, &words)?;
            Ok(())
        },
        show: |draft| match draft.policy.denies_by_default {
            true => "deny".to_owned(),
            false => "allow".to_owned(),
        },
    },
    switch!(
        "policy.read_only",
        option("read-only", |args| switch(args.surface.read_only)),
        policy.is_read_only
    ),
    Key {
        name: "policy.trust_hints",
        option: option("trust-hints", |args| args.surface.trust_hints.clone()),
        set: |draft, input| {
            draft.policy.trusted = policy::patterns(&input.list()?)?;
            Ok(())
        },
        show: |draft| {
            let trusted = draft.policy.trusted.iter();
            let trusted: Vec<String> = trusted.map(|one| one.as_str().to_owned()).collect();
            show_list(&trusted)
        },
    },
    Key {
        name: "policy.rules",
        option: None,
        set: |draft, input| policy::rules(input).map(|rules| draft.policy.rules = rules),
        show: |draft| match draft.policy.rules.len() {
            0 => "none".to_owned(),
            1 => "1 rule".to_owned(),
            n => format!("{n} rules"),
        },
    },
    Key {
        name: "audit.file",
        option: None,
        set: |draft, input| {
            let path = input.text()?;
            draft.audit.target = match path.as_str() {
                "" => {
                    return Err(Fault::new("the path is empty")
                        .hint("leave the setting out to record nothing"));
                }
                "stderr" => Some(AuditTarget::Stderr),
                _ => Some(AuditTarget::File(input.path(&path))),
            };
            Ok(())
        },
        show: |draft| match &draft.audit.target {
            None => "none".to_owned(),
            Some(AuditTarget::Stderr) => "stderr".to_owned(),
            Some(AuditTarget::File(path)) => path.display().to_string(),
        },
    },
    switch!("audit.arguments", None, audit.has_arguments),
];
