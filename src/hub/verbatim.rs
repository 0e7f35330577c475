//! Handshakes that pass as they came: the client's own request where nothing may be changed, and the server's own
//! answer where nothing was. What was changed, made here or remembered is written anew.

use bytes::Bytes;

use crate::jsonrpc::Limits;
use crate::jsonrpc::id::RequestId;
use crate::jsonrpc::message::Message;
use crate::jsonrpc::scan::EnvelopeKey;
use crate::jsonrpc::write::{self, Edit, Outgoing, splice};
use crate::upstream::{Handshake, UpstreamId};

use super::Hub;

impl Hub {
    /// The request with which a waiting client opened, under `id`, for a server of its own; none where this hop
    /// announces itself in it, or it is another request than the server is to get.
    pub(super) fn handshake_as_sent(
        &self,
        upstream: UpstreamId,
        method_name: &str,
        id: &RequestId,
    ) -> Option<Outgoing> {
        if !self.settings.is_transparent {
            return None;
        }
        let waiting = self.initialize_exchange(self.upstreams.get(&upstream)?.set)?;
        let request = &self.exchanges.get(&waiting)?.request;
        (request.method() == method_name).then(|| under(request, id))?
    }
}

/// The answer to a handshake under the client's id: as its server wrote it, where `result` is still what it said.
pub(super) fn answer(known: &Handshake, result: Bytes, id: &RequestId) -> Outgoing {
    let as_it_came = || {
        let whole = known.message.as_ref().filter(|_| known.result == result)?;
        let message = Message::parse_single(whole.clone(), Limits::default()).ok()?;
        under(&message, id)
    };
    as_it_came().unwrap_or_else(|| write::response(id, result.into()))
}

/// A message whose bytes are its sender's, but for the id where that is another one.
fn under(message: &Message, id: &RequestId) -> Option<Outgoing> {
    let range = message.span(EnvelopeKey::Id)?;
    if message.raw()[range.clone()] == id.raw()[..] {
        return Some(message.raw().clone().into());
    }
    let with = id.raw().clone();
    Some(splice(message.raw(), vec![Edit { range, with }]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::version::Era;

    #[test]
    fn an_answer_keeps_its_bytes_unless_its_result_changed() {
        let whole = Bytes::from_static(
            br#"{"result": {"protocolVersion":"2025-11-25"},"id":7, "jsonrpc":"2.0","x":1.0}"#,
        );
        let known = Handshake {
            era: Era::Legacy,
            version: "2025-11-25".to_owned(),
            result: whole.slice(11..43),
            capabilities: Bytes::from_static(b"{}"),
            message: Some(whole.clone()),
        };
        let same = |id: &RequestId| answer(&known, known.result.clone(), id).to_bytes();
        assert_eq!(same(&RequestId::from_integer(7)), whole);
        assert_eq!(
            same(&RequestId::from_text("a")),
            br#"{"result": {"protocolVersion":"2025-11-25"},"id":"a", "jsonrpc":"2.0","x":1.0}"#[..]
        );
        let other = answer(
            &known,
            Bytes::from_static(b"{}"),
            &RequestId::from_integer(7),
        );
        assert_eq!(
            other.to_bytes(),
            br#"{"jsonrpc":"2.0","id":7,"result":{}}"#[..]
        );
        let remembered = Handshake {
            message: None,
            ..known.clone()
        };
        let anew = answer(
            &remembered,
            known.result.clone(),
            &RequestId::from_integer(7),
        );
        assert!(anew.to_bytes().starts_with(b"{\"jsonrpc\""));
    }
}
