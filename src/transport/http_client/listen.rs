//! The GET listen stream of the legacy era: opened once, kept open, resumed after a break.

use super::HttpEvent;
use super::failure::{FailureKind, HttpOperation};
use super::shared::Shared;
use super::stream::{Cursor, StreamEnd};
use std::sync::Arc;

pub(super) fn start(shared: &Arc<Shared>) {
    shared.start_listen(run(Arc::clone(shared)));
}

async fn run(shared: Arc<Shared>) {
    let mut cursor = Cursor::new(false);
    let (mut failures, mut was_open) = (0, false);
    loop {
        let opened = Box::pin(shared.open_stream(HttpOperation::Listen, &cursor)).await;
        match opened {
            Ok(body) => {
                let again = std::mem::replace(&mut was_open, true);
                shared.emit(HttpEvent::StreamOpened { again }).await;
                let end = shared
                    .pump(HttpOperation::Listen, None, body, &mut cursor)
                    .await;
                if let StreamEnd::Broken(failure) = end {
                    // Resuming would bring the same event again.
                    if failure.kind == FailureKind::TooLarge {
                        return shared
                            .emit(HttpEvent::StreamUnavailable { failure, was_open })
                            .await;
                    }
                    tracing::debug!(%failure, "the listen stream broke");
                }
                shared.emit(HttpEvent::StreamEnded { key: None }).await;
                failures = if cursor.has_progressed() {
                    0
                } else {
                    failures + 1
                };
            }
            Err((failure, true)) => {
                return shared
                    .emit(HttpEvent::StreamUnavailable { failure, was_open })
                    .await;
            }
            Err((failure, false)) => {
                tracing::debug!(%failure, "the listen stream could not be opened");
                failures += 1;
            }
        }
        let place = shared.reopening.enter();
        tokio::time::sleep(cursor.delay(&shared.limits, failures) + place.pause()).await;
    }
}
