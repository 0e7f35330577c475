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

use crate::token::{TokenCounter, Tokens};

use super::channels::{Parts, Relation};
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
use write::write;

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
    /// form in which they were given.
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
    let seen: Cell<View> = Cell::default();
    let keep = |view: View| {
        seen.set(view);
        outside.keep(result, view)
    };
    let mut shaped = shape_or_say(result, options, outside, &keep, counter);
    link::put(result, seen.get(), options, counter, &mut shaped);
    shaped
}

/// Shapes a result; says it shortly where it is what was said before, or nearly.
fn shape_or_say(
    result: &str,
    options: &Options,
    outside: &dyn Outside,
    keep_once: &dyn Fn(View) -> Option<String>,
    counter: &dyn TokenCounter,
) -> Shaped {
    let kept: OnceCell<Option<String>> = OnceCell::new();
    let keep = |view: View| kept.get_or_init(|| keep_once(view)).clone();
    let mut shaped = shape_once(result, options, outside, &keep, counter);
    let Some(last) = &options.repeats else {
        return shaped;
    };
    let Some(parts) = Parts::of(result).filter(|parts| !parts.is_error) else {
        return shaped;
    };
    // Whether a short answer is shorter is asked of the count.
    shaped.count(result, counter);
    let answer = parts.joined();
    let rest = || {
        let tool = options.read_result.as_deref()?;
        let handle = keep(View::Text)?;
        Some(format!("{tool} {{\"handle\":\"{handle}\"}}"))
    };
    // Images beside a text would be lost with it, and a part was asked for to be seen.
    let is_plain = parts.n_blocks == parts.texts.len() && options.projection.is_none();
    let said = last
        .as_ref()
        .filter(|_| is_plain && !options.keeps_structured_beside(&parts))
        .and_then(|last| last.say(&answer, shaped.after, &rest, counter));
    let mut form = repeat::Form::Full;
    if let Some(said) = said
        && let Some(out) = write(
            result,
            &parts,
            Read::Both,
            std::slice::from_ref(&said.text),
            !options.keeps_structured,
        )
    {
        form = said.form;
        shaped.result = Some(out);
        shaped.after = said.tokens;
    }
    if form != repeat::Form::Full {
        shaped.handle = kept.into_inner().flatten();
    }
    shaped.given = Some((answer.into(), form));
    shaped
}

