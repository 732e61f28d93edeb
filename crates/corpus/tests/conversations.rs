//! Scripted conversations from ShareGPT-form JSON: an array, row by row, or lines.

mod common;

use common::{Bench, prompts};
use vllm_bench_protocol::Role;

/// ShareGPT's layout, with `turns` exchanges in each conversation.
fn conversation(number: usize, turns: usize) -> serde_json::Value {
    let list: Vec<serde_json::Value> = (0..turns)
        .flat_map(|turn| {
            [
                serde_json::json!({"from": "human", "value": format!("{number} is the number of question {turn}, and what follows from it for those who ask?")}),
                serde_json::json!({"from": "gpt", "value": format!("Answer {turn} to {number}: a good deal.")}),
            ]
        })
        .collect();
    serde_json::json!({"id": format!("c{number}"), "conversations": list})
}

const SPEC: &str = "name = \"talk\"\nform = \"conversations\"\n[[source]]\nkind = \"prompts\"\npath = \"c.json\"\n";

#[test]
fn each_turn_is_a_prompt_with_the_given_answers_before_it() {
    let bench = Bench::new();
    let all: Vec<_> = (0..30).map(|i| conversation(i, 1 + i % 4)).collect();
    let array = serde_json::to_string_pretty(&all).expect("JSON");
    bench.write_gz("c.json", &array);
    let (header, corpus) = bench.build(SPEC);
    let found = prompts(&corpus);
    assert_eq!(found.len(), (0..30).map(|i| 1 + i % 4).sum::<usize>());
    assert_eq!((header.sources[0].records, header.shared_leading_blocks), (30, 0));
    for pair in found.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        if after.conversation == before.conversation {
            assert_eq!(after.turn, before.turn.map(|turn| turn + 1));
            let answered = &after.messages[before.messages.len()];
            assert_eq!(after.messages[..before.messages.len()], before.messages);
            assert_eq!(answered.role, Role::Assistant);
            assert_eq!(Some(answered.content.as_str()), before.reference.as_deref());
        } else {
            assert_eq!(after.turn, Some(1));
        }
        assert_eq!(after.messages.last().map(|m| m.role), Some(Role::User));
        assert!(after.reference.is_some());
    }
    // Later turns come from the cache of the earlier ones, and that is predicted.
    let overlap = header.overlap.expect("counted");
    assert!(overlap.hit_share > 0.3, "{overlap:?}");

    // The same as lines.
    let lines: String = all.iter().map(|c| format!("{c}\n")).collect();
    bench.write("c.json", lines);
    let (_, corpus) = bench.build(SPEC);
    assert_eq!(prompts(&corpus), found);

    // So many turns and no more; none longer than asked.
    let (_, corpus) = bench.build(&SPEC.replace("[[source]]", "prompts = 7\n[[source]]"));
    assert_eq!(corpus.len(), 7);
    let most =
        "length = { distribution = \"uniform\", min_tokens = 10, max_tokens = 50 }\n[[source]]";
    let (header, corpus) = bench.build(&SPEC.replace("[[source]]", most));
    assert!(header.tokens.max <= 50 && corpus.len() >= 30, "{:?}", header.tokens);
}

#[test]
fn what_is_wrong_in_an_array_has_a_place() {
    let bench = Bench::new();
    let check = |text: &str, expected: &str| {
        bench.write("c.json", text);
        let fault = bench.fault(SPEC);
        assert!(fault.starts_with(expected), "expected {expected}\nfound    {fault}");
    };
    check(
        "[\n {\"conversations\": [}\n]",
        "./c.json:2:21: not a JSON array of objects: expected value",
    );
    check("[{\"conversations\": 3}]", "./c.json: row 1: expected a list of messages");
    check("[3]", "./c.json: row 1: expected an object, found a number");
    check("[{\"prompt\": \"a\"}", "./c.json:1:16: not a JSON array of objects: EOF");
    let wrong = "name = \"a\"\nform = \"conversations\"\n[[source]]\nkind = \"encyclopedia\"\n";
    assert!(
        bench.fault(wrong).starts_with("spec.toml:4:8: source.0.kind: form = \"ready-made\" and")
    );
}
