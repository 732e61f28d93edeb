//! Everything that can be known before the first prompt is sent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use vllm_bench_bench::TruthCommand;
use vllm_bench_loadgen::{
    ApiKey, Arrivals, ClientConfig, Load, LoadEvent, PreparedRequest, Stage, StopHandle, Target,
    Timeouts, Until, check_capture, run_stage,
};
use vllm_bench_protocol::{ModelList, Version, prometheus};
use vllm_bench_record::{
    CaptureInfo, ChunkTokenSource, ClockSource, CorpusInfo, FailureCause, Outcome, RequestRecord,
    RunClock, ServerInfo,
};

use crate::body::{BodyWriter, ChunkCounts};
use crate::calibrate_load::Probed;
use crate::error::RunError;
use crate::http::Http;
use crate::plan::RunPlan;
use crate::prompts::{self, Look, Prompts};
use crate::scenario::{ClockChoice, Scenario, TokenCounts};

/// What the caller's environment adds to a scenario.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Where run directories are made.
    pub results_dir: PathBuf,
    /// Bearer key of the servers.
    pub api_key: Option<ApiKey>,
    /// A program that plays the truth server, usually the caller's own file (see
    /// [`calibrate`](crate::calibrate)); without one the client's own error is not measured.
    pub truth: Option<TruthCommand>,
}

/// A scenario that can be run: corpus open, servers there, model known, plan feasible.
#[derive(Debug)]
pub struct Ready {
    pub(crate) scenario: Scenario,
    pub(crate) options: RunOptions,
    pub(crate) plan: RunPlan,
    pub(crate) prompts: Prompts,
    pub(crate) client: ClientConfig,
    pub(crate) bodies: BodyWriter,
    pub(crate) spent: Option<usize>,
    pub(crate) probed: Probed,
    /// The corpus, as the manifest tells it.
    pub corpus_info: CorpusInfo,
    /// The servers.
    pub servers: Vec<ServerInfo>,
    /// How chunk tokens will be counted.
    pub counts: ChunkCounts,
    /// How arrivals are stamped, as the first answer showed.
    pub clock: ClockSource,
    /// What a reader must know.
    pub warnings: Vec<String>,
}

impl Ready {
    /// One line on what is about to run: scenario, model, server, corpus, clock.
    pub fn headline(&self) -> String {
        let server = &self.servers[0];
        let version =
            server.version.as_deref().map(|v| format!(" on vLLM {v}")).unwrap_or_default();
        let place = match self.servers.len() {
            1 => server.url.clone(),
            n => format!("{n} servers"),
        };
        format!(
            "{} · {}{version} at {place} · {} prompts, {:.0} tokens mean · clock: {}",
            self.scenario.spec.name,
            server.model,
            self.corpus_info.prompts,
            self.corpus_info.mean_tokens.unwrap_or_default(),
            self.clock.as_str(),
        )
    }

    /// The stages that will run.
    pub const fn plan(&self) -> &RunPlan {
        &self.plan
    }
}

/// Checks all that can be checked. Sends the servers a few short requests of
/// our own and, only to hear the server's words about it, a prompt that is too long.
///
/// # Errors
/// The first thing that makes the run impossible; see [`RunError::problem`].
pub fn preflight(scenario: Scenario, options: RunOptions) -> Result<Ready, RunError> {
    let plan = RunPlan::of(&scenario)?;
    let mut warnings = Vec::new();
    // Reading a corpus and asking servers both take their time, and neither needs the other.
    let (corpus, reached) = thread::scope(|scope| {
        let reached = scope.spawn(|| reach(&scenario, &options));
        (prompts::open(&scenario, &plan), reached.join())
    });
    let corpus = corpus?;
    let (client, servers) = reached.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let model = servers[0].model.clone();
    if let Some(other) = servers.iter().find(|s| s.model != model) {
        warnings.push(format!(
            "the servers have different models: {model} at {}, {} at {}",
            servers[0].url, other.model, other.url
        ));
    }
    let looked = Look { scenario: &scenario, plan: &plan, client: &client, server: &servers[0] };
    let (prompts, spent) = match corpus {
        Some(corpus) => looked.at_corpus(corpus, &mut warnings)?,
        None => (looked.at_trace(options.api_key.as_ref())?, None),
    };
    let corpus_info = prompts.info(&scenario, &plan);
    if corpus_info.shared_leading_blocks.is_some_and(|n| n > 0) {
        warnings.push(format!(
            "{} prompts of the corpus share their first block with another: the prefix cache can help them",
            corpus_info.shared_leading_blocks.unwrap_or_default()
        ));
    }

    let (counts, clock, probed) = find_counts(&scenario, &client, &model, &mut warnings)?;
    let bodies = BodyWriter::new(&scenario, &model, counts);
    Ok(Ready {
        scenario,
        options,
        plan,
        prompts,
        client,
        bodies,
        spent,
        probed,
        corpus_info,
        servers,
        counts,
        clock,
        warnings,
    })
}

