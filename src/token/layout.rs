//! Text for terminals: names that cannot act on one, numbers with separators, tables whose first column is
//! a name, wrapped paragraphs, bars. Plain ASCII but for names. Pure.

use comfy_table::CellAlignment;
use comfy_table::Table;
use comfy_table::presets;

/// A name is not cut below this many characters.
const NAME_MIN: usize = 14;
/// A name is not shown longer than this; MCP's suite allows 64.
const NAME_MAX: usize = 64;

/// Writes a table whose first column is a name and whose last row is a sum; `gap` says how many spaces
/// stand before a column.
pub(super) fn table(
    header: &[&str],
    mut rows: Vec<Vec<String>>,
    gap: fn(&str) -> u16,
    width: usize,
    text: &mut String,
) {
    let n_numbers = header.len() - 1;
    let numbers_width: usize = (1..=n_numbers)
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].len());
            let gap = usize::from(gap(header[column]));
            cells.max().unwrap_or(0).max(header[column].len()) + gap
        })
        .sum();
    let name_width = width
        .saturating_sub(numbers_width)
        .clamp(NAME_MIN, NAME_MAX);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let header_keys = header;
    let header = header.iter().enumerate();
    table.set_header(header.map(|(n, cell)| match n {
        0 => cut(&printable(cell), name_width),
        _ => (*cell).to_owned(),
    }));
    for row in &mut rows {
        row[0] = cut(&row[0], name_width);
    }
    let sum = rows.pop();
    table.add_rows(rows);
    table.add_rows(sum);
    for (n, column) in table.column_iter_mut().enumerate() {
        if n == 0 {
            column.set_padding((0, 0));
        } else {
            column.set_padding((gap(header_keys[n]), 0));
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
}

/// Names come from servers: what a terminal would act on is written as an escape.
pub(super) fn printable(name: &str) -> String {
    name.chars()
        .flat_map(|c| {
            let is_plain = !c.is_control() && !is_invisible(c);
            let (plain, escaped) = if is_plain {
                (Some(c), None)
            } else {
                (None, Some(c.escape_unicode()))
            };
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// Characters without width, and those that turn the direction of text.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Cuts a name to so many characters.
pub(super) fn cut(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(width.saturating_sub(1)).collect();
    short.push('~');
    short
}

/// Writes a number with separators: `12,345`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a number that may be negative.
pub(super) fn signed(n: i64) -> String {
    let sign = if n < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(n.unsigned_abs()))
}

/// Writes a percentage; `-` where there is none.
pub(super) fn percent(saved: Option<f64>) -> String {
    saved.map_or_else(|| "-".to_owned(), |saved| format!("{saved:.1}%"))
}

/// Writes a paragraph in lines of the given width.
pub(super) fn wrap(paragraph: &str, width: usize, text: &mut String) {
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let n = word.chars().count();
        if column > 0 && column + 1 + n > width {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += n;
    }
    text.push('\n');
}
