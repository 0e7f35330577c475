//! How "come back later" is said: to a model as the result of its call, which it reads; to programs as an
//! error and an HTTP status with `Retry-After` (RFC 9110 section 10.2.3).

use std::time::{Duration, Instant};

use crate::hub::Hub;
use crate::hub::action::Action;
use crate::hub::exchange::ExchangeId;
use crate::hub::rescue::Trouble;
use crate::jsonrpc::text;
use crate::jsonrpc::write;
use crate::jsonrpc::{error::ErrorObject, id::RequestId};
use crate::mcp::meta;
use crate::mcp::method;
use crate::mcp::version::Era;
use crate::session::StreamId;

impl Hub {
    /// Refuses a request that no exchange was made for. `tool_era` is the era of a tool call's client.
    pub(in crate::hub) fn refuse_busy(
        &mut self,
        stream: StreamId,
        batch: Option<u64>,
        id: &RequestId,
        tool_era: Option<Era>,
        trouble: &Trouble,
    ) {
        self.counters.busy += 1;
        let error = trouble.error("");
        let Some((status, wait)) = trouble.later() else {
            let answer = write::error_response(Some(id), &error);
            return self.send_answer(stream, batch, answer, 503);
        };
        if let Some(era) = tool_era.filter(|_| !self.settings.is_transparent) {
            let answer = write::response(id, tool_result(&error, era).into());
            return self.send_answer(stream, batch, answer, 200);
        }
        if batch.is_none() {
            self.retry_after(stream, wait);
        }
        let answer = write::error_response(Some(id), &error);
        self.send_answer(stream, batch, answer, status);
    }

    /// Answers an exchange that nobody was given.
    pub(in crate::hub) fn answer_busy(&mut self, now: Instant, id: ExchangeId, trouble: &Trouble) {
        let Some((status, wait)) = trouble.later() else {
            return;
        };
        self.counters.busy += 1;
        let server = self
            .exchanges
            .get(&id)
            .and_then(|exchange| exchange.upstream)
            .map(|upstream| self.server_name(upstream))
            .unwrap_or_default();
        let error = trouble.error(&server);
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        exchange.measure.fails_with(error.code);
        let is_call = exchange.request.method() == method::TOOLS_CALL;
        if is_call && !self.settings.is_transparent {
            let answer = write::response(
                &exchange.request_id,
                tool_result(&error, exchange.era).into(),
            );
            return self.answer(now, id, answer, 200);
        }
        let is_handshake = exchange.request.method() == method::INITIALIZE;
        if exchange.batch.is_none() && !is_handshake {
            let stream = exchange.stream;
            let answer = write::error_response(Some(&exchange.request_id), &error);
            self.retry_after(stream, wait);
            return self.answer(now, id, answer, status);
        }
        self.fail(now, id, &error);
    }

    /// The same for a stream that belongs to no session yet, where only time can tell.
    pub(in crate::hub) fn retry_later(&mut self, stream: StreamId) {
        self.actions.push_back(Action::Header {
            stream,
            name: "retry-after",
            value: "5".to_owned(),
        });
    }

    /// Says in the head of an HTTP response when to come back.
    pub(in crate::hub) fn retry_after(&mut self, stream: StreamId, wait: Duration) {
        if self.streams.contains_key(&stream) {
            self.actions.push_back(Action::Header {
                stream,
                name: "retry-after",
                value: seconds(wait).to_string(),
            });
        }
    }
}

/// Whole seconds, rounded up: who comes back then is let in.
pub(in crate::hub) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The error as the result of a tool call, with its data in `_meta` for programs.
fn tool_result(error: &ErrorObject, era: Era) -> Vec<u8> {
    let mut body = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
    body.extend_from_slice(text::to_string(&error.message).as_bytes());
    body.extend_from_slice(b"}],\"isError\":true");
    if let Some(data) = &error.data {
        body.extend_from_slice(b",\"_meta\":{");
        text::push_string(&mut body, meta::ERROR);
        body.push(b':');
        body.extend_from_slice(data.as_bytes());
        body.push(b'}');
    }
    if era == Era::Modern {
        body.extend_from_slice(b",\"resultType\":\"complete\"");
    }
    body.push(b'}');
    body
}
