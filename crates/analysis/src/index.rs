//! Many runs on one page: what there is, and how the figures went over versions.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vllm_bench_record::{CheckStatus, Level, layout};

use crate::dataset::Dataset;
use crate::error::AnalysisError;
use crate::files::ReportFiles;
use crate::locate::run_dirs;
use crate::stat::Percentile;
use crate::summary::Summary;
use crate::text;

/// All runs of a folder that could be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Runs that ask the same of the same model, oldest first; the group with the newest run first.
    pub groups: Vec<IndexGroup>,
    /// Folders that hold no run that can be read, each with why.
    pub left_out: Vec<(String, String)>,
}

/// Runs of one scenario with one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexGroup {
    /// The scenario's name.
    pub scenario: String,
    /// The model.
    pub model: String,
    /// Its runs, oldest first.
    pub runs: Vec<IndexRun>,
}

/// One run of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexRun {
    /// The run directory's name.
    pub run_id: String,
    /// Its folder's name within the index's folder.
    pub folder: String,
    /// Wall time at run start, RFC 3339, UTC.
    pub started_at: String,
    /// The first server's version.
    pub server_version: Option<String>,
    /// vllm-bench's version.
    pub tool_version: String,
    /// The GPUs sampled.
    pub gpus: Vec<String>,
    /// A server or the GPU was simulated.
    pub simulated: bool,
    /// The verdict.
    pub verdict: CheckStatus,
    /// Whether it has a `report.html`.
    pub has_report: bool,
    /// The capacity search's answer in words; `None` without a search.
    pub answer: Option<String>,
    /// One a measured stage.
    pub stages: Vec<IndexStage>,
}

/// The figures of one stage that trends are drawn of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexStage {
    /// How hard it asked.
    #[serde(flatten)]
    pub level: Level,
    /// Completed among completed and failed, 0 to 1.
    pub success_rate: Option<f64>,
    /// Output tokens a second.
    pub output_tokens_per_s: Option<f64>,
    /// Time to first token, p95.
    pub ttft_p95_ns: Option<Percentile>,
    /// Time per output token, p95.
    pub tpot_p95_ns: Option<Percentile>,
}

impl IndexGroup {
    /// The levels of load of its runs, ascending, each once.
    pub fn levels(&self) -> Vec<Level> {
        let mut levels: Vec<Level> =
            self.runs.iter().flat_map(|run| &run.stages).map(|stage| stage.level).collect();
        levels.sort_by(|a, b| a.total_cmp(*b));
        levels.dedup_by(|a, b| a.total_cmp(*b).is_eq());
        levels
    }
}

impl IndexRun {
    /// Its stage at `level`.
    pub fn at(&self, level: Level) -> Option<&IndexStage> {
        self.stages.iter().find(|stage| stage.level.total_cmp(level).is_eq())
    }

    fn of(summary: &Summary, dir: &Path) -> Self {
        let run = &summary.run;
        let search = run.search.as_ref();
        Self {
            run_id: run.run_id.clone(),
            folder: folder(dir),
            started_at: run.started_at.clone(),
            server_version: run.servers.first().and_then(|server| server.version.clone()),
            tool_version: run.tool_version.clone(),
            gpus: run.gpus.clone(),
            simulated: run.any_simulated(),
            verdict: summary.verdict.status(),
            has_report: ReportFiles::in_folder(dir).html.is_file(),
            answer: search.map(|search| crate::search::sentence(search, &run.slo)),
            stages: summary.stages.iter().map(IndexStage::of).collect(),
        }
    }
}

impl IndexStage {
    fn of(stage: &crate::stage::StageSummary) -> Self {
        let figures = stage.figures();
        Self {
            level: stage.level,
            success_rate: stage.success_rate,
            output_tokens_per_s: figures.and_then(|f| f.output_tokens_per_s),
            ttft_p95_ns: figures.and_then(|f| Some(f.ttft_ns?.p95)),
            tpot_p95_ns: figures.and_then(|f| Some(f.tpot_ns?.p95)),
        }
    }
}

impl Index {
    /// Of the runs in `results`. A run's own `summary.json` is taken where it is not older than the
    /// run; others are summarised. `each` hears of every run before it is read: which, its number from 0, of how many.
    ///
    /// # Errors
    /// A folder that cannot be read, or has no run. A run that cannot be read is
    /// [left out](Self::left_out).
    pub fn of(
        results: &Path,
        mut each: impl FnMut(&Path, u64, u64),
    ) -> Result<Self, AnalysisError> {
        let dirs = run_dirs(results)?;
        let mut index = Self { groups: Vec::new(), left_out: Vec::new() };
        for (number, dir) in (0..).zip(&dirs) {
            each(dir, number, dirs.len() as u64);
            match summary(dir) {
                Ok(summary) => index.add(&summary, dir),
                Err(error) => index.left_out.push((folder(dir), error.to_string())),
            }
        }
        for group in &mut index.groups {
            group.runs.sort_by(|a, b| a.started_at.cmp(&b.started_at));
        }
        let newest = |group: &IndexGroup| group.runs.last().map(|run| run.started_at.clone());
        index.groups.sort_by_key(|group| std::cmp::Reverse(newest(group)));
        Ok(index)
    }

    fn add(&mut self, summary: &Summary, dir: &Path) {
        let run = IndexRun::of(summary, dir);
        let scenario = summary.run.scenario.clone();
        let model = summary.run.model.clone().unwrap_or_default();
        let same = |g: &&mut IndexGroup| g.scenario == scenario && g.model == model;
        match self.groups.iter_mut().find(same) {
            Some(group) => group.runs.push(run),
            None => self.groups.push(IndexGroup { scenario, model, runs: vec![run] }),
        }
    }
}

/// A run directory's name.
fn folder(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A line a group, `rag · mistral: 4 runs, the newest 20261125-034447-rag`, and one for what was left out.
pub fn terminal(index: &Index) -> String {
    let mut lines = Vec::new();
    for IndexGroup { scenario, model, runs } in &index.groups {
        let newest = runs.last().map_or("", |run| run.run_id.as_str());
        let count = text::of(runs.len() as u64, "run", "runs");
        lines.push(format!("{scenario} · {model}: {count}, the newest {newest}"));
    }
    lines.extend(index.left_out.iter().map(|(folder, why)| format!("left out {folder}: {why}")));
    lines.iter().map(|line| text::shown(line, false) + "\n").collect()
}

/// The summary that lies in the run directory, when it is not older than the run; else anew.
fn summary(dir: &Path) -> Result<Summary, AnalysisError> {
    let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    let file = ReportFiles::in_folder(dir).json;
    let current = changed(&file).zip(changed(&layout::manifest_path(dir)));
    if current.is_some_and(|(summary, run)| summary >= run) {
        let bytes = fs::read(&file).ok();
        // Not one that another version wrote in another form, nor one with a reader's objectives.
        let known = bytes.and_then(|bytes| serde_json::from_slice::<Summary>(&bytes).ok());
        if let Some(summary) = known.filter(|summary| !summary.run.slo_asked) {
            return Ok(summary);
        }
    }
    Summary::of(&Dataset::open(dir)?)
}
