//! One metrics page, fetched again and again, with its secrets kept to the wire.

use std::fmt;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderValue, Uri, header};

use crate::error::TelemetryError;

/// Metrics of a server with many engines are a few hundred kB.
const LARGEST_BODY: u64 = 16 << 20;
/// How much of a refusal is quoted, characters.
const QUOTED: usize = 200;

pub(crate) struct Page {
    url: String,
    shown: String,
    api_key: Option<String>,
    agent: Agent,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("url", &self.shown).finish_non_exhaustive()
    }
}

impl Page {
    pub(crate) fn new(
        url: String,
        api_key: Option<String>,
        timeout: Duration,
    ) -> Result<Self, TelemetryError> {
        let shown = without_secrets(&url);
        let usable = url.parse::<Uri>().is_ok_and(|uri| {
            uri.host().is_some_and(|host| !host.is_empty())
                && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        if !usable {
            return Err(TelemetryError::Url { url: shown });
        }
        Ok(Self { url, shown, api_key, agent: agent(timeout) })
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.agent = agent(timeout);
    }

    /// The URL without user info and query.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    pub(crate) fn fetch(&self) -> Result<String, TelemetryError> {
        let failed = |source| TelemetryError::Http { url: self.shown.clone(), source };
        let mut request =
            self.agent.get(&self.url).header(header::ACCEPT, "text/plain;version=0.0.4");
        if let Some(key) = &self.api_key {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|e| failed(ureq::Error::Http(e.into())))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let mut answer = request.call().map_err(failed)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(LARGEST_BODY).lossy_utf8(true);
        let body = body.read_to_string().map_err(failed)?;
        if status != 200 {
            return Err(TelemetryError::Status {
                url: self.shown.clone(),
                status,
                said: self.quote(&body),
            });
        }
        Ok(body)
    }

    /// The beginning of a refusal on one line; a server may echo the key.
    fn quote(&self, body: &str) -> String {
        let mut text = body.to_owned();
        if let Some(key) = self.api_key.as_deref().filter(|key| !key.is_empty()) {
            text = text.replace(key, "…");
        }
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        words.chars().take(QUOTED).collect()
    }
}

fn agent(timeout: Duration) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(3)
        // ureq would take a proxy from the environment.
        .proxy(None)
        .user_agent(concat!("vllm-bench/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

/// `url` without user info, query and fragment, also where it is no good URL.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(s, r)| (s, r));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // A `/` in a password would end the authority: cut at the last `@` of all then.
    let (host, path) = match path.rfind('@') {
        Some(at) => (&path[at + 1..], ""),
        None => (authority.rsplit('@').next().unwrap_or_default(), path),
    };
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_urls_hold_no_secret() {
        for (url, shown) in [
            ("http://host:8000/metrics", "http://host:8000/metrics"),
            ("http://me:secret@host:8000/metrics?token=x#y", "http://host:8000/metrics"),
            ("https://me:se@cret@host", "https://host"),
            ("http://me:se/cret@host/metrics", "http://host/metrics"),
            ("me:secret@host", "host"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn bad_urls_are_refused_without_their_secrets() {
        for url in [
            "localhost:8000",
            "ftp://host/metrics",
            "http://",
            "http://u:secret@",
            "",
            "http://a b/",
        ] {
            let error = Page::new(url.into(), None, Duration::from_secs(1)).expect_err(url);
            assert!(matches!(error, TelemetryError::Url { .. }), "{url}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
