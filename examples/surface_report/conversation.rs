//! One conversation: what its lists and look-ups come to, under one rule for every contender.
//!
//! A user asks for something every few requests; for each group of up to three tools the model first
//! looks up what it was not shown, all look-ups of one kind side by side in one extra turn. Every text
//! counts with the call that asked for it; what comes late is read by the requests that are left.

use mcp_whittle::surface::ladder::Rung;
use mcp_whittle::surface::made::{Live, Made};
use mcp_whittle::surface::meta_tools::{DEFAULT_RESULTS, MetaTool};
use mcp_whittle::surface::validate::{
    Fault, Limits, Validator, Verdict, help_for_server_error, tool_error_text,
};

use crate::corpus::Fleet;
use crate::memo::Memo;
use mcp_whittle::catalog::tool_view::{ToolView, string_text};

/// Tools that one wish of the user needs, at most.
const GROUP: usize = 3;
/// Words of a search.
const QUERY_WORDS: usize = 10;
/// Of ten first calls this one is wrong, whoever makes it.
const WRONG: usize = 4;

/// Prices in uncached input tokens, and what a conversation is like.
pub(crate) struct Rule {
    pub(crate) requests: u64,
    pub(crate) context: u64,
    pub(crate) cache_read: f64,
    pub(crate) cache_write: f64,
    pub(crate) output: f64,
    /// Tokens that a model writes in an extra turn.
    pub(crate) turn_output: f64,
    /// A server's own words about wrong arguments.
    pub(crate) server_error: u64,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            requests: 30,
            context: 60_000,
            cache_read: 0.1,
            cache_write: 1.25,
            output: 5.0,
            turn_output: 100.0,
            server_error: 40,
        }
    }
}

/// A tool as the script knows it.
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) definition: String,
    /// What is searched for first, and if that does not find it.
    pub(crate) queries: [String; 2],
}

/// Reads the tools of a fleet.
pub(crate) fn tools(fleet: &Fleet) -> Vec<Tool> {
    fleet
        .tools()
        .map(|raw| {
            let view = ToolView::parse(raw).ok();
            let name = view
                .as_ref()
                .and_then(ToolView::name_text)
                .unwrap_or_default();
            let description = view
                .as_ref()
                .and_then(|view| view.description)
                .and_then(string_text)
                .unwrap_or_default();
            let own = name.rsplit_once("__").map_or(&*name, |(_, own)| own);
            let by_name = own.replace(|c: char| !c.is_alphanumeric(), " ");
            let sentence = description
                .split(['.', '\n'])
                .map(str::trim)
                .find(|text| !text.is_empty());
            let words: Vec<&str> = sentence.unwrap_or(&by_name).split_whitespace().collect();
            Tool {
                queries: [words[..words.len().min(QUERY_WORDS)].join(" "), by_name],
                name: name.into_owned(),
                definition: raw.to_owned(),
            }
        })
        .collect()
}

/// Which tools a conversation calls, in groups; the same for the same fleet, number and draw.
pub(crate) fn script(fleet: &str, n_tools: usize, n_called: usize, draw: u64) -> Vec<Vec<usize>> {
    let seed = blake3::hash(format!("{fleet}/{n_called}/{draw}").as_bytes());
    let mut state = seed.as_bytes()[..8]
        .iter()
        .fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    // SplitMix64.
    let mut random = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let mut left: Vec<usize> = (0..n_tools).collect();
    let mut called = Vec::new();
    while called.len() < n_called && !left.is_empty() {
        let at = (random() % left.len() as u64) as usize;
        called.push(left.swap_remove(at));
    }
    called.chunks(GROUP).map(<[usize]>::to_vec).collect()
}

/// What one conversation came to.
#[derive(Default, Clone)]
pub(crate) struct Talk {
    /// Requests that a bare server would need too.
    requests: u64,
    /// Tokens of definitions in every request.
    pub(crate) list: u64,
    /// Tokens of other texts, each with the number of requests that read it again.
    texts: Vec<(u64, u64)>,
    pub(crate) turns: u64,
    /// Tokens that the model writes besides those of the extra turns.
    written: u64,
    /// Tools that two searches did not find.
    pub(crate) missed: u64,
}

impl Talk {
    pub(crate) fn answers(&self) -> u64 {
        self.texts.iter().map(|(tokens, _)| tokens).sum()
    }

    /// Tokens in the window at the end.
    pub(crate) fn window(&self) -> u64 {
        self.list + self.answers()
    }

    /// Tokens that all requests together read of it.
    pub(crate) fn read(&self) -> u64 {
        let texts: u64 = self
            .texts
            .iter()
            .map(|(tokens, rest)| tokens * (1 + rest))
            .sum();
        self.list * (self.requests + self.turns) + texts
    }

