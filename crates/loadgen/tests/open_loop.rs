//! An open loop sends by its schedule, whatever the answers do, and loses no request.
//! How late a send is depends on the machine and is never asserted.

#[expect(dead_code, reason = "the other tests use the rest of it")]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Act, chunk, config, request, say, serve, stream_head, stream_of};
use vllm_bench_loadgen::{
    ClientConfig, Load, LoadError, LoadEvent, PreparedRequest, Stage, StageReport, StopHandle,
    Until, run_stage,
};
use vllm_bench_record::{FailureCause, Outcome, RequestRecord, RunClock, StageEnd};

const HI: &[u8] =
    b"data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

const OPEN: Load = Load::Open { max_in_flight: None, connections: 4 };

fn whole() -> Vec<Act> {
    stream_of(&[HI, DONE])
}

/// An answer that takes `time`.
fn slow(time: Duration) -> Vec<Act> {
    let mut acts = vec![say(stream_head()), Act::Wait(time)];
    acts.extend([say(chunk(HI)), say(chunk(DONE)), say("0\r\n\r\n")]);
    acts
}

/// `count` requests, one every `gap`.
fn every(gap: Duration, count: usize) -> Vec<PreparedRequest> {
    (0..count).map(|n| PreparedRequest { due: Some(gap * n as u32), ..request(n) }).collect()
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn workers(mut config: ClientConfig, n: usize) -> ClientConfig {
    config.workers = std::num::NonZeroUsize::new(n);
    config
}

fn run_open(
    config: &ClientConfig,
    load: Load,
    until: Until,
    requests: Vec<PreparedRequest>,
    stop: &StopHandle,
    mut on_event: impl FnMut(&LoadEvent),
) -> (Vec<RequestRecord>, StageReport) {
    let mut records = Vec::new();
    let stage = Stage { index: 1, load, until };
    let report = run_stage(config, stage, requests, RunClock::start(), stop, |event| {
        on_event(&event);
        if let LoadEvent::RequestFinished(record) = event {
            records.push(*record);
        }
    })
    .expect("the plan is possible");
    (records, report)
}

/// Runs to the schedule's end.
fn run_all(
    config: &ClientConfig,
    load: Load,
    requests: Vec<PreparedRequest>,
) -> (Vec<RequestRecord>, StageReport) {
    run_open(config, load, Until::default(), requests, &StopHandle::new(), |_| {})
}

/// Each request once: a row or given back.
#[track_caller]
fn nothing_lost(records: &[RequestRecord], report: &StageReport, total: usize) {
    let mut ids: Vec<_> = records.iter().map(|r| r.request_id.clone()).collect();
    ids.extend(report.unsent.iter().map(|u| u.request_id.clone()));
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), records.len() + report.unsent.len()), (total, total));
}

/// What holds for every row of a schedule.
#[track_caller]
fn on_schedule(records: &[RequestRecord], report: &StageReport, requests: &[PreparedRequest]) {
    for record in records {
        let due = requests[record.session as usize].due.expect("scheduled");
        assert_eq!(record.scheduled_at, report.started_at + due, "{}", record.request_id);
        assert!(record.sent_at.is_none_or(|at| at >= record.scheduled_at), "sent before due");
    }
}

#[test]
fn every_request_of_a_schedule_is_a_row_at_its_instant() {
    let addr = serve(|_| whole());
    let requests = every(millis(2), 500);
    for n in [1, 2] {
        let (records, report) = run_all(&workers(config(addr), n), OPEN, requests.clone());
        assert_eq!((records.len(), report.ended), (500, StageEnd::Requests));
        nothing_lost(&records, &report, 500);
        on_schedule(&records, &report, &requests);
        assert!(records.iter().all(|r| r.outcome == Outcome::Completed && r.sent_at.is_some()));
        assert_eq!((report.workers, report.capped), (n as u32, 0));
        assert_eq!(report.degraded.is_empty(), cfg!(target_os = "linux"));
        if cfg!(target_os = "linux") {
            let cpu = report.cpu.expect("Linux tells");
            assert!(cpu.total_ns > 0 && cpu.busiest_share > 0.0 && cpu.busiest_share <= 1.0);
        }
    }
}

#[test]
fn two_workers_share_in_order() {
    let addr = serve(|_| whole());
    let requests = every(millis(2), 200);
    let (mut records, _) = run_all(&workers(config(addr), 2), OPEN, requests);
    records.sort_by_key(|r| r.session);
    for own in 0..2 {
        let own: Vec<_> = records.iter().filter(|r| r.session % 2 == own).collect();
        // Slots are numbered over the workers: each request went by its own worker.
        assert!(own.iter().all(|r| r.user % 2 == r.session % 2));
        assert!(own.is_sorted_by(|a, b| a.sent_at < b.sent_at), "in the order they were due");
    }
}

