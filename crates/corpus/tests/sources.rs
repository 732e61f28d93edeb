//! Every kind of source, on small files made up here.

mod common;

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use common::{Bench, prompts, question};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use vllm_bench_corpus::{BuildOptions, Encyclopedia};

/// Articles to make files of.
fn articles(count: u64) -> Vec<vllm_bench_corpus::Article> {
    let book = Encyclopedia::new(99);
    (0..count).map(|i| book.article(i)).collect()
}

fn dolly(count: u64) -> String {
    let lines: Vec<String> = articles(count)
        .iter()
        .enumerate()
        .map(|(i, a)| {
            let context = if i % 3 == 2 { String::new() } else { format!("{}[{}]", a.text, i % 90 + 1) };
            serde_json::json!({"instruction": a.question, "context": context, "response": a.answer, "category": "closed_qa"}).to_string()
        })
        .collect();
    lines.join("\n")
}

fn passages(count: u64) -> String {
    articles(count)
        .iter()
        .map(|a| serde_json::json!({"title": a.title, "text": a.text}).to_string() + "\n")
        .collect()
}

const LENGTH: &str = "[length]\nmean_tokens = 600\n";

fn spec(count: u32, rest: &str) -> String {
    format!("name = \"s\"\nprompts = {count}\n{LENGTH}{rest}")
}

#[test]
fn dolly_with_its_quirks() {
    let bench = Bench::new();
    let lines = dolly(150);
    // A repeat, an endless instruction, and no line feed at the end.
    let first = lines.lines().next().expect("has lines").to_owned();
    let endless = serde_json::json!({"instruction": "log line ".repeat(9000), "context": "", "response": "x"});
    bench.write_gz("dolly.jsonl.gz", &format!("{first}\n{endless}\n{lines}"));
    let source = "[[source]]\nkind = \"dolly\"\npath = \"dolly.jsonl.gz\"\n";
    let (header, corpus) = bench.build(&spec(40, source));
    assert_eq!((header.sources[0].records, header.sources[0].left_out), (152, 1));
    assert_eq!(header.sources[0].file, "dolly.jsonl.gz");
    assert_eq!(header.sources[0].sha256.as_deref().map(str::len), Some(64));
    for prompt in prompts(&corpus) {
        let text = question(&prompt);
        assert!(!text.contains("log line log line") && prompt.reference.is_some());
        let marks = text
            .split('[')
            .skip(1)
            .filter(|part| part.starts_with(|c: char| c.is_ascii_digit()) && !part.contains("] "))
            .count();
        assert_eq!(marks, 0, "footnote marks are left in: {text}");
    }
    let (_, corpus) = bench.build(&spec(40, &format!("{source}footnotes = \"keep\"\n")));
    assert!(prompts(&corpus).iter().any(|p| question(p).contains(".[")), "kept when asked for");
}

#[test]
fn packed_or_not_the_content_counts() {
    let bench = Bench::new();
    bench.write("a.jsonl", dolly(150));
    bench.write_gz("b.jsonl", &dolly(150));
    let one = bench.build(&spec(20, "[[source]]\nkind = \"dolly\"\npath = \"a.jsonl\"\n")).0;
    let two = bench.build(&spec(20, "[[source]]\nkind = \"dolly\"\npath = \"b.jsonl\"\n")).0;
    assert_eq!((&one.sources[0].sha256, &one.tokens), (&two.sources[0].sha256, &two.tokens));
}

#[test]
fn wikipedia_by_lines_and_by_parquet() {
    let bench = Bench::new();
    bench.write("passages.jsonl", passages(300));
    let all = articles(300);
    let column = |f: fn(&vllm_bench_corpus::Article) -> &str| {
        Arc::new(StringArray::from_iter_values(all.iter().map(f))) as ArrayRef
    };
    let batch = RecordBatch::try_from_iter([
        ("id", column(|_| "1")),
        ("title", column(|a| &a.title)),
        ("text", column(|a| &a.text)),
    ])
    .expect("equal lengths");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(50)).build();
    let file = File::create(bench.path("shard.parquet")).expect("made");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("opens");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bench.write("dolly.jsonl", dolly(150));
    let both = |path: &str, more: &str| {
        spec(
            30,
            &format!(
                "[[source]]\nkind = \"wikipedia\"\npath = \"{path}\"\n{more}[[source]]\nkind = \"dolly\"\npath = \"dolly.jsonl\"\nuse = [\"questions\"]\n"
            ),
        )
    };
    let (lines, corpus) = bench.build(&both("passages.jsonl", ""));
    let first: Vec<_> = prompts(&corpus).iter().map(|p| p.messages.clone()).collect();
    let (rows, corpus) = bench.build(&both("shard.parquet", ""));
    let second: Vec<_> = prompts(&corpus).iter().map(|p| p.messages.clone()).collect();
    assert_eq!(first, second, "the same passages in the same order");
    assert_eq!((lines.sources[0].records, rows.sources[0].records), (300, 300));
    let (few, _) = bench.build(&both("shard.parquet", "take = 120\n"));
    assert_eq!(few.sources[0].records, 120);
}

