//! Retrieval plans: exact lengths, popularity, order, answers, templates, and what the header says about overlap.

mod common;

use std::collections::{HashMap, HashSet};

use common::{Bench, prompts, question};
use vllm_bench_corpus::{BuildOptions, BuiltInCounter, Corpus, CorpusHeader, TokenCounter};

fn spec(count: u32, length: &str, rag: &str) -> String {
    format!("name = \"r\"\nprompts = {count}\nseed = 5\n{length}\n[rag]\n{rag}\n")
}

/// The passages of a prompt, without their numbers.
fn passages(text: &str) -> Vec<String> {
    let context = text.split_once("Context:\n").expect("has a context").1;
    let context = context.split("\n\nQuestion: ").next().expect("has passages");
    let mut all = Vec::new();
    for (i, piece) in context.split("\n\n[").enumerate() {
        let (number, passage) = piece.trim_start_matches('[').split_once("] ").expect("a number");
        assert_eq!(number, (i + 1).to_string());
        all.push(passage.to_owned());
    }
    all
}

fn verified(header: &CorpusHeader, corpus: &Corpus) {
    for prompt in prompts(corpus) {
        let counted = BuiltInCounter::new().prompt_ids(&prompt.messages).expect("counts").len();
        assert_eq!(counted, prompt.tokens as usize, "{}", prompt.id);
    }
    assert_eq!(header.prompts as usize, corpus.len());
}

#[test]
fn every_distribution_is_met_to_the_token() {
    let bench = Bench::new();
    bench.write("t.csv", "TIMESTAMP,ContextTokens\na,300\nb,900\nc,2000\nd,4\n");
    for (length, exact, raised) in [
        ("distribution = \"fixed\", mean_tokens = 700", 60, 0),
        ("distribution = \"uniform\", min_tokens = 150, max_tokens = 900", 60, 0),
        ("distribution = \"normal\", mean_tokens = 800, spread = 0.3, min_tokens = 150", 60, 0),
        ("distribution = \"log-normal\", mean_tokens = 900, spread = 0.8, min_tokens = 150", 60, 0),
        ("distribution = \"empirical\", file = \"t.csv\"", 45, 15),
    ] {
        let (header, corpus) =
            bench.build(&spec(60, &format!("length = {{ {length} }}"), "history_turns = 0"));
        verified(&header, &corpus);
        let aims = header.aims.expect("aims");
        assert!(aims.exact >= exact && aims.most_off <= 2, "{length}: {aims:?}");
        assert_eq!(aims.raised, raised, "{length}");
        assert_eq!(header.shared_leading_blocks, 0);
    }
    let (header, corpus) = bench.build(&spec(
        40,
        "length = { distribution = \"fixed\", mean_tokens = 512 }",
        "reuse = \"documents\"\npopularity = 1.0\nleading = \"free\"",
    ));
    assert_eq!((header.tokens.min, header.tokens.max, corpus.len()), (512, 512, 40));
}

#[test]
fn top_k_and_chunks_make_the_length_or_share_it() {
    let bench = Bench::new();
    let (header, corpus) =
        bench.build(&spec(30, "", "top_k = 5\nchunk_tokens = 64\nchunk_overlap = 16"));
    verified(&header, &corpus);
    assert!(header.aims.is_none());
    for prompt in prompts(&corpus) {
        let all = passages(question(&prompt));
        assert_eq!(all.len(), 5);
        let counter = BuiltInCounter::new();
        for passage in all {
            assert!(counter.measure(&passage).expect("counts").tokens() <= 64, "{passage}");
        }
    }
    let (header, corpus) = bench.build(&spec(
        30,
        "length = { distribution = \"fixed\", mean_tokens = 600 }",
        "top_k = 4",
    ));
    assert!(header.aims.expect("aims").exact >= 29, "{:?}", header.tokens);
    assert!(prompts(&corpus).iter().all(|p| passages(question(p)).len() == 4));
}

