//! A hop that runs: started, shaken hands with, and called, over pipes or HTTP, as many calls at once as wanted.

use std::collections::HashMap;
use std::io;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::hop::{Hop, Place, role};
use super::http::{Connection, free_address};
use super::message::{self, Form};
use super::peers::Peers;
use super::pipe::Pipe;
use super::proc;
use super::process::{Home, Process};

/// How long a hop may take until it shakes hands.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Lists longer than this are not read on.
const MOST_PAGES: usize = 100;

/// Ids of requests; each is used once.
static NEXT: AtomicU64 = AtomicU64::new(1);

fn next_id() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What is asked of a server behind a hop.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) peers: &'a Peers,
    pub(crate) home: &'a Home,
    /// Options of the server.
    pub(crate) server: &'a [&'a str],
    /// Whether the hop is spoken to over HTTP.
    pub(crate) is_http: bool,
    /// How long an answer may take.
    pub(crate) limit: Duration,
}

enum Face {
    Pipe(Box<Pipe>),
    Http(Http),
}

struct Http {
    hop: Process,
    connection: Connection,
    address: String,
}

/// A hop that runs.
pub(crate) struct Running {
    face: Face,
    /// The server over HTTP that it reaches, if it does.
    _upstream: Option<Process>,
    form: Form,
    limit: Duration,
    /// When the hop was started.
    began: Instant,
}

/// What some calls showed.
pub(crate) struct Calls {
    /// Of each call, in microseconds.
    pub(crate) times: Vec<f64>,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Of the last answer.
    pub(crate) answer_bytes: usize,
    /// Processor time of the hop meanwhile, in nanoseconds.
    pub(crate) cpu: u64,
}

/// How calls are made.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) in_flight: usize,
    /// No call begins later.
    pub(crate) time: Duration,
    /// So many are made whatever they take.
    pub(crate) at_least: usize,
}

