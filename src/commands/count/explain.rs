//! What a surface costs and saves, in words and numbers.

use std::fmt::Write;

use crate::cli::PriceArgs;
use crate::surface::economy::{CALLED, REQUESTS};
use crate::surface::plan::{BREAK_EVEN, HIDE_FROM, Surface};

/// Tokens that a model writes to ask for one more call.
const TURN_OUTPUT: f64 = 100.0;

/// Says what was chosen and what it comes to. Prices are in units of one uncached input token.
pub(super) fn explain(surface: &Surface, prices: &PriceArgs) -> String {
    let mut text = String::from("\n");
    let counts: Vec<String> = surface
        .histogram()
        .into_iter()
        .map(|(rung, n)| format!("{n} {rung}"))
        .collect();
    let _ = writeln!(text, "Shown: {}.", counts.join(", "));
    let Some(cost) = surface.cost else {
        let _ = writeln!(
            text,
            "Nothing was chosen: the list is estimated below {BREAK_EVEN} tokens, or not to be cut. It is only made lean."
        );
        return text;
    };
    match surface.budget {
        Some(budget) => {
            let _ = writeln!(
                text,
                "Budget {budget}: {} of {} tokens are shown, {} of them our own tools; lean alone would be {}.",
                cost.shown, cost.bare, cost.meta, cost.lean
            );
        }
        None if surface.hides() => {
            let _ = writeln!(
                text,
                "Listed is what pays for its place over {REQUESTS} requests that call {CALLED} of the tools: {} of {} tokens are shown, {} of them our own tools; lean alone would be {}.",
                cost.shown, cost.bare, cost.meta, cost.lean
            );
        }
        None => {
            let _ = writeln!(
                text,
                "No budget: {} of {} tokens are shown.",
                cost.shown, cost.bare
            );
        }
    }
    if let Some(shortfall) = &surface.shortfall {
        let _ = writeln!(text, "{shortfall}.");
    }
    let saved = cost.bare.get() as f64 - cost.shown.get() as f64;
    let requests = f64::from(prices.requests.max(1));
    let factor = prices.cache_write + prices.cache_read * (requests - 1.0);
    let turn = prices.cache_read * f64::from(prices.context) + prices.output * TURN_OUTPUT;
    let _ = writeln!(
        text,
        "Saved each request: {saved:.0} tokens of context; {:.0} token prices where they are cached, {:.0} where not.\n\
         Over {} requests with caching: {:.0} token prices. One extra turn (context {}, {TURN_OUTPUT} tokens written) costs {turn:.0}: {:.1} extra turns would cancel it.",
        saved * prices.cache_read,
        saved,
        prices.requests.max(1),
        saved * factor,
        prices.context,
        if turn > 0.0 {
            saved * factor / turn
        } else {
            f64::INFINITY
        },
    );
    let _ = writeln!(
        text,
        "Prices per token: cached {}, written to the cache {}, output {} (uncached = 1). `auto` only leans below {BREAK_EVEN} tokens and hides only above {HIDE_FROM}.",
        prices.cache_read, prices.cache_write, prices.output
    );
    text
}
