//! The command line of `vllm-bench-report`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use vllm_bench_analysis::inspect::{Filter, WantedOutcome};
use vllm_bench_analysis::report::Picture;
use vllm_bench_analysis::{Asked, Prices, READING_SPEED};
use vllm_bench_cli::Common;
use vllm_bench_record::Slo;

/// Shows what a run found: a table here, and report.html, summary.json, summary.csv and summary.md
/// in the run directory.
///
/// Without RUN_DIR it takes the newest run of the results folder.
#[derive(Parser, Debug)]
#[command(
    name = "vllm-bench-report",
    version,
    args_conflicts_with_subcommands = true,
    before_help = "Examples:\n  vllm-bench-report\n  vllm-bench-report inspect results/latest --outcome failed"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) report: Report,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Prompts, answers and figures of single requests
    Inspect(Inspect),
    /// Runs side by side over load (concurrency or request rate); the first is the baseline
    Compare(Compare),
    /// All runs of a folder on one page, with trends over versions
    Index(IndexArgs),
}

#[derive(ClapArgs, Debug)]
pub(crate) struct Report {
    /// The run directory; the newest run where none is named
    #[arg(value_name = "RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,

    /// Folder in which the newest run is looked for
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,

    /// Print summary.json instead of the table
    #[arg(long)]
    pub(crate) json: bool,

    /// Write each chart as a file of its own into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) charts: Option<PathBuf>,

    /// What kind of file: a page that can be zoomed, or a picture (needs an installed Chromium)
    #[arg(long, value_enum, default_value_t = Format::Html, requires = "charts")]
    pub(crate) format: Format,

    /// An objective instead of the scenario's, such as ttft_p95=1.5s or goodput=95%. Repeatable
    #[arg(long, value_name = "NAME=LIMIT", value_parser = objective)]
    pub(crate) slo: Vec<(String, String)>,

    /// Price of one GPU for an hour: adds what tokens and requests cost, in the same currency
    #[arg(long, value_name = "PRICE", value_parser = positive)]
    pub(crate) gpu_hour: Option<f64>,

    /// GPUs of the server, where they were not all sampled, or more than its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) gpus: Option<u32>,

    /// Tokens a second that a person reads
    #[arg(long, value_name = "TOKENS", value_parser = positive, default_value_t = READING_SPEED)]
    pub(crate) reading_speed: f64,

    /// Exit with 4 when a check of the verdict fails or an objective is missed
    #[arg(long)]
    pub(crate) check: bool,
}

impl Report {
    /// What the reader brings.
    pub(crate) fn asked(&self) -> Asked {
        let Self { gpu_hour, gpus, reading_speed, .. } = *self;
        Asked {
            slo: self.slo.iter().cloned().collect(),
            prices: Prices { gpu_hour, gpus, reading_speed },
        }
    }
}

fn objective(text: &str) -> Result<(String, String), String> {
    let (name, limit) =
        text.split_once('=').ok_or("an objective is NAME=LIMIT, such as ttft_p95=2s")?;
    Slo::parse(name.trim(), limit.trim()).map_err(|error| error.to_string())?;
    Ok((name.trim().to_owned(), limit.trim().to_owned()))
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    number.ok_or_else(|| "it must be a number above 0".into())
}

/// What kind of file a chart becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A page that loads nothing
    Html,
    /// Lines and text
    Svg,
    /// Pixels
    Png,
}

impl Format {
    /// The picture it is; `None` for a page.
    pub(crate) fn picture(self) -> Option<Picture> {
        match self {
            Self::Html => None,
            Self::Svg => Some(Picture::Svg),
            Self::Png => Some(Picture::Png),
        }
    }
}

#[derive(ClapArgs, Debug)]
pub(crate) struct Inspect {
    /// The run directory; the newest run where none is named
    #[arg(value_name = "RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,

    /// Folder in which the newest run is looked for
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(crate) results: PathBuf,

    /// Only requests of this stage, by its label ("cc 8")
    #[arg(long, value_name = "LABEL")]
    pub(crate) stage: Option<String>,

    /// Only requests that ended so
    #[arg(long, value_enum)]
    pub(crate) outcome: Option<Outcome>,

    /// The N slowest, slowest first
    #[arg(long, value_name = "N", conflicts_with = "limit")]
    pub(crate) slowest: Option<usize>,

    /// Only requests whose id begins so
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,

    /// Only requests with this prompt
    #[arg(long, value_name = "ID")]
    pub(crate) prompt_id: Option<String>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,

    /// The corpus that was sent, where it is no longer at the path in the manifest
    #[arg(long, value_name = "FILE")]
    pub(crate) corpus: Option<PathBuf>,

    /// Long prompts and answers whole
    #[arg(long)]
    pub(crate) whole: bool,

    /// Print JSON
    #[arg(long, conflicts_with = "html")]
    pub(crate) json: bool,

    /// Write a page to FILE instead of printing
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) html: Option<Option<PathBuf>>,
}

impl Inspect {
    /// Which requests are wanted.
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            stage: self.stage.clone(),
            outcome: self.outcome.map(Outcome::wanted),
            id: self.id.clone(),
            prompt_id: self.prompt_id.clone(),
            slowest: self.slowest.is_some(),
            limit: Some(self.slowest.unwrap_or(self.limit)),
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    /// A whole answer
    Completed,
    /// Failed
    Failed,
    /// Stopped by the run's own end
    Cancelled,
}

impl Outcome {
    fn wanted(self) -> WantedOutcome {
        match self {
            Self::Completed => WantedOutcome::Completed,
            Self::Failed => WantedOutcome::Failed,
            Self::Cancelled => WantedOutcome::Cancelled,
        }
    }
}

#[derive(ClapArgs, Debug)]
pub(crate) struct Compare {
    /// Run directories, the baseline first
    #[arg(value_name = "RUN_DIR", num_args = 2.., required = true)]
    pub(crate) run_dirs: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a page with tables and charts to FILE too
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(ClapArgs, Debug)]
pub(crate) struct IndexArgs {
    /// The folder with the run directories
    #[arg(value_name = "RESULTS", default_value = "results")]
    pub(crate) results: PathBuf,

    /// Where the page goes; RESULTS/index.html, from where reports are linked, where none is named
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_run_or_a_subcommand() {
        let args = Args::try_parse_from(["x", "results/a", "--json"]).expect("a run");
        assert!(args.command.is_none() && args.report.json);
        let args =
            Args::try_parse_from(["x", "inspect", "results/a", "--slowest", "5"]).expect("inspect");
        let Some(Command::Inspect(inspect)) = args.command else { panic!("not inspect") };
        assert_eq!((inspect.filter().slowest, inspect.filter().limit), (true, Some(5)));
        assert!(Args::try_parse_from(["x", "compare", "one"]).is_err());
        let args = Args::try_parse_from(["x", "--slo", "ttft_p95=1s", "--gpu-hour", "2.5"]);
        let asked = args.expect("an objective and a price").report.asked();
        assert_eq!(asked.slo["ttft_p95"], "1s");
        assert_eq!(asked.prices.gpu_hour, Some(2.5));
        for wrong in [["--slo", "ttft_p95"], ["--slo", "tft_p95=1s"], ["--gpu-hour", "0"]] {
            assert!(Args::try_parse_from(["x", wrong[0], wrong[1]]).is_err(), "{wrong:?}");
        }
        assert!(Args::try_parse_from(["x", "--format", "svg"]).is_err());
    }
}
