//! Which rendering each tool gets, on real tools drawn from captured lists, twelve and many (from more with
//! `MCP_WHITTLE_CORPUS`), at many budgets, beside the best there is. `--nocapture` shows the ratios.

use mcp_whittle::surface::budget::Choice;
use mcp_whittle::surface::budget::Chosen;
use mcp_whittle::surface::budget::choose;
use mcp_whittle::surface::ladder::LadderOptions;
use mcp_whittle::surface::ladder::Rung;
use mcp_whittle::surface::ladder::priced_ladder;
use mcp_whittle::token::TiktokenCounter;

use crate::lean::instances::Random;
use crate::lean::lists;

/// Cases of twelve tools, for each form of list.
const CASES: usize = 30;
/// The least that a choice may be worth, in hundredths of the best.
const LEAST: u64 = 98;

/// What a rendering is worth, as the surface weighs it.
const fn worth(rung: Rung) -> u64 {
    match rung {
        Rung::Full | Rung::Lean => 1000,
        Rung::Dense => 970,
        Rung::Short => 850,
        Rung::Signature => 550,
        Rung::Name => 250,
        Rung::Hidden => 80,
    }
}

/// Everything that is worth trying: for each cost the best value, dearer only where worth more. Tools are
/// added one by one with every option, and what is dominated goes: nothing that could become best does.
fn frontier(tools: &[Vec<Choice>]) -> Vec<(u64, u64)> {
    let mut best = vec![(0, 0)];
    for options in tools {
        let mut all: Vec<(u64, u64)> = best
            .iter()
            .flat_map(|(tokens, value)| {
                options
                    .iter()
                    .map(move |option| (tokens + option.tokens, value + option.value))
            })
            .collect();
        all.sort_by_key(|(tokens, value)| (*tokens, std::cmp::Reverse(*value)));
        best.clear();
        for (tokens, value) in all {
            if best.last().is_none_or(|(_, last)| value > *last) {
                best.push((tokens, value));
            }
        }
    }
    best
}

/// The best value within a budget.
fn best_within(frontier: &[(u64, u64)], budget: u64) -> Option<u64> {
    let within = frontier.iter().take_while(|(tokens, _)| *tokens <= budget);
    within.last().map(|(_, value)| *value)
}

/// The same for many tools, by a table over tokens; every tool has an option that costs nothing.
fn best_of_many(tools: &[Vec<Choice>], budget: usize) -> u64 {
    let mut best = vec![0; budget + 1];
    for options in tools {
        let mut next = vec![0; budget + 1];
        for option in options {
            let tokens = usize::try_from(option.tokens).unwrap_or(usize::MAX);
            for within in tokens..=budget {
                next[within] = next[within].max(best[within - tokens] + option.value);
            }
        }
        best = next;
    }
    best[budget]
}

/// By trying everything.
fn exhaustive(tools: &[Vec<Choice>], budget: u64) -> Option<u64> {
    let Some((first, rest)) = tools.split_first() else {
        return Some(0);
    };
    first
        .iter()
        .filter(|choice| choice.tokens <= budget)
        .filter_map(|choice| Some(choice.value + exhaustive(rest, budget - choice.tokens)?))
        .max()
}

/// The options of real tools, as the surface has them: from lean down to hidden.
fn ladders(may_use_open_schema: bool) -> Vec<Vec<Choice>> {
    let counter = TiktokenCounter::default();
    let options = LadderOptions {
        may_use_open_schema,
        ..LadderOptions::default()
    };
    let mut all = Vec::new();
    for list in lists() {
        for raw in &list.tools {
            let priced = priced_ladder(raw, &options, &counter);
            let choice = |priced: &mcp_whittle::surface::ladder::Priced<'_>| Choice {
                tokens: priced.tokens.get(),
                value: worth(priced.rendering.shown),
            };
            all.push(priced.iter().skip(1).map(choice).collect());
        }
    }
    all
}

/// Tools drawn, each with a weight as use gives it: most are called alike, a few far more.
fn draw(ladders: &[Vec<Choice>], n: usize, random: &mut Random) -> Vec<Vec<Choice>> {
    let one = |random: &mut Random| {
        let mut options = ladders[random.below(ladders.len())].clone();
        let weight = [1, 1, 1, 2, 5, 40][random.below(6)];
        options.iter_mut().for_each(|option| option.value *= weight);
        options
    };
    (0..n).map(|_| one(random)).collect()
}

