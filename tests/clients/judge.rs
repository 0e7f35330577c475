//! What a client may be given of an answer, by the profile that it came with.

use std::cell::RefCell;
use std::collections::HashMap;

use mcp_whittle::config::profiles::{Profile, ResultChannel};
use mcp_whittle::token::{Encoding, TiktokenCounter, TokenCounter};
use serde_json::Value;

use super::answers::{Case, Kind};

/// Tokens of one result, at most: what the proxy is told.
pub(crate) const CAP: u64 = 400;

/// The judge; counts each text once.
pub(crate) struct Judge {
    counter: TiktokenCounter,
    counted: RefCell<HashMap<String, u64>>,
}

impl Judge {
    pub(crate) fn new() -> Self {
        Self {
            counter: TiktokenCounter::new(Encoding::O200kBase),
            counted: RefCell::default(),
        }
    }

    fn tokens(&self, text: &str) -> u64 {
        if let Some(count) = self.counted.borrow().get(text) {
            return *count;
        }
        let count = self.counter.count(text).get();
        self.counted.borrow_mut().insert(text.to_owned(), count);
        count
    }

    /// What a model reads of the two parts of a result.
    fn read(&self, channel: ResultChannel, text: &str, structured: Option<&Value>) -> u64 {
        let structured = structured.map(|value| self.tokens(&value.to_string()));
        match (channel, structured) {
            (ResultChannel::Structured, Some(structured)) => structured,
            (ResultChannel::Both, structured) => self.tokens(text) + structured.unwrap_or(0),
            _ => self.tokens(text),
        }
    }

    /// Says what is wrong with `got`: what a client gave of the answer, or what it threw. `is_shown` tells
    /// whether it was shown the `outputSchema`.
    pub(crate) fn judge(
        &self,
        case: &Case,
        profile: &Profile,
        is_shown: bool,
        got: &Value,
    ) -> Result<(), String> {
        let expected = profile.shown();
        if is_shown != (expected.keeps_output_schema || case.is_app) {
            return Err(format!("outputSchema shown: {is_shown}"));
        }
        let thrown = got["thrown"].as_str();
        match (case.kind, is_shown, thrown) {
            // Here the client is the judge: what breaks the promise does not pass.
            (Kind::Dropped, true, Some(_)) => return Ok(()),
            (Kind::Dropped, true, None) => return Err("the broken server was believed".to_owned()),
            (_, _, Some(thrown)) => return Err(format!("thrown: {thrown:.600}")),
            _ => {}
        }
        let text = text_of(got);
        let is_error = got["isError"].as_bool().unwrap_or(false);
        if is_error != (case.kind == Kind::Error) {
            return Err(format!("isError: {is_error}"));
        }
        if case.kind == Kind::Error {
            let is_same = text == case.text && got.get("structuredContent").is_none();
            return is_same
                .then_some(())
                .ok_or_else(|| format!("an error was changed: {text}"));
        }
        let structured = got
            .get("structuredContent")
            .filter(|value| !value.is_null());
        if structured.is_some_and(|value| !is_same(value, &case.value)) {
            return Err("structuredContent is not what was sent".to_owned());
        }
        if is_shown && structured.is_none() {
            return Err("outputSchema without structuredContent".to_owned());
        }
        if case.is_app {
            return match text == case.text {
                true => Ok(()),
                false => Err(format!("the text of an app was changed: {text:.600}")),
            };
        }
        let sent = (case.kind != Kind::Dropped).then_some(&case.value);
        let before = self.read(expected.shapes, &case.text, sent);
        let after = self.read(expected.shapes, &text, structured);
        if after > before {
            return Err(format!("{before} tokens became {after}"));
        }
        if matches!(case.kind, Kind::Small | Kind::Dropped) {
            // A text that is still JSON is still the same.
            let json: Option<Value> = serde_json::from_str(&text).ok();
            return match json.filter(|json| !is_same(json, &case.value)) {
                Some(_) => Err(format!("another value: {text}")),
                None => Ok(()),
            };
        }
        if after > CAP {
            return Err(format!(
                "{after} of {before} tokens are above the cap: {text}"
            ));
        }
        Ok(())
    }
}

/// All text of a result.
pub(crate) fn text_of(result: &Value) -> String {
    let blocks = result["content"].as_array().cloned().unwrap_or_default();
    let texts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect();
    texts.join("\n")
}

/// Equal JSON, numbers by value: an SDK reads 1.0 as 1.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(name, value)| other.get(name).is_some_and(|with| is_same(value, with));
            one.len() == other.len() && one.iter().all(same)
        }
        _ => one == other,
    }
}
