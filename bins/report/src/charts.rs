//! Charts as files of their own.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use vllm_bench_analysis::report::{Browser, chart_html, charts};
use vllm_bench_analysis::{Dataset, Summary, replace};

use crate::cli::Format;

/// Writes every chart into `folder` and gives their number.
pub(crate) fn write(
    dataset: &Dataset,
    summary: &Summary,
    folder: &Path,
    format: Format,
) -> anyhow::Result<usize> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let charts = charts(dataset, summary);
    match format.picture() {
        None => {
            for chart in &charts {
                replace(&folder.join(format!("{}.html", chart.id)), &chart_html(chart, summary)?)?;
            }
        }
        Some(picture) => {
            let browser = Browser::find(&std::env::var_os("PATH").unwrap_or_default())?;
            for chart in &charts {
                let file = folder.join(format!("{}.{}", chart.id, picture.extension()));
                browser.draw(chart, summary.stages.len(), picture, &file)?;
            }
        }
    }
    Ok(charts.len())
}
