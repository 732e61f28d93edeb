//! How an error reads on the terminal.

use crate::style::Paint;

/// The text of an error: `error: ` and its message, then its causes, one a line and indented.
///
/// Further lines of a message are indented too. A cause that the message above it already quotes is left out.
pub fn describe(error: &anyhow::Error, paint: Paint) -> String {
    let mut text = String::new();
    let mut above = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let message = cause.to_string();
        let message = message.trim();
        if depth > 0 && (message.is_empty() || above.contains(message)) {
            continue;
        }
        let label =
            if depth == 0 { paint.red("error:") } else { format!("  {}", paint.dim("cause:")) };
        let margin = if depth == 0 { "\n  " } else { "\n    " };
        text.push_str(&format!("{label} {}\n", message.replace('\n', margin)));
        above = message.to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_indented_and_quoted_ones_left_out() {
        let error = anyhow!("connection refused (os error 111)")
            .context("cannot connect: connection refused (os error 111)")
            .context("no server at http://localhost:8000\nstart one: just server");
        assert_eq!(
            describe(&error, Paint::OFF),
            "error: no server at http://localhost:8000\n  start one: just server\n  \
             cause: cannot connect: connection refused (os error 111)\n"
        );
    }

    #[test]
    fn colours_only_where_asked() {
        assert!(describe(&anyhow!("x"), Paint::ON).starts_with("\u{1b}[1;31merror:\u{1b}[0m x"));
    }
}
