//! The script: settings, tools, and what to do on which message.

/// One thing to do.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// What.
    pub(crate) verb: String,
    /// The rest of the line.
    pub(crate) rest: String,
}

/// What to do when something happens.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// A method, or `start` or `eof`.
    pub(crate) event: String,
    /// Name of a tool or prompt, if it matters.
    pub(crate) name: Option<String>,
    /// In which life of the server, counted from 1.
    pub(crate) life: Option<usize>,
    /// At which of the messages that it fits, counted from 1 in each life.
    pub(crate) nth: Option<usize>,
    /// What to do.
    pub(crate) steps: Vec<Step>,
}

/// A whole script.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// Which protocol version `initialize` is answered with; none = the one asked for.
    pub(crate) version: Option<String>,
    /// Speaks 2026-07-28 instead of the handshake.
    pub(crate) is_modern: bool,
    /// Raw server capabilities.
    pub(crate) capabilities: Option<String>,
    /// Raw definitions.
    pub(crate) tools: Vec<String>,
    /// Tools on a page; 0 = all.
    pub(crate) page: usize,
    /// Goes on when stdin ends.
    pub(crate) ignores_eof: bool,
    /// Goes on at SIGTERM.
    pub(crate) ignores_term: bool,
    /// Handles each message before it reads the next.
    pub(crate) is_serial: bool,
    /// What to do when.
    pub(crate) rules: Vec<Rule>,
}

impl Script {
    /// Reads a script: a setting, tool or rule a line; the steps of a rule are indented below it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for line in text.lines() {
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let (verb, rest) = split(line.trim_start());
            if line.starts_with(' ') {
                let rule = script.rules.last_mut().ok_or("a step before any rule")?;
                rule.steps.push(Step {
                    verb: verb.to_owned(),
                    rest: rest.to_owned(),
                });
                continue;
            }
            match verb {
                "version" => script.version = Some(rest.to_owned()),
                "modern" => script.is_modern = true,
                "capabilities" => script.capabilities = Some(rest.to_owned()),
                "tool" => script.tools.push(tool(rest)),
                "tool-raw" => script.tools.push(rest.to_owned()),
                "page" => script.page = rest.parse().map_err(|_| format!("page {rest}"))?,
                "ignore-eof" => script.ignores_eof = true,
                "ignore-term" => script.ignores_term = true,
                "serial" => script.is_serial = true,
                "on" => script.rules.push(rule(rest)?),
                other => return Err(format!("unknown setting `{other}`")),
            }
        }
        if script.tools.is_empty() {
            script.tools.push(tool("echo"));
        }
        Ok(script)
    }
}

fn split(line: &str) -> (&str, &str) {
    line.split_once(' ')
        .map_or((line, ""), |(verb, rest)| (verb, rest.trim_start()))
}

fn rule(rest: &str) -> Result<Rule, String> {
    let mut words = rest.split_whitespace();
    let mut rule = Rule {
        event: words.next().ok_or("a rule without an event")?.to_owned(),
        name: None,
        life: None,
        nth: None,
        steps: Vec::new(),
    };
    for word in words {
        let number = |text: &str| text.parse().map_err(|_| format!("no number: `{word}`"));
        if let Some(life) = word.strip_prefix("life=") {
            rule.life = Some(number(life)?);
        } else if let Some(nth) = word.strip_prefix("nth=") {
            rule.nth = Some(number(nth)?);
        } else {
            rule.name = Some(word.to_owned());
        }
    }
    Ok(rule)
}

/// Makes a definition of a name and, if there are any, further raw members.
pub(crate) fn tool(rest: &str) -> String {
    let (name, members) = split(rest);
    if members.is_empty() {
        return format!(
            r#"{{"name":"{name}","description":"Tool {name}","inputSchema":{{"type":"object"}}}}"#
        );
    }
    format!(r#"{{"name":"{name}",{members}}}"#)
}
