//! A surface with what calls need of it: which tool a name means, its definition as it was sent, its risk
//! class, and an index where tools are hidden. Pure; made away from the event loop.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::catalog::app::is_for_model;
use crate::catalog::risk::RiskClass;
use crate::catalog::tool_view::{ToolView, string_text};
use crate::jsonrpc::members::{get, get_text};
use crate::search::{Definition, Entry, Index, Request, Table, UnknownServer, Verdict};
use crate::surface::ladder::{LadderOptions, OPEN_SCHEMAS, Rung, render};
use crate::surface::meta_tools::{
    CallCost, Described, Found, KnownTools, MetaNames, MetaTool, NAMED_RESULTS, SearchAnswer,
    describe_text, placed_names, search_text,
};
use crate::surface::parameters::may_be_given;
use crate::surface::plan::{Part, Settings, Shown, Surface, plan};
use crate::token::TokenCounter;

/// One tool as calls and searches see it.
#[derive(Debug)]
pub struct Tool {
    /// The name that clients see.
    pub name: String,
    /// The definition as its server sent it, but for the name.
    pub definition: Bytes,
    /// Its class.
    pub risk: RiskClass,
    /// What it is shown in.
    pub rung: Rung,
    /// Its schema is listed, maybe with shorter texts or none, and not an open one.
    pub shows_schema: bool,
    /// Place of its server among the parts.
    pub part: usize,
    /// One line for search results.
    line: String,
    /// Whether searches and descriptions may tell of it.
    is_for_model: bool,
}

/// Share of the best score that a result needs to be rendered; others of a clear search are only named.
const RENDERED_FROM: f64 = 0.6;

/// What became of a tool since the surface was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// Nothing, as far as is known.
    Unknown,
    /// Its server does not have it any more.
    Gone,
    /// It is this now, named as clients see it.
    Tool(Bytes),
}

impl Live {
    /// Whether the tool is gone as far as a model is concerned.
    fn is_gone(&self) -> bool {
        match self {
            Self::Gone => true,
            Self::Tool(raw) => !is_for_model(raw),
            Self::Unknown => false,
        }
    }
}

/// A surface that was made.
#[derive(Debug)]
pub struct Made {
    /// What is listed.
    pub surface: Surface,
    tools: Vec<Tool>,
    by_name: HashMap<String, usize>,
    servers: Vec<String>,
    /// Places of the tools that the index knows, in its order.
    searched: Vec<usize>,
    index: Option<Index>,
}

impl Made {
    /// Plans a surface and indexes it where it hides tools.
    pub fn of(parts: &[Part], settings: &Settings, counter: &dyn TokenCounter) -> Self {
        Self::with(parts, plan(parts, settings, counter))
    }

    /// Takes a surface that was planned before, if it is one of these tools.
    pub fn from_planned(parts: &[Part], mut surface: Surface) -> Option<Self> {
        let fits = surface.tools.len() == parts.len()
            && surface
                .tools
                .iter()
                .zip(parts)
                .all(|(shown, part)| shown.len() == part.tools.len());
        if !fits {
            return None;
        }
        if surface.hides() || surface.read_result.is_some() {
            let names: Vec<String> = parts
                .iter()
                .flat_map(|part| &part.tools)
                .filter_map(|raw| get_text(raw, "name"))
                .collect();
            surface.names = placed_names(names.iter().map(String::as_str));
        }
        Some(Self::with(parts, surface))
    }

    /// The definitions as they came, for when planning failed.
    pub fn untouched(parts: &[Part]) -> Self {
        let shown = |text: &Bytes| Shown {
            rung: Rung::Full,
            text: Some(text.clone()),
        };
        let surface = Surface {
            tools: parts
                .iter()
                .map(|part| part.tools.iter().map(shown).collect())
                .collect(),
            meta_tools: Vec::new(),
            read_result: None,
            names: MetaNames::default(),
            cost: None,
            budget: None,
            shortfall: None,
        };
        Self::with(parts, surface)
    }

