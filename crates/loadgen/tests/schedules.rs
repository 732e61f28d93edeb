//! Schedules through the public API: properties of every arrival process, and the real
//! traces that lie beside the project.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use vllm_bench_loadgen::{
    ArrivalProcess, ArrivalSpec, Due, Gamma, OnOff, OverLimit, Ramp, RateProfile, Schedule,
    ScheduleSummary, Steps, TraceFormat, TraceSpec,
};

fn seconds() -> impl Strategy<Value = Duration> {
    (1_u64..20_000_000_000).prop_map(Duration::from_nanos)
}

fn rates() -> impl Strategy<Value = RateProfile> {
    let over = || proptest::option::of(seconds());
    prop_oneof![
        (0.01..200.0).prop_map(RateProfile::Constant),
        (0.0..100.0, 0.01..200.0, over()).prop_map(|(from, to, over)| RateProfile::Linear(Ramp {
            from,
            to,
            over
        })),
        (0.01..200.0, 0.0..100.0, over()).prop_map(|(from, to, over)| RateProfile::Linear(Ramp {
            from,
            to,
            over
        })),
        (0.01..200.0, 0.01..200.0, over())
            .prop_map(|(from, to, over)| RateProfile::Exponential(Ramp { from, to, over })),
        (proptest::collection::vec(0.0..200.0, 0..5), 0.01..200.0, over()).prop_map(
            |(mut rates, last, each)| {
                rates.push(last);
                RateProfile::Steps(Steps { rates, each })
            }
        ),
        (1_000_000_u64..5_000_000_000, 1_000_000_u64..5_000_000_000, 0.01..200.0, 0.0..5.0)
            .prop_map(|(on, off, rate, off_rate)| {
                let (on, off) = (Duration::from_nanos(on), Duration::from_nanos(off));
                RateProfile::OnOff(OnOff { on, off, rate, off_rate })
            }),
    ]
}

fn specs() -> impl Strategy<Value = ArrivalSpec> {
    let process = prop_oneof![
        Just(ArrivalProcess::Constant),
        Just(ArrivalProcess::Poisson),
        (0.01..20.0).prop_map(|burstiness| ArrivalProcess::Gamma(Gamma { burstiness })),
    ];
    (rates(), process).prop_map(|(rate, arrivals)| ArrivalSpec { rate, arrivals })
}

fn schedule(spec: &ArrivalSpec, duration: Duration, seed: u64) -> Schedule {
    Schedule::arrivals(spec.times(Some(duration), seed, 0).expect("a schedule"))
}

fn all(schedule: Schedule) -> Vec<Due> {
    schedule.collect::<Result<_, _>>().expect("a right schedule")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_schedule_is_sorted_within_its_stage_and_the_same_again(
        spec in specs(), duration in seconds(), seed: u64,
    ) {
        let got = all(schedule(&spec, duration, seed));
        prop_assert!(got.windows(2).all(|w| w[0].at <= w[1].at));
        prop_assert!(got.iter().all(|due| due.at < duration));
        prop_assert!(got.iter().enumerate().all(|(i, due)| due.index == i as u64 && due.turn == 0));
        prop_assert_eq!(&got, &all(schedule(&spec, duration, seed)));
        let expected = spec.rate.expected(duration, Some(duration));
        if spec.arrivals == ArrivalProcess::Constant {
            prop_assert!((got.len() as f64 - expected).abs() <= 1.0, "{} of {expected}", got.len());
        } else if spec.arrivals == ArrivalProcess::Poisson {
            // Six standard deviations and a little for small numbers.
            let slack = 6.0 * expected.sqrt() + 12.0;
            prop_assert!((got.len() as f64 - expected).abs() < slack, "{} of {expected}", got.len());
        }
    }

    #[test]
    fn a_longer_stage_begins_as_a_shorter_one(
        rate in 0.01..200.0, burstiness in 0.01..20.0, duration in seconds(), seed: u64,
    ) {
        let spec = ArrivalSpec {
            rate: RateProfile::Constant(rate),
            arrivals: ArrivalProcess::Gamma(Gamma { burstiness }),
        };
        let mut longer = all(schedule(&spec, 2 * duration, seed));
        longer.retain(|due| due.at < duration);
        prop_assert_eq!(longer, all(schedule(&spec, duration, seed)));
    }

    #[test]
    fn the_shares_of_all_generators_are_the_whole(
        spec in specs(), duration in seconds(), seed: u64, of in 1_u32..9,
    ) {
        let whole = all(schedule(&spec, duration, seed));
        let mut parts = Vec::new();
        for index in 0..of {
            let of = NonZeroU32::new(of).expect("above 0");
            let part = all(schedule(&spec, duration, seed).share(index, of).expect("in range"));
            prop_assert!(part.iter().all(|due| due.index % u64::from(of.get()) == u64::from(index)));
            parts.extend(part);
        }
        parts.sort_by_key(|due| due.index);
        prop_assert_eq!(parts, whole);
    }
}

/// A file of the data sets beside the project; absent, the test says so and checks nothing.
#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn dataset(format: TraceFormat, name: &str) -> Option<TraceSpec> {
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/datasets").join(name);
    if !file.exists() {
        eprintln!("not run: {name} is not in ../shared/datasets");
        return None;
    }
    Some(TraceSpec { file, ..TraceSpec::new(format) })
}

