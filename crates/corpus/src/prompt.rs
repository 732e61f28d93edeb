//! One prompt of a corpus.

use serde::{Deserialize, Serialize};
use vllm_bench_protocol::{ChatMessage, Role};

/// One prompt: a conversation that ends with a question, and its length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prompt {
    /// Unique in the corpus: its name and a running number.
    pub id: String,
    /// Tokens of the whole prompt as the server sees it, counted when the corpus was made.
    pub tokens: u32,
    /// The conversation.
    pub messages: Vec<ChatMessage>,
    /// The human answer, where the source has one. Not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Of scripted conversations: which one it belongs to, from 0. Its turns stand one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<u32>,
    /// Which of the person's turns it ends with, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<u32>,
}

impl Prompt {
    /// A prompt.
    pub fn new(
        id: String,
        tokens: u32,
        messages: Vec<ChatMessage>,
        reference: Option<String>,
    ) -> Self {
        Self { id, tokens, messages, reference, conversation: None, turn: None }
    }

    /// The prompt as plain text, for the completions endpoint; see [`plain_text`].
    pub fn text(&self) -> String {
        plain_text(&self.messages)
    }
}

/// A conversation without a chat template: contents joined by empty lines; where there are earlier turns, each turn
/// opens with `User:` or `Assistant:` and the text ends with `Assistant:`.
///
/// It is what the completions endpoint gets, and what is counted for models that have no chat template.
pub fn plain_text(messages: &[ChatMessage]) -> String {
    let turns = messages.iter().any(|m| m.role == Role::Assistant);
    let mut text = String::with_capacity(messages.iter().map(|m| m.content.len() + 16).sum());
    for message in messages {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        match message.role {
            Role::User if turns => text.push_str("User: "),
            Role::Assistant => text.push_str("Assistant: "),
            _ => {}
        }
        text.push_str(&message.content);
    }
    if turns {
        text.push_str("\n\nAssistant:");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_names_speakers_only_where_there_are_turns() {
        let (system, user) = (ChatMessage::system("S"), ChatMessage::user("Q"));
        assert_eq!(plain_text(&[system.clone(), user.clone()]), "S\n\nQ");
        let turn = [system, ChatMessage::user("a"), ChatMessage::assistant("b"), user];
        assert_eq!(plain_text(&turn), "S\n\nUser: a\n\nAssistant: b\n\nUser: Q\n\nAssistant:");
    }
}