    /// The cost with caching: of the list, the answers, and the extra turns.
    pub(crate) fn cached(&self, rule: &Rule) -> [f64; 3] {
        let kept = |tokens: u64, rest: u64| {
            tokens as f64 * (rule.cache_write + rule.cache_read * rest as f64)
        };
        let texts: f64 = self
            .texts
            .iter()
            .map(|(tokens, rest)| kept(*tokens, *rest))
            .sum();
        let turn = rule.cache_read * rule.context as f64 + rule.output * rule.turn_output;
        [
            kept(self.list, self.requests - 1),
            texts + rule.output * self.written as f64,
            turn * self.turns as f64,
        ]
    }

    /// The cost without caching.
    pub(crate) fn uncached(&self, rule: &Rule) -> f64 {
        let texts: u64 = self
            .texts
            .iter()
            .map(|(tokens, rest)| tokens * (1 + rest))
            .sum();
        let turn = rule.context as f64 + rule.output * rule.turn_output;
        (self.list * self.requests + texts) as f64
            + turn * self.turns as f64
            + rule.output * self.written as f64
    }
}

/// Who answers.
pub(crate) enum Contender<'a> {
    /// The servers as they are.
    Bare,
    /// A surface of ours.
    Ours { made: &'a Made },
    /// A short listing, schemas on demand and a caller.
    OnDemand {
        schema: &'a dyn Fn(&str) -> String,
        /// What has to be asked for once before anything is known.
        listing: Option<&'a str>,
        invoke: &'a str,
    },
    /// A search and a caller; answers by query, and how an answer shows that it has a tool.
    SearchOnly {
        answer: &'a dyn Fn(&str) -> Option<String>,
        shows: fn(&str, &str) -> bool,
    },
}

struct Run<'a> {
    counter: &'a Memo,
    rule: &'a Rule,
    talk: Talk,
    /// Requests left after the one at hand.
    rest: u64,
    /// Tools that an answer has named.
    seen: Vec<bool>,
    /// Tools whose parameters an answer has shown.
    shown: Vec<bool>,
    tools: &'a [Tool],
}

/// Plays a script.
pub(crate) fn play(
    contender: &Contender<'_>,
    list: u64,
    tools: &[Tool],
    script: &[Vec<usize>],
    rule: &Rule,
    counter: &Memo,
) -> Talk {
    let n_called: usize = script.iter().map(Vec::len).sum();
    let requests = rule.requests.max((n_called + script.len()) as u64);
    let mut run = Run {
        counter,
        rule,
        talk: Talk {
            requests,
            list,
            ..Talk::default()
        },
        rest: 0,
        seen: vec![false; tools.len()],
        shown: vec![false; tools.len()],
        tools,
    };
    let mut n_calls = 0;
    for (at, group) in script.iter().enumerate() {
        run.rest = requests - 1 - at as u64 * requests / script.len() as u64;
        match contender {
            Contender::Bare => {}
            Contender::Ours { made } => run.look_up(made, group),
            Contender::OnDemand {
                schema,
                listing,
                invoke,
            } => {
                if let Some(listing) = listing.filter(|_| at == 0) {
                    run.talk.turns += 1;
                    run.text(listing);
                }
                run.talk.turns += 1;
                for tool in group {
                    let name = &tools[*tool].name;
                    run.text(&serde_json::json!({ "tool_name": name }).to_string());
                    run.text(&schema(name));
                    run.wrap(invoke, name);
                }
            }
            Contender::SearchOnly { answer, shows } => run.search_only(group, *answer, *shows),
        }
        for tool in group {
            if n_calls % 10 == WRONG {
                run.call_wrongly(contender, &tools[*tool]);
            }
            n_calls += 1;
        }
    }
    run.talk
}

