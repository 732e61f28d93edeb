//! From the spec's `[length]` to one length a prompt.

use std::path::Path;

use super::column::{self, Column};
use super::quantile::{log_normal, normal};
use super::targets;
use crate::dice::Dice;
use crate::spec::Distribution;
use crate::{CorpusError, CorpusSpec, LengthSpec, SourceRecord};

/// What lengths are asked for.
#[derive(Debug)]
pub(crate) struct Lengths {
    spec: LengthSpec,
    /// Of an empirical distribution, in order.
    values: Vec<u32>,
    /// What a plan without a length comes to, about.
    unbound: Option<u32>,
}

impl Lengths {
    /// Those of a spec; the trace of an empirical distribution is read, and recorded as a source.
    pub(crate) fn of(
        spec: &CorpusSpec,
        base_dir: &Path,
    ) -> Result<(Self, Option<SourceRecord>), CorpusError> {
        let length = spec.length();
        let unbound = match (&spec.length, spec.rag.top_k, spec.rag.chunk_tokens) {
            (None, Some(k), Some(chunk)) => Some(k.saturating_mul(chunk + 12).saturating_add(100)),
            _ => None,
        };
        let mut lengths = Self { spec: length, values: Vec::new(), unbound };
        let Some(file) = lengths.spec.file.clone() else { return Ok((lengths, None)) };
        let Column { mut values, empty, sha256 } =
            column::read(&base_dir.join(&file), lengths.spec.column.as_deref())?;
        let records = values.len() as u64 + empty;
        values.sort_unstable();
        lengths.values = values;
        let record = SourceRecord {
            name: "length".to_owned(),
            file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256: Some(sha256),
            as_pinned: None,
            licence: None,
            attribution: None,
            records,
            left_out: empty,
        };
        Ok((lengths, Some(record)))
    }

    /// Their mean, about.
    pub(crate) fn mean(&self) -> u32 {
        if let Some(tokens) = self.unbound {
            return tokens;
        }
        match self.spec.distribution {
            Distribution::Bell | Distribution::Fixed => self.spec.mean_tokens,
            _ => {
                let sum: u64 =
                    (0..1000).map(|i| u64::from(self.at((f64::from(i) + 0.5) / 1000.0))).sum();
                (sum / 1000) as u32
            }
        }
    }

    /// One a prompt, in random order; `None` of a plan whose length follows from its chunks.
    pub(crate) fn targets(&self, count: usize, dice: &mut Dice) -> Option<Vec<u32>> {
        if self.unbound.is_some() {
            return None;
        }
        let LengthSpec { distribution, mean_tokens, spread, within, .. } = self.spec;
        if distribution.is_bell() {
            return Some(targets(count, mean_tokens, spread, within, dice));
        }
        // Evenly over the distribution: a few prompts already have its mean and its tail.
        let middle = |i: usize| (i as f64 + 0.5) / count as f64;
        let mut all: Vec<u32> = (0..count).map(|i| self.at(middle(i))).collect();
        dice.shuffle(&mut all);
        Some(all)
    }

    /// The quantile of `p`.
    fn at(&self, p: f64) -> u32 {
        let LengthSpec { mean_tokens, spread, min_tokens, max_tokens, .. } = self.spec;
        let mean = f64::from(mean_tokens);
        let (least, most) = (min_tokens.unwrap_or(1), max_tokens.unwrap_or(u32::MAX));
        let tokens = match self.spec.distribution {
            Distribution::Bell | Distribution::Fixed => return mean_tokens,
            Distribution::Uniform => {
                f64::from(least) + (p * (f64::from(most) - f64::from(least) + 1.0)).floor()
            }
            Distribution::Normal => mean + mean * spread * normal(p),
            Distribution::LogNormal => log_normal(p, mean, spread),
            Distribution::Empirical => {
                let at = (p * self.values.len() as f64) as usize;
                f64::from(self.values[at.min(self.values.len() - 1)])
            }
        };
        (tokens.round().max(1.0) as u32).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(length: &str, count: usize) -> Vec<u32> {
        let spec = CorpusSpec::parse(&format!("name = \"t\"\nlength = {{ {length} }}\n"), "t.toml")
            .unwrap_or_else(|e| panic!("{e}"));
        let (lengths, _) = Lengths::of(&spec, Path::new(".")).expect("no file");
        let all = lengths.targets(count, &mut Dice::new(1, "lengths")).expect("has lengths");
        let mean = all.iter().map(|&t| f64::from(t)).sum::<f64>() / count as f64;
        assert!((mean - f64::from(lengths.mean())).abs() <= mean * 0.01 + 1.0, "{length}: {mean}");
        all
    }

    fn mean_and_deviation(all: &[u32]) -> (f64, f64) {
        let n = all.len() as f64;
        let mean = all.iter().map(|&t| f64::from(t)).sum::<f64>() / n;
        let variance = all.iter().map(|&t| (f64::from(t) - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt())
    }

    #[test]
    fn each_distribution_is_what_it_is_called() {
        assert_eq!(lengths("distribution = \"fixed\", mean_tokens = 777", 3), [777, 777, 777]);
        let uniform =
            lengths("distribution = \"uniform\", min_tokens = 100, max_tokens = 299", 2000);
        let counts = (100..300).map(|t| uniform.iter().filter(|&&u| u == t).count());
        assert!(counts.into_iter().all(|count| count == 10));
        let (mean, deviation) = mean_and_deviation(&lengths(
            "distribution = \"normal\", mean_tokens = 1000, spread = 0.2",
            5000,
        ));
        assert!(
            (mean - 1000.0).abs() < 1.0 && (deviation - 200.0).abs() < 2.0,
            "{mean} {deviation}"
        );
        let log = lengths("distribution = \"log-normal\", mean_tokens = 1000, spread = 0.8", 5000);
        let (mean, deviation) = mean_and_deviation(&log);
        assert!(
            (mean - 1000.0).abs() < 3.0 && (deviation - 800.0).abs() < 30.0,
            "{mean} {deviation}"
        );
        let cut = lengths(
            "distribution = \"normal\", mean_tokens = 1000, spread = 0.5, min_tokens = 600, max_tokens = 1400",
            500,
        );
        assert_eq!((cut.iter().min(), cut.iter().max()), (Some(&600), Some(&1400)));
        assert_ne!(uniform[..20].to_vec(), {
            let mut sorted = uniform.clone();
            sorted.sort_unstable();
            sorted[..20].to_vec()
        });
    }

    #[test]
    fn a_trace_gives_its_own_lengths() {
        let folder = tempfile::tempdir().expect("made");
        std::fs::write(folder.path().join("t.csv"), "ContextTokens\n10\n0\n30\n20\n20\n")
            .expect("written");
        let text = "name = \"t\"\n[length]\ndistribution = \"empirical\"\nfile = \"t.csv\"\nmax_tokens = 25\n";
        let spec = CorpusSpec::parse(text, "t.toml").expect("right");
        let (lengths, record) = Lengths::of(&spec, folder.path()).expect("reads");
        let mut all = lengths.targets(8, &mut Dice::new(1, "lengths")).expect("has lengths");
        all.sort_unstable();
        assert_eq!(all, [10, 10, 20, 20, 20, 20, 25, 25]);
        let record = record.expect("a source");
        assert_eq!((record.file.as_str(), record.records, record.left_out), ("t.csv", 5, 1));
    }
}
