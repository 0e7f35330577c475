//! `eval retrieval`: ranks the tools of a catalogue for each query of a file, writes the rankings and
//! prints the measures and the time. Queries are read, ranked and written one at a time.

mod abstention;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use comfy_table::{CellAlignment, Table, presets};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cli::EvalRetrievalArgs;
use crate::embeddings;
use crate::search::metrics::{MeanMetrics, Metrics};
use crate::search::{Entry, Index};

use super::{Output, start_logging};
use abstention::Abstention;

/// Tools ranked for each query.
const DEPTH: usize = 50;
/// Bytes of one line, at most.
const LINE_BYTES: u64 = 64 << 20;

/// One tool of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool {
    id: String,
    name: String,
    title: Option<String>,
    description: Option<String>,
    server: Option<String>,
    server_description: Option<String>,
    input_schema: Option<Box<RawValue>>,
}

/// One query; without `relevant` or `groups` it is ranked but not measured.
#[derive(Debug, Deserialize)]
struct Query {
    #[serde(alias = "qid")]
    id: String,
    text: String,
    relevant: Option<Vec<String>>,
    groups: Option<Vec<Vec<String>>>,
    split: Option<String>,
}

impl Query {
    /// The query's needs: its groups, or each relevant tool by itself.
    fn needs(self) -> Vec<Vec<String>> {
        let relevant = self.relevant.unwrap_or_default();
        match self.groups {
            Some(groups) if !groups.is_empty() => groups,
            _ => relevant.into_iter().map(|tool| vec![tool]).collect(),
        }
    }
}