#[test]
fn popular_documents_come_again_and_the_first_blocks_stay_apart() {
    let bench = Bench::new();
    let plan = |popularity: f64| {
        let rag = format!("reuse = \"documents\"\npopularity = {popularity:?}");
        let sources = "[[source]]\nkind = \"encyclopedia\"\ntake = 400\n";
        bench.build(&format!(
            "{}{sources}",
            spec(120, "length = { distribution = \"fixed\", mean_tokens = 900 }", &rag)
        ))
    };
    let (even, _) = plan(0.0);
    let (skewed, corpus) = plan(1.2);
    let (even, skewed_figures) =
        (even.retrieval.expect("a plan"), skewed.retrieval.clone().expect("a plan"));
    assert!(skewed_figures.top10_share > 3.0 * even.top10_share, "{even:?} {skewed_figures:?}");
    assert!(skewed_figures.documents_used < even.documents_used);
    assert_eq!((skewed_figures.documents, skewed_figures.with_answer), (400, 120));
    // What the header says is what is there.
    let mut times: HashMap<String, u64> = HashMap::new();
    let mut all = 0;
    for prompt in prompts(&corpus) {
        for passage in passages(question(&prompt)) {
            all += 1;
            let title = passage.split('\n').next().expect("a title").to_owned();
            *times.entry(title).or_default() += 1;
        }
    }
    let mut counts: Vec<u64> = times.values().copied().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(all, skewed_figures.passages);
    assert_eq!(counts.len() as u32, skewed_figures.documents_used);
    let share = counts[..10].iter().sum::<u64>() as f64 / all as f64;
    assert!((share - skewed_figures.top10_share).abs() < 1e-6, "{share}");
    // Shared documents, and yet nothing for a prefix cache beyond the head.
    assert_eq!(skewed.shared_leading_blocks, 0);
    let overlap = skewed.overlap.expect("counted");
    let head = f64::from(skewed.shared_head_tokens / 16) * 119.0 / overlap.blocks as f64;
    assert!((overlap.leading_share - head).abs() < 1e-5, "{overlap:?} {head}");
    assert!(overlap.anywhere_share > 0.3, "{overlap:?}");
}

/// The definition of a prefix cache, held against what the header says.
#[test]
fn the_predicted_hits_are_those_of_a_cache() {
    let bench = Bench::new();
    let rag = "reuse = \"documents\"\npopularity = 1.5\norder = \"fixed\"\nleading = \"free\"\nanswer = false\ntop_k = 3\nchunk_tokens = 48";
    let text = format!(
        "{}[cache]\nblock_size = 8\nblocks = 60\n[[source]]\nkind = \"encyclopedia\"\ntake = 12\n",
        spec(80, "", rag)
    );
    let (header, corpus) = bench.build(&text);
    let overlap = header.overlap.expect("counted");
    let counter = BuiltInCounter::new();
    let (mut seen, mut hits, mut tokens) = (HashSet::new(), 0u64, 0u64);
    for prompt in prompts(&corpus) {
        let ids = counter.prompt_ids(&prompt.messages).expect("counts");
        let full = ids.len() / 8;
        let run = (1..=full).take_while(|&n| seen.contains(&ids[..n * 8])).count();
        hits += 8 * run.min((ids.len() - 1) / 8) as u64;
        tokens += ids.len() as u64;
        (1..=full).for_each(|n| {
            seen.insert(ids[..n * 8].to_vec());
        });
    }
    assert!(
        (overlap.hit_share - hits as f64 / tokens as f64).abs() < 1e-6,
        "{overlap:?} {hits}/{tokens}"
    );
    assert!(overlap.hit_share > 0.3 && overlap.block_size == 8, "{overlap:?}");
    let limited = overlap.limited.expect("asked for");
    assert!(limited.blocks == 60 && limited.hit_share < overlap.hit_share, "{limited:?}");
    assert!(header.shared_leading_blocks > 0, "prompts begin alike, and the header says so");
    // Without the answer: no prompt holds it.
    assert_eq!(header.retrieval.expect("a plan").with_answer, 0);
}

#[test]
fn order_answer_and_templates_are_as_asked() {
    let bench = Bench::new();
    let length = "length = { distribution = \"fixed\", mean_tokens = 700 }";
    let (_, corpus) = bench.build(&spec(40, length, "order = \"relevance\""));
    let first = prompts(&corpus)
        .iter()
        .filter(|p| passages(question(p))[0].contains(p.reference.as_deref().expect("answered")))
        .count();
    assert!(first >= 38, "{first} of 40 open with the passage that answers");
    let (header, corpus) = bench.build(&spec(40, length, "order = \"random\"\nchunk_overlap = 64"));
    let all = prompts(&corpus);
    let with = |p: &&vllm_bench_corpus::Prompt| {
        question(p).contains(p.reference.as_deref().expect("answered"))
    };
    assert_eq!(all.iter().filter(with).count(), 40);
    let places: HashSet<usize> = all
        .iter()
        .filter_map(|p| {
            passages(question(p))
                .iter()
                .position(|t| t.contains(p.reference.as_deref().expect("answered")))
        })
        .collect();
    assert!(places.len() > 2, "{places:?}");
    assert_eq!(header.retrieval.expect("a plan").with_answer, 40);
    let templates = "[[rag.template]]\nquestion = \"before\"\n[[rag.template]]\nsystem = \"Be brief.\"\nquestion = \"both\"\nweight = 2\n[[rag.template]]\n";
    let (header, corpus) =
        bench.build(&format!("{}{templates}", spec(80, length, "leading = \"line\"")));
    assert_eq!((header.shared_leading_blocks, header.tokens.min, header.tokens.max), (0, 700, 700));
    let mut kinds: HashMap<(bool, bool), u32> = HashMap::new();
    for prompt in prompts(&corpus) {
        let text = question(&prompt);
        assert!(text.starts_with("Request "), "{text}");
        let (before, after) = text.split_once("Context:\n").expect("has a context");
        let brief = prompt.messages[0].content == "Be brief.";
        assert_eq!(brief, before.contains("Question: ") && after.contains("\n\nQuestion: "));
        *kinds.entry((before.contains("Question: "), brief)).or_default() += 1;
    }
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    assert!(kinds[&(true, true)] > 25, "two of four: {kinds:?}");
}

