//! Makes requests out of prepared bodies, ahead of the users.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request};

use crate::client::Outgoing;
use crate::config::ClientConfig;
use crate::error::LoadError;
use crate::plan::PreparedRequest;

/// The part of every request that is the same.
pub(crate) struct Template {
    headers: HeaderMap,
    path: String,
}

impl Template {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, LoadError> {
        let target = &config.targets[0];
        let mut headers = HeaderMap::new();
        let value = |name: &str, value: &str| {
            HeaderValue::from_str(value).map_err(|_| LoadError::Header {
                name: name.into(),
                reason: "the value has characters that a header cannot carry".into(),
            })
        };
        headers.insert(HOST, value("host", &target.authority())?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if config.stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let agent = concat!("vllm-bench/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if let Some(key) = &config.api_key {
            let mut bearer = value("authorization", &format!("Bearer {}", key.expose()))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        for (name, text) in &config.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                LoadError::Header { name: name.clone(), reason: "not a header name".into() }
            })?;
            headers.insert(parsed, value(name, text)?);
        }
        Ok(Self { headers, path: target.path(config.endpoint.path()) })
    }

    pub(crate) fn outgoing(&self, index: u64, prepared: PreparedRequest) -> Outgoing {
        let mut request = Request::new(Full::new(Bytes::clone(&prepared.body)));
        *request.method_mut() = Method::POST;
        // Both were checked when the target was resolved; an id is ours.
        *request.uri_mut() = self.path.parse().unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(&prepared.request_id) {
            request.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
        }
        Outgoing { index, request, prepared }
    }
}
