//! What an operator wants watched: pins, hidden characters, warnings, secrets in results. Values only.

use super::pins::{Mode, Volatile};

/// What becomes of hidden characters in definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HiddenMode {
    /// They are taken out of prose that is shown; in names and values they are told.
    #[default]
    Remove,
    /// The same, and a tool that has them in names or values is neither listed nor called.
    Withhold,
    /// They are shown as they come.
    Off,
}

impl HiddenMode {
    /// The words of a configuration.
    pub const ALL: [(&'static str, Self); 3] = [
        ("remove", Self::Remove),
        ("withhold", Self::Withhold),
        ("off", Self::Off),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Withhold => "withhold",
            Self::Off => "off",
        }
    }
}

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// What is done where a definition is not the pinned one.
    pub pins: Mode,
    /// Parts of definitions that do not count.
    pub volatile: Volatile,
    /// What becomes of hidden characters.
    pub hidden: HiddenMode,
    /// Whether texts that speak to the model, and names that look alike, are warned of.
    pub warns: bool,
    /// Whether secrets are taken out of results.
    pub redacts_results: bool,
}

impl Guard {
    /// Nothing is watched.
    pub fn off() -> Self {
        Self {
            pins: Mode::Off,
            volatile: Volatile::default(),
            hidden: HiddenMode::Off,
            warns: false,
            redacts_results: false,
        }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            pins: Mode::Report,
            volatile: Volatile::default(),
            hidden: HiddenMode::Remove,
            warns: true,
            redacts_results: false,
        }
    }
}
