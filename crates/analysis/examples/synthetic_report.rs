//! Writes every page of a made-up run into a folder, to be looked at and for the browser test.
//!
//! ```text
//! cargo run -p vllm-bench-analysis --example synthetic_report -- OUT_DIR [--pictures]
//! ```
//!
//! Nothing in these pages was measured.

use std::fs;
use std::path::PathBuf;

use vllm_bench_analysis::inspect::{Filter, select};
use vllm_bench_analysis::report::{self, Browser, Picture};
use vllm_bench_analysis::{Dataset, Index, Summary, markdown, table};

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let out = arguments
        .next()
        .map(PathBuf::from)
        .ok_or("usage: synthetic_report OUT_DIR [--pictures]")?;
    let pictures = arguments.next().is_some_and(|a| a == "--pictures");
    fs::create_dir_all(&out)?;
    let results = tempfile::tempdir()?;
    let run = synthetic::Run::default();
    let dir = synthetic::write(results.path(), &run);
    let dataset = Dataset::open(dir.path())?;
    let summary = Summary::of(&dataset)?;
    fs::write(out.join("report.html"), report::html(&dataset, &summary)?)?;

    let charts = report::charts(&dataset, &summary);
    fs::create_dir_all(out.join("charts"))?;
    for chart in &charts {
        let file = out.join("charts").join(&chart.id);
        fs::write(file.with_extension("html"), report::chart_html(chart, &summary)?)?;
    }
    if pictures {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let browser = Browser::find(&path)?;
        for chart in &charts {
            for picture in [Picture::Svg, Picture::Png] {
                let file = out.join("charts").join(&chart.id).with_extension(picture.extension());
                browser.draw(chart, summary.stages.len(), picture, &file)?;
            }
        }
    }

    let filter = Filter { slowest: true, limit: Some(20), ..Filter::default() };
    let inspection = select(&dataset, &filter, None)?;
    fs::write(out.join("inspect.html"), report::inspect_html(&dataset, &inspection)?)?;

    // A faster server, without objectives, samples or failures: the page must do without them too.
    let plain = synthetic::Run {
        name: "20261124-193000-faster",
        slo: Default::default(),
        failing: 0,
        speed: 1.25,
        simulated: false,
        samples: false,
        ..run
    };
    let other = synthetic::write(results.path(), &plain);
    let other = Dataset::open(other.path())?;
    let faster = Summary::of(&other)?;
    fs::write(out.join("plain.html"), report::html(&other, &faster)?)?;
    fs::write(out.join("compare.html"), report::compare_html(&[summary, faster])?)?;

    // Open loops: a sweep over the rate, and a capacity search.
    let mut opened = Vec::new();
    for (file, run) in [("open", synthetic::Run::open()), ("search", synthetic::Run::searched())] {
        let dir = synthetic::write(results.path(), &run);
        let dataset = Dataset::open(dir.path())?;
        let summary = Summary::of(&dataset)?;
        let page = report::html(&dataset, &summary)?;
        fs::write(out.join(file).with_extension("html"), page)?;
        let text = table::terminal(&summary, &table::Look::PLAIN);
        fs::write(out.join(file).with_extension("txt"), text)?;
        fs::write(out.join(file).with_extension("md"), markdown::document(&summary))?;
        opened.push(summary);
    }
    fs::write(out.join("compare-open.html"), report::compare_html(&opened)?)?;
    let index = Index::of(results.path(), |_, _, _| {})?;
    fs::write(out.join("index.html"), report::index_html(&index)?)?;
    Ok(())
}