    fn with(parts: &[Part], surface: Surface) -> Self {
        let hides = surface.hides();
        let mut tools = Vec::new();
        let mut by_name = HashMap::new();
        for (at, part) in parts.iter().enumerate() {
            for (raw, shown) in part.tools.iter().zip(&surface.tools[at]) {
                let text = std::str::from_utf8(raw).unwrap_or_default();
                let view = ToolView::parse(text).ok();
                let name = view
                    .as_ref()
                    .and_then(ToolView::name_text)
                    .unwrap_or_default();
                // Twins cannot be called apart; the first one keeps the name.
                by_name
                    .entry(name.clone().into_owned())
                    .or_insert(tools.len());
                tools.push(Tool {
                    name: name.into_owned(),
                    definition: raw.clone(),
                    risk: view
                        .as_ref()
                        .map_or(RiskClass::Destructive, RiskClass::of_tool),
                    rung: shown.rung,
                    shows_schema: shown.text.as_deref().is_some_and(shows_schema),
                    part: at,
                    line: if hides { line_of(text) } else { String::new() },
                    is_for_model: is_for_model(raw),
                });
            }
        }
        let servers: Vec<String> = parts.iter().map(|part| part.server.clone()).collect();
        let searched: Vec<usize> = (0..tools.len())
            .filter(|at| tools[*at].is_for_model)
            .collect();
        let index = hides.then(|| with_entries(&tools, &searched, &servers, Index::build));
        Self {
            surface,
            tools,
            by_name,
            servers,
            searched,
            index,
        }
    }

    /// Tells whether tools are searched, so that a table would help.
    pub fn is_searched(&self) -> bool {
        self.index.is_some()
    }

    /// Lets nearness of meaning count in searches. What is listed does not change.
    #[must_use]
    pub fn with_table(mut self, table: Arc<Table>) -> Self {
        if let Some(index) = self.index.take() {
            let (searched, servers) = (&self.searched, &self.servers);
            self.index = Some(with_entries(&self.tools, searched, servers, |entries| {
                index.with_table(entries, table)
            }));
        }
        self
    }

