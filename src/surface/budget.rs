//! Which rendering each tool gets: most value within a number of tokens.
//!
//! A multiple-choice knapsack. Small ones are solved exactly. For others each tool's options are thinned
//! to their upper convex hull; every tool starts at its smallest option, and upgrades are bought in order
//! of value per token (Sinha and Zoltners 1979, the greedy bound of its linear relaxation); what is left
//! buys any upgrade that still fits, the most valuable first. Either way what stays unused is less than
//! the cheapest upgrade left. Everything is whole numbers and ties go to the earlier tool: the same input
//! gives the same choice everywhere.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Steps that the exact solution may take: options of all tools times tokens of the budget.
const EXACT: usize = 2 << 20;

/// One form that a tool may be shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// What it costs in tokens.
    pub tokens: u64,
    /// What it is worth; only relations matter.
    pub value: u64,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// For each tool the index of its option.
    pub options: Vec<usize>,
    /// What they cost together.
    pub tokens: u64,
    /// What they are worth together.
    pub value: u64,
    /// Whether the smallest options alone cost more than the budget; then those were chosen.
    pub is_over: bool,
}

/// An upgrade of one tool along its hull.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    gain: u64,
    cost: u64,
    tool: usize,
    /// Place on the tool's hull that it leads to.
    to: usize,
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let own = u128::from(self.gain) * u128::from(other.cost);
        let others = u128::from(other.gain) * u128::from(self.cost);
        own.cmp(&others).then_with(|| {
            (Reverse(self.tool), Reverse(self.to)).cmp(&(Reverse(other.tool), Reverse(other.to)))
        })
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Chooses one option for each tool so that they cost no more than `budget` together and are worth
/// most; of many tools nearly most. A tool without options counts as one option that costs nothing and is
/// worth nothing.
pub fn choose(tools: &[Vec<Choice>], budget: u64) -> Chosen {
    let hulls: Vec<Vec<usize>> = tools.iter().map(|options| hull(options)).collect();
    let mut chosen = Chosen {
        options: hulls
            .iter()
            .map(|hull| hull.first().copied().unwrap_or(0))
            .collect(),
        tokens: 0,
        value: 0,
        is_over: false,
    };
    for (tool, option) in chosen.options.iter().enumerate() {
        if let Some(choice) = tools[tool].get(*option) {
            chosen.tokens = chosen.tokens.saturating_add(choice.tokens);
            chosen.value = chosen.value.saturating_add(choice.value);
        }
    }
    if chosen.tokens > budget {
        chosen.is_over = true;
        return chosen;
    }
    if let Some(options) = exact(tools, budget) {
        for (tool, option) in options.into_iter().enumerate() {
            if option != chosen.options[tool] {
                chosen.take(tools, tool, option);
            }
        }
        return chosen;
    }
    let step = |tool: usize, to: usize| {
        let (from, at) = (*hulls[tool].get(to - 1)?, *hulls[tool].get(to)?);
        let (from, at) = (tools[tool][from], tools[tool][at]);
        Some(Step {
            gain: at.value - from.value,
            cost: at.tokens - from.tokens,
            tool,
            to,
        })
    };
    let mut steps: BinaryHeap<Step> = (0..tools.len()).filter_map(|tool| step(tool, 1)).collect();
    while let Some(best) = steps.pop() {
        // Steeper parts of a hull come first, so what does not fit ends this tool's climb here.
        if chosen.tokens + best.cost > budget {
            continue;
        }
        chosen.take(tools, best.tool, hulls[best.tool][best.to]);
        steps.extend(step(best.tool, best.to + 1));
    }
    fill(tools, budget, &mut chosen);
    chosen
}

impl Chosen {
    fn take(&mut self, tools: &[Vec<Choice>], tool: usize, option: usize) {
        let (from, to) = (tools[tool][self.options[tool]], tools[tool][option]);
        self.tokens = self.tokens - from.tokens + to.tokens;
        self.value = self.value - from.value + to.value;
        self.options[tool] = option;
    }
}

