//! The one place that reads the process's environment, behind a trait so that loading can be tested.

use std::ffi::OsString;

/// Where environment variables come from.
pub trait EnvSource {
    /// Returns the value of a variable, if it is set.
    fn get(&self, name: &str) -> Option<OsString>;

    /// Returns the names of all variables that are UTF-8.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl EnvSource for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .collect()
    }
}

/// An environment made of given pairs, for tests.
impl EnvSource for Vec<(String, String)> {
    fn get(&self, name: &str) -> Option<OsString> {
        self.iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into())
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|(name, _)| name.clone()).collect()
    }
}
