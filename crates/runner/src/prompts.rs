//! What a run sends: the prompts of a corpus, or prompts made to a trace's lengths.

use std::time::Duration;

use vllm_bench_corpus::{
    Corpus, CorpusError, Prompt, ServerCounter, ServerOptions, WordPrompt, WordPrompts,
};
use vllm_bench_loadgen::{ApiKey, ClientConfig, Due, ScheduleError};
use vllm_bench_protocol::{Endpoint, TokenizeRequest, TokenizeResponse};
use vllm_bench_record::{CorpusInfo, Outcome, ServerInfo};

use crate::body::{BodyWriter, ChunkCounts};
use crate::error::RunError;
use crate::plan::{Pace, RunPlan};
use crate::preflight::{http, send_one};
use crate::scenario::Scenario;

/// Where prompts come from.
#[derive(Debug)]
pub(crate) enum Prompts {
    /// A corpus file.
    Corpus(Box<Corpus>),
    /// Plain words, as many as a trace says.
    Words {
        make: WordPrompts,
        /// Length of a prompt that nothing gives one, tokens.
        tokens: u32,
        /// Tokens of a block with a hash id.
        block_tokens: u32,
    },
}

/// Tokens of a hashed block where a trace does not say; Mooncake's.
const BLOCK_TOKENS: u32 = 512;

impl Prompts {
    /// How many there are; `None`: as many as are wanted.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Corpus(corpus) => Some(corpus.len()),
            Self::Words { .. } => None,
        }
    }

    /// Prompt number `index`, as `due` wants it.
    pub(crate) fn prompt(&self, index: usize, due: Option<&Due>) -> Result<Prompt, CorpusError> {
        match self {
            Self::Corpus(corpus) => corpus.prompt(index),
            Self::Words { make, tokens, block_tokens } => {
                let blocks = due.and_then(|due| due.hash_ids.as_deref()).unwrap_or_default();
                let tokens = due.and_then(|due| due.prompt_tokens).unwrap_or(*tokens);
                let block_tokens = *block_tokens;
                Ok(make.prompt(WordPrompt { index: index as u64, tokens, blocks, block_tokens }))
            }
        }
    }

    /// As the manifest tells it.
    pub(crate) fn info(&self, scenario: &Scenario, plan: &RunPlan) -> CorpusInfo {
        match self {
            Self::Corpus(corpus) => {
                let header = corpus.header();
                let file = scenario.spec.corpus.as_ref().map(|c| c.file.get_ref().display());
                CorpusInfo {
                    file: file.map(|file| file.to_string()).unwrap_or_default(),
                    sha256: corpus.sha256().to_owned(),
                    prompts: corpus.len() as u64,
                    mean_tokens: Some(header.tokens.mean),
                    tokenizer: Some(header.tokenizer.clone()),
                    shared_leading_blocks: Some(header.shared_leading_blocks),
                    shared_head_tokens: Some(header.shared_head_tokens),
                }
            }
            Self::Words { .. } => CorpusInfo {
                file: "words, to the trace's lengths".into(),
                prompts: plan.prompts_needed().least(),
                mean_tokens: plan.prompt_tokens().and_then(|totals| totals.mean()),
                tokenizer: Some("the server's /tokenize".into()),
                ..CorpusInfo::default()
            },
        }
    }
}

/// Opens the scenario's corpus and sees whether it is enough; `None` where prompts are made.
pub(crate) fn open(scenario: &Scenario, plan: &RunPlan) -> Result<Option<Corpus>, RunError> {
    let Some(spec) = &scenario.spec.corpus else { return Ok(None) };
    let file = &spec.file;
    let corpus = Corpus::open(file.get_ref()).map_err(|source| broken(scenario, source))?;
    let (needed, available) = (plan.prompts_needed(), corpus.len() as u64);
    if needed.least() <= available {
        return Ok(Some(corpus));
    }
    Err(RunError::TooFewPrompts {
        file: file.get_ref().clone(),
        available,
        needed: needed.least(),
        sum: needed.sum,
        place: scenario.load_place(),
    })
}

/// A corpus that cannot be read, with the place that names it.
pub(crate) fn broken(scenario: &Scenario, source: CorpusError) -> RunError {
    let span = scenario.spec.corpus.as_ref().map_or(0..0, |corpus| corpus.file.span());
    RunError::Corpus { place: scenario.place().point(span), source }
}

/// What is known when prompts are held against the server.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub scenario: &'a Scenario,
    pub plan: &'a RunPlan,
    pub client: &'a ClientConfig,
    pub server: &'a ServerInfo,
}

