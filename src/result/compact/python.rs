//! Python literals as tools print them (`[{'a': None}]`), read as JSON and written again exactly.
//!
//! Taken are dictionaries with string keys, lists, strings, numbers, `None`, `True` and `False`, in the
//! spacing and quoting of Python's own `repr`; anything else is not taken.

/// Open containers at once.
const DEPTH: usize = 100;

/// Returns the JSON text of a Python literal whose `repr` it is.
pub(super) fn to_json(text: &str) -> Option<String> {
    let trimmed = text.trim_ascii();
    if !trimmed.starts_with(['[', '{']) || trimmed.len() != text.len() {
        return None;
    }
    let mut reader = Reader {
        text,
        at: 0,
        out: String::with_capacity(text.len()),
    };
    reader.value(0)?;
    (reader.at == text.len() && to_python(&reader.out).as_deref() == Some(text))
        .then_some(reader.out)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    out: String,
}

impl Reader<'_> {
    fn eat(&mut self, expected: &str) -> bool {
        let found = self.text[self.at..].starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        match *self.text.as_bytes().get(self.at)? {
            b'[' => {
                self.at += 1;
                self.out.push('[');
                if !self.eat("]") {
                    loop {
                        self.value(depth + 1)?;
                        if self.eat("]") {
                            break;
                        }
                        if !self.eat(", ") {
                            return None;
                        }
                        self.out.push(',');
                    }
                }
                self.out.push(']');
            }
            b'{' => {
                self.at += 1;
                self.out.push('{');
                if !self.eat("}") {
                    loop {
                        self.string()?;
                        if !self.eat(": ") {
                            return None;
                        }
                        self.out.push(':');
                        self.value(depth + 1)?;
                        if self.eat("}") {
                            break;
                        }
                        if !self.eat(", ") {
                            return None;
                        }
                        self.out.push(',');
                    }
                }
                self.out.push('}');
            }
            b'\'' | b'"' => self.string()?,
            _ => {
                let rest = &self.text[self.at..];
                for (python, json) in [("None", "null"), ("True", "true"), ("False", "false")] {
                    if rest.starts_with(python) {
                        self.at += python.len();
                        self.out.push_str(json);
                        return Some(());
                    }
                }
                let (_, end) =
                    super::tree::scalar_end(self.text.as_bytes(), self.at, self.text.len())?;
                self.out.push_str(&self.text[self.at..end]);
                self.at = end;
            }
        }
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let quote = char::from(*self.text.as_bytes().get(self.at)?);
        if quote != '\'' && quote != '"' {
            return None;
        }
        let mut chars = self.text[self.at + 1..].char_indices();
        self.out.push('"');
        loop {
            let (n, c) = chars.next()?;
            if c == quote {
                self.at += n + 2;
                break;
            }
            let value = if c == '\\' {
                match chars.next()?.1 {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    '\\' => '\\',
                    '\'' => '\'',
                    '"' => '"',
                    'x' => hex(&mut chars, 2)?,
                    'u' => hex(&mut chars, 4)?,
                    'U' => hex(&mut chars, 8)?,
                    _ => return None,
                }
            } else {
                c
            };
            push_json(value, &mut self.out);
        }
        self.out.push('"');
        Some(())
    }
}

fn hex(chars: &mut std::str::CharIndices<'_>, n: usize) -> Option<char> {
    let mut code = 0u32;
    for _ in 0..n {
        code = code.checked_mul(16)? + chars.next()?.1.to_digit(16)?;
    }
    char::from_u32(code)
}

fn push_json(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0'..='\x1f' => out.push_str(&format!("\\u{:04x}", c as u32)),
        c => out.push(c),
    }
}

/// Writes a JSON text without white space as Python's `repr`; None where a character may be printed
/// differently by different versions of Python.
pub(super) fn to_python(json: &str) -> Option<String> {
    let mut out = String::with_capacity(json.len() + json.len() / 8);
    let mut at = 0;
    let bytes = json.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let (end, _) = super::tree::string_end(bytes, at, bytes.len())?;
                push_repr(json.get(at + 1..end)?, &mut out)?;
                at = end + 1;
                continue;
            }
            b',' => out.push_str(", "),
            b':' => out.push_str(": "),
            b'n' | b't' | b'f' => {
                let rest = &json[at..];
                let (json, python) = [("null", "None"), ("true", "True"), ("false", "False")]
                    .into_iter()
                    .find(|(json, _)| rest.starts_with(json))?;
                out.push_str(python);
                at += json.len();
                continue;
            }
            byte => out.push(char::from(byte)),
        }
        at += 1;
    }
    Some(out)
}

fn push_repr(raw: &str, out: &mut String) -> Option<()> {
    let text: String = if raw.contains('\\') {
        serde_json::from_str(&format!("\"{raw}\"")).ok()?
    } else {
        raw.to_owned()
    };
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{ad}' => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii() || is_printed_by_all(c) => out.push(c),
            _ => return None,
        }
    }
    out.push(quote);
    Some(())
}

/// Characters that every Python prints as they are.
fn is_printed_by_all(c: char) -> bool {
    matches!(c,
        '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{24f}' | '\u{391}'..='\u{3a1}' | '\u{3a3}'..='\u{3ff}'
        | '\u{400}'..='\u{481}' | '\u{5d0}'..='\u{5ea}' | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205e}' | '\u{20a0}'..='\u{20bf}' | '\u{2190}'..='\u{23ff}'
        | '\u{2500}'..='\u{27bf}' | '\u{3001}'..='\u{303f}' | '\u{3041}'..='\u{3096}'
        | '\u{30a0}'..='\u{30ff}' | '\u{4e00}'..='\u{9fef}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{ff01}'..='\u{ff5e}' | '\u{1f300}'..='\u{1f64f}' | '\u{1f680}'..='\u{1f6c5}'
        | '\u{1f910}'..='\u{1f93e}')
}
