//! One result made smaller: the channels together, without loss first, then to the cap with the original
//! kept. Pure: what keeps originals is given.
//!
//! Order of steps: errors and what an MCP App shows are left alone; of two channels that say the same one
//! stays; denser notations; a sample where that is still too much, only if the original was kept under a
//! handle that the client can read. A form that is not smaller is never sent, and where a step cannot do its
//! work the step before it counts.

mod dense;
mod write;

use std::cell::{Cell, OnceCell};

use bytes::Bytes;

use crate::jsonrpc::text;
use crate::token::{TokenCounter, Tokens};

use super::channels::{Parts, Relation, TextBlock};
use super::compact;
use super::learned::Learned;
use super::link;
use super::media;
use super::options::{Cap, Channel, Options, Projection, View};
use super::query::{self, Document};
use super::repeat;
use super::sample::{self, Rest};
use super::seen::Seen;

use dense::{Came, Dense, Sent};
use write::{Puts, text_block, write};

/// What shaping needs done outside.
pub trait Outside {
    /// Keeps the raw result and returns its handle; none where it cannot be kept, so nothing may be left out.
    /// `view` says which part of it `read_result` shows.
    fn keep(&self, result: &str, view: View) -> Option<String>;

    /// Runs a jq program on a JSON text.
    ///
    /// # Errors
    /// Why it gave nothing, in words for a model.
    fn jq(&self, program: &str, json: &str) -> Result<String, String>;
}

/// What became of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shaped {
    /// The raw result to send; none where the original stays as it is.
    pub result: Option<String>,
    /// Tokens that the model would have read of the original.
    pub before: Tokens,
    /// Tokens that it reads of what is sent.
    pub after: Tokens,
    /// The handle of the original, where something was left out.
    pub handle: Option<String>,
    /// The texts that were sent instead; for what is compared with later answers.
    pub text: Option<String>,
    /// Whether a part of the tokens is estimated: images.
    pub is_estimated: bool,
    /// What to remember of it, where later answers are compared with it: the texts as they came, and the
    /// form in which they were given; none where a part of it was given that was asked for.
    pub given: Option<(Bytes, repeat::Form)>,
    /// The shape of its JSON, where that is learned.
    pub learned: Option<Learned>,
    /// What a model reads of a result that stays as it is, while nobody has counted it: until
    /// [`Self::count`] both numbers of tokens are zero.
    pub uncounted: Option<Seen>,
}

impl Shaped {
    /// Counts what was left uncounted; `result` is the one that was shaped.
    pub fn count(&mut self, result: &str, counter: &dyn TokenCounter) {
        if let Some(seen) = self.uncounted.take() {
            self.before = seen.count(result, counter);
            self.after = self.before;
        }
    }
}

/// Results that are shorter are sent as they are: there is nothing to gain that a model would notice.
pub const LEAST_BYTES: usize = 400;

/// Results that are longer are sent as they are: taking one apart takes several times its bytes of memory.
pub const MOST_BYTES: usize = 64 << 20;

/// Bytes of arguments that are repeated in a note, at most.
const MADE_BY_BYTES: usize = 400;

/// Shapes one raw result, and links to the original where something was left out and links are wanted.
pub fn shape(
    result: &str,
    options: &Options,
    outside: &dyn Outside,
    counter: &dyn TokenCounter,
) -> Shaped {
    let mut shaped = shape_uncounted(result, options, outside, counter);
    shaped.count(result, counter);
    shaped
}

/// The same, but a result that stays as it is may be left uncounted, so that it can be sent first: where no
/// notation is denser and nothing is left out, or its bytes prove that it is below the cap.
pub fn shape_uncounted(
    result: &str,
    options: &Options,
    outside: &dyn Outside,
    counter: &dyn TokenCounter,
) -> Shaped {
    let Some(parts) = Parts::of(result).filter(|parts| !parts.is_error) else {
        return uncounted(Seen::Whole);
    };
    // Decided before anything is changed: what is kept is read by this view, whichever step keeps it.
    let relation = parts.relation(result);
    let whole = Whole {
        result,
        parts: &parts,
        relation,
        view: options.view(relation),
    };
    let kept: OnceCell<Option<String>> = OnceCell::new();
    let keep = || {
        kept.get_or_init(|| outside.keep(result, whole.view))
            .clone()
    };
    let mut shaped = shape_once(&whole, options, outside, &keep, counter);
    if let Some(last) = &options.repeats {
        say_shortly(&whole, last.as_ref(), options, &keep, counter, &mut shaped);
    }
    link::put(result, whole.view, options, counter, &mut shaped);
    shaped
}

