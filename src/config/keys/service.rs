//! Settings of a service for many clients.

use super::*;
use crate::config::MemoryWatch;

pub(super) static KEYS: &[Key] = &[
    count!("limits.max_in_flight", limits.service.in_flight, 1..=MOST),
    count!(
        "limits.max_in_flight_per_principal",
        limits.service.in_flight_per_principal,
        1..=MOST
    ),
    count!(
        "limits.requests_per_second",
        limits.service.requests_per_second,
        0..=1_000_000
    ),
    count!(
        "limits.request_burst",
        limits.service.request_burst,
        1..=1_000_000
    ),
    count!(
        "limits.max_waiting_per_upstream",
        limits.service.waiting_per_upstream,
        1..=MOST
    ),
    size!(
        "limits.max_session_bytes",
        None,
        limits.service.session_bytes,
        1024
    ),
    Key {
        name: "limits.memory_watch",
        option: None,
        set: |draft, input| {
            let text = input.text()?;
            draft.memory_watch = match text.as_str() {
                "own" => MemoryWatch::Own,
                "off" => MemoryWatch::Off,
                path if path.starts_with('/') => MemoryWatch::Folder(input.path(path)),
                _ => {
                    return Err(Fault::new("it is not `own`, `off` or the path of a folder")
                        .hint("leave it out to watch the limit of the container"));
                }
            };
            Ok(())
        },
        show: |draft| draft.memory_watch.to_string(),
    },
    size!(
        "http.max_queued_bytes",
        None,
        http.limits.queued_bytes,
        1024
    ),
    count!("breaker.failures", limits.breaker.failures, 0..=MOST),
    time!("breaker.open", None, limits.breaker.open),
    time!("breaker.max_open", None, limits.breaker.max_open),
];