impl Run<'_> {
    fn text(&mut self, text: &str) {
        self.talk.texts.push((self.counter.of(text), self.rest));
    }

    /// A call through another tool repeats that tool's name and wraps the arguments.
    fn wrap(&mut self, caller: &str, name: &str) {
        let plain = self.counter.of(&format!("{name}{{}}"));
        let wrapped = format!("{caller}{{\"name\":\"{name}\",\"arguments\":{{}}}}");
        let more = self.counter.of(&wrapped).saturating_sub(plain);
        self.talk.texts.push((more, self.rest));
        self.talk.written += more;
    }

    /// Searches for tools whose parameters nothing has shown yet: by what they do, and by name what an
    /// answer has only named. What is still not shown is searched once more by its name.
    fn search(
        &mut self,
        wanted: &[usize],
        mut answer: impl FnMut(&[String]) -> Vec<String>,
        names: fn(&str, &str) -> bool,
        shows: fn(&str, &str) -> bool,
    ) {
        for attempt in 0..2 {
            let queries: Vec<String> = wanted
                .iter()
                .filter(|tool| !self.shown[**tool])
                .map(|tool| {
                    let by_name = attempt == 1 || self.seen[*tool];
                    self.tools[*tool].queries[usize::from(by_name)].clone()
                })
                .collect();
            if queries.is_empty() {
                return;
            }
            self.talk.turns += 1;
            self.text(&serde_json::json!({ "queries": queries }).to_string());
            for text in answer(&queries) {
                self.text(&text);
                for (at, tool) in self.tools.iter().enumerate() {
                    self.seen[at] = self.seen[at] || names(&text, &tool.name);
                    self.shown[at] = self.shown[at] || shows(&text, &tool.name);
                }
            }
        }
        self.talk.missed += wanted.iter().filter(|tool| !self.seen[**tool]).count() as u64;
    }

    /// Asks for definitions of tools of which only the names are known.
    fn describe(&mut self, made: &Made, wanted: &[usize]) {
        if wanted.is_empty() {
            return;
        }
        self.talk.turns += 1;
        let names: Vec<String> = wanted
            .iter()
            .map(|tool| self.tools[*tool].name.clone())
            .collect();
        self.text(&serde_json::json!({ "names": names }).to_string());
        self.text(&made.describe(&names, &as_made));
        for tool in wanted {
            self.shown[*tool] = true;
        }
    }

    fn look_up(&mut self, made: &Made, group: &[usize]) {
        let tools = self.tools;
        let at = |rung: Rung| -> Vec<usize> {
            let shown = |tool: &&usize| {
                made.tool(&tools[**tool].name)
                    .is_some_and(|tool| tool.rung == rung)
            };
            group.iter().filter(shown).copied().collect()
        };
        let hidden = at(Rung::Hidden);
        if !hidden.is_empty() {
            let answer =
                |queries: &[String]| match made.search(queries, None, DEFAULT_RESULTS, &as_made) {
                    Ok(text) => vec![text],
                    Err(_) => Vec::new(),
                };
            self.search(&hidden, answer, has_name, is_rendered);
            let unshown: Vec<usize> = hidden
                .iter()
                .copied()
                .filter(|tool| !self.shown[*tool])
                .collect();
            self.describe(made, &unshown);
            for tool in &hidden {
                let name = &tools[*tool].name;
                if let Some(tool) = made.tool(name) {
                    self.wrap(made.surface.names.of(MetaTool::Call(tool.risk)), name);
                }
            }
        }
        // Without its parameters the first call fails, and the answer has the schema.
        let named = at(Rung::Name);
        if !named.is_empty() {
            self.talk.turns += 1;
        }
        for tool in named {
            let tool = &tools[tool];
            let faults = faults(&tool.definition);
            let text = if faults.is_empty() {
                made.describe(std::slice::from_ref(&tool.name), &as_made)
            } else {
                tool_error_text(&tool.name, &faults, &tool.definition, Rung::Name)
            };
            self.text(&text);
        }
    }

    fn search_only(
        &mut self,
        group: &[usize],
        answer: &dyn Fn(&str) -> Option<String>,
        shows: fn(&str, &str) -> bool,
    ) {
        let answers =
            |queries: &[String]| queries.iter().filter_map(|query| answer(query)).collect();
        self.search(group, answers, shows, shows);
        for tool in group {
            self.wrap("call_tool", &self.tools[*tool].name);
        }
    }

    fn call_wrongly(&mut self, contender: &Contender<'_>, tool: &Tool) {
        self.talk.turns += 1;
        let faults = faults(&tool.definition);
        let rung = match contender {
            Contender::Ours { made, .. } => made.tool(&tool.name).map(|tool| tool.rung),
            _ => None,
        };
        if let Some(rung) = rung.filter(|rung| *rung >= Rung::Dense && !faults.is_empty()) {
            let text = tool_error_text(&tool.name, &faults, &tool.definition, rung);
            self.text(&text);
            return;
        }
        // Servers on the official SDKs name the parameter at fault; then we add nothing.
        self.talk.texts.push((self.rule.server_error, self.rest));
        let said: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        let said = said.join("\n");
        if let Some(rung) = rung
            && let Some(help) =
                help_for_server_error(&tool.name, &faults, &tool.definition, rung, &said)
        {
            self.text(&help);
        }
    }
}

/// Tells whether a search's answer names a tool.
fn has_name(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, found)| {
        let is_part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(|c| is_part(c) && c != '.')
    })
}

/// Tells whether a search's answer shows a tool with its parameters.
fn is_rendered(text: &str, name: &str) -> bool {
    text.lines()
        .filter_map(|line| line.strip_prefix("- ["))
        .filter_map(|line| line.split_once("] "))
        .filter_map(|(_, rest)| rest.strip_prefix(name))
        .any(|rest| {
            !rest.is_empty() && !rest.starts_with(|c: char| c.is_alphanumeric() || "_-".contains(c))
        })
}

/// What the schema says of arguments that somebody guessed: none, or one that no tool has.
fn faults(definition: &str) -> Vec<Fault> {
    let schema = ToolView::parse(definition)
        .ok()
        .and_then(|view| view.input_schema);
    let Some(validator) =
        schema.and_then(|schema| Validator::compile(schema, &Limits::default()).ok())
    else {
        return Vec::new();
    };
    for guess in [&b"{}"[..], br#"{"guessed":true}"#] {
        if let Verdict::Faulty(faults) = validator.check(guess) {
            return faults;
        }
    }
    Vec::new()
}

/// No server changes while this is measured.
fn as_made(_: &str) -> Live {
    Live::Unknown
}
