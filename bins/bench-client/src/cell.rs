//! The measurements: how many streams, at which pace, how long.

use vllm_bench_bench::Pace;

use crate::cli::{Cli, What};

/// One measurement, repeated for each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub what: What,
    pub streams: u32,
    pub pace: Pace,
    pub tokens: u32,
    pub requests_per_stream: u32,
}

const TTFT_NS: u64 = 50_000_000;

/// Tokens a second of all streams together, where CPU time is measured.
const TOKENS_PER_SECOND: u64 = 6_400;

/// Longest answer.
const TOKENS: u64 = 128;

impl Cell {
    /// Whether every arrival is of interest.
    pub(crate) const fn keeps_arrivals(&self) -> bool {
        !matches!(self.what, What::Cpu | What::Saturated)
    }

    /// Whether the client is stopped half of the time.
    pub(crate) const fn stalled(&self) -> bool {
        matches!(self.what, What::Stalled | What::Capture)
    }

    /// Of about `seconds`, with whole answers.
    fn paced(what: What, streams: u32, itl_ns: u64, seconds: u64) -> Self {
        let time = seconds * 1_000_000_000;
        let tokens = (time.saturating_sub(TTFT_NS) / itl_ns).clamp(2, TOKENS);
        let requests = (time / (TTFT_NS + tokens * itl_ns)).max(1);
        Self {
            what,
            streams,
            pace: Pace { ttft_ns: TTFT_NS, itl_ns, staggered: true },
            tokens: tokens as u32,
            requests_per_stream: requests as u32,
        }
    }

    /// In a few words.
    pub(crate) fn name(&self) -> String {
        let what = match self.what {
            What::Cpu => "CPU a token",
            What::Saturated => "saturated",
            What::Errors => "errors",
            What::Stalled => "errors, client stalled",
            What::Capture => "errors, client stalled, captured",
            // No cells: see `alone`.
            What::Schedule | What::Memory | What::LongBody | What::Busy | What::FirstRequest => {
                "alone"
            }
        };
        format!("{what}, {} stream{}", self.streams, if self.streams == 1 { "" } else { "s" })
    }
}

/// All that `cli` asks for.
pub(crate) fn cells(cli: &Cli) -> Vec<Cell> {
    let seconds = if cli.quick { 2 } else { 10 };
    let mut cells = Vec::new();
    for streams in [64, 256, 1000] {
        let itl_ns = u64::from(streams) * 1_000_000_000 / TOKENS_PER_SECOND;
        cells.push(Cell::paced(What::Cpu, streams, itl_ns, seconds));
    }
    cells.push(Cell {
        what: What::Saturated,
        streams: 64,
        pace: Pace::SATURATED,
        tokens: 2_000,
        requests_per_stream: if cli.quick { 2 } else { 10 },
    });
    for streams in [1, 64, 256, 512] {
        cells.push(Cell::paced(What::Errors, streams, 10_000_000, seconds));
    }
    for what in [What::Stalled, What::Capture] {
        cells.push(Cell::paced(what, 512, 10_000_000, seconds));
    }
    cells.retain(|cell| cli.wants(cell.what));
    cells
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn paced_cells_last_as_long_as_they_should() {
        for (args, seconds) in [(&["x"][..], 10.0), (&["x", "--quick"], 2.0)] {
            let all = cells(&Cli::parse_from(args));
            assert_eq!(all.len(), 10);
            for cell in all.iter().filter(|cell| !cell.pace.is_saturated()) {
                let answer = TTFT_NS + u64::from(cell.tokens) * cell.pace.itl_ns;
                let lasts = (answer * u64::from(cell.requests_per_stream)) as f64 / 1e9;
                assert!((0.4 * seconds..1.05 * seconds).contains(&lasts), "{cell:?}: {lasts} s");
            }
        }
    }

    #[test]
    fn streams_where_cpu_is_measured_make_the_same_rate() {
        for cell in cells(&Cli::parse_from(["x", "--only", "cpu"])) {
            let rate = f64::from(cell.streams) * 1e9 / cell.pace.itl_ns as f64;
            assert!((rate - 6_400.0).abs() < 1.0, "{rate}");
            assert!(!cell.keeps_arrivals());
        }
    }
}
