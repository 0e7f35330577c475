//! How results are shown: the settings, and what they come to for one client. Values only.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::config::profiles::{Profile, ResultChannel};
use crate::hub::projection::ProjectionSettings;
use crate::hub::settings::ResultForm;
use crate::result::images::Vision;
use crate::result::images::tokens::Formula;
use crate::result::link::Links;
use crate::result::options::{Cap, Channel};
use crate::surface::plan::ReadsResults;
use crate::token::Tokens;

/// How much of one result is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CapChoice {
    /// Below what every known client takes.
    #[default]
    Auto,
    /// All of it.
    Unlimited,
    /// So many tokens.
    Tokens(u64),
}

/// The least cap: a sample needs room to say what it is one of.
pub const LEAST_CAP: u64 = 300;

/// A word that is no cap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{word}` is no cap\nhint: a number of tokens from {LEAST_CAP} on such as 5000 or 5k, auto, or none"
)]
pub struct UnknownCap {
    /// What was given.
    pub word: String,
}

impl FromStr for CapChoice {
    type Err = UnknownCap;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "auto" => return Ok(Self::Auto),
            "none" => return Ok(Self::Unlimited),
            _ => {}
        }
        word.parse::<crate::token::Tokens>()
            .ok()
            .map(crate::token::Tokens::get)
            .filter(|tokens| *tokens >= LEAST_CAP)
            .map(Self::Tokens)
            .ok_or_else(|| UnknownCap {
                word: word.to_owned(),
            })
    }
}

impl fmt::Display for CapChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Unlimited => f.write_str("none"),
            Self::Tokens(tokens) => tokens.fmt(f),
        }
    }
}

/// A cap for tools of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCap {
    /// The name as clients see it; a `*` stands for any characters.
    pub pattern: String,
    /// The cap.
    pub cap: CapChoice,
}

impl FromStr for ToolCap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            "is no cap of a tool\nhint: NAME=TOKENS, such as `git__*=2k` or `read_file=none`";
        let (pattern, cap) = of_tool(text, wrong)?;
        Ok(Self { pattern, cap })
    }
}

impl fmt::Display for ToolCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, self.cap)
    }
}

/// Reads `NAME=VALUE`, what is said of tools of a name; the name may have a `=` in it.
fn of_tool<T: FromStr>(text: &str, wrong: &str) -> Result<(String, T), String> {
    text.rsplit_once('=')
        .filter(|(pattern, _)| !pattern.is_empty())
        .and_then(|(pattern, value)| Some((pattern.to_owned(), value.parse().ok()?)))
        .ok_or_else(|| format!("`{text}` {wrong}"))
}

/// Whether values of tools of a name may be abbreviated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolLegend {
    /// The name as clients see it; a `*` stands for any characters.
    pub pattern: String,
    /// Whether they may.
    pub legend: bool,
}

impl FromStr for ToolLegend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "says nothing of a tool\nhint: NAME=true or NAME=false, such as `git__*=false`";
        let (pattern, legend) = of_tool(text, wrong)?;
        Ok(Self { pattern, legend })
    }
}

impl fmt::Display for ToolLegend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, self.legend)
    }
}

/// Fields of a tool's results that are shown where a call names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFields {
    /// The name as clients see it; a `*` stands for any characters.
    pub pattern: String,
    /// Paths of members, with dots.
    pub fields: Vec<String>,
}

