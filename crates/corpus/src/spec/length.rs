//! How long prompts are to be.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How long prompts are, in tokens of the whole prompt, chat template included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LengthSpec {
    /// How lengths are spread. All but [`Distribution::Bell`] are met to the token where the text allows it.
    #[serde(skip_serializing_if = "Distribution::is_bell")]
    pub distribution: Distribution,
    /// Mean length, tokens; of `fixed` each length. Not of `uniform` and `empirical`.
    pub mean_tokens: u32,
    /// Standard deviation as a share of the mean: of `bell`, `normal` and `log-normal`.
    pub spread: f64,
    /// Of `bell`: no prompt is further from the mean than this share of it.
    pub within: f64,
    /// No prompt is shorter. `uniform` needs it; for the others it cuts the distribution off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tokens: Option<u32>,
    /// No prompt is longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Of `empirical`: a trace, relative to the spec: CSV with a header, JSON Lines, or a number a line; `.gz` is unpacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Of `empirical`: the column (CSV) or key (JSON Lines) that has the lengths. Default: the first that is known of
    /// `ContextTokens`, `input_length`, `prompt_tokens`, `Request tokens`, `prompt_len`, `input_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

/// How lengths are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Distribution {
    /// Bell-shaped around the mean and never far from it; passages are cut behind sentences, so that a prompt may be 2 %
    /// off its aim. The mean is exact.
    #[default]
    Bell,
    /// All the same.
    Fixed,
    /// Each length from `min_tokens` to `max_tokens` as often as another.
    Uniform,
    /// Gauss's.
    Normal,
    /// Its logarithm is normal: many short ones and a long tail, as chats have.
    LogNormal,
    /// As a file has them.
    Empirical,
}

impl Distribution {
    pub(crate) fn is_bell(&self) -> bool {
        *self == Self::Bell
    }
}

impl Default for LengthSpec {
    fn default() -> Self {
        Self {
            distribution: Distribution::Bell,
            mean_tokens: 1371,
            spread: 0.05,
            within: 0.15,
            min_tokens: None,
            max_tokens: None,
            file: None,
            column: None,
        }
    }
}

impl LengthSpec {
    /// Fewest and most tokens that a prompt may have, as far as the spec alone tells.
    pub fn bounds(&self) -> (u32, u32) {
        let mean = f64::from(self.mean_tokens);
        match self.distribution {
            Distribution::Bell => (
                (mean * (1.0 - self.within)).ceil().max(1.0) as u32,
                (mean * (1.0 + self.within)).floor() as u32,
            ),
            Distribution::Fixed => (self.mean_tokens, self.mean_tokens),
            _ => (self.min_tokens.unwrap_or(1), self.max_tokens.unwrap_or(u32::MAX)),
        }
    }

    /// What does not go together: the key after `length.`, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        use Distribution::{Bell, Empirical, Fixed, LogNormal, Uniform};
        let kind = self.distribution;
        let plain = Self::default();
        if self.mean_tokens == 0 {
            return Some(("mean_tokens", "must be at least 1"));
        }
        let widest = if kind == LogNormal { 4.0 } else { 1.0 };
        if !(0.0..widest).contains(&self.spread) {
            return Some(match kind {
                LogNormal => {
                    ("spread", "must be a share of the mean from 0 to below 4, such as 0.8")
                }
                _ => ("spread", "must be a share of the mean from 0 to below 1, such as 0.05"),
            });
        }
        if !(self.within > 0.0 && self.within < 1.0) {
            return Some(("within", "must be a share of the mean between 0 and 1, such as 0.15"));
        }
        if kind == Bell && self.spread > self.within {
            return Some(("within", "must not be smaller than length.spread"));
        }
        if kind != Bell && self.within != plain.within {
            return Some((
                "within",
                "goes with distribution = \"bell\" only; others are cut off by min_tokens and max_tokens",
            ));
        }
        if matches!(kind, Fixed | Uniform | Empirical) && self.spread != plain.spread {
            return Some(("spread", "goes with bell, normal and log-normal only"));
        }
        if matches!(kind, Uniform | Empirical) && self.mean_tokens != plain.mean_tokens {
            return Some((
                "mean_tokens",
                "has no meaning for uniform and empirical: the mean follows from the others",
            ));
        }
        let ends = [("min_tokens", self.min_tokens), ("max_tokens", self.max_tokens)];
        for (key, end) in ends {
            match end {
                Some(_) if matches!(kind, Bell | Fixed) => {
                    return Some((key, "goes with uniform, normal, log-normal and empirical only"));
                }
                Some(0) => return Some((key, "must be at least 1")),
                None if kind == Uniform => return Some((key, "is needed for uniform")),
                _ => {}
            }
        }
        if let (Some(min), Some(max)) = (self.min_tokens, self.max_tokens)
            && min > max
        {
            return Some(("max_tokens", "must not be smaller than min_tokens"));
        }
        match (&self.file, &self.column) {
            (None, _) if kind == Empirical => Some(("file", "is needed for empirical: a trace")),
            (Some(_), _) if kind != Empirical => {
                Some(("file", "goes with distribution = \"empirical\" only"))
            }
            (_, Some(_)) if kind != Empirical => {
                Some(("column", "goes with distribution = \"empirical\" only"))
            }
            _ => None,
        }
    }
}
