//! What the operator granted: which tools may be kept, for how long, for whom, and what ends it.

use std::time::Duration;

use crate::catalog::hints::Hints;

/// Who may be answered with a kept result of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// The session that asked: for servers whose state belongs to a connection.
    Session,
    /// The same principal, in whichever session.
    #[default]
    Principal,
    /// Everybody whom the proxy serves.
    Shared,
}

/// A pattern `server/tool`; `*` stands for any text, and without a `/` any server is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Makes a pattern; none where it is empty.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| match text.contains('/') {
            true => Self(text.to_owned()),
            false => Self(format!("*/{text}")),
        })
    }

    /// Returns its text, always with a server.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it means a tool. Server and tool are compared as one text with a `/` between, since
    /// both may have one in their name.
    pub fn is_match(&self, server: &str, tool: &str) -> bool {
        matches(self.0.as_bytes(), format!("{server}/{tool}").as_bytes())
    }
}

/// Compares with `*` as any run of bytes, in time of both lengths at most.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// What is granted for the tools of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolRule {
    /// Which tools.
    pub pattern: Pattern,
    /// How long a result is fresh; zero says that the tool reads only, and nothing is kept.
    pub ttl: Duration,
    /// Who shares results.
    pub audience: Audience,
    /// Members of a request's `_meta` that change the answer.
    pub vary: Vec<String>,
    /// Calls that end it; none = every call of the server that is not known to read only.
    pub invalidated_by: Option<Vec<Pattern>>,
    /// How long after its time a result may stand in for a server that fails.
    pub stale_if_error: Duration,
}

/// What is granted for a server whose hints are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRule {
    /// Its configured name.
    pub server: String,
    /// How long a result is fresh.
    pub ttl: Duration,
}

/// Everything that was granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// By tool; the first that fits counts.
    pub tools: Vec<ToolRule>,
    /// By server.
    pub servers: Vec<ServerRule>,
}

/// A grant for one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// How long a result is fresh; zero keeps nothing.
    pub ttl: Duration,
    /// Who shares results.
    pub audience: Audience,
    /// Members of a request's `_meta` that change the answer.
    pub vary: Vec<String>,
    /// Which calls end it, if not all writes to the server: the index of the rule.
    pub narrowed: Option<usize>,
    /// How long a result may stand in for a server that fails.
    pub stale_if_error: Duration,
    /// Whether results may point to things that live elsewhere (links, embedded resources).
    pub allows_links: bool,
}

/// What a call is to the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Its results may be kept.
    Granted(Grant),
    /// It reads only, but nothing was granted.
    Read,
    /// Not known to read only: it ends what was kept.
    Write,
}