#[test]
fn squad_json_and_its_questions() {
    let bench = Bench::new();
    let paragraphs: Vec<_> = articles(120)
        .iter()
        .map(|a| serde_json::json!({"context": a.text, "qas": [{"question": a.question, "id": "1", "answers": [{"text": a.answer, "answer_start": 0}]},
            {"question": format!("{} Really?", a.question), "id": "2", "answers": [], "is_impossible": true}]}))
        .collect();
    let squad = serde_json::json!({"version": "v2.0", "data": [{"title": "Some_title", "paragraphs": paragraphs}]});
    bench.write_gz("squad.json.gz", &squad.to_string());
    let (header, corpus) =
        bench.build(&spec(1, "[[source]]\nkind = \"squad\"\npath = \"squad.json.gz\"\n"));
    assert_eq!(header.sources[0].records, 240);
    assert!(question(&prompts(&corpus)[0]).starts_with("Context:\n[1] Some title\n"));
}

#[test]
fn a_folder_of_documents() {
    let bench = Bench::new();
    for (i, article) in articles(90).iter().enumerate() {
        match i % 3 {
            0 => bench.write(
                &format!("docs/deep/{}.md", article.title),
                format!("# {}\n\n{}\n", article.title, article.text),
            ),
            1 => bench.write_gz(&format!("docs/{}.txt.gz", article.title), &article.text),
            _ => bench.write(
                &format!("docs/{}.jsonl", article.title),
                serde_json::json!({"content": article.text}).to_string(),
            ),
        };
    }
    bench.write("docs/.hidden.txt", "not read");
    bench.write("docs/picture.png", [0xff, 0xd8]);
    bench.write("dolly.jsonl", dolly(60));
    let text = spec(
        20,
        "[[source]]\nkind = \"documents\"\npath = \"docs\"\n[[source]]\nkind = \"dolly\"\npath = \"dolly.jsonl\"\nuse = [\"questions\"]\n",
    );
    let (header, corpus) = bench.build(&text);
    assert_eq!((header.sources[0].records, header.sources[0].file.as_str()), (90, "docs"));
    let all: String = prompts(&corpus).iter().map(|p| question(p).to_owned()).collect();
    assert!(!all.contains("not read"));
    // A local copy under another name, by an override.
    std::fs::rename(bench.path("docs"), bench.path("other")).expect("renamed");
    let options = BuildOptions {
        source_paths: [("documents".to_owned(), bench.path("other"))].into(),
        ..bench.options()
    };
    let (again, _) = bench.try_build(&text, &options).expect("builds");
    assert_eq!(
        again.sources[0].sha256, header.sources[0].sha256,
        "names are relative to the folder"
    );
}

#[test]
fn ready_made_prompts_are_counted_and_told_apart() {
    let bench = Bench::new();
    let mut lines = passages(40).replace("\"text\"", "\"prompt\"");
    let alike = "You are given a long and always equal instruction that fills more than two whole blocks of sixteen tokens each, \
                 word after word after word, until at last it asks for";
    for i in 0..5 {
        lines.push_str(&serde_json::json!({"prompt": format!("{alike} {i}")}).to_string());
        lines.push('\n');
    }
    bench.write("prompts.jsonl", &lines);
    let ready = |more: &str| {
        format!(
            "name = \"mine\"\nform = \"ready-made\"\n{more}[[source]]\nkind = \"prompts\"\npath = \"prompts.jsonl\"\n"
        )
    };
    let (header, corpus) = bench.build(&ready(""));
    assert_eq!((header.prompts, header.shared_leading_blocks, corpus.len()), (41, 0, 41));
    let (header, _) = bench.build(&ready("shared_openings = \"keep\"\n"));
    assert_eq!((header.prompts, header.shared_leading_blocks), (45, 4));
    let (header, _) = bench.build(&ready("prompts = 10\n"));
    assert_eq!(header.prompts, 10);
    let error = bench.fault(&ready("prompts = 42\n"));
    assert!(error.starts_with("the sources suffice for 41 prompts, 42 are asked: of 45 prompts 0 are not of the asked length and 4 begin like"), "{error}");
}

