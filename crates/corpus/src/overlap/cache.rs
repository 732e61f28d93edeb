//! Prefix caches over a corpus, prompt by prompt: one without an end, and one of so many blocks.

use std::collections::HashMap;

use super::trace::Trace;

/// How many blocks at the beginning of each prompt an earlier one had. It remembers one number a prompt: a radix tree
/// whose edges are earlier prompts, read again where they are needed.
#[derive(Debug, Default)]
pub(super) struct Unlimited {
    /// The first block of what no prompt before `owner` had.
    edges: HashMap<u64, u32>,
}

impl Unlimited {
    /// Adds prompt number `index` and gives the length of its leading run, in blocks. `earlier` reads a prompt's chain.
    pub(super) fn add<E>(
        &mut self,
        index: u32,
        chain: &[u64],
        mut earlier: impl FnMut(u32) -> Result<Vec<u64>, E>,
    ) -> Result<usize, E> {
        let mut run = 0;
        while let Some(first) = chain.get(run) {
            let Some(&owner) = self.edges.get(first) else {
                self.edges.insert(*first, index);
                break;
            };
            let other = earlier(owner)?;
            run += chain[run..].iter().zip(&other[run..]).take_while(|(a, b)| a == b).count();
        }
        Ok(run)
    }
}

/// A cache of so many blocks that loses the least recently used first; of one prompt, the last block before the first.
#[derive(Debug)]
pub(super) struct Limited {
    most: usize,
    places: HashMap<u64, usize>,
    /// A ring of blocks by use: `before` and `after` each, the oldest at `after[0]`. Place 0 is its clasp.
    ring: Vec<Block>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    name: u64,
    before: usize,
    after: usize,
}

impl Limited {
    pub(super) fn new(most: usize) -> Self {
        let clasp = Block { name: 0, before: 0, after: 0 };
        Self { most: most.max(1), places: HashMap::new(), ring: vec![clasp] }
    }

    /// Serves a prompt and gives the blocks at its beginning that were there.
    pub(super) fn add(&mut self, chain: &[u64]) -> usize {
        let run = chain.iter().take_while(|name| self.places.contains_key(name)).count();
        // Blocks in use are not lost: first those that are there, then what is computed, each younger than the last.
        for &name in chain {
            self.touch(name);
        }
        // The end of a prompt is given back first, and so lost first.
        for &name in chain.iter().rev() {
            if self.places.contains_key(&name) {
                self.touch(name);
            }
        }
        run
    }

    fn touch(&mut self, name: u64) {
        let place = match self.places.get(&name) {
            Some(&place) => {
                self.take_out(place);
                place
            }
            None if self.places.len() < self.most => {
                self.ring.push(Block { name, before: 0, after: 0 });
                self.ring.len() - 1
            }
            None => {
                let oldest = self.ring[0].after;
                self.take_out(oldest);
                self.places.remove(&self.ring[oldest].name);
                oldest
            }
        };
        let youngest = self.ring[0].before;
        self.ring[place] = Block { name, before: youngest, after: 0 };
        self.ring[youngest].after = place;
        self.ring[0].before = place;
        self.places.insert(name, place);
    }

    fn take_out(&mut self, place: usize) {
        let Block { before, after, .. } = self.ring[place];
        self.ring[before].after = after;
        self.ring[after].before = before;
    }
}

/// Tokens of a prompt that come from the cache when `run` leading blocks are there: never all of them, since the last one
/// must be computed to have an answer.
pub(super) fn cached_tokens(trace: &Trace, run: usize, block: u32) -> u64 {
    let most = trace.tokens.saturating_sub(1) / block;
    (run as u64).min(u64::from(most)) * u64::from(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by definition: every chain is kept.
    fn by_definition(chains: &[Vec<u64>]) -> Vec<usize> {
        let run = |i: usize| {
            let common =
                |j: usize| chains[i].iter().zip(&chains[j]).take_while(|(a, b)| a == b).count();
            (0..i).map(common).max().unwrap_or(0)
        };
        (0..chains.len()).map(run).collect()
    }

    /// Chains that branch at random: a number names its whole path.
    fn chains(seed: u64, count: usize) -> Vec<Vec<u64>> {
        let mut dice = crate::dice::Dice::new(seed, "chains");
        let chain = |dice: &mut crate::dice::Dice| {
            let mut name = 1u64;
            (0..dice.below(7))
                .map(|_| {
                    name = name * 3 + dice.below(2);
                    name
                })
                .collect()
        };
        (0..count).map(|_| chain(&mut dice)).collect()
    }

    #[test]
    fn the_tree_finds_what_the_definition_says() {
        for seed in 0..50 {
            let chains = chains(seed, 40);
            let mut tree = Unlimited::default();
            let runs: Vec<usize> = (0..chains.len())
                .map(|i| {
                    let earlier = |j: u32| Ok::<_, ()>(chains[j as usize].clone());
                    tree.add(i as u32, &chains[i], earlier).expect("reads")
                })
                .collect();
            assert_eq!(runs, by_definition(&chains), "{chains:?}");
            assert!(tree.edges.len() <= chains.len());
            let mut endless = Limited::new(10_000);
            let limited: Vec<usize> = chains.iter().map(|chain| endless.add(chain)).collect();
            assert_eq!(
                limited, runs,
                "a cache that is large enough is as good as one without an end"
            );
        }
    }

    #[test]
    fn the_least_recently_used_goes_and_ends_before_beginnings() {
        let mut cache = Limited::new(4);
        assert_eq!(cache.add(&[1, 2, 3]), 0);
        assert_eq!(cache.add(&[10, 11]), 0, "3 is lost");
        assert_eq!(cache.add(&[1, 2, 3]), 2, "and takes 11 away");
        assert_eq!(cache.add(&[10, 11]), 1);
        assert_eq!(Limited::new(2).add(&[1, 2, 3, 4]), 0, "longer than the cache");
    }

    #[test]
    fn the_last_token_is_always_computed() {
        let trace = |tokens| Trace { tokens, chain: Vec::new(), windows: Vec::new() };
        let cached = [32, 33, 40].map(|tokens| cached_tokens(&trace(tokens), 2, 16));
        assert_eq!(cached, [16, 32, 32]);
    }
}