    /// Returns the tool of a name that clients see.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.by_name.get(name).map(|at| &self.tools[*at])
    }

    /// Returns which of our own tools a name means.
    pub fn meta_tool(&self, name: &str) -> Option<MetaTool> {
        if self.by_name.contains_key(name) {
            return None;
        }
        self.surface.names.which(name).filter(|tool| match tool {
            MetaTool::Read => self.surface.read_result.is_some(),
            _ => self.surface.hides(),
        })
    }

    /// Answers a search of which no calls are known: see [`Self::search_with_costs`].
    ///
    /// # Errors
    /// When the filter names no server; the text names those there are.
    pub fn search(
        &self,
        queries: &[String],
        server: Option<&str>,
        limit: usize,
        live: &dyn Fn(&str) -> Live,
    ) -> Result<String, UnknownServer> {
        self.search_with_costs(queries, server, limit, live, &|_| None)
    }

    /// Answers a search: what a model reads. Of each query the first `limit` results that come near the best
    /// are rendered, the next are named. Tools that are gone are not found; `cost` says what calls of a tool
    /// have cost, if that is known.
    ///
    /// # Errors
    /// When the filter names no server; the text names those there are.
    pub fn search_with_costs(
        &self,
        queries: &[String],
        server: Option<&str>,
        limit: usize,
        live: &dyn Fn(&str) -> Live,
        cost: &dyn Fn(&str) -> Option<CallCost>,
    ) -> Result<String, UnknownServer> {
        let Some(index) = &self.index else {
            return Ok(search_text(&[]));
        };
        let names_servers = self.servers.len() > 1;
        let mut answers = Vec::new();
        for query in queries {
            let answer = index.answer(&Request {
                queries: &[query],
                server: server.filter(|_| names_servers),
                limit: limit.max(NAMED_RESULTS),
            });
            let answer = match answer {
                Ok(answer) => answer,
                // The index knows servers by their tools; this one has none.
                Err(unknown) if self.servers.contains(&unknown.server) => {
                    answers.push(SearchAnswer {
                        query,
                        found: Vec::new(),
                        did_you_mean: None,
                    });
                    continue;
                }
                Err(unknown) => return Err(unknown),
            };
            let fits = answer.verdict != Verdict::NothingFits;
            // What is gone takes no place, and nothing is measured by it.
            let there: Vec<_> = answer
                .hits
                .iter()
                .filter(|_| fits)
                .map(|hit| (hit, live(&self.searched_tool(hit.tool).name)))
                .filter(|(_, now)| !now.is_gone())
                .collect();
            let best = there.iter().map(|(hit, _)| hit.score).fold(0.0, f64::max);
            let mut left = limit;
            let found = there.iter().map(|(hit, now)| {
                let tool = self.searched_tool(hit.tool);
                let is_near = hit.named.is_some() || hit.score >= best * RENDERED_FROM;
                let is_rendered = left > 0 && is_near;
                left = left.saturating_sub(1);
                // What the list shows with its parameters is not shown again.
                let is_listed = tool.rung < Rung::Name;
                Found {
                    name: &tool.name,
                    line: (is_rendered && !is_listed).then_some(tool.line.as_str()),
                    is_listed: is_rendered && is_listed,
                    // The class by which a call is judged.
                    risk: match now {
                        Live::Tool(raw) => RiskClass::of_definition(raw),
                        Live::Unknown | Live::Gone => tool.risk,
                    },
                    server: names_servers.then(|| self.servers[tool.part].as_str()),
                    cost: cost(&tool.name),
                }
            });
            let found = found.collect();
            let did_you_mean = self.did_you_mean(query);
            answers.push(SearchAnswer {
                query,
                found,
                did_you_mean: did_you_mean.filter(|name| !live(name).is_gone()),
            });
        }
        Ok(search_text(&answers))
    }

    /// Shows definitions of which no results are known: see [`Self::describe_with_shapes`].
    pub fn describe(
        &self,
        names: &[String],
        output_schema: bool,
        live: &dyn Fn(&str) -> Live,
    ) -> String {
        self.describe_with_shapes(names, output_schema, live, &|_, _| None)
    }

    /// Shows definitions as they are now: what a model reads. Long output schemas only if they are asked for;
    /// `shape` says how results of a tool looked before, by its name and definition, if that is known.
    pub fn describe_with_shapes<'a>(
        &self,
        names: &[String],
        output_schema: bool,
        live: &dyn Fn(&str) -> Live,
        shape: &dyn Fn(&str, &str) -> Option<&'a str>,
    ) -> String {
        let now: Vec<Live> = names.iter().map(|name| live(name)).collect();
        let described: Vec<Described<'_>> = names
            .iter()
            .zip(&now)
            .map(|(name, now)| match (now, self.tool(name)) {
                (Live::Tool(raw), _) if !now.is_gone() => {
                    let definition = std::str::from_utf8(raw).unwrap_or_default();
                    Described::Tool {
                        name,
                        risk: RiskClass::of_definition(raw),
                        definition,
                        shape: shape(name, definition),
                    }
                }
                (Live::Unknown, Some(tool)) if tool.is_for_model => {
                    let definition = std::str::from_utf8(&tool.definition).unwrap_or_default();
                    Described::Tool {
                        name: &tool.name,
                        risk: tool.risk,
                        definition,
                        shape: shape(&tool.name, definition),
                    }
                }
                _ => Described::Unknown {
                    name,
                    did_you_mean: self.did_you_mean(name).filter(|other| other != name),
                },
            })
            .collect();
        describe_text(&described, output_schema)
    }

    /// Returns the tool that a name may have meant.
    pub fn did_you_mean(&self, name: &str) -> Option<&str> {
        let nearest = self.index.as_ref()?.nearest_names(name, 1);
        Some(self.searched_tool(*nearest.first()?).name.as_str())
    }

    /// The tool at a place of the index.
    fn searched_tool(&self, at: usize) -> &Tool {
        &self.tools[self.searched[at]]
    }

    /// Tells whether the caller of a class is listed: of the classes that no tool had when the list was made it is
    /// not.
    pub fn lists_caller(&self, class: RiskClass) -> bool {
        let caller = self.surface.names.of(MetaTool::Call(class));
        let mut own = self.surface.meta_tools.iter();
        own.any(|raw| get_text(raw, "name").as_deref() == Some(caller))
    }

    /// Returns the names of the tools that are listed, ours left out.
    pub fn listed_names(&self) -> impl Iterator<Item = &str> {
        let listed = self.tools.iter().filter(|tool| tool.rung != Rung::Hidden);
        listed.map(|tool| tool.name.as_str())
    }

    /// Returns the names of the servers.
    pub fn servers(&self) -> &[String] {
        &self.servers
    }
}

