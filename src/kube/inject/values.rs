//! Values that go on to the program as they are: whether it will take them. Pure.
//!
//! The program's own parsers are handed in, for they stand in a room that this one may not know. A check
//! that is weaker than theirs gives a pod a sidecar that ends at once; with a native one it never starts.

use super::text::Invalid;
use super::wishes::Wishes;

/// A value parser of the command line: gives the text back, or says what is wrong without secrets.
pub type Parser = fn(&str) -> Result<String, String>;

/// The parsers of values that this room does not know enough about.
#[derive(Debug, Clone, Copy)]
pub struct Parsers {
    /// Of `--profile`.
    pub profile: Parser,
    /// Of `--allow-host`.
    pub host: Parser,
    /// Of `--allow-origin`.
    pub origin: Parser,
    /// Of `--upstream`.
    pub url: Parser,
}

impl Default for Parsers {
    /// Nothing beyond what annotations are read by.
    fn default() -> Self {
        let any: Parser = |text| Ok(text.to_owned());
        Self {
            profile: any,
            host: any,
            origin: any,
            url: any,
        }
    }
}

impl Parsers {
    /// Judges what annotations give.
    pub(super) fn judge(&self, wishes: &Wishes, prefix: &str) -> Result<(), Invalid> {
        let options = wishes.options.iter();
        let profiles = options.filter(|(option, _)| *option == "--profile");
        let all = profiles
            .map(|(_, value)| ("profile", value, self.profile))
            .chain(
                wishes
                    .allow_host
                    .iter()
                    .map(|host| ("allow-host", host, self.host)),
            )
            .chain(
                wishes
                    .allow_origin
                    .iter()
                    .map(|origin| ("allow-origin", origin, self.origin)),
            )
            .chain(
                wishes
                    .set_env
                    .iter()
                    .map(|(_, url)| ("set-env", url, self.url)),
            );
        for (name, value, parser) in all {
            parser(value).map_err(|why| {
                Invalid::new(
                    format!("the annotation `{prefix}/{name}` cannot be used: {why}"),
                    "correct it or take it away",
                )
            })?;
        }
        Ok(())
    }
}
