//! The first screen: what the demo ran, what the tools cost before and after, one call, and what to
//! try next. Pure: measurements in, text out; no number stands here that was not measured.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::time::Duration;

use crate::token::Tokens;
use crate::token::report::{Detail, Report, TextOptions, ToolReport};

/// Columns of the screen.
pub const WIDTH: usize = 100;
/// Tools that are shown as examples, at most.
const N_EXAMPLES: usize = 5;
/// Characters of a name or of arguments, at most.
const NAME_CHARS: usize = 48;

/// What one side of a result takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of the response on the wire.
    pub bytes: usize,
    /// Tokens of that text.
    pub tokens: Tokens,
}

/// One call that was made through the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredCall {
    /// The tool's name as the client called it.
    pub tool: String,
    /// The raw arguments.
    pub arguments: String,
    /// Bytes of the request.
    pub request_bytes: usize,
    /// The response as the server sent it.
    pub before: Size,
    /// The response as the client got it.
    pub after: Size,
    /// Whether the client got the server's bytes, but for the id.
    pub is_same: bool,
    /// Messages between client and proxy in the whole demo, both ways.
    pub n_messages: usize,
    /// From the request's sending to the response's arrival.
    pub round_trip: Duration,
}

/// Renders the screen: at most 40 lines of at most [`WIDTH`] columns, for up to 8 servers. `version`
/// is this program's.
pub fn render(version: &str, report: &Report, call: &MeasuredCall) -> String {
    let mut text = String::new();
    let names: Vec<String> = report.servers.iter().map(|s| cut(&s.server)).collect();
    let _ = writeln!(
        text,
        "mcp-whittle {version}: real servers, recorded, behind the real proxy on this machine.\n"
    );
    for (index, name) in names.iter().enumerate() {
        let left = match index {
            0 => "client <-> mcp-whittle <->",
            _ => "                       <->",
        };
        let _ = writeln!(text, "  {left} mcp-whittle replay {name}");
    }
    let _ = writeln!(text, "\nWhat their tool lists cost, in tokens:\n");
    text.push_str(&report.to_text(&TextOptions {
        detail: Detail::Servers,
        width: WIDTH,
    }));
    examples(report, &mut text);
    one_call(call, &mut text);
    text.push_str(
        "\nNext:\n\
         \x20 mcp-whittle count -- COMMAND    what the tools of your own server cost\n\
         \x20 mcp-whittle -- COMMAND          the same command in your client's configuration\n\
         \x20 mcp-whittle --help              several servers, HTTP, limits\n",
    );
    text
}

/// Shows the tools that lost most.
fn examples(report: &Report, text: &mut String) {
    let all = report.servers.iter().flat_map(|server| &server.tools);
    let lost = |tool: &ToolReport| {
        let after = tool.after.model_visible;
        tool.before.model_visible.saturating_sub(after)
    };
    let mut tools: Vec<&ToolReport> = all.filter(|tool| lost(tool) > Tokens::ZERO).collect();
    tools.sort_by_key(|tool| Reverse(lost(tool)));
    tools.truncate(N_EXAMPLES);
    if tools.is_empty() {
        return;
    }
    let rows: Vec<(String, String, String, String)> = tools
        .iter()
        .map(|tool| {
            let percent = tool.saved.model_visible_percent;
            (
                cut(tool.name.as_deref().unwrap_or("(no name)")),
                grouped(tool.before.model_visible.get()),
                grouped(tool.after.model_visible.get()),
                percent.map_or_else(String::new, |percent| format!("{percent:.1} %")),
            )
        })
        .collect();
    let wide = |column: fn(&(String, String, String, String)) -> &String| {
        let lengths = rows.iter().map(|row| column(row).chars().count());
        lengths.max().unwrap_or_default()
    };
    let (name, before, after) = (wide(|r| &r.0), wide(|r| &r.1), wide(|r| &r.2));
    let _ = writeln!(
        text,
        "\nThe tools that shrank most, as a model sees them:\n"
    );
    for row in &rows {
        let _ = writeln!(
            text,
            "  {:<name$}  {:>before$} -> {:>after$}  {:>7}",
            row.0, row.1, row.2, row.3
        );
    }
}

