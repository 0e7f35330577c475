//! Properties of search on any text. Each has a broken variant beside it that it catches.

use std::collections::HashMap;
use std::panic::catch_unwind;

use proptest::prelude::*;

use super::{tool, tools};
use crate::search::fields::cut;
use crate::search::{Entry, Index, Request, Scored, Tuning};

/// Words of the small catalogue, forms of them, and anything else.
fn query() -> impl Strategy<Value = String> {
    let words =
        "file|files|read|creates|issue|forecast|wether|power|point|new|picture|天气|bug|project";
    let known = proptest::string::string_regex(words).expect("it is an expression");
    let any = prop_oneof![3 => known, 1 => "\\PC{0,6}", 1 => any::<String>()];
    proptest::collection::vec(any, 0..8).prop_map(|words| words.join(" "))
}

fn is_ordered(hits: &[Scored], n_tools: usize) -> bool {
    hits.iter()
        .all(|hit| hit.tool < n_tools && hit.score > 0.0 && hit.score.is_finite())
        && hits
            .windows(2)
            .all(|pair| (pair[0].score, pair[1].tool) > (pair[1].score, pair[0].tool))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any query and any limit: no panic, the bounds are kept, the best come first, each once.
    #[test]
    fn any_query_is_answered(queries in proptest::collection::vec(query(), 0..4), limit in 0usize..12) {
        let entries = tools();
        let index = Index::build(&entries);
        let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
        for query in &queries {
            let ranked = index.rank(query, limit);
            prop_assert!(ranked.len() <= limit && is_ordered(&ranked, entries.len()), "{ranked:?}");
            index.nearest_names(query, limit);
        }
        let request = Request { queries: &queries, server: None, limit };
        let found = index.answer(&request).expect("there is no filter");
        let mut seen: Vec<_> = found.hits.iter().map(|hit| hit.tool).collect();
        seen.sort_unstable();
        seen.dedup();
        prop_assert!(found.hits.len() <= limit && seen.len() == found.hits.len());
        prop_assert_eq!(found.verdicts.len(), queries.len());
    }

    /// Any texts in a definition: it is indexed without a panic and its ordinary neighbour is found.
    #[test]
    fn any_definition_is_indexed(
        name in any::<String>(), description in any::<String>(), schema in any::<String>(), query in query(),
    ) {
        let mut odd = tool(&name, &name, &description);
        odd.title = Some(&description);
        odd.input_schema = Some(&schema);
        odd.server_description = Some(&schema);
        let mut entries = tools();
        entries.push(odd);
        let index = Index::build(&entries);
        prop_assert!(is_ordered(&index.rank(&query, 20), entries.len()));
        let found = index.rank("write_file overwrite existing", 2);
        prop_assert!(found.iter().any(|hit| hit.tool == 1));
    }

    /// Two indexes of the same catalogue, whose maps have other orders, answer alike to the bit.
    #[test]
    fn the_same_catalogue_answers_the_same(query in query()) {
        let entries = tools();
        let rank = || Index::build(&entries).rank(&query, 20);
        prop_assert!(is_repeatable(rank));
    }

    /// Where a tool stands in the catalogue decides only between equal scores.
    #[test]
    fn the_order_of_the_catalogue_only_breaks_ties(query in query(), by in 1usize..9) {
        let entries = tools();
        let mut turned = entries.clone();
        turned.rotate_left(by);
        let scores = by_name(&entries, &query);
        for (name, score) in by_name(&turned, &query) {
            prop_assert!((score - scores[name]).abs() < 1e-9, "{name}");
        }
    }

    /// Saying the same more often does not help: eight times is never better than twice.
    #[test]
    fn repeating_does_not_pay(words in "[a-d]{3,4}( [a-d]{3,4}){0,5}", query in "[a-d]{3,4}( [a-d]{3,4}){0,2}") {
        prop_assert!(repeating_costs(&Tuning::default(), &words, &query));
    }

    /// An explanation adds up to the score it explains.
    #[test]
    fn explanations_add_up(query in query()) {
        let entries = tools();
        let index = Index::build(&entries);
        for hit in index.rank(&query, 20) {
            let why = index.explain(&query, hit.tool, &entries[hit.tool]).expect("it is a tool");
            let tolerance = 1e-6 * hit.score;
            prop_assert!((why.score - hit.score).abs() < tolerance, "{why:?} {hit:?}");
        }
    }

    /// Cutting never splits a character.
    #[test]
    fn cutting_is_safe(text in any::<String>(), at in 0usize..40) {
        prop_assert!(is_cut_well(cut, &text, at));
    }
}

