//! Exact schedules on small engines: every expectation below is worked out by hand.

use std::sync::Arc;
use std::time::Duration;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// 4-token blocks, 10 ms a step, 1 ms a prefill token, no other cost.
fn config(num_blocks: u32, budget: u32) -> SimulatorConfig {
    SimulatorConfig {
        block_size: 4,
        num_blocks,
        max_model_len: (num_blocks - 1) * 4,
        max_num_batched_tokens: budget,
        max_num_seqs: 4,
        cost: CostModel {
            base: 10 * MS,
            per_prefill_token: MS,
            per_decode_sequence: Duration::ZERO,
            per_kv_token: Duration::ZERO,
            jitter: 0.0,
        },
        ..SimulatorConfig::default()
    }
}

/// A sequence whose prompt counts up from `first` and whose answer repeats `id + 100`.
fn sequence(id: SequenceId, first: u32, prompt: u32, max_tokens: u32) -> NewSequence {
    NewSequence {
        id,
        prompt: (first..first + prompt).collect::<Vec<_>>().into(),
        cache_salt: None,
        max_tokens,
        ignore_eos: true,
        answer: Box::new(std::iter::repeat(id as u32 + 100)),
    }
}

fn ids(outcome: &StepOutcome) -> Vec<SequenceId> {
    outcome.tokens.iter().map(|output| output.id).collect()
}

/// Steps back to back from `now` until nothing is left; the end of each step with the ids it served.
fn run(engine: &mut Engine, mut now: Duration) -> Vec<(Duration, Vec<SequenceId>)> {
    let mut steps = Vec::new();
    while let Some(outcome) = engine.step(now) {
        now = outcome.ends_at;
        steps.push((now, ids(&outcome)));
    }
    steps
}

#[test]
fn an_idle_engine_has_no_step() {
    let mut engine = Engine::new(&config(9, 16));
    assert!(!engine.has_work() && engine.step(MS).is_none());
}

#[test]
fn one_sequence_prefills_then_decodes_a_token_a_step() {
    let mut engine = Engine::new(&config(9, 16));
    engine.add(sequence(1, 0, 6, 3), 5 * MS);
    let steps = run(&mut engine, 7 * MS);
    // 10 + 6 for the prompt, then 10 for each further token.
    assert_eq!(steps, [(23 * MS, vec![1]), (33 * MS, vec![1]), (43 * MS, vec![1])]);
    assert_eq!(engine.kv_usage(), 0.0);
}

#[test]
fn the_account_of_a_sequence_has_its_instants() {
    let mut engine = Engine::new(&config(9, 16));
    engine.add(sequence(1, 0, 6, 2), 5 * MS);
    let first = engine.step(7 * MS).expect("a step");
    let expected = Kind::First {
        latency: 18 * MS,
        prompt_tokens: 6,
        cached_tokens: 0,
        created_cache_tokens: 4,
    };
    assert_eq!(first.tokens[0].kind, expected);
    assert_eq!((first.prefix_queries, first.prefix_hits), (6, 0));
    let last = engine.step(first.ends_at).expect("a step");
    assert_eq!(last.tokens[0].kind, Kind::Later { gap: 10 * MS });
    let finish = last.tokens[0].finish.clone().expect("the last token");
    assert_eq!((finish.reason, finish.output_tokens), (FinishReason::Length, 2));
    let times = Times {
        arrived_at: 5 * MS,
        scheduled_at: Some(7 * MS),
        first_token_at: Some(23 * MS),
        last_token_at: Some(33 * MS),
    };
    assert_eq!(finish.times, times);
}

#[test]
fn a_long_prompt_is_prefilled_in_chunks_beside_decodes() {
    let mut engine = Engine::new(&config(20, 8));
    engine.add(sequence(1, 0, 2, 9), Duration::ZERO);
    let start = engine.step(Duration::ZERO).expect("a step").ends_at;
    engine.add(sequence(2, 50, 20, 1), start);
    let mut chunks = Vec::new();
    let mut now = start;
    for _ in 0..3 {
        let outcome = engine.step(now).expect("a step");
        now = outcome.ends_at;
        chunks.push((outcome.work.prefill_tokens, outcome.work.decode_sequences, ids(&outcome)));
    }
    // One of the 8 tokens is the decode's: 7 + 7 + 6 = 20, the last chunk brings the token.
    assert_eq!(chunks, [(7, 1, vec![1]), (7, 1, vec![1]), (6, 1, vec![1, 2])]);
}

