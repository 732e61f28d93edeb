//! Plans the prompts one after the other; what one takes, the next ones know.

use std::collections::HashSet;

use super::collection::{Collection, Cutting};
use super::compose::{Parts, Template};
use super::draft::{Draft, Found, LEAST, Placed, Sizes, arrange};
use super::draw::Draw;
use super::ledger::Ledger;
use super::questions::Questions;
use crate::build::Workshop;
use crate::dice::{Dice, DiceKey};
use crate::lengths::Lengths;
use crate::source::Exchange;
use crate::spec::{Leading, QuestionPlace, Reuse};
use crate::{CorpusError, CorpusSpec};

/// Everything that is known before the first prompt, and what has been used so far.
pub(super) struct Planner<'a> {
    spec: &'a CorpusSpec,
    exchanges: &'a [Exchange],
    pub(super) collection: Collection<'a>,
    pub(super) templates: Vec<Template>,
    questions: Questions<'a>,
    draw: Draw,
    pub(super) ledger: Ledger,
    sizes: Sizes,
    targets: Option<Vec<u32>>,
    /// Shorter than the form, a short question and some text no prompt can be.
    shortest: u32,
    pub(super) raised: u32,
    key: DiceKey,
    /// Where the search for a chunk that opens no prompt yet has come to.
    fresh: u32,
}

impl<'a> Planner<'a> {
    pub(super) fn new(shop: &Workshop<'a>, lengths: &Lengths) -> Result<Self, CorpusError> {
        let (spec, material, counter) = (shop.spec, shop.material, shop.counter);
        let (rag, seed, count) = (&spec.rag, spec.seed, spec.prompts() as usize);
        let samples: Vec<&str> =
            material.passages.iter().take(64).map(|p| p.text.as_str()).collect();
        counter.calibrate(&samples)?;
        let cutting = match (rag.is_plan(), rag.top_k, rag.chunk_tokens) {
            (false, ..) | (true, Some(_), None) => None,
            (true, _, tokens) => Some(Cutting {
                tokens: tokens.unwrap_or(256),
                overlap: rag.chunk_overlap.unwrap_or(0),
            }),
        };
        let collection = Collection::new(shop, cutting)?;
        let lines = rag.leading == Some(Leading::Line);
        let templates = Template::all(spec, lines, counter)?;
        let again = rag.reuse == Some(Reuse::Documents);
        let mut questions =
            Questions::new(material, counter, again, Dice::new(seed, "retrieve/questions"));
        let mut dice = Dice::new(seed, "retrieve/documents");
        let draw = if again {
            Draw::popular(&collection, rag.popularity.unwrap_or(0.0), &mut dice)
        } else {
            let ahead = questions.ahead(count + count / 20 + 64);
            let kept: HashSet<u32> =
                ahead.filter_map(|at| collection.answering(&material.exchanges[at])).collect();
            Draw::once(&collection, |chunk| kept.contains(&chunk), rag.reuse_passages, &mut dice)
        };
        let each = cost_of_a_passage(shop, &collection, &templates[0], lengths.mean())?;
        let some: Vec<usize> = questions.ahead(2000).collect();
        let mut short = 24;
        for at in some {
            short = short.min(questions.tokens(at)?);
        }
        let frame = templates.iter().map(|t| t.frame + t.askings() * short).max().unwrap_or(0);
        let mut dice = Dice::new(seed, "lengths");
        Ok(Self {
            spec,
            exchanges: &material.exchanges,
            ledger: Ledger::new(&collection, material.exchanges.len()),
            collection,
            templates,
            questions,
            draw,
            sizes: Sizes { count: rag.top_k.map(|k| k as usize), each },
            targets: lengths.targets(count, &mut dice),
            shortest: frame + LEAST + each.ceil() as u32 + 4,
            raised: 0,
            key: DiceKey::new(seed, "retrieve/prompt"),
            fresh: 0,
        })
    }