/// A result as it came, and which part of it is read.
#[derive(Clone, Copy)]
struct Whole<'a> {
    result: &'a str,
    parts: &'a Parts,
    relation: Relation,
    view: View,
}

impl Whole<'_> {
    /// Tokens that the model would have read of it.
    fn tokens(&self, options: &Options, counter: &dyn TokenCounter) -> Tokens {
        let view = match options.channel {
            Channel::Structured if options.keeps_structured_beside(self.parts) => View::Structured,
            _ => self.view,
        };
        let said = self.parts.said(self.result, view);
        let once: Tokens = said.iter().map(|text| counter.count(text)).sum();
        match (options.channel, self.relation) {
            (Channel::Both, Relation::Repeated) => once + once,
            _ => once,
        }
    }

    /// Counts what was left uncounted, without texts of ours.
    fn settle(&self, shaped: &mut Shaped, counter: &dyn TokenCounter) {
        if let Some(seen) = shaped.uncounted.take() {
            shaped.before = seen.count_of(self.result, self.parts, counter);
            shaped.after = shaped.before;
        }
    }
}

/// What is shaped: a result as it came, or what was made of it.
struct Shown<'a> {
    whole: Whole<'a>,
    /// Texts of ours in it. They stay as they are, take room, and are none of its `parts`.
    ours: &'a [TextBlock],
    /// What lines are counted in, where they are others.
    counted_in: Option<Whole<'a>>,
    /// See [`Rest::made_by`].
    made_by: Option<String>,
}

impl<'a> Shown<'a> {
    fn of(whole: &Whole<'a>) -> Self {
        Self {
            whole: *whole,
            ours: &[],
            counted_in: None,
            made_by: None,
        }
    }

    /// What texts of ours leave of a cap.
    fn left_of(&self, cap: Cap, counter: &dyn TokenCounter) -> Cap {
        self.ours.iter().fold(cap, |left, note| Cap {
            tokens: left.tokens.saturating_sub(counter.count(&note.text)),
            bytes: left.bytes.saturating_sub(note.text.len()),
            lines: left.lines.saturating_sub(note.text.lines().count()),
        })
    }
}

/// Says a result shortly where it is what was said before, or nearly.
fn say_shortly(
    whole: &Whole<'_>,
    last: Option<&repeat::Last>,
    options: &Options,
    keep: &dyn Fn() -> Option<String>,
    counter: &dyn TokenCounter,
    shaped: &mut Shaped,
) {
    let Whole {
        result,
        parts,
        relation,
        view,
    } = *whole;
    // A part says nothing of the whole, nor is it one that a later answer could be compared with.
    if options.projection.is_some() {
        return;
    }
    // Whether a short answer is shorter is asked of the count.
    shaped.count(result, counter);
    let answer = parts.shown(result, view);
    // Only what was compared may go: a structured part that says something else and was not stays.
    let is_compared = view != View::Text || relation != Relation::Other;
    let rest = || {
        let tool = options.read_result.as_deref()?;
        let handle = keep()?;
        Some(format!("{tool} {{\"handle\":\"{handle}\"}}"))
    };
    // Images beside a text would be lost with it.
    let is_plain = parts.n_blocks == parts.texts.len();
    let said = last
        .filter(|_| is_plain && !options.keeps_structured_beside(parts))
        .and_then(|last| last.say(&answer, shaped.after, &rest, counter));
    // A handle says that something was left out.
    let mut form = match shaped.handle {
        Some(_) => repeat::Form::Part,
        None => repeat::Form::Full,
    };
    if let Some(said) = said
        && let Some(out) = write(
            result,
            parts,
            Puts::Anew,
            std::slice::from_ref(&said.text),
            !options.keeps_structured && is_compared,
        )
    {
        form = said.form;
        shaped.result = Some(out);
        shaped.after = said.tokens;
        shaped.handle = keep();
    }
    shaped.given = Some((answer.into(), form));
}

