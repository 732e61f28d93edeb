//! Which trace is replayed, which part of it, and how fast.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

use super::generic::{Columns, TimeUnit};
use super::lines::Lines;
use super::replay::TraceReplay;
use super::rows::{Layout, Rows, Shape};
use super::{azure, burstgpt, mooncake};
use crate::human;
use crate::schedule_error::ScheduleError;

/// A trace to replay.
///
/// In a scenario: `trace = { file = "azure.csv", format = "azure", speed = 2.0, first = 1000 }`.
/// The part is chosen in this order: `from` and `to`, then requests without tokens and over
/// a limit are taken out (and counted), then `skip`, then `first` or `last`. The first
/// request kept is sent at the start of the stage.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSpec {
    /// The file.
    pub file: PathBuf,
    /// What it is.
    pub format: TraceFormat,
    /// How many times faster than recorded: 2 halves all gaps.
    #[serde(default = "one", deserialize_with = "speed")]
    pub speed: f64,
    /// Time of the trace, since its first request, from which on it is replayed.
    #[serde(default, deserialize_with = "human::optional")]
    pub from: Option<Duration>,
    /// Time of the trace, since its first request, before which it ends.
    #[serde(default, deserialize_with = "human::optional")]
    pub to: Option<Duration>,
    /// Requests passed over at the start.
    #[serde(default)]
    pub skip: u64,
    /// How many requests are sent at most.
    #[serde(default)]
    pub first: Option<u64>,
    /// How many of the last requests are sent (they are held in memory).
    #[serde(default)]
    pub last: Option<u64>,
    /// Longest prompt.
    #[serde(default)]
    pub max_prompt_tokens: Option<NonZeroU32>,
    /// Longest answer.
    #[serde(default)]
    pub max_output_tokens: Option<NonZeroU32>,
    /// What becomes of requests over a limit.
    #[serde(default)]
    pub over_limit: OverLimit,
    /// What becomes of requests with 0 tokens; where absent `drop` for BurstGPT and runs, whose failed
    /// requests are such, else `error`.
    #[serde(default)]
    pub zero_tokens: Option<ZeroTokens>,
    /// Tokens of a block with a hash id; 512 where absent.
    #[serde(default)]
    pub block_tokens: Option<NonZeroU32>,
}

/// What a trace file is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceFormat {
    /// Azure's LLM inference trace, CSV.
    Azure,
    /// Mooncake's trace with its prompt blocks, JSON Lines.
    Mooncake,
    /// BurstGPT's trace, CSV.
    Burstgpt,
    /// CSV with a header, columns by name.
    Csv(Columns),
    /// JSON Lines, keys by name.
    Jsonl(Columns),
    /// A run of ours, by its folder: arrivals and lengths of its measured requests. They lie in Parquet,
    /// which this crate does not read: whoever does hands them to [`replay`](TraceSpec::replay) as CSV,
    /// `at_ns,prompt_tokens,output_tokens`.
    Run,
}

/// What becomes of requests over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverLimit {
    /// They are not sent, and counted.
    #[default]
    Drop,
    /// They are cut to the limit, and counted.
    Clip,
    /// The trace is refused.
    Error,
}

/// What becomes of requests whose prompt or answer has no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroTokens {
    /// They are not sent, and counted.
    Drop,
    /// The trace is refused.
    Error,
}

impl TraceSpec {
    /// All of a trace, as fast as recorded, from a reader; give `file` for [`open`](Self::open).
    pub fn new(format: TraceFormat) -> Self {
        Self {
            file: PathBuf::new(),
            format,
            speed: 1.0,
            from: None,
            to: None,
            skip: 0,
            first: None,
            last: None,
            max_prompt_tokens: None,
            max_output_tokens: None,
            over_limit: OverLimit::Drop,
            zero_tokens: None,
            block_tokens: None,
        }
    }

    /// Replays the file.
    ///
    /// # Errors
    /// A file that cannot be opened, and settings that [`replay`](Self::replay) refuses.
    pub fn open(&self) -> Result<TraceReplay, ScheduleError> {
        let name = self.file.display().to_string();
        if self.format == TraceFormat::Run {
            let reason = "a run's rows are Parquet, and have to be read by who can".into();
            return Err(ScheduleError::Replay { name, reason });
        }
        match File::open(&self.file) {
            Ok(file) => self.replay(BufReader::with_capacity(1 << 16, file), &name),
            Err(source) => Err(ScheduleError::Read { name, source }),
        }
    }

    /// Replays what `reader` gives; `name` stands for it in errors. What is wrong in the
    /// trace itself comes when it is read.
    ///
    /// # Errors
    /// Settings that contradict each other or leave nothing.
    pub fn replay(
        &self,
        reader: impl BufRead + Send + 'static,
        name: &str,
    ) -> Result<TraceReplay, ScheduleError> {
        let problem = self.problem();
        if let Some(reason) = problem {
            return Err(ScheduleError::Replay { name: name.to_owned(), reason });
        }
        let lines = Lines::new(Box::new(reader), name.to_owned());
        Ok(TraceReplay::new(Rows::new(lines, self.layout()), self.clone()))
    }

