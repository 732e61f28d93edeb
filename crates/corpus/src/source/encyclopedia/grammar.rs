//! Sentences: templates with slots, lengthened by clauses.
//!
//! Slots: `{N}` noun, `{Ns}` its plural, `{A}` adjective, `{V}` past verb, `{D}` adverb, `{M}` material, `{T}` trade, `{Ts}` its
//! plural, `{L}` landform, `{I}` idea, `{K}` a count, `{P}` a place, `{H}` a person, `{Y}` a year, `{name}`, `{year}`,
//! `{count}`, `{place}`, `{person}`, `{thing}`: what the article is about.

use super::names;
use super::words::{Vocabulary, plural, vocabulary};
use crate::dice::Dice;

/// What an article is about.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) year: u32,
    pub(super) count: u32,
    pub(super) place: String,
    pub(super) person: String,
    pub(super) thing: &'static str,
    /// Words that come back in this article, as they do in real ones.
    nouns: [&'static str; 8],
    adjectives: [&'static str; 4],
}

impl Topic {
    pub(super) fn new(name: String, dice: &mut Dice) -> Self {
        let words = vocabulary();
        Self {
            name,
            year: dice.between(1180, 1985),
            count: dice.between(12, 9800),
            place: names::any(dice),
            person: format!("{} {}", names::any(dice), names::any(dice)),
            thing: words.nouns.pick(dice),
            nouns: std::array::from_fn(|_| words.nouns.pick(dice)),
            adjectives: std::array::from_fn(|_| words.adjectives.pick(dice)),
        }
    }
}

/// Writes one sentence from a template, its full stop included.
pub(super) fn sentence(out: &mut String, template: &str, topic: &Topic, dice: &mut Dice) {
    if !out.is_empty() {
        out.push(' ');
    }
    let start = out.len();
    expand(out, template, topic, dice);
    // A capital for whatever stands first.
    if let Some(first) = out.get_mut(start..start + 1) {
        first.make_ascii_uppercase();
    }
    out.push('.');
}

/// Writes a sentence about anything, with up to three clauses: from 6 to about 45 words.
pub(super) fn free_sentence(out: &mut String, topic: &Topic, dice: &mut Dice) {
    let main = MAIN[dice.small(MAIN.len() as u32) as usize];
    let mut template = String::with_capacity(160);
    if dice.percent(35) {
        template.push_str(OPENINGS[dice.small(OPENINGS.len() as u32) as usize]);
    }
    template.push_str(main);
    let tails = [0, 0, 1, 1, 1, 1, 2, 2][dice.small(8) as usize];
    for _ in 0..tails {
        template.push_str(TAILS[dice.small(TAILS.len() as u32) as usize]);
    }
    sentence(out, &template, topic, dice);
}

/// Fills the slots of a template.
pub(super) fn expand(out: &mut String, template: &str, topic: &Topic, dice: &mut Dice) {
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let close = rest[open..].find('}').map_or(rest.len(), |at| open + at);
        slot(out, &rest[open + 1..close], topic, dice);
        rest = rest.get(close + 1..).unwrap_or_default();
    }
    out.push_str(rest);
}

fn slot(out: &mut String, slot: &str, topic: &Topic, dice: &mut Dice) {
    let words: &Vocabulary = vocabulary();
    match slot {
        "N" => push(out, noun(topic, dice)),
        "Ns" => push(out, &plural(noun(topic, dice))),
        "A" => push(out, adjective(topic, dice)),
        "V" => push(out, words.verbs.pick(dice)),
        "D" => push(out, words.adverbs.pick(dice)),
        "M" => push(out, words.materials.pick(dice)),
        "T" => push(out, words.trades.pick(dice)),
        "Ts" => push(out, &plural(words.trades.pick(dice))),
        "L" => push(out, words.land.pick(dice)),
        "I" => push(out, words.ideas.pick(dice)),
        "K" => push(out, &count(dice)),
        "P" => push(out, &names::any(dice)),
        "H" => push(out, &format!("{} {}", names::any(dice), names::any(dice))),
        "Y" => push(out, &dice.between(1180, 2005).to_string()),
        "name" => push(out, &topic.name),
        "year" => push(out, &topic.year.to_string()),
        "count" => push(out, &topic.count.to_string()),
        "place" => push(out, &topic.place),
        "person" => push(out, &topic.person),
        "thing" => push(out, topic.thing),
        other => push(out, other),
    }
}

fn noun(topic: &Topic, dice: &mut Dice) -> &'static str {
    if dice.percent(45) {
        topic.nouns[dice.small(8) as usize]
    } else {
        vocabulary().nouns.pick(dice)
    }
}