fn by_name<'a>(entries: &[Entry<'a>], query: &str) -> HashMap<&'a str, f64> {
    let ranked = Index::build(entries).rank(query, 20);
    ranked
        .iter()
        .map(|hit| (entries[hit.tool].name, hit.score))
        .collect()
}

fn is_repeatable(rank: impl Fn() -> Vec<Scored>) -> bool {
    let first = rank();
    (0..5).all(|_| {
        let again = rank();
        let same =
            |(a, b): (&Scored, &Scored)| a.tool == b.tool && a.score.to_bits() == b.score.to_bits();
        again.len() == first.len() && again.iter().zip(&first).all(same)
    })
}

/// The broken variant that the property catches: ties in the order of a map.
#[test]
fn the_order_of_a_map_would_be_seen() {
    let broken = || {
        let scores: HashMap<usize, f64> = (0..20).map(|tool| (tool, 1.0)).collect();
        let hits = scores
            .into_iter()
            .map(|(tool, score)| Scored { tool, score });
        hits.collect()
    };
    assert!(!is_repeatable(broken));
    // And those of `any_query_is_answered`: ties turned round, and a tool twice.
    let hit = |tool, score| Scored { tool, score };
    assert!(is_ordered(&[hit(1, 2.0), hit(0, 1.0), hit(2, 1.0)], 3));
    assert!(!is_ordered(&[hit(1, 2.0), hit(2, 1.0), hit(0, 1.0)], 3));
    assert!(!is_ordered(&[hit(1, 2.0), hit(1, 2.0)], 3));
    assert!(!is_ordered(&[hit(3, 2.0)], 3));
}

fn repeating_costs(tuning: &Tuning, words: &str, query: &str) -> bool {
    let score = |times: usize| {
        let description = vec![words; times].join(" ");
        let mut entries = tools();
        entries.push(tool("stuffed", "tool", &description));
        let ranked = Index::with_tuning(&entries, tuning.clone()).rank(query, 20);
        let it = ranked.iter().find(|hit| hit.tool + 1 == entries.len());
        it.map_or(0.0, |hit| hit.score)
    };
    score(8) <= score(2) + 1e-6
}

/// The broken variant that the property catches: every occurrence counts.
#[test]
fn counting_every_occurrence_would_be_seen() {
    let mut tuning = Tuning::default();
    assert!(repeating_costs(&tuning, "abc abd", "abc"));
    for field in &mut tuning.fields {
        field.max_count = u32::MAX;
    }
    assert!(!repeating_costs(&tuning, "abc abd", "abc"));
}

/// The broken variant that `explanations_add_up` catches: the name's share forgotten.
#[test]
fn forgetting_the_name_would_be_seen() {
    let entries = tools();
    let index = Index::build(&entries);
    let hit = index.rank("read file", 1)[0];
    let why = index
        .explain("read file", hit.tool, &entries[hit.tool])
        .expect("it is a tool");
    assert!((why.score / why.name_factor - hit.score).abs() > 1e-3);
}

/// The broken variant that `the_order_of_the_catalogue_only_breaks_ties` catches: earlier is better.
#[test]
fn a_bonus_for_the_first_would_be_seen() {
    let entries = tools();
    let mut turned = entries.clone();
    turned.rotate_left(1);
    let with_bonus = |entries: &[Entry<'_>]| {
        let hit = Index::build(entries).rank("read file", 1)[0];
        hit.score + 0.01 / (hit.tool + 1) as f64
    };
    assert!((with_bonus(&entries) - with_bonus(&turned)).abs() > 1e-9);
}

fn is_cut_well(cut: fn(&str, usize) -> &str, text: &str, at: usize) -> bool {
    let (text, whole) = (text.to_owned(), text);
    catch_unwind(move || cut(&text, at).to_owned()).is_ok_and(|start| {
        whole.starts_with(&start) && start.len() <= at && start.len() + 4 > at.min(whole.len())
    })
}

/// The broken variant that the property catches: cutting at any byte.
#[test]
fn cutting_inside_a_character_would_be_seen() {
    assert!(!is_cut_well(
        |text, at| &text[..at.min(text.len())],
        "añb",
        2
    ));
    assert!(is_cut_well(cut, "añb", 2));
}