    fn problem(&self) -> Option<String> {
        if let Some(reason) = speed_problem(self.speed) {
            return Some(reason);
        }
        if self.first.is_some() && self.last.is_some() {
            return Some("first and last cannot both be given".into());
        }
        if self.first == Some(0) || self.last == Some(0) {
            return Some("first and last must be at least 1".into());
        }
        if self.from.zip(self.to).is_some_and(|(from, to)| from >= to) {
            return Some("from must be before to".into());
        }
        if let TraceFormat::Csv(Columns { hash_ids: Some(_), .. }) = self.format {
            return Some("hash_ids are lists, which CSV has not; use jsonl".into());
        }
        None
    }

    fn layout(&self) -> Layout {
        let named = |shape, columns: &Columns| Layout {
            shape,
            columns: columns.clone(),
            session_optional: false,
        };
        match &self.format {
            TraceFormat::Azure => azure::layout(),
            TraceFormat::Mooncake => mooncake::layout(),
            TraceFormat::Burstgpt => burstgpt::layout(),
            TraceFormat::Csv(columns) => named(Shape::Csv, columns),
            TraceFormat::Jsonl(columns) => named(Shape::Jsonl, columns),
            TraceFormat::Run => named(Shape::Csv, &run_columns()),
        }
    }

    pub(crate) fn drops_zero_tokens(&self) -> bool {
        let usual = match self.format {
            // Those of a run whose answers never came.
            TraceFormat::Burstgpt | TraceFormat::Run => ZeroTokens::Drop,
            _ => ZeroTokens::Error,
        };
        self.zero_tokens.unwrap_or(usual) == ZeroTokens::Drop
    }

    pub(crate) fn tokens_per_block(&self) -> u32 {
        self.block_tokens.map_or(mooncake::BLOCK_TOKENS, NonZeroU32::get)
    }
}

fn run_columns() -> Columns {
    Columns {
        time: "at_ns".into(),
        time_unit: TimeUnit::Ns,
        prompt_tokens: Some("prompt_tokens".into()),
        output_tokens: Some("output_tokens".into()),
        ..Columns::default()
    }
}

const fn one() -> f64 {
    1.0
}

fn speed_problem(speed: f64) -> Option<String> {
    // NaN is in no range.
    (!(1e-6..=1e6).contains(&speed))
        .then(|| format!("speed is {speed}; give a factor above 0: 2 is twice as fast as recorded"))
}

fn speed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let speed = f64::deserialize(deserializer)?;
    speed_problem(speed).map_or(Ok(speed), |reason| Err(D::Error::custom(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TraceSpec, String> {
        toml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn scenarios_write_traces_so() {
        let spec = parse("file = \"a.csv\"\nformat = \"azure\"").expect("right");
        assert_eq!(spec, TraceSpec { file: "a.csv".into(), ..TraceSpec::new(TraceFormat::Azure) });
        let spec = parse(
            "file = \"a\"\nspeed = 2\nfrom = \"10m\"\nfirst = 5\nmax_prompt_tokens = 4096\nover_limit = \"clip\"\n\
             zero_tokens = \"drop\"\nformat = { jsonl = { time = \"t\", time_unit = \"ms\", output_tokens = \"n\" } }",
        )
        .expect("right");
        assert_eq!(
            (spec.speed, spec.from, spec.first),
            (2.0, Some(Duration::from_secs(600)), Some(5))
        );
        let TraceFormat::Jsonl(columns) = spec.format else { panic!("{:?}", spec.format) };
        assert_eq!((columns.time.as_str(), columns.prompt_tokens), ("t", None));
    }

    #[test]
    fn wrong_settings_are_refused_with_their_place() {
        for (line, says) in [
            ("speed = 0", "speed is 0"),
            ("speed = nan", "speed is NaN"),
            ("speed = -1.0", "speed is -1"),
            ("first = -1", "invalid value: integer `-1`"),
            ("max_prompt_tokens = 0", "a nonzero u32"),
            ("sped = 1", "unknown field `sped`"),
            ("over_limit = \"cut\"", "expected one of `drop`, `clip`, `error`"),
            ("to = 60", "a duration with its unit"),
        ] {
            let error =
                parse(&format!("file = \"a\"\nformat = \"azure\"\n{line}")).expect_err(line);
            assert!(error.contains(says) && error.contains("line 3, column"), "{line}: {error}");
        }
        let error = parse("file = \"a\"\nformat = \"splitwise\"").expect_err("unknown");
        assert!(error.contains("`azure`, `mooncake`, `burstgpt`, `csv`, `jsonl`"), "{error}");
    }

    #[test]
    fn settings_that_contradict_are_refused() {
        let base = || TraceSpec::new(TraceFormat::Azure);
        let second = |n| Some(Duration::from_secs(n));
        for (spec, says) in [
            (TraceSpec { first: Some(1), last: Some(1), ..base() }, "both"),
            (TraceSpec { last: Some(0), ..base() }, "at least 1"),
            (TraceSpec { from: second(2), to: second(2), ..base() }, "from must be before to"),
            (TraceSpec { speed: f64::INFINITY, ..base() }, "speed is inf"),
        ] {
            let error = spec.replay(&b""[..], "t").expect_err(says).to_string();
            assert!(error.starts_with("trace t: ") && error.contains(says), "{error}");
        }
        let missing = TraceSpec { file: "no/such/trace.csv".into(), ..base() };
        let error = missing.open().expect_err("absent").to_string();
        assert_eq!(error, "cannot read trace no/such/trace.csv");
    }
}
