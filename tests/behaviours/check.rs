//! What checks are made of: a claim that fails says what was expected and what came.

use super::stage::Stage;

/// What a check found wrong, in words.
pub(crate) type Outcome = Result<(), String>;

/// The check of one row.
pub(crate) type Check = fn(&Stage) -> Outcome;

/// Claims that a value is there and written exactly so.
pub(crate) fn same(what: &str, got: Option<String>, wanted: &str) -> Outcome {
    match got {
        Some(got) if got == wanted => Ok(()),
        Some(got) => Err(format!("{what}: expected `{wanted}`, got `{got}`")),
        None => Err(format!("{what}: expected `{wanted}`, it is missing")),
    }
}

/// Claims something that needs no value to be told.
pub(crate) fn holds(what: &str, is_so: bool) -> Outcome {
    if is_so { Ok(()) } else { Err(what.to_owned()) }
}
