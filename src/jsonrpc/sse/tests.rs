//! What the codec promises, and a broken decoder that the properties catch.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;

const LIMIT: usize = 1 << 20;

/// Feeds `bytes` cut at `cuts` and collects (name, data, last id after it) of every event.
fn decode(bytes: &[u8], cuts: &[usize]) -> Vec<(Option<String>, Bytes, Option<String>)> {
    let mut decoder = SseDecoder::new(LIMIT);
    let mut events = Vec::new();
    for chunk in chunks(bytes, cuts) {
        let mut rest = chunk;
        while let Some(event) = decoder.feed(&mut rest).expect("within the limit") {
            let id = decoder.last_event_id().map(str::to_owned);
            events.push((event.name, event.data, id));
        }
        assert!(rest.is_empty(), "a chunk is used up when no event is left");
    }
    events
}

fn chunks<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    at.push(0);
    at.push(bytes.len());
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn data(bytes: &[u8]) -> Vec<Bytes> {
    decode(bytes, &[])
        .into_iter()
        .map(|event| event.1)
        .collect()
}

fn joined(parts: &[Bytes]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn fields_are_read_as_the_standard_says() {
    let stream = b"\xEF\xBB\xBFevent: ping\ndata: {\"a\":1}\nid: 7\nretry: 1500\n\n\
        : a comment\n\ndata:no space\ndata:  two spaces\ndata\n\ndata: last";
    let events = decode(stream, &[]);
    assert_eq!(
        events,
        vec![
            (
                Some("ping".into()),
                Bytes::from_static(b"{\"a\":1}"),
                Some("7".into())
            ),
            (
                None,
                Bytes::from_static(b"no space\n two spaces\n"),
                Some("7".into())
            ),
        ],
        "the unfinished last event is not dispatched"
    );
    let mut decoder = SseDecoder::new(LIMIT);
    decoder.feed(&mut &stream[..]).expect("fits");
    assert_eq!(decoder.retry(), Some(Duration::from_millis(1500)));
}

#[test]
fn every_kind_of_line_end_ends_a_line() {
    for stream in [
        "data: a\ndata: b\n\n",
        "data: a\r\ndata: b\r\n\r\n",
        "data: a\rdata: b\r\r",
    ] {
        assert_eq!(
            data(stream.as_bytes()),
            vec![Bytes::from_static(b"a\nb")],
            "{stream:?}"
        );
    }
}

#[test]
fn a_priming_event_has_empty_data_and_an_id_alone_is_no_event() {
    assert_eq!(data(b"id: 1\ndata:\n\n"), vec![Bytes::new()]);
    let mut decoder = SseDecoder::new(LIMIT);
    assert_eq!(decoder.feed(&mut &b"id: 9\n\n"[..]), Ok(None));
    assert_eq!(decoder.last_event_id(), Some("9"));
}

#[test]
fn an_id_counts_only_once_its_event_is_whole() {
    let mut decoder = SseDecoder::new(LIMIT);
    decoder.feed(&mut &b"id: 1\ndata: x\n\n"[..]).expect("fits");
    decoder.feed(&mut &b"id: 2\ndata: y\n"[..]).expect("fits");
    assert_eq!(decoder.last_event_id(), Some("1"));
}

#[test]
fn bad_ids_and_retries_are_ignored() {
    let mut decoder = SseDecoder::new(LIMIT);
    let stream = b"id: a\0b\nretry: -1\nretry: 99999999999999999999999\nretry:\ndata: x\n\n";
    decoder.feed(&mut &stream[..]).expect("fits");
    assert_eq!((decoder.last_event_id(), decoder.retry()), (None, None));
}

#[test]
fn a_partial_byte_order_mark_is_ordinary_text() {
    assert_eq!(
        data(b"\xEF\xBBdata: lost\ndata: kept\n\n"),
        vec![Bytes::from_static(b"kept")]
    );
}

#[test]
fn an_event_over_the_limit_is_refused_with_its_size() {
    let mut decoder = SseDecoder::new(64);
    let line = [b"data: ".as_slice(), &[b'x'; 100]].concat();
    let refused = Err(SseError::TooLarge {
        size: 106,
        limit: 64,
    });
    assert_eq!(decoder.feed(&mut &line[..]), refused);
    assert_eq!(
        decoder.feed(&mut &b"data: y\n\n"[..]),
        refused,
        "and stays refused"
    );
    // Many small lines of one event count together.
    let mut decoder = SseDecoder::new(64);
    let mut outcome = Ok(None);
    for _ in 0..100 {
        outcome = decoder.feed(&mut &b"data: 0123456789\n"[..]);
    }
    assert!(matches!(outcome, Err(SseError::TooLarge { limit: 64, .. })));
}

#[test]
fn an_endless_comment_takes_no_memory() {
    let mut decoder = SseDecoder::new(64);
    decoder.feed(&mut &b":"[..]).expect("a comment");
    for _ in 0..1000 {
        assert_eq!(decoder.feed(&mut &[b'x'; 1000][..]), Ok(None));
        assert_eq!(decoder.buffered(), 0);
    }
    assert_eq!(
        decoder
            .feed(&mut &b"\ndata: y\n\n"[..])
            .expect("fits")
            .map(|event| event.data),
        Some(Bytes::from_static(b"y"))
    );
}

#[test]
fn the_encoder_copies_no_message_and_guards_the_id() {
    let message = Bytes::from_static(b"{\"jsonrpc\":\"2.0\"}");
    let parts = encode_event(std::slice::from_ref(&message), None);
    assert_eq!(parts[1].as_ptr(), message.as_ptr());
    assert_eq!(
        joined(&parts),
        b"event: message\ndata: {\"jsonrpc\":\"2.0\"}\n\n"
    );
    let parts = encode_event(&[message], Some("1\ndata: forged"));
    assert!(joined(&parts).starts_with(b"id: 1data: forged\nevent: message\n"));
    assert_eq!(encode_comment("a\nb"), Bytes::from_static(b": a b\n\n"));
    assert!(data(&KEEP_ALIVE_COMMENT).is_empty());
}

/// LF for every line end, which is what an event stream keeps of them.
fn line_feeds(bytes: &[u8]) -> Vec<u8> {
    let text = bytes.to_vec();
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\r' => {
                out.push(b'\n');
                at += usize::from(text.get(at + 1) == Some(&b'\n'));
            }
            other => out.push(other),
        }
        at += 1;
    }
    out
}

