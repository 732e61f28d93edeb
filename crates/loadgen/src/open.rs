//! One worker of an open loop: sends each request at its instant, whatever the answers do.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use vllm_bench_record::Timestamp;

use crate::client::{Client, Outgoing};
use crate::plan::Load;
use crate::pool::{Parts, Pool};
use crate::stop::{LocalStop, raised};
use crate::timer::Alarm;
use crate::worker::{Ended, Message, Worker};

/// Sends what the worker's queue holds, in order, and waits for the answers.
pub(crate) async fn send_on_time(mut worker: Worker, stop: Rc<LocalStop>) -> Ended {
    let max_in_flight = match worker.stage.load {
        Load::Open { max_in_flight, .. } => max_in_flight,
        Load::Closed { .. } => None,
    };
    let pool = Pool::new(Parts {
        config: Rc::new(worker.config.clone()),
        connector: Rc::new(worker.connector.clone().connector()),
        clock: worker.clock,
        stop,
        stage_index: worker.stage.index,
        worker: worker.index,
        workers: worker.workers,
        max_in_flight,
    });
    let connections = pool.open(worker.users.len() as u32).await;
    let (alarm, degraded) = Alarm::new();
    // A send fails only when the stage is gone, and then so is this worker.
    let _ = worker.messages.send(Message::Ready { connections, degraded });
    let Some(start) = worker.started().await else { return Ended::default() };
    let cpu = crate::cpu::thread_time();

    let mut tasks = JoinSet::new();
    let capped = dispatch(&mut worker, start, &alarm, &pool, &mut tasks).await;
    while let Some(ended) = tasks.join_next().await {
        log(ended);
    }
    Ended { by_duration: false, capped, cpu: crate::cpu::since(cpu) }
}

/// Sends until the queue is at its end or nothing more is to be sent; how many requests had
/// to wait for a free slot.
async fn dispatch(
    worker: &mut Worker,
    start: Timestamp,
    alarm: &Alarm,
    pool: &Rc<Pool>,
    tasks: &mut JoinSet<()>,
) -> u64 {
    let mut capped = 0;
    // When the last request that had to wait for a slot got one.
    let mut waited_until = Timestamp::ZERO;
    loop {
        let outgoing = tokio::select! {
            biased;
            () = raised(&mut worker.stop) => return capped,
            next = worker.queue.recv() => match next {
                Ok(outgoing) => outgoing,
                Err(_) => return capped,
            },
        };
        let due = start + outgoing.prepared.due.unwrap_or_default();
        let go = tokio::select! {
            biased;
            () = raised(&mut worker.stop) => false,
            () = alarm.wait(worker.clock.instant(due)) => true,
        };
        let slot = match worker.cap.clone() {
            _ if !go => None,
            None => Some(None),
            Some(cap) => {
                let slot = slot(worker, cap).await;
                if slot.waited {
                    waited_until = worker.clock.now();
                }
                // Behind one that waited past this one's instant it has waited too.
                capped += u64::from(slot.waited || due < waited_until);
                slot.permit.map(Some)
            }
        };
        let Some(permit) = slot else {
            let _ = worker.messages.send(Message::Left(Box::new(outgoing)));
            return capped;
        };
        let server = pool.server_of(outgoing.index);
        let client = pool.take(server).await;
        let mut task: Pin<Box<dyn Future<Output = ()>>> =
            Box::pin(exchange(worker, client, outgoing, due, permit, pool));
        // Sent from here, at its instant: a task of its own would stand in line behind others.
        if poll_fn(|cx| Poll::Ready(task.as_mut().poll(cx))).await.is_pending() {
            tasks.spawn_local(task);
        }
        pool.tend(server).await;
        while let Some(ended) = tasks.try_join_next() {
            log(ended);
        }
        // However dense or late the schedule is, the answers are read between two sends.
        tokio::task::yield_now().await;
    }
}

/// A slot under the cap.
struct Slot {
    /// `None` when nothing more is to be sent.
    permit: Option<OwnedSemaphorePermit>,
    waited: bool,
}

async fn slot(worker: &mut Worker, cap: Arc<Semaphore>) -> Slot {
    if let Ok(permit) = Arc::clone(&cap).try_acquire_owned() {
        return Slot { permit: Some(permit), waited: false };
    }
    let permit = tokio::select! {
        biased;
        () = raised(&mut worker.stop) => None,
        permit = cap.acquire_owned() => permit.ok(),
    };
    Slot { permit, waited: true }
}

/// One request to its record, and its connection back to the pool.
fn exchange(
    worker: &Worker,
    mut client: Client,
    outgoing: Outgoing,
    due: Timestamp,
    permit: Option<OwnedSemaphorePermit>,
    pool: &Rc<Pool>,
) -> impl Future<Output = ()> + use<> {
    let (pool, messages) = (Rc::clone(pool), worker.messages.clone());
    let counters = Arc::clone(&worker.counters);
    async move {
        counters.begin();
        let record = client.request(outgoing, due, |n| counters.tokens(n)).await;
        counters.end();
        pool.give(client);
        drop(permit);
        let _ = messages.send(Message::Finished(Box::new(record)));
    }
}

fn log(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a request ended by a bug");
    }
}
