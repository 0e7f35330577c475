//! Clients that do not read.

use http::StatusCode;

use super::*;

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed_and_frees_what_waited() {
    let mut server = Running::with(|config| {
        config.limits.stall_timeout = Duration::from_millis(200);
    })
    .await;
    let mut deaf = server.connect().await;
    deaf.send(post("")).await;
    let (stream, .., reply) = server.post().await;
    // More than the buffers of both sides hold.
    let large = Bytes::from(vec![b'x'; 64 << 20]);
    reply
        .last_event(&[large], None)
        .expect("the last one always fits");
    let freed = async {
        while !reply.is_gone() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    patiently(freed).await;
    assert_eq!(reply.queued_bytes(), 0, "{stream:?}");
    let rest = deaf.rest().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it does not look complete");
}

#[tokio::test]
async fn a_client_that_reads_slowly_but_reads_is_served_to_the_end() {
    let mut server = Running::with(|config| {
        config.limits.stall_timeout = Duration::from_secs(20);
    })
    .await;
    let mut slow = server.connect().await;
    slow.send(post("")).await;
    let (.., reply) = server.post().await;
    let large = Bytes::from(vec![b'x'; 24 << 20]);
    reply.last_event(&[large], None).expect("it fits");
    let reading = async {
        let mut total = 0;
        let mut block = vec![0; 4 << 20];
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let size = slow
                .stream
                .read(&mut block)
                .await
                .expect("it is not closed");
            total += size;
            if block[..size].ends_with(b"0\r\n\r\n") || size == 0 {
                return total;
            }
        }
    };
    assert!(patiently(reading).await > 24 << 20);
}

#[tokio::test]
async fn where_too_much_waits_for_all_new_requests_are_told_to_come_back() {
    let mut server = Running::with(|config| {
        config.limits.max_queued_total = 1 << 20;
    })
    .await;
    let mut deaf = server.connect().await;
    deaf.send(post("")).await;
    let (.., held) = server.post().await;
    let mut other = server.connect().await;
    other.send(post("")).await;
    let (.., small) = server.post().await;
    small
        .event(&segments("{}"), None)
        .expect("there is room yet");
    let large = Bytes::from(vec![b'x'; 64 << 20]);
    held.event(&[large], None).expect("one always fits");
    // Who is behind gets nothing more; who reads is served.
    assert!(matches!(
        held.event(&segments("{}"), None),
        Err(ReplyError::Full { .. })
    ));
    small.event(&segments("{}"), None).expect("it reads");
    let refused = server.refusal(post("")).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(
        held.queued_bytes() > 32 << 20,
        "it waits here, and is counted"
    );
    // Room again once it is gone.
    held.abort();
    let mut client = server.connect().await;
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    reply
        .start_json(StatusCode::OK, Vec::new(), segments(ANSWER))
        .expect("room");
    assert_eq!(client.response().await.status, 200);
}
