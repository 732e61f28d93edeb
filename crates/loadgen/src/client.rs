//! One user's requests, one after the other, each to its record.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::http::response::Parts;
use hyper::{Request, StatusCode};
use tokio::time::{Instant, Sleep};
use vllm_bench_record::{Failure, FailureCause, Outcome, RequestRecord, RunClock, Timestamp};

use crate::config::{ClientConfig, Timeouts};
use crate::connection::{Connection, Connector, Exchange, Part};
use crate::observe::{Observer, cut};
use crate::plan::PreparedRequest;
use crate::stop::LocalStop;
use crate::target::Target;

/// A request as it goes out, with what the record needs to know of it.
pub(crate) struct Outgoing {
    /// Its place in the stage's source, from 0.
    pub index: u64,
    pub request: Request<Full<Bytes>>,
    pub prepared: PreparedRequest,
}

/// One user of a stage.
pub(crate) struct Client {
    pub config: Rc<ClientConfig>,
    pub connector: Rc<Connector>,
    pub clock: RunClock,
    pub stop: Rc<LocalStop>,
    /// Its place among the worker's users.
    pub slot: usize,
    /// Its number in the stage.
    pub user: u32,
    /// The server it sends to: an index into the targets.
    pub server: usize,
    pub stage_index: u32,
    pub connection: Option<Connection>,
}

/// How an exchange ended, before it is a record.
enum End {
    /// The answer ended as framed, with this read.
    Whole,
    Failed(Failure),
    Cancelled,
}

impl Client {
    pub(crate) fn target(&self) -> &Target {
        &self.config.targets[self.server]
    }