fn shape_once(
    result: &str,
    options: &Options,
    outside: &dyn Outside,
    keep: &dyn Fn(View) -> Option<String>,
    counter: &dyn TokenCounter,
) -> Shaped {
    let Some(parts) = Parts::of(result).filter(|parts| !parts.is_error) else {
        return uncounted(Seen::Whole);
    };
    let is_kept: Cell<Option<String>> = Cell::new(None);
    let handle = |view: View| {
        let handle = keep(view);
        is_kept.set(handle.clone());
        handle
    };
    let part = options
        .projection
        .as_ref()
        .and_then(|wanted| projected(result, &parts, wanted, options, outside, &handle));
    if let Some((part, now)) = part.and_then(|part| Parts::of(&part).map(|now| (part, now))) {
        let mut shaped = shape_texts(&part, Some(&parts), &now, options, &handle, counter);
        shaped.count(&part, counter);
        let texts = parts.texts.iter().map(|block| counter.count(&block.text));
        shaped.before = texts.sum();
        shaped.result.get_or_insert(part);
        shaped.handle = is_kept.take();
        return shaped;
    }
    let media = options
        .read_result
        .as_deref()
        .filter(|_| options.is_media_replaced)
        .and_then(|tool| {
            let rest = |block: usize| {
                let handle = handle(View::Text)?;
                Some(format!(r#"{tool} {{"handle":"{handle}","block":{block}}}"#))
            };
            media::replace(result, &parts, &rest, &options.vision, counter)
        });
    let mut shaped = match &media {
        None => shape_texts(result, None, &parts, options, &handle, counter),
        Some(media) => match Parts::of(&media.result) {
            Some(now) => {
                let original = (!media.keeps_lines).then_some(&parts);
                let mut shaped =
                    shape_texts(&media.result, original, &now, options, &handle, counter);
                shaped.count(&media.result, counter);
                shaped
            }
            None => return uncounted(Seen::Whole),
        },
    };
    if let Some(media) = media {
        let texts = |parts: &Parts| -> Tokens {
            let all = parts.texts.iter();
            all.map(|block| counter.count(&block.text)).sum()
        };
        shaped.result.get_or_insert(media.result);
        shaped.before = texts(&parts) + media.before;
        shaped.after += media.after;
        shaped.is_estimated = true;
        shaped.handle = is_kept.take();
    }
    shaped
}

/// The result with the part of it that is wanted, instead of its texts. Where there is none, it stays and
/// the reason follows it; what the operator wants goes only where the whole can be read.
fn projected(
    result: &str,
    parts: &Parts,
    wanted: &Projection,
    options: &Options,
    outside: &dyn Outside,
    keep: &dyn Fn(View) -> Option<String>,
) -> Option<String> {
    let document = Document::of(result, View::Text);
    let mut texts = Vec::new();
    match part_of(document.json(), wanted, outside) {
        Ok(part) => {
            let tool = options.read_result.as_deref();
            let whole = tool.and_then(|tool| {
                let handle = keep(View::Text)?;
                Some(format!("{tool} {{\"handle\":\"{handle}\"}}"))
            });
            texts.push(part);
            match whole {
                Some(whole) if wanted.is_default => texts.push(format!(
                    "[only {}, as configured; the whole: {whole}]",
                    wanted.fields.join(", ")
                )),
                None if wanted.is_default => return None,
                _ => {}
            }
        }
        Err(_) if wanted.is_default => return None,
        Err(why) => {
            texts.extend(parts.texts.iter().map(|block| block.text.clone()));
            texts.push(format!("[the whole result, because {why}]"));
        }
    }
    write(result, parts, Read::Both, &texts, !options.keeps_structured)
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

/// Shapes the texts of a result. `original` has those that lines are counted in, where they are others.
fn shape_texts(
    result: &str,
    original: Option<&Parts>,
    parts: &Parts,
    options: &Options,
    keep: &dyn Fn(View) -> Option<String>,
    counter: &dyn TokenCounter,
) -> Shaped {
    let relation = parts.relation(result);
    let drops_structured = !options.keeps_structured
        && relation != Relation::Absent
        && options.channel != Channel::Text;
    let read = match (options.channel, relation) {
        // The model reads the structured part, which has to stay as it is.
        (Channel::Structured, Relation::Repeated | Relation::Other) if !drops_structured => {
            return uncounted(Seen::Structured);
        }
        (Channel::Structured, Relation::Other) => Read::Structured,
        (Channel::Both, Relation::Other) if drops_structured => Read::Both,
        _ => Read::Texts,
    };
    let came = Came::new(read.texts(parts, result), counter);
    if came.texts.iter().all(|text| text.is_empty()) {
        return untouched(Tokens::ZERO);
    }
    let reads_twice = (options.channel, relation) == (Channel::Both, Relation::Repeated);
    let dense = if options.is_compacted {
        Dense::of(&came, &options.bounds())
    } else {
        Dense::same(&came.texts)
    };
    let view = match read {
        Read::Structured => View::Structured,
        Read::Texts | Read::Both => View::Text,
    };
    let sampled = options
        .cap
        .zip(options.read_result.as_deref())
        .filter(|(cap, _)| !dense.fits(cap, &came))
        .and_then(|(cap, tool)| {
            let handle = keep(view)?;
            let whole = match original {
                Some(original) => original.joined(),
                None => came.texts.join("\n"),
            };
            let rest = Rest {
                handle: handle.clone(),
                tool: tool.to_owned(),
                whole: Some(came.tokens()),
            };
            let room = options.room(cap);
            let text = fit(&whole, room, &rest, options, counter);
            let tokens = counter.count(&text);
            (tokens < dense.tokens(&came)).then_some((text, tokens, handle))
        });
    let (sent, after, handle) = match sampled {
        Some((text, tokens, handle)) => (Sent::One(text), tokens, Some(handle)),
        None => {
            let changes_text = dense.sent != Sent::Same || read != Read::Texts;
            if !changes_text && !drops_structured && !came.is_counted() {
                return uncounted(Seen::Texts { reads_twice });
            }
            let tokens = dense.tokens(&came);
            (dense.sent, tokens, None)
        }
    };
    let shown = came.tokens();
    let before = if reads_twice { shown + shown } else { shown };
    let changes_text = sent != Sent::Same || read != Read::Texts;
    if !changes_text && !drops_structured {
        return untouched(before);
    }
    let written = sent.texts(&came.texts);
    let Some(out) = write(result, parts, read, &written, drops_structured) else {
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

/// What of a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Texts,
    Structured,
    /// The texts, and behind them the structured part.
    Both,
}

impl Read {
    fn texts<'a>(self, parts: &'a Parts, result: &'a str) -> Vec<&'a str> {
        let texts = parts.texts.iter().map(|block| block.text.as_str());
        let structured = parts.structured.clone().map(|at| &result[at]);
        match self {
            Self::Texts => texts.collect(),
            Self::Structured => structured.into_iter().collect(),
            Self::Both => texts.chain(structured).collect(),
        }
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
