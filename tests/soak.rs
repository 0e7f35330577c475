//! The short form of the soak over HTTP: counts, never times. `examples/soak_http` has the long form.

#[path = "../examples/soak_http/lib.rs"]
#[allow(dead_code, reason = "the long form prints more than is judged here")]
mod run;

use std::time::Duration;

use crate::kit::ScriptedServer;

/// What both short forms have in common.
fn plan(server: &ScriptedServer) -> run::Plan {
    run::Plan {
        program: env!("CARGO_BIN_EXE_mcp-whittle").into(),
        child: server.command(),
        sessions: 300,
        requests: 3_000,
        least: Duration::ZERO,
        workers: 16,
        every: Duration::from_secs(1),
        churn: Duration::from_secs(1),
        idle: Duration::from_secs(8),
        patience: Duration::from_secs(2),
        seed: 1,
        faults: 0,
        upheaval: Duration::from_secs(1),
        tell: |_| {},
    }
}

/// Runs a plan; it may find nothing wrong.
fn report(plan: &run::Plan) -> run::Report {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let report = runtime.block_on(run::run(plan)).expect("it runs");
    assert_eq!(report.faults(), [""; 0], "{:?}", report.seen);
    report
}

#[test]
fn sessions_come_and_go_beside_dead_servers_and_leave_nothing() {
    let server = ScriptedServer::new("tool echo");
    let report = report(&plan(&server));
    assert!(report.asked >= 3_000 && report.right > 2_000, "{report:?}");
    assert!(report.renewed > 0);
}

#[test]
fn faults_by_seed_leave_every_request_answered_once() {
    let server = ScriptedServer::new("tool echo");
    let report = report(&run::Plan {
        sessions: 60,
        requests: 2_500,
        seed: 20_261_128,
        faults: 40,
        upheaval: Duration::from_millis(300),
        ..plan(&server)
    });
    assert_eq!((report.unanswered, report.duplicated), (0, 0));
    for fault in run::trouble::Fault::OF_CALLS {
        assert!(
            report
                .faults
                .get(&fault)
                .is_some_and(|made| made.times > 20),
            "{:?}",
            report.faults
        );
    }
    let broken: u64 = report.faults.values().map(|made| made.times).sum();
    assert!(broken > 500, "{:?}", report.faults);
}

#[test]
fn the_soak_notices_what_it_looks_for() {
    use run::sample::{Sample, drift, least_squares};
    let resident = |sample: &Sample| sample.resident;
    let flat: Vec<Sample> = (0..20)
        .map(|n| Sample {
            at: n * 10,
            resident: 50_000 + n % 2 * 100,
            ..Sample::default()
        })
        .collect();
    assert!(drift(&flat, resident).abs() < 0.01);
    // A leak of 2 % over the time.
    let leak: Vec<Sample> = flat
        .iter()
        .map(|sample| Sample {
            resident: sample.resident + sample.at * 5,
            ..*sample
        })
        .collect();
    assert!(drift(&leak, resident) > 0.01);
    // Peaks at the end are none, and peaks at the start hide none; a line says of both what is not so.
    let peaks = |samples: &[Sample], seconds: std::ops::Range<u64>| -> Vec<Sample> {
        let peak = |sample: &Sample| Sample {
            resident: sample.resident + 20_000 * u64::from(seconds.contains(&sample.at)),
            ..*sample
        };
        samples.iter().map(peak).collect()
    };
    let (late, early) = (peaks(&flat, 150..180), peaks(&leak, 10..40));
    assert!(drift(&late, resident).abs() < 0.01);
    assert!(drift(&early, resident) > 0.01);
    let (rises, error) = least_squares(&late, resident);
    assert!(rises > 0.05 && error > 0.01, "{rises} {error}");
    assert!(least_squares(&early, resident).0 < 0.0);
    assert!(drift(&[], resident) == 0.0 && drift(&flat[..1], resident) == 0.0);
}
