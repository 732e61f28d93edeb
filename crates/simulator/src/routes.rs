//! Paths, methods and headers.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use vllm_bench_protocol::{
    DetokenizeRequest, DetokenizeResponse, Endpoint, ModelCard, ModelList, ServerLoad,
    TokenizeRequest, TokenizeResponse, Version,
};

use crate::body::{self, Kind};
use crate::driver::{Command, lock};
use crate::generate::{Answer, generate};
use crate::metrics::HttpRequest;
use crate::refusal::Refusal;
use crate::state::{SERVER, State, VERSION};
use crate::stream::json;
use crate::tokenizer::Tokenizer;
use crate::wire::AnswerBody;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a path leads to.
#[derive(Clone, Copy)]
enum Route {
    Models,
    Version,
    Health,
    Load,
    Metrics,
    Generate(Endpoint),
    Tokenize,
    Detokenize,
    ResetPrefixCache,
}

/// Path, the methods in an `Allow` header, what it leads to, and whether HTTP metrics count it.
const ROUTES: &[(&str, &str, Route, bool)] = &[
    ("/v1/models", "GET", Route::Models, true),
    ("/version", "GET", Route::Version, false),
    ("/health", "GET", Route::Health, false),
    ("/ping", "GET, POST", Route::Health, false),
    ("/load", "GET", Route::Load, false),
    ("/metrics", "GET", Route::Metrics, false),
    ("/v1/chat/completions", "POST", Route::Generate(Endpoint::Chat), true),
    ("/v1/completions", "POST", Route::Generate(Endpoint::Completions), true),
    ("/tokenize", "POST", Route::Tokenize, true),
    ("/detokenize", "POST", Route::Detokenize, true),
    ("/reset_prefix_cache", "POST", Route::ResetPrefixCache, true),
];

/// Answers one HTTP request.
pub(crate) async fn serve(state: Arc<State>, request: Request<Incoming>) -> Response<AnswerBody> {
    let began = Instant::now();
    let (parts, incoming) = request.into_parts();
    let found = ROUTES.iter().find(|(path, ..)| *path == parts.uri.path());
    let answered = match incoming.collect().await {
        Ok(body) => answer(&state, found, &parts.method, &parts.headers, &body.to_bytes()).await,
        Err(problem) => Err(Refusal::bad(format!("cannot read the body: {problem}"))),
    };
    let mut response = match answered {
        Ok(answer) => good(answer),
        Err(refusal) => refused(refusal),
    };
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static(SERVER));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if state.config.request_id_headers {
        let given = parts.headers.get(REQUEST_ID).cloned();
        let made = || HeaderValue::from_str(&format!("{}{}", state.new_id(), state.new_id())).ok();
        if let Some(id) = given.or_else(made) {
            headers.insert(REQUEST_ID, id);
        }
    }
    if found.is_some_and(|(.., counted)| !counted) {
        return response;
    }
    let account = HttpAccount {
        handler: found.map_or("none", |(path, ..)| path),
        method: parts.method.to_string(),
        status: response.status(),
        request_bytes: content_length(&parts.headers),
        response_bytes: response.body().length(),
        began,
        state,
    };
    response.map(|body| body.guarded(account))
}

