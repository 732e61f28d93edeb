//! From parts to messages: where the line, the question and the passages stand.

use vllm_bench_protocol::ChatMessage;

use crate::spec::{CorpusSpec, QuestionPlace, TemplateSpec};
use crate::uniqueness::{Opening, UNLIKE};
use crate::{CorpusError, TokenCounter};

/// One form of a prompt, with what it costs.
#[derive(Debug, Clone)]
pub(super) struct Template {
    system: String,
    pub(super) question: QuestionPlace,
    pub(super) weight: u32,
    /// The block that must be a prompt's own.
    pub(super) opening: Opening,
    /// Tokens without passages and question.
    pub(super) frame: u32,
}

/// The parts of a prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// A number that no other prompt has, written first.
    pub(super) line: Option<u64>,
    pub(super) question: &'a str,
    pub(super) passages: &'a [&'a str],
}

impl Template {
    /// The forms of a spec, measured.
    pub(super) fn all(
        spec: &CorpusSpec,
        lines: bool,
        counter: &dyn TokenCounter,
    ) -> Result<Vec<Self>, CorpusError> {
        spec.rag.forms().iter().map(|form| Self::new(form, spec, lines, counter)).collect()
    }

    fn new(
        form: &TemplateSpec,
        spec: &CorpusSpec,
        lines: bool,
        counter: &dyn TokenCounter,
    ) -> Result<Self, CorpusError> {
        let mut template = Self {
            system: form.system.clone().unwrap_or_else(|| spec.rag.system.clone()),
            question: form.question,
            weight: form.weight,
            opening: Opening::after(0, 1),
            frame: 0,
        };
        // Three prompts without a word in common: what they begin with all prompts begin with.
        let [a, b, c] = UNLIKE;
        let variants = [(0x0123, a), (0x7aaa_0000_0000_0000, b), (u64::MAX, c)];
        let ids = variants.map(|(line, text)| {
            let parts = Parts { line: lines.then_some(line), question: text, passages: &[text] };
            counter.prompt_ids(&template.messages(parts))
        });
        let [a, b, c] = ids;
        let head = Opening::common(&[&a?, &b?, &c?]);
        template.opening = Opening::after(head, spec.cache().block_size);
        let empty = Parts { line: lines.then_some(u64::MAX), question: "", passages: &[] };
        template.frame = counter.prompt_ids(&template.messages(empty))?.len() as u32;
        Ok(template)
    }

    /// How often the question stands in a prompt.
    pub(super) fn askings(&self) -> u32 {
        if self.question == QuestionPlace::Both { 2 } else { 1 }
    }

    /// The conversation.
    pub(super) fn messages(&self, parts: Parts<'_>) -> Vec<ChatMessage> {
        let Parts { line, question, passages } = parts;
        let length: usize = passages.iter().map(|p| p.len() + 12).sum();
        let mut text = String::with_capacity(length + 2 * question.len() + 64);
        if let Some(line) = line {
            text.push_str(&format!("Request {line:016x}\n\n"));
        }
        if self.question != QuestionPlace::After {
            text.push_str("Question: ");
            text.push_str(question);
            text.push_str("\n\n");
        }
        text.push_str("Context:\n");
        for (i, passage) in passages.iter().enumerate() {
            text.push_str(&format!("[{}] ", i + 1));
            text.push_str(passage.trim_end());
            text.push_str("\n\n");
        }
        if self.question == QuestionPlace::Before {
            text.truncate(text.trim_end().len());
        } else {
            text.push_str("Question: ");
            text.push_str(question);
        }
        let mut messages = Vec::with_capacity(2);
        if !self.system.is_empty() {
            messages.push(ChatMessage::system(self.system.as_str()));
        }
        messages.push(ChatMessage::user(text));
        messages
    }
}