fn one_call(call: &MeasuredCall, text: &mut String) {
    let _ = writeln!(
        text,
        "\nOne call through the proxy: {} {}\n",
        cut(&call.tool),
        cut(&call.arguments)
    );
    let _ = writeln!(
        text,
        "  request   {} bytes",
        grouped(call.request_bytes as u64)
    );
    let (before, after) = (call.before, call.after);
    let size = |size: Size| {
        let tokens = grouped(size.tokens.get());
        format!("{} bytes, {tokens} tokens", grouped(size.bytes as u64))
    };
    let sizes = if call.is_same {
        format!("{}, as the server sent it", size(after))
    } else {
        format!("{} -> {}", size(before), size(after))
    };
    let _ = writeln!(text, "  response  {sizes}");
    let _ = writeln!(
        text,
        "  round trip {:.1} ms; {} messages between client and proxy in all",
        call.round_trip.as_secs_f64() * 1000.0,
        grouped(call.n_messages as u64)
    );
}

/// Cuts a text to a length, without what a terminal would obey.
fn cut(text: &str) -> String {
    let mut chars = text.chars().filter(|c| !c.is_control());
    let mut shown: String = chars.by_ref().take(NAME_CHARS).collect();
    if chars.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// Writes a number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::demo::{CALL, SERVERS, write_to};
    use crate::capture::{Recording, read_folder};
    use crate::mcp::method::ListKind;
    use crate::surface::lean::{Limits, lean};
    use crate::token::report::{ServerTools, Sort};
    use crate::token::{Encoding, ModelFit, TiktokenCounter, TokenCounter};

    fn recordings() -> Vec<Recording> {
        let parent = tempfile::tempdir().unwrap();
        let folders = write_to(parent.path()).unwrap();
        folders
            .iter()
            .map(|path| read_folder(path).unwrap())
            .collect()
    }

    fn screen(is_same: bool) -> String {
        let counter = TiktokenCounter::new(Encoding::O200kBase);
        let recordings = recordings();
        let servers: Vec<ServerTools> = SERVERS
            .iter()
            .zip(&recordings)
            .map(|(server, recording)| {
                let tools = recording.items(ListKind::Tools);
                let leaned = tools.iter().map(|tool| lean(tool, &Limits::default()));
                ServerTools {
                    server: server.name.to_owned(),
                    shown: leaned
                        .zip(&tools)
                        .map(|(lean, tool)| lean.text(tool).to_owned())
                        .collect(),
                    tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
                }
            })
            .collect();
        let fit = ModelFit::of_encoding(Encoding::O200kBase);
        let report = Report::build(&servers, &counter, &fit).sorted(Sort::Cost);
        let exchange = &recordings[1].exchanges()[0];
        let response = exchange.response.as_deref().unwrap();
        let size = Size {
            bytes: response.len(),
            tokens: counter.count(std::str::from_utf8(response).unwrap()),
        };
        let half = Size {
            bytes: size.bytes / 2,
            tokens: Tokens::new(size.tokens.get() / 2),
        };
        let call = MeasuredCall {
            tool: format!("{}__{}", CALL.server, CALL.tool),
            arguments: CALL.arguments.to_owned(),
            request_bytes: exchange.params.as_ref().unwrap().len(),
            before: size,
            after: if is_same { size } else { half },
            is_same,
            n_messages: 5,
            round_trip: Duration::from_micros(1234),
        };
        render("9.9.9", &report, &call)
    }

    #[test]
    fn the_first_screen_fits_and_says_what_was_measured() {
        let text = screen(true);
        assert!(text.lines().count() <= 40, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_shaped_result_shows_both_sizes() {
        let text = screen(false);
        let line = text
            .lines()
            .find(|line| line.starts_with("  response"))
            .unwrap();
        assert_eq!(line.matches("tokens").count(), 2, "{line}");
        assert!(!text.contains("as the server sent it"));
    }

    #[test]
    fn odd_names_cannot_break_the_screen() {
        assert_eq!(cut("a\u{1b}[2Jb\n"), "a[2Jb");
        assert_eq!(cut(&"é".repeat(100)).chars().count(), NAME_CHARS);
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
    }
}
