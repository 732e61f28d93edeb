//! The two generating endpoints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A generating endpoint. In scenario files, manifests and tables: `chat`, `completions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/v1/chat/completions`: messages in, a message out.
    #[default]
    Chat,
    /// `/v1/completions`: a prompt in, its continuation out.
    Completions,
}

impl Endpoint {
    /// The path on the server, from the root.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
        }
    }

    /// The word in files and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown endpoint `{0}`; known are: chat, completions")]
pub struct UnknownEndpoint(pub String);

impl FromStr for Endpoint {
    type Err = UnknownEndpoint;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "chat" => Ok(Self::Chat),
            "completions" => Ok(Self::Completions),
            _ => Err(UnknownEndpoint(word.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_others_are_refused() {
        for endpoint in [Endpoint::Chat, Endpoint::Completions] {
            assert_eq!(endpoint.as_str().parse(), Ok(endpoint));
            let json = serde_json::to_string(&endpoint).expect("a word");
            assert_eq!(json, format!("\"{endpoint}\""));
            assert_eq!(serde_json::from_str::<Endpoint>(&json).expect("the same"), endpoint);
        }
        let error = "embeddings".parse::<Endpoint>().expect_err("not generating");
        assert!(error.to_string().contains("chat, completions"), "{error}");
    }
}
