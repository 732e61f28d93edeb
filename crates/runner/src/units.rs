//! Values that a scenario writes with their unit.

use std::fmt;
use std::num::NonZeroU32;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
pub use vllm_bench_loadgen::HumanDuration;

/// One positive number, or one for each level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneOrEach {
    /// The same for every level.
    One(NonZeroU32),
    /// One a level.
    Each(Vec<NonZeroU32>),
}

impl OneOrEach {
    /// The number of level `index`; `None` past the end of a list.
    pub fn at(&self, index: usize) -> Option<NonZeroU32> {
        match self {
            Self::One(n) => Some(*n),
            Self::Each(list) => list.get(index).copied(),
        }
    }

    /// How many levels it speaks of; `None` for "any".
    pub fn levels(&self) -> Option<usize> {
        match self {
            Self::One(_) => None,
            Self::Each(list) => Some(list.len()),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrEach {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = OneOrEach;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of at least 1, or a list of such numbers")
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<OneOrEach, E> {
                u32::try_from(n)
                    .ok()
                    .and_then(NonZeroU32::new)
                    .map(OneOrEach::One)
                    .ok_or_else(|| E::invalid_value(Unexpected::Signed(n), &self))
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<OneOrEach, E> {
                i64::try_from(n)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(n), &self))
                    .and_then(|n| self.visit_i64(n))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrEach, A::Error> {
                let mut list = Vec::new();
                while let Some(n) = seq.next_element::<NonZeroU32>()? {
                    list.push(n);
                }
                if list.is_empty() {
                    return Err(A::Error::invalid_length(0, &self));
                }
                Ok(OneOrEach::Each(list))
            }
        }
        deserializer.deserialize_any(Numbers)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Deserialize)]
    struct Doc {
        d: Option<HumanDuration>,
        n: Option<OneOrEach>,
    }

    fn duration(text: &str) -> Option<Duration> {
        toml::from_str::<Doc>(&format!("d = {text}")).ok()?.d.map(|d| d.0)
    }

    #[test]
    fn durations_need_a_unit_and_some_length() {
        assert_eq!(duration("\"1500ms\""), Some(Duration::from_millis(1500)));
        assert_eq!(duration("\"2m\""), Some(Duration::from_secs(120)));
        for bad in ["5", "\"5\"", "\"0s\"", "\"-1s\"", "\"soon\"", "true"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_positive() {
        let parse = |t: &str| toml::from_str::<Doc>(&format!("n = {t}")).ok().and_then(|d| d.n);
        assert_eq!(parse("[1, 4]").and_then(|n| n.at(1)), NonZeroU32::new(4));
        assert_eq!(parse("7").and_then(|n| n.at(9)), NonZeroU32::new(7));
        for bad in ["0", "[1, 0]", "[]", "-3", "\"4\"", "1.5", "5000000000"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
