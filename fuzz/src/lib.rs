//! What fuzzing looks for. Each module has a `run` over plain bytes, which the targets give to libFuzzer
//! and the tests of the main crate to the committed corpus and to random inputs. `check` takes the part
//! under test as an argument, so that a test can show that a broken one is caught.

mod counter;

pub mod config;
pub mod definitions;
pub mod frame;
mod http_clients;
pub mod http_operations;
pub mod jq;
pub mod judge;
pub mod jwt;
pub mod kube;
pub mod notation;
pub mod operations;
pub mod pointer;
pub mod query;
pub mod record;
pub mod recording;
pub mod shape;
pub mod splice;
pub mod sse;
pub mod state;
pub mod texts;
mod words;
mod world;