    /// Plans prompt number `index`; `None` when no question is left.
    pub(super) fn draft(&mut self, index: usize) -> Result<Option<Draft>, CorpusError> {
        let mut dice = self.key.stream(index as u64);
        let mut template = self.choose_template(&mut dice);
        let asked_for = self.targets.as_ref().map(|targets| targets[index]);
        let target = asked_for.map(|tokens| tokens.max(self.shortest));
        self.raised += u32::from(target != asked_for);
        let Some(exchange) = self.ask(template, target)? else { return Ok(None) };
        let question = &self.exchanges[exchange].question;
        let leading = self.spec.rag.leading.unwrap_or_default();
        if leading == Leading::Passage && self.templates[template].question != QuestionPlace::After
        {
            // The question is what comes first. One that begins like another is asked behind the passages.
            if !self.ledger.open(question) {
                let after = self.templates.iter().position(|t| t.question == QuestionPlace::After);
                let Some(other) = after else {
                    return Err(self.no_opening(index, "questions that begin alike stand first"));
                };
                template = other;
            }
        }
        let form = &self.templates[template];
        let tokens = self.questions.tokens(exchange)?;
        let room = target.map(|target| target.saturating_sub(form.frame + form.askings() * tokens));
        let found = self.find(exchange, room);
        let mut passages =
            self.sizes.fill(&found, room, &self.collection, &mut self.draw, &mut dice);
        if passages.is_empty() {
            return Ok(None);
        }
        let share = room.and_then(|room| self.sizes.share(&mut passages, room, &self.collection));
        let order = self.spec.rag.order.unwrap_or_default();
        let flexible = arrange(&mut passages, share, order, &mut dice);
        let line = (leading == Leading::Line).then(|| dice.below(u64::MAX));
        let mut draft = Draft { exchange, template, line, target, passages, flexible };
        if leading == Leading::Passage && self.templates[template].question == QuestionPlace::After
        {
            let opens = (0..draft.passages.len()).find(|&at| {
                let text = self.collection.text(draft.passages[at].chunk);
                self.ledger.open(&text)
            });
            match opens {
                Some(at) => draft.put_first(at),
                None if self.another_opening(&mut draft) => {}
                None => return Err(self.no_opening(index, "each chunk opens a prompt already")),
            }
        }
        Ok(Some(draft))
    }

    /// A prompt was made of this draft.
    pub(super) fn note(&mut self, draft: &Draft) {
        self.ledger.note(draft, &self.collection);
    }

    /// Gives a draft whose first block another prompt has a beginning of its own; false when there is none left.
    pub(super) fn mend(&mut self, draft: &mut Draft) -> bool {
        match &mut draft.line {
            Some(line) => {
                *line = line.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                true
            }
            None => self.another_opening(draft),
        }
    }

