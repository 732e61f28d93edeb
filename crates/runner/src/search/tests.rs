//! The search against servers whose capacity is known: noisy, unclear, and by their latencies.

use std::time::Duration;

use proptest::prelude::*;
use vllm_bench_record::{Capacity, Level, ProbeOutcome, SearchAxis, Slo, Timestamp};

use super::figures::{Ended, ProbeFigures, Sample, Steady};
use super::*;

const HOLDS: ProbeResult = ProbeResult { outcome: ProbeOutcome::Holds, estimate: Some(true) };
const FAILS: ProbeResult = ProbeResult { outcome: ProbeOutcome::Fails, estimate: Some(false) };

const fn unclear(estimate: bool) -> ProbeResult {
    ProbeResult { outcome: ProbeOutcome::Unclear, estimate: Some(estimate) }
}

const fn plan(over: SearchAxis, from: f64, to: f64) -> SearchPlan {
    SearchPlan { over, from, to, precision: 0.05, confirm: 1, max_probes: 24 }
}

/// Small numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Runs the search against `server`; the loads tried.
fn run(search: &mut Search, mut server: impl FnMut(ProbeRequest) -> ProbeResult) -> Vec<f64> {
    let mut tried = Vec::new();
    while let Some(request) = search.next_probe() {
        assert_eq!(search.next_probe(), Some(request), "asking twice changes nothing");
        tried.push(request.level.value());
        search.tell(server(request));
        assert!(tried.len() < 1000, "no end");
    }
    assert!(search.end().is_some());
    tried
}

fn found(search: &Search) -> Capacity {
    match search.end() {
        Some(SearchEnd::Found(capacity)) => capacity,
        other => panic!("{other:?} with {:?}", search.bracket()),
    }
}

#[test]
fn doubles_then_halves_then_confirms() {
    let mut search = Search::new(plan(SearchAxis::Concurrency, 1.0, 64.0));
    let tried = run(&mut search, |r| if r.level.value() <= 11.0 { HOLDS } else { FAILS });
    assert_eq!(tried, [1.0, 2.0, 4.0, 8.0, 16.0, 12.0, 10.0, 11.0, 11.0]);
    assert_eq!(found(&search), Capacity { holds: 11.0, fails: Some(12.0) });
}

#[test]
fn what_holds_to_the_upper_bound_is_confirmed_there() {
    let mut search = Search::new(plan(SearchAxis::Rate, 3.0, 20.0));
    let tried = run(&mut search, |_| HOLDS);
    assert_eq!(tried, [3.0, 6.0, 12.0, 20.0, 20.0]);
    assert_eq!(found(&search), Capacity { holds: 20.0, fails: None });
}

#[test]
fn a_lower_bound_that_fails_ends_it_at_once_and_an_unclear_one_after_a_longer_look() {
    let mut search = Search::new(plan(SearchAxis::Rate, 4.0, 64.0));
    assert_eq!(run(&mut search, |_| FAILS), [4.0]);
    assert_eq!(search.end(), Some(SearchEnd::LowerBoundFails));
    let mut search = Search::new(plan(SearchAxis::Rate, 4.0, 64.0));
    let mut lengths = Vec::new();
    run(&mut search, |r| {
        lengths.push(r.lengthen);
        unclear(false)
    });
    assert_eq!(lengths, [1, 2]);
    assert_eq!(search.end(), Some(SearchEnd::LowerBoundFails));
    assert_eq!(search.by_estimate(), 1);
}

#[test]
fn a_probe_without_figures_is_repeated_once_and_then_ends_it() {
    let mut search = Search::new(plan(SearchAxis::Rate, 4.0, 64.0));
    let none = ProbeResult { outcome: ProbeOutcome::Unclear, estimate: None };
    assert_eq!(run(&mut search, |_| none), [4.0, 4.0]);
    assert_eq!(search.end(), Some(SearchEnd::NoFigures(Level::Rate(4.0))));
}

#[test]
fn a_contradicted_answer_moves_the_bracket_down() {
    let mut search = Search::new(plan(SearchAxis::Concurrency, 1.0, 64.0));
    // 8 holds when first asked, never again.
    let mut seen = 0;
    run(&mut search, |r| match r.level.value() {
        l if l < 8.0 => HOLDS,
        8.0 => {
            seen += 1;
            if seen == 1 { HOLDS } else { FAILS }
        }
        _ => FAILS,
    });
    assert_eq!(found(&search), Capacity { holds: 7.0, fails: Some(8.0) });
}

