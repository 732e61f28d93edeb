//! A corpus that is not whole is refused, with the line and what is wrong.

mod common;

use common::Bench;
use vllm_bench_corpus::Corpus;

fn corpus() -> (Bench, Vec<String>) {
    let bench = Bench::new();
    let (_, corpus) = bench.build("name = \"demo\"\nprompts = 5\n[length]\nmean_tokens = 200\n");
    let text = std::fs::read_to_string(corpus.path()).expect("is there");
    (bench, text.split_inclusive('\n').map(str::to_owned).collect())
}

fn check(bench: &Bench, text: impl AsRef<[u8]>, expected: &str) {
    let path = bench.write("bad.jsonl", text);
    let error = match Corpus::open(&path) {
        Ok(_) => panic!("must be refused: {expected}"),
        Err(error) => error.to_string().replace(&format!("{}", path.display()), "FILE"),
    };
    assert!(error.starts_with(expected), "expected {expected}\nfound    {error}");
}

#[test]
fn damage_is_found_where_it_is() {
    let (bench, lines) = corpus();
    let text = lines.concat();
    let without = |gone: usize| {
        lines
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != gone)
            .map(|(_, l)| l.as_str())
            .collect::<String>()
    };
    let edited = |line: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[line].contains(from), "{}", lines[line]);
        lines[line] = lines[line].replacen(from, to, 1);
        lines.concat()
    };
    check(
        &bench,
        edited(3, "Question", "question"),
        "FILE:4: this line was changed after it was written",
    );
    check(
        &bench,
        edited(3, "\"check\":\"", "\"check\":\"0"),
        "FILE:4: this line has been cut or edited",
    );
    check(&bench, edited(0, "\"seed\":1", "\"seed\":2"), "FILE:1: this line was changed");
    check(&bench, edited(6, "\"sha256\":\"", "\"sha256\":\"0"), "FILE:7: the footer's sha256");
    check(
        &bench,
        edited(6, "\"prompts\":5", "\"prompts\":4"),
        "FILE:7: the header says 5 prompts, 5 are here and the footer says 4",
    );
    check(&bench, without(2), "FILE:3: expected prompt demo-00001, found demo-00002");
    check(&bench, without(5), "FILE:6: the header says 5 prompts, 4 are here");
    check(&bench, without(6), "FILE:7: the file ends here, after 5 of 5 prompts: it was cut short");
    check(&bench, lines[..3].concat(), "FILE:4: the file ends here, after 2 of 5 prompts");
    check(&bench, format!("{text}\n"), "FILE:8: there is something after the footer");
    check(&bench, &text[..text.len() - 1], "FILE:7: this line has no end");
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    check(&bench, swapped.concat(), "FILE:3: expected prompt demo-00001, found demo-00002");
    let mut bytes = text.clone().into_bytes();
    bytes[lines[0].len() + 40] = 0xff;
    check(&bench, bytes, "FILE:2: not UTF-8");
}

#[test]
fn cut_anywhere_it_is_refused() {
    let (bench, lines) = corpus();
    let text = lines.concat();
    for at in (0..text.len() - 1).step_by(97) {
        let Some(part) = text.get(..at) else { continue };
        let path = bench.write("bad.jsonl", part);
        assert!(Corpus::open(&path).is_err(), "cut at {at}");
    }
}

#[test]
fn what_is_no_corpus_says_so() {
    let (bench, _) = corpus();
    check(&bench, "", "FILE is not a corpus: the file is empty");
    check(
        &bench,
        "{\"prompt\": \"hello\"}\n",
        "FILE is not a corpus: its first line is not a corpus header",
    );
    check(&bench, "hello", "FILE is not a corpus: this line has no end");
    check(&bench, "{\"vllm_bench_corpus\":2}\n", "FILE is not a corpus: it has format 2");
    let missing = Corpus::open(bench.path("missing.jsonl")).expect_err("not there").to_string();
    assert!(missing.starts_with("cannot open "), "{missing}");
}

#[test]
fn a_change_behind_our_back_is_noticed() {
    let (bench, lines) = corpus();
    let path = bench.write("live.jsonl", lines.concat());
    let corpus = Corpus::open(&path).expect("whole");
    assert_eq!(corpus.prompt(1).expect("whole").id, "demo-00001");
    assert!(
        corpus.prompt(5).expect_err("only five").to_string().contains("prompt 5 of a corpus of 5")
    );
    std::fs::write(&path, lines.concat().replace("Question", "question")).expect("written");
    let error = corpus.prompt(1).expect_err("changed").to_string();
    assert!(error.contains("live.jsonl:3: this line was changed"), "{error}");
}

#[test]
fn a_failed_build_leaves_what_was_there() {
    let bench = Bench::new();
    let (_, before) = bench.build("name = \"demo\"\nprompts = 5\n[length]\nmean_tokens = 200\n");
    bench.fault("name = \"demo\"\nprompts = 5\n[length]\nmean_tokens = 200\n[[source]]\nkind = \"encyclopedia\"\ntake = 2\n");
    let after = Corpus::open(before.path()).expect("still whole");
    assert_eq!(after.sha256(), before.sha256());
    let left: Vec<_> = std::fs::read_dir(bench.folder.path()).expect("is there").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
