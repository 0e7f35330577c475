//! What fuzzing looks for. Each module has a `run` over plain bytes, which the targets give to libFuzzer
//! and the tests of the main crate to the committed corpus and to random inputs. `check` takes the part
//! under test as an argument, so that a test can show that a broken one is caught.

pub mod frame;
mod http_clients;
pub mod http_operations;
pub mod operations;
pub mod splice;
pub mod sse;
mod words;
mod world;