impl Look<'_> {
    /// Refuses a corpus whose prompts do not fit, and compares its counts with the server's. Tells which
    /// prompt was spent on that, if one was.
    pub(crate) fn at_corpus(
        self,
        corpus: Corpus,
        warnings: &mut Vec<String>,
    ) -> Result<(Prompts, Option<usize>), RunError> {
        let spent = self.check_lengths(&corpus, warnings)?;
        self.compare_counts(&corpus, warnings)?;
        Ok((Prompts::Corpus(Box::new(corpus)), spent))
    }

    /// Finds the words that the server's tokenizer keeps whole, and refuses a trace that does not fit.
    pub(crate) fn at_trace(self, api_key: Option<&ApiKey>) -> Result<Prompts, RunError> {
        let lengths = self.plan.prompt_tokens().filter(|totals| totals.requests > 0);
        let Some(mean) = lengths.and_then(|totals| totals.mean()) else {
            return Err(RunError::NoLengths { place: self.scenario.load_place() });
        };
        self.check_trace()?;
        let options = ServerOptions {
            url: self.client.targets[0].base_url(),
            model: Some(self.server.model.clone()),
            api_key: api_key.map(|key| key.expose().to_owned()),
            threads: 1,
            timeout: Duration::from_secs(60),
        };
        let words = || {
            let counter = ServerCounter::connect(options, self.client.endpoint)?;
            WordPrompts::new(&counter, self.scenario.spec.request.seed)
        };
        let make = words().map_err(|source| RunError::Words {
            place: self.scenario.load_place(),
            source: Box::new(source),
        })?;
        let block_tokens = self
            .plan
            .traces()
            .find_map(|trace| trace.block_tokens)
            .map_or(BLOCK_TOKENS, std::num::NonZeroU32::get);
        Ok(Prompts::Words { make, tokens: mean.round() as u32, block_tokens })
    }

    /// Counts the requests of a trace that are longer than the server takes.
    fn check_trace(self) -> Result<(), RunError> {
        let Some(limit) = self.server.max_model_len else { return Ok(()) };
        let (mut too_long, mut longest, mut requests) = (0, 0, 0);
        for pace in self.plan.stages.iter().filter_map(|stage| stage.pace.as_ref()) {
            let failed = |source: ScheduleError| self.scenario.broken_schedule(source);
            for due in pace.schedule().map_err(failed)? {
                let due = due.map_err(failed)?;
                let answer =
                    due.output_tokens.unwrap_or(self.scenario.spec.request.max_tokens.get());
                let all = due.prompt_tokens.unwrap_or(0).saturating_add(answer);
                requests += 1;
                too_long += u64::from(all > limit);
                longest = longest.max(all);
            }
        }
        if too_long == 0 {
            return Ok(());
        }
        let place = self.scenario.load_place();
        let url = self.server.url.clone();
        Err(RunError::TraceTooLong { place, url, too_long, requests, longest, limit })
    }

    /// Refuses prompts that do not fit, in the server's own words.
    fn check_lengths(
        self,
        corpus: &Corpus,
        warnings: &mut Vec<String>,
    ) -> Result<Option<usize>, RunError> {
        let (scenario, server) = (self.scenario, self.server);
        let Some(limit) = server.max_model_len else { return Ok(None) };
        let traced = self.plan.stages.iter().filter_map(|stage| stage.longest_answer).max();
        let answer = traced.unwrap_or(scenario.spec.request.max_tokens.get());
        if corpus.header().tokens.max.saturating_add(answer) <= limit {
            return Ok(None);
        }
        let mut longest = (0_u32, 0_usize);
        let mut too_long = 0;
        let prompt = |index| corpus.prompt(index).map_err(|source| broken(scenario, source));
        for index in 0..corpus.len() {
            let tokens = prompt(index)?.tokens;
            too_long += u64::from(tokens.saturating_add(answer) > limit);
            longest = longest.max((tokens, index));
        }
        let prompt = prompt(longest.1)?;
        let bodies = BodyWriter::new(scenario, &server.model, ChunkCounts::Assumed);
        let (record, _) = send_one(self.client, bodies.body(&prompt, answer), "preflight-longest")?;
        match record.outcome {
            // The prompt fits, the answer will not: vLLM ends it at the limit. (Or the
            // corpus was counted by another tokenizer.)
            Outcome::Completed | Outcome::Cancelled => {
                warnings.push(format!(
                    "{too_long} of {} prompts leave less room than max_tokens = {answer}: the server ends those answers at its {limit} tokens",
                    corpus.len()
                ));
                Ok(Some(longest.1))
            }
            Outcome::Failed(failure) => Err(RunError::TooLong {
                url: server.url.clone(),
                too_long,
                prompts: corpus.len() as u64,
                max_model_len: limit,
                longest: longest.0.saturating_add(answer),
                words: failure.message,
            }),
        }
    }

    /// Compares the corpus's count of its first prompt with the server's own.
    fn compare_counts(self, corpus: &Corpus, warnings: &mut Vec<String>) -> Result<(), RunError> {
        let client = self.client;
        let Ok(prompt) = corpus.prompt(0) else { return Ok(()) };
        let mut request = TokenizeRequest {
            model: Some(self.server.model.clone()),
            ..TokenizeRequest::default()
        };
        match client.endpoint {
            Endpoint::Chat => {
                request.messages = Some(prompt.messages.clone());
                request.add_generation_prompt = Some(true);
            }
            Endpoint::Completions => request.prompt = Some(prompt.text()),
        }
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let answer = http(client, &client.targets[0]).post("/tokenize", &body)?;
        let Ok(counted) = serde_json::from_slice::<TokenizeResponse>(&answer.body) else {
            return Ok(());
        };
        if counted.count != prompt.tokens {
            warnings.push(format!(
                "the server counts {} tokens in the first prompt, the corpus says {} (by {}); lengths in this run are the server's",
                counted.count,
                prompt.tokens,
                corpus.header().tokenizer
            ));
        }
        Ok(())
    }
}

impl RunPlan {
    /// The traces that it replays.
    fn traces(&self) -> impl Iterator<Item = &vllm_bench_loadgen::TraceSpec> {
        self.stages.iter().filter_map(|stage| match &stage.pace {
            Some(Pace::Trace(spec)) => Some(spec.as_ref()),
            _ => None,
        })
    }
}
