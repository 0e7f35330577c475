//! JSON-RPC 2.0 on the wire: framing, envelopes as spans over raw bytes, ids as raw JSON, SSE.
//! Pure. Knows nothing of MCP.
