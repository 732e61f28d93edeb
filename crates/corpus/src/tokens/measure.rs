//! How many tokens a piece of a text has.

/// Where the tokens of one text lie, so that it can be cut at a length.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Measure {
    /// Byte offset where each token begins.
    Starts(Vec<u32>),
    /// An even spread of so many tokens over so many bytes.
    Even {
        /// Tokens of the whole text.
        tokens: u32,
        /// Its length.
        bytes: u32,
    },
}

impl Measure {
    /// Tokens of the whole text.
    pub fn tokens(&self) -> u32 {
        match self {
            Self::Starts(starts) => starts.len() as u32,
            Self::Even { tokens, .. } => *tokens,
        }
    }

    /// Tokens that begin before byte `at`.
    pub fn tokens_before(&self, at: usize) -> u32 {
        match self {
            Self::Starts(starts) => starts.partition_point(|&s| (s as usize) < at) as u32,
            Self::Even { tokens, bytes } => {
                let at = (at as u64).min(u64::from(*bytes));
                (at * u64::from(*tokens)).div_ceil(u64::from((*bytes).max(1))) as u32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_before_a_byte() {
        let starts = Measure::Starts(vec![0, 0, 4, 9]);
        assert_eq!([0, 1, 4, 5, 9, 10].map(|at| starts.tokens_before(at)), [0, 2, 2, 3, 3, 4]);
        assert_eq!(starts.tokens(), 4);
        let even = Measure::Even { tokens: 10, bytes: 40 };
        assert_eq!([0, 1, 4, 5, 40, 99].map(|at| even.tokens_before(at)), [0, 1, 1, 2, 10, 10]);
        assert_eq!(Measure::Even { tokens: 0, bytes: 0 }.tokens_before(3), 0);
    }
}
