//! What the values of a column have in common: a text at their start and end, or the value of another
//! column inside them (`"url":"https://host/issues/$1"`).

use super::template::{Column, Slot, text_of};
use super::tree::{Kind, NONE, Tree};

/// Columns of one template that are compared with each other.
const COMPARED: usize = 160;
/// A common start and end shorter than this stays in the cells.
const AFFIX_BYTES: usize = 8;
/// A value shorter than this is not replaced by a copy of another, unless text stands around it.
const COPY_BYTES: usize = 3;

/// Longer values are not searched for others.
const SEARCHED_BYTES: usize = 4 << 10;
/// Places in a value where another may stand, that are tried.
const PLACES: usize = 256;
/// Values compared, for each value of a template: made-up text cannot make it more.
const WORK: usize = 40;

/// A string or number column under study.
struct Study<'a> {
    texts: Vec<Option<&'a str>>,
    is_string: bool,
    /// Bytes that all values start and end with.
    before: usize,
    after: usize,
    total: usize,
}

/// Returns what stands in the template for each column.
pub(super) fn slots(tree: &Tree, columns: &[Column]) -> Vec<Slot> {
    let studies: Vec<Option<Study<'_>>> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| {
            if n < COMPARED {
                study(tree, column)
            } else {
                None
            }
        })
        .collect();
    let mut slots: Vec<Option<Slot>> = vec![None; columns.len()];
    let mut is_source = vec![false; columns.len()];
    let n_values: usize = columns.iter().map(|column| column.values.len()).sum();
    let mut work = n_values.saturating_mul(WORK) + COMPARED * COMPARED;
    let mut order: Vec<usize> = (0..columns.len())
        .filter(|&n| studies[n].is_some())
        .collect();
    order.sort_by_key(|&n| std::cmp::Reverse(studies[n].as_ref().map_or(0, |s| s.total)));
    for &n in &order {
        if is_source[n] {
            continue;
        }
        let Some(whole) = &studies[n] else { continue };
        // The shortest value that is inside, so that all copies have one source.
        let mut best: Option<(usize, usize, (String, String))> = None;
        for (source, part) in studies.iter().enumerate() {
            let Some(part) = part else { continue };
            if source == n || slots[source].is_some() || part.total > whole.total {
                continue;
            }
            if part.total == whole.total && source > n {
                continue;
            }
            if best
                .as_ref()
                .is_some_and(|(total, ..)| *total <= part.total)
            {
                continue;
            }
            if let Some(around) = inside(whole, part, &mut work) {
                best = Some((part.total, source, around));
            }
        }
        if let Some((_, source, (before, after))) = best {
            slots[n] = Some(Slot::Copy {
                cell: source as u32,
                before,
                after,
                is_string: whole.is_string,
            });
            is_source[source] = true;
        }
    }
    for n in 0..columns.len() {
        if slots[n].is_none()
            && !is_source[n]
            && let Some(study) = &studies[n]
        {
            slots[n] = affix(study);
        }
    }
    // Columns with the same rest between their own texts are copies of the first of them.
    for n in 0..columns.len() {
        for first in 0..n.min(COMPARED) {
            let (
                Some(Slot::Cell { before, after }),
                Some(Slot::Cell {
                    before: b,
                    after: a,
                }),
            ) = (&slots[n], &slots[first])
            else {
                continue;
            };
            let (Some(x), Some(y)) = (&studies[n], &studies[first]) else {
                continue;
            };
            let is_equal = x.texts.iter().zip(&y.texts).all(|(x, y)| {
                work = work.saturating_sub(1);
                work > 0 && rest(*x, before, after) == rest(*y, b, a)
            });
            if is_equal {
                slots[n] = Some(Slot::Copy {
                    cell: first as u32,
                    before: before.clone(),
                    after: after.clone(),
                    is_string: true,
                });
                break;
            }
        }
    }
    number(slots)
}

fn rest<'a>(text: Option<&'a str>, before: &str, after: &str) -> Option<&'a str> {
    text.and_then(|text| text.get(before.len()..text.len() - after.len()))
}

/// Columns become cells; a column that is a copy is none.
fn number(slots: Vec<Option<Slot>>) -> Vec<Slot> {
    let mut cells = Vec::with_capacity(slots.len());
    let mut n_cells = 0;
    for slot in &slots {
        cells.push(n_cells);
        if !matches!(slot, Some(Slot::Copy { .. })) {
            n_cells += 1;
        }
    }
    slots
        .into_iter()
        .map(|slot| match slot {
            Some(Slot::Copy {
                cell,
                before,
                after,
                is_string,
            }) => Slot::Copy {
                cell: cells[cell as usize],
                before,
                after,
                is_string,
            },
            Some(other) => other,
            None => Slot::Cell {
                before: String::new(),
                after: String::new(),
            },
        })
        .collect()
}

