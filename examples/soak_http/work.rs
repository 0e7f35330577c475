//! What one worker asks, and which answers are right.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::client::{self, Connection, Session};
use super::trouble::{self, Became, Fault};
use super::{Half, Slot, Slots, Tally, lock};

/// What one worker does.
pub(super) struct Work {
    pub(super) half: Half,
    pub(super) connection: Connection,
    pub(super) slots: Slots,
    pub(super) tally: Arc<Tally>,
    pub(super) idle: Duration,
    pub(super) faults: u32,
    pub(super) random: StdRng,
}

/// What a request must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Mark,
    /// One answer, whatever it says.
    Anything,
    List,
    Trouble,
}

impl Work {
    pub(super) async fn go(mut self, worker: usize) {
        let mut n = 0_u64;
        while !self.tally.is_over.load(Ordering::Relaxed) {
            n += 1;
            let at = {
                let open = lock(&self.slots).len();
                self.random.random_range(0..open)
            };
            let slot = Arc::clone(&lock(&self.slots)[at]);
            let mark = format!("{worker}-{n}-{}", slot.session.id);
            if self.random.random_range(0..100) < self.faults {
                let fault = Fault::draw(&mut self.random);
                self.break_one(fault, n, &slot, &mark).await;
            } else {
                self.ask_one(n, at, &slot, &mark).await;
            }
        }
    }

