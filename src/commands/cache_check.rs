//! `cache check`: starts the same servers twice, or once against a saved list, and proves that clients
//! get the same list of tools byte for byte, so that a prompt cache holds over a restart.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytes::Bytes;

use crate::cli::CacheCheckArgs;
use crate::config::{Settings, StateSettings};
use crate::driver::local::{LocalClient, items};
use crate::jsonrpc::members;
use crate::mcp::meta;
use crate::mcp::method::ListKind;
use crate::surface::prefix::{self, FirstDifference};
use crate::token::{TiktokenCounter, TokenCounter, Tokens};

use super::count::encoding;
use super::lock::{read_bounded, write_file};
use super::{Output, UNCHECKED, USAGE, load_settings, unchecked};

/// Bytes of a saved list, at most.
const MAX_BYTES: usize = 256 << 20;

/// Compares the lists of two starts.
///
/// # Errors
/// When stdout cannot be written. Everything else is told here and has a code of its own.
pub fn run(args: CacheCheckArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let prepared = prepare(&args);
    let (settings, saved) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(unchecked(&error, USAGE)),
    };
    let (first, second) = match lists(&args, &settings, saved) {
        Ok(lists) => lists,
        Err(error) => return Ok(unchecked(&error, UNCHECKED)),
    };
    let counter = TiktokenCounter::new(encoding(settings.tokenizer));
    let compared = Compared::of(&first, &second);
    output.write(compared.to_text(&first, &second, &counter))?;
    Ok(match compared.first {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}

/// The pages of one list, and where it is from.
struct List {
    from: String,
    pages: Vec<Bytes>,
}

fn prepare(args: &CacheCheckArgs) -> anyhow::Result<(Settings, Option<List>)> {
    let mut settings = load_settings(&args.proxy_args())?.settings;
    // Two strangers: nothing is remembered between them, and a slow server is waited for.
    settings.state = StateSettings::None;
    settings.listen = None;
    settings.admin_listen = None;
    let slowest = settings.servers.iter().map(|server| server.start_timeout);
    settings.timeouts.list_deadline = slowest
        .max()
        .unwrap_or_default()
        .max(settings.timeouts.list_deadline);
    let saved = args.against.as_deref().map(saved).transpose()?;
    Ok((settings, saved))
}

fn saved(path: &Path) -> anyhow::Result<List> {
    let from = path.display().to_string();
    let bytes = read_bounded(path, MAX_BYTES).with_context(|| format!("cannot read `{from}`"))?;
    if bytes.len() > MAX_BYTES {
        bail!("`{from}` is larger than {MAX_BYTES} bytes");
    }
    let mut pages = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let is_json = serde_json::from_slice::<&serde_json::value::RawValue>(line).is_ok();
        if !is_json || members::get(line, "tools").is_none() {
            bail!(
                "line {} of `{from}` is no result of `tools/list`\nhint: write one with `mcp-whittle cache check --save FILE`",
                at + 1
            );
        }
        pages.push(Bytes::copy_from_slice(line));
    }
    if pages.is_empty() {
        bail!("`{from}` is empty\nhint: write one with `mcp-whittle cache check --save FILE`");
    }
    Ok(List { from, pages })
}

fn lists(
    args: &CacheCheckArgs,
    settings: &Settings,
    saved: Option<List>,
) -> anyhow::Result<(List, List)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let visits = runtime.block_on(async {
        let one = visit(settings).await.context("the first start")?;
        let two = match saved {
            Some(_) => None,
            None => Some(visit(settings).await.context("the second start")?),
        };
        anyhow::Ok((one, two))
    });
    runtime.shutdown_background();
    let (one, two) = visits?;
    if let Some(path) = &args.save {
        let mut text = Vec::new();
        for page in &one {
            text.extend_from_slice(page);
            text.push(b'\n');
        }
        write_file(path, &text)?;
    }
    let list = |from: &str, pages| List {
        from: from.to_owned(),
        pages,
    };
    Ok(match (saved, two) {
        (Some(saved), _) => (saved, list("this start", one)),
        (None, Some(two)) => (list("start 1", one), list("start 2", two)),
        (None, None) => bail!("the second start has no list"),
    })
}

