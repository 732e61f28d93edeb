//! The bytes of an answer, built before anything is timed: a chat stream as
//! vLLM 0.32 writes it, chunked framing included.

/// Prebuilt pieces of an answer. One write a piece.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// Head, role-only event and first token.
    first: Vec<u8>,
    /// The same where the first token is the last.
    only: Vec<u8>,
    /// A token.
    middle: Vec<u8>,
    /// The last token, with its finish reason.
    last: Vec<u8>,
    model: String,
}

/// Events of an answer that are no token: the role, the usage and `[DONE]`.
pub(crate) const OTHER_EVENTS: u32 = 3;

const HEAD: &str = "HTTP/1.1 200 OK\r\nserver: vllm-bench-truth\r\n\
                    content-type: text/event-stream; charset=utf-8\r\n\
                    transfer-encoding: chunked\r\n\r\n";

impl Chunks {
    pub(crate) fn new(model: &str) -> Self {
        let delta = |delta: &str, after: &str| {
            event(&format!(
                "{}\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,{after}}}]}}",
                opening(model)
            ))
        };
        let role = event(&format!(
            "{}\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"\"}},\
             \"logprobs\":null,\"finish_reason\":null}}],\"prompt_token_ids\":null,\
             \"prompt_text\":null}}",
            opening(model)
        ));
        let content = "{\"content\":\" classdict\"}";
        let middle = delta(content, "\"finish_reason\":null,\"token_ids\":null");
        let last =
            delta(content, "\"finish_reason\":\"length\",\"stop_reason\":null,\"token_ids\":null");
        let opened = format!("{HEAD}{role}");
        Self {
            first: format!("{opened}{middle}").into(),
            only: format!("{opened}{last}").into(),
            middle: middle.into(),
            last: last.into(),
            model: model.into(),
        }
    }

    /// The bytes of token `step` of `tokens`, from 0.
    pub(crate) fn token(&self, step: u32, tokens: u32) -> &[u8] {
        match (step == 0, step + 1 == tokens) {
            (true, true) => &self.only,
            (true, false) => &self.first,
            (false, true) => &self.last,
            (false, false) => &self.middle,
        }
    }

    /// What follows the last token: usage, `[DONE]`, end of the body.
    pub(crate) fn tail(&self, tokens: u32) -> Vec<u8> {
        let usage = event(&format!(
            "{}\"choices\":[],\"usage\":{{\"prompt_tokens\":64,\"total_tokens\":{},\
             \"completion_tokens\":{tokens},\"prompt_tokens_details\":{{\"cached_tokens\":0}}}}}}",
            opening(&self.model),
            u64::from(tokens) + 64
        ));
        format!("{usage}{}0\r\n\r\n", event("[DONE]")).into()
    }
}

fn opening(model: &str) -> String {
    format!(
        "{{\"id\":\"chatcmpl-00000000000truth\",\"object\":\"chat.completion.chunk\",\
         \"created\":1795541090,\"model\":\"{model}\","
    )
}

/// One event as one chunk of the body.
fn event(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// A whole answer that is no stream.
pub(crate) fn plain(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nserver: vllm-bench-truth\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_count::EventCount;

    #[test]
    fn an_answer_has_its_tokens_and_three_events_more() {
        let chunks = Chunks::new("m");
        for tokens in [1, 2, 5] {
            let mut whole = Vec::new();
            for step in 0..tokens {
                let before = whole.len();
                whole.extend_from_slice(chunks.token(step, tokens));
                assert!(whole.len() > before);
            }
            whole.extend(chunks.tail(tokens));
            let mut count = EventCount::default();
            assert_eq!(count.take(&whole), tokens + OTHER_EVENTS, "{tokens} tokens");
            assert!(count.is_whole(tokens + OTHER_EVENTS));
            let text = String::from_utf8(whole).expect("UTF-8");
            assert_eq!(text.matches("\"finish_reason\":\"length\"").count(), 1);
            assert!(text.contains(&format!("\"completion_tokens\":{tokens},")));
        }
    }

    #[test]
    fn every_event_is_json_in_its_own_chunk() {
        let chunks = Chunks::new("m");
        let text = String::from_utf8(chunks.token(0, 2).to_vec()).expect("UTF-8");
        let (_, mut body) = text.split_once("\r\n\r\n").expect("a head");
        let mut events = 0;
        while let Some((size, rest)) = body.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).expect("hexadecimal");
            let (chunk, after) = rest.split_at(size);
            let data = chunk.strip_prefix("data: ").and_then(|c| c.strip_suffix("\n\n"));
            let json: serde_json::Value =
                serde_json::from_str(data.expect("an event")).expect("JSON");
            assert_eq!(json["object"], "chat.completion.chunk");
            body = after.strip_prefix("\r\n").expect("the chunk ends");
            events += 1;
        }
        assert_eq!((events, body), (2, ""));
    }
}