#[test]
fn an_unclear_failure_is_looked_at_again_and_can_be_taken_back() {
    let mut search = Search::new(plan(SearchAxis::Concurrency, 1.0, 64.0));
    let mut at_9 = 0;
    run(&mut search, |r| match r.level.value() {
        l if l < 9.0 => HOLDS,
        9.0 => {
            at_9 += 1;
            // Unclear, unclear longer, then clear for good.
            if at_9 <= 2 { unclear(false) } else { HOLDS }
        }
        _ => FAILS,
    });
    assert_eq!(found(&search), Capacity { holds: 9.0, fails: Some(10.0) });
}

#[test]
fn the_number_of_probes_is_kept() {
    let few = SearchPlan { max_probes: 6, ..plan(SearchAxis::Rate, 1.0, 64.0) };
    let mut search = Search::new(few);
    let tried = run(&mut search, |r| if r.level.value() <= 11.0 { HOLDS } else { FAILS });
    assert_eq!(tried.len(), 6);
    assert_eq!(search.end(), Some(SearchEnd::MaxProbes));
    assert_eq!(search.bracket().0, Some(8.0), "what is known is kept");
}

proptest! {
    /// A server that is exact: the bracket holds its capacity and is as narrow as asked.
    #[test]
    fn exact_servers_are_found(capacity in 1.0_f64..500.0, from in 0.1_f64..1.0, precision in 0.01_f64..0.3) {
        let wanted = SearchPlan { precision, ..plan(SearchAxis::Rate, from, 1000.0) };
        let mut search = Search::new(SearchPlan { max_probes: 60, ..wanted });
        let tried = run(&mut search, |r| if r.level.value() <= capacity { HOLDS } else { FAILS });
        let Capacity { holds, fails } = found(&search);
        let fails = fails.expect("the upper bound is above");
        prop_assert!(holds <= capacity && capacity < fails, "{holds} {capacity} {fails}");
        prop_assert!(fails - holds <= precision * holds * (1.0 + 1e-9));
        // Doublings to the bracket, halvings of its logarithm, a confirmation.
        let doublings = (capacity / from).log2().ceil() + 1.0;
        let halvings = (2.0_f64.ln() / (1.0 + precision).ln()).log2().ceil().max(0.0);
        prop_assert!(tried.len() as f64 <= doublings + halvings + 2.0, "{} probes", tried.len());
    }

    #[test]
    fn exact_users_are_found(capacity in 1_u32..2000) {
        let mut search = Search::new(SearchPlan { max_probes: 60, ..plan(SearchAxis::Concurrency, 1.0, 4000.0) });
        run(&mut search, |r| if r.level.value() <= f64::from(capacity) { HOLDS } else { FAILS });
        let Capacity { holds, fails } = found(&search);
        let fails = fails.expect("the upper bound is above");
        prop_assert!(holds <= f64::from(capacity) && f64::from(capacity) < fails);
        prop_assert!(fails - holds <= (0.05 * holds).max(1.0));
    }

    /// A server whose probes fail by chance, the more likely the nearer to its capacity, and
    /// that is unclear about it there: found within precision and the width of its noise.
    #[test]
    fn noisy_servers_are_found_with_bounded_probes(capacity in 2.0_f64..200.0, seed: u64) {
        let mut dice = Dice(seed);
        let mut search = Search::new(plan(SearchAxis::Rate, 1.0, 400.0));
        let width = 0.01;
        let tried = run(&mut search, |r| {
            // A longer look is a sharper one.
            let width = width / f64::from(r.lengthen).sqrt();
            let distance = (r.level.value() / capacity).ln() / width;
            let fails = dice.unit() < 1.0 / (1.0 + (-distance).exp());
            match distance.abs() < 2.0 {
                true => unclear(!fails),
                false if fails => FAILS,
                false => HOLDS,
            }
        });
        prop_assert!(tried.len() <= 24);
        if let Some(SearchEnd::Found(Capacity { holds, fails })) = search.end() {
            prop_assert!((holds / capacity).ln().abs() < 0.05 + 8.0 * width, "{holds} for {capacity}");
            prop_assert!(fails.is_some_and(|f| f > holds && f - holds <= 0.05 * holds * (1.0 + 1e-9)));
        } else {
            prop_assert_eq!(search.end(), Some(SearchEnd::MaxProbes));
        }
    }

    /// Whatever the answers, the search ends within its probes and its bracket is one.
    #[test]
    fn any_answers_end_it(answers in prop::collection::vec(0_u8..5, 40), over: bool) {
        let axis = if over { SearchAxis::Rate } else { SearchAxis::Concurrency };
        let mut search = Search::new(plan(axis, 1.0, 64.0));
        let mut answers = answers.into_iter();
        let tried = run(&mut search, |_| match answers.next() {
            Some(0) => HOLDS,
            Some(1) => FAILS,
            Some(2) => unclear(true),
            Some(3) => unclear(false),
            _ => ProbeResult { outcome: ProbeOutcome::Unclear, estimate: None },
        });
        prop_assert!(tried.len() <= 24 && tried.iter().all(|l| (1.0..=64.0).contains(l)));
        if let (Some(low), Some(high)) = search.bracket() {
            prop_assert!(low < high);
        }
    }
}