    /// Opens the connection ahead of use. A failure is left for the request to tell.
    pub(crate) async fn connect(&mut self) {
        self.connection = self.open().await.ok();
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let limit = self.config.timeouts.connect;
        match tokio::time::timeout(limit, self.connector.open(self.target())).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(failure(FailureCause::Connect, &error.to_string())),
            Err(_) => Err(failure(
                FailureCause::ConnectTimeout,
                &format!("not connected after {limit:?}"),
            )),
        }
    }

    /// Whether its connection can carry a request. One that the server closed is dropped.
    pub(crate) async fn is_usable(&mut self) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        let usable = connection.is_usable().await;
        if !usable {
            self.connection = None;
        }
        usable
    }

    /// Sends one request, never before it is due, and watches its answer; whatever
    /// happens is in the record. `tokens` hears of arriving tokens. With an open
    /// connection the first poll sends: all that can be done before is done, and what is
    /// left of the time until `scheduled_at` is spent in a spin.
    pub(crate) async fn request(
        &mut self,
        outgoing: Outgoing,
        scheduled_at: Timestamp,
        tokens: impl Fn(u32),
    ) -> RequestRecord {
        let mut record = self.blank(&outgoing, scheduled_at);
        let stop = Rc::clone(&self.stop);
        let slot = self.slot;
        let ready = tokio::select! {
            biased;
            ready = self.ready_connection(&mut record) => Some(ready),
            () = stop.stopped(slot) => None,
        };
        let mut connection = match ready {
            Some(Ok(connection)) => connection,
            ended => {
                record.finished_at = Some(self.clock.now());
                if let Some(Err(failure)) = ended {
                    record.outcome = Outcome::Failed(failure);
                }
                return record;
            }
        };
        let mut observer = Observer::new(
            self.config.endpoint,
            self.config.stream,
            self.config.keep_answers,
            record.max_tokens,
        );
        if connection.gate().tracked().is_some() {
            observer.track_offsets();
        }
        let request = self.addressed(outgoing.request);
        while self.clock.now() < scheduled_at {
            std::hint::spin_loop();
        }
        let exchange = connection.send(request);
        let end = self.watch(exchange, &mut observer, &mut record, tokens).await;
        let gate = connection.gate();
        record.sent_at = gate.first_write();
        record.written_at = gate.last_write();
        if let Some(tracked) = gate.tracked() {
            tracked.ended(&record.request_id, self.config.stream, &observer.take_offsets());
        }
        let failure = observer.fill(&mut record);
        record.finished_at = Some(match end {
            End::Whole => connection.gate().last_read().at,
            _ => self.clock.now(),
        });
        let reusable = matches!(end, End::Whole);
        record.outcome = match (end, failure) {
            (End::Cancelled, _) => Outcome::Cancelled,
            // What the answer itself said comes before how its transport ended.
            (_, Some(failure)) => Outcome::Failed(failure),
            (End::Failed(failure), None) => Outcome::Failed(failure),
            (End::Whole, None) => Outcome::Completed,
        };
        // A connection whose answer was not read to its end carries the rest of it.
        if reusable {
            self.connection = Some(connection);
        }
        record
    }

    /// The connection to use: the open one, or a new one if the server closed it.
    async fn ready_connection(
        &mut self,
        record: &mut RequestRecord,
    ) -> Result<Connection, Failure> {
        if let Some(mut connection) = self.connection.take()
            && connection.is_usable().await
        {
            return Ok(connection);
        }
        let before = self.clock.now();
        let opened = self.open().await;
        record.connect = Some(self.clock.now().since(before));
        opened
    }

    async fn watch(
        &self,
        mut exchange: Exchange<'_>,
        observer: &mut Observer,
        record: &mut RequestRecord,
        tokens: impl Fn(u32),
    ) -> End {
        let mut limits = Limits::new(self.config.timeouts, self.clock.now(), self.clock);
        poll_fn(|cx| {
            self.stop.register(self.slot, cx);
            if self.stop.is_stopped() {
                return Poll::Ready(End::Cancelled);
            }
            while let Poll::Ready((part, read)) = exchange.poll_next(cx) {
                match part {
                    Part::Head(head) => {
                        record.headers_at = Some(read.at);
                        self.head(&head, observer, record);
                    }
                    Part::Data(bytes) => {
                        let new = observer.data(&bytes, read);
                        if new > 0 {
                            limits.token(observer.last_token());
                            tokens(new);
                        }
                        if observer.failed() {
                            return Poll::Ready(End::Failed(failure(
                                FailureCause::Malformed,
                                "the answer is not what the protocol says",
                            )));
                        }
                    }
                    Part::End => {
                        observer.end(read);
                        return Poll::Ready(End::Whole);
                    }
                    Part::Broken(error) => {
                        observer.broken();
                        return Poll::Ready(End::Failed(broken(&error, record)));
                    }
                }
            }
            if let Some(start) = exchange.gate().first_write() {
                limits.started(start);
            }
            match limits.poll(cx) {
                Poll::Ready(failure) => Poll::Ready(End::Failed(failure)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// The request as this user's server wants it; it was written for the first server.
    fn addressed(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        if self.server > 0 {
            let target = self.target();
            if let Ok(host) = target.authority().parse() {
                request.headers_mut().insert(HOST, host);
            }
            if let Ok(uri) = target.path(self.config.endpoint.path()).parse() {
                *request.uri_mut() = uri;
            }
        }
        request
    }

    fn head(&self, head: &Parts, observer: &mut Observer, record: &mut RequestRecord) {
        record.http_status = Some(head.status.as_u16());
        let text = |name| head.headers.get(name).and_then(|v| v.to_str().ok());
        if head.status != StatusCode::OK {
            let retry_after = text(RETRY_AFTER).and_then(|v| v.trim().parse().ok());
            observer.error_status(head.status, retry_after);
        } else if self.config.stream {
            let content_type = text(CONTENT_TYPE).unwrap_or("no content type");
            if !content_type.starts_with("text/event-stream") {
                observer.not_a_stream(content_type);
            }
        }
    }

    fn blank(&self, outgoing: &Outgoing, scheduled_at: Timestamp) -> RequestRecord {
        let (server, user) = (self.server as u32, self.user);
        blank(&outgoing.prepared, self.stage_index, server, user, scheduled_at)
    }
}

/// The row of a request that came due and was not sent, because nothing more was to be.
pub(crate) fn never_sent(
    prepared: &PreparedRequest,
    stage_index: u32,
    server: u32,
    scheduled_at: Timestamp,
) -> RequestRecord {
    blank(prepared, stage_index, server, 0, scheduled_at)
}

fn blank(
    prepared: &PreparedRequest,
    stage_index: u32,
    server: u32,
    user: u32,
    scheduled_at: Timestamp,
) -> RequestRecord {
    RequestRecord {
        stage_index,
        server_index: server,
        user,
        session: prepared.session,
        turn: prepared.turn,
        prompt_id: prepared.prompt_id.clone(),
        corpus_prompt_tokens: prepared.prompt_tokens,
        max_tokens: prepared.max_tokens,
        ..RequestRecord::due(&prepared.request_id, scheduled_at)
    }
}

fn failure(cause: FailureCause, message: &str) -> Failure {
    Failure { cause, message: cut(message), retry_after_s: None }
}

/// What hyper's error means: after the head it is a cut, before it a broken exchange.
fn broken(error: &hyper::Error, record: &RequestRecord) -> Failure {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let cause = if record.headers_at.is_some() && !error.is_parse() {
        FailureCause::Cut
    } else {
        FailureCause::Http
    };
    failure(cause, &message)
}

/// The limits of one request. The timer is armed lazily: tokens only move the
/// deadline, and it is looked at again when the timer fires.
struct Limits {
    timeouts: Timeouts,
    clock: RunClock,
    started: Option<Timestamp>,
    assumed_start: Timestamp,
    last_token: Option<Timestamp>,
    armed: Timestamp,
    timer: Pin<Box<Sleep>>,
}

impl Limits {
    fn new(timeouts: Timeouts, now: Timestamp, clock: RunClock) -> Self {
        let armed = now + timeouts.first_token.min(timeouts.total);
        let timer = Box::pin(tokio::time::sleep_until(Instant::from_std(clock.instant(armed))));
        Self { timeouts, clock, started: None, assumed_start: now, last_token: None, armed, timer }
    }

    fn started(&mut self, at: Timestamp) {
        self.started = Some(at);
    }

    fn token(&mut self, at: Option<Timestamp>) {
        self.last_token = at;
        if self.deadline().0 < self.armed {
            self.arm();
        }
    }

    fn deadline(&self) -> (Timestamp, FailureCause, Duration) {
        let start = self.started.unwrap_or(self.assumed_start);
        let total = (start + self.timeouts.total, FailureCause::TotalTimeout, self.timeouts.total);
        let token = match self.last_token {
            None => {
                let limit = self.timeouts.first_token;
                (start + limit, FailureCause::FirstTokenTimeout, limit)
            }
            Some(at) => {
                let limit = self.timeouts.between_tokens;
                (at + limit, FailureCause::BetweenTokensTimeout, limit)
            }
        };
        if token.0 < total.0 { token } else { total }
    }

    fn arm(&mut self) {
        self.armed = self.deadline().0;
        let instant = Instant::from_std(self.clock.instant(self.armed));
        self.timer.as_mut().reset(instant);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let (at, cause, limit) = self.deadline();
            if self.clock.now() >= at {
                let what = match cause {
                    FailureCause::FirstTokenTimeout => "no token",
                    FailureCause::BetweenTokensTimeout => "no further token",
                    _ => "not finished",
                };
                return Poll::Ready(failure(cause, &format!("{what} within {limit:?}")));
            }
            self.arm();
        }
        Poll::Pending
    }
}
