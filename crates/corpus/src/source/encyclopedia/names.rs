//! Invented names: every article has one that no other article of the encyclopedia has.

use crate::dice::Dice;

const ONSETS: [&str; 24] = [
    "b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "br", "dr", "gr",
    "kr", "st", "tr", "sk", "fl", "gl",
];
const VOWELS: [&str; 9] = ["a", "e", "i", "o", "u", "ae", "ei", "ou", "au"];
// Each begins with a consonant and the two syllables before it end with a vowel: a name can be taken apart in one way only,
// so different numbers give different names.
const ENDINGS: [&str; 40] = [
    "n", "r", "l", "th", "rn", "ld", "nd", "rk", "m", "x", "ndor", "lden", "rwick", "nmar",
    "lstad", "rholm", "ntha", "ster", "vik", "ssa", "lia", "rno", "ndal", "rvel", "msey", "ltan",
    "rgan", "nova", "lmere", "rhaven", "nbury", "lford", "rton", "sk", "ndra", "lune", "rath",
    "nec", "dril", "ppe",
];

/// How many names there are before numbers are put behind them.
const COUNT: u64 = (24 * 9) * (24 * 9) * 40;

/// Names of one encyclopedia, in an order that its seed gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    factor: u64,
    shift: u64,
}

impl Names {
    pub(super) fn new(dice: &mut Dice) -> Self {
        // COUNT has the prime factors 2, 3 and 5: any factor without them makes the mapping one to one.
        let mut factor = COUNT / 3 + dice.below(COUNT / 3);
        while [2, 3, 5].iter().any(|&p| factor.is_multiple_of(p)) {
            factor += 1;
        }
        Self { factor, shift: dice.below(COUNT) }
    }

    /// The name of article `index`: unlike that of any other.
    pub(super) fn unique(&self, index: u64) -> String {
        let round = index / COUNT;
        let mixed = (index % COUNT * self.factor + self.shift) % COUNT;
        let name = spell(mixed);
        if round == 0 { name } else { format!("{name} {}", round + 1) }
    }
}

/// Any name, for places and people that are only mentioned.
pub(super) fn any(dice: &mut Dice) -> String {
    spell(dice.below(COUNT))
}

fn spell(mut number: u64) -> String {
    let mut digit = |base: usize| {
        let digit = number % base as u64;
        number /= base as u64;
        digit as usize
    };
    let parts = [
        ONSETS[digit(24)],
        VOWELS[digit(9)],
        ONSETS[digit(24)],
        VOWELS[digit(9)],
        ENDINGS[digit(40)],
    ];
    let mut name = parts.concat();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_articles_have_the_same_name() {
        let names = Names::new(&mut Dice::new(7, "names"));
        let all: HashSet<String> = (0..COUNT).map(|i| names.unique(i)).collect();
        assert_eq!(all.len() as u64, COUNT);
        assert_eq!(names.unique(COUNT), format!("{} 2", names.unique(0)));
        assert_ne!(names.unique(0), Names::new(&mut Dice::new(8, "names")).unique(0));
    }
}