impl Running {
    /// Starts a hop and waits until it has shaken hands.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(hop: &Hop, setting: &Setting<'_>) -> io::Result<Self> {
        let home = setting.home.fresh(hop.id)?;
        Self::start_in(hop, setting, &home)
    }

    /// Starts a hop in a home that it may know from before.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start_in(hop: &Hop, setting: &Setting<'_>, home: &Home) -> io::Result<Self> {
        let reaches = setting.is_http || hop.id == "mcp-proxy";
        let (mut upstream, mut address) = (None, String::new());
        if reaches && hop.id != "direct" {
            address = free_address()?;
            let options = [setting.server, &["--http", &address]].concat();
            let below = home.fresh("upstream")?;
            upstream = Some(Process::start(&role("echo", &options), &below)?);
            wait_for(&address, upstream.as_mut())?;
        }
        let listen = if setting.is_http {
            free_address()?
        } else {
            String::new()
        };
        let place = Place {
            peers: setting.peers,
            home,
            server: role("echo", setting.server),
            upstream: &address,
            listen: &listen,
        };
        let words = hop.words(&place)?;
        let began = Instant::now();
        let face = if setting.is_http {
            let mut process = Process::start(&words, home)?;
            wait_for(&listen, Some(&mut process))?;
            let connection = shaken(&listen, setting.limit, &mut process)?;
            Face::Http(Http {
                hop: process,
                connection,
                address: listen,
            })
        } else {
            let mut pipe = Pipe::start(&words, home, setting.limit.max(START_LIMIT))?;
            pipe.shake()?;
            Face::Pipe(Box::new(pipe))
        };
        Ok(Self {
            face,
            _upstream: upstream,
            form: Form::Plain("echo".to_owned()),
            limit: setting.limit,
            began,
        })
    }

    /// How long ago the hop was started.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Calls a tool of this name and returns its result.
    ///
    /// # Errors
    /// When there is none, or one that says it is an error.
    pub(crate) fn call_named(&mut self, tool: &str, arguments: &Value) -> io::Result<Value> {
        let params = serde_json::json!({"name": tool, "arguments": arguments});
        let call = serde_json::json!({"jsonrpc": "2.0", "id": next_id(), "method": "tools/call", "params": params});
        let result = message::result(self.ask(call.to_string().as_bytes())?)?;
        if result["isError"] == true {
            return Err(io::Error::other(format!("an error: {result:.200}")));
        }
        Ok(result)
    }

    /// Asks for the whole list.
    ///
    /// # Errors
    /// When none comes.
    pub(crate) fn list(&mut self) -> io::Result<Value> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let request = message::list(next_id(), cursor.as_deref());
            let mut page = message::result(self.ask(request.as_bytes())?)?;
            match page["tools"].take() {
                Value::Array(tools) => all.extend(tools),
                _ => return Err(io::Error::other("a list without tools")),
            }
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(serde_json::json!({ "tools": all }))
    }

    /// Asks for the list, and learns from it how the tool is called.
    ///
    /// # Errors
    /// When the tool is not in it.
    pub(crate) fn learn(&mut self) -> io::Result<()> {
        let list = self.list()?;
        self.form = Form::of_list(&list)
            .ok_or_else(|| io::Error::other("no way to call the tool in its list"))?;
        Ok(())
    }

    /// Calls the tool once.
    ///
    /// # Errors
    /// When no result comes.
    pub(crate) fn call(&mut self, arguments: &str) -> io::Result<&[u8]> {
        let id = next_id();
        let call = self.form.call(id, &numbered(arguments, id));
        let answer = self.ask(&call)?;
        message::check(answer)?;
        Ok(answer)
    }

    /// Calls the tool once and returns its result, also one that says it is an error.
    ///
    /// # Errors
    /// When none comes.
    pub(crate) fn call_any(&mut self, arguments: &str) -> io::Result<Value> {
        let id = next_id();
        let call = self.form.call(id, &numbered(arguments, id));
        message::result(self.ask(&call)?)
    }

    fn ask(&mut self, message: &[u8]) -> io::Result<&[u8]> {
        match &mut self.face {
            Face::Pipe(pipe) => pipe.ask(message),
            Face::Http(http) => http.connection.ask(message),
        }
    }

    /// Calls the tool at a pace.
    ///
    /// # Errors
    /// When a call has no result: then nothing of the others is of use.
    pub(crate) fn calls(&mut self, arguments: &str, pace: Pace) -> io::Result<Calls> {
        let ids = self.processes();
        let before = proc::cpu(&ids);
        let mut calls = match &mut self.face {
            Face::Pipe(pipe) => over_pipe(pipe, &self.form, arguments, pace)?,
            Face::Http(http) => over_http(http, &self.form, arguments, pace, self.limit)?,
        };
        calls.cpu = proc::cpu(&ids).saturating_sub(before);
        Ok(calls)
    }

    /// Opens a further session over HTTP, has the list and one call in it, and leaves it open.
    ///
    /// # Errors
    /// When it is not to be had.
    pub(crate) fn further_session(&self, arguments: &str) -> io::Result<Connection> {
        let Face::Http(http) = &self.face else {
            return Err(io::Error::other("sessions are of HTTP"));
        };
        let mut connection = Connection::open(&http.address, "/mcp", None, self.limit)?;
        connection.shake()?;
        message::result(connection.ask(message::list(next_id(), None).as_bytes())?)?;
        let id = next_id();
        message::check(connection.ask(&self.form.call(id, &numbered(arguments, id)))?)?;
        Ok(connection)
    }

    /// The processes of the hop, without the server's.
    pub(crate) fn processes(&self) -> Vec<u32> {
        proc::tree(match &self.face {
            Face::Pipe(pipe) => pipe.process.id(),
            Face::Http(http) => http.hop.id(),
        })
    }

    /// Gives back what the client kept.
    pub(crate) fn forget(&mut self) {
        if let Face::Pipe(pipe) = &mut self.face {
            pipe.forget();
        }
    }
}

