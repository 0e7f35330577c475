//! Definitions exactly as servers sent them, with fingerprints, and the merged catalog. Pure.

pub mod app;
pub mod hints;
pub mod risk;
pub mod task;
pub mod tool_view;

/// Returns the raw tools of a `tools/list` response of the test data.
#[cfg(test)]
pub(crate) fn tools_of(response: &str) -> Vec<String> {
    use crate::jsonrpc::members;

    let result = members::get(response.as_bytes(), "result").expect("a response");
    let tools = members::get(result, "tools").expect("a result of tools/list");
    let elements = members::elements(tools).into_iter();
    elements
        .map(|at| String::from_utf8_lossy(&tools[at]).into_owned())
        .collect()
}
