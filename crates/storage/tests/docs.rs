//! `docs/data.md` names every column as it is, in order, and every manifest key.

mod common;

use arrow::datatypes::{DataType, Field};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use vllm_bench_storage::{Table, Writer, read};

const PAGE: &str = include_str!("../../../docs/data.md");

/// The first cells of each row of the table under `## heading`, the name without its backticks.
fn documented(heading: &str, cells: usize) -> Vec<Vec<String>> {
    let start = PAGE.find(&format!("\n## {heading}\n")).expect("the heading is there") + 1;
    let section = &PAGE[start..];
    let section = &section[..section[1..].find("\n## ").map_or(section.len(), |end| end + 1)];
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells: Vec<_> =
            row.split('|').skip(1).take(cells).map(|cell| cell.trim().to_owned()).collect();
        cells[0] = cells[0].trim_matches('`').to_owned();
        cells
    })
    .collect()
}

fn described(field: &Field) -> String {
    let plain = |data_type: &DataType| match data_type {
        DataType::Utf8 => "string".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        other => other.to_string().to_lowercase(),
    };
    let name = match field.data_type() {
        DataType::List(item) => format!("list of {}", plain(item.data_type())),
        other => plain(other),
    };
    if field.is_nullable() { format!("{name}, null") } else { name }
}

#[test]
fn columns_are_documented_as_they_are_written() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let writer = Writer::start(&run, common::options()).expect("a thread");
    writer.request(common::request(0));
    writer.gpu(vec![common::gpu(0)]);
    writer.engine(vec![common::engine(0)]);
    writer.finish().expect("all written");
    for table in [Table::Requests, Table::Gpu, Table::Engine] {
        let part = read::parts(&run, table).expect("a folder").remove(0);
        let file = std::fs::File::open(part).expect("it is there");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
        let written: Vec<_> =
            reader.schema().fields().iter().map(|f| vec![f.name().clone(), described(f)]).collect();
        assert_eq!(documented(table.as_str(), 2), written, "{table}");
    }
}

#[test]
fn manifest_keys_are_documented() {
    let manifest = serde_json::to_value(common::manifest()).expect("plain data");
    let documented: Vec<_> = documented("manifest.json", 2);
    let keys = manifest.as_object().expect("an object");
    let mut names: Vec<_> = documented.iter().map(|row| &row[0]).collect();
    names.sort();
    let mut written: Vec<_> = keys.keys().collect();
    written.sort();
    assert_eq!(names, written);
    for key in ["scenario", "corpus", "host"] {
        let row = documented.iter().find(|row| row[0] == key).expect("documented");
        for inner in keys[key].as_object().expect("an object").keys() {
            assert!(row[1].contains(&format!("`{inner}`")), "{key}.{inner}");
        }
    }
    for key in ["servers", "stages"] {
        let row = documented.iter().find(|row| row[0] == key).expect("documented");
        for inner in keys[key][0].as_object().expect("an object").keys() {
            assert!(row[1].contains(&format!("`{inner}`")), "{key}[].{inner}");
        }
    }
}
