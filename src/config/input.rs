//! One value of a setting, from whichever layer, read as what the setting needs. Pure.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use crate::token::ledger::holdout::HoldoutShare;

use super::document::{Node, Value};
use super::finding::{Fault, did_you_mean};
use super::text;

/// Longest time that a setting takes: longer ones overflow timers somewhere.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A value as the layer gave it.
pub(super) enum Input<'a> {
    /// An environment variable: one text, lists separated by commas or newlines.
    Variable(&'a str),
    /// An option: each time it was given.
    Typed(&'a [String]),
    /// A node of a file in this folder.
    Node(&'a Node, &'a Path),
}

impl Input<'_> {
    /// Reads one text.
    pub(super) fn text(&self) -> Result<String, Fault> {
        match self {
            Self::Variable(text) => Ok((*text).to_owned()),
            // Clap lets an option without `Vec` be given once only.
            Self::Typed(texts) => Ok(texts.last().cloned().unwrap_or_default()),
            Self::Node(node, _) => node.as_text().map(str::to_owned),
        }
    }

    /// Reads a list of texts; in a file one text is a list of one.
    pub(super) fn list(&self) -> Result<Vec<String>, Fault> {
        let texts = match self {
            Self::Variable(text) => text
                .split([',', '\n'])
                .map(|part| part.trim().to_owned())
                .collect(),
            Self::Typed(texts) => texts.to_vec(),
            Self::Node(node, _) => match &node.value {
                Value::Text(text) => vec![text.clone()],
                Value::Array(nodes) => nodes
                    .iter()
                    .map(|node| node.as_text().map(str::to_owned))
                    .collect::<Result<_, _>>()?,
                _ => return Err(node.unexpected("a list of strings")),
            },
        };
        Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
    }

    /// Reads a switch.
    pub(super) fn switch(&self) -> Result<bool, Fault> {
        match self {
            Self::Node(node, _) => node.as_bool(),
            Self::Typed(_) => Ok(true),
            Self::Variable(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => Err(Fault::new(format!(
                    "expected `true` or `false`, found `{text}`"
                ))),
            },
        }
    }

    /// Reads one of the words of an enum.
    pub(super) fn choice<T: ValueEnum>(&self) -> Result<T, Fault> {
        let given = self.text()?;
        T::from_str(&given, false).map_err(|_| {
            let words: Vec<String> = T::value_variants()
                .iter()
                .filter_map(|variant| variant.to_possible_value())
                .map(|value| value.get_name().to_owned())
                .collect();
            let fault = Fault::new(format!("`{given}` is not one of {}", quoted(&words)));
            match did_you_mean(&given, words.iter().map(String::as_str)) {
                Some(hint) => fault.hint(hint),
                None => fault,
            }
        })
    }

    /// Reads a size in bytes.
    pub(super) fn bytes(&self, allowed: RangeInclusive<u64>) -> Result<u64, Fault> {
        let bytes = match self {
            Self::Node(
                Node {
                    value: Value::Integer(number),
                    ..
                },
                _,
            ) => whole(*number)?,
            Self::Node(
                node @ Node {
                    value: Value::OtherNumber(_),
                    ..
                },
                _,
            ) => {
                return Err(node.unexpected("a size such as `256MiB` or a whole number of bytes"));
            }
            _ => {
                let given = self.text()?;
                text::parse_bytes(&given)
                    .map_err(|problem| Fault::new(format!("{problem}, found `{given}`")))?
            }
        };
        within(bytes, &allowed, text::show_bytes)
    }

    /// Reads a count.
    pub(super) fn count(&self, allowed: RangeInclusive<u32>) -> Result<u32, Fault> {
        let wide = RangeInclusive::new(u64::from(*allowed.start()), u64::from(*allowed.end()));
        let number = self.wide_count(wide)?;
        Ok(u32::try_from(number).expect("the range was checked and ends below 2^32"))
    }

    /// Reads a count that may be beyond 32 bits.
    pub(super) fn wide_count(&self, allowed: RangeInclusive<u64>) -> Result<u64, Fault> {
        let number = match self {
            Self::Node(
                Node {
                    value: Value::Integer(number),
                    ..
                },
                _,
            ) => whole(*number)?,
            Self::Node(node, _) => return Err(node.unexpected("a whole number")),
            _ => {
                let given = self.text()?;
                given
                    .parse()
                    .map_err(|_| Fault::new(format!("expected a whole number, found `{given}`")))?
            }
        };
        within(number, &allowed, |number| number.to_string())
    }

    /// Reads a time of more than zero.
    pub(super) fn duration(&self) -> Result<Duration, Fault> {
        if let Self::Node(
            node @ Node {
                value: Value::Integer(number),
                ..
            },
            _,
        ) = self
        {
            return Err(node
                .unexpected("a time with a unit, such as `30s`")
                .hint(format!(
                    "write \"{number}s\" for seconds or \"{number}ms\" for milliseconds"
                )));
        }
        let given = self.text()?;
        let duration = text::parse_duration(&given)
            .map_err(|problem| Fault::new(format!("{problem}, found `{given}`")))?;
        within(
            duration,
            &(Duration::from_millis(1)..=MAX_DURATION),
            text::show_duration,
        )
    }

    /// Reads a time or `none`.
    pub(super) fn duration_or_none(&self) -> Result<Option<Duration>, Fault> {
        match self {
            Self::Node(
                Node {
                    value: Value::Integer(_),
                    ..
                },
                _,
            ) => self.duration().map(Some),
            _ if self.text()? == "none" => Ok(None),
            _ => self.duration().map(Some),
        }
    }

    /// Reads a share of sessions: a number from 0 to 0.5, or a percentage.
    pub(super) fn share(&self) -> Result<HoldoutShare, Fault> {
        let given = self.number()?;
        given
            .parse()
            .map_err(|problem: String| Fault::new(format!("{problem}, found `{given}`")))
    }

    /// Reads the text of a number; a percentage is a text in every layer.
    pub(super) fn number(&self) -> Result<String, Fault> {
        Ok(match self {
            Self::Node(
                Node {
                    value: Value::OtherNumber(number),
                    ..
                },
                _,
            ) => number.clone(),
            Self::Node(
                Node {
                    value: Value::Integer(number),
                    ..
                },
                _,
            ) => number.to_string(),
            _ => self.text()?,
        })
    }

    /// Reads a word or a number that a checker of [`text`] takes; a file may give the number as one.
    pub(super) fn checked_number<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let given = self.number()?;
        parse(&given).map_err(|problem| Fault::new(format!("{problem}, found `{given}`")))
    }

    /// Reads text that a checker of [`text`] takes.
    pub(super) fn checked<T>(&self, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Fault> {
        let given = self.text()?;
        parse(&given).map_err(|problem| Fault::new(format!("{problem}, found `{given}`")))
    }

    /// Makes a path: those of a file are relative to the file's folder.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        match self {
            Self::Node(_, folder) => folder.join(text),
            Self::Variable(_) | Self::Typed(_) => PathBuf::from(text),
        }
    }
}

/// Lists words for a message.
pub(super) fn quoted(words: &[String]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn whole(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| Fault::new(format!("`{number}` is negative")))
}

fn within<T: PartialOrd + Copy>(
    value: T,
    allowed: &RangeInclusive<T>,
    show: impl Fn(T) -> String,
) -> Result<T, Fault> {
    if value < *allowed.start() {
        Err(Fault::new(format!(
            "`{}` is too small; the least is `{}`",
            show(value),
            show(*allowed.start())
        )))
    } else if value > *allowed.end() {
        Err(Fault::new(format!(
            "`{}` is too large; the most is `{}`",
            show(value),
            show(*allowed.end())
        )))
    } else {
        Ok(value)
    }
}