/// Ranks the tools of a catalogue for each query, writes the rankings, prints the measures.
///
/// # Errors
/// When a file cannot be read or written, or a line is not what it has to be; the line is named.
pub fn run(args: EvalRetrievalArgs, output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    start_logging(&args.log)?;
    let tools = read_catalog(&args.catalog)?;
    let entries: Vec<Entry<'_>> = tools.iter().map(entry).collect();
    let table = args.embeddings.as_deref().map(embeddings::load);
    let table = table.transpose()?.map(Arc::new);
    let start = Instant::now();
    let mut index = Index::build(&entries);
    if let Some(table) = &table {
        index = index.with_table(&entries, Arc::clone(table));
    }
    let build_time = start.elapsed();
    if index.n_left_out() > 0 {
        bail!(
            "`{}` has {} tools more than can be indexed",
            args.catalog.display(),
            index.n_left_out()
        );
    }

    let out = File::create(&args.out)
        .with_context(|| format!("cannot write `{}`", args.out.display()))?;
    let mut out = BufWriter::new(out);
    let mut report = Report {
        abstention: args.abstention.then(Abstention::default),
        ..Report::default()
    };
    let mut known: HashMap<String, usize> = HashMap::new();
    for_each_line(&args.queries, |line, query: Query| {
        if let Some(before) = known.insert(query.id.clone(), line) {
            bail!("id `{}` is already on line {before}", query.id);
        }
        let start = Instant::now();
        let ranked = index.rank(&query.text, DEPTH);
        report.times.push(start.elapsed());
        let ranked: Vec<&str> = ranked.iter().map(|hit| entries[hit.tool].id).collect();
        serde_json::to_writer(&mut out, &json!({"qid": query.id, "ranked": ranked}))
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .with_context(|| format!("cannot write `{}`", args.out.display()))?;
        let split = query.split.clone();
        let text = query.text.clone();
        let needs = query.needs();
        if let Some(abstention) = &mut report.abstention {
            abstention.add(&text, &needs, &entries, &index, table.as_ref());
        }
        report.add(split, &ranked, &needs);
        Ok(())
    })?;
    out.flush()
        .with_context(|| format!("cannot write `{}`", args.out.display()))?;

    report.times.sort_unstable();
    if args.json {
        output.write_json(&report.to_json(&index, build_time))?;
    } else {
        output.write(report.to_text(&index, build_time))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_catalog(path: &Path) -> anyhow::Result<Vec<Tool>> {
    let mut tools: Vec<Tool> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for_each_line(path, |line, tool: Tool| {
        if let Some(before) = known.insert(tool.id.clone(), line) {
            bail!("id `{}` is already on line {before}", tool.id);
        }
        tools.push(tool);
        Ok(())
    })?;
    Ok(tools)
}

fn entry(tool: &Tool) -> Entry<'_> {
    Entry {
        id: &tool.id,
        name: &tool.name,
        title: tool.title.as_deref(),
        description: tool.description.as_deref(),
        server: tool.server.as_deref().unwrap_or_default(),
        server_description: tool.server_description.as_deref(),
        input_schema: tool.input_schema.as_deref().map(RawValue::get),
    }
}

/// Reads a file of JSON lines one at a time; empty lines are skipped, lines count from 1.
fn for_each_line<T: DeserializeOwned>(
    path: &Path,
    mut visit: impl FnMut(usize, T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let place = || format!("`{}`, line {line}", path.display());
        let n_read = (&mut reader)
            .take(LINE_BYTES)
            .read_until(b'\n', &mut bytes)
            .with_context(place)?;
        if n_read == 0 {
            break;
        }
        if n_read as u64 == LINE_BYTES && bytes.last() != Some(&b'\n') {
            bail!("{}: longer than {LINE_BYTES} bytes", place());
        }
        let text = bytes.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let value = serde_json::from_slice(text).with_context(place)?;
        visit(line, value).with_context(place)?;
    }
    Ok(())
}

/// What was measured.
#[derive(Default)]
struct Report {
    all: MeanMetrics,
    /// By the queries' `split`, in the order of their first query.
    splits: Vec<(String, MeanMetrics)>,
    times: Vec<Duration>,
    abstention: Option<Abstention>,
}

impl Report {
    fn add(&mut self, split: Option<String>, ranked: &[&str], needs: &[Vec<String>]) {
        if needs.is_empty() {
            return;
        }
        let metrics = Metrics::of(ranked, needs);
        self.all.add(&metrics);
        let Some(split) = split else { return };
        match self.splits.iter_mut().find(|(known, _)| *known == split) {
            Some((_, mean)) => mean.add(&metrics),
            None => {
                let mut mean = MeanMetrics::default();
                mean.add(&metrics);
                self.splits.push((split, mean));
            }
        }
    }

    /// `all` first, then the splits.
    fn rows(&self) -> impl Iterator<Item = (&str, usize, Metrics)> {
        let splits = self.splits.iter().map(|(name, mean)| (name.as_str(), mean));
        std::iter::once(("all", &self.all))
            .chain(splits)
            .filter_map(|(name, mean)| Some((name, mean.n_queries(), mean.mean()?)))
    }

    /// The time below which this share of the queries stayed; times are sorted.
    fn time(&self, share: f64) -> Duration {
        let last = self.times.len().saturating_sub(1);
        let at = (self.times.len() as f64 * share) as usize;
        self.times.get(at.min(last)).copied().unwrap_or_default()
    }

    fn to_text(&self, index: &Index, build_time: Duration) -> String {
        let mut text = String::new();
        if self.all.n_queries() > 0 {
            let mut table = Table::new();
            table.load_style(presets::NOTHING);
            table.set_header([
                "split", "n", "R@1", "R@3", "R@5", "R@10", "nDCG@5", "nDCG@10", "MRR", "C@5",
                "C@10",
            ]);
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            for (name, n_queries, metrics) in self.rows() {
                let mut row = vec![name.to_owned(), n_queries.to_string()];
                let numbers = metrics.recall.iter().chain(&metrics.ndcg);
                let numbers = numbers.chain([&metrics.reciprocal_rank]);
                let numbers = numbers.chain(&metrics.complete);
                row.extend(numbers.map(|number| format!("{number:.3}")));
                table.add_row(row);
            }
            text.push_str(&table.trim_fmt());
            text.push('\n');
        }
        if let Some(abstention) = &self.abstention {
            text.push_str(&abstention.to_text());
            text.push('\n');
        }
        text.push_str(&format!(
            "{} tools, {} terms; index built in {:.1} ms; {} queries, {:.3} ms each (median), {:.3} ms (p95)\n",
            index.n_tools(),
            index.n_terms(),
            milliseconds(build_time),
            self.times.len(),
            milliseconds(self.time(0.5)),
            milliseconds(self.time(0.95)),
        ));
        text
    }

    fn to_json(&self, index: &Index, build_time: Duration) -> Value {
        let rows: Vec<Value> = self
            .rows()
            .map(|(name, n_queries, metrics)| {
                json!({
                    "split": name,
                    "n": n_queries,
                    "recall@1": metrics.recall[0],
                    "recall@3": metrics.recall[1],
                    "recall@5": metrics.recall[2],
                    "recall@10": metrics.recall[3],
                    "ndcg@5": metrics.ndcg[0],
                    "ndcg@10": metrics.ndcg[1],
                    "mrr": metrics.reciprocal_rank,
                    "complete@5": metrics.complete[0],
                    "complete@10": metrics.complete[1],
                })
            })
            .collect();
        json!({
            "tools": index.n_tools(),
            "terms": index.n_terms(),
            "indexMilliseconds": milliseconds(build_time),
            "queries": self.times.len(),
            "queryMillisecondsMedian": milliseconds(self.time(0.5)),
            "queryMillisecondsP95": milliseconds(self.time(0.95)),
            "measures": rows,
            "abstention": self.abstention.as_ref().map(Abstention::to_json),
        })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
