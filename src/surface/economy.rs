//! What a list costs over a conversation, and from when on a tool pays for its place in it.
//!
//! The arithmetic of prompt caching: a token of the list is written once at 1.25 times the price of input
//! and read again by each later request at 0.1; a turn more reads the whole context again and writes an
//! answer at five times the price. What a conversation is like is a prior, the same for every catalogue:
//! which tools it needs is known only by their weights.

use crate::surface::ladder::Rung;

/// Requests of the conversation that is reckoned with.
pub const REQUESTS: f64 = 30.0;
/// Distinct tools that it calls.
pub const CALLED: f64 = 5.0;
/// What a token read from the cache costs, in tokens of fresh input.
const CACHE_READ: f64 = 0.1;
/// What a token costs that is written to the cache.
const CACHE_WRITE: f64 = 1.25;
/// What one more turn costs: a context of 60,000 tokens read again, 100 tokens written at 5.
const TURN: f64 = CACHE_READ * 60_000.0 + 5.0 * 100.0;
/// Turns that one tool costs when it is looked up: needs come in groups, looked up side by side.
const TURNS_OF_A_LOOK_UP: f64 = 0.5;
/// Share of searches that do not find at once what the model needs.
const MISSED: f64 = 0.1;
/// Tokens of a search's answer, and of a schema as the answer to a wrong call.
const LOOK_UP_TOKENS: f64 = 300.0;

/// What a token of the list costs over the conversation.
fn listed() -> f64 {
    CACHE_WRITE + CACHE_READ * (REQUESTS - 1.0)
}

/// What a token costs that comes in the middle of the conversation.
fn answered() -> f64 {
    CACHE_WRITE + CACHE_READ * REQUESTS / 2.0
}

/// What the first use of a tool costs beyond its place in the list, when it is shown in this form.
fn first_use(rung: Rung) -> f64 {
    let look_up = TURN * TURNS_OF_A_LOOK_UP + LOOK_UP_TOKENS * answered();
    match rung {
        Rung::Full | Rung::Lean | Rung::Dense => 0.0,
        // Words that were left out are missed now and then, parameters without prose more often.
        Rung::Short => 0.01 * TURN,
        Rung::Signature => 0.1 * TURN,
        Rung::Name => look_up,
        Rung::Hidden => look_up + MISSED * TURN,
    }
}

/// Returns how likely a conversation needs a tool of this weight, of tools that weigh `all` together.
pub fn need(weight: u64, all: u64) -> f64 {
    if all == 0 {
        return 0.0;
    }
    (CALLED * weight as f64 / all as f64).min(1.0)
}

/// Returns what a tool costs over a conversation that needs it with a probability of `need`, when it is
/// shown as `rung` for so many tokens: in tokens of fresh input.
pub fn cost(rung: Rung, tokens: u64, need: f64) -> f64 {
    tokens as f64 * listed() + need * first_use(rung)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form that costs least of a tool with these tokens lean, as a signature and as a name.
    fn best(need: f64) -> Rung {
        let forms = [
            (Rung::Lean, 250),
            (Rung::Short, 200),
            (Rung::Signature, 90),
            (Rung::Name, 25),
            (Rung::Hidden, 0),
        ];
        let cost = |(rung, tokens): &(Rung, u64)| cost(*rung, *tokens, need);
        let least = |a: &&(Rung, u64), b: &&(Rung, u64)| cost(a).total_cmp(&cost(b));
        forms.iter().min_by(least).map(|(rung, _)| *rung).unwrap()
    }

    #[test]
    fn a_place_in_the_list_is_for_tools_that_are_needed() {
        // One of 440 tools of which nothing is known, and one that half of all conversations need.
        assert_eq!(best(need(10, 4400)), Rung::Hidden);
        assert_eq!(best(0.1), Rung::Signature);
        assert_eq!(best(1.0), Rung::Short);
        assert!(need(10, 10) <= 1.0 && need(1, 0) == 0.0);
    }

    #[test]
    fn the_break_even_of_the_whole_list_is_that_of_the_table() {
        // 10,000 tokens against 800: 38,000 saved in 30 requests, 5.9 turns of 6,500.
        let gain = (10_000.0 - 800.0) * listed();
        assert!((gain - 38_000.0).abs() < 300.0, "{gain}");
        assert!((gain / TURN - 5.9).abs() < 0.1);
    }
}