type Message = (Vec<Vec<u8>>, Option<String>);

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let byte = prop_oneof![
        Just(b'\n'),
        Just(b'\r'),
        Just(b':'),
        Just(b' '),
        any::<u8>()
    ];
    let segment = prop::collection::vec(byte, 0..12);
    let segments = prop::collection::vec(segment, 0..4);
    prop::collection::vec((segments, prop::option::of("[a-z0-9]{1,6}")), 1..6)
}

/// Whether decoding gives back what was encoded, with `end_chunk` called between the chunks.
fn round_trips(messages: &[Message], cuts: &[usize], forget_between_chunks: bool) -> bool {
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for (segments, id) in messages {
        let segments: Vec<Bytes> = segments.iter().cloned().map(Bytes::from).collect();
        stream.extend(joined(&encode_event(&segments, id.as_deref())));
        expected.push(line_feeds(&joined(&segments)));
    }
    let mut decoded = Vec::new();
    let mut decoder = SseDecoder::new(LIMIT);
    for chunk in chunks(&stream, cuts) {
        if forget_between_chunks {
            decoder = SseDecoder::new(LIMIT);
        }
        let mut rest = chunk;
        while let Ok(Some(event)) = decoder.feed(&mut rest) {
            decoded.push(event.data.to_vec());
        }
    }
    let last_id = messages.iter().rev().find_map(|(_, id)| id.as_deref());
    decoded == expected && decoder.last_event_id() == last_id
}

proptest! {
    #[test]
    fn decoding_gives_back_what_was_encoded_however_it_is_cut(
        messages in messages(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        prop_assert!(round_trips(&messages, &cuts, false));
    }

    #[test]
    fn chunking_never_matters_and_nothing_panics(
        bytes in prop::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()], 0..200),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        prop_assert_eq!(decode(&bytes, &[]), decode(&bytes, &cuts));
    }
}

/// The broken variant `forget_between_chunks` loses what was collected at the end of each chunk.
#[test]
fn the_property_catches_a_decoder_that_forgets_between_chunks() {
    let messages: Vec<Message> = vec![(vec![b"{\"id\":1}".to_vec()], Some("a".into()))];
    assert!(round_trips(&messages, &[20], false));
    assert!(!round_trips(&messages, &[20], true));
}
