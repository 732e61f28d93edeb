//! Mooncake's traces: times, lengths and the blocks that prompts share, JSON Lines.
//!
//! `{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, ..]}`: milliseconds, and one
//! hash id a block of 512 input tokens, equal from the start on where prompts share a head. See
//! `kvcache-ai/Mooncake` on GitHub (FAST '25).

use super::generic::{Columns, TimeUnit};
use super::rows::{Layout, Shape};

/// Tokens of a block where the scenario does not say otherwise.
pub(crate) const BLOCK_TOKENS: u32 = 512;

pub(crate) fn layout() -> Layout {
    Layout {
        shape: Shape::Jsonl,
        columns: Columns {
            time: "timestamp".into(),
            time_unit: TimeUnit::Ms,
            prompt_tokens: Some("input_length".into()),
            output_tokens: Some("output_length".into()),
            session: None,
            hash_ids: Some("hash_ids".into()),
        },
        session_optional: false,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use crate::trace::{OverLimit, TraceFormat, TraceReplay, TraceRequest, TraceSpec};

    const TEXT: &str = "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0, 1]}\n\
        {\"timestamp\": 27, \"input_length\": 1024, \"output_length\": 6, \"hash_ids\": [0, 2]}\n";

    fn replay(spec: TraceSpec, text: &'static str) -> TraceReplay {
        spec.replay(text.as_bytes(), "m.jsonl").expect("a replay")
    }

    fn mooncake() -> TraceSpec {
        TraceSpec::new(TraceFormat::Mooncake)
    }

    #[test]
    fn blocks_are_kept() {
        let all: Vec<TraceRequest> =
            replay(mooncake(), TEXT).collect::<Result<_, _>>().expect("right");
        assert_eq!(all[1].at.as_millis(), 27);
        assert_eq!((all[0].prompt_tokens, all[0].output_tokens), (Some(600), Some(5)));
        assert_eq!(all[0].hash_ids.as_deref(), Some(&[0, 1][..]));
        assert_eq!(all[1].hash_ids.as_deref(), Some(&[0, 2][..]));
    }

    #[test]
    fn a_clipped_prompt_keeps_the_blocks_it_still_has() {
        let spec = TraceSpec {
            max_prompt_tokens: NonZeroU32::new(512),
            over_limit: OverLimit::Clip,
            ..mooncake()
        };
        let all: Vec<TraceRequest> = replay(spec, TEXT).collect::<Result<_, _>>().expect("right");
        assert_eq!((all[1].prompt_tokens, all[1].hash_ids.as_deref()), (Some(512), Some(&[0][..])));
    }

    #[test]
    fn blocks_must_fit_the_length() {
        for (text, says) in [
            (
                "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0]}",
                "m.jsonl:1:71: hash_ids has 1 number; 600 tokens in blocks of 512 make 2",
            ),
            (
                "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5}",
                "m.jsonl:1:1: hash_ids is missing; a trace without",
            ),
            (
                "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0, -1]}",
                "m.jsonl:1:71: hash_ids is not a list of whole numbers",
            ),
        ] {
            let error =
                replay(mooncake(), text).last().expect("an item").expect_err(text).to_string();
            assert!(error.starts_with(says), "{error}");
        }
        let spec = TraceSpec { block_tokens: NonZeroU32::new(600), ..mooncake() };
        let text =
            "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0]}";
        assert!(replay(spec, text).all(|request| request.is_ok()));
    }
}
