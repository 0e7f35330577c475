//! What clients do with the definitions that they are shown: whether the official SDKs take them, and
//! which calls their schemas let through. Every rung, for clients that take open schemas and for those
//! that do not, of every captured list; of more with `MCP_WHITTLE_CORPUS`. `--nocapture` shows the numbers.

mod calls;
mod cases;
mod sdks;
