//! Making a corpus: sources, tokens, prompts, file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::ThreadPool;
use vllm_bench_protocol::Endpoint;

use crate::file::{Sealer, Spool, write};
use crate::header::{Aims, Retrieval, TokenStats};
use crate::lengths::Lengths;
use crate::overlap::{Tracer, overlap};
use crate::source::{self, HubFile, HubKind, HubOptions, Material, fetch, fetch_if_there};
use crate::spec::{CounterKind, Form, Pin};
use crate::tokens::{BuiltInCounter, ServerCounter, ServerOptions, TokenizerCounter};
use crate::uniqueness::violations;
use crate::{
    CorpusError, CorpusHeader, CorpusSpec, Progress, TokenCounter, conversations, rag, ready,
};

/// What a spec does not say, because it differs from machine to machine. Nothing of it gets into the corpus but by its
/// effect.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Paths of the spec are relative to this folder: the spec's own.
    pub base_dir: PathBuf,
    /// How to reach the Hub; `None`: local files only.
    pub hub: Option<HubOptions>,
    /// Which server counts, for `counter = "server"` or instead of what the spec says.
    pub server: Option<ServerOptions>,
    /// A tokenizer instead of the spec's: a folder, a `tokenizer.json`, or a Hub model id.
    pub tokenizer: Option<String>,
    /// Local copies of sources, by source name.
    pub source_paths: BTreeMap<String, PathBuf>,
    /// Threads; `None`: one a core. The corpus does not depend on it.
    pub threads: Option<usize>,
}

/// What prompts are made from and where they go.
pub(crate) struct Workshop<'a> {
    pub(crate) spec: &'a CorpusSpec,
    pub(crate) material: &'a Material,
    pub(crate) counter: &'a dyn TokenCounter,
    pub(crate) pool: &'a ThreadPool,
    pub(crate) sealer: &'a Sealer,
    pub(crate) spool: &'a mut Spool,
    pub(crate) progress: &'a mut dyn FnMut(Progress),
}

/// What a form says of the prompts that it put into the spool.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Passages that stand in a prompt and in an earlier one too.
    pub(crate) reuses: u64,
    /// How far the prompts are from the lengths that they aimed at, where they aimed.
    pub(crate) aims: Option<Aims>,
    /// Which documents were retrieved, of a retrieval plan.
    pub(crate) retrieval: Option<Retrieval>,
    /// Tokens that all prompts of one template begin with, where that is not the spec's own common head.
    pub(crate) head_tokens: Option<u32>,
}

