//! Other people's words, at most so many.

/// `text`, cut after `limit` characters with an ellipsis in place of the rest.
pub(crate) fn truncated(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::truncated;

    #[test]
    fn cuts_between_characters() {
        assert_eq!(truncated("Grüße", 5), "Grüße");
        assert_eq!(truncated("Grüße", 3), "Grü…");
        assert_eq!(truncated("", 0), "");
    }
}