fn study<'a>(tree: &'a Tree, column: &Column) -> Option<Study<'a>> {
    let mut is_string = None;
    let mut texts = Vec::with_capacity(column.values.len());
    let mut first: Option<&str> = None;
    let (mut before, mut after, mut total) = (usize::MAX, usize::MAX, 0);
    for &value in &column.values {
        if value == NONE {
            texts.push(None);
            continue;
        }
        let text = text_of(tree, value)?;
        let kind_is_string = tree.node(value).kind == Kind::String;
        if *is_string.get_or_insert(kind_is_string) != kind_is_string {
            return None;
        }
        let first = *first.get_or_insert(text);
        before = before.min(common(first.bytes(), text.bytes()));
        after = after.min(common(first.bytes().rev(), text.bytes().rev()));
        total += text.len();
        texts.push(Some(text));
    }
    Some(Study {
        texts,
        is_string: is_string?,
        before,
        after,
        total,
    })
}

fn common(a: impl Iterator<Item = u8>, b: impl Iterator<Item = u8>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

/// Returns the texts around the values of `part` that make those of `whole`, if every row has the same.
fn inside(whole: &Study<'_>, part: &Study<'_>, work: &mut usize) -> Option<(String, String)> {
    if !whole.is_string && part.is_string {
        return None;
    }
    let row = whole.texts.iter().position(Option::is_some)?;
    let (text, value) = (whole.texts[row]?, part.texts[row]?);
    let room = text.len().checked_sub(value.len())?;
    if value.is_empty() || text.len() > SEARCHED_BYTES {
        return None;
    }
    let from = room.saturating_sub(whole.after);
    let to = room.min(whole.before).min(from + PLACES);
    'places: for at in from..=to {
        if !text.is_char_boundary(at) || !text[at..].starts_with(value) {
            continue;
        }
        let (before, after) = (&text[..at], &text[at + value.len()..]);
        let around = before.len() + after.len();
        if (around == 0 && value.len() < COPY_BYTES)
            || before.contains('\\')
            || after.contains('\\')
            || after.starts_with(|c: char| c.is_ascii_digit())
            || (around > 0 && !whole.is_string)
            || (around == 0 && whole.is_string != part.is_string)
        {
            continue;
        }
        for pair in whole.texts.iter().zip(&part.texts) {
            *work = work.checked_sub(1)?;
            if !stands_between(pair, before, after) {
                continue 'places;
            }
        }
        return Some((before.to_owned(), after.to_owned()));
    }
    None
}

fn stands_between(pair: (&Option<&str>, &Option<&str>), before: &str, after: &str) -> bool {
    match pair {
        (None, None) => true,
        (Some(text), Some(value)) => {
            text.len() == before.len() + after.len() + value.len()
                && text.starts_with(before)
                && text.ends_with(after)
                && text.get(before.len()..before.len() + value.len()) == Some(*value)
        }
        _ => false,
    }
}

/// The common start and end of a column, cut at the border of a word.
fn affix(study: &Study<'_>) -> Option<Slot> {
    if !study.is_string {
        return None;
    }
    let mut first = None;
    let mut shortest = usize::MAX;
    for text in study.texts.iter().flatten() {
        if text.contains('\\') {
            return None;
        }
        first.get_or_insert(*text);
        shortest = shortest.min(text.len());
    }
    let text = first?;
    let border = |c: char| !c.is_alphanumeric();
    let mut before = study.before.min(shortest);
    while !text.is_char_boundary(before) {
        before -= 1;
    }
    let before = text[..before].rfind(border).map_or(0, |at| {
        at + text[at..].chars().next().map_or(0, char::len_utf8)
    });
    let mut start = text.len() - study.after.min(shortest - before);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let after = text[start..]
        .find(border)
        .map_or(text.len(), |at| start + at);
    let (before, after) = (&text[..before], &text[after..]);
    let after = if after.starts_with('$') { "" } else { after };
    // The cells of dates and numbers stay whole.
    let n_letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
    let pays =
        before.len() + after.len() >= AFFIX_BYTES && n_letters(before) + n_letters(after) > 3;
    pays.then(|| Slot::Cell {
        before: before.to_owned(),
        after: after.to_owned(),
    })
}