    fn another_opening(&mut self, draft: &mut Draft) -> bool {
        let taken: Vec<u32> = draft.passages.iter().map(|placed| placed.chunk).collect();
        while (self.fresh as usize) < self.collection.chunks.len() {
            let chunk = self.fresh;
            self.fresh += 1;
            let document = self.collection.chunks[chunk as usize].document;
            if !self.collection.fills(document)
                || taken.contains(&chunk)
                || !self.ledger.open(&self.collection.text(chunk))
            {
                continue;
            }
            // It takes the place of the last one that may go, and about its length.
            let gone = (0..draft.passages.len())
                .rev()
                .find(|&at| !draft.passages[at].answers && draft.flexible != Some(at))
                .or(draft.flexible)
                .filter(|_| draft.passages.len() > 1);
            let length = |placed: &Placed, all: &Collection<'_>| {
                placed.tokens.unwrap_or(all.chunks[placed.chunk as usize].tokens)
            };
            let most = gone.map(|at| length(&draft.passages[at], &self.collection));
            let own = self.collection.chunks[chunk as usize].tokens;
            let placed = Placed { chunk, tokens: most.filter(|&m| m < own), answers: false };
            if let Some(at) = gone {
                draft.passages[at] = placed;
                draft.put_first(at);
            } else {
                draft.passages.insert(0, placed);
                draft.flexible = draft.flexible.map(|at| at + 1);
            }
            if draft.target.is_some() && draft.flexible.is_none() {
                draft.flexible = Some(0);
            }
            return true;
        }
        false
    }

    fn choose_template(&self, dice: &mut Dice) -> usize {
        let whole: u32 = self.templates.iter().map(|t| t.weight).sum();
        let mut at = dice.small(whole);
        self.templates
            .iter()
            .position(|t| {
                let here = at < t.weight;
                at = at.saturating_sub(t.weight);
                here
            })
            .unwrap_or(0)
    }

    /// A question that leaves room for its answer; else one that leaves room for some passage.
    fn ask(&mut self, template: usize, target: Option<u32>) -> Result<Option<usize>, CorpusError> {
        let form = &self.templates[template];
        let (frame, askings) = (form.frame, form.askings());
        let least = LEAST + self.sizes.each.ceil() as u32;
        let (collection, exchanges) = (&self.collection, self.exchanges);
        let wants_answer = self.spec.rag.answer != Some(false);
        let each = self.sizes.each.ceil() as u32;
        let fits = |exchange: usize, tokens: u32, answer: bool| {
            let asked = frame + askings * tokens;
            let gold = collection.answering(&exchanges[exchange]).filter(|_| answer);
            let gold = gold.map_or(0, |at| collection.chunks[at as usize].tokens + each);
            match target {
                Some(target) => asked + gold + least <= target && tokens <= (target / 3).max(24),
                None => tokens <= 512,
            }
        };
        if let Some(found) = self.questions.next(|e, tokens| fits(e, tokens, wants_answer))? {
            return Ok(Some(found));
        }
        self.questions.next(|e, tokens| fits(e, tokens, false))
    }

    fn find(&self, exchange: usize, room: Option<u32>) -> Found {
        let exchange = &self.exchanges[exchange];
        let chunk = |&document: &usize| self.collection.of(document as u32).next();
        if self.spec.rag.answer == Some(false) {
            let documents = exchange.passage.iter().chain(&exchange.near);
            let barred = documents.flat_map(|&d| self.collection.of(d as u32)).collect();
            return Found { barred, ..Found::default() };
        }
        let most = room.map_or(u32::MAX, |room| room.saturating_sub(LEAST));
        let answer = self.collection.answering(exchange).filter(|&at| {
            f64::from(self.collection.chunks[at as usize].tokens) + self.sizes.each
                <= f64::from(most)
        });
        let near =
            exchange.near.iter().filter_map(chunk).filter(|&at| Some(at) != answer).collect();
        Found { answer, near, barred: Vec::new() }
    }

    fn no_opening(&self, possible: usize, lacking: &str) -> CorpusError {
        CorpusError::TooFew {
            wanted: self.spec.prompts() as usize,
            possible,
            lacking: format!("{lacking}, and no two prompts may share their first block"),
            advice: "set rag.leading = \"line\" (a short line of its own first) or \"free\", ask for fewer, or add a source"
                .to_owned(),
        }
    }
}

impl Draft {
    /// Moves a passage to the first place.
    fn put_first(&mut self, at: usize) {
        let flexible = self.flexible.map(|flexible| self.passages[flexible].chunk);
        let placed = self.passages.remove(at);
        self.passages.insert(0, placed);
        self.flexible = flexible.and_then(|c| self.passages.iter().position(|p| p.chunk == c));
    }
}

/// What a passage costs beside its own tokens: its number, the line feeds behind it, what is lost where texts join.
fn cost_of_a_passage(
    shop: &Workshop<'_>,
    collection: &Collection<'_>,
    template: &Template,
    mean_tokens: u32,
) -> Result<f64, CorpusError> {
    // As many as a prompt will have: their numbers get longer.
    let tokens: u64 = collection.chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum();
    let usual = tokens / collection.chunks.len().max(1) as u64 + 5;
    let expected = (u64::from(mean_tokens) / usual).clamp(8, 256) as usize;
    let count = collection.chunks.len().min(expected);
    if count == 0 {
        return Ok(5.0);
    }
    let step = collection.chunks.len() / count;
    let chosen: Vec<u32> = (0..count).map(|i| (i * step) as u32).collect();
    let texts: Vec<String> = chosen.iter().map(|&at| collection.text(at)).collect();
    let passages: Vec<&str> = texts.iter().map(String::as_str).collect();
    let parts = Parts {
        line: (shop.spec.rag.leading == Some(Leading::Line)).then_some(u64::MAX),
        question: "",
        passages: &passages,
    };
    let whole = shop.counter.prompt_ids(&template.messages(parts))?.len() as f64;
    let own: f64 = chosen.iter().map(|&at| f64::from(collection.chunks[at as usize].tokens)).sum();
    Ok(((whole - f64::from(template.frame) - own) / count as f64).max(0.0))
}
