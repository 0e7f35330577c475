//! Connections on which nothing is asked for a moment, and what comes just then.

use http::StatusCode;

use super::super::connection::{Answering, ConnectionFlags};
use super::super::rest::{Quiet, REST_AFTER};
use super::*;
use std::sync::Arc;

/// A connection rests by then.
const RESTED: Duration = REST_AFTER.saturating_mul(3);

#[tokio::test]
async fn a_connection_rests_once_all_is_answered_and_not_before() {
    let flags = Arc::new(ConnectionFlags::default());
    let rests = async |for_long: Duration| {
        let mut quiet = Quiet::new(&flags);
        tokio::time::timeout(for_long, quiet.begins()).await.is_ok()
    };
    assert!(!rests(RESTED).await, "nothing was asked yet");
    let answering = Answering::begin(&flags);
    assert!(!rests(RESTED).await, "it is being answered");
    drop(answering);
    assert!(rests(PATIENCE).await);
}

#[tokio::test]
async fn a_request_in_pieces_wakes_a_resting_connection() {
    let mut server = Running::start().await;
    let mut client = server.connect().await;
    let request = post("");
    for cut in [1, 31, 32, 33, request.len() - 1] {
        asked(&mut client, &mut server).await;
        tokio::time::sleep(RESTED).await;
        let (begin, end) = request.split_at(cut);
        client.send(begin).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.send(end).await;
        answered(&mut client, &mut server).await;
    }
}

#[tokio::test]
async fn what_came_of_the_next_request_before_the_rest_is_not_lost() {
    let mut server = Running::start().await;
    let mut client = server.connect().await;
    let request = post("");
    let (begin, end) = request.split_at(40);
    client.send(format!("{request}{begin}")).await;
    answered(&mut client, &mut server).await;
    tokio::time::sleep(RESTED).await;
    client.send(end).await;
    answered(&mut client, &mut server).await;
}

#[tokio::test]
async fn an_answer_that_the_client_does_not_read_yet_keeps_its_connection_awake() {
    let mut server = Running::start().await;
    let mut client = server.connect().await;
    client.send(post("")).await;
    let (.., reply) = server.post().await;
    let large = Bytes::from(vec![b'x'; 24 << 20]);
    reply
        .start_json(StatusCode::OK, Vec::new(), vec![large])
        .expect("open");
    tokio::time::sleep(RESTED).await;
    assert_eq!(client.response().await.body.len(), 24 << 20);
    asked(&mut client, &mut server).await;
}

#[tokio::test]
async fn requests_in_the_moment_of_the_rest_are_answered_once() {
    let mut server = Running::start().await;
    let mut clients = Vec::new();
    for number in 0..40_u64 {
        let mut client = server.connect().await;
        let asking = async move {
            for round in 0..4 {
                client.send(post("")).await;
                assert_eq!(client.response().await.body, ANSWER);
                // Around the moments at which it is looked.
                let off = Duration::from_millis((number * 7 + round * 3) % 40);
                let looks = 1 + u32::from(number % 2 == 0);
                let wait = REST_AFTER * looks + off;
                tokio::time::sleep(wait.saturating_sub(Duration::from_millis(20))).await;
            }
        };
        clients.push(tokio::spawn(asking));
    }
    for _ in 0..160 {
        let (.., reply) = server.post().await;
        reply
            .start_json(StatusCode::OK, Vec::new(), segments(ANSWER))
            .expect("open");
    }
    for client in clients {
        patiently(client).await.expect("all answered");
    }
    assert!(server.events.is_empty(), "each request came once");
}

#[tokio::test]
async fn a_resting_connection_ends_with_the_server() {
    let mut server = Running::start().await;
    let mut client = server.connect().await;
    asked(&mut client, &mut server).await;
    tokio::time::sleep(RESTED).await;
    server.drain.cancel();
    assert!(client.rest().await.is_empty());
    patiently(server.serving).await.expect("it ends");
}

#[tokio::test]
async fn a_listen_stream_can_begin_on_a_connection_that_rested() {
    let mut server = Running::start().await;
    let mut client = server.connect().await;
    asked(&mut client, &mut server).await;
    tokio::time::sleep(RESTED).await;
    client
        .send("GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    let HttpServerEvent::Get { reply, .. } = server.event().await else {
        panic!("expected a GET");
    };
    reply.event(&segments(ANSWER), None).expect("open");
    assert_eq!(client.head().await.status, 200);
    assert!(client.chunk().await.contains("jsonrpc"));
}
