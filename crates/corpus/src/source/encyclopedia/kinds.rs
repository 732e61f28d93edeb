//! What articles are about, the facts told in them, and small talk about their world.

/// What there are articles about.
pub(super) struct Kind {
    pub(super) opening: &'static str,
    pub(super) facts: &'static [Fact],
}

/// Something told in an article, and the question it answers. Both use fixed slots only.
pub(super) struct Fact {
    pub(super) told: &'static str,
    pub(super) question: &'static str,
}

const FOUNDED: Fact = Fact {
    told: "{name} was founded in {year} by {person}",
    question: "When was {name} founded, and by whom?",
};
const NAMED: Fact = Fact {
    told: "{name} takes its name from {person}, who came from {place}",
    question: "After whom is {name} named?",
};
const BUILT: Fact = Fact {
    told: "work on {name} began in {year} and was led by {person} of {place}",
    question: "Who led the work on {name}, and when did it begin?",
};

pub(super) const KINDS: [Kind; 9] = [
    Kind {
        opening: "{name} is a {A} town on the {L} of {place}, known for its {Ns} and its {M}",
        facts: &[
            FOUNDED,
            Fact {
                told: "{name} has {count} inhabitants and a {thing}",
                question: "How many inhabitants does {name} have?",
            },
            Fact {
                told: "the road from {name} to {place} was opened in {year}",
                question: "When was the road from {name} to {place} opened?",
            },
        ],
    },
    Kind {
        opening: "{name} is a {A} river that rises in the {L} of {place} and passes {K} {Ns}",
        facts: &[
            Fact { told: "{name} is {count} kilometres long", question: "How long is {name}?" },
            Fact {
                told: "the first bridge over {name} was completed in {year}",
                question: "In which year was the first bridge over {name} completed?",
            },
            NAMED,
        ],
    },
    Kind {
        opening: "{name} was a {T} from {place} who {V} {A} {Ns}",
        facts: &[
            Fact {
                told: "{name} was born in {place} in {year}",
                question: "Where and when was {name} born?",
            },
            Fact {
                told: "{name} learned the trade from {person}",
                question: "From whom did {name} learn the trade?",
            },
            Fact {
                told: "{name} left {count} letters to the {thing} of {place}",
                question: "How many letters did {name} leave to the {thing} of {place}?",
            },
        ],
    },
    Kind {
        opening: "{name} is a {A} plant of the {L} whose {M} is {V} by {Ts}",
        facts: &[
            Fact {
                told: "{name} was first described by {person} in {year}",
                question: "Who first described {name}?",
            },
            Fact {
                told: "{name} is found in {count} places near {place}",
                question: "In how many places near {place} is {name} found?",
            },
        ],
    },
    Kind {
        opening: "{name} is a {A} {N} of {M} and {M} in {place}",
        facts: &[
            BUILT,
            Fact {
                told: "{name} holds {count} objects and a {thing}",
                question: "How many objects does {name} hold?",
            },
            NAMED,
        ],
    },
    Kind {
        opening: "{name} is a {A} island with {K} {Ns}, {D} visited by {Ts}",
        facts: &[
            Fact {
                told: "{name} lies {count} kilometres from {place}",
                question: "How far is {name} from {place}?",
            },
            Fact {
                told: "{name} was first mapped by {person} in {year}",
                question: "Who first mapped {name}, and in which year?",
            },
        ],
    },
    Kind {
        opening: "{name} was a guild of {Ts} and {Ts} that {V} the {A} {Ns} of {place}",
        facts: &[
            FOUNDED,
            Fact {
                told: "{name} had {count} members in {year}",
                question: "How many members did {name} have in {year}?",
            },
            Fact {
                told: "the {thing} of {name} is kept in {place}",
                question: "Where is the {thing} of {name} kept?",
            },
        ],
    },
    Kind {
        opening: "{name} is a {A} festival at which {Ts} {V} {Ns} and {Ns}",
        facts: &[
            Fact {
                told: "{name} has been held in {place} since {year}",
                question: "Since when has {name} been held in {place}?",
            },
            Fact {
                told: "{name} was begun by {person} with {count} guests",
                question: "Who began {name}, and with how many guests?",
            },
        ],
    },
    Kind {
        opening: "{name} is a {A} instrument of {M} with {K} {Ns}, played by {Ts}",
        facts: &[
            Fact {
                told: "{name} was invented by {person} in {year}",
                question: "Who invented {name}?",
            },
            Fact {
                told: "the oldest {name} is kept in the {thing} of {place}",
                question: "Where is the oldest {name} kept?",
            },
        ],
    },
];

// The name comes early: questions of earlier turns differ from their first words on, too.
pub(super) const SMALL_TALK: [&str; 16] = [
    "{name} is a place I would like to see. What is known about its {Ns}?",
    "In {name}, what did the {Ts} do with the {A} {N}?",
    "{name} has a {A} {L}. Tell me about it.",
    "Why was {name} without a {N} before the {I}?",
    "How does {name} use {M}?",
    "Who {V} {name}, and what became of the {A} {N}?",
    "Is {name} older than the {N} of {place}?",
    "{name} had a {A} {I}. What came of it?",
    "In {name}, which {Ns} can be seen today?",
    "What was {name} like after the {I} of {year}?",
    "A {T} of {name} asks for advice about a {N}. What would you say?",
    "Does {name} have its own {M}, or where does it come from?",
    "{name}: give me a short history of it.",
    "{name} and {place}: which has more {Ns}?",
    "What makes {name} so {A}?",
    "In {name} people speak of a {A} {T}. Who is meant?",
];
