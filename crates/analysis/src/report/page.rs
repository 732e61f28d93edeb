//! One self-contained HTML file: template, assets, data and the policy that shuts everything else out.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use crate::charts::{Hover, NamedChart, ZoomGroup, colour_pairs};
use crate::error::AnalysisError;

mod assets {
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

/// The pages there are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Template {
    Report,
    Chart,
    Inspect,
    Compare,
    Index,
}

impl Template {
    const fn name(self) -> &'static str {
        match self {
            Self::Report => "report.html",
            Self::Chart => "chart.html",
            Self::Inspect => "inspect.html",
            Self::Compare => "compare.html",
            Self::Index => "index.html",
        }
    }
}

/// What every page has.
#[derive(Debug, Default)]
pub(crate) struct Page<'a> {
    pub(crate) title: String,
    pub(crate) charts: Vec<&'a NamedChart>,
    /// Most stages that a ramp is drawn over.
    pub(crate) stages: usize,
    /// Texts for the copy buttons, by name.
    pub(crate) copy: BTreeMap<&'static str, String>,
    /// Without margins, for pictures.
    pub(crate) bare: bool,
    /// Write the first chart's SVG into the page as text.
    pub(crate) svg_out: bool,
}

/// The page's own context, beside what a template is given.
#[derive(Serialize)]
struct PageContext {
    title: String,
    tool_version: &'static str,
    csp: String,
    css: &'static str,
    js: &'static str,
    echarts: Option<&'static str>,
    data: String,
    bare: bool,
}

/// What the page's script reads.
#[derive(Serialize)]
struct PageData<'a> {
    colours: Vec<(String, String)>,
    charts: Vec<ChartData<'a>>,
    copy: &'a BTreeMap<&'static str, String>,
    svg_out: bool,
}

#[derive(Serialize)]
struct ChartData<'a> {
    id: &'a str,
    title: &'a str,
    height: u32,
    group: ZoomGroup,
    hover: &'a Hover,
    option: serde_json::Value,
}

/// Fills `template` with `content`; every text in it is escaped.
pub(crate) fn render(
    template: Template,
    page: &Page<'_>,
    content: Value,
) -> Result<String, AnalysisError> {
    let failed =
        |problem: String| AnalysisError::Draw { what: template.name().to_owned(), problem };
    let mut charts = Vec::with_capacity(page.charts.len());
    for chart in &page.charts {
        let option = serde_json::from_str(&chart.option_json).map_err(|e| failed(e.to_string()))?;
        let NamedChart { id, title, height, group, hover, .. } = chart;
        charts.push(ChartData { id, title, height: *height, group: *group, hover, option });
    }
    let data = PageData {
        colours: colour_pairs(page.stages),
        charts,
        copy: &page.copy,
        svg_out: page.svg_out,
    };
    let needs_echarts = !page.charts.is_empty();
    let own = PageContext {
        title: page.title.clone(),
        tool_version: env!("CARGO_PKG_VERSION"),
        csp: policy(needs_echarts),
        css: assets::PAGE_CSS,
        js: assets::PAGE_JS,
        echarts: needs_echarts.then_some(assets::ECHARTS),
        data: script_json(&data).map_err(|e| failed(e.to_string()))?,
        bare: page.bare,
    };
    environment()
        .and_then(|env| {
            env.get_template(template.name())?.render(context! { page => own, ..content })
        })
        .map_err(|e| failed(format!("{e:#}")))
}

/// Nothing may be loaded from anywhere, and no script may run but ours, by hash.
fn policy(echarts: bool) -> String {
    let mut scripts = format!("'{}'", assets::PAGE_JS_CSP);
    if echarts {
        scripts = format!("'{}' {scripts}", assets::ECHARTS_CSP);
    }
    format!(
        "default-src 'none'; script-src {scripts}; style-src '{}'; base-uri 'none'; form-action 'none'",
        assets::PAGE_CSS_CSP
    )
}

/// JSON that can stand inside a `script` element: no `<`, so that neither an
/// end tag nor a comment can begin in it.
pub(crate) fn script_json(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string(value)?;
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_trim_blocks(true);
    for (name, source) in [
        ("base.html", include_str!("../../templates/base.html")),
        ("macros.html", include_str!("../../templates/macros.html")),
        ("report.html", include_str!("../../templates/report.html")),
        ("chart.html", include_str!("../../templates/chart.html")),
        ("inspect.html", include_str!("../../templates/inspect.html")),
        ("compare.html", include_str!("../../templates/compare.html")),
        ("index.html", include_str!("../../templates/index.html")),
    ] {
        env.add_template(name, source)?;
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_cannot_leave_its_script_element() {
        let hostile = "</script><script>window.pwned=1</script><!-- \u{2028}&";
        let json = script_json(&hostile).expect("a string is JSON");
        assert!(!json.contains(['<', '>', '&', '\u{2028}']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).expect("still JSON"), hostile);
    }

    #[test]
    fn every_template_parses() {
        let env = environment().expect("templates parse");
        assert_eq!(env.templates().count(), 7);
    }

    #[test]
    fn the_policy_names_hashes_and_nothing_unsafe() {
        let policy = policy(true);
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(policy.matches("sha256-").count(), 3);
    }
}
