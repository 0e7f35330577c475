//! The one place that reads the process's environment, behind a trait so that loading can be tested.

use std::ffi::OsString;

use secrecy::SecretString;

use super::finding::Fault;
use super::settings::ProxySettings;

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

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
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

/// Reads a variable as text.
pub(super) fn text(environment: &impl EnvSource, name: &str) -> Result<Option<String>, Fault> {
    match environment.get(name).map(OsString::into_string) {
        // An empty variable is how a shell script unsets one.
        Some(Ok(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
        Some(Err(_)) => Err(Fault::new("the value is not valid UTF-8")),
        None => Ok(None),
    }
}

/// Reads the forward proxies that curl and most programs follow. An error names its variable.
pub(super) fn proxies(
    environment: &impl EnvSource,
) -> Result<ProxySettings, (&'static str, Fault)> {
    let first =
        |names: &[&'static str]| -> Result<Option<(&'static str, String)>, (&'static str, Fault)> {
            for &name in names {
                if let Some(value) = text(environment, name).map_err(|fault| (name, fault))? {
                    return Ok(Some((name, value)));
                }
            }
            Ok(None)
        };
    let proxy = |names: &[&'static str]| -> Result<Option<SecretString>, (&'static str, Fault)> {
        let Some((name, value)) = first(names)? else {
            return Ok(None);
        };
        let url = if value.contains("://") {
            value
        } else {
            format!("http://{value}")
        };
        match url.parse::<http::Uri>() {
            Ok(uri)
                if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() =>
            {
                Ok(Some(SecretString::from(url)))
            }
            // The value may hold a password, so the message shows none of it.
            _ => Err((
                name,
                Fault::new("the value is not the URL of an HTTP proxy")
                    .hint("write it as `http://host:port`; SOCKS is not supported"),
            )),
        }
    };
    // In CGI a client sets HTTP_PROXY with a `Proxy` header (CVE-2016-5385).
    let http_names: &[&'static str] = if environment.get("REQUEST_METHOD").is_some() {
        &["http_proxy", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    };
    Ok(ProxySettings {
        https_proxy: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
        http_proxy: proxy(http_names)?,
        no_proxy: first(&["no_proxy", "NO_PROXY"])?.map(|(_, value)| value),
    })
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
