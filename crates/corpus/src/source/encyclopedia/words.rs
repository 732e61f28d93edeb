//! The encyclopedia's vocabulary: lists in order of how often a word is used, and Zipf-like choice from them.

use std::sync::OnceLock;

use crate::dice::Dice;

/// A word list with the cumulative weights of its ranks.
pub(super) struct Words {
    words: Vec<&'static str>,
    cumulative: Vec<u32>,
}

impl Words {
    fn new(text: &'static str) -> Self {
        let words: Vec<&'static str> = text.split_whitespace().collect();
        let mut sum = 0u32;
        let cumulative = (0..words.len() as u32)
            .map(|rank| {
                // Zipf–Mandelbrot in whole numbers, so that every machine chooses alike.
                sum += 1_000_000 / (rank + 4);
                sum
            })
            .collect();
        Self { words, cumulative }
    }

    /// A word; the first of the list are the most frequent.
    pub(super) fn pick(&self, dice: &mut Dice) -> &'static str {
        let total = self.cumulative.last().copied().unwrap_or(0);
        let at = dice.small(total);
        self.words[self.cumulative.partition_point(|&c| c <= at).min(self.words.len() - 1)]
    }
}

/// All lists.
pub(super) struct Vocabulary {
    pub(super) nouns: Words,
    pub(super) adjectives: Words,
    pub(super) verbs: Words,
    pub(super) adverbs: Words,
    pub(super) materials: Words,
    pub(super) trades: Words,
    pub(super) land: Words,
    pub(super) ideas: Words,
}

/// The one vocabulary.
pub(super) fn vocabulary() -> &'static Vocabulary {
    static ALL: OnceLock<Vocabulary> = OnceLock::new();
    ALL.get_or_init(|| Vocabulary {
        nouns: Words::new(NOUNS),
        adjectives: Words::new(ADJECTIVES),
        verbs: Words::new(VERBS),
        adverbs: Words::new(ADVERBS),
        materials: Words::new(MATERIALS),
        trades: Words::new(TRADES),
        land: Words::new(LAND),
        ideas: Words::new(IDEAS),
    })
}

/// The plural of a noun of these lists.
pub(super) fn plural(noun: &str) -> String {
    let before_y = noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    if let Some(stem) = noun.strip_suffix("man") {
        format!("{stem}men")
    } else if let Some(stem) = noun.strip_suffix("fe") {
        format!("{stem}ves")
    } else if let Some(stem) = before_y {
        format!("{stem}ies")
    } else if ["s", "x", "ch", "sh", "z"].iter().any(|end| noun.ends_with(end)) {
        format!("{noun}es")
    } else {
        format!("{noun}s")
    }
}

/// Things that can be counted, built, found, described.
const NOUNS: &str = "house road bridge field garden market school mill tower wall church letter map ship boat gate barn \
    library workshop court hall harbour canal well orchard festival record book song tool machine engine clock lamp \
    instrument vessel basket cloth coat knife table window door roof chimney cellar kitchen oven stove path lane square \
    street station railway signal platform tunnel quarry mine pit furnace forge kiln press loom wheel cart wagon saddle \
    harness plough seed crop harvest herd flock nest burrow hive fountain statue mosaic painting drawing carving pattern \
    ribbon banner flag drum bell horn flute fiddle chorus verse chapter page ledger register charter seal coin token \
    parcel cargo crate barrel jar bottle cup plate bowl spoon candle mirror comb ring chain anchor rope sail mast oar \
    rudder lantern compass telescope lens prism scale weight ruler chart table-clock calendar almanac diary sketch model \
    scaffold arch column vault dome staircase balcony courtyard terrace archive museum theatre stage curtain costume mask \
    puppet kite ladder bench stool cradle chest cabinet shelf drawer hinge lock key nail hammer chisel saw plane axe \
    shovel rake sickle scythe sieve funnel pump valve pipe cistern sluice weir dam ferry raft barge pier wharf beacon \
    hedge fence ditch meadow pasture vineyard granary dairy brewery bakery tannery smithy pottery sawmill warehouse \
    stable kennel coop shed cottage farm manor inn tavern hostel hospital chapel abbey cloister tomb shrine altar organ \
    manuscript inscription fragment relic catalogue index glossary proverb riddle legend chronicle";