fn objectives(list: &[(&str, &str)], axis: SearchAxis) -> Vec<Objective> {
    let slo = list
        .iter()
        .map(|(name, limit)| ((*name).to_owned(), toml::Spanned::new(0..0, (*limit).to_owned())))
        .collect();
    Objective::of(&slo, axis)
}

/// A probe of 60 s at `rate` on a server of exponential latencies whose mean is `base / (1 - rate /
/// limit)`: one queue, one server (M/M/1).
fn queue(rate: f64, limit: f64, seconds: f64, dice: &mut Dice) -> ProbeFigures {
    let mut figures = ProbeFigures::default();
    let mean = 1.0 / (limit - rate).max(1e-3);
    let mut at = 0.0;
    while at < seconds {
        at += -(1.0 - dice.unit()).ln() / rate;
        let latency = -(1.0 - dice.unit()).ln() * mean;
        let scheduled_at = Timestamp::from_nanos((at * 1e9) as u64);
        figures.push(Sample {
            scheduled_at,
            finished_at: Some(scheduled_at + Duration::from_secs_f64(latency)),
            ended: Ended::Completed,
            good: latency <= 0.5,
            values: vec![vec![latency * 1e9], vec![], vec![]],
        });
    }
    figures
}

#[test]
fn a_queue_is_searched_by_its_latencies() {
    // p95 of an exponential is ln 20 means: 0.5 s at a mean of 0.1669 s, 5.99 req/s below the limit.
    let limit = 40.0;
    let capacity = limit - 20.0_f64.ln() / 0.5;
    let asked = objectives(&[("ttft_p95", "500ms")], SearchAxis::Rate);
    let mut off = Vec::new();
    for seed in 0..20 {
        let mut dice = Dice(seed * 7919 + 1);
        let mut search = Search::new(plan(SearchAxis::Rate, 1.0, 64.0));
        run(&mut search, |r| {
            let seconds = 60.0 * f64::from(r.lengthen);
            let steady = Steady {
                from: Timestamp::from_nanos(5_000_000_000),
                to: Timestamp::from_nanos((seconds * 1e9) as u64),
            };
            queue(r.level.value(), limit, seconds, &mut dice).judge(&asked, steady).result
        });
        assert!(search.probes() <= 24);
        if let Some(SearchEnd::Found(Capacity { holds, .. })) = search.end() {
            off.push((holds / capacity - 1.0).abs());
        }
    }
    off.sort_by(f64::total_cmp);
    assert!(off.len() >= 16, "{} of 20 found", off.len());
    assert!(off[off.len() / 2] < 0.05, "{off:?}");
    assert!(off[off.len() - 1] < 0.12, "{off:?}");
}

fn sample(at_s: f64, took_s: f64, ended: Ended) -> Sample {
    let scheduled_at = Timestamp::from_nanos((at_s * 1e9) as u64);
    Sample {
        scheduled_at,
        finished_at: Some(scheduled_at + Duration::from_secs_f64(took_s)),
        ended,
        good: ended == Ended::Completed && took_s <= 0.5,
        values: vec![if ended == Ended::Completed { vec![took_s * 1e9] } else { vec![] }; 3],
    }
}

const STEADY: Steady = Steady {
    from: Timestamp::from_nanos(1_000_000_000),
    to: Timestamp::from_nanos(11_000_000_000),
};

fn judged(asked: &[Objective], samples: impl IntoIterator<Item = Sample>) -> Judgement {
    let mut figures = ProbeFigures::default();
    samples.into_iter().for_each(|s| figures.push(s));
    figures.judge(asked, STEADY)
}

#[test]
fn only_the_steady_part_counts() {
    let asked =
        objectives(&[("ttft_p50", "500ms"), ("error_rate", "50%")], SearchAxis::Concurrency);
    let slow = (0..50).map(|n| sample(f64::from(n) / 50.0, 9.0, Ended::Completed));
    let fast = (0..200).map(|n| sample(1.0 + f64::from(n) / 20.0, 0.1, Ended::Completed));
    let late = (0..50).map(|n| sample(11.5 + f64::from(n), 9.0, Ended::Completed));
    let judgement = judged(&asked, slow.chain(fast).chain(late));
    assert_eq!(judgement.requests, 200);
    assert_eq!(judgement.result, HOLDS, "{judgement:?}");
}

