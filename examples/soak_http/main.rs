//! The long form of the soak; `docs/soak.md` says how it is run and what it measured.
//!
//! `soak_http [--seed N] [--faults N] [--sessions N] [--requests N] [--seconds N] [--workers N] [--out FILE]
//! PROGRAM CHILD…`
//!
//! `PROGRAM` is the built proxy, `CHILD…` a server on pipes with a tool `echo`; `--faults` is how many of one
//! hundred requests have one, `--out` where the summary goes, as JSON with all samples.

#![allow(clippy::print_stdout, reason = "it reports there")]

#[path = "lib.rs"]
mod soak;
mod summary;

use std::time::Duration;

use soak::{Plan, Report};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut plan = Plan {
        program: std::path::PathBuf::new(),
        child: Vec::new(),
        sessions: 5_000,
        requests: 500_000,
        least: Duration::from_secs(1_200),
        workers: 64,
        every: Duration::from_secs(10),
        churn: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        patience: Duration::from_secs(5),
        seed: rand::random(),
        faults: 0,
        upheaval: Duration::from_secs(20),
        tell: |line| println!("{line}"),
    };
    let mut out = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--out" {
            out = arguments.next();
            continue;
        }
        let mut number = || -> Result<u64, Box<dyn std::error::Error>> {
            Ok(arguments.next().ok_or("a number is missing")?.parse()?)
        };
        match argument.as_str() {
            "--sessions" => plan.sessions = usize::try_from(number()?)?,
            "--requests" => plan.requests = number()?,
            "--seconds" => plan.least = Duration::from_secs(number()?),
            "--workers" => plan.workers = usize::try_from(number()?)?,
            "--seed" => plan.seed = number()?,
            "--faults" => plan.faults = u32::try_from(number()?)?,
            "--every" => plan.every = Duration::from_secs(number()?),
            program => {
                plan.program = program.into();
                plan.child = arguments.collect();
                break;
            }
        }
    }
    println!("seed {}", plan.seed);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(soak::run(&plan))?;
    if let Some(out) = out {
        std::fs::write(out, summary::of(&plan, &report))?;
    }
    let [median, most, slowest] = report.quick_millis();
    for (fault, made) in &report.faults {
        println!("{fault:?}: {} made, {} answered", made.times, made.answered);
    }
    println!(
        "{} unanswered, {} duplicated",
        report.unanswered, report.duplicated
    );
    println!(
        "{} requests in {} s ({} right, {} refused), {} sessions renewed; quick calls: median {median:.1} ms, p99 {most:.1} ms, slowest {slowest:.1} ms",
        report.asked, report.seconds, report.right, report.refused, report.renewed
    );
    for seen in &report.seen {
        println!(
            "{:?}: {} KiB before, {} full ({:.1} KiB a session), {} after; descriptors {} {} {}; children {} {}; second half {:+.2} %, of the heap in use {:+.2} %, of its pages {:+.2} %; by least squares {:+.2} % ± {:.2}",
            seen.half,
            seen.before.resident,
            seen.full.resident,
            report.kib_per_session(seen),
            seen.after.resident,
            seen.before.descriptors,
            seen.full.descriptors,
            seen.after.descriptors,
            seen.before.children,
            seen.after.children,
            Report::drift(seen, |sample| sample.resident) * 100.0,
            Report::drift(seen, |sample| sample.heap.allocated) * 100.0,
            Report::drift(seen, |sample| sample.heap.active) * 100.0,
            Report::line(seen).0 * 100.0,
            Report::line(seen).1 * 100.0,
        );
    }
    let faults = report.faults();
    for fault in &faults {
        println!("wrong: {fault}");
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(format!("{} faults", faults.len()).into())
    }
}
