//! Reads tool arguments; a wrong one becomes a tool error the model could read.

use rmcp::model::{CallToolRequestParams, ErrorData};
use serde_json::Value;

/// One call of a tool: its name, its arguments and what a retry brings with it.
pub(crate) struct Call<'a>(pub(crate) &'a CallToolRequestParams);

impl Call<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn get(&self, argument: &str) -> Option<&Value> {
        self.0.arguments.as_ref()?.get(argument)
    }

    /// A string argument, or the default where it is absent.
    pub(crate) fn text<'v>(
        &'v self,
        argument: &str,
        default: &'v str,
    ) -> Result<&'v str, ErrorData> {
        match self.get(argument) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| wrong(argument, "a string")),
        }
    }

    /// A non-negative whole number, or the default where it is absent.
    pub(crate) fn whole(&self, argument: &str, default: u64) -> Result<u64, ErrorData> {
        match self.get(argument) {
            None => Ok(default),
            Some(value) => value
                .as_u64()
                .ok_or_else(|| wrong(argument, "a non-negative integer")),
        }
    }

    /// The client's answer to an earlier input request, if this call is the retry.
    pub(crate) fn answer(&self, key: &str) -> Option<&Value> {
        self.0.input_responses.as_ref()?.get(key)
    }
}

fn wrong(argument: &str, expected: &str) -> ErrorData {
    ErrorData::invalid_params(format!("argument {argument} must be {expected}"), None)
}