/// One client that comes and lists the tools.
async fn visit(settings: &Settings) -> anyhow::Result<Vec<Bytes>> {
    let mut client = LocalClient::start(settings.clone());
    let listed = async {
        client.initialize().await?;
        client.list(ListKind::Tools).await
    }
    .await;
    client.close().await;
    let listing = listed.map_err(|error| {
        let told = format!("{error:#}");
        // A hint of its own says more than ours.
        let hint = match told.contains("\nhint:") {
            true => "",
            false => "\nhint: run the server's command by itself to see what it says",
        };
        anyhow::anyhow!("no list of tools came: {told}{hint}")
    })?;
    if let Some(cut) = &listing.cut {
        bail!("{cut}");
    }
    let pages = listing.results();
    for page in &pages {
        let missing =
            members::get(page, "_meta").and_then(|own| members::get(own, meta::MISSING_SERVERS));
        if let Some(missing) = missing {
            bail!(
                "servers are missing from the list: {}\nhint: run their commands by themselves to see what they say",
                String::from_utf8_lossy(missing)
            );
        }
    }
    // What a line break would end is one line in every list; a result never needs one.
    Ok(pages.into_iter().map(|page| one_line(&page)).collect())
}

/// A result on one line, as it stands on stdio.
fn one_line(page: &Bytes) -> Bytes {
    if !page.contains(&b'\n') && !page.contains(&b'\r') {
        return page.clone();
    }
    // Raw line breaks in JSON stand only between values, where a space means the same.
    page.iter()
        .map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => *other,
        })
        .collect()
}

struct Compared {
    /// Text that both lists begin with.
    common: String,
    first: Option<FirstDifference>,
}

impl Compared {
    fn of(one: &List, two: &List) -> Self {
        let mut common = String::new();
        let empty = Bytes::new();
        for at in 0..one.pages.len().max(two.pages.len()) {
            let page = |list: &List| list.pages.get(at).unwrap_or(&empty).clone();
            let (a, b) = (page(one), page(two));
            let compared = prefix::compare(&a, &b);
            common.push_str(&String::from_utf8_lossy(&a[..compared.common]));
            if compared.first.is_some() {
                let first = compared.first;
                return Self { common, first };
            }
        }
        Self {
            common,
            first: None,
        }
    }

    fn to_text(&self, one: &List, two: &List, counter: &dyn TokenCounter) -> String {
        let mut text = String::new();
        for list in [one, two] {
            text.push_str(&format!(
                "{}: {} tools, {} bytes, {} tokens ({}, measured)\n",
                list.from,
                items(&list.pages, ListKind::Tools).len(),
                list.bytes(),
                list.tokens(counter),
                counter.name()
            ));
        }
        let n_tokens = counter.count(&self.common);
        let n_bytes = self.common.len();
        match &self.first {
            None => text.push_str(&format!(
                "common prefix: {n_bytes} bytes, {n_tokens} tokens: the whole list is the same\n"
            )),
            Some(first) => {
                text.push_str(&format!(
                    "common prefix: {n_bytes} of {} bytes, {n_tokens} of {} tokens\n",
                    one.bytes(),
                    one.tokens(counter)
                ));
                let place = match (&first.tool, first.pointer.as_str()) {
                    (Some(tool), pointer) => format!("tool `{}`, at {pointer}", escaped(tool)),
                    (None, "") => "the whole".to_owned(),
                    (None, pointer) => format!("at {pointer}"),
                };
                text.push_str(&format!("first difference: {place}\n"));
                for (list, value) in [(one, &first.before), (two, &first.after)] {
                    let value = value.as_deref().map_or("(nothing)".into(), escaped);
                    text.push_str(&format!("  {}: {value}\n", list.from));
                }
            }
        }
        text
    }
}

impl List {
    fn bytes(&self) -> usize {
        self.pages.iter().map(Bytes::len).sum()
    }

    fn tokens(&self, counter: &dyn TokenCounter) -> Tokens {
        let pages = self.pages.iter();
        pages
            .map(|page| counter.count(&String::from_utf8_lossy(page)))
            .sum()
    }
}

/// A text of a server as it may be printed on a terminal.
fn escaped(text: &str) -> String {
    crate::surface::lock::visible(text)
}