/// The servers of `scenario`, and how they are spoken to.
fn reach(
    scenario: &Scenario,
    options: &RunOptions,
) -> Result<(ClientConfig, Vec<ServerInfo>), RunError> {
    let client = client_config(scenario, options)?;
    if client.arrivals == Arrivals::Capture {
        check_capture(&client.targets)?;
    }
    let look = |target| look_at(scenario, &client, target);
    let servers = client.targets.iter().map(look).collect::<Result<_, _>>()?;
    Ok((client, servers))
}

fn client_config(scenario: &Scenario, options: &RunOptions) -> Result<ClientConfig, RunError> {
    let server = &scenario.spec.server;
    let timeouts = scenario.spec.timeouts;
    let ca_pem = server.ca_file.as_deref().map(read_file).transpose()?;
    Ok(ClientConfig {
        targets: server.url.all().iter().map(|u| Target::resolve(u)).collect::<Result<_, _>>()?,
        endpoint: server.endpoint,
        stream: server.stream,
        api_key: options.api_key.clone(),
        headers: server.headers.clone().into_iter().collect(),
        timeouts: Timeouts {
            connect: timeouts.connect.0,
            first_token: timeouts.first_token.0,
            between_tokens: timeouts.between_tokens.0,
            total: timeouts.total.0,
        },
        keep_answers: scenario.spec.output.answers,
        workers: scenario.spec.load.get_ref().workers,
        ca_pem,
        arrivals: match scenario.spec.load.get_ref().clock {
            ClockChoice::Auto => Arrivals::Kernel,
            ClockChoice::Userland => Arrivals::Userland,
            ClockChoice::Capture => Arrivals::Capture,
        },
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, RunError> {
    std::fs::read(path).map_err(|source| RunError::File { path: path.to_owned(), source })
}

pub(crate) fn http<'a>(client: &'a ClientConfig, target: &'a Target) -> Http<'a> {
    Http::new(target, client.api_key.as_ref(), &client.headers, client.ca_pem.as_deref())
}

/// One server: its models, version and cache configuration.
fn look_at(
    scenario: &Scenario,
    client: &ClientConfig,
    target: &Target,
) -> Result<ServerInfo, RunError> {
    let http = http(client, target);
    let url = target.base_url();
    let models = http.get("/v1/models")?;
    if !models.is_ok() {
        return Err(models.refusal("to list its models"));
    }
    let list: ModelList = serde_json::from_slice(&models.body).map_err(|e| RunError::Refused {
        url: models.url.clone(),
        what: "to list its models".into(),
        words: format!(
            "the answer is not a list of models ({e}); is this an OpenAI-compatible server?"
        ),
    })?;
    let names: Vec<String> = list.data.iter().map(|m| m.id.clone()).collect();
    let wanted = scenario.spec.server.model.as_str();
    let model_error =
        |problem: String| RunError::Model { url: url.clone(), problem, models: names.clone() };
    let card = match wanted {
        "auto" => match list.data.as_slice() {
            [only] => only,
            [] => return Err(model_error("has no model".into())),
            _ => return Err(model_error("has several models; name one (--model)".into())),
        },
        name => list
            .data
            .iter()
            .find(|m| m.id == name)
            .ok_or_else(|| model_error(format!("has no model {name:?}")))?,
    };

    // Other OpenAI-compatible servers have neither of these.
    let version = http
        .get("/version")
        .ok()
        .filter(|a| a.is_ok())
        .and_then(|a| serde_json::from_slice::<Version>(&a.body).ok())
        .map(|v| v.version);
    let simulated = models.server.as_deref().is_some_and(|s| s.starts_with("vllm-bench-simulator"))
        || version.as_deref().is_some_and(|v| v.contains("simulat"));
    let cache_config = http
        .get("/metrics")
        .ok()
        .filter(|a| a.is_ok())
        .and_then(|a| cache_config(&String::from_utf8_lossy(&a.body)))
        .unwrap_or_default();
    Ok(ServerInfo {
        url,
        version,
        model: card.id.clone(),
        max_model_len: card.max_model_len,
        simulated,
        cache_config,
    })
}

fn cache_config(text: &str) -> Option<BTreeMap<String, String>> {
    let exposition = prometheus::parse(text).ok()?;
    let labels = exposition.labels("vllm:cache_config_info")?;
    Some(labels.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}

/// Finds out how the server tells the tokens of a chunk, by asking.
fn find_counts(
    scenario: &Scenario,
    client: &ClientConfig,
    model: &str,
    warnings: &mut Vec<String>,
) -> Result<(ChunkCounts, ClockSource, Probed), RunError> {
    let tries: &[ChunkCounts] = match scenario.spec.request.token_counts {
        _ if !client.stream => &[ChunkCounts::Assumed],
        TokenCounts::Auto => {
            &[ChunkCounts::RunningUsage, ChunkCounts::TokenIds, ChunkCounts::Assumed]
        }
        TokenCounts::RunningUsage => &[ChunkCounts::RunningUsage],
        TokenCounts::TokenIds => &[ChunkCounts::TokenIds],
        TokenCounts::Assumed => &[ChunkCounts::Assumed],
    };
    let mut refusal = None;
    let mut clock = ClockSource::Userland;
    let mut probed = Probed::default();
    for (n, &counts) in tries.iter().enumerate() {
        let bodies = BodyWriter::new(scenario, model, counts);
        let nonce = format!("{:x}-{n}", RunClock::start().wall_start_unix_ns());
        let (record, capture) = send_one(client, bodies.probe(&nonce), &format!("preflight-{n}"))?;
        if record.chunks.iter().any(|c| c.client_lag.is_some()) {
            clock = ClockSource::Kernel;
        }
        if let Some(capture) = capture
            && !record.chunks.is_empty()
        {
            if capture.resolved_chunks == 0 {
                return Err(RunError::CaptureBlind { url: client.targets[0].base_url() });
            }
            clock = ClockSource::Capture;
        }
        if record.outcome == Outcome::Completed {
            probed = Probed { ttft: record.ttft(), tpot: record.tpot() };
        }
        match (&record.outcome, record.chunk_token_source) {
            (Outcome::Completed, source) => {
                let told = match counts {
                    ChunkCounts::RunningUsage => source == ChunkTokenSource::RunningUsage,
                    ChunkCounts::TokenIds => source == ChunkTokenSource::TokenIds,
                    ChunkCounts::Assumed => true,
                };
                if told {
                    if counts == ChunkCounts::Assumed && client.stream {
                        warnings.push(
                            "the server does not tell the tokens of a chunk: each chunk counts as one token in ITL".into(),
                        );
                    }
                    return Ok((counts, clock, probed));
                }
            }
            (Outcome::Failed(failure), _) if failure.cause == FailureCause::HttpStatus => {
                refusal = Some(failure.message.clone());
            }
            (outcome, _) => {
                let words = match outcome {
                    Outcome::Failed(f) => format!("{} ({})", f.message, f.cause.as_str()),
                    _ => "cancelled".into(),
                };
                return Err(refused(client, words));
            }
        }
    }
    match refusal {
        Some(words) => Err(refused(client, words)),
        None => {
            warnings.push(
                "the server does not tell the tokens of a chunk as asked: each chunk counts as one token in ITL".into(),
            );
            Ok((tries[0], clock, probed))
        }
    }
}

fn refused(client: &ClientConfig, words: String) -> RunError {
    let target = &client.targets[0];
    RunError::Refused {
        url: format!("{}{}", target.base_url(), client.endpoint.path()),
        what: "a first short request".into(),
        words,
    }
}

/// Sends one body on the path that the load takes; what its capture saw, where there was one.
pub(crate) fn send_one(
    client: &ClientConfig,
    body: bytes::Bytes,
    id: &str,
) -> Result<(RequestRecord, Option<CaptureInfo>), RunError> {
    let request = PreparedRequest {
        request_id: id.into(),
        prompt_id: id.into(),
        session: 0,
        turn: 0,
        body,
        prompt_tokens: None,
        max_tokens: None,
        due: None,
    };
    let until = Until { requests: Some(1), ..Until::default() };
    let stage = Stage { index: 0, load: Load::Closed { concurrency: 1 }, until };
    let mut record = None;
    let config = ClientConfig {
        timeouts: Timeouts {
            total: client.timeouts.total.max(Duration::from_secs(60)),
            ..client.timeouts
        },
        ..client.clone()
    };
    let (clock, stop) = (RunClock::start(), StopHandle::new());
    let report = run_stage(&config, stage, [request], clock, &stop, |event| {
        if let LoadEvent::RequestFinished(finished) = event {
            record = Some(*finished);
        }
    })?;
    let record = record.ok_or_else(|| RunError::NoServer {
        url: client.targets[0].base_url(),
        reason: "the first request was not sent".into(),
    })?;
    Ok((record, report.capture))
}
