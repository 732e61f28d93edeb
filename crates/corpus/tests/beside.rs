//! On real data and tokenizers that lie beside the project (`../shared`). Each test says so where they do not.

mod common;

use std::collections::HashSet;
use std::time::Instant;

use common::{Bench, beside, prompts, question};
use vllm_bench_corpus::{
    BuildOptions, Corpus, CorpusSpec, TokenCounter, TokenizerCounter, build_with,
};
use vllm_bench_protocol::{ChatMessage, Endpoint};

#[test]
fn mistral_renders_and_counts_as_mistral_does() {
    let Some(path) = beside("tokenizers/mistral-7b-instruct-v0.3") else { return };
    let counter = TokenizerCounter::open(&path, Endpoint::Chat).expect("loads");
    let ids = |messages: &[ChatMessage]| counter.prompt_ids(messages).expect("renders");
    // <s> [INST] ▁Hello [/INST]: one <s>, and the special tokens as such.
    let hello = ids(&[ChatMessage::user("Hello")]);
    assert_eq!((hello[..2].to_vec(), hello.last(), hello.len()), (vec![1, 3], Some(&4), 4));
    // The system line goes into the last user turn; an answer ends with </s>.
    let turns = [
        ChatMessage::system("Be brief."),
        ChatMessage::user("Hi"),
        ChatMessage::assistant("Hello"),
        ChatMessage::user("Bye"),
    ];
    let all = ids(&turns);
    assert_eq!(all.iter().filter(|&&id| id == 1).count(), 1);
    assert_eq!(all.iter().filter(|&&id| id == 3).count(), 2);
    assert_eq!(all.iter().filter(|&&id| id == 2).count(), 1);
    // Completions: the tokenizer's own <s>.
    let plain = TokenizerCounter::open(&path, Endpoint::Completions).expect("loads");
    assert_eq!(plain.prompt_ids(&[ChatMessage::user("Hello")]).expect("counts")[0], 1);
    let error = counter
        .prompt_ids(&[ChatMessage::user("a"), ChatMessage::user("b")])
        .expect_err("must alternate")
        .to_string();
    assert!(error.contains("conversation roles must alternate user/assistant"), "{error}");
}

#[test]
fn qwen_and_gpt2_too() {
    if let Some(path) = beside("tokenizers/qwen3") {
        let counter = TokenizerCounter::open(&path, Endpoint::Chat).expect("loads, packed");
        let ids = counter
            .prompt_ids(&[ChatMessage::system("S"), ChatMessage::user("Hello")])
            .expect("renders");
        // <|im_start|> thrice, <|im_end|> twice.
        assert_eq!(ids.iter().filter(|&&id| id == 151_644).count(), 3, "{ids:?}");
        assert_eq!(ids.iter().filter(|&&id| id == 151_645).count(), 2, "{ids:?}");
    }
    if let Some(path) = beside("tokenizers/gpt2") {
        let counter = TokenizerCounter::open(&path, Endpoint::Chat).expect("loads");
        assert_eq!(counter.identity().chat_template, "none");
        assert_eq!(
            counter.prompt_ids(&[ChatMessage::user("Hello world")]).expect("counts"),
            [15496, 995]
        );
    }
}

#[test]
fn all_of_dolly_and_wikipedia_with_the_mistral_tokenizer() {
    let (Some(dolly), Some(wikipedia), Some(tokenizer)) = (
        beside("datasets/databricks-dolly-15k.jsonl.gz"),
        beside("datasets/wikipedia-passages.jsonl.gz"),
        beside("tokenizers/mistral-7b-instruct-v0.3"),
    ) else {
        return;
    };
    // The spec that users have, on local copies.
    let datasets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    let spec = CorpusSpec::from_file(&datasets.join("rag.toml")).expect("right");
    let bench = Bench::new();
    let options = |threads: Option<usize>| BuildOptions {
        base_dir: datasets.clone(),
        tokenizer: Some(tokenizer.display().to_string()),
        source_paths: [
            ("dolly".to_owned(), dolly.clone()),
            ("wikipedia".to_owned(), wikipedia.clone()),
        ]
        .into(),
        threads,
        ..BuildOptions::default()
    };
    let started = Instant::now();
    let header =
        build_with(&spec, &options(None), &bench.path("a.jsonl"), &mut |_| {}).expect("builds");
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!((header.prompts, header.shared_leading_blocks, header.exact), (1500, 0, true));
    assert!((header.tokens.mean - 1371.0).abs() <= 1371.0 * 0.02, "{:?}", header.tokens);
    assert!(header.tokens.min >= 1166 && header.tokens.max <= 1576, "{:?}", header.tokens);
    assert_eq!((header.sources[0].records, header.sources[1].records), (15_011, 13_015));
    assert!(seconds < 120.0, "took {seconds} s; about 6 s on two idle cores");

    let a = Corpus::open(bench.path("a.jsonl")).expect("whole");
    let counter = TokenizerCounter::open(&tokenizer, Endpoint::Chat).expect("loads");
    let end = (header.shared_head_tokens.div_ceil(16) as usize + 1) * 16;
    let mut blocks = HashSet::new();
    let mut questions = HashSet::new();
    for prompt in prompts(&a) {
        let ids = counter.prompt_ids(&prompt.messages).expect("counts");
        assert_eq!(ids.len(), prompt.tokens as usize, "{}", prompt.id);
        assert!(blocks.insert(ids[..end].to_vec()), "{} shares its first block", prompt.id);
        let asked =
            question(&prompt).rsplit("\n\nQuestion: ").next().expect("has a question").to_owned();
        assert!(questions.insert(asked), "{} asks what another asked", prompt.id);
    }
    build_with(&spec, &options(Some(1)), &bench.path("b.jsonl"), &mut |_| {}).expect("builds");
    assert_eq!(a.sha256(), Corpus::open(bench.path("b.jsonl")).expect("whole").sha256());
}