async fn answer(
    state: &Arc<State>,
    found: Option<&(&'static str, &'static str, Route, bool)>,
    method: &Method,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Answer, Refusal> {
    let Some(&(path, methods, route, _)) = found else { return Err(Refusal::not_found()) };
    if !methods.split(", ").any(|allowed| method == allowed) {
        return Err(Refusal::method_not_allowed(methods));
    }
    if let Some(key) = state.config.api_key.as_ref().filter(|_| path.starts_with("/v1"))
        && !key.accepts(headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes))
    {
        return Err(Refusal::unauthorized());
    }
    match route {
        Route::Generate(endpoint) => generate(state, endpoint, headers, body).await,
        Route::Health => Ok(Answer { content_type: "", body: AnswerBody::whole("") }),
        Route::Models => {
            let config = &state.config;
            let card = ModelCard::new(&config.model, state.started(), config.max_model_len);
            Ok(whole_json(&ModelList::new(vec![card])))
        }
        Route::Version => Ok(whole_json(&Version { version: VERSION.to_owned() })),
        Route::Load => Ok(whole_json(&ServerLoad { server_load: state.in_flight() })),
        Route::Metrics => {
            let content_type = "text/plain; version=1.0.0; charset=utf-8";
            Ok(Answer { content_type, body: AnswerBody::whole(state.metrics_text()) })
        }
        Route::Tokenize => tokenize(state, body),
        Route::Detokenize => {
            let request: DetokenizeRequest = body::read(
                body::object(body)?,
                &["tokens"],
                &[("model", Kind::Text), ("tokens", Kind::List)],
            )?;
            check_model(state, request.model.as_deref())?;
            Ok(whole_json(&DetokenizeResponse {
                prompt: Tokenizer::shared().decode(&request.tokens),
            }))
        }
        Route::ResetPrefixCache => {
            let (sender, answered) = oneshot::channel();
            state.engine.send(Command::ResetPrefixCache(sender));
            let success = answered.await.map_err(|_| Refusal::engine_dead())?;
            Ok(whole_json(&serde_json::json!({ "success": success })))
        }
    }
}

fn tokenize(state: &State, body: &[u8]) -> Result<Answer, Refusal> {
    let fields = body::object(body)?;
    let required: &[&str] = if fields.contains_key("messages") { &[] } else { &["prompt"] };
    let kinds = [
        ("model", Kind::Text),
        ("prompt", Kind::Text),
        ("messages", Kind::List),
        ("add_special_tokens", Kind::Boolean),
        ("add_generation_prompt", Kind::Boolean),
        ("return_token_strs", Kind::Boolean),
    ];
    let request: TokenizeRequest = body::read(fields, required, &kinds)?;
    check_model(state, request.model.as_deref())?;
    let tokenizer = Tokenizer::shared();
    let tokens = match (&request.messages, &request.prompt) {
        (Some(messages), _) => {
            tokenizer.encode_chat(messages, request.add_generation_prompt.unwrap_or(true))
        }
        (None, prompt) => {
            let text = prompt.as_deref().unwrap_or_default();
            if request.add_special_tokens.unwrap_or(true) {
                tokenizer.encode_prompt(text)
            } else {
                tokenizer.encode(text)
            }
        }
    };
    let texts = || tokens.iter().map(|&token| tokenizer.token_text(token)).collect();
    Ok(whole_json(&TokenizeResponse {
        count: tokens.len() as u32,
        max_model_len: state.config.max_model_len,
        token_strs: Some(request.return_token_strs.unwrap_or(false).then(texts)),
        tokens,
    }))
}

fn check_model(state: &State, asked: Option<&str>) -> Result<(), Refusal> {
    match asked {
        Some(asked) if asked != state.config.model => {
            Err(Refusal::unknown_model(asked, &state.config.model))
        }
        _ => Ok(()),
    }
}

fn whole_json(value: &impl serde::Serialize) -> Answer {
    Answer { content_type: "application/json", body: AnswerBody::whole(json(value)) }
}

fn good(answer: Answer) -> Response<AnswerBody> {
    let mut response = Response::new(answer.body);
    if !answer.content_type.is_empty() {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    }
    response
}

fn refused(refusal: Refusal) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(refusal.body));
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(methods) = refusal.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    if let Some(seconds) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn content_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Counts an HTTP request when its answer is out, or its client gone.
struct HttpAccount {
    state: Arc<State>,
    handler: &'static str,
    method: String,
    status: StatusCode,
    request_bytes: u64,
    response_bytes: u64,
    began: Instant,
}

impl Drop for HttpAccount {
    fn drop(&mut self) {
        lock(&self.state.http_metrics).finished(HttpRequest {
            handler: self.handler,
            method: std::mem::take(&mut self.method),
            status: self.status.as_u16(),
            time: self.began.elapsed(),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
        });
    }
}
