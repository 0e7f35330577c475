//! What the hub notes in its ledger.

use std::time::{Duration, Instant};

use crate::token::Tokens;
use crate::token::ledger::stats::{Filter, Stats};
use crate::token::ledger::{Basis, Kind};

use super::super::Hub;
use super::super::ledger::Noted;
use super::super::settings::EraChoice;
use super::settings;

const NOON: u64 = 20_785 * 86_400 + 43_200;

fn noted(session: u64) -> Noted<'static> {
    Noted {
        session,
        server: "git",
        tool: "log",
        basis: Basis::Measured,
    }
}

fn stats(hub: &mut Hub) -> Stats {
    let days = hub.take_ledger();
    Stats::of(
        days.iter().map(|(day, rows)| (*day, rows)),
        &Filter::default(),
    )
}

#[test]
fn every_note_finds_its_day_and_session() {
    let mut hub = Hub::new(settings(&["git"], EraChoice::Auto), [3; 32]);
    let now = Instant::now();
    let tokens = Tokens::new;
    hub.note_cached(now, noted(1), tokens(9), tokens(9));
    assert_eq!(hub.n_noted(), 0, "nobody said what day it is");
    hub.handle_wall_clock(now, NOON);
    hub.note_shaped(now, noted(1), Kind::Answer, tokens(100), tokens(40));
    hub.note_shaped(now, noted(2), Kind::Delta, tokens(100), tokens(10));
    hub.note_cached(now, noted(2), tokens(100), tokens(40));
    let tomorrow = now + Duration::from_secs(13 * 3600);
    hub.note_fetched(tomorrow, noted(1), tokens(30));
    hub.note_listed(tomorrow, noted(1), tokens(500), tokens(200));
    assert_eq!(hub.n_noted(), 5);
    let stats = stats(&mut hub);
    assert_eq!(stats.first_day.as_deref(), Some("2026-11-28"));
    assert_eq!(stats.last_day.as_deref(), Some("2026-11-29"));
    assert_eq!(stats.sessions, 2);
    let all = stats.totals;
    assert_eq!((all.calls, all.calls_saved, all.deltas), (3, 1, 1));
    assert_eq!(all.saved.value, 300 - 90 - 30);
    assert_eq!(stats.lists[0].after.value, 200);
    assert!(hub.take_ledger().is_empty(), "nothing new");
}

#[test]
fn a_session_stays_in_its_group() {
    let mut with = settings(&["git"], EraChoice::Auto);
    with.holdout = "0.5".parse().expect("a share");
    let mut hub = Hub::new(with, [3; 32]);
    let now = Instant::now();
    hub.handle_wall_clock(now, NOON);
    let held: Vec<bool> = (0..200).map(|session| hub.is_held_out(session)).collect();
    let n_held = held.iter().filter(|is_held| **is_held).count();
    assert!((70..130).contains(&n_held), "{n_held}");
    // New settings do not move anybody.
    hub.replace_settings(now, settings(&["git"], EraChoice::Auto));
    assert!((0..200).all(|session| hub.is_held_out(session) == held[session as usize]));
    for session in 0..200 {
        let after = Tokens::new(if held[session as usize] { 100 } else { 25 });
        hub.note_shaped(now, noted(session), Kind::Answer, Tokens::new(100), after);
    }
    let holdout = stats(&mut hub).holdout.expect("two groups");
    assert_eq!(holdout.held_out.sessions, n_held as u64);
    assert_eq!(holdout.shaped.tokens_per_session, 25.0);
}
