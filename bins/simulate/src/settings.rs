//! Settings of the server: the file's, then the flags'.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use vllm_bench_simulator::{ApiKey, SimulatorConfig};

use crate::cli::Cli;

/// Prompt tokens that `--ttft` is the time for.
const TTFT_TOKENS: u32 = 1_000;

/// Reads the file, if there is one, and lays the flags over it.
pub(crate) fn read(cli: &Cli) -> anyhow::Result<SimulatorConfig> {
    let mut config = match &cli.config {
        None => SimulatorConfig::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            toml::from_str(&text).with_context(|| format!("{} is not right", path.display()))?
        }
    };
    if let Some(model) = &cli.model {
        config.model.clone_from(model);
    }
    if let Some(tokens) = cli.answer_tokens {
        config.answer.mean_tokens = tokens;
    }
    if let Some(variable) = &cli.api_key_env {
        let key = std::env::var(variable)
            .with_context(|| format!("--api-key-env names {variable}, which holds no key"))?;
        ensure!(!key.is_empty(), "--api-key-env names {variable}, which is empty");
        config.api_key = Some(ApiKey::from(key.as_str()));
    }
    set_speed(&mut config, cli)?;
    config.check()?;
    Ok(config)
}

fn set_speed(config: &mut SimulatorConfig, cli: &Cli) -> anyhow::Result<()> {
    let cost = &mut config.cost;
    if let Some(itl) = cli.itl {
        let sequence = cost.per_decode_sequence;
        ensure!(itl > sequence, "--itl must be above the {sequence:?} that one sequence costs");
        cost.base = itl - sequence;
    }
    if let Some(ttft) = cli.ttft {
        let step = cost.base + TTFT_TOKENS * cost.per_kv_token;
        ensure!(ttft > step, "--ttft must be above the {step:?} of a step without prompt tokens");
        cost.per_prefill_token = (ttft - step) / TTFT_TOKENS;
    }
    if let Some(speed) = cli.speed {
        ensure!(speed > 0.0 && speed.is_finite(), "--speed must be a number above 0");
        let faster = |time: &mut Duration| *time = time.div_f64(speed);
        faster(&mut cost.base);
        faster(&mut cost.per_prefill_token);
        faster(&mut cost.per_decode_sequence);
        faster(&mut cost.per_kv_token);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use vllm_bench_simulator::StepWork;

    use super::*;

    fn read_from(flags: &str) -> anyhow::Result<SimulatorConfig> {
        let line = format!("vllm-bench-simulate {flags}");
        read(&Cli::try_parse_from(line.split_whitespace())?)
    }

    #[test]
    fn speed_flags_mean_what_they_say() {
        let config = read_from("--ttft 100ms --itl 10ms").expect("sound flags");
        let prompt = StepWork { prefill_tokens: 1000, decode_sequences: 0, kv_tokens: 1000 };
        assert_eq!(config.cost.time_of(&prompt), Duration::from_millis(100));
        let token = StepWork { prefill_tokens: 0, decode_sequences: 1, kv_tokens: 0 };
        assert_eq!(config.cost.time_of(&token), Duration::from_millis(10));
        let fast = read_from("--ttft 100ms --itl 10ms --speed 2").expect("sound flags");
        assert_eq!(fast.cost.time_of(&prompt), Duration::from_millis(50));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        for (flags, word) in [
            ("--ttft 1ms", "--ttft must be above"),
            ("--itl 1us", "--itl must be above"),
            ("--speed 0", "--speed"),
            ("--answer-tokens 0", "answer.mean_tokens"),
            ("--api-key-env NO_SUCH_VARIABLE_HERE", "NO_SUCH_VARIABLE_HERE"),
            ("--config no/such/file.toml", "no/such/file.toml"),
        ] {
            let problem = format!("{:#}", read_from(flags).expect_err(flags));
            assert!(problem.contains(word), "{flags}: {problem}");
        }
    }

    #[test]
    fn a_file_is_read_and_an_unknown_key_in_it_named() {
        let folder =
            std::env::temp_dir().join(format!("vllm-bench-simulate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let path = folder.join("server.toml");
        let text =
            "model = \"m\"\n[cost]\nbase = \"5ms\"\n[[faults]]\nevery = 3\nfault = \"cut=2\"\n";
        std::fs::write(&path, text).expect("a file");
        let flags = format!("--config {}", path.display());
        let config = read_from(&flags).expect("a sound file");
        assert_eq!((config.model.as_str(), config.cost.base), ("m", Duration::from_millis(5)));
        std::fs::write(&path, "modell = \"m\"\n").expect("a file");
        let problem = format!("{:#}", read_from(&flags).expect_err("an unknown key"));
        assert!(problem.contains("modell") && problem.contains("line 1, column 1"), "{problem}");
        std::fs::remove_dir_all(&folder).expect("the folder goes");
    }
}