#[test]
fn what_is_short_says_how_far_it_goes() {
    let bench = Bench::new();
    let few = |more: &str, take: u32| {
        bench.fault(&spec(
            500,
            &format!("{more}[[source]]\nkind = \"encyclopedia\"\ntake = {take}\n"),
        ))
    };
    let error = few("", 300);
    assert!(error.starts_with("the sources suffice for 300 prompts, 500 are asked: each prompt takes a question of its own"), "{error}");
    assert!(error.contains("--count"), "{error}");
    let error = few("[rag]\nreuse_passages = false\n", 600);
    assert!(error.contains("the passages are used up (rag.reuse_passages)"), "{error}");
    let (header, _) = bench.build(&spec(500, "[[source]]\nkind = \"encyclopedia\"\ntake = 600\n"));
    assert!(header.reused_passages > 0 && header.shared_leading_blocks == 0);
}

#[test]
fn bad_lines_are_named() {
    let bench = Bench::new();
    bench.write("bad.jsonl", "{\"instruction\": \"a\"}\n\n{\"instruction\": \n");
    bench.write("other.jsonl", "{\"foo\": \"a\"}\n");
    bench.write("list.jsonl", "[1]\n");
    bench.write("latin.jsonl", b"{\"text\": \"\xe4\"}\n");
    bench.write("not.json", "{\"version\": 1,\n\"data\": 7}");
    bench.write("fake.parquet", b"PAR1 and nothing more");
    bench.write("docs/bad.txt", b"abc\xff");
    bench.write("empty/x.pdf", "");
    let check = |kind: &str, path: &str, expected: &str| {
        let error =
            bench.fault(&spec(1, &format!("[[source]]\nkind = \"{kind}\"\npath = \"{path}\"\n")));
        assert!(error.starts_with(expected), "expected {expected}\nfound    {error}");
    };
    check("dolly", "bad.jsonl", "./bad.jsonl:3: not JSON: EOF");
    check(
        "dolly",
        "other.jsonl",
        "./other.jsonl:1: no text under `instruction`; found `foo`: not a Dolly file",
    );
    check("wikipedia", "other.jsonl", "./other.jsonl:1: no text under any of text, content");
    check("wikipedia", "list.jsonl", "./list.jsonl: row 1: expected an object, found a number");
    check("wikipedia", "latin.jsonl", "./latin.jsonl:1: not UTF-8");
    check("wikipedia", "fake.parquet", "./fake.parquet: not readable as Parquet");
    check("squad", "not.json", "./not.json:2: not SQuAD's form");
    check("documents", "docs", "./docs/bad.txt: not UTF-8 from byte 3 on");
    check("documents", "empty", "./empty: no documents here; read are files that end with .txt");
    check("dolly", "empty", "./empty: a source of kind dolly is a file, this is a folder");
    check("dolly", "nowhere.jsonl", "cannot open ./nowhere.jsonl");
}

#[test]
fn a_manifest_without_network_says_where_it_looked() {
    let bench = Bench::new();
    bench.write(
        "m.toml",
        "title = \"D\"\nkind = \"dolly\"\nlicence = \"L\"\n[hub]\nrepo = \"a/b\"\nrevision = \"c\"\n[[file]]\npath = \"d.jsonl\"\nsha256 = \"00\"\n",
    );
    let text = spec(10, "[[source]]\nname = \"d\"\nmanifest = \"m.toml\"\n");
    assert!(
        bench.fault(&text).starts_with("d.jsonl of a/b is not here and downloads are switched off")
    );
    // A copy is used as it is, and the header says that it is not the pinned file.
    bench.write("copy.jsonl", dolly(90));
    let options = BuildOptions {
        source_paths: [("d".to_owned(), bench.path("copy.jsonl"))].into(),
        ..bench.options()
    };
    let (header, _) = bench.try_build(&text, &options).expect("builds");
    assert_eq!(
        (header.sources[0].as_pinned, header.sources[0].licence.as_deref()),
        (Some(false), Some("L"))
    );
    let options = BuildOptions {
        source_paths: [("x".to_owned(), bench.path("copy.jsonl"))].into(),
        ..bench.options()
    };
    let error = bench.try_build(&text, &options).expect_err("no such source").to_string();
    assert_eq!(error, "--source x: the spec has no source of this name; it has: d");
    let bad = bench.fault(&spec(10, "[[source]]\nname = \"d\"\nmanifest = \"bad.toml\"\n"));
    assert!(bad.starts_with("cannot read ./bad.toml"), "{bad}");
}
