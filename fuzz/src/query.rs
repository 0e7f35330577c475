//! Reading kept results: whatever a model asks for is answered within the cap out of the text that was kept,
//! or refused with a text; pages put together are the whole.

use mcp_whittle::result::options::{Cap, View};
use mcp_whittle::result::query::{self, Document, Limits, Outcome, Page, Query};
use mcp_whittle::token::{TokenCounter, Tokens};

use super::counter::counter;

/// A handle of the right form.
const HANDLE: &str = "r_aaaaaaaaaaaaaaaaaaaaaaaaaa";
/// Pages of one text that are read.
const PAGES: usize = 200;

/// Finds a page of a text by its number.
pub type Pager<'a> = &'a dyn Fn(&str, bool, usize, &Limits<'_>) -> Result<Page, usize>;

/// The property for one input: the arguments of a call, a line end, the kept result. Panics where it does not
/// hold.
pub fn run(data: &[u8]) {
    check(data, &query::page);
}

/// The property for what finds pages.
pub fn check(data: &[u8], pager: Pager<'_>) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (arguments, kept) = text.split_once('\n').unwrap_or((text, ""));
    let limits = Limits {
        cap: Some(Cap::of(Tokens::new(300))),
        counter: counter(),
    };
    pages(kept, pager, &limits);
    // Arguments as they came; and with a handle, so that more of them is read.
    let with_handle = arguments
        .strip_prefix('{')
        .map(|rest| format!("{{\"handle\":\"{HANDLE}\",{rest}"));
    for arguments in [Some(arguments.to_owned()), with_handle]
        .into_iter()
        .flatten()
    {
        match query::parse(&arguments) {
            Ok(query) => {
                for view in [View::Text, View::Structured, View::Both] {
                    asked(&query, &Document::of(kept, view), &limits);
                }
            }
            Err(error) => assert!(!error.text("read_result").is_empty()),
        }
    }
}

fn asked(query: &Query, document: &Document, limits: &Limits<'_>) {
    let cap = limits.cap.expect("a cap is set");
    let answer = match query::answer(query, document, "read_result", limits) {
        Ok(Outcome::Answer(answer)) => answer,
        Ok(Outcome::Jq { program, input }) => {
            assert_eq!(query.jq.as_deref(), Some(program.as_str()));
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(&input).is_ok());
            // What a program printed is cut into pages as any text is.
            match query::jq_answer(query, document.text(), "read_result", limits) {
                Ok(answer) => answer,
                Err(error) => return assert!(!error.text("read_result").is_empty()),
            }
        }
        Err(error) => return assert!(!error.text("read_result").is_empty()),
    };
    let tokens = counter().count(&answer.text);
    assert!(tokens <= cap.tokens, "{tokens} tokens: {query:?}");
    if answer.kind == query::Kind::Json {
        let read = serde_json::from_str::<serde::de::IgnoredAny>(&answer.text);
        assert!(read.is_ok(), "no JSON: {}", answer.text);
    }
}

fn pages(kept: &str, pager: Pager<'_>, limits: &Limits<'_>) {
    for is_json in [false, true] {
        let mut whole = String::new();
        for number in 1..PAGES {
            match pager(kept, is_json, number, limits) {
                Ok(page) => {
                    assert_eq!(page.span.start, whole.len(), "a gap before page {number}");
                    whole.push_str(&kept[page.span]);
                    if page.is_last {
                        assert_eq!(page.total.unwrap_or(number), number);
                        assert_eq!(whole, kept, "pages are not the whole");
                        break;
                    }
                }
                Err(n) => {
                    assert!(
                        n < number && kept.is_empty(),
                        "{n} pages, {number} asked for"
                    );
                    break;
                }
            }
        }
    }
}
