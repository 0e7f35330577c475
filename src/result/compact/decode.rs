//! Reads the notation of `docs/notation.md` back: the JSON text without white space, the digits of
//! numbers and the escapes of strings as they were.
//!
//! Bounded in depth, in time and in the bytes written, whatever the text: it is also fed with text that
//! no writer of ours made.

use super::legend;
use super::tree::{Spacing, escape_into, scalar_end, string_end};

/// Open values at once.
const DEPTH: usize = 400;
/// Templates inside templates.
const TEMPLATE_DEPTH: usize = 200;

/// A template as it is read.
#[derive(Debug)]
struct Template<'a> {
    members: Vec<(&'a str, Slot<'a>)>,
}

#[derive(Debug)]
enum Slot<'a> {
    /// The next cell.
    Cell,
    /// A string with texts and cells in it.
    Text(Vec<Piece<'a>>),
    /// Another cell as it is.
    Copy(usize),
    /// The cells of another template.
    Row(usize),
    /// An object with slots of its own.
    Inline(Template<'a>),
    /// Any other value, to be read anew each time.
    Value(usize),
}

#[derive(Debug)]
enum Piece<'a> {
    Literal(&'a str),
    Next,
    Cell(usize),
}

/// Decodes a whole body: what stands after the head line, abbreviations first; None where it is not the notation, or more than
/// `max_bytes` would be written.
pub(super) fn json(text: &str, max_bytes: usize) -> Option<String> {
    let text = legend::expand(text, max_bytes)?;
    value(&text, max_bytes)
        .filter(|(_, n)| *n == text.len())
        .map(|(json, _)| json)
}

/// Decodes a body without abbreviations at the start of `text`; returns its bytes too.
pub(super) fn value(text: &str, max_bytes: usize) -> Option<(String, usize)> {
    let mut templates = Vec::new();
    let mut rest = text;
    // Templates first: lines `A={…}`.
    let mut lines = Vec::new();
    while let Some((line, after)) = rest.split_once('\n') {
        let n_letters = line.bytes().take_while(u8::is_ascii_uppercase).count();
        if n_letters == 0 || line.as_bytes().get(n_letters) != Some(&b'=') {
            break;
        }
        if number_of(&line[..n_letters]) != Some(lines.len()) {
            return None;
        }
        lines.push(&line[n_letters + 1..]);
        rest = after;
    }
    for line in &lines {
        let mut reader = Reader {
            text: line,
            at: 0,
            depth: 0,
        };
        templates.push((*line, reader.template(lines.len())?));
        if reader.at != line.len() {
            return None;
        }
    }
    let mut sizes = vec![None; templates.len()];
    for n in 0..templates.len() {
        size(&templates, n, &mut sizes, 0)?;
    }
    let mut writer = Writer {
        templates: &templates,
        sizes: sizes.into_iter().flatten().collect(),
        spacing: Spacing::Compact,
        stack: Vec::new(),
        spans: Vec::new(),
        max_bytes,
        depth: 0,
    };
    let mut out = String::with_capacity(text.len() * 2);
    let mut reader = Reader {
        text: rest,
        at: 0,
        depth: 0,
    };
    writer.value(&mut reader, Place::Value, &mut out)?;
    Some((out, text.len() - rest.len() + reader.at))
}

fn number_of(letters: &str) -> Option<usize> {
    if letters.is_empty() || letters.len() > 4 {
        return None;
    }
    let n = letters
        .bytes()
        .fold(0usize, |n, letter| n * 26 + usize::from(letter - b'A') + 1);
    Some(n - 1)
}

/// Cells of a row of the n-th template; None where templates hold each other.
fn size(
    templates: &[(&str, Template<'_>)],
    n: usize,
    sizes: &mut Vec<Option<usize>>,
    depth: usize,
) -> Option<usize> {
    if let Some(size) = sizes[n] {
        return Some(size);
    }
    if depth > TEMPLATE_DEPTH {
        return None;
    }
    let total = size_of(&templates[n].1, templates, sizes, depth)?;
    sizes[n] = Some(total);
    Some(total)
}

fn size_of(
    template: &Template<'_>,
    templates: &[(&str, Template<'_>)],
    sizes: &mut Vec<Option<usize>>,
    depth: usize,
) -> Option<usize> {
    let mut total = 0usize;
    for (_, slot) in &template.members {
        total += match slot {
            Slot::Cell => 1,
            Slot::Text(pieces) => usize::from(pieces.iter().any(|p| matches!(p, Piece::Next))),
            Slot::Copy(_) | Slot::Value(_) => 0,
            Slot::Row(other) => size(templates, *other, sizes, depth + 1)?,
            Slot::Inline(inner) => size_of(inner, templates, sizes, depth)?,
        };
        if total > 1 << 20 {
            return None;
        }
    }
    Some(total)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Value,
    Template,
}

#[derive(Debug)]
struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn string(&mut self) -> Option<&'a str> {
        let (end, _) = string_end(self.text.as_bytes(), self.at, self.text.len())?;
        let raw = self.text.get(self.at + 1..end)?;
        self.at = end + 1;
        Some(raw)
    }

    fn name(&mut self, n_templates: usize) -> Option<usize> {
        let rest = &self.text[self.at..];
        let n = rest.bytes().take_while(u8::is_ascii_uppercase).count();
        let number = number_of(&rest[..n]).filter(|&number| number < n_templates)?;
        self.at += n;
        Some(number)
    }

    fn number(&mut self) -> Option<usize> {
        let n = self.text[self.at..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let number: usize = self.text[self.at..self.at + n].parse().ok()?;
        self.at += n;
        number.checked_sub(1)
    }

    fn template(&mut self, n_templates: usize) -> Option<Template<'a>> {
        self.depth += 1;
        if self.depth > TEMPLATE_DEPTH || !self.eat(b'{') {
            return None;
        }
        let mut members = Vec::new();
        if self.eat(b'}') {
            self.depth -= 1;
            return Some(Template { members });
        }
        loop {
            let key = self.string()?;
            let slot = if self.eat(b':') {
                self.slot(n_templates)?
            } else {
                Slot::Cell
            };
            members.push((key, slot));
            if self.eat(b'}') {
                self.depth -= 1;
                return Some(Template { members });
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    fn slot(&mut self, n_templates: usize) -> Option<Slot<'a>> {
        let start = self.at;
        match self.peek()? {
            b'"' => Some(Slot::Text(pieces(self.string()?)?)),
            b'$' => {
                self.at += 1;
                Some(Slot::Copy(self.number()?))
            }
            b'{' => Some(Slot::Inline(self.template(n_templates)?)),
            b'A'..=b'Z' => {
                let number = self.name(n_templates)?;
                if matches!(self.peek(), Some(b'(' | b'[')) {
                    self.at = start;
                    self.skip()?;
                    return Some(Slot::Value(start));
                }
                Some(Slot::Row(number))
            }
            _ => {
                self.skip()?;
                Some(Slot::Value(start))
            }
        }
    }

    /// Passes over a value in a template.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'[' | b'{' | b'(' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b']' | b'}' | b')' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
            if depth == 0 && matches!(self.peek(), Some(b',' | b'}') | None) {
                return Some(());
            }
        }
    }
}

fn pieces(raw: &str) -> Option<Vec<Piece<'_>>> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let bytes = raw.as_bytes();
    while let Some(n) = memchr::memchr(b'$', &bytes[at..]) {
        at += n;
        if start < at {
            out.push(Piece::Literal(&raw[start..at]));
        }
        at += 1;
        match bytes.get(at) {
            Some(b'$') => {
                out.push(Piece::Literal("$"));
                at += 1;
            }
            Some(b'0'..=b'9') => {
                let n = bytes[at..]
                    .iter()
                    .take_while(|b| b.is_ascii_digit())
                    .count();
                let number: usize = raw[at..at + n].parse().ok()?;
                out.push(Piece::Cell(number.checked_sub(1)?));
                at += n;
            }
            _ => out.push(Piece::Next),
        }
        start = at;
    }
    if start < raw.len() {
        out.push(Piece::Literal(&raw[start..]));
    }
    let n_next = out
        .iter()
        .filter(|piece| matches!(piece, Piece::Next))
        .count();
    (n_next <= 1).then_some(out)
}

struct Writer<'a> {
    templates: &'a [(&'a str, Template<'a>)],
    sizes: Vec<usize>,
    spacing: Spacing,
    /// Cells of the open rows, one after another; their texts stand in `stack` buffers.
    spans: Vec<Option<(usize, usize)>>,
    stack: Vec<String>,
    max_bytes: usize,
    depth: usize,
}

impl Writer<'_> {
    fn value(&mut self, reader: &mut Reader<'_>, place: Place, out: &mut String) -> Option<()> {
        self.depth += 1;
        if self.depth > DEPTH || out.len() > self.max_bytes {
            return None;
        }
        let (comma, colon) = self.spacing.separators();
        match reader.peek()? {
            b'"' => {
                let raw = reader.string()?;
                out.push('"');
                if place == Place::Template && raw.contains('$') {
                    for piece in pieces(raw)? {
                        let Piece::Literal(text) = piece else {
                            return None;
                        };
                        out.push_str(text);
                    }
                } else {
                    out.push_str(raw);
                }
                out.push('"');
            }
            b'[' => {
                reader.at += 1;
                out.push('[');
                if !reader.eat(b']') {
                    loop {
                        self.value(reader, place, out)?;
                        if reader.eat(b']') {
                            break;
                        }
                        if !reader.eat(b',') {
                            return None;
                        }
                        out.push_str(comma);
                    }
                }
                out.push(']');
            }
            b'{' => {
                reader.at += 1;
                out.push('{');
                if !reader.eat(b'}') {
                    loop {
                        let key = reader.string()?;
                        if !reader.eat(b':') {
                            return None;
                        }
                        push_key(key, colon, out);
                        self.value(reader, place, out)?;
                        if reader.eat(b'}') {
                            break;
                        }
                        if !reader.eat(b',') {
                            return None;
                        }
                        out.push_str(comma);
                    }
                }
                out.push('}');
            }
            b'@' => {
                if self.spacing == Spacing::Spaced {
                    return None;
                }
                reader.at += 1;
                let spacing = if reader.eat(b':') {
                    Spacing::Spaced
                } else {
                    Spacing::Compact
                };
                let before = std::mem::replace(&mut self.spacing, spacing);
                let mut inside = String::new();
                self.value(reader, place, &mut inside)?;
                self.spacing = before;
                if inside.len() > self.max_bytes {
                    return None;
                }
                out.push('"');
                escape_into(&inside, out);
                out.push('"');
            }
            b'A'..=b'Z' => {
                let number = reader.name(self.templates.len())?;
                if reader.eat(b'(') {
                    self.row(reader, number, b")", out)?;
                    if !reader.eat(b')') {
                        return None;
                    }
                } else if reader.eat(b'[') {
                    out.push('[');
                    loop {
                        self.row(reader, number, b"]\n", out)?;
                        if reader.eat(b']') {
                            break;
                        }
                        if !reader.eat(b'\n') {
                            return None;
                        }
                        out.push_str(comma);
                    }
                    out.push(']');
                } else {
                    return None;
                }
            }
            _ => {
                let (_, end) = scalar_end(reader.text.as_bytes(), reader.at, reader.text.len())?;
                out.push_str(&reader.text[reader.at..end]);
                reader.at = end;
            }
        }
        self.depth -= 1;
        Some(())
    }

    fn row(
        &mut self,
        reader: &mut Reader<'_>,
        number: usize,
        ends: &[u8],
        out: &mut String,
    ) -> Option<()> {
        let n_cells = self.sizes[number];
        let mut buffer = self.stack.pop().unwrap_or_default();
        let first = self.spans.len();
        buffer.clear();
        for n in 0..n_cells {
            if n > 0 && !reader.eat(b',') {
                return None;
            }
            let start = buffer.len();
            if reader.peek() == Some(b',') || reader.peek().is_some_and(|b| ends.contains(&b)) {
                self.spans.push(None);
            } else {
                self.cell(reader, &mut buffer)?;
                self.spans.push(Some((start, buffer.len())));
            }
        }
        let templates = self.templates;
        let (line, template) = &templates[number];
        let mut next = first;
        self.object(line, template, &buffer, &mut next, out)?;
        self.spans.truncate(first);
        self.stack.push(buffer);
        Some(())
    }

    fn cell(&mut self, reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
        let rest = &reader.text[reader.at..];
        match rest.as_bytes().first()? {
            b'"' | b'[' | b'{' | b'@' => return self.value(reader, Place::Value, out),
            b'A'..=b'Z' => {
                let n = rest.bytes().take_while(u8::is_ascii_uppercase).count();
                if matches!(rest.as_bytes().get(n), Some(b'(' | b'[')) {
                    return self.value(reader, Place::Value, out);
                }
            }
            _ => {}
        }
        let n = rest
            .bytes()
            .take_while(|b| !matches!(b, b',' | b')' | b']' | b'\n'))
            .count();
        let text = &rest[..n];
        if scalar_end(text.as_bytes(), 0, n).is_some_and(|(_, end)| end == n) {
            out.push_str(text);
        } else {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        reader.at += n;
        Some(())
    }

    /// Writes one object; `next` is the place of its first cell and moves behind its last.
    fn object(
        &mut self,
        line: &str,
        template: &Template<'_>,
        cells: &str,
        next: &mut usize,
        out: &mut String,
    ) -> Option<()> {
        let mut own = Vec::new();
        self.own_cells(template, &mut next.clone(), &mut own);
        self.members(line, template, cells, next, &own, out)
    }

    /// Collects the cells that `$1`, `$2` … of a template name: its own, not those of its rows.
    fn own_cells(&self, template: &Template<'_>, next: &mut usize, own: &mut Vec<usize>) {
        for (_, slot) in &template.members {
            match slot {
                Slot::Cell => {
                    own.push(*next);
                    *next += 1;
                }
                Slot::Text(pieces) if pieces.iter().any(|p| matches!(p, Piece::Next)) => {
                    own.push(*next);
                    *next += 1;
                }
                Slot::Row(number) => *next += self.sizes[*number],
                Slot::Inline(inner) => self.own_cells(inner, next, own),
                Slot::Text(_) | Slot::Copy(_) | Slot::Value(_) => {}
            }
        }
    }

    fn members(
        &mut self,
        line: &str,
        template: &Template<'_>,
        cells: &str,
        next: &mut usize,
        own: &[usize],
        out: &mut String,
    ) -> Option<()> {
        let (comma, colon) = self.spacing.separators();
        if out.len() > self.max_bytes {
            return None;
        }
        out.push('{');
        let mut is_first = true;
        for (key, slot) in &template.members {
            let before = out.len();
            if !is_first {
                out.push_str(comma);
            }
            push_key(key, colon, out);
            let is_there = match slot {
                Slot::Cell => {
                    let span = self.spans.get(*next).copied().flatten();
                    *next += 1;
                    span.map(|(start, end)| out.push_str(&cells[start..end]))
                        .is_some()
                }
                Slot::Copy(cell) => {
                    let span = self.spans.get(*own.get(*cell)?).copied().flatten();
                    span.map(|(start, end)| out.push_str(&cells[start..end]))
                        .is_some()
                }
                Slot::Text(pieces) => {
                    out.push('"');
                    let mut is_whole = true;
                    for piece in pieces {
                        let at = match piece {
                            Piece::Literal(text) => {
                                out.push_str(text);
                                continue;
                            }
                            Piece::Next => {
                                *next += 1;
                                *next - 1
                            }
                            Piece::Cell(cell) => *own.get(*cell)?,
                        };
                        match self.spans.get(at).copied().flatten() {
                            Some((start, end)) => out.push_str(unquoted(&cells[start..end])),
                            None => is_whole = false,
                        }
                    }
                    out.push('"');
                    is_whole
                }
                Slot::Row(number) => {
                    let templates = self.templates;
                    let (line, inner) = &templates[*number];
                    self.object(line, inner, cells, next, out)?;
                    true
                }
                Slot::Inline(inner) => {
                    self.members(line, inner, cells, next, own, out)?;
                    true
                }
                Slot::Value(at) => {
                    let mut reader = Reader {
                        text: line,
                        at: *at,
                        depth: 0,
                    };
                    self.value(&mut reader, Place::Template, out)?;
                    true
                }
            };
            if out.len() > self.max_bytes {
                return None;
            }
            if is_there {
                is_first = false;
            } else {
                out.truncate(before);
            }
        }
        out.push('}');
        Some(())
    }
}

fn unquoted(cell: &str) -> &str {
    cell.strip_prefix('"')
        .and_then(|cell| cell.strip_suffix('"'))
        .unwrap_or(cell)
}

fn push_key(key: &str, colon: &str, out: &mut String) {
    out.push('"');
    out.push_str(key);
    out.push('"');
    out.push_str(colon);
}
