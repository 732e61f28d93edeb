//! Azure's LLM inference traces: arrival times and lengths of one service, CSV.
//!
//! `TIMESTAMP,ContextTokens,GeneratedTokens`, the 2023 release (Splitwise, ISCA 2024) with seven decimals and
//! no zone, the 2024 one with six and `+00:00`. See `Azure/AzurePublicDataset` on GitHub.

use super::generic::{Columns, TimeUnit};
use super::rows::{Layout, Shape};

pub(crate) fn layout() -> Layout {
    Layout {
        shape: Shape::Csv,
        columns: Columns {
            time: "TIMESTAMP".into(),
            time_unit: TimeUnit::Datetime,
            prompt_tokens: Some("ContextTokens".into()),
            output_tokens: Some("GeneratedTokens".into()),
            session: None,
            hash_ids: None,
        },
        session_optional: false,
    }
}

#[cfg(test)]
mod tests {
    use crate::trace::{TraceFormat, TraceReplay, TraceRequest, TraceSpec};

    fn replay(text: &'static str) -> TraceReplay {
        TraceSpec::new(TraceFormat::Azure).replay(text.as_bytes(), "azure.csv").expect("a replay")
    }

    #[test]
    fn both_releases_are_read() {
        let of_2023 = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04.0319600,3180,8";
        let of_2024 = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,4808,10\n2024-05-10 00:00:00.061930+00:00,3180,8\n";
        for text in [of_2023, of_2024] {
            let all: Vec<TraceRequest> = replay(text).collect::<Result<_, _>>().expect("right");
            let got: Vec<_> =
                all.iter().map(|r| (r.at.as_nanos(), r.prompt_tokens, r.output_tokens)).collect();
            assert_eq!(got, [(0, Some(4808), Some(10)), (52_000_000, Some(3180), Some(8))]);
        }
    }

    #[test]
    fn other_files_are_refused() {
        for (text, says) in [
            (
                "Timestamp,Model,Request tokens\n5,GPT-4,3\n",
                "azure.csv:1:1: the header has no TIMESTAMP; it has Timestamp, Model, Request tokens",
            ),
            ("2023-11-16 18:17:03.9799600,4808,10\n", "azure.csv:1:1: the header has no TIMESTAMP"),
            (
                "TIMESTAMP,ContextTokens,GeneratedTokens\n18:17:03,4808,10\n",
                "azure.csv:2:1: TIMESTAMP is \"18:17:03\": not a date and time",
            ),
            (
                "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,4808,\n",
                "azure.csv:2:26: GeneratedTokens is missing",
            ),
        ] {
            let error = replay(text).last().expect("an item").expect_err(text).to_string();
            assert!(error.starts_with(says), "{text}: {error}");
        }
    }
}