/// A way to choose, under test.
type Way<'w> = dyn Fn(&[Vec<Choice>], u64) -> Chosen + 'w;

/// The worst share of the best that a way reaches over all cases and budgets, in ten-thousandths.
fn worst(cases: &[Vec<Vec<Choice>>], way: &Way<'_>) -> u64 {
    let mut worst = 10_000;
    for tools in cases {
        let frontier = frontier(tools);
        let (least, most) = (frontier[0].0, frontier[frontier.len() - 1].0);
        for share in (0..=100).step_by(5) {
            let budget = least + (most - least) * share / 100;
            let best = best_within(&frontier, budget).expect("the least fits");
            let chosen = way(tools, budget);
            assert!(chosen.tokens <= budget, "{} of {budget}", chosen.tokens);
            assert!(
                chosen.value <= best,
                "{} is better than the best",
                chosen.value
            );
            worst = worst.min(chosen.value * 10_000 / best.max(1));
        }
    }
    worst
}

/// What the broken variant does: buys the cheapest upgrade first, whatever it is worth.
fn cheapest_first(tools: &[Vec<Choice>], budget: u64) -> Chosen {
    let mut options: Vec<usize> = tools.iter().map(|options| options.len() - 1).collect();
    let cost = |options: &[usize]| -> u64 {
        let picked = options.iter().zip(tools);
        picked.map(|(at, tool)| tool[*at].tokens).sum()
    };
    loop {
        let next = (0..tools.len())
            .filter(|tool| options[*tool] > 0)
            .map(|tool| {
                let mut with = options.clone();
                with[tool] -= 1;
                (cost(&with), with)
            })
            .min();
        match next {
            Some((tokens, with)) if tokens <= budget => options = with,
            _ => break,
        }
    }
    let value = options.iter().zip(tools).map(|(at, tool)| tool[*at].value);
    Chosen {
        tokens: cost(&options),
        value: value.sum(),
        options: options.clone(),
        is_over: false,
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the ratios of this run, shown with --nocapture"
)]
fn twelve_real_tools_get_98_percent_of_the_best() {
    for is_open in [true, false] {
        let ladders = ladders(is_open);
        let mut random = Random::new(12);
        let cases: Vec<_> = (0..CASES)
            .map(|_| draw(&ladders, 12, &mut random))
            .collect();
        // The best is what trying everything finds; of twelve tools that takes too long.
        for tools in &cases[..4] {
            let few = &tools[..6];
            let frontier = frontier(few);
            for share in [0, 30, 70] {
                let budget = frontier[frontier.len() - 1].0 * share / 100;
                assert_eq!(best_within(&frontier, budget), exhaustive(few, budget));
            }
        }
        let exact = worst(&cases, &choose);
        let broken = worst(&cases, &cheapest_first);
        println!(
            "{} schemas, {CASES} cases of 12 real tools, 21 budgets each; the worst share of the best value: {:.2} % as chosen, {:.2} % cheapest first",
            if is_open { "open" } else { "real" },
            exact as f64 / 100.0,
            broken as f64 / 100.0,
        );
        assert!(exact >= LEAST * 100, "{exact}");
        assert!(
            broken < LEAST * 100,
            "the broken way is not caught: {broken}"
        );
    }
}

/// The greedy way, which large catalogues take.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "the ratios of this run, shown with --nocapture"
)]
fn three_hundred_real_tools_get_98_percent_of_the_best() {
    for is_open in [true, false] {
        let ladders = ladders(is_open);
        let mut random = Random::new(300);
        for budget in [4_000, 16_000] {
            let tools = draw(&ladders, 300, &mut random);
            let chosen = choose(&tools, budget);
            let best = best_of_many(&tools, usize::try_from(budget).expect("small"));
            println!(
                "{} schemas, 300 real tools within {budget} tokens: {:.2} % of the best value",
                if is_open { "open" } else { "real" },
                chosen.value as f64 * 100.0 / best as f64
            );
            assert!(chosen.tokens <= budget && chosen.value <= best);
            assert!(
                chosen.value * 100 >= best * LEAST,
                "{} of {best}",
                chosen.value
            );
        }
    }
}
