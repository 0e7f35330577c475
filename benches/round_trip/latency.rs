//! Round trips of calls: direct, through the relay, through the proxy that shapes results and through one that
//! sends them as they come (`--transparent`), in turns.

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Map, json};

use crate::numbers::{Samples, say, verdict, write_raw};
use crate::peer::{Client, HttpClient, PROXY, PipeClient, Process, call, check, proxied, role};

/// Rounds of each route; they take turns.
const ROUNDS: usize = 9;
/// Calls that are not counted, before each round.
const WARM: usize = 20;

/// What is called.
struct Load {
    name: &'static str,
    /// Arguments of the call.
    arguments: String,
    calls: usize,
    /// Most that the proxy may take as a multiple of the relay, over stdio (see docs/performance.md).
    limit: Option<f64>,
    /// The route that the limit is for.
    judged: Route,
}

/// A way to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Direct,
    Relay,
    /// Through the proxy that changes nothing.
    Untouched,
    /// Through the proxy as it is by default: results are counted, made smaller and capped.
    Shaped,
}

impl Route {
    const ALL: [Self; 4] = [Self::Direct, Self::Relay, Self::Untouched, Self::Shaped];

    const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::Untouched => "untouched",
            Self::Shaped => "shaped",
        }
    }
}

fn loads() -> Vec<Load> {
    let load = |name, bytes: usize, kind: &str, calls, limit| Load {
        name,
        arguments: format!("{{\"bytes\":{bytes},\"kind\":\"{kind}\"}}"),
        calls,
        limit,
        judged: Route::Untouched,
    };
    vec![
        // Nothing but pipes and processes that wake each other: no aim, but it hides nothing.
        load("200 B", 200, "text", 1000, None),
        // The aim for small calls is set for servers that take this long themselves.
        Load {
            name: "200 B, server works 0.2 ms",
            arguments: "{\"bytes\":200,\"kind\":\"text\",\"busy\":200}".to_owned(),
            calls: 500,
            limit: Some(1.3),
            // It is too short to be shaped, so it is untouched by default.
            judged: Route::Shaped,
        },
        load("20 KB", 20_000, "text", 500, None),
        load("1 MB text", 1_000_000, "text", 40, Some(1.5)),
        // Denser than any text: every third byte or so is structure.
        load("1 MB rows", 1_000_000, "rows", 40, None),
        Load {
            name: "1 MB request",
            arguments: format!(
                "{{\"bytes\":200,\"kind\":\"text\",\"pad\":\"{}\"}}",
                "x".repeat(1_000_000)
            ),
            calls: 40,
            limit: None,
            judged: Route::Shaped,
        },
    ]
}

/// Over pipes.
pub(crate) fn stdio() -> io::Result<()> {
    let echo = || role("echo", &[]);
    let mut behind_relay = role("relay", &["--"]);
    behind_relay.extend(echo());
    let mut direct = PipeClient::start(&echo())?;
    let mut relay = PipeClient::start(&behind_relay)?;
    let mut untouched = PipeClient::start(&proxied(&["--no-state", "--transparent"], echo()))?;
    let mut shaped = PipeClient::start(&proxied(&["--no-state"], echo()))?;
    measure(
        "stdio",
        &mut [&mut direct, &mut relay, &mut untouched, &mut shaped],
        true,
    )
}

/// Over HTTP on both sides.
pub(crate) fn http() -> io::Result<()> {
    let mut server = Process::start(&role("echo", &["--http", "127.0.0.1:0"]))?;
    let upstream = server.address()?;
    let mut relay = Process::start(&role(
        "relay",
        &["--listen", "127.0.0.1:0", "--connect", &upstream],
    ))?;
    let relay_address = relay.address()?;
    let url = format!("http://{upstream}/mcp");
    let (listen, second) = (free_address()?, free_address()?);
    let options = ["--no-state", "--listen", &listen, "--upstream", &url];
    let _shaping = Process::start(&proxied(&options, Vec::new()))?;
    let options = [
        "--no-state",
        "--transparent",
        "--listen",
        &second,
        "--upstream",
        &url,
    ];
    let _transparent = Process::start(&proxied(&options, Vec::new()))?;
    wait_for(&listen)?;
    wait_for(&second)?;
    let mut direct = HttpClient::connect(&upstream, "/mcp")?;
    let mut behind_relay = HttpClient::connect(&relay_address, "/mcp")?;
    let mut shaped = HttpClient::connect(&listen, "/mcp")?;
    let mut untouched = HttpClient::connect(&second, "/mcp")?;
    measure(
        "http",
        &mut [&mut direct, &mut behind_relay, &mut untouched, &mut shaped],
        false,
    )
}

