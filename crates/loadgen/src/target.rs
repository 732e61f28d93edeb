//! One server: its URL taken apart and its name resolved, before anything is timed.

use std::net::{SocketAddr, ToSocketAddrs};

use hyper::Uri;

use crate::error::LoadError;

/// One server to send to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    tls: bool,
    prefix: String,
    addrs: Vec<SocketAddr>,
}

impl Target {
    /// Takes `base_url` (`http://host:port[/prefix]`, with or without a final
    /// `/` or `/v1`) apart and resolves its host, once.
    ///
    /// # Errors
    /// A URL that is not http(s), carries user info, or whose host does not resolve.
    pub fn resolve(base_url: &str) -> Result<Self, LoadError> {
        let bad = |reason: &str| LoadError::Url { url: redact(base_url), reason: reason.into() };
        let uri: Uri = base_url.trim().parse().map_err(|_| bad("not a URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(bad("the scheme must be http or https")),
            None => return Err(bad("it must start with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("user and password in a URL are not sent; use an API key"));
        }
        if uri.query().is_some() {
            return Err(bad("a base URL has no query"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().ends_with(|c: char| c.is_ascii_digit())
                && authority.as_str().rsplit_once(':').is_some_and(|(h, _)| !h.contains(':')) =>
            {
                return Err(bad("the port must be 1 to 65535"));
            }
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
        };
        let path = uri.path().trim_end_matches('/');
        let prefix = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        let addrs: Vec<SocketAddr> = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|source| LoadError::Resolve { host: format!("{host}:{port}"), source })?
            .collect();
        if addrs.is_empty() {
            return Err(bad("the host name has no address"));
        }
        Ok(Self { host, port, tls, prefix, addrs })
    }

    /// The base URL, without a final slash or `/v1`.
    pub fn base_url(&self) -> String {
        format!("{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.prefix)
    }

    /// Host and port as they stand in a `Host` header.
    pub fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// The request path of `endpoint_path` on this server.
    pub fn path(&self, endpoint_path: &str) -> String {
        format!("{}{endpoint_path}", self.prefix)
    }

    /// Whether it is on this host, as far as its address tells.
    pub fn is_local(&self) -> bool {
        self.addrs.iter().all(|a| a.ip().is_loopback())
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) const fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }
}

/// `url` with any user info blotted out.
fn redact(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((before, after)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://…@{after}"),
            None => format!("…@{after}"),
        },
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        let cases = [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "/v1/models"),
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000", "/v1/models"),
            ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000", "/v1/models"),
            ("https://127.0.0.1/a/b/v1/", "https://127.0.0.1/a/b", "/a/b/v1/models"),
            ("http://[::1]:9", "http://[::1]:9", "/v1/models"),
        ];
        for (url, base, path) in cases {
            let target = Target::resolve(url).expect(url);
            assert_eq!(
                (target.base_url().as_str(), target.path("/v1/models").as_str()),
                (base, path)
            );
        }
    }

    #[test]
    fn refuses_what_it_cannot_use_and_hides_passwords() {
        for url in [
            "127.0.0.1:8000",
            "ftp://h",
            "http://",
            "http://u:secret@127.0.0.1",
            "http://127.0.0.1/?a=1",
        ] {
            let error = Target::resolve(url).expect_err(url).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
