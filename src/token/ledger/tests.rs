use super::stats::{Filter, Stats};
use super::*;

fn entry(kind: Kind, before: u64, after: u64) -> Entry<'static> {
    Entry {
        day: Day::new(20_785),
        session: "s1",
        is_held_out: false,
        server: "git",
        tool: "log",
        kind,
        basis: Basis::Measured,
        before: Tokens::new(before),
        after: Tokens::new(after),
    }
}

fn stats(ledger: &mut Ledger, filter: &Filter) -> Stats {
    let days = ledger.take_dirty();
    Stats::of(days.iter().map(|(day, rows)| (*day, rows)), filter)
}

#[test]
fn what_is_read_back_counts_against_the_saving() {
    let mut ledger = Ledger::default();
    ledger.record(&entry(Kind::Answer, 1000, 200));
    ledger.record(&entry(Kind::Cached, 1000, 200));
    ledger.record(&entry(Kind::Unchanged, 1000, 20));
    ledger.record(&entry(Kind::Answer, 50, 50));
    ledger.record(&entry(Kind::Fetched, 0, 700));
    ledger.record(&Entry {
        tool: "",
        ..entry(Kind::List, 9000, 4000)
    });
    let stats = stats(&mut ledger, &Filter::default());
    let all = stats.totals;
    assert_eq!((all.calls, all.smaller), (4, 3));
    assert_eq!((all.calls_saved, all.unchanged, all.deltas), (1, 1, 0));
    assert_eq!((all.before.value, all.after.value), (3050, 470));
    assert_eq!((all.reads_back, all.read_back.value), (1, 700));
    assert_eq!(all.saved.value, 3050 - 470 - 700);
    assert_eq!(stats.lists[0].before.value, 9000);
    assert_eq!(stats.sessions, 1);
    assert_eq!(stats.holdout, None);
}

#[test]
fn a_sum_is_as_weak_as_its_weakest_part() {
    let mut ledger = Ledger::default();
    ledger.record(&entry(Kind::Answer, 10, 5));
    let basis = |ledger: &mut Ledger| {
        ledger.record(&entry(Kind::Answer, 10, 5));
        stats(ledger, &Filter::default()).totals.saved.basis
    };
    assert_eq!(basis(&mut ledger), Basis::Measured);
    ledger.record(&Entry {
        basis: Basis::Replayed,
        ..entry(Kind::Answer, 10, 5)
    });
    assert_eq!(basis(&mut ledger), Basis::Replayed);
    ledger.record(&Entry {
        basis: Basis::Estimated,
        ..entry(Kind::Fetched, 0, 5)
    });
    assert_eq!(basis(&mut ledger), Basis::Estimated);
}

#[test]
fn only_what_changed_is_taken_and_each_day_whole() {
    let mut ledger = Ledger::default();
    assert!(ledger.take_dirty().is_empty());
    let on = |day: u32| Entry {
        day: Day::new(day),
        ..entry(Kind::Answer, 10, 5)
    };
    ledger.record(&on(5));
    ledger.record(&on(6));
    let days: Vec<u32> = ledger
        .take_dirty()
        .iter()
        .map(|(day, _)| day.get())
        .collect();
    assert_eq!(days, [5, 6]);
    ledger.record(&on(6));
    let taken = ledger.take_dirty();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].1.iter().next().map(|(_, sum)| sum.n), Some(2));
    // Many days later, an entry of the first one has no file of its own any more.
    for day in 7..20 {
        ledger.record(&on(day));
    }
    ledger.take_dirty();
    ledger.record(&on(5));
    let late: Vec<u32> = ledger
        .take_dirty()
        .iter()
        .map(|(day, _)| day.get())
        .collect();
    assert_eq!(late, [16], "the earliest day that is whole");
    assert_eq!(ledger.n_entries(), 17);
}

#[test]
fn names_sessions_and_rows_are_bounded() {
    let mut ledger = Ledger::default();
    let long = "\u{e9}".repeat(500);
    ledger.record(&Entry {
        tool: &long,
        ..entry(Kind::Answer, 10, 5)
    });
    for n in 0..3 * ROWS {
        let (session, tool) = (format!("s{n}"), format!("t{n}"));
        ledger.record(&Entry {
            session: &session,
            tool: &tool,
            ..entry(Kind::Answer, 10, 5)
        });
    }
    let taken = ledger.take_dirty();
    let rows = &taken[0].1;
    assert!(rows.iter().count() <= 2 * ROWS, "{}", rows.iter().count());
    assert!(rows.iter().all(|(key, _)| key.tool.len() <= NAME_BYTES));
    let calls: u64 = rows.iter().map(|(_, sum)| sum.n).sum();
    assert_eq!(
        calls + rows.dropped(),
        3 * ROWS as u64 + 1,
        "nothing is lost silently"
    );
    let folded = rows.iter().filter(|(key, _)| key.session == FOLDED);
    assert!(folded.count() > ROWS / 4);
    // The same as it is read back from a file.
    let again = Rows::of(rows.iter().map(|(k, s)| (k.clone(), *s)), rows.dropped());
    assert!(again == *rows, "rows change when they are read back");
}

#[test]
fn arithmetic_saturates() {
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        ledger.record(&entry(Kind::Answer, u64::MAX, u64::MAX));
        ledger.record(&entry(Kind::Fetched, 0, u64::MAX));
    }
    let stats = stats(&mut ledger, &Filter::default());
    assert_eq!(stats.totals.before.value, i64::MAX);
    assert_eq!(stats.totals.saved.value, -i64::MAX);
    let _ = stats.to_text(&render::TextOptions::default());
}

#[test]
fn untouched_sessions_are_compared_and_not_summed_up() {
    let mut ledger = Ledger::default();
    for n in 0..40_u64 {
        let session = format!("s{n}");
        let is_held_out = n % 4 == 0;
        for _ in 0..3 {
            ledger.record(&Entry {
                session: &session,
                is_held_out,
                ..entry(
                    Kind::Answer,
                    100,
                    if is_held_out { 100 } else { 40 + n % 3 },
                )
            });
        }
    }
    // A session of which the first part is not asked for is left out of the comparison.
    ledger.record(&Entry {
        session: "s1",
        day: Day::new(20_000),
        ..entry(Kind::Answer, 100, 40)
    });
    let since = Filter {
        since: Some(Day::new(20_785)),
        server: None,
    };
    let stats = stats(&mut ledger, &since);
    let holdout = stats.holdout.expect("two groups");
    assert_eq!(
        (holdout.shaped.sessions, holdout.held_out.sessions),
        (29, 10)
    );
    assert_eq!(holdout.held_out.tokens_per_session, 300.0);
    assert_eq!(holdout.difference, None, "below the floor");
    assert_eq!(stats.totals.calls, 90);
    let text = stats.to_text(&render::TextOptions::default());
    assert!(text.contains("Nothing is said yet: 30 sessions"), "{text}");
}

#[test]
fn one_server_can_be_asked_for() {
    let mut ledger = Ledger::default();
    ledger.record(&entry(Kind::Answer, 10, 5));
    ledger.record(&Entry {
        server: "web",
        ..entry(Kind::Answer, 100, 50)
    });
    let filter = Filter {
        since: None,
        server: Some("web".to_owned()),
    };
    let stats = stats(&mut ledger, &filter);
    assert_eq!(stats.totals.before.value, 100);
    assert_eq!(stats.tools.len(), 1);
    assert!(!stats.is_empty());
}
