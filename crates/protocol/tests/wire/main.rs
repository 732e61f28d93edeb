//! The wire through the public interface, on the recordings and on made-up input.

mod answers;
mod common;
mod errors;
mod event_parser;
mod metrics;
mod requests;
mod sse_adversarial;
mod sse_differential;
mod streams;
mod token_counts;