    async fn ask_one(&mut self, n: u64, at: usize, slot: &Arc<Slot>, mark: &str) {
        let (tool, wanted) = match self.random.random_range(0..100) {
            0..70 => ("quick__echo", Wanted::Mark),
            70..80 => ("slow__echo", Wanted::Mark),
            80..84 => ("dead__echo", Wanted::Trouble),
            84..88 => ("nobody__echo", Wanted::Trouble),
            88..94 => ("", Wanted::List),
            _ if self.half == Half::Shared => ("child__echo", Wanted::Anything),
            _ => ("quick__other_1", Wanted::Mark),
        };
        let body = match wanted {
            Wanted::List => json!({"jsonrpc": "2.0", "id": n, "method": "tools/list"}),
            _ => call(n, tool, json!({"mark": mark, "bytes": 20})),
        };
        let started = Instant::now();
        let asked = self
            .connection
            .ask("POST", Some(&slot.session.id), &body.to_string())
            .await;
        let took = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
        self.tally.asked.fetch_add(1, Ordering::Relaxed);
        let response = match asked {
            Ok(response) => response,
            Err(error) => {
                self.tally.unanswered.fetch_add(1, Ordering::Relaxed);
                self.tally.wrong(format!("{tool}: no response: {error}"));
                return;
            }
        };
        if self.connection.has_more() {
            self.tally.surplus.fetch_add(1, Ordering::Relaxed);
        }
        // It was not heard of for too long: a client opens a new one.
        let is_expired = response.status == 404 && slot.silence() > self.idle / 2;
        if response.status != 404 {
            slot.answered(started);
        }
        if is_expired && !slot.is_over.swap(true, Ordering::Relaxed) {
            self.reopen(n, at, slot).await;
        }
        if slot.is_over.load(Ordering::Relaxed) {
            // It ended meanwhile, and may say so.
            self.tally.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match judge(&response.message, wanted, n, mark) {
            Some(is_refused) => {
                let counter = if is_refused {
                    &self.tally.refused
                } else {
                    &self.tally.right
                };
                counter.fetch_add(1, Ordering::Relaxed);
                if tool == "quick__echo" {
                    lock(&self.tally.quick).push(took);
                }
            }
            None => self
                .tally
                .wrong(format!("{tool}: {} {}", response.status, response.message)),
        }
    }

    async fn reopen(&mut self, n: u64, at: usize, slot: &Arc<Slot>) {
        match Session::open(&mut self.connection, n.is_multiple_of(2), false).await {
            Ok(session) => {
                let mut slots = lock(&self.slots);
                if Arc::ptr_eq(&slots[at], slot) {
                    slots[at] = Slot::new(session);
                }
            }
            Err(error) => self
                .tally
                .wrong(format!("a session could not be opened: {error}")),
        }
    }

    /// One request with a fault. It counts as right where it was answered or its client did not wait.
    async fn break_one(&mut self, fault: Fault, n: u64, slot: &Slot, mark: &str) {
        let started = Instant::now();
        self.tally.asked.fetch_add(1, Ordering::Relaxed);
        let session = Some(slot.session.id.as_str());
        let is_answered = match fault.order() {
            Some(order) => {
                let body = call(n, "odd__echo", json!({"mark": mark, "fault": order}));
                let asked = self
                    .connection
                    .ask("POST", session, &body.to_string())
                    .await;
                match asked {
                    Ok(response) => {
                        if response.status != 404 {
                            slot.answered(started);
                        }
                        if self.connection.has_more() {
                            self.tally.surplus.fetch_add(1, Ordering::Relaxed);
                        }
                        let is_one = judge(&response.message, Wanted::Anything, n, mark).is_some();
                        // Whoever ends a session gives up what it asked.
                        let is_over = slot.is_over.load(Ordering::Relaxed);
                        if !is_one && response.status != 404 && !is_over {
                            let what =
                                format!("{fault:?}: {} {}", response.status, response.message);
                            self.tally.wrong(what);
                        }
                        is_one
                    }
                    Err(error) => {
                        self.tally.unanswered.fetch_add(1, Ordering::Relaxed);
                        self.tally.wrong(format!("{fault:?}: no response: {error}"));
                        false
                    }
                }
            }
            None => self.misbehave(fault, n, slot, mark).await,
        };
        self.tally.fault(fault, 1, is_answered);
        let counter = if is_answered {
            &self.tally.right
        } else {
            &self.tally.refused
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    async fn misbehave(&mut self, fault: Fault, n: u64, slot: &Slot, mark: &str) -> bool {
        let session = Some(slot.session.id.as_str());
        let body = match fault {
            Fault::Nonsense => "{\"jsonrpc\": \"2.0\", \"id\": ".to_owned(),
            _ => call(n, "quick__echo", json!({"mark": mark})).to_string(),
        };
        let request = client::request("POST", session, &body);
        let address = self.connection.address();
        let became = trouble::misbehave(fault, address, &request, &mut self.random).await;
        match became {
            Ok(Became::Unseen) => false,
            Ok(Became::Response(bytes)) => {
                let message = trouble::body_of(&bytes);
                let is_one = match (&message, fault) {
                    (Some(message), Fault::Nonsense) => message["error"]["code"].is_i64(),
                    (Some(message), _) => message["id"] == n,
                    (None, _) => false,
                };
                // Who closes its sending half may be taken for gone.
                if !is_one && fault != Fault::HalfClosed {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let is_over = slot.is_over.load(Ordering::Relaxed);
                    if !text.starts_with("HTTP/1.1 404") && !is_over {
                        self.tally.unanswered.fetch_add(1, Ordering::Relaxed);
                        self.tally.wrong(format!("{fault:?}: {text}"));
                    }
                }
                is_one
            }
            Err(error) => {
                self.tally.unanswered.fetch_add(1, Ordering::Relaxed);
                self.tally
                    .wrong(format!("{fault:?}: no connection: {error}"));
                false
            }
        }
    }
}

fn call(id: u64, tool: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
        "name": tool, "arguments": arguments,
    }})
}

/// Returns whether a right answer says that a server cannot be had; none for a wrong answer.
fn judge(message: &Value, wanted: Wanted, id: u64, mark: &str) -> Option<bool> {
    if message["id"] != id {
        return None;
    }
    match wanted {
        Wanted::Mark => {
            let text = &message["result"]["content"][0]["text"];
            (text == mark && message["result"]["isError"] != true).then_some(false)
        }
        Wanted::Anything if message["error"]["code"].is_i64() => Some(true),
        Wanted::Anything => message["result"]["content"].is_array().then_some(false),
        Wanted::List => {
            let tools = message["result"]["tools"].as_array()?;
            tools
                .iter()
                .any(|tool| tool["name"] == "quick__echo")
                .then_some(false)
        }
        Wanted::Trouble => {
            let code = message["error"]["code"].as_i64()?;
            (-31004..=-31001).contains(&code).then_some(true)
        }
    }
}