fn free_address() -> io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

fn wait_for(address: &str) -> io::Result<()> {
    for _ in 0..500 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(io::Error::other(format!("{PROXY} does not listen")))
}

/// Measures the routes, in the order of [`Route::ALL`].
fn measure(name: &str, clients: &mut [&mut dyn Client; 4], has_limits: bool) -> io::Result<()> {
    for client in clients.iter_mut() {
        client.shake()?;
    }
    say(&format!(
        "\n## Round trip over {name}, {ROUNDS} rounds in turns, microseconds\n\n\
         | result | calls a round | route | median | rounds | p99 | added to relay | ratio | limit |\n\
         |---|---|---|---|---|---|---|---|---|"
    ))?;
    let mut raw = Map::new();
    let mut id = 1;
    for load in loads() {
        let mut samples = Route::ALL.map(|_| Samples::default());
        for round in 0..ROUNDS {
            for turn in 0..clients.len() {
                // Another order each round: what runs first may pay for what ran before.
                let route = (turn + round) % clients.len();
                let times = one_round(clients[route], &load, &mut id)?;
                samples[route].push_round(&times);
            }
        }
        raw.insert(load.name.to_owned(), told(&load, &samples, has_limits)?);
    }
    write_raw(&format!("round_trip_{name}"), &raw.into())
}

/// Prints what was measured of one load, a line for each route, and returns the numbers.
fn told(load: &Load, samples: &[Samples; 4], has_limits: bool) -> io::Result<serde_json::Value> {
    let relay = &samples[1];
    let mut raw = Map::new();
    for (route, samples) in Route::ALL.into_iter().zip(samples) {
        let (lowest, highest) = samples.spread();
        let ratio = samples.ratio(relay);
        let limit = load
            .limit
            .filter(|_| has_limits && route == load.judged)
            .map_or_else(String::new, |limit| {
                let verdict = if is_on_one_core() {
                    verdict(ratio, limit)
                } else {
                    "no verdict, not on one core"
                };
                format!("≤ {limit}: {verdict}")
            });
        say(&format!(
            "| {} | {} | {} | {:.0} | {lowest:.0} to {highest:.0} | {:.0} | {:+.0} | {ratio:.2} | {limit} |",
            load.name,
            load.calls,
            route.name(),
            samples.median(),
            samples.p99(),
            samples.median() - relay.median(),
        ))?;
        raw.insert(
            route.name().to_owned(),
            json!({ "times": samples.to_json(), "ratio": ratio }),
        );
    }
    Ok(raw.into())
}

fn one_round(client: &mut dyn Client, load: &Load, id: &mut u64) -> io::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(load.calls);
    for n in 0..WARM.min(load.calls) + load.calls {
        *id += 1;
        let message = call(*id, "echo", &load.arguments);
        let start = Instant::now();
        let answer = client.ask(&message)?;
        let took = start.elapsed();
        check(answer, &format!("\"id\":{id},"))?;
        check(answer, "\"content\"")?;
        if n >= WARM.min(load.calls) {
            times.push(took);
        }
    }
    Ok(times)
}

/// Whether this process, and so all it starts, may use one core only.
///
/// On several cores the ratio of a small call says where the scheduler put the processes: the same case
/// gave 0.33, 0.72 and 7.15 on one machine within minutes, and 1.57 to 1.63 in four runs on one core.
fn is_on_one_core() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1)
}
