//! The word list behind the tokenizer and the generated text.

const LIST: &str = include_str!("words.txt");

const SYLLABLES: &str = "ent ion ter ate ver con pro com res per for all ted ers men sta str int nat lan tra \
    rea est ess ine ist ant art ard our oun ous ing ain out und igh ght pre dis sub mar par car cor cha che \
    chi gra gre pla pri tri cre ser man cal ial ive ity ies ble age ure the ther ould ight ance ence tion \
    sion ment ness able ical ally ward ship land burg ford ville town field ation ative ology ography ian \
    lish ished ising ating ered ering ened ening ally ular ary ery ory ium ics ism ix ock ook oom ound own";

/// Words of one kind, most frequent first.
pub(crate) fn of_kind(kind: &str) -> impl Iterator<Item = &'static str> {
    LIST.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(move |(name, _)| *name == kind)
        .flat_map(|(_, words)| words.split(' '))
}

/// All pieces of the vocabulary beyond single bytes, in order of their ids. Some come twice.
pub(crate) fn pieces() -> impl Iterator<Item = String> {
    let words = LIST
        .lines()
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(_, words)| words.split(' '));
    let words = words.flat_map(|word| {
        let capital = capitalised(word);
        [format!(" {word}"), word.to_owned(), format!(" {capital}"), capital]
    });
    let letters = || 'a'..='z';
    let pairs = letters().flat_map(move |a| letters().map(move |b| format!("{a}{b}")));
    let starts = letters().chain('A'..='Z').map(|letter| format!(" {letter}"));
    let start_pairs = letters()
        .chain('A'..='Z')
        .flat_map(move |a| "aeiouhlr".chars().map(move |b| format!(" {a}{b}")));
    let capital_pairs = ('A'..='Z').flat_map(move |a| letters().map(move |b| format!("{a}{b}")));
    let syllables = SYLLABLES.split_whitespace().flat_map(|s| [s.to_owned(), format!("{s}s")]);
    let blanks = ["  ", "    ", "        ", "\n\n"].into_iter().map(str::to_owned);
    words
        .chain(syllables)
        .chain(pairs)
        .chain(starts)
        .chain(start_pairs)
        .chain(capital_pairs)
        .chain(blanks)
}

/// The word with its first letter in upper case.
pub(crate) fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