#[test]
fn the_same_bytes_with_any_number_of_threads() {
    let bench = Bench::new();
    let text = spec(
        150,
        "length = { distribution = \"log-normal\", mean_tokens = 500, spread = 0.6, min_tokens = 140 }",
        "reuse = \"documents\"\npopularity = 0.8\nchunk_tokens = 96\nchunk_overlap = 16\norder = \"random\"",
    );
    let bytes = |threads| {
        let options = BuildOptions { threads: Some(threads), ..bench.options() };
        let (_, corpus) = bench.try_build(&text, &options).expect("builds");
        std::fs::read(corpus.path()).expect("is there")
    };
    assert_eq!(bytes(1), bytes(3));
    let left: Vec<_> =
        std::fs::read_dir(bench.folder.path()).expect("is there").flatten().collect();
    assert_eq!(left.len(), 1, "nothing is left beside the corpus: {left:?}");
}

#[test]
fn what_cannot_be_is_refused_with_a_place() {
    let bench = Bench::new();
    for (text, expected) in [
        (
            "name = \"a\"\n[rag]\npopularity = 1.0\n",
            "spec.toml:3:14: rag.popularity: needs reuse = \"documents\"",
        ),
        (
            "name = \"a\"\n[length]\nmean_tokens = 500\n[rag]\ntop_k = 3\nchunk_tokens = 64\n",
            "spec.toml:6:16: rag.chunk_tokens: with top_k the length follows",
        ),
        (
            "name = \"a\"\n[rag]\nchunk_tokens = 64\nchunk_overlap = 40\n",
            "spec.toml:4:17: rag.chunk_overlap: must not be more than half",
        ),
        (
            "name = \"a\"\n[rag]\norder = \"relevanse\"\n",
            "spec.toml:3:9: unknown word `relevanse`\n  did you mean `relevance`?",
        ),
        (
            "name = \"a\"\n[length]\ndistribution = \"uniform\"\nmin_tokens = 5\n",
            "spec.toml:2:1: length.max_tokens: is needed for uniform",
        ),
        (
            "name = \"a\"\n[length]\ndistribution = \"empirical\"\n",
            "spec.toml:2:1: length.file: is needed for empirical",
        ),
        (
            "name = \"a\"\n[rag]\ntop_k = 3\nhistory_turns = 2\n",
            "spec.toml:4:17: rag.history_turns: does not go with",
        ),
        (
            "name = \"a\"\n[cache]\nblock_size = 0\n",
            "spec.toml:3:14: cache.block_size: must be from 1 to 4096",
        ),
        (
            "name = \"a\"\n[[rag.template]]\nweight = 0\n",
            "spec.toml:3:10: rag.template.0.weight: must be from 1",
        ),
    ] {
        let fault = bench.fault(text);
        assert!(fault.starts_with(expected), "expected {expected}\nfound    {fault}");
    }
    bench.write("bad.csv", "ContextTokens\n12\n1x\n");
    let fault = bench
        .fault("name = \"a\"\nlength = { distribution = \"empirical\", file = \"bad.csv\" }\n");
    assert!(fault.starts_with("./bad.csv:3:1: `1x` is not a number of tokens"), "{fault}");
    let few = "prompts = 60\n[rag]\nreuse = \"documents\"\n[[source]]\nkind = \"encyclopedia\"\ntake = 3\n";
    let fault = bench.fault(&format!("name = \"a\"\nlength = {{ mean_tokens = 400 }}\n{few}"));
    assert!(fault.contains("rag.leading = \"line\""), "{fault}");
}
