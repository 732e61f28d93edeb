//! BurstGPT's traces: months of a university's ChatGPT and GPT-4 traffic, CSV.
//!
//! `Timestamp,[Session ID,Elapsed time,]Model,Request tokens,Response tokens,Total tokens,Log Type`, times in seconds
//! since some midnight; a failed request has 0 response tokens, one by the API no session.
//! See `HPMLL/BurstGPT` on GitHub.

use super::generic::{Columns, TimeUnit};
use super::rows::{Layout, Shape};

pub(crate) fn layout() -> Layout {
    Layout {
        shape: Shape::Csv,
        columns: Columns {
            time: "Timestamp".into(),
            time_unit: TimeUnit::S,
            prompt_tokens: Some("Request tokens".into()),
            output_tokens: Some("Response tokens".into()),
            session: Some("Session ID".into()),
            hash_ids: None,
        },
        session_optional: true,
    }
}

#[cfg(test)]
mod tests {
    use crate::trace::{TraceFormat, TraceReplay, TraceRequest, TraceSpec, ZeroTokens};

    // Made up, in the published layouts.
    const V1: &str = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
        5,ChatGPT,400,20,420,Conversation log\n45,GPT-4,1000,0,1000,Conversation log\n118,GPT-4,7,9,16,API log\n";
    const V2: &str = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
        19440110.0,s-1,43,GPT-4,906,446,1352,Conversation log\n19440161.5,s-1,2,ChatGPT,36,29,65,Conversation log\n\
        19440192.0,,1,ChatGPT,30,20,50,API log\n";

    fn replay(text: &'static str, zero_tokens: Option<ZeroTokens>) -> TraceReplay {
        let spec = TraceSpec { zero_tokens, ..TraceSpec::new(TraceFormat::Burstgpt) };
        spec.replay(text.as_bytes(), "burst.csv").expect("a replay")
    }

    fn all(mut replay: TraceReplay) -> (Vec<TraceRequest>, u64) {
        let all = replay.by_ref().collect::<Result<_, _>>().expect("right");
        (all, replay.left_out().zero_tokens)
    }

    #[test]
    fn failed_requests_are_left_out_and_counted() {
        let (got, zero) = all(replay(V1, None));
        let lengths: Vec<_> =
            got.iter().map(|r| (r.at.as_secs(), r.prompt_tokens, r.output_tokens)).collect();
        assert_eq!(lengths, [(0, Some(400), Some(20)), (113, Some(7), Some(9))]);
        assert_eq!(zero, 1);
        let error = replay(V1, Some(ZeroTokens::Error)).last().expect("an item");
        let error = error.expect_err("refused").to_string();
        assert!(error.starts_with("burst.csv:3:15: Response tokens is 0"), "{error}");
    }

    #[test]
    fn sessions_are_kept() {
        let (got, zero) = all(replay(V2, None));
        let sessions: Vec<_> =
            got.iter().map(|r| (r.at.as_millis(), r.session.as_deref())).collect();
        assert_eq!(sessions, [(0, Some("s-1")), (51_500, Some("s-1")), (82_000, None)]);
        assert_eq!(zero, 0);
    }
}