#[test]
fn squad_as_published() {
    let (Some(half1), Some(half2)) = (
        beside("datasets/squad-v2-dev-half1.json.gz"),
        beside("datasets/squad-v2-dev-half2-noanswers.json.gz"),
    ) else {
        return;
    };
    let bench = Bench::new();
    let path = |p: std::path::PathBuf| p.canonicalize().expect("is there").display().to_string();
    let (header, _) = bench.build(&format!(
        "name = \"squad\"\nprompts = 300\n[length]\nmean_tokens = 1000\n[[source]]\nname = \"one\"\nkind = \"squad\"\npath = \"{}\"\n\
         [[source]]\nname = \"two\"\nkind = \"squad\"\npath = \"{}\"\n",
        path(half1),
        path(half2)
    ));
    assert_eq!((header.sources[0].records, header.sources[1].records), (6078, 5915));
    assert_eq!(header.shared_leading_blocks, 0);
}

#[test]
fn a_retrieval_plan_over_hotpotqa_with_the_mistral_tokenizer() {
    let (Some(hotpot), Some(wikipedia), Some(trace), Some(tokenizer)) = (
        beside("datasets/hotpotqa-dev-distractor-300.jsonl.gz"),
        beside("datasets/wikipedia-passages.jsonl.gz"),
        beside("datasets/AzureLLMInferenceTrace_conv.csv"),
        beside("tokenizers/mistral-7b-instruct-v0.3"),
    ) else {
        return;
    };
    // The spec that users have, on local copies.
    let datasets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    let mut spec = CorpusSpec::from_file(&datasets.join("rag-structured.toml")).expect("right");
    spec.prompts = Some(400);
    let bench = Bench::new();
    let options = BuildOptions {
        base_dir: datasets,
        tokenizer: Some(tokenizer.display().to_string()),
        source_paths: [("hotpotqa".to_owned(), hotpot), ("wikipedia".to_owned(), wikipedia)].into(),
        ..BuildOptions::default()
    };
    let header = build_with(&spec, &options, &bench.path("a.jsonl"), &mut |_| {}).expect("builds");
    let aims = header.aims.expect("aims");
    assert!(aims.exact >= 380 && aims.mean_off < 0.5, "{aims:?}");
    assert_eq!((header.sources[0].records, header.shared_leading_blocks), (300, 0));
    let retrieval = header.retrieval.expect("a plan");
    assert_eq!(retrieval.questions_repeated, 100, "300 questions for 400 prompts: {retrieval:?}");
    let corpus = Corpus::open(bench.path("a.jsonl")).expect("whole");
    let counter = TokenizerCounter::open(&tokenizer, Endpoint::Chat).expect("loads");
    for prompt in prompts(&corpus) {
        let ids = counter.prompt_ids(&prompt.messages).expect("counts");
        assert_eq!(ids.len(), prompt.tokens as usize, "{}", prompt.id);
    }
    // The lengths of a real trace: all 19,366 of them stand behind 400 prompts.
    let text = format!(
        "name = \"azure\"\nprompts = 400\nlength = {{ distribution = \"empirical\", file = \"{}\", min_tokens = 100 }}\n",
        trace.canonicalize().expect("is there").display()
    );
    let (header, _) = bench.build(&text);
    let aims = header.aims.expect("aims");
    assert!(aims.exact >= 380 && aims.raised == 0, "{aims:?}");
    assert!((header.tokens.mean - 1155.0).abs() < 35.0, "{:?}", header.tokens);
    assert!((f64::from(header.tokens.p50) - 1020.0).abs() < 20.0, "{:?}", header.tokens);
    assert_eq!(header.sources.last().map(|s| s.records), Some(19_366));
}
