//! Runs the measurements: floor and load generator in turn, each against a server of its own.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use vllm_bench_bench::{ClientLog, ClientPlan, Comparison, TruthConfig, TruthLog, compare};
use vllm_bench_loadgen::{Target, check_capture};

use crate::alone;
use crate::cell::{Cell, cells};
use crate::children::{Owned, command, start_truth, wait};
use crate::cli::{Cli, What};
use crate::cpus::Cpus;
use crate::figures::{CellFigures, Figures, Pair, PeerFigure, Sample};
use crate::role::{Role, RolePart};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Floor,
    Load,
}

/// Measures all that `cli` asks for; `say` hears of each step.
pub(crate) fn measure(
    cli: &Cli,
    cpus: Cpus,
    mut say: impl FnMut(String),
) -> anyhow::Result<Figures> {
    let mut cells = cells(cli);
    if cells.iter().any(|cell| cell.what == What::Capture)
        && let Err(error) = check_capture(&[Target::resolve("http://127.0.0.1:1")?])
    {
        say(format!("not measured with capture: {error}"));
        cells.retain(|cell| cell.what != What::Capture);
    }
    let mut figures = Figures::new(cli, cpus);
    for cell in &cells {
        let mut pairs = Vec::new();
        for repetition in 0..cli.repetitions() {
            say(format!("{}: {} of {}", cell.name(), repetition + 1, cli.repetitions()));
            // Who goes first changes, so that a drift of the machine favours none.
            let first = [Who::Floor, Who::Load][repetition as usize % 2];
            let one = run(cell, first, cpus).with_context(|| cell.name())?;
            let second = if first == Who::Floor { Who::Load } else { Who::Floor };
            let two = run(cell, second, cpus).with_context(|| cell.name())?;
            pairs.push(match first {
                Who::Floor => Pair { floor: one, ours: two },
                Who::Load => Pair { floor: two, ours: one },
            });
        }
        figures.cells.push(CellFigures { cell: *cell, pairs });
    }
    figures.alone = alone::measure(cli, cpus, &mut say)?;
    for peer in &cli.peer {
        for cell in cells.iter().filter(|cell| cell.what == What::Cpu) {
            let name = peer.kind.as_str();
            say(format!("{}: {name}", cell.name()));
            let tokenizer = cli.peer_tokenizer.as_deref();
            let cost = peer.cost(cell, tokenizer, cpus)?;
            figures.peers.push(PeerFigure { name, streams: cell.streams, cost });
        }
    }
    Ok(figures)
}

/// One run of one client.
fn run(cell: &Cell, who: Who, cpus: Cpus) -> anyhow::Result<Sample> {
    let dir = tempfile::tempdir()?;
    let keep = cell.keeps_arrivals();
    let config = TruthConfig { pace: cell.pace, log_writes: keep, ..TruthConfig::default() };
    let truth = start_truth(config, cpus.server())?;
    let plan = ClientPlan {
        streams: cell.streams,
        requests_per_stream: cell.requests_per_stream,
        tokens: cell.tokens,
        keep_arrivals: keep,
        ..ClientPlan::to(truth.addr())
    };
    let log = dir.path().join("client.json");
    let part = match who {
        Who::Floor => RolePart::Floor(plan.clone()),
        Who::Load if cell.what == What::Capture => RolePart::Capture(plan.clone()),
        Who::Load => RolePart::Load(plan.clone()),
    };
    let child = Owned::start(command(&Role { part, cpu: cpus.client(), log: log.clone() })?)?;
    wait(child, cell.stalled(), Duration::from_secs(300))?;
    let mut client = ClientLog::read_from(&log)?;
    client.check()?;
    ensure!(
        client.tokens == plan.tokens(),
        "{} tokens were asked for and {} counted",
        plan.tokens(),
        client.tokens
    );
    let truth = truth.finish()?;
    let mut found = sample(&client, &truth)?;
    if cell.what == What::Capture && who == Who::Load {
        // Every event counts: one that was not captured with all its error.
        for arrival in client.kept.iter_mut().flat_map(|request| &mut request.arrivals) {
            arrival.censored = false;
        }
        found.arrival_p99_us = compare(&client, &truth)?.arrival_p99_us();
    }
    Ok(found)
}

fn sample(client: &ClientLog, truth: &TruthLog) -> anyhow::Result<Sample> {
    let mut errors: Comparison = compare(client, truth)?;
    Ok(Sample {
        cpu_per_token_ns: client.cpu_per_token_ns().context("no tokens")?,
        tokens_per_second: client.tokens_per_second().context("no time passed")?,
        peak_rss_bytes: client.peak_rss_bytes,
        arrival_p99_us: errors.arrival_p99_us(),
        ttft_p99_us: errors.ttft_p99_us(),
        itl_p99_us: errors.itl_p99_us(),
        censored_share: errors.censored_share(),
    })
}