fn wait_for(address: &str, mut process: Option<&mut Process>) -> io::Result<()> {
    let start = Instant::now();
    while start.elapsed() < START_LIMIT {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        if let Some(process) = process.as_deref_mut()
            && process.has_ended()
        {
            return Err(io::Error::other(format!(
                "it ended at once: {}",
                process.last_words()
            )));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Err(io::Error::other("it does not listen"))
}

/// Shakes hands with a server that may listen before it can answer.
fn shaken(address: &str, limit: Duration, process: &mut Process) -> io::Result<Connection> {
    let start = Instant::now();
    loop {
        let mut connection = Connection::open(address, "/mcp", None, limit)?;
        match connection.shake() {
            Ok(()) => return Ok(connection),
            Err(error) if start.elapsed() > START_LIMIT || process.has_ended() => {
                return Err(io::Error::other(format!(
                    "{error}; {}",
                    process.last_words()
                )));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Makes the arguments of each call others, so that no cache answers it.
fn numbered(arguments: &str, id: u64) -> String {
    let rest = arguments.strip_prefix('{').unwrap_or(arguments);
    format!("{{\"n\":{id},{rest}")
}

fn over_pipe(pipe: &mut Pipe, form: &Form, arguments: &str, pace: Pace) -> io::Result<Calls> {
    let mut times = Vec::new();
    let mut open: HashMap<u64, Instant> = HashMap::new();
    let start = Instant::now();
    let (mut sent, mut answer_bytes) = (0, 0);
    loop {
        while open.len() < pace.in_flight && (sent < pace.at_least || start.elapsed() < pace.time) {
            let id = next_id();
            let call = form.call(id, &numbered(arguments, id));
            open.insert(id, Instant::now());
            pipe.send(&call)?;
            sent += 1;
        }
        if open.is_empty() {
            break;
        }
        let (id, answer) = pipe.receive()?;
        let Some(began) = open.remove(&id) else {
            return Err(io::Error::other(format!("an answer to nothing, id {id}")));
        };
        times.push(began.elapsed().as_nanos() as f64 / 1000.0);
        message::check(answer)?;
        answer_bytes = answer.len();
    }
    Ok(Calls {
        times,
        took: start.elapsed(),
        answer_bytes,
        cpu: 0,
    })
}

fn over_http(
    http: &mut Http,
    form: &Form,
    arguments: &str,
    pace: Pace,
    limit: Duration,
) -> io::Result<Calls> {
    let each = pace.at_least.div_ceil(pace.in_flight);
    let one = |connection: &mut Connection, start: &Instant| -> io::Result<(Vec<f64>, usize)> {
        let (mut times, mut bytes) = (Vec::new(), 0);
        while times.len() < each || start.elapsed() < pace.time {
            let id = next_id();
            let call = form.call(id, &numbered(arguments, id));
            let began = Instant::now();
            let answer = connection.ask(&call)?;
            times.push(began.elapsed().as_nanos() as f64 / 1000.0);
            message::check(answer)?;
            bytes = answer.len();
        }
        Ok((times, bytes))
    };
    if pace.in_flight == 1 {
        let start = Instant::now();
        let (times, answer_bytes) = one(&mut http.connection, &start)?;
        return Ok(Calls {
            times,
            took: start.elapsed(),
            answer_bytes,
            cpu: 0,
        });
    }
    let mut connections = Vec::new();
    for _ in 0..pace.in_flight {
        let session = http.connection.session.clone();
        connections.push(Connection::open(&http.address, "/mcp", session, limit)?);
    }
    let barrier = Barrier::new(pace.in_flight + 1);
    let (results, took) = std::thread::scope(|scope| {
        let workers: Vec<_> = connections
            .iter_mut()
            .map(|connection| {
                scope.spawn(|| {
                    barrier.wait();
                    one(connection, &Instant::now())
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        (results, start.elapsed())
    });
    let (mut times, mut answer_bytes) = (Vec::new(), 0);
    for result in results {
        let (some, bytes) = result.map_err(|_| io::Error::other("a client panicked"))??;
        times.extend(some);
        answer_bytes = bytes;
    }
    Ok(Calls {
        times,
        took,
        answer_bytes,
        cpu: 0,
    })
}