fn open(spec: &TraceSpec) -> Schedule {
    Schedule::trace(spec.open().expect("the file opens"))
}

/// What a real trace must come to.
struct Expected {
    requests: u64,
    last_at: Duration,
    prompt_tokens: (u64, u32),
    output_tokens: (u64, u32),
    means: (f64, f64),
    blocks: u64,
}

fn check(spec: &TraceSpec, expected: &Expected) {
    let summary = ScheduleSummary::of(open(spec)).expect("a right trace");
    assert_eq!(summary.requests, expected.requests);
    assert_eq!(summary.sessions, expected.requests);
    assert_eq!(summary.last_at, Some(expected.last_at));
    let (prompt, output) = (summary.prompt_tokens, summary.output_tokens);
    assert_eq!(
        (prompt.total, prompt.max),
        (expected.prompt_tokens.0, Some(expected.prompt_tokens.1))
    );
    assert_eq!(
        (output.total, output.max),
        (expected.output_tokens.0, Some(expected.output_tokens.1))
    );
    let means = (prompt.mean().expect("some").round(), output.mean().expect("some").round());
    assert_eq!(means, expected.means);
    assert_eq!(summary.hashed_blocks, expected.blocks);
}

#[test]
fn azure_conversations() {
    let Some(spec) = dataset(TraceFormat::Azure, "AzureLLMInferenceTrace_conv.csv") else { return };
    check(
        &spec,
        &Expected {
            requests: 19_366,
            // 18:15:46.6805900 to 19:14:08.4025270.
            last_at: Duration::from_nanos(3_501_721_937_000),
            prompt_tokens: (22_361_870, 14_050),
            output_tokens: (4_088_665, 1000),
            means: (1155.0, 211.0),
            blocks: 0,
        },
    );
}

#[test]
fn azure_code() {
    let Some(spec) = dataset(TraceFormat::Azure, "AzureLLMInferenceTrace_code.csv") else { return };
    check(
        &spec,
        &Expected {
            requests: 8819,
            // 18:17:03.9799600 to 19:14:19.9280160.
            last_at: Duration::from_nanos(3_435_948_056_000),
            prompt_tokens: (18_059_974, 7437),
            output_tokens: (245_896, 1899),
            means: (2048.0, 28.0),
            blocks: 0,
        },
    );
}

#[test]
fn mooncake_conversations() {
    let Some(spec) = dataset(TraceFormat::Mooncake, "mooncake-conversation_trace.jsonl") else {
        return;
    };
    check(
        &spec,
        &Expected {
            requests: 12_031,
            last_at: Duration::from_millis(3_536_999),
            prompt_tokens: (144_793_823, 126_195),
            output_tokens: (4_122_048, 2000),
            means: (12_035.0, 343.0),
            blocks: 288_500,
        },
    );
    assert_eq!(led_by_known_blocks(&spec), 105_710);
}

#[test]
fn mooncake_synthetic() {
    let Some(spec) = dataset(TraceFormat::Mooncake, "mooncake-synthetic_trace.jsonl") else {
        return;
    };
    check(
        &spec,
        &Expected {
            requests: 3993,
            last_at: Duration::from_millis(1_022_025),
            prompt_tokens: (61_194_628, 191_378),
            output_tokens: (595_432, 893),
            means: (15_325.0, 149.0),
            blocks: 121_877,
        },
    );
    assert_eq!(led_by_known_blocks(&spec), 77_953);
}

/// Blocks of a leading run that was seen before: what a prefix cache without limit would hit.
fn led_by_known_blocks(spec: &TraceSpec) -> usize {
    let mut seen = HashSet::new();
    let mut led = 0;
    for due in open(spec) {
        let ids = due.expect("right").hash_ids.expect("Mooncake has them");
        led += ids.iter().take_while(|id| seen.contains(*id)).count();
        seen.extend(ids);
    }
    led
}

#[test]
fn a_real_trace_is_cut_scaled_and_limited() {
    let Some(whole) = dataset(TraceFormat::Mooncake, "mooncake-conversation_trace.jsonl") else {
        return;
    };
    let spec = TraceSpec {
        from: Some(Duration::from_secs(600)),
        to: Some(Duration::from_secs(1200)),
        speed: 10.0,
        max_prompt_tokens: NonZeroU32::new(8192),
        ..whole.clone()
    };
    let dropped = ScheduleSummary::of(open(&spec)).expect("right");
    let clipped = TraceSpec { over_limit: OverLimit::Clip, ..spec };
    let clipped = ScheduleSummary::of(open(&clipped)).expect("right");
    // Ten minutes in one, and one way or the other the same requests are spoken of.
    assert!(clipped.last_at < Some(Duration::from_secs(60)));
    assert!(clipped.last_at > Some(Duration::from_secs(59)));
    assert_eq!(dropped.requests + dropped.left_out.over_limit, clipped.requests);
    assert_eq!(clipped.left_out.clipped, dropped.left_out.over_limit);
    assert!(dropped.left_out.over_limit > 0 && dropped.requests > 0);
    assert_eq!(clipped.prompt_tokens.max, Some(8192));
    let last = TraceSpec { last: Some(100), ..whole };
    let last = ScheduleSummary::of(open(&last)).expect("right");
    assert_eq!(last.requests, 100);
}
