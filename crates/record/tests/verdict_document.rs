//! `docs/metrics.md` lists the checks there are, in their order, each with its limits.

use vllm_bench_record::CheckKind;

#[test]
fn the_document_lists_every_check() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let document = std::fs::read_to_string(path).expect("the document is there");
    let (_, section) = document.split_once("\n## The verdict\n").expect("the section is there");
    let section = section.split("\n## ").next().expect("at least one part");
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .skip_while(|row: &Vec<&str>| row[0] != "---")
        .skip(1)
        .collect();
    let titles: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(titles, CheckKind::ALL.map(CheckKind::title));
    for row in rows {
        assert_eq!(row.len(), 5, "asks, passes, warns, fails: {row:?}");
        assert!(!row[1].is_empty() && !row[2].is_empty(), "{row:?}");
        assert!(!row[3].is_empty() || !row[4].is_empty(), "a check can be in doubt: {row:?}");
    }
}