#[test]
fn a_slow_answer_delays_no_later_send() {
    let addr = serve(|_| slow(millis(1_500)));
    let load = Load::Open { max_in_flight: None, connections: 0 };
    let (mut records, _) = run_all(&config(addr), load, every(millis(5), 40));
    records.sort_by_key(|r| r.session);
    assert_eq!(records.len(), 40);
    assert!(records[0].connect.is_some(), "no connection was open");
    let first_end = records.iter().filter_map(|r| r.finished_at).min().expect("all ended");
    assert!(records.iter().all(|r| r.outcome == Outcome::Completed));
    assert!(records.iter().all(|r| r.sent_at.is_some_and(|at| at < first_end)));
    // Forty at once on forty connections, each numbered.
    let mut users: Vec<_> = records.iter().map(|r| r.user).collect();
    users.sort_unstable();
    users.dedup();
    assert_eq!(users.len(), 40);
}

#[test]
fn a_cap_is_kept_counted_and_seen_from_the_schedule() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inside, peak) = (Arc::clone(&now), Arc::clone(&most));
    let addr = serve(move |_| {
        let n = inside.fetch_add(1, Ordering::SeqCst) + 1;
        peak.fetch_max(n, Ordering::SeqCst);
        std::thread::sleep(millis(20));
        inside.fetch_sub(1, Ordering::SeqCst);
        whole()
    });
    let load = Load::Open { max_in_flight: Some(3), connections: 3 };
    let requests = every(millis(1), 60);
    let (mut records, report) = run_all(&workers(config(addr), 2), load, requests.clone());
    nothing_lost(&records, &report, 60);
    on_schedule(&records, &report, &requests);
    assert_eq!(most.load(Ordering::SeqCst), 3, "used, and never exceeded");
    assert!((1..=57).contains(&report.capped), "{}", report.capped);
    // Sixty answers of 20 ms by three at a time take 400 ms; the schedule takes 60.
    records.sort_by_key(|r| r.session);
    let last = records.last().expect("sixty");
    let waited = last.sent_at.expect("sent").since(last.scheduled_at);
    assert!(waited >= millis(200), "{waited:?}");
}

#[test]
fn a_stop_leaves_rows_for_what_was_due_and_gives_back_the_rest() {
    let addr = serve(|_| slow(Duration::from_secs(30)));
    let load = Load::Open { max_in_flight: Some(2), connections: 2 };
    let stop = StopHandle::new();
    let stopper = stop.clone();
    let mut due_seen = 0;
    // More than is kept ready ahead, so that the source itself holds due ones.
    let requests = every(Duration::from_micros(200), 5_000);
    let (records, report) =
        run_open(&workers(config(addr), 1), load, Until::default(), requests.clone(), &stop, |e| {
            if let LoadEvent::Tick(live) = e {
                due_seen = live.due;
                assert!(live.in_flight <= 2);
                if live.due > 250 {
                    stopper.stop();
                }
            }
        });
    assert_eq!(report.ended, StageEnd::Interrupted);
    on_schedule(&records, &report, &requests);
    assert!(records.iter().all(|r| r.outcome == Outcome::Cancelled));
    assert_eq!(records.iter().filter(|r| r.sent_at.is_some()).count(), 2);
    assert!(records.len() as u64 >= due_seen, "{} of {due_seen}", records.len());
    // Rows are exactly a beginning of the schedule; what comes back follows it.
    let mut sessions: Vec<_> = records.iter().map(|r| r.session).collect();
    sessions.sort_unstable();
    assert_eq!(sessions, (0..records.len() as u32).collect::<Vec<_>>());
    assert!(report.unsent.iter().all(|u| u.session as usize >= records.len()));
    assert!(report.capped >= 1);
}

#[test]
fn a_server_that_is_gone_is_a_failed_row_each() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    drop(listener);
    let requests = every(millis(2), 50);
    let (records, report) = run_all(&config(addr), OPEN, requests.clone());
    assert_eq!((records.len(), report.ended), (50, StageEnd::Requests));
    on_schedule(&records, &report, &requests);
    for record in records {
        assert!(matches!(&record.outcome, Outcome::Failed(f) if f.cause == FailureCause::Connect));
        assert!(record.sent_at.is_none() && record.connect.is_some());
    }
}

#[test]
fn connections_the_server_closed_are_replaced() {
    let addr = serve(|_| {
        let mut acts = whole();
        acts.push(Act::Close);
        acts
    });
    let load = Load::Open { max_in_flight: None, connections: 1 };
    let (records, _) = run_all(&workers(config(addr), 1), load, every(millis(50), 8));
    assert_eq!(records.len(), 8);
    // A close that is not yet seen when the request is written is the row's.
    let completed = records.iter().filter(|r| r.outcome == Outcome::Completed).count();
    assert!(completed >= 1, "{records:?}");
    for record in &records {
        match &record.outcome {
            Outcome::Completed => {}
            Outcome::Failed(f) => assert_eq!(f.cause, FailureCause::Http),
            Outcome::Cancelled => panic!("nobody cancelled"),
        }
    }
}

