//! What profile data has to be. It is compiled in, so tests check it and not each start.

use serde::Deserialize;

use super::{Profile, table};

/// The data as people write it.
pub(super) const DATA: &str = include_str!("../profiles.toml");
/// The profile of a client of which nothing is known.
const GENERIC: &str = "generic";

/// Why profile data is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProfileError {
    /// No TOML, an unknown key, or a value of another type.
    #[error("profiles: {0}")]
    Malformed(#[from] toml::de::Error),
    /// Readable, but not what it has to be.
    #[error("profile `{profile}`: {problem}")]
    Wrong {
        /// The profile's name.
        profile: String,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    profile: Vec<Profile>,
}

impl Profile {
    /// Reads profile data strictly.
    pub(super) fn parse(data: &str) -> Result<Vec<Self>, ProfileError> {
        let document: Document = toml::from_str(data)?;
        let profiles = document.profile;
        for (n, profile) in profiles.iter().enumerate() {
            let wrong = |problem: &str| ProfileError::Wrong {
                profile: profile.name.clone(),
                problem: problem.to_owned(),
            };
            if (n == 0) != (profile.name == GENERIC) {
                return Err(wrong(
                    "`generic` has to be the first and only one of its name",
                ));
            }
            if n == 0 && (profile.n_facts() > 0 || !profile.environment.is_empty()) {
                return Err(wrong("nothing is known of the generic client"));
            }
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if profile.name.is_empty() || !profile.name.chars().all(is_plain) {
                return Err(wrong("a name has lower-case letters, digits and `-` only"));
            }
            if profiles[..n].iter().any(|other| other.name == profile.name) {
                return Err(wrong("the name stands twice"));
            }
            for (source, date) in profile.origins() {
                if !source.starts_with("https://") {
                    return Err(wrong("a source is a public https address"));
                }
                if !is_date(date) {
                    return Err(wrong("a date is YYYY-MM-DD or YYYY-MM"));
                }
            }
            let prices = [&profile.cache_read_price, &profile.cache_write_price];
            let is_price = |price: f64| price.is_finite() && price >= 0.0;
            if prices
                .into_iter()
                .flatten()
                .any(|fact| !is_price(fact.value))
            {
                return Err(wrong("a price is a number that is not negative"));
            }
        }
        if profiles.is_empty() {
            return Err(ProfileError::Wrong {
                profile: GENERIC.to_owned(),
                problem: "is missing".to_owned(),
            });
        }
        Ok(profiles)
    }

    /// Facts that choose what is shown.
    pub(super) fn n_facts(&self) -> usize {
        self.origins().len() - self.client_names.len() - self.environment.len()
    }

    /// Source and date of everything that is known.
    fn origins(&self) -> Vec<(&str, &str)> {
        let names = self
            .client_names
            .iter()
            .map(|fact| (fact.source.as_str(), fact.date.as_str()));
        let hosts = self
            .environment
            .iter()
            .map(|host| (host.source.as_str(), host.date.as_str()));
        let facts = table::rows(self)
            .into_iter()
            .filter_map(|(_, fact)| fact.map(|fact| (fact.source, fact.date)));
        names.chain(hosts).chain(facts).collect()
    }
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    matches!(lengths.as_slice(), [4, 2] | [4, 2, 2])
        && parts
            .iter()
            .all(|part| part.bytes().all(|b| b.is_ascii_digit()))
}