/// Makes a corpus from local files and writes it to `out`; paths in the spec are relative to `base_dir`.
///
/// The same spec, sources and tokenizer give the same bytes, on any machine and with any number of threads.
///
/// ```
/// use vllm_bench_corpus::{Corpus, CorpusSpec, build};
///
/// let spec = CorpusSpec::parse("name = \"tiny\"\nprompts = 4\nlength = { mean_tokens = 300 }", "tiny.toml")?;
/// let out = std::env::temp_dir().join(format!("tiny-{}.jsonl", std::process::id()));
/// let header = build(&spec, ".".as_ref(), &out, &mut |_| {})?;
///
/// let corpus = Corpus::open(&out)?;
/// assert_eq!((corpus.len(), header.shared_leading_blocks), (4, 0));
/// assert!(corpus.prompt(0)?.messages[1].content.starts_with("Context:\n[1] "));
/// # std::fs::remove_file(&out).ok();
/// # Ok::<(), vllm_bench_corpus::CorpusError>(())
/// ```
///
/// # Errors
/// Anything that [`CorpusError`] lists; nothing is left at `out` then that was not there before.
pub fn build(
    spec: &CorpusSpec,
    base_dir: &Path,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CorpusHeader, CorpusError> {
    let options = BuildOptions { base_dir: base_dir.to_owned(), ..BuildOptions::default() };
    build_with(spec, &options, out, progress)
}

/// As [`build`], with downloads, a server or other files.
///
/// # Errors
/// As [`build`].
pub fn build_with(
    spec: &CorpusSpec,
    options: &BuildOptions,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CorpusHeader, CorpusError> {
    spec.validate()?;
    // Before the reading, so that a wrong key or path is told at once.
    let counter = counter(spec, options, progress)?;
    build_counted(spec, options, counter.as_ref(), out, progress)
}

/// As [`build_with`], with a counter of the caller's.
///
/// # Errors
/// As [`build`].
pub fn build_counted(
    spec: &CorpusSpec,
    options: &BuildOptions,
    counter: &dyn TokenCounter,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CorpusHeader, CorpusError> {
    spec.validate()?;
    let readers = pool(options.threads)?;
    // Moving in and out of the pool keeps `progress` on this thread.
    let (lengths, trace) = Lengths::of(spec, &options.base_dir)?;
    let (material, mut sources) = source::load(spec, &lengths, options, &readers, progress)?;
    sources.extend(trace);
    let counters = pool(counter.threads().or(options.threads))?;
    let block_size = spec.cache().block_size;
    let expected = expected_tokens(spec, &material, &lengths);
    let sealer = Sealer { name: spec.name.clone(), tracer: Tracer::new(block_size, expected) };
    let mut spool = Spool::create(out)?;
    let outcome = {
        let mut shop = Workshop {
            spec,
            material: &material,
            counter,
            pool: &counters,
            sealer: &sealer,
            spool: &mut spool,
            progress,
        };
        match spec.form {
            Form::Rag if spec.is_retrieved() => rag::retrieve(&mut shop, &lengths)?,
            Form::Rag => rag::assemble(&mut shop)?,
            Form::ReadyMade => ready::select(&mut shop)?,
            Form::Conversations => conversations::select(&mut shop)?,
        }
    };
    let tokens = TokenStats::of(spool.lengths()).ok_or_else(|| CorpusError::TooFew {
        wanted: 1,
        possible: 0,
        lacking: "no prompt is left".to_owned(),
        advice: "see what the sources hold".to_owned(),
    })?;
    check_mean(spec, &tokens)?;
    let overlap = overlap(
        spool.len() as u32,
        block_size,
        sealer.tracer.one_of(),
        spec.cache().blocks,
        |index| spool.trace(index),
    )?;
    let identity = counter.identity();
    let header = CorpusHeader {
        vllm_bench_corpus: 1,
        name: spec.name.clone(),
        created_by: concat!("vllm-bench ", env!("CARGO_PKG_VERSION")).to_owned(),
        spec: serde_json::to_value(spec)
            .map_err(|e| CorpusError::Option { what: "spec".to_owned(), message: e.to_string() })?,
        seed: spec.seed,
        tokenizer: identity.name,
        tokenizer_sha256: identity.sha256,
        chat_template: identity.chat_template,
        exact: identity.exact,
        sources,
        prompts: spool.len() as u32,
        tokens,
        shared_head_tokens: match outcome.head_tokens {
            Some(tokens) => tokens,
            None => rag::common_head(spec, counter)?,
        },
        block_size,
        shared_leading_blocks: violations(&spool.keys()).len() as u64,
        reused_passages: outcome.reuses,
        aims: outcome.aims,
        overlap: Some(overlap),
        retrieval: outcome.retrieval,
    };
    write(out, &header, &mut spool)?;
    Ok(header)
}

fn check_mean(spec: &CorpusSpec, tokens: &TokenStats) -> Result<(), CorpusError> {
    let Some(length) = spec.length.clone().or((spec.form == Form::Rag).then(|| spec.length()))
    else {
        return Ok(());
    };
    let wanted = f64::from(length.mean_tokens);
    // Other distributions aim at each length by itself, and the header has how far they are off.
    if spec.form != Form::Rag
        || spec.is_retrieved()
        || (tokens.mean - wanted).abs() <= wanted * 0.02
    {
        return Ok(());
    }
    Err(CorpusError::Length {
        message: format!("the mean came out at {} tokens, wanted is {} ± 2 %", tokens.mean, length.mean_tokens),
        advice: "ask for more prompts, or for a length.within that leaves room for the cut at a sentence".to_owned(),
    })
}

/// About how many tokens the corpus will have.
fn expected_tokens(spec: &CorpusSpec, material: &Material, lengths: &Lengths) -> u64 {
    match spec.form {
        Form::Rag => u64::from(spec.prompts()) * u64::from(lengths.mean()),
        Form::ReadyMade | Form::Conversations => {
            let texts = material.ready.iter().flat_map(|ready| &ready.messages);
            texts.map(|message| message.content.len() as u64 / 4).sum()
        }
    }
}

fn pool(threads: Option<usize>) -> Result<ThreadPool, CorpusError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .thread_name(|i| format!("corpus-{i}"))
        .build()
        .map_err(|e| CorpusError::Option { what: "threads".to_owned(), message: e.to_string() })
}

fn counter(
    spec: &CorpusSpec,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Box<dyn TokenCounter>, CorpusError> {
    let endpoint = spec.tokens.endpoint;
    if let Some(server) = &options.server {
        return Ok(Box::new(ServerCounter::connect(server.clone(), endpoint)?));
    }
    let kind = if options.tokenizer.is_some() { CounterKind::Tokenizer } else { spec.counter() };
    match (kind, options.tokenizer.as_ref().or(spec.tokens.tokenizer.as_ref())) {
        (CounterKind::BuiltIn, _) | (CounterKind::Tokenizer, None) => {
            Ok(Box::new(BuiltInCounter::new()))
        }
        (CounterKind::Tokenizer, Some(name)) => {
            Ok(Box::new(tokenizer(name, spec, options, endpoint, progress)?))
        }
        (CounterKind::Server, _) => Err(CorpusError::Option {
            what: "tokens.counter".to_owned(),
            message: "`server` needs the server's URL: --server http://HOST:8000".to_owned(),
        }),
    }
}

/// A local tokenizer where there is one of this name, else the Hub's.
fn tokenizer(
    name: &str,
    spec: &CorpusSpec,
    options: &BuildOptions,
    endpoint: Endpoint,
    progress: &mut dyn FnMut(Progress),
) -> Result<TokenizerCounter, CorpusError> {
    // An option's path is relative to where one stands, a spec's to the spec.
    let local =
        if options.tokenizer.is_some() { PathBuf::from(name) } else { options.base_dir.join(name) };
    if local.exists() {
        return TokenizerCounter::open(&local, endpoint);
    }
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let is_id =
        name.split('/').count() <= 2 && name.split('/').all(plain) && !name.starts_with('.');
    if !is_id {
        return Err(CorpusError::Tokenizer {
            name: name.to_owned(),
            message: "no such file or folder, and not a Hub model id".to_owned(),
        });
    }
    let own = options.tokenizer.is_none();
    let revision =
        spec.tokens.revision.clone().filter(|_| own).unwrap_or_else(|| "main".to_owned());
    let file = |path: &str| HubFile {
        kind: HubKind::Model,
        repo: name.to_owned(),
        revision: revision.clone(),
        path: path.to_owned(),
        pin: None,
    };
    let mut wanted = file("tokenizer.json");
    wanted.pin = spec
        .tokens
        .sha256
        .clone()
        .filter(|_| own)
        .map(|sha256| Pin { sha256, by: "the spec".to_owned() });
    let hub = options.hub.as_ref();
    let path = fetch(hub, &wanted, progress)?;
    fetch_if_there(hub, &file("tokenizer_config.json"), progress)?;
    for optional in ["chat_template.jinja", "special_tokens_map.json"] {
        match fetch_if_there(hub, &file(optional), progress) {
            // Not in the cache: many models do not have these.
            Ok(_) | Err(CorpusError::Offline { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    TokenizerCounter::open_as(&path, format!("{name}@{revision}"), endpoint)
}