#[test]
fn a_stage_can_be_ended_and_the_next_one_runs() {
    let addr = serve(|_| slow(millis(50)));
    let stop = StopHandle::new();
    let ender = stop.clone();
    let requests = every(millis(10), 2_000);
    let mut finished = 0;
    let (records, report) =
        run_open(&config(addr), OPEN, Until::default(), requests.clone(), &stop, |event| {
            finished += u32::from(matches!(event, LoadEvent::RequestFinished(_)));
            if finished == 10 {
                ender.end_stage();
            }
        });
    assert_eq!(report.ended, StageEnd::Precise);
    on_schedule(&records, &report, &requests);
    assert!(records.len() >= 10 && records.len() < 2_000);
    // Sent is waited for; only what was due and could not leave any more is cancelled.
    for record in &records {
        assert_eq!(record.outcome == Outcome::Completed, record.sent_at.is_some());
    }
    assert!(report.unsent.iter().all(|u| u.session as usize >= records.len()));

    let until = Until { duration: Some(Duration::from_secs(60)), ..Until::default() };
    let load = Load::Closed { concurrency: 3 };
    let mut finished = 0;
    let (records, report) =
        run_open(&config(addr), load, until, (0..2_000).map(request).collect(), &stop, |event| {
            finished += u32::from(matches!(event, LoadEvent::RequestFinished(_)));
            if finished == 10 {
                ender.end_stage();
            }
        });
    assert_eq!(report.ended, StageEnd::Precise);
    assert!(records.iter().all(|r| r.outcome == Outcome::Completed));
    assert!((10..2_000).contains(&records.len()));

    let (records, report) =
        run_open(&config(addr), OPEN, Until::default(), every(millis(1), 5), &stop, |_| {});
    assert_eq!((records.len(), report.ended), (5, StageEnd::Requests));
}

#[test]
fn a_duration_bounds_the_schedule_and_a_number_is_planned() {
    let addr = serve(|_| slow(millis(100)));
    let requests = every(millis(10), 100);
    let ten = Until { duration: Some(millis(100)), ..Until::default() };
    let (records, report) =
        run_open(&config(addr), OPEN, ten, requests.clone(), &StopHandle::new(), |_| {});
    // Due at 0, 10, … 90 ms; the one due at 100 ms is not sent.
    assert_eq!((records.len(), report.ended), (10, StageEnd::Duration));
    assert!(records.iter().all(|r| r.outcome == Outcome::Completed), "drained");
    assert_eq!(report.unsent[0].session, 10);

    let five = Until { requests: Some(5), ..Until::default() };
    let run = |n: usize| {
        run_open(&config(addr), OPEN, five, requests[..n].to_vec(), &StopHandle::new(), |_| {})
    };
    let (records, report) = run(8);
    assert_eq!((records.len(), report.ended), (5, StageEnd::Requests));
    let (records, report) = run(3);
    assert_eq!((records.len(), report.ended), (3, StageEnd::Prompts));
}

#[test]
fn targets_take_turns() {
    let (a, b) = (serve(|_| whole()), serve(|_| whole()));
    let mut config = workers(config(a), 3);
    config.targets.extend(common::config(b).targets);
    let (records, _) = run_all(&config, OPEN, every(millis(1), 60));
    assert!(records.iter().all(|r| r.outcome == Outcome::Completed));
    assert!(records.iter().all(|r| r.server_index == r.session % 2));
}

#[test]
fn a_request_without_an_instant_or_out_of_order_is_an_error() {
    let addr = serve(|_| whole());
    let run = |requests: Vec<PreparedRequest>| {
        let stage = Stage { index: 0, load: OPEN, until: Until::default() };
        let stop = StopHandle::new();
        run_stage(&config(addr), stage, requests, RunClock::start(), &stop, |_| {})
    };
    let mut requests = every(millis(1), 4);
    requests[2].due = None;
    let error = run(requests).expect_err("no instant");
    assert!(matches!(&error, LoadError::NotScheduled { request_id } if request_id == "r2"));
    let mut requests = every(millis(1), 4);
    requests[3].due = Some(millis(1));
    let error = run(requests).expect_err("out of order");
    assert!(error.to_string().contains("r3") && error.to_string().contains("1ms"), "{error}");
    let (records, report) = run_all(&config(addr), OPEN, Vec::new());
    assert_eq!((records.len(), report.ended), (0, StageEnd::Requests));
}