fn shape_once(
    whole: &Whole<'_>,
    options: &Options,
    outside: &dyn Outside,
    keep: &dyn Fn() -> Option<String>,
    counter: &dyn TokenCounter,
) -> Shaped {
    let Whole { result, parts, .. } = *whole;
    let is_kept: Cell<Option<String>> = Cell::new(None);
    let handle = || {
        let handle = keep();
        is_kept.set(handle.clone());
        handle
    };
    if let Some(wanted) = &options.projection
        && let Some(part) = projected(whole, wanted, options, outside, &handle)
        && let Some(mut now) = Parts::of(&part.result)
    {
        let note = now.texts.last().filter(|_| part.has_note);
        let note = note.map(|note| note.block.start);
        let ours = now.set_apart(note.as_slice());
        let relation = match part.is_all {
            true => whole.relation,
            false => now.relation(&part.result),
        };
        let shown = Shown {
            whole: Whole {
                result: &part.result,
                parts: &now,
                relation,
                view: options.view(relation),
            },
            ours: &ours,
            counted_in: None,
            made_by: part.made_by,
        };
        let mut shaped = shape_texts(&shown, options, &handle, counter);
        shown.whole.settle(&mut shaped, counter);
        let notes = ours.iter().map(|note| counter.count(&note.text));
        shaped.after += notes.sum::<Tokens>();
        shaped.before = whole.tokens(options, counter);
        shaped.result.get_or_insert(part.result);
        shaped.handle = is_kept.take();
        return shaped;
    }
    let media = options
        .read_result
        .as_deref()
        .filter(|_| options.is_media_replaced)
        .and_then(|tool| {
            let rest = |block: usize| {
                let handle = handle()?;
                Some(format!(r#"{tool} {{"handle":"{handle}","block":{block}}}"#))
            };
            media::replace(result, parts, &rest, &options.vision, counter)
        });
    let Some(media) = media else {
        return shape_texts(&Shown::of(whole), options, &handle, counter);
    };
    let Some(mut now) = Parts::of(&media.result) else {
        return uncounted(Seen::Whole);
    };
    let ours = now.set_apart(&media.notes);
    // What repeated it before repeats it still: only what no model can read was taken out of one of the two.
    let shown = Shown {
        whole: Whole {
            result: &media.result,
            parts: &now,
            ..*whole
        },
        ours: &ours,
        counted_in: (!media.keeps_lines).then_some(*whole),
        made_by: None,
    };
    let mut shaped = shape_texts(&shown, options, &handle, counter);
    shown.whole.settle(&mut shaped, counter);
    shaped.result.get_or_insert(media.result);
    shaped.before = whole.tokens(options, counter) + media.before;
    shaped.after += media.after;
    shaped.is_estimated = true;
    shaped.handle = is_kept.take();
    shaped
}

/// A result of which a part is shown.
struct Part {
    result: String,
    /// Whether a text of ours stands behind the others.
    has_note: bool,
    /// Whether it is all of the result, because the part could not be had.
    is_all: bool,
    /// See [`Rest::made_by`].
    made_by: Option<String>,
}

/// The result with the part of it that is wanted, instead of its texts. Where there is none, it stays and
/// the reason follows it; what the operator wants goes only where the whole can be read.
fn projected(
    whole: &Whole<'_>,
    wanted: &Projection,
    options: &Options,
    outside: &dyn Outside,
    keep: &dyn Fn() -> Option<String>,
) -> Option<Part> {
    let Whole { result, parts, .. } = *whole;
    let document = Document::of(result, whole.view);
    let part = match part_of(document.json(), wanted, outside) {
        Ok(part) => part,
        Err(_) if wanted.is_default => return None,
        Err(why) => {
            let note = format!("[the whole result, because {why}]");
            // What has no list of blocks gets one.
            let result = link::beside(result, &text_block(&note))
                .or_else(|| write(result, parts, Puts::Anew, &[note], false))?;
            return Some(Part {
                result,
                has_note: true,
                is_all: true,
                made_by: None,
            });
        }
    };
    let handle = options
        .read_result
        .as_deref()
        .and_then(|tool| Some((tool, keep()?)));
    let mut texts = vec![part];
    if wanted.is_default {
        let (tool, handle) = handle?;
        texts.push(format!(
            "[only {}, as configured; the whole: {tool} {{\"handle\":\"{handle}\"}}]",
            wanted.fields.join(", ")
        ));
    }
    let drops_structured = !options.keeps_structured;
    Some(Part {
        result: write(result, parts, Puts::Anew, &texts, drops_structured)?,
        has_note: wanted.is_default,
        is_all: false,
        made_by: Some(made_by(wanted, &document)),
    })
}

/// Arguments of `read_result` that give such a part again, where there are any; else those that begin with
/// the whole.
fn made_by(wanted: &Projection, document: &Document) -> String {
    let json = document.json().unwrap_or_default().trim_start();
    let arguments = match &wanted.jq {
        Some(program) if wanted.fields.is_empty() => {
            format!("\"jq\":{}", text::to_string(program))
        }
        None if json.starts_with('[') => {
            let fields: Vec<String> = wanted.fields.iter().map(|f| text::to_string(f)).collect();
            format!("\"fields\":[{}]", fields.join(","))
        }
        _ => String::new(),
    };
    if (1..=MADE_BY_BYTES).contains(&arguments.len()) {
        arguments
    } else {
        "\"page\":1".to_owned()
    }
}

fn part_of(
    json: Option<&str>,
    wanted: &Projection,
    outside: &dyn Outside,
) -> Result<String, String> {
    let json = json.ok_or("it is no JSON that `fields` or `jq` could select from")?;
    let mut part = if wanted.fields.is_empty() {
        json.to_owned()
    } else {
        query::fields_of(json, &wanted.fields)
            .ok_or_else(|| format!("nothing in it has a field {}", wanted.fields.join(", ")))?
    };
    if let Some(program) = &wanted.jq {
        part = outside.jq(program, &part)?;
    }
    Ok(part)
}

/// Shapes the texts of a result.
fn shape_texts(
    shown: &Shown<'_>,
    options: &Options,
    keep: &dyn Fn() -> Option<String>,
    counter: &dyn TokenCounter,
) -> Shaped {
    let Whole {
        result,
        parts,
        relation,
        view,
    } = shown.whole;
    let drops_structured = !options.keeps_structured
        && relation != Relation::Absent
        && options.channel != Channel::Text;
    if options.channel == Channel::Structured && relation != Relation::Absent && !drops_structured {
        // The model reads the structured part, which has to stay as it is.
        return uncounted(Seen::Structured);
    }
    let came = Came::new(result, parts, view, counter);
    if came.texts.iter().all(|text| text.is_empty()) {
        return untouched(Tokens::ZERO);
    }
    let reads_twice = (options.channel, relation) == (Channel::Both, Relation::Repeated);
    let dense = if options.is_compacted {
        Dense::of(&came, &options.bounds())
    } else {
        Dense::same(&came.texts)
    };
    let sampled = options
        .cap
        .map(|cap| shown.left_of(cap, counter))
        .zip(options.read_result.as_deref())
        .filter(|(cap, _)| !dense.fits(cap, &came))
        .and_then(|(cap, tool)| {
            let handle = keep()?;
            let whole = match shown.counted_in {
                Some(other) => other.parts.shown(other.result, other.view),
                None => came.texts.join("\n"),
            };
            let rest = Rest {
                handle: handle.clone(),
                tool: tool.to_owned(),
                whole: Some(came.tokens()),
                made_by: shown.made_by.clone(),
            };
            let room = options.room(cap);
            let text = fit(&whole, room, &rest, options, counter);
            let tokens = counter.count(&text);
            (tokens < dense.tokens(&came)).then_some((text, tokens, handle))
        });
    let (sent, after, handle) = match sampled {
        Some((text, tokens, handle)) => (Sent::One(text), tokens, Some(handle)),
        None => {
            let changes_text = dense.sent != Sent::Same || view != View::Text;
            if !changes_text && !drops_structured && !came.is_counted() {
                return uncounted(Seen::Texts { reads_twice });
            }
            let tokens = dense.tokens(&came);
            (dense.sent, tokens, None)
        }
    };
    let once = came.tokens();
    let before = if reads_twice { once + once } else { once };
    let changes_text = sent != Sent::Same || view != View::Text;
    if !changes_text && !drops_structured {
        return untouched(before);
    }
    let written = sent.texts(&came.texts);
    let n_came = parts.texts.len();
    let puts = match view {
        View::Text if written.len() == n_came && handle.is_some() => Puts::Part,
        View::Text if written.len() == n_came => Puts::Each,
        View::Both if written.len() == n_came + 1 && n_came > 0 => Puts::EachAndLast,
        _ => Puts::Anew,
    };
    let Some(out) = write(result, parts, puts, &written, drops_structured) else {
        return untouched(before);
    };
    Shaped {
        result: Some(out),
        before,
        after,
        handle,
        text: Some(written.join("\n")),
        is_estimated: false,
        given: None,
        learned: None,
        uncounted: None,
    }
}

fn uncounted(seen: Seen) -> Shaped {
    Shaped {
        uncounted: Some(seen),
        ..untouched(Tokens::ZERO)
    }
}

fn untouched(tokens: Tokens) -> Shaped {
    Shaped {
        result: None,
        before: tokens,
        after: tokens,
        handle: None,
        text: None,
        is_estimated: false,
        given: None,
        learned: None,
        uncounted: None,
    }
}

fn fit(
    whole: &str,
    cap: Cap,
    rest: &Rest,
    options: &Options,
    counter: &dyn TokenCounter,
) -> String {
    let bounds = options.bounds();
    let notate = |text: &str| {
        options
            .is_compacted
            .then(|| compact::compact(text, counter, &bounds))
            .flatten()
            .map(|dense| dense.text)
    };
    sample::fit_within(whole, &cap, rest, &notate, counter).text
}

#[cfg(test)]
mod tests;