impl FromStr for ToolFields {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` names no fields of a tool\nhint: NAME=FIELD,FIELD, such as `list_issues=number,title,user.login`"
            )
        };
        let (pattern, fields) = text.split_once('=').ok_or_else(wrong)?;
        let fields: Vec<String> = fields
            .split(',')
            .map(|field| field.trim().to_owned())
            .collect();
        if pattern.is_empty() || fields.iter().any(String::is_empty) {
            return Err(wrong());
        }
        Ok(Self {
            pattern: pattern.to_owned(),
            fields,
        })
    }
}

impl fmt::Display for ToolFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, self.fields.join(","))
    }
}

/// Whether a link to the original stands beside a result that was shown in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkChoice {
    /// Where the client is known to show it to the person and not to the model.
    #[default]
    Auto,
    /// For every client whose protocol version has links; the model may read them, so they count.
    Always,
    /// Never.
    Never,
}

impl FromStr for LinkChoice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err("expected `auto`, `always` or `never`".to_owned()),
        }
    }
}

impl fmt::Display for LinkChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

/// How results are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultShaping {
    /// How much of one is sent.
    pub cap: CapChoice,
    /// Whether they are written in denser notations without loss, and of two channels one is sent.
    pub compact: bool,
    /// Whether these notations may abbreviate values that repeat (`~1`), said in lines above the text.
    pub legend: bool,
    /// The same for single tools; the first whose name fits counts.
    pub tool_legends: Vec<ToolLegend>,
    /// Whether images are scaled to the size that models use, and long base64 is replaced by a line.
    pub media: bool,
    /// Pixels of the longer edge that images are scaled to; none = what the client's model uses.
    pub image_edge: Option<u32>,
    /// How the client's model counts images; none = as its profile says.
    pub image_tokens: Option<Formula>,
    /// Whether an answer that repeats the last one to the same call is said shortly: "unchanged", or what
    /// changed.
    pub repeats: bool,
    /// Whether links to originals stand beside what is shown in part.
    pub links: LinkChoice,
    /// Caps of single tools; the first whose name fits counts.
    pub tool_caps: Vec<ToolCap>,
    /// Tools whose listed schema gets an argument `fields`, by the name that clients see; `*` stands for any
    /// characters.
    pub offer_fields: Vec<String>,
    /// Fields that are shown of results of single tools.
    pub fields: Vec<ToolFields>,
    /// How originals are kept.
    pub keeping: Keeping,
}

/// How original results are kept, so that more of them can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// How long each is kept after it was last answered.
    pub ttl: Duration,
    /// Bytes of all of them; those that were not used for longest go first.
    pub max_bytes: u64,
    /// A file with the key that they are encrypted with; none = they are stored as they are.
    pub key_file: Option<PathBuf>,
    /// How long a jq program over one may run.
    pub jq_timeout: Duration,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(24 * 3600),
            max_bytes: 256 << 20,
            key_file: None,
            jq_timeout: Duration::from_secs(2),
        }
    }
}

impl Default for ResultShaping {
    fn default() -> Self {
        Self {
            cap: CapChoice::Auto,
            compact: true,
            legend: true,
            tool_legends: Vec::new(),
            media: true,
            image_edge: None,
            image_tokens: None,
            repeats: false,
            links: LinkChoice::default(),
            tool_caps: Vec::new(),
            offer_fields: Vec::new(),
            fields: Vec::new(),
            keeping: Keeping::default(),
        }
    }
}

impl ResultShaping {
    /// Tells whether anything may be changed.
    pub fn is_on(&self) -> bool {
        self.compact || self.media || self.cap != CapChoice::Unlimited || !self.tool_caps.is_empty()
    }

    /// Tells whether the operator asked for results to be shown in part.
    fn names_a_cap(&self) -> bool {
        matches!(self.cap, CapChoice::Tokens(_))
            || self
                .tool_caps
                .iter()
                .any(|tool| tool.cap != CapChoice::Unlimited)
    }

    /// Which calls may ask for parts of results.
    pub fn projection(&self) -> ProjectionSettings {
        let fields = self.fields.iter();
        ProjectionSettings {
            offered: self.offer_fields.clone(),
            defaults: fields
                .map(|tool| (tool.pattern.clone(), tool.fields.clone()))
                .collect(),
        }
    }

    /// Draws the choices for one client.
    pub fn form(&self, profile: &Profile) -> ResultForm {
        let shown = profile.shown();
        let cap_of = |choice: CapChoice| match choice {
            CapChoice::Unlimited => None,
            CapChoice::Tokens(tokens) => Some(Cap::of(Tokens::new(tokens))),
            CapChoice::Auto => {
                let mut cap = Cap::default();
                // Some room below the limit for what a host writes around a result.
                let below = |limit: u64| limit.saturating_mul(9) / 10;
                if let Some(tokens) = shown.result_tokens {
                    cap.tokens = cap.tokens.min(Tokens::new(below(tokens)));
                }
                if let Some(bytes) = shown.result_bytes {
                    let bytes = usize::try_from(below(bytes)).unwrap_or(usize::MAX);
                    cap.bytes = cap.bytes.min(bytes);
                }
                Some(cap)
            }
        };
        ResultForm {
            channel: match shown.shapes {
                ResultChannel::Text => Channel::Text,
                ResultChannel::Structured => Channel::Structured,
                ResultChannel::Both => Channel::Both,
            },
            is_compacted: self.compact,
            may_abbreviate: self.legend,
            tool_legends: self
                .tool_legends
                .iter()
                .map(|tool| (tool.pattern.clone(), tool.legend))
                .collect(),
            is_media_replaced: self.media,
            vision: Vision {
                long_edge: self.image_edge.unwrap_or(shown.vision.long_edge),
                formula: self.image_tokens.unwrap_or(shown.vision.formula),
            },
            says_repeats: self.repeats,
            cap: cap_of(self.cap),
            links: match self.links {
                LinkChoice::Always => Links::ToAll,
                LinkChoice::Auto if shown.shows_links_to_user => Links::ToUser,
                LinkChoice::Auto | LinkChoice::Never => Links::Never,
            },
            lists_read_result: if self.names_a_cap() {
                ReadsResults::Always
            } else if self.cap == CapChoice::Auto {
                ReadsResults::WherePaid
            } else {
                ReadsResults::Never
            },
            tool_caps: self
                .tool_caps
                .iter()
                .map(|tool| (tool.pattern.clone(), cap_of(tool.cap)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_shown() {
        for (word, cap) in [
            ("auto", CapChoice::Auto),
            ("none", CapChoice::Unlimited),
            ("5k", CapChoice::Tokens(5000)),
        ] {
            assert_eq!(word.parse(), Ok(cap));
        }
        assert_eq!(CapChoice::Tokens(5000).to_string(), "5000");
        for wrong in ["", "0", "299", "-5", "5kk", "99999999999999999999"] {
            assert!(wrong.parse::<CapChoice>().is_err(), "{wrong}");
        }
        let cap: ToolCap = "a=b*=2k".parse().unwrap();
        assert_eq!(cap.to_string(), "a=b*=2000");
        for wrong in ["", "a", "=2k", "a=1"] {
            assert!(wrong.parse::<ToolCap>().is_err(), "{wrong}");
        }
        let legend: ToolLegend = "a=b*=false".parse().unwrap();
        assert_eq!(legend.to_string(), "a=b*=false");
        for wrong in ["", "a", "=true", "a=no"] {
            assert!(wrong.parse::<ToolLegend>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_tool_that_fits_says_whether_there_are_abbreviations() {
        let mut shaping = ResultShaping::default();
        let form = |shaping: &ResultShaping| shaping.form(Profile::generic());
        assert!(form(&shaping).abbreviates("git__log"));
        shaping.tool_legends = vec!["git__*=false".parse().unwrap()];
        assert!(!form(&shaping).abbreviates("git__log"));
        assert!(form(&shaping).abbreviates("read_file"));
        shaping.legend = false;
        shaping.tool_legends = vec!["git__*=true".parse().unwrap()];
        assert!(form(&shaping).abbreviates("git__log"));
        assert!(!form(&shaping).abbreviates("read_file"));
    }

    /// The default is below what each host is known to take.
    #[test]
    fn the_default_cap_is_below_every_known_limit() {
        let shaping = ResultShaping::default();
        for profile in Profile::all() {
            let (shown, cap) = (profile.shown(), shaping.form(profile).cap.unwrap());
            assert!(
                shown
                    .result_tokens
                    .is_none_or(|most| cap.tokens.get() < most)
            );
            assert!(
                shown
                    .result_bytes
                    .is_none_or(|most| (cap.bytes as u64) < most)
            );
            assert!(cap.bytes < 25_000, "{}", profile.name);
        }
    }
}