/// Returns the options on the upper convex hull, cheapest first. The first is the cheapest of all, of
/// equally cheap ones the most valuable.
fn hull(options: &[Choice]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..options.len()).collect();
    order.sort_by_key(|at| (options[*at].tokens, Reverse(options[*at].value), *at));
    let mut hull: Vec<usize> = Vec::new();
    for at in order {
        let here = options[at];
        if hull
            .last()
            .is_some_and(|last| options[*last].value >= here.value)
        {
            continue;
        }
        while let [.., before, last] = hull.as_slice() {
            let (before, last) = (options[*before], options[*last]);
            let to_last =
                u128::from(last.value - before.value) * u128::from(here.tokens - last.tokens);
            let to_here =
                u128::from(here.value - last.value) * u128::from(last.tokens - before.tokens);
            if to_last > to_here {
                break;
            }
            hull.pop();
        }
        hull.push(at);
    }
    hull
}

/// Buys upgrades of any kind, the most valuable first, until none fits.
fn fill(tools: &[Vec<Choice>], budget: u64, chosen: &mut Chosen) {
    loop {
        let mut best: Option<(u64, Reverse<u64>, usize, usize)> = None;
        for (tool, options) in tools.iter().enumerate() {
            let Some(now) = options.get(chosen.options[tool]).copied() else {
                continue;
            };
            for (at, option) in options.iter().enumerate() {
                if option.value <= now.value || chosen.tokens - now.tokens + option.tokens > budget
                {
                    continue;
                }
                let candidate = (option.value - now.value, Reverse(option.tokens), tool, at);
                if best.is_none_or(|best| (candidate.0, candidate.1) > (best.0, best.1)) {
                    best = Some(candidate);
                }
            }
        }
        let Some((_, _, tool, at)) = best else {
            return;
        };
        chosen.take(tools, tool, at);
    }
}

/// Solves it exactly with a table over tokens (Dudzinski and Walukiewicz 1987), where that is small.
fn exact(tools: &[Vec<Choice>], budget: u64) -> Option<Vec<usize>> {
    let most = |options: &Vec<Choice>| {
        options
            .iter()
            .map(|choice| choice.tokens)
            .max()
            .unwrap_or(0)
    };
    let all = tools.iter().map(most).fold(0u64, u64::saturating_add);
    let width = usize::try_from(budget.min(all)).ok()?.checked_add(1)?;
    let options: usize = tools.iter().map(Vec::len).sum();
    if width.checked_mul(options)? > EXACT {
        return None;
    }
    // The best value of the tools so far within so many tokens (one more than it is worth, so that zero is
    // what cannot be had), and the option that led there.
    let mut best = vec![1u64; width];
    let mut taken: Vec<Vec<u8>> = Vec::with_capacity(tools.len());
    for options in tools {
        if options.is_empty() {
            taken.push(Vec::new());
            continue;
        }
        let mut next = vec![0u64; width];
        let mut options_taken = vec![0u8; width];
        for (at, choice) in options.iter().enumerate().take(usize::from(u8::MAX)) {
            let Some(tokens) = usize::try_from(choice.tokens)
                .ok()
                .filter(|tokens| *tokens < width)
            else {
                continue;
            };
            let places = next[tokens..]
                .iter_mut()
                .zip(&mut options_taken[tokens..])
                .zip(&best);
            for ((value, taken), before) in places {
                let with = if *before == 0 {
                    0
                } else {
                    before + choice.value
                };
                let is_better = with > *value;
                *value = if is_better { with } else { *value };
                *taken = if is_better { at as u8 } else { *taken };
            }
        }
        best = next;
        taken.push(options_taken);
    }
    if best[width - 1] == 0 {
        return None;
    }
    let mut left = width - 1;
    let mut chosen = vec![0; tools.len()];
    for (tool, options) in tools.iter().enumerate().rev() {
        let at = taken[tool].get(left).map_or(0, |at| usize::from(*at));
        chosen[tool] = at;
        let tokens = options.get(at).map_or(0, |choice| choice.tokens);
        left -= usize::try_from(tokens).ok()?;
    }
    Some(chosen)
}

#[cfg(test)]
mod tests;
