//! Round trips of untouched calls: direct, through the relay, through the proxy, in turns.

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
}

fn loads() -> Vec<Load> {
    let load = |name, bytes: usize, kind: &str, calls, limit| Load {
        name,
        arguments: format!("{{\"bytes\":{bytes},\"kind\":\"{kind}\"}}"),
        calls,
        limit,
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
    let mut proxy = PipeClient::start(&proxied(&["--no-state"], echo()))?;
    measure("stdio", &mut [&mut direct, &mut relay, &mut proxy], true)
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
    let listen = free_address()?;
    let url = format!("http://{upstream}/mcp");
    let options = ["--no-state", "--listen", &listen, "--upstream", &url];
    let _proxy = Process::start(&proxied(&options, Vec::new()))?;
    wait_for(&listen)?;
    let mut direct = HttpClient::connect(&upstream, "/mcp")?;
    let mut behind_relay = HttpClient::connect(&relay_address, "/mcp")?;
    let mut proxied = HttpClient::connect(&listen, "/mcp")?;
    measure(
        "http",
        &mut [&mut direct, &mut behind_relay, &mut proxied],
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

/// Measures direct, relay and proxy, in this order.
fn measure(name: &str, clients: &mut [&mut dyn Client; 3], has_limits: bool) -> io::Result<()> {
    for client in clients.iter_mut() {
        client.shake()?;
    }
    say(&format!(
        "\n## Round trip over {name}, {ROUNDS} rounds in turns, microseconds\n\n\
         | result | calls a round | direct | relay | proxy | p99 relay | p99 proxy | proxy's rounds | added to relay | ratio | limit |\n\
         |---|---|---|---|---|---|---|---|---|---|---|"
    ))?;
    let mut raw = Map::new();
    let mut id = 1;
    for load in loads() {
        let mut samples = [Samples::default(), Samples::default(), Samples::default()];
        for round in 0..ROUNDS {
            for turn in 0..clients.len() {
                // Another order each round: what runs first may pay for what ran before.
                let route = (turn + round) % clients.len();
                let times = one_round(clients[route], &load, &mut id)?;
                samples[route].push_round(&times);
            }
        }
        let [direct, relay, proxy] = &samples;
        let (lowest, highest) = proxy.spread();
        let ratio = proxy.ratio(relay);
        let limit = load
            .limit
            .filter(|_| has_limits)
            .map_or_else(String::new, |limit| {
                let verdict = if is_on_one_core() {
                    verdict(ratio, limit)
                } else {
                    "no verdict, not on one core"
                };
                format!("≤ {limit}: {verdict}")
            });
        say(&format!(
            "| {} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} to {:.0} | {:+.0} | {:.2} | {} |",
            load.name,
            load.calls,
            direct.median(),
            relay.median(),
            proxy.median(),
            relay.p99(),
            proxy.p99(),
            lowest,
            highest,
            proxy.median() - relay.median(),
            ratio,
            limit
        ))?;
        raw.insert(
            load.name.to_owned(),
            json!({
                "direct": direct.to_json(),
                "relay": relay.to_json(),
                "proxy": proxy.to_json(),
                "ratio": ratio,
            }),
        );
    }
    write_raw(&format!("round_trip_{name}"), &raw.into())
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