impl Rules {
    /// Tells whether nothing is granted for calls.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.servers.is_empty()
    }

    /// Says what a call of a tool is. `hints` are those of the live definition, read where they count.
    pub fn role(&self, server: &str, tool: &str, hints: impl FnOnce() -> Option<Hints>) -> Role {
        let rule = self
            .tools
            .iter()
            .enumerate()
            .find(|(_, rule)| rule.pattern.is_match(server, tool));
        if let Some((index, rule)) = rule {
            if rule.ttl.is_zero() {
                return Role::Read;
            }
            return Role::Granted(Grant {
                ttl: rule.ttl,
                audience: rule.audience,
                vary: rule.vary.clone(),
                narrowed: rule.invalidated_by.is_some().then_some(index),
                stale_if_error: rule.stale_if_error,
                allows_links: true,
            });
        }
        let Some(trusted) = self.servers.iter().find(|rule| rule.server == server) else {
            return Role::Write;
        };
        match hints() {
            Some(hints) if !hints.read_only => Role::Write,
            None => Role::Write,
            Some(hints) if hints.says_idempotent && !hints.open_world => Role::Granted(Grant {
                ttl: trusted.ttl,
                audience: Audience::Principal,
                vary: Vec::new(),
                narrowed: None,
                stale_if_error: Duration::ZERO,
                allows_links: false,
            }),
            Some(_) => Role::Read,
        }
    }

    /// Lists the rules with calls of their own that end them, and which this one ends.
    pub fn ended_by(&self, server: &str, tool: &str) -> impl Iterator<Item = usize> {
        self.tools
            .iter()
            .enumerate()
            .filter(move |(_, rule)| {
                rule.invalidated_by
                    .as_ref()
                    .is_some_and(|all| all.iter().any(|one| one.is_match(server, tool)))
            })
            .map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str, seconds: u64) -> ToolRule {
        ToolRule {
            pattern: Pattern::new(pattern).unwrap(),
            ttl: Duration::from_secs(seconds),
            audience: Audience::Principal,
            vary: Vec::new(),
            invalidated_by: None,
            stale_if_error: Duration::ZERO,
        }
    }

    #[test]
    fn patterns_mean_what_they_say() {
        let fits = |pattern: &str, server: &str, tool: &str| {
            Pattern::new(pattern).unwrap().is_match(server, tool)
        };
        assert!(fits("git/status", "git", "status"));
        assert!(!fits("git/status", "git", "status2"));
        assert!(!fits("git/status", "agit", "status"));
        assert!(fits("git/*", "git", "status"));
        assert!(fits("*/get_*", "x", "get_me"));
        assert!(fits("get_*", "any", "get_me"));
        assert!(!fits("get_*", "any", "forget_me"));
        assert!(fits("a/b/c", "a", "b/c") && fits("a/b/c", "a/b", "c"));
        assert!(fits("*a*b*", "x", "xaxbx") && !fits("*a*b*", "x", "xbx"));
        assert!(Pattern::new(" ").is_none());
        let evil = format!("{}b", "*a".repeat(40));
        assert!(!fits(&evil, "s", &"a".repeat(2000)));
    }

    #[test]
    fn nothing_is_granted_by_itself() {
        let good = || {
            Some(Hints {
                read_only: true,
                says_idempotent: true,
                open_world: false,
                destructive: false,
            })
        };
        assert_eq!(Rules::default().role("s", "t", good), Role::Write);
        let rules = Rules {
            tools: vec![rule("s/peek", 0), rule("s/p*", 60)],
            servers: vec![ServerRule {
                server: "trusted".into(),
                ttl: Duration::from_secs(5),
            }],
        };
        let is =
            |server: &str, tool: &str, hints: Option<Hints>| match rules
                .role(server, tool, || hints)
            {
                Role::Granted(grant) => format!("{}", grant.ttl.as_secs()),
                Role::Read => "read".into(),
                Role::Write => "write".into(),
            };
        assert_eq!(is("s", "peek", None), "read");
        assert_eq!(is("s", "put", None), "60", "the operator said so");
        assert_eq!(
            is("s", "x", good()),
            "write",
            "hints of others count nothing"
        );
        assert_eq!(is("trusted", "x", None), "write", "not listed yet");
        assert_eq!(is("trusted", "x", good()), "5");
        for (hints, expected) in [
            (
                Hints {
                    read_only: false,
                    ..good().unwrap()
                },
                "write",
            ),
            (
                Hints {
                    says_idempotent: false,
                    ..good().unwrap()
                },
                "read",
            ),
            (
                Hints {
                    open_world: true,
                    ..good().unwrap()
                },
                "read",
            ),
            (Hints::WORST, "write"),
        ] {
            assert_eq!(is("trusted", "x", Some(hints)), expected);
        }
    }

    #[test]
    fn narrowed_rules_name_what_ends_them() {
        let mut narrow = rule("s/read", 60);
        narrow.invalidated_by = Some(vec![Pattern::new("s/write_*").unwrap()]);
        let rules = Rules {
            tools: vec![rule("s/other", 60), narrow],
            servers: Vec::new(),
        };
        assert_eq!(rules.ended_by("s", "write_a").collect::<Vec<_>>(), [1]);
        assert_eq!(rules.ended_by("s", "log").count(), 0);
        let Role::Granted(grant) = rules.role("s", "read", || None) else {
            panic!("granted");
        };
        assert_eq!(grant.narrowed, Some(1));
    }
}
