//! Error answers in vLLM's words.

use hyper::StatusCode;
use vllm_bench_protocol::ApiError;

/// An HTTP answer that says no.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    /// For the `Allow` header.
    pub(crate) allow: Option<&'static str>,
    /// For the `Retry-After` header, in seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Refusal {
    fn new(status: StatusCode, body: String) -> Self {
        Refusal { status, body, allow: None, retry_after: None }
    }

    fn error(status: StatusCode, message: &str, kind: &str, param: Option<&str>) -> Self {
        let error = ApiError::vllm(message, kind, param, i64::from(status.as_u16()));
        Refusal::new(status, error.to_body())
    }

    /// A request that vLLM's own checks refuse.
    pub(crate) fn bad(message: impl AsRef<str>) -> Self {
        Refusal::error(StatusCode::BAD_REQUEST, message.as_ref(), "BadRequestError", None)
    }

    /// The same with the parameter at fault, and its value where it is told, which vLLM appends.
    pub(crate) fn bad_parameter(message: &str, parameter: &str, value: Option<String>) -> Self {
        let value = value.map_or_else(String::new, |value| format!(", value={value}"));
        let message = format!("{message} (parameter={parameter}{value})");
        Refusal::error(StatusCode::BAD_REQUEST, &message, "BadRequestError", Some(parameter))
    }

    /// A body that does not fit the request's model: pydantic's words, one complaint a line.
    pub(crate) fn invalid(complaints: &[Complaint]) -> Self {
        let noun = if complaints.len() == 1 { "error" } else { "errors" };
        let mut message = format!("{} validation {noun}:", complaints.len());
        for complaint in complaints {
            message.push_str("\n  ");
            message.push_str(&complaint.text());
        }
        let param = complaints.first().map(|complaint| complaint.place.as_str());
        Refusal::error(StatusCode::BAD_REQUEST, &message, "Bad Request", param)
    }

    pub(crate) fn unknown_model(asked: &str, known: &str) -> Self {
        let message = format!("The model `{asked}` does not exist. Valid aliases: {known}.");
        Refusal::error(StatusCode::NOT_FOUND, &message, "NotFoundError", Some("model"))
    }

    pub(crate) fn not_found() -> Self {
        Refusal::new(StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#.into())
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let body = r#"{"detail":"Method Not Allowed"}"#.into();
        Refusal { allow: Some(allow), ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, body) }
    }

    pub(crate) fn unauthorized() -> Self {
        Refusal::new(StatusCode::UNAUTHORIZED, r#"{"error":"Unauthorized"}"#.into())
    }

    /// The engine is gone: the server is shutting down.
    pub(crate) fn engine_dead() -> Self {
        let message =
            "EngineCore encountered an issue. See stack trace (above) for the root cause.";
        Refusal::error(StatusCode::INTERNAL_SERVER_ERROR, message, "InternalServerError", None)
    }

    /// A refusal that a fault asks for.
    pub(crate) fn fault(status: u16, retry_after: Option<u32>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => "RateLimitError",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailableError",
            status if status.is_server_error() => "InternalServerError",
            _ => "BadRequestError",
        };
        let message = format!("simulated fault: {status}");
        Refusal { retry_after, ..Refusal::error(status, &message, kind, None) }
    }
}

/// One of pydantic's complaints about a body.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) kind: &'static str,
    /// `body.` and the key, or the byte where JSON ends to be JSON.
    pub(crate) place: String,
    pub(crate) message: &'static str,
    /// The value at fault, as Python prints it.
    pub(crate) input: String,
    /// The reason why it is not JSON.
    pub(crate) context: Option<&'static str>,
}

impl Complaint {
    fn text(&self) -> String {
        let Complaint { kind, place, message, input, context } = self;
        let mut text =
            format!("{{'type': '{kind}', 'loc': '{place}', 'msg': '{message}', 'input': {input}");
        if let Some(context) = context {
            text.push_str(&format!(", 'ctx': {{'error': '{context}'}}"));
        }
        text.push('}');
        text
    }
}
