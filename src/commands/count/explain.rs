//! What a surface costs and saves, in words and numbers.

use std::fmt::Write;

use crate::cli::PriceArgs;
use crate::surface::economy::{CALLED, REQUESTS};
use crate::surface::plan::{BREAK_EVEN, Budget, HIDE_FROM, Surface};

/// Tokens that a model writes to ask for one more call.
const TURN_OUTPUT: f64 = 100.0;

/// Says what was chosen and what it comes to. Prices are in units of one uncached input token.
pub(super) fn explain(surface: &Surface, asked: Budget, prices: &PriceArgs) -> String {
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
        // A pin hides without a budget too.
        None if surface.hides() && asked == Budget::Auto => {
            let _ = writeln!(
                text,
                "Listed is what pays for its place over {REQUESTS} requests that call {CALLED} of the tools: {} of {} tokens are shown, {} of them our own tools; lean alone would be {}.",
                cost.shown, cost.bare, cost.meta, cost.lean
            );
        }
        None => {
            let _ = writeln!(
                text,
                "No budget: {} of {} tokens are shown, {} of them our own tools.",
                cost.shown, cost.bare, cost.meta
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::surface::plan::{self, Part, Settings};
    use crate::token::TiktokenCounter;

    /// Broken variant that this catches: one that takes every list with hidden tools for one that was weighed.
    #[test]
    fn a_pin_that_hides_without_a_budget_pays_for_nothing() {
        let tool = |n: usize| {
            let text = "Does one of many things with files and folders. ".repeat(20);
            Bytes::from(format!(
                r#"{{"name":"t{n}","description":"{text}","inputSchema":{{"type":"object"}}}}"#
            ))
        };
        let parts = [Part {
            server: "s".to_owned(),
            tools: (0..20).map(tool).collect(),
        }];
        let settings = Settings {
            budget: Budget::Unlimited,
            pins: vec!["t1*=hidden".parse().expect("a pin")],
            ..Settings::default()
        };
        let surface = plan::plan(&parts, &settings, &TiktokenCounter::default());
        assert!(surface.hides());
        let prices = PriceArgs {
            requests: 30,
            context: 30_000,
            cache_read: 0.1,
            cache_write: 1.25,
            output: 5.0,
        };
        let text = explain(&surface, settings.budget, &prices);
        assert!(
            text.contains("No budget: ") && !text.contains("pays for its place"),
            "{text}"
        );
    }
}
