//! What a spec may not say although its types are right.

use super::{CorpusSpec, CounterKind, Distribution, Form, SourceKind, SourceRole};
use crate::CorpusError;

/// A value that makes no sense.
pub(super) struct Fault {
    /// Dotted path of the key.
    pub(super) key: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl CorpusSpec {
    /// Checks a spec that was built or changed in code; [`parse`](Self::parse) has done so with line and column.
    ///
    /// # Errors
    /// [`CorpusError::Option`] naming the key.
    pub fn validate(&self) -> Result<(), CorpusError> {
        match self.faults() {
            None => Ok(()),
            Some(Fault { key, message, help }) => Err(CorpusError::Option {
                what: key,
                message: help.map_or(message.clone(), |help| format!("{message}\n  {help}")),
            }),
        }
    }

    pub(super) fn faults(&self) -> Option<Fault> {
        self.fault_of_values().or_else(|| self.fault_of_sources())
    }

    fn fault_of_values(&self) -> Option<Fault> {
        let fault = |key: &str, message: &str| {
            Some(Fault { key: key.to_owned(), message: message.to_owned(), help: None })
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return fault(
                "name",
                "must be of letters, digits, `-`, `_` and `.`: prompt ids begin with it",
            );
        }
        if self.prompts == Some(0) {
            return fault("prompts", "must be at least 1");
        }
        if let Some((key, message)) = self.length.as_ref().and_then(|length| length.fault()) {
            return fault(&format!("length.{key}"), message);
        }
        if let (Form::ReadyMade | Form::Conversations, Some(length)) = (self.form, &self.length)
            && !matches!(
                length.distribution,
                Distribution::Bell | Distribution::Fixed | Distribution::Uniform
            )
        {
            return fault(
                "length.distribution",
                "ready-made prompts are chosen by bell, fixed or uniform lengths, not made to a distribution",
            );
        }
        if self.counter() == CounterKind::Tokenizer && self.tokens.tokenizer.is_none() {
            return fault(
                "tokens.counter",
                "`tokenizer` needs tokens.tokenizer: a Hub model id or a path",
            );
        }
        if let Some((key, message)) = self.rag.fault(self.length.is_some()) {
            return fault(&format!("rag.{key}"), message);
        }
        if self.is_retrieved() && self.rag.history_turns > 0 {
            return fault(
                "rag.history_turns",
                "does not go with a retrieval plan or a length.distribution: leave one of them out",
            );
        }
        if self.form != Form::Rag && self.rag.is_plan() {
            return fault("rag", "ready-made prompts are not retrieved: leave out [rag]");
        }
        if let Some((key, message)) = self.cache.and_then(|cache| cache.fault()) {
            return fault(&format!("cache.{key}"), message);
        }
        None
    }

    fn fault_of_sources(&self) -> Option<Fault> {
        let at = |index: usize, key: &str| {
            format!("source.{index}.{key}").trim_end_matches('.').to_owned()
        };
        if self.sources.is_empty() {
            return Some(Fault {
                key: "source".into(),
                message: "at least one is needed".into(),
                help: None,
            });
        }
        let mut names = Vec::new();
        for (i, source) in self.sources.iter().enumerate() {
            let fault = |key: &str, message: String, help: Option<String>| {
                Some(Fault { key: at(i, key), message, help })
            };
            let name = source.name();
            if names.contains(&name) {
                return fault(
                    "name",
                    format!("`{name}` is the name of two sources"),
                    Some("give one of them `name = ..`".into()),
                );
            }
            names.push(name);
            match (source.kind, &source.manifest, &source.path) {
                (None, None, _) => return fault("", "needs `kind` or `manifest`".into(), None),
                (Some(SourceKind::Encyclopedia), None, Some(_)) => {
                    return fault(
                        "path",
                        "the encyclopedia is built in and has no path".into(),
                        None,
                    );
                }
                (Some(SourceKind::Encyclopedia), Some(_), _) => {
                    return fault(
                        "manifest",
                        "the encyclopedia is built in and has no manifest".into(),
                        None,
                    );
                }
                (Some(kind), None, None) if kind != SourceKind::Encyclopedia => {
                    let help = "path = \"..\" for a local copy, manifest = \"sources/..toml\" for a published one";
                    return fault(
                        "kind",
                        format!("a source of kind {} needs `path` or `manifest`", kind.as_str()),
                        Some(help.into()),
                    );
                }
                _ => {}
            }
            if source.take == Some(0) {
                return fault("take", "must be at least 1".into(), None);
            }
            if let (Some(kind), Some(roles)) = (source.kind, &source.roles)
                && let Some(role) = roles.iter().find(|role| !kind.roles().contains(role))
            {
                let message = format!("a source of kind {} has no {}", kind.as_str(), word(*role));
                return fault("use", message, None);
            }
            let ready = source.kind == Some(SourceKind::Prompts);
            if source.kind.is_some() && ready != (self.form != Form::Rag) {
                let (message, help) = if ready {
                    (
                        "ready-made prompts are not material for RAG prompts",
                        "set form = \"ready-made\" or \"conversations\"",
                    )
                } else {
                    (
                        "form = \"ready-made\" and \"conversations\" take sources of kind prompts only",
                        "leave out `form`, or set kind = \"prompts\"",
                    )
                };
                return fault("kind", message.into(), Some(help.into()));
            }
        }
        None
    }
}

fn word(role: SourceRole) -> &'static str {
    match role {
        SourceRole::Passages => "passages",
        SourceRole::Questions => "questions",
        SourceRole::History => "history",
        SourceRole::Prompts => "prompts",
    }
}