const ADJECTIVES: &str = "old small large new local long early common narrow wide late northern southern eastern western \
    high low quiet famous wooden heavy light simple rich poor broad deep dry wet cold warm dark bright steady slow rapid \
    regular rare frequent former annual public private rural coastal upper lower inner outer central remote nearby steep \
    gentle smooth rough plain ornate sturdy fragile hollow solid round square curved straight shallow fertile barren \
    sandy rocky wooded marshy windy sheltered exposed seasonal permanent temporary modest lavish careful careless \
    skilful patient stubborn cheerful solemn curious cautious generous strict loose tidy crooked faded painted polished \
    carved woven gilded rusty dusty mossy ruined restored forgotten celebrated disputed unusual ordinary peculiar distinct \
    uniform mixed separate combined original later medieval ancient modern unfinished elaborate practical costly cheap \
    durable portable hidden visible scattered crowded empty busy idle silent noisy bitter sweet sour pale golden grey \
    green reddish brown silver blue";

const VERBS: &str = "built kept found used made brought described opened repaired replaced sold carried collected crossed \
    joined left held led moved reached received recorded restored shaped shared showed supplied supported \
    surveyed taught traded visited painted planted praised prepared preserved produced protected published purchased \
    raised rebuilt reduced removed rented required rescued searched secured separated settled sheltered studied \
    surrounded tested tracked translated treated valued widened admired adopted altered arranged assembled avoided \
    blocked borrowed carved celebrated changed claimed cleared closed coloured compared completed connected copied \
    counted covered damaged decorated defended delivered designed destroyed directed discovered divided doubled drained \
    enlarged examined exchanged expanded explored favoured financed flooded followed formed founded furnished \
    gathered guarded guided heated honoured imported improved inherited inspected introduced invented lifted limited \
    linked loaded lowered measured mended mentioned mixed named noticed observed offered ordered organised owned";

const ADVERBS: &str = "often later soon slowly usually rarely gradually first mainly partly largely quickly carefully \
    quietly nearly finally originally mostly briefly widely rather steadily suddenly seldom openly secretly freely \
    heavily lightly deeply closely loosely evenly directly formally locally yearly regularly properly hardly";

const MATERIALS: &str = "stone wood iron clay wool salt glass paper brick copper linen leather wax grain tin lead slate \
    chalk sand straw silk cotton hemp amber silver bronze marble granite oak pine birch ash willow cork bone horn resin \
    honey oil barley rye flax tallow charcoal peat lime";

const TRADES: &str = "farmer merchant miller teacher sailor baker mason weaver carpenter smith painter fisherman \
    shepherd clerk printer surveyor potter glazier tailor brewer cooper tanner miner gardener doctor judge poet composer \
    architect engineer astronomer botanist geographer historian librarian innkeeper ferryman watchmaker bookbinder \
    engraver beekeeper ropemaker shipwright chandler apothecary midwife herald steward cook";

const LAND: &str = "valley hill river forest coast plain lake island marsh ridge bay moor stream cliff gorge meadow \
    plateau delta estuary spring waterfall dune heath basin cape inlet lagoon peninsula slope summit pass glen thicket \
    reef shoal headland terrace canyon oasis fen";

const IDEAS: &str = "work trade time water custom history life weather law rule price tax tradition method dispute plan \
    practice fashion harvest season journey winter summer spring autumn war peace debt repair training language memory \
    account story report visit quarrel agreement experiment discovery fashion reform shortage flood drought fire storm \
    frost migration settlement election survey inheritance marriage wage rent toll credit profit loss hunger plenty";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_words_are_frequent() {
        let mut dice = Dice::new(1, "words");
        let mut counts = std::collections::HashMap::new();
        for _ in 0..20_000 {
            *counts.entry(vocabulary().nouns.pick(&mut dice)).or_insert(0u32) += 1;
        }
        assert!(
            counts["house"] > 6 * counts.get("chronicle").copied().unwrap_or(1),
            "{}",
            counts["house"]
        );
        assert!(counts.len() > 200, "{} of the nouns were used", counts.len());
    }

    #[test]
    fn plurals() {
        let cases = [
            ("house", "houses"),
            ("library", "libraries"),
            ("valley", "valleys"),
            ("church", "churches"),
            ("compass", "compasses"),
            ("fisherman", "fishermen"),
            ("midwife", "midwives"),
        ];
        for (one, many) in cases {
            assert_eq!(plural(one), many);
        }
    }
}
