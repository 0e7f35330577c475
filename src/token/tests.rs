//! Counts held to tiktoken-rs, which is here only for that.

mod equal;
mod pack;

use tiktoken_rs::CoreBPE;

use crate::token::{Encoding, TiktokenCounter, TokenCounter, Tokens};

fn oracle(encoding: Encoding) -> &'static CoreBPE {
    match encoding {
        Encoding::O200kBase => tiktoken_rs::o200k_base_singleton(),
        Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
    }
}

#[test]
fn arithmetic_saturates() {
    assert_eq!(Tokens::MAX + Tokens::new(1), Tokens::MAX);
    assert_eq!(Tokens::new(1).saturating_sub(Tokens::new(2)), Tokens::ZERO);
    let total: Tokens = [1, 2, 3].into_iter().map(Tokens::new).sum();
    assert_eq!(total.to_string(), "6");
}

/// The counts that OpenAI's cookbook and tiktoken's own tests give.
#[test]
fn known_counts() {
    let o200k = TiktokenCounter::new(Encoding::O200kBase);
    let cl100k = TiktokenCounter::new(Encoding::Cl100kBase);
    assert_eq!(o200k.count(""), Tokens::ZERO);
    assert_eq!(cl100k.count("tiktoken is great!"), Tokens::new(6));
    assert_eq!(cl100k.count("antidisestablishmentarianism"), Tokens::new(6));
    assert_eq!(cl100k.count("お誕生日おめでとう"), Tokens::new(9));
    assert_eq!(o200k.count("お誕生日おめでとう"), Tokens::new(8));
    // As text, not as the one special token.
    assert!(o200k.count("<|endoftext|>") > Tokens::new(1));
}

/// The limit is exact on both sides.
#[test]
fn count_up_to_agrees_with_count() {
    for encoding in Encoding::ALL {
        let counter = TiktokenCounter::new(encoding);
        let text = "one two, three (four) ".repeat(3000);
        let total = counter.count(&text);
        assert_eq!(counter.count_up_to(&text, total), Some(total));
        let below = total.saturating_sub(Tokens::new(1));
        assert_eq!(counter.count_up_to(&text, below), None);
        assert_eq!(counter.count_up_to(&text, Tokens::MAX), Some(total));
        assert_eq!(counter.count_up_to("x", Tokens::ZERO), None);
        assert_eq!(counter.count_up_to("", Tokens::ZERO), Some(Tokens::ZERO));
    }
}