impl KnownTools for Made {
    fn is_tool(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    fn has_parameter(&self, tool: &str, parameter: &str) -> bool {
        match self.tool(tool) {
            Some(tool) => may_be_given(&tool.definition, parameter),
            // What came since may have any; of ours all are known.
            None => self.surface.names.which(tool).is_none(),
        }
    }
}

/// Whether a listed tool says what it takes to whoever reads its schema.
fn shows_schema(listed: &[u8]) -> bool {
    get(listed, "inputSchema").is_some_and(|schema| {
        OPEN_SCHEMAS
            .iter()
            .all(|open_schema| open_schema.as_bytes() != schema)
    })
}

/// A tool in one line: its signature, or the start of its description where it has none.
fn line_of(raw: &str) -> String {
    let options = LadderOptions {
        may_use_open_schema: true,
        ..LadderOptions::default()
    };
    let signature = render(raw, Rung::Signature, &options);
    let text = signature.text.as_deref().unwrap_or(raw);
    ToolView::parse(text)
        .ok()
        .and_then(|view| view.description)
        .and_then(string_text)
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}

/// Reads the tools at these places as search sees them.
fn with_entries<T>(
    tools: &[Tool],
    searched: &[usize],
    servers: &[String],
    visit: impl FnOnce(&[Entry<'_>]) -> T,
) -> T {
    let tools: Vec<&Tool> = searched.iter().map(|at| &tools[*at]).collect();
    let read: Vec<Definition<'_>> = tools
        .iter()
        .map(|tool| {
            let text = std::str::from_utf8(&tool.definition).unwrap_or_default();
            Definition::parse(text).unwrap_or_default()
        })
        .collect();
    let entries: Vec<Entry<'_>> = read
        .iter()
        .zip(&tools)
        .map(|(definition, tool)| definition.entry(&tool.name, &servers[tool.part], None))
        .collect();
    visit(&entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surface::meta_tools::{MetaCall, parse_call};
    use crate::surface::plan::Budget;
    use crate::token::{Encoding, TiktokenCounter};

    fn parts() -> Vec<Part> {
        let tool = |name: &str, text: &str, hint: &str| {
            Bytes::from(format!(
                r#"{{"name":"{name}","description":"{text}","inputSchema":{{"type":"object","properties":{{"path":{{"type":"string","description":"{}"}}}}}},"annotations":{{{hint}}}}}"#,
                "Where it is, seen from the root. ".repeat(20)
            ))
        };
        vec![
            Part {
                server: "files".into(),
                tools: vec![
                    tool(
                        "files__read_text",
                        "Read a text file.",
                        r#""readOnlyHint":true"#,
                    ),
                    tool(
                        "files__delete_folder",
                        "Delete a folder and what is in it.",
                        "",
                    ),
                ],
            },
            Part {
                server: "mail".into(),
                tools: vec![
                    tool(
                        "mail__send_message",
                        "Send an e-mail.",
                        r#""destructiveHint":false"#,
                    ),
                    tool(
                        "search_tools",
                        "Search tools of the workshop.",
                        r#""readOnlyHint":true"#,
                    ),
                ],
            },
        ]
    }

    fn made_of(parts: &[Part]) -> Made {
        let settings = Settings {
            budget: Budget::Tokens(450),
            pins: vec!["*=hidden".parse().unwrap()],
            ..Settings::default()
        };
        Made::of(parts, &settings, &TiktokenCounter::new(Encoding::O200kBase))
    }

    fn made() -> Made {
        made_of(&parts())
    }

    #[test]
    fn hidden_tools_are_found_described_and_told_apart() {
        let made = made();
        assert!(made.surface.hides(), "{:?}", made.surface.shortfall);
        let found = made
            .search(
                &["delete a directory".into(), "xylophone".into()],
                None,
                5,
                &|_| Live::Unknown,
            )
            .unwrap();
        assert!(
            found.contains("[destructive] files__delete_folder"),
            "{found}"
        );
        assert!(found.contains("\"xylophone\": nothing fits."), "{found}");
        let only_mail = made
            .search(&["delete a directory".into()], Some("mail"), 5, &|_| {
                Live::Unknown
            })
            .unwrap();
        assert!(!only_mail.contains("files__"), "{only_mail}");
        let unknown = made
            .search(&["x".into()], Some("post"), 5, &|_| Live::Unknown)
            .unwrap_err();
        // Nor are tools known of a server that is configured and has not come up.
        assert_eq!(
            unknown.to_string(),
            "no tools are known of a server called `post`"
        );
        let text = made.describe(
            &["mail__send_message".into(), "mail__sendmessage".into()],
            false,
            &|_| Live::Unknown,
        );
        assert!(text.contains("Where it is, seen from the root."), "{text}");
        assert!(
            text.contains("mail__sendmessage`: no such tool. Did you mean"),
            "{text}"
        );
    }

    /// Broken variants that this catches: one that shows the class of the list, by which no call is judged any
    /// more, one in which tools that are gone take the places of others, and one that denies a server without tools.
    #[test]
    fn a_search_says_what_is_true_now() {
        let mut parts = parts();
        parts.push(Part {
            server: "empty".into(),
            tools: Vec::new(),
        });
        let made = made_of(&parts);
        let queries = ["delete a folder of files".to_owned()];
        let search =
            |limit, live: &dyn Fn(&str) -> Live| made.search(&queries, None, limit, live).unwrap();
        let changed = Bytes::from_static(
            br#"{"name":"files__delete_folder","annotations":{"readOnlyHint":true}}"#,
        );
        let text = search(5, &|name| match name {
            "files__delete_folder" => Live::Tool(changed.clone()),
            _ => Live::Unknown,
        });
        assert!(text.contains("[read] files__delete_folder"), "{text}");
        let first = |text: &str| {
            let line = text.lines().nth(1).unwrap_or_default().to_owned();
            assert!(line.starts_with("- ["), "{text}");
            line
        };
        let before = first(&search(1, &|_| Live::Unknown));
        let after = search(1, &|name| match before.contains(name) {
            true => Live::Gone,
            false => Live::Unknown,
        });
        assert_ne!(first(&after), before);
        let of_server = |server| {
            let live = |_: &str| Live::Unknown;
            made.search(&queries, Some(server), 5, &live)
        };
        assert!(of_server("empty").unwrap().contains("nothing fits."));
        assert!(of_server("none").is_err());
    }

    /// Broken variants that this catches: one that indexes what only an App may use, one that takes places of the
    /// index for places of the list, and one that asks only the definition that was listed.
    #[test]
    fn what_is_not_for_the_model_is_not_told_to_it() {
        let for_app = |name: &str| {
            Bytes::from(format!(
                r#"{{"name":"{name}","description":"Refresh the board of the workshop.","inputSchema":{{"type":"object"}},"annotations":{{"readOnlyHint":true}},"_meta":{{"ui":{{"visibility":["app"]}}}}}}"#
            ))
        };
        let mut parts = parts();
        parts[0].tools.insert(0, for_app("files__refresh_board"));
        let made = made_of(&parts);
        assert!(made.surface.hides());
        let search = |query: &str, live: &dyn Fn(&str) -> Live| {
            made.search(&[query.to_owned()], None, 5, live).unwrap()
        };
        let unchanged = |_: &str| Live::Unknown;
        let found = search("refresh the board", &unchanged);
        assert!(!found.contains("refresh_board"), "{found}");
        let found = search("delete a folder", &unchanged);
        assert!(
            found.contains("[destructive] files__delete_folder"),
            "{found}"
        );
        let names = [
            "files__refresh_board".to_owned(),
            "files__delete_folder".to_owned(),
        ];
        let text = made.describe(&names, false, &unchanged);
        assert!(
            text.contains("`files__refresh_board`: no such tool."),
            "{text}"
        );
        assert!(
            text.contains("`files__delete_folder` [destructive]"),
            "{text}"
        );
        assert_ne!(
            made.did_you_mean("files__refresh_bord"),
            Some("files__refresh_board")
        );
        // Its App calls it by its own name.
        assert!(made.tool("files__refresh_board").is_some());
        // One that the model might have known became one of those.
        let now = for_app("files__read_text");
        let live = |name: &str| match name {
            "files__read_text" => Live::Tool(now.clone()),
            _ => Live::Unknown,
        };
        let found = search("read a text file", &live);
        assert!(!found.contains("files__read_text"), "{found}");
        let text = made.describe(&["files__read_text".to_owned()], false, &live);
        assert!(text.contains("no such tool"), "{text}");
    }

    /// Broken variant that this catches: every caller is told to be there.
    #[test]
    fn callers_are_listed_for_the_classes_that_there_were() {
        let made = made_of(&parts()[1..]);
        assert!(made.surface.hides());
        let listed = RiskClass::ALL.map(|class| made.lists_caller(class));
        assert_eq!(listed, [true, true, false]);
        assert!(!Made::untouched(&parts()).lists_caller(RiskClass::Read));
    }

    #[test]
    fn a_table_changes_searches_and_not_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/search/table");
        let table = crate::embeddings::load(std::path::Path::new(folder)).unwrap();
        let (before, after) = (made(), made().with_table(Arc::new(table)));
        assert!(after.is_searched());
        assert_eq!(
            format!("{:?}", before.surface),
            format!("{:?}", after.surface)
        );
        let search = |made: &Made| {
            made.search(&["read a document file".into()], None, 5, &|_| {
                Live::Unknown
            })
        };
        let (before, after) = (search(&before).unwrap(), search(&after).unwrap());
        assert!(after.contains("files__read_text"), "{after}");
        assert!(after.len() > before.len(), "more is found: {after}");
    }

    #[test]
    fn a_servers_own_tool_keeps_its_name() {
        let made = made();
        assert_eq!(made.meta_tool("search_tools"), None);
        assert_eq!(made.meta_tool("search_tools_2"), Some(MetaTool::Search));
        assert_eq!(
            made.meta_tool("call_read_tool"),
            Some(MetaTool::Call(RiskClass::Read))
        );
        assert!(made.is_tool("search_tools") && !made.is_tool("nothing"));
        assert!(made.has_parameter("files__read_text", "path"));
        assert!(!made.has_parameter("files__read_text", "type"));
    }

    /// Broken variants that this catches: one that knows only `properties` at the top of a schema, one that leaves out
    /// that more may be given, and one that takes a tool of which nothing is known for one without parameters.
    #[test]
    fn what_may_be_a_tools_own_parameter_is_not_taken_for_our_wrapper() {
        let tool = |name: &str, schema: &str| {
            Bytes::from(format!(r#"{{"name":"{name}","inputSchema":{schema}}}"#))
        };
        let parts = vec![Part {
            server: "s".into(),
            tools: vec![
                tool(
                    "run_task",
                    r#"{"type":"object","allOf":[{"properties":{"arguments":{"type":"object"}},"required":["arguments"]}]}"#,
                ),
                tool("free", r#"{"type":"object"}"#),
                tool(
                    "store",
                    r#"{"type":"object","properties":{"x":{}},"additionalProperties":{"type":"object"}}"#,
                ),
                tool("plain", r#"{"type":"object","properties":{"x":{}}}"#),
            ],
        }];
        let made = Made::untouched(&parts);
        let sent = |call: &str| {
            let caller = MetaTool::Call(RiskClass::Destructive);
            match parse_call(caller, call.as_bytes(), &made.surface.names, &made) {
                Ok(MetaCall::Call { arguments, .. }) => String::from_utf8(arguments).unwrap(),
                other => panic!("{call}: {other:?}"),
            }
        };
        let twice = |name: &str| {
            sent(&format!(
                r#"{{"name":"{name}","arguments":{{"arguments":{{"x":1}}}}}}"#
            ))
        };
        for name in ["run_task", "free", "store", "came_later"] {
            assert_eq!(twice(name), r#"{"arguments":{"x":1}}"#, "{name}");
        }
        assert_eq!(twice("plain"), r#"{"x":1}"#);
        let through_two =
            r#"{"name":"call_read_tool","params":{"name":"plain","arguments":{"x":1}}}"#;
        assert_eq!(sent(through_two), r#"{"x":1}"#);
    }

    /// Broken variant that this catches: the rung taken for what is listed, although `short` and `signature` list the
    /// real schema for clients that take no open one.
    #[test]
    fn whether_the_schema_is_shown_depends_on_the_client() {
        for (form, has_real, has_open) in [
            ("short", true, false),
            ("signature", true, false),
            ("hidden", false, false),
        ] {
            for (may_use_open_schema, expected) in [(false, has_real), (true, has_open)] {
                let mut settings = Settings {
                    budget: Budget::Tokens(100_000),
                    pins: vec![format!("*={form}").parse().unwrap()],
                    ..Settings::default()
                };
                settings.form.may_use_open_schema = may_use_open_schema;
                let counter = TiktokenCounter::new(Encoding::O200kBase);
                let made = Made::of(&parts(), &settings, &counter);
                let tool = made.tool("files__read_text").unwrap();
                assert_eq!(tool.rung.as_str(), form);
                assert_eq!(tool.shows_schema, expected, "{form} {may_use_open_schema}");
            }
        }
        let made = Made::untouched(&parts());
        assert!(made.tool("files__read_text").unwrap().shows_schema);
    }

    #[test]
    fn what_cannot_be_planned_stays() {
        let parts = vec![Part {
            server: "s".into(),
            tools: vec![Bytes::from_static(b"7"), Bytes::from_static(b"{}")],
        }];
        let made = Made::untouched(&parts);
        let texts: Vec<_> = made.surface.tools[0]
            .iter()
            .map(|tool| tool.text.clone().unwrap())
            .collect();
        assert_eq!(texts, parts[0].tools);
        assert_eq!(made.meta_tool("search_tools"), None);
    }
}