#[test]
fn admission_is_first_come_first_served_and_stops_at_the_seats() {
    let mut engine = Engine::new(&SimulatorConfig { max_num_seqs: 2, ..config(20, 64) });
    for id in 1..=3 {
        engine.add(sequence(id, 100 * id as u32, 4, 2), Duration::ZERO);
    }
    let outcome = engine.step(Duration::ZERO).expect("a step");
    assert_eq!((ids(&outcome), engine.running(), engine.waiting()), (vec![1, 2], 2, 1));
    engine.step(outcome.ends_at).expect("a step");
    assert_eq!(ids(&engine.step(MS).expect("a step")), [3]);
}

#[test]
fn equal_prompts_share_full_blocks_but_never_the_last_token() {
    let mut engine = Engine::new(&config(20, 64));
    let mut cached = Vec::new();
    for (id, prompt) in [(1, 8), (2, 8), (3, 9)] {
        engine.add(sequence(id, 0, prompt, 1), Duration::ZERO);
        let outcome = engine.step(Duration::ZERO).expect("a step");
        let Kind::First { cached_tokens, created_cache_tokens, .. } = outcome.tokens[0].kind else {
            panic!("the first token")
        };
        cached.push((cached_tokens, created_cache_tokens, outcome.work.prefill_tokens));
    }
    // 8 tokens are two full blocks, but the last must be computed: only the first block counts.
    assert_eq!(cached, [(0, 8, 8), (4, 4, 4), (8, 0, 1)]);
}

#[test]
fn a_salt_keeps_caches_apart() {
    let mut engine = Engine::new(&config(20, 64));
    let mut hits = Vec::new();
    for (id, salt) in [(1, None), (2, Some("a")), (3, Some("a")), (4, Some("b")), (5, None)] {
        let salted = NewSequence { cache_salt: salt.map(Arc::from), ..sequence(id, 0, 9, 1) };
        engine.add(salted, Duration::ZERO);
        hits.push(engine.step(Duration::ZERO).expect("a step").prefix_hits);
    }
    assert_eq!(hits, [0, 0, 8, 0, 8]);
}

#[test]
fn an_answer_is_found_again_as_part_of_the_next_turn() {
    let mut engine = Engine::new(&config(20, 64));
    engine.add(sequence(1, 0, 4, 5), Duration::ZERO);
    run(&mut engine, Duration::ZERO);
    let next: Vec<u32> = (0..4).chain([101; 5]).chain([7, 8]).collect();
    engine.add(NewSequence { prompt: next.into(), ..sequence(2, 0, 1, 1) }, Duration::ZERO);
    // 4 prompt tokens and the 4 output tokens that were computed; the fifth never was.
    assert_eq!(engine.step(Duration::ZERO).expect("a step").prefix_hits, 8);
}

#[test]
fn without_a_prefix_cache_nothing_is_shared_or_counted() {
    let mut engine = Engine::new(&SimulatorConfig { prefix_caching: false, ..config(20, 64) });
    for id in 1..=2 {
        engine.add(sequence(id, 0, 8, 1), Duration::ZERO);
        let outcome = engine.step(Duration::ZERO).expect("a step");
        assert_eq!((outcome.prefix_queries, outcome.prefix_hits), (0, 0));
        assert_eq!(outcome.work.prefill_tokens, 8);
    }
}

#[test]
fn when_blocks_run_out_the_newest_starts_again_later() {
    // Four usable blocks of four: two sequences of 7 fill two each, with one token of room.
    let mut engine = Engine::new(&SimulatorConfig { prefix_caching: false, ..config(5, 64) });
    engine.add(sequence(1, 0, 7, 4), Duration::ZERO);
    engine.add(sequence(2, 50, 7, 4), Duration::ZERO);
    let mut log = Vec::new();
    let mut finishes = Vec::new();
    let mut now = Duration::ZERO;
    while let Some(outcome) = engine.step(now) {
        now = outcome.ends_at;
        log.push((ids(&outcome), outcome.preemptions, outcome.work.prefill_tokens));
        finishes.extend(outcome.tokens.into_iter().filter_map(|output| output.finish));
    }
    let expected = [
        (vec![1, 2], 0, 14),
        (vec![1, 2], 0, 0), // the eighth token of each fills its second block
        (vec![1], 1, 0),    // the ninth of 1 needs a block: 2 gives up its two
        (vec![1], 0, 0),    // 2 waits: its 9 tokens need 3 blocks and one is free
        (vec![2], 0, 9),    // computed again: 7 of the prompt, 2 of the answer
        (vec![2], 0, 0),
    ];
    assert_eq!(log, expected);
    let preemptions: Vec<_> = finishes.iter().map(|f| (f.output_tokens, f.preemptions)).collect();
    assert_eq!(preemptions, [(4, 0), (4, 1)]);
    assert_eq!(engine.kv_usage(), 0.0);
}