fn adjective(topic: &Topic, dice: &mut Dice) -> &'static str {
    if dice.percent(40) {
        topic.adjectives[dice.small(4) as usize]
    } else {
        vocabulary().adjectives.pick(dice)
    }
}

fn count(dice: &mut Dice) -> String {
    const SMALL: [&str; 9] =
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "twelve"];
    if dice.percent(60) {
        SMALL[dice.small(9) as usize].to_owned()
    } else {
        dice.between(13, 480).to_string()
    }
}

/// Adds a word, and makes the article before it fit: `a old` becomes `an old`.
fn push(out: &mut String, word: &str) {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U'])
        && !word.starts_with("us")
        && !word.starts_with("uni");
    if vowel && (out.ends_with(" a ") || out.ends_with(" A ") || out == "a " || out == "A ") {
        out.insert(out.len() - 1, 'n');
    }
    out.push_str(word);
}

const OPENINGS: [&str; 18] = [
    "in {Y}, ",
    "by the end of the {I}, ",
    "according to a {A} {N} of {Y}, ",
    "after the {I} of {Y}, ",
    "for many years ",
    "at first ",
    "in the {A} part of the {L}, ",
    "during the {I}, ",
    "like most {Ts} of the time, ",
    "near the {A} {L}, ",
    "with the help of {K} {Ts}, ",
    "until {Y}, ",
    "from the {N} to the {N}, ",
    "as in {P}, ",
    "today, ",
    "because of the {I}, ",
    "{K} years later, ",
    "in {A} years, ",
];

const MAIN: [&str; 36] = [
    "the {A} {N} was {V} by the {Ts} of {P}",
    "the {Ts} {V} a {A} {N} of {M}",
    "{H} {D} {V} the {N} and the {N}",
    "the {N} stood on the {A} side of the {L}",
    "a {A} {N} and {K} {Ns} were {V} in the {L}",
    "most of the {Ns} were made of {M}",
    "the {I} of the {Ts} was {D} {V} there",
    "{K} {Ns} were {V} before the {I}",
    "people from {P} {V} the {Ns} every {I}",
    "its {N} is {A} and {A}",
    "the {A} {L} is known for its {M} and its {Ns}",
    "a {T} named {H} {V} the {A} {N}",
    "the {I} was {A} and the {Ns} were {D} {V}",
    "there are {K} {Ns} between the {N} and the {L}",
    "the {N} has been {D} {V} since {Y}",
    "no {N} of this kind was {V} elsewhere",
    "the {Ts} of {P} had no {A} {N}",
    "the price of {M} {D} followed the {I}",
    "the {A} {Ns} belonged to the {Ts}",
    "a {N} of {M} was {V} beside the {A} {N}",
    "it was the {A} {T} who {V} the {N}",
    "the {L} and the {L} are joined by a {A} {N}",
    "some of the {A} {Ns} can still be seen in {P}",
    "the {N} holds {K} {Ns}",
    "the {A} {N} was {D} used for {I}",
    "the {Ns} of the {L} are {A}",
    "they {V} the {N} with {M} and {M}",
    "one {N} in {K} was {V}",
    "the {N} changed little before {Y}",
    "the {Ts} {V} their {Ns} in the {A} {N}",
    "a {A} {I} {V} the {L}",
    "the {I} brought {A} {Ns} to the {L}",
    "the first {N} was {A}, the second {A}",
    "the {N} is {K} metres long",
    "nobody in {P} {V} the {N}",
    "much of the {M} came from {P}",
];

const TAILS: [&str; 26] = [
    ", and the {N} was {V}",
    ", which {V} the {A} {N}",
    ", although the {Ts} {V} the {I}",
    " because the {L} was {A}",
    " while the {Ns} were {D} {V}",
    ", but no {N} was {V}",
    " until the {I} of {Y}",
    " with {K} {Ns} and a {A} {N}",
    " near the {N} of {H}",
    ", where the {Ts} {V} {M} and {M}",
    " after {H} had {V} the {A} {N}",
    ", so that the {Ns} were {A}",
    " in the {A} {L}",
    " for the {I}",
    ", {D} by {Ts} from {P}",
    " and {V} the {A} {Ns}",
    "; the {N} was {A}",
    " as far as the {L} of {P}",
    ", since the {I} had {V} the {N}",
    " without a {A} {N}",
    ", a {N} of {K} {Ns}",
    " along the {A} {L}",
    ", when the {T} {V} it",
    " under the {I} of {Y}",
    ", if the {I} was {A}",
    " rather than the {A} {N}",
];
