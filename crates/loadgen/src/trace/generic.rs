//! Traces of any origin, CSV or JSON Lines: their columns by name.

/// The columns of a generic trace.
///
/// In a scenario: `format = { csv = { time = "ts", time_unit = "ms", prompt_tokens = "in", output_tokens = "out" } }`,
/// or `jsonl` with the keys of its objects.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// When a request came; never falling.
    pub time: String,
    /// Its unit.
    pub time_unit: TimeUnit,
    /// Prompt length; not known where absent.
    pub prompt_tokens: Option<String>,
    /// Answer length; not known where absent.
    pub output_tokens: Option<String>,
    /// What is the same for the turns of one session; an empty field is a session of its own.
    pub session: Option<String>,
    /// One number a block of the prompt (`jsonl` only).
    pub hash_ids: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            time: "timestamp".into(),
            time_unit: TimeUnit::S,
            prompt_tokens: None,
            output_tokens: None,
            session: None,
            hash_ids: None,
        }
    }
}

/// The unit of a trace's times. Their zero is of no matter: the first request kept is sent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds, with any number of decimals.
    #[default]
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
    /// `2023-11-16 18:15:46.6805900`, or with `T`, `Z` or an offset.
    Datetime,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{TraceFormat, TraceSpec};

    fn columns() -> Columns {
        Columns {
            time: "ts".into(),
            time_unit: TimeUnit::Ms,
            prompt_tokens: Some("in".into()),
            output_tokens: Some("out".into()),
            session: Some("user".into()),
            hash_ids: None,
        }
    }

    fn error(format: TraceFormat, text: &'static str) -> String {
        let replay = TraceSpec::new(format).replay(text.as_bytes(), "t").expect("a replay");
        replay.last().expect("an item").expect_err(text).to_string()
    }

    #[test]
    fn both_shapes_give_the_same() {
        let csv = "other,ts,in,out,user\n\"x,y\",1000.5,10,5,ann\nz,1500,472.0,7,\n";
        let jsonl = "{\"out\": 5, \"ts\": 1000.5, \"in\": 10, \"user\": \"ann\", \"more\": {}}\n{\"ts\":\"1500\",\"in\":472,\"out\":7,\"user\":null}";
        let all = |format, text: &'static str| {
            let replay = TraceSpec::new(format).replay(text.as_bytes(), "t").expect("a replay");
            replay.collect::<Result<Vec<_>, _>>().expect("right")
        };
        let got = all(TraceFormat::Csv(columns()), csv);
        assert_eq!(got, all(TraceFormat::Jsonl(columns()), jsonl));
        assert_eq!((got[0].at.as_nanos(), got[0].session.as_deref()), (0, Some("ann")));
        assert_eq!((got[1].at.as_nanos(), got[1].prompt_tokens), (499_500_000, Some(472)));
        assert_eq!(got[1].session, None);
    }

    #[test]
    fn csv_errors_have_their_place() {
        for (text, says) in [
            ("", "trace t is empty"),
            ("ts,in,out,user\n", "trace t is empty"),
            ("\n\nts,in,out,user\r\n\r\n", "trace t is empty"),
            ("ts,in,user\n1,2,a\n", "t:1:1: the header has no out; it has ts, in, user"),
            ("1,2,3,a\n", "t:1:1: the header has no user"),
            ("ts,in,out,user,ts\n", "t:1:16: the header has ts twice"),
            ("ts,in,out,user\n1,2,3,\n,2,3,\n", "t:3:1: ts is missing"),
            ("ts,in,out,user\n1, ,3,\n", "t:2:3: in is missing"),
            ("ts,in,out,user\nnan,2,3,\n", "t:2:1: ts is NaN: not a time"),
            ("ts,in,out,user\n1,2,NaN,\n", "t:2:5: out is NaN: not a length"),
            ("ts,in,out,user\n1,-2,3,\n", "t:2:3: in is -2: a length cannot be negative"),
            ("ts,in,out,user\n-1,2,3,\n", "t:2:1: ts is -1: a time cannot be negative"),
            (
                "ts,in,out,user\n5,2,3,\n7,2,3,\n6.5,2,3,\n",
                "t:4:1: ts goes back, from 7 on line 3 to 6.5; sort the trace by it",
            ),
            ("ts,in,out,user\n1,2,3\n", "t:2:6: 3 fields where the header has 4"),
            ("ts,in,out,user\n1,2,3,4,5\n", "t:2:9: 5 fields where the header has 4"),
            ("ts,in,out,user\n1,2,3,\"a\n", "t:2:7: the quote is not closed"),
            ("ts,in,out,user\n1,0,3,\n", "t:2:3: in is 0"),
        ] {
            let error = error(TraceFormat::Csv(columns()), text);
            assert!(error.starts_with(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn jsonl_errors_have_their_place() {
        for (text, says) in [
            ("", "trace t is empty"),
            ("{\"in\": 1, \"out\": 1}", "t:1:1: ts is missing"),
            ("{\"ts\": null, \"in\": 1, \"out\": 1}", "t:1:8: ts is missing"),
            (
                "{\"ts\": 1, \"in\": -4, \"out\": 1}",
                "t:1:17: in is -4: a length cannot be negative",
            ),
            ("{\"ts\": 1, \"in\": 4, \"out\": 1.5}", "t:1:27: out is 1.5: not a whole number"),
            ("{\"ts\": 1, \"in\": [4], \"out\": 1}", "t:1:17: in is neither a number nor a string"),
            (
                "{\"ts\": 2, \"in\": 4, \"out\": 1}\n{\"ts\": 1, \"in\": 4, \"out\": 1}",
                "t:2:8: ts goes back",
            ),
            (
                "{\"ts\": 1, \"in\": 4, \"out\": 1}\n{\"ts\": 2, \"in\"",
                "t:2:14: not a JSON object: EOF",
            ),
        ] {
            let error = error(TraceFormat::Jsonl(columns()), text);
            assert!(error.starts_with(says), "{text:?}: {error}");
        }
        let nan = error(TraceFormat::Jsonl(columns()), "{\"ts\": NaN}");
        assert!(nan.ends_with("NaN is not a number"), "{nan}");
    }

    #[test]
    fn hash_ids_are_for_jsonl() {
        let columns = Columns { hash_ids: Some("h".into()), ..Columns::default() };
        let csv = TraceSpec::new(TraceFormat::Csv(columns)).replay(&b"timestamp,h\n1,2\n"[..], "t");
        assert!(csv.expect_err("refused").to_string().contains("jsonl"));
    }
}
