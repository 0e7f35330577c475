//! The counting oracle: each request is answered exactly once, nothing unasked is answered, and no side
//! effect happens twice.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;

/// How often a request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Exactly once.
    Once,
    /// Once or not at all: it was cancelled, or its connection was cut.
    AtMostOnce,
}

/// What one client asked and got, by the raw text of ids.
#[derive(Debug, Default, Clone)]
pub(crate) struct CountingOracle {
    asked: BTreeMap<String, Due>,
    answered: BTreeMap<String, usize>,
    nameless: usize,
    nameless_due: usize,
    impure: Vec<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: String,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl CountingOracle {
    /// Notes a request; its id in raw JSON.
    pub(crate) fn asks(&mut self, id: &str) {
        self.asked.insert(id.to_owned(), Due::Once);
    }

    /// Says that a request may stay without an answer.
    pub(crate) fn may_stay_open(&mut self, id: &str) {
        self.asked.insert(id.to_owned(), Due::AtMostOnce);
    }

    /// Says that a message without a readable id was sent, which may be answered under `null`.
    pub(crate) fn sends_nameless(&mut self) {
        self.nameless_due += 1;
    }

    /// Takes a line that came from the proxy.
    pub(crate) fn sees(&mut self, line: &[u8]) {
        let shown = || String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
        // A batch is a list of messages.
        if line.starts_with(b"[") {
            match serde_json::from_slice::<Vec<&RawValue>>(line) {
                Ok(parts) => parts
                    .iter()
                    .for_each(|part| self.sees(part.get().as_bytes())),
                Err(_) => self.impure.push(shown()),
            }
            return;
        }
        let envelope: Envelope<'_> = match serde_json::from_slice(line) {
            Ok(envelope) => envelope,
            Err(_) => return self.impure.push(shown()),
        };
        let is_response = envelope.method.is_none();
        let has_one = envelope.result.is_some() != envelope.error.is_some();
        if envelope.jsonrpc != "2.0" || is_response != has_one {
            return self.impure.push(shown());
        }
        if !is_response {
            return;
        }
        match envelope.id.map(RawValue::get) {
            None | Some("null") => self.nameless += 1,
            Some(id) => *self.answered.entry(id.to_owned()).or_default() += 1,
        }
    }

    /// Returns what is wrong while answers may still come.
    pub(crate) fn faults_so_far(&self) -> Vec<String> {
        let mut faults: Vec<String> = self
            .impure
            .iter()
            .map(|line| format!("not a JSON-RPC message: {line}"))
            .collect();
        for (id, count) in &self.answered {
            if !self.asked.contains_key(id) {
                faults.push(format!("an answer to {id}, which nobody asked"));
            }
            if *count > 1 {
                faults.push(format!("{id} was answered {count} times"));
            }
        }
        if self.nameless > self.nameless_due {
            faults.push(format!(
                "{} answers without id to {} messages that could cause one",
                self.nameless, self.nameless_due
            ));
        }
        faults
    }

    /// Returns what is wrong when no more answers can come.
    pub(crate) fn faults_at_end(&self) -> Vec<String> {
        let mut faults = self.faults_so_far();
        for (id, due) in &self.asked {
            if *due == Due::Once && !self.answered.contains_key(id) {
                faults.push(format!("{id} was never answered"));
            }
        }
        faults
    }
}

/// Checks that no marked call ran twice.
#[track_caller]
pub(crate) fn assert_no_repeats(marks: &[String]) {
    let repeated = repeats(marks);
    assert!(
        repeated.is_empty(),
        "calls that ran more than once: {repeated:?}"
    );
}

/// Checks that the notifications 1 to `sent` all arrived, once and in order.
#[track_caller]
pub(crate) fn assert_conserved(sent: u64, received: &[u64]) {
    assert_eq!(loss(sent, received), None);
}

fn loss(sent: u64, received: &[u64]) -> Option<String> {
    let wanted = 1..=sent;
    let wrong = wanted
        .clone()
        .zip(received)
        .find(|(wanted, found)| wanted != *found);
    match wrong {
        Some((wanted, found)) => Some(format!("{found} came where {wanted} was due")),
        None if received.len() as u64 != sent => Some(format!("{} of {sent} came", received.len())),
        None => None,
    }
}

fn repeats(marks: &[String]) -> Vec<String> {
    let mut counts: HashMap<&String, usize> = HashMap::new();
    for mark in marks {
        *counts.entry(mark).or_default() += 1;
    }
    let mut repeated: Vec<String> = counts
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(mark, count)| format!("{mark} × {count}"))
        .collect();
    repeated.sort();
    repeated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(asked: &[&str], lines: &[&str]) -> Vec<String> {
        let mut oracle = CountingOracle::default();
        asked.iter().for_each(|id| oracle.asks(id));
        lines.iter().for_each(|line| oracle.sees(line.as_bytes()));
        oracle.faults_at_end()
    }

    const ONE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

    #[test]
    fn the_oracle_is_content_with_one_answer_each() {
        let text = r#"{"jsonrpc":"2.0","id":"1","error":{"code":1,"message":""}}"#;
        let other = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
        assert_eq!(after(&["1", "\"1\""], &[ONE, other, text]), [""; 0]);
        assert_eq!(after(&["1"], &[&format!("[{ONE}]")]), [""; 0]);
    }

    /// Each of these is a proxy that is broken in one way.
    #[test]
    fn the_oracle_catches_every_broken_proxy() {
        let cases: [(&[&str], &[&str]); 8] = [
            (&["1"], &[]),
            (&["1"], &[ONE, ONE]),
            (&[], &[ONE]),
            (&["\"1\""], &[ONE]),
            (&["1.0"], &[ONE]),
            (&["1"], &[ONE, "warning: something"]),
            (
                &["1"],
                &[r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#],
            ),
            (&["1"], &[ONE, r#"{"jsonrpc":"2.0","id":null,"result":{}}"#]),
        ];
        for (asked, lines) in cases {
            assert_ne!(after(asked, lines), [""; 0], "{asked:?} {lines:?}");
        }
        assert_eq!(repeats(&["a".into(), "b".into(), "a".into()]), ["a × 2"]);
        assert_eq!(repeats(&["a".into(), "b".into()]), [""; 0]);
        assert_eq!(loss(3, &[1, 2, 3]), None);
        for broken in [&[1, 2][..], &[1, 3, 2], &[1, 1, 2, 3], &[1, 2, 3, 3], &[]] {
            assert!(loss(3, broken).is_some(), "{broken:?}");
        }
    }
}
