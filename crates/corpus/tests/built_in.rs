//! Corpora of the built-in encyclopedia: same bytes, right lengths, nothing shared.

mod common;

use std::collections::HashSet;

use common::{Bench, prompts, question};
use sha2::{Digest, Sha256};
use vllm_bench_corpus::{BuildOptions, TokenCounter};
use vllm_bench_protocol::Role;

const SPEC: &str = "name = \"demo\"\nprompts = 120\nseed = 7\n[length]\nmean_tokens = 500\n";

#[test]
fn the_same_spec_gives_the_same_bytes_with_any_number_of_threads() {
    let bench = Bench::new();
    let bytes = |threads: usize, spec: &str| {
        let options = BuildOptions { threads: Some(threads), ..bench.options() };
        let (_, corpus) = bench.try_build(spec, &options).expect("builds");
        std::fs::read(corpus.path()).expect("is there")
    };
    let first = bytes(1, SPEC);
    assert_eq!(first, bytes(1, SPEC));
    assert_eq!(first, bytes(5, SPEC));
    assert_ne!(first, bytes(1, &SPEC.replace("seed = 7", "seed = 8")));
}

#[test]
fn the_bytes_are_the_same_on_every_machine() {
    // A change here means that no corpus made before can be made again: say so in the changelog.
    let (_, corpus) = Bench::new().build(SPEC);
    let text: String = prompts(&corpus).iter().map(|p| format!("{}\n", p.text())).collect();
    let sha256: String = Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(sha256, "26aa48f660aa5ae6ad50e3f8e74b993e6d69aedaa6e7ce7fbd25150f61f93905");
}

#[test]
fn lengths_are_met_and_counted() {
    let bench = Bench::new();
    for (mean, spread) in [(200, 0.0), (500, 0.05), (1371, 0.05), (4000, 0.1)] {
        let (header, corpus) = bench.build(&format!(
            "name = \"demo\"\nprompts = 90\n[length]\nmean_tokens = {mean}\nspread = {spread:?}\n"
        ));
        let off = (header.tokens.mean - f64::from(mean)).abs() / f64::from(mean);
        assert!(off <= 0.02, "{mean}: mean {}", header.tokens.mean);
        let (least, most) = (f64::from(mean) * 0.85, f64::from(mean) * 1.15);
        let counter = vllm_bench_corpus::BuiltInCounter::new();
        for prompt in prompts(&corpus) {
            assert!(
                (least..=most).contains(&f64::from(prompt.tokens)),
                "{mean}: {}",
                prompt.tokens
            );
            let counted = counter.prompt_ids(&prompt.messages).expect("counts").len();
            assert_eq!(counted, prompt.tokens as usize, "{}", prompt.id);
        }
        assert_eq!(header.shared_leading_blocks, 0);
        assert!(!header.exact);
    }
}

#[test]
fn a_wide_spread_is_wide() {
    let (header, _) = Bench::new().build(
        "name = \"wide\"\nprompts = 200\n[length]\nmean_tokens = 1000\nspread = 0.3\nwithin = 0.8\n",
    );
    assert!(header.tokens.min < 500 && header.tokens.max > 1500, "{:?}", header.tokens);
}

#[test]
fn everything_is_used_once() {
    let bench = Bench::new();
    let (header, corpus) =
        bench.build(&format!("{SPEC}[rag]\nhistory_turns = 2\nsystem = \"Be brief.\"\n"));
    let all = prompts(&corpus);
    let mut seen = HashSet::new();
    for prompt in &all {
        let roles: Vec<Role> = prompt.messages.iter().map(|m| m.role).collect();
        assert_eq!(
            roles,
            [Role::System, Role::User, Role::Assistant, Role::User, Role::Assistant, Role::User]
        );
        assert_eq!(prompt.messages[0].content, "Be brief.");
        let (context, question) =
            question(prompt).split_once("\n\nQuestion: ").expect("has a question");
        let passages: Vec<&str> =
            context.strip_prefix("Context:\n").expect("has a context").split("\n\n[").collect();
        assert!(seen.insert(question.to_owned()), "question twice: {question}");
        assert!(seen.insert(passages[0].to_owned()), "first passage twice: {}", passages[0]);
        for turn in &prompt.messages[1..5] {
            assert!(seen.insert(turn.content.clone()), "turn twice: {}", turn.content);
        }
        let reference = prompt.reference.as_deref().expect("the encyclopedia answers");
        let told = context.contains(reference);
        assert!(told, "the passage asked about is not there: {question}\n{context}");
    }
    assert_eq!((header.prompts, header.shared_leading_blocks, header.reused_passages), (120, 0, 0));
}

#[test]
fn no_two_prompts_share_the_block_after_the_head() {
    let (header, corpus) = Bench::new().build(SPEC);
    let counter = vllm_bench_corpus::BuiltInCounter::new();
    let end = (header.shared_head_tokens.div_ceil(16) as usize + 1) * 16;
    let blocks: HashSet<Vec<u32>> = prompts(&corpus)
        .iter()
        .map(|p| counter.prompt_ids(&p.messages).expect("counts")[..end].to_vec())
        .collect();
    assert_eq!(blocks.len(), 120);
}

#[test]
fn completions_prompts_are_counted_as_text() {
    let bench = Bench::new();
    bench.write("tok/tokenizer.json", common::byte_tokenizer());
    bench.write(
        "tok/tokenizer_config.json",
        "{\"chat_template\": \"{{ raise_exception('not asked') }}\"}",
    );
    let (header, corpus) = bench.build(
        "name = \"text\"\nprompts = 4\n[length]\nmean_tokens = 3000\n[tokens]\ntokenizer = \"tok\"\nendpoint = \"completions\"\n",
    );
    assert_eq!(header.chat_template, "none");
    for prompt in prompts(&corpus) {
        assert_eq!(prompt.tokens as usize, prompt.text().len() + 1, "its bytes and <s>");
    }
}

#[test]
fn chat_templates_are_rendered_and_special_tokens_not_doubled() {
    let bench = Bench::new();
    bench.write("tok/tokenizer.json", common::byte_tokenizer());
    bench.write(
        "tok/tokenizer_config.json",
        "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"</s>\", \"chat_template\": [{\"name\": \"tool_use\", \"template\": \"no\"}, \
         {\"name\": \"default\", \"template\": \"{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}\"}]}",
    );
    let spec = "name = \"chat\"\nprompts = 4\n[length]\nmean_tokens = 3000\n[tokens]\ntokenizer = \"tok\"\n";
    let (header, corpus) = bench.build(spec);
    assert_eq!(
        (header.chat_template.as_str(), header.tokenizer.as_str()),
        ("tokenizer_config.json", "tok")
    );
    for prompt in prompts(&corpus) {
        let bytes: usize =
            prompt.messages.iter().map(|m| m.content.len() + m.role.as_str().len() + 2 + 1).sum();
        assert_eq!(prompt.tokens as usize, bytes + 1, "contents, roles, one </s> each, one <s>");
    }
    // A template file of its own wins.
    bench.write("tok/chat_template.jinja", "{{ messages[-1].content }}");
    let (header, corpus) = bench.build(spec);
    assert_eq!(header.chat_template, "chat_template.jinja");
    assert_eq!(
        corpus.prompt(0).expect("is there").tokens as usize,
        question(&corpus.prompt(0).expect("is there")).len()
    );
    // A template that refuses says why.
    bench.write("tok/chat_template.jinja", "{{ raise_exception('no system line') }}");
    assert_eq!(
        bench.fault(spec),
        "chat template of tok: invalid operation: no system line (in chat_template:1)"
    );
}
