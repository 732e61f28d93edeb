//! One chart as a file of its own: to be opened, or to be photographed.

use minijinja::context;

use crate::charts::NamedChart;
use crate::error::AnalysisError;
use crate::report::page::{Page, Template, render};
use crate::summary::Summary;

/// `chart` as one HTML file that loads nothing.
///
/// # Errors
/// An option that is not JSON; a broken template is a bug of this crate.
pub fn chart_html(chart: &NamedChart, summary: &Summary) -> Result<String, AnalysisError> {
    let page = Page {
        title: format!("{} · {}", chart.title, summary.run.run_id),
        charts: vec![chart],
        stages: summary.stages.len().max(5),
        ..Page::default()
    };
    let run = &summary.run;
    let model = run.model.as_deref().unwrap_or("unknown model");
    let content = context! {
        chart_data => chart,
        export => false,
        run => format!("{model} · {} · {}", run.scenario, run.run_id),
        simulated => run.any_simulated(),
    };
    render(Template::Chart, &page, content)
}

/// `chart` alone on a page, without margins or buttons, its SVG in the page as text.
pub(crate) fn export_html(chart: &NamedChart, stages: usize) -> Result<String, AnalysisError> {
    let page = Page {
        title: chart.title.clone(),
        charts: vec![chart],
        stages: stages.max(5),
        bare: true,
        svg_out: true,
        ..Page::default()
    };
    render(Template::Chart, &page, context! { chart_data => chart, export => true })
}
