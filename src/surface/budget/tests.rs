use proptest::prelude::*;

use super::*;

/// The best value there is, by trying everything.
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

/// The same by a table over tokens, fast enough for twelve tools with six options.
fn table(tools: &[Vec<Choice>], budget: usize) -> Option<u64> {
    let mut best: Vec<Option<u64>> = vec![Some(0); budget + 1];
    for options in tools {
        best = (0..=budget)
            .map(|left| {
                options
                    .iter()
                    .filter_map(|choice| {
                        let before = left.checked_sub(usize::try_from(choice.tokens).ok()?)?;
                        Some(best[before]? + choice.value)
                    })
                    .max()
            })
            .collect();
    }
    best[budget]
}

/// Ladders as tools have them: each rung smaller and worth less, by no fixed rule.
fn ladders(tools: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<Choice>>> {
    let ladder = (20..400u64, 1..50u64, prop::collection::vec(10..100u64, 5)).prop_map(
        |(full, weight, shrinks)| {
            let values = [1000, 970, 850, 550, 250, 100];
            let mut tokens = full;
            let mut options = vec![Choice {
                tokens,
                value: values[0] * weight,
            }];
            for (shrink, value) in shrinks.iter().zip(&values[1..]) {
                tokens = tokens * shrink / 100;
                options.push(Choice {
                    tokens,
                    value: value * weight,
                });
            }
            options
        },
    );
    prop::collection::vec(ladder, tools)
}

fn is_valid(tools: &[Vec<Choice>], budget: u64, chosen: &Chosen) -> Result<(), String> {
    let picked = || {
        tools
            .iter()
            .zip(&chosen.options)
            .map(|(options, at)| options[*at])
    };
    let tokens: u64 = picked().map(|choice| choice.tokens).sum();
    let value: u64 = picked().map(|choice| choice.value).sum();
    if (tokens, value) != (chosen.tokens, chosen.value) {
        return Err("the sums are wrong".to_owned());
    }
    if chosen.is_over {
        return Ok(());
    }
    if tokens > budget {
        return Err(format!("{tokens} tokens in a budget of {budget}"));
    }
    let fits = tools.iter().zip(&chosen.options).any(|(options, at)| {
        let now = options[*at];
        options
            .iter()
            .any(|choice| choice.value > now.value && tokens - now.tokens + choice.tokens <= budget)
    });
    if fits {
        return Err("an upgrade still fits".to_owned());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn twelve_tools_get_98_percent_of_the_best(
        tools in ladders(12..13),
        share in 0..100u64,
    ) {
        let full: u64 = tools.iter().map(|options| options[0].tokens).sum();
        let least: u64 = tools.iter().map(|options| options.last().map_or(0, |o| o.tokens)).sum();
        let budget = least + (full - least) * share / 100;
        let chosen = choose(&tools, budget);
        prop_assert_eq!(is_valid(&tools, budget, &chosen), Ok(()));
        let best = table(&tools, usize::try_from(budget).unwrap()).unwrap();
        prop_assert!(chosen.value * 100 >= best * 98, "{} of {best}", chosen.value);
    }

    #[test]
    fn any_number_of_tools_keeps_the_budget(tools in ladders(0..60), budget in 0..9000u64) {
        let chosen = choose(&tools, budget);
        prop_assert_eq!(is_valid(&tools, budget, &chosen), Ok(()));
        let least: u64 = tools.iter().flat_map(|options| options.iter().map(|o| o.tokens).min()).sum();
        prop_assert_eq!(chosen.is_over, least > budget);
    }
}

proptest! {
    // The table that it is compared with is slow.
    #![proptest_config(ProptestConfig::with_cases(5))]
    /// The greedy way alone, as large catalogues take it.
    #[test]
    fn two_hundred_tools_get_98_percent_of_the_best(tools in ladders(200..201), share in 5..100u64) {
        let full: u64 = tools.iter().map(|options| options[0].tokens).sum();
        let least: u64 = tools.iter().map(|options| options.last().map_or(0, |o| o.tokens)).sum();
        let budget = least + (full - least) * share / 100;
        let options: usize = tools.iter().map(Vec::len).sum();
        prop_assume!(options as u64 * budget > EXACT as u64);
        let chosen = choose(&tools, budget);
        prop_assert_eq!(is_valid(&tools, budget, &chosen), Ok(()));
        let best = table(&tools, usize::try_from(budget).unwrap()).unwrap();
        prop_assert!(chosen.value * 100 >= best * 98, "{} of {best}", chosen.value);
    }
}

/// The broken variant: one that stops at the first upgrade that does not fit leaves budget unused.
#[test]
fn a_choice_that_stops_early_is_caught() {
    let tools = vec![
        vec![
            Choice {
                tokens: 100,
                value: 1000,
            },
            Choice {
                tokens: 0,
                value: 0,
            },
        ],
        vec![
            Choice {
                tokens: 10,
                value: 10,
            },
            Choice {
                tokens: 0,
                value: 0,
            },
        ],
    ];
    let stopped = Chosen {
        options: vec![1, 1],
        tokens: 0,
        value: 0,
        is_over: false,
    };
    assert!(is_valid(&tools, 50, &stopped).is_err());
    assert_eq!(choose(&tools, 50).options, [1, 0]);
}

#[test]
fn the_table_agrees_with_trying_everything() {
    let tools = vec![
        vec![
            Choice {
                tokens: 5,
                value: 9,
            },
            Choice {
                tokens: 2,
                value: 4,
            },
        ],
        vec![
            Choice {
                tokens: 4,
                value: 7,
            },
            Choice {
                tokens: 1,
                value: 1,
            },
        ],
        vec![
            Choice {
                tokens: 3,
                value: 6,
            },
            Choice {
                tokens: 3,
                value: 5,
            },
        ],
    ];
    for budget in 0..15 {
        assert_eq!(table(&tools, budget), exhaustive(&tools, budget as u64));
    }
}

#[test]
fn odd_input_is_no_trouble() {
    assert_eq!(choose(&[], 10).options, Vec::<usize>::new());
    let none = choose(
        &[
            vec![],
            vec![Choice {
                tokens: 3,
                value: 1,
            }],
        ],
        10,
    );
    assert_eq!((none.options, none.tokens), (vec![0, 0], 3));
    let huge = vec![
        vec![Choice {
            tokens: u64::MAX / 4,
            value: 1
        }];
        3
    ];
    assert!(choose(&huge, 10).is_over);
}