#[test]
fn failures_are_no_latencies_and_no_success() {
    let asked = objectives(&[("ttft_p95", "500ms")], SearchAxis::Concurrency);
    let words: Vec<_> = asked.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["ttft_p95 <= 500ms", "error_rate <= 1%"], "errors are bounded in any case");
    let all_fail = (0..100).map(|n| sample(1.0 + f64::from(n) / 10.0, 0.0, Ended::Failed));
    let judgement = judged(&asked, all_fail);
    assert_eq!(judgement.result, FAILS, "{judgement:?}");
    assert!(judgement.objectives[0].value.is_none() && !judgement.objectives[0].holds);
    assert_eq!(judgement.objectives[1].value, Some(1.0));
    // Nothing at all says nothing at all.
    assert_eq!(judged(&asked, []).result.estimate, None);
}

#[test]
fn few_samples_leave_it_open() {
    let asked =
        objectives(&[("ttft_p99", "500ms"), ("error_rate", "50%")], SearchAxis::Concurrency);
    let few = (0..100).map(|n| sample(1.0 + f64::from(n) / 10.0, 0.1, Ended::Completed));
    assert_eq!(judged(&asked, few).result, unclear(true), "100 samples bound no p99 from above");
    let many = (0..1000).map(|n| sample(1.0 + f64::from(n) / 100.0, 0.1, Ended::Completed));
    assert_eq!(judged(&asked, many).result, HOLDS);
}

#[test]
fn goodput_counts_requests_that_meet_all() {
    let asked = objectives(&[("ttft_p95", "500ms"), ("goodput", "80%")], SearchAxis::Concurrency);
    let mixed = |slow: u32| {
        (0..400).map(move |n| {
            let took = if n % 100 < slow { 0.6 } else { 0.1 };
            sample(1.0 + f64::from(n) / 40.0, took, Ended::Completed)
        })
    };
    let goodput = |slow| {
        let judgement = judged(&asked, mixed(slow));
        judgement.objectives.into_iter().find(|o| o.slo.starts_with("goodput")).expect("asked for")
    };
    assert_eq!((goodput(10).value, goodput(10).holds), (Some(0.9), true));
    assert_eq!((goodput(30).value, goodput(30).holds), (Some(0.7), false));
    assert_eq!(goodput(30).slo, "goodput >= 80%");
}

#[test]
fn a_server_that_does_not_keep_up_fails_whatever_its_latencies() {
    let asked = objectives(&[("tpot_p95", "60s")], SearchAxis::Rate);
    // 100 a second come, 50 a second are done.
    let behind = (0..1100).map(|n| {
        let at = f64::from(n) / 100.0;
        sample(at, at, Ended::Completed)
    });
    let judgement = judged(&asked, behind);
    assert_eq!(judgement.result.outcome, ProbeOutcome::Fails, "{judgement:?}");
    let growth = judgement.objectives.last().expect("growth");
    assert!(growth.slo == "in_flight_growth <= 5%" && !growth.holds);
    let even = (0..1100).map(|n| sample(f64::from(n) / 100.0, 2.0, Ended::Completed));
    assert!(judged(&asked, even).objectives.last().is_some_and(|o| o.holds));
}

#[test]
fn a_probe_is_given_up_when_nothing_can_save_it() {
    let asked = objectives(&[("ttft_p90", "500ms")], SearchAxis::Concurrency);
    let mut figures = ProbeFigures::default();
    let from = Timestamp::ZERO;
    // Of 100, 10 may be above the limit and the one that the percentile leans on.
    for n in 0..11 {
        figures.push(sample(f64::from(n), 0.6, Ended::Completed));
        assert!(!figures.hopeless(&asked, from, 100), "{n}");
    }
    figures.push(sample(11.0, 0.6, Ended::Completed));
    assert!(figures.hopeless(&asked, from, 100));
    assert!(!figures.hopeless(&asked, from, 1000));
    let mut failing = ProbeFigures::default();
    (0..3).for_each(|n| failing.push(sample(f64::from(n), 0.0, Ended::Failed)));
    assert!(failing.hopeless(&asked, from, 100), "1 % of errors are asked for");
    assert!(Slo::parse("error_rate", "1%").is_ok_and(|slo| !slo.holds(0.03)));
}