#[test]
fn the_end_of_sequence_is_a_token_and_ends_unless_ignored() {
    for (ignore_eos, expected) in
        [(false, (FinishReason::Stop, 3)), (true, (FinishReason::Length, 5))]
    {
        let mut engine = Engine::new(&config(20, 64));
        let answer = Box::new([100, 101].into_iter());
        engine.add(NewSequence { ignore_eos, answer, ..sequence(1, 0, 4, 5) }, Duration::ZERO);
        let (mut now, mut last) = (Duration::ZERO, None);
        while let Some(outcome) = engine.step(now) {
            now = outcome.ends_at;
            last = outcome.tokens.into_iter().next_back();
        }
        let finish = last.and_then(|output| output.finish).expect("an end");
        assert_eq!((finish.reason, finish.output_tokens), expected);
    }
}

#[test]
fn no_sequence_outgrows_the_model() {
    let mut engine = Engine::new(&SimulatorConfig { max_model_len: 10, ..config(20, 64) });
    engine.add(sequence(1, 0, 7, 100), Duration::ZERO);
    assert_eq!(run(&mut engine, Duration::ZERO).len(), 3);
}

#[test]
fn an_aborted_sequence_gives_its_blocks_back_wherever_it_is() {
    let mut engine = Engine::new(&SimulatorConfig { max_num_seqs: 1, ..config(20, 64) });
    engine.add(sequence(1, 0, 8, 9), Duration::ZERO);
    engine.add(sequence(2, 50, 8, 9), Duration::ZERO);
    engine.step(Duration::ZERO).expect("a step");
    assert!(engine.kv_usage() > 0.0);
    assert!(engine.end(2, FinishReason::Abort).is_some(), "a waiting one");
    let finish = engine.end(1, FinishReason::Abort).expect("a running one");
    assert_eq!((finish.reason, finish.output_tokens), (FinishReason::Abort, 1));
    assert!(engine.end(1, FinishReason::Abort).is_none(), "only once");
    assert_eq!((engine.has_work(), engine.kv_usage()), (false, 0.0));
}

#[test]
fn equal_seeds_give_equal_jitter() {
    let mut config = config(20, 64);
    config.cost.jitter = 0.1;
    let times: Vec<_> = (0..2)
        .map(|_| {
            let mut engine = Engine::new(&config);
            engine.add(sequence(1, 0, 8, 5), Duration::ZERO);
            run(&mut engine, Duration::ZERO)
        })
        .collect();
    assert_eq!(times[0], times[1]);
    let first = times[0][0].0;
    assert!(
        first != 18 * MS && first.abs_diff(18 * MS) < Duration::from_micros(1_801),
        "{first:?}"
    );
}

proptest::proptest! {
    /// Whatever comes, in whatever order: every sequence gets exactly its tokens, no step exceeds the
    /// budget, and at the end no block is held.
    #[test]
    fn every_workload_is_served_whole(
        requests in proptest::collection::vec((0..3_u32, 1..60_u32, 1..30_u32, 0..8_u64), 1..24),
        num_blocks in 24..60_u32,
        budget in 4..64_u32,
    ) {
        let mut engine = Engine::new(&config(num_blocks, budget));
        let mut left: Vec<_> = (0..).zip(&requests).collect();
        let mut got = vec![0; requests.len()];
        let (mut now, mut step) = (Duration::ZERO, 0);
        while !left.is_empty() || engine.has_work() {
            left.retain(|&(id, &(family, prompt, max_tokens, arrives))| {
                // Families share a beginning, so that blocks are found, held and evicted in all orders.
                let due = arrives * 3 <= step;
                if due {
                    engine.add(sequence(id, family, prompt, max_tokens), now);
                }
                !due
            });
            if let Some(outcome) = engine.step(now) {
                now = outcome.ends_at;
                let work = outcome.work;
                proptest::prop_assert!(work.prefill_tokens + work.decode_sequences <= u64::from(budget));
                proptest::prop_assert!(outcome.prefix_hits <= outcome.prefix_queries);
                for output in outcome.tokens {
                    got[output.id as usize] += 1;
                }
            }
            step += 1;
            proptest::prop_assert!(step < 20_000, "no progress");
        }
        let expected: Vec<_> = requests.iter().map(|&(_, _, max_tokens, _)| max_tokens).collect();
        proptest::prop_assert_eq!(got, expected);
        proptest::prop_assert_eq!(engine.kv_usage(), 0.0);
    }
}
