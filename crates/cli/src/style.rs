//! A few terminal styles; off where the stream is not a terminal, `NO_COLOR` is set or the terminal is dumb.

use std::io::{self, IsTerminal};

/// Paints text for one stream, or leaves it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// Always paints.
    pub const ON: Self = Self { on: true };
    /// Never paints.
    pub const OFF: Self = Self { on: false };

    /// Bold: what to look at first.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Bold red: errors and failed checks.
    pub fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// Yellow: what to doubt.
    pub fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Green: what holds.
    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Dim: what may be skipped.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Whether text is painted at all.
    pub fn is_on(self) -> bool {
        self.on
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The paint for standard output.
pub fn stdout() -> Paint {
    Paint { on: colours_wanted(io::stdout().is_terminal()) }
}

/// The paint for standard error.
pub fn stderr() -> Paint {
    Paint { on: colours_wanted(io::stderr().is_terminal()) }
}

fn colours_wanted(terminal: bool) -> bool {
    decide(
        terminal,
        std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        std::env::var("TERM").ok().as_deref(),
    )
}

fn decide(terminal: bool, no_color: bool, term: Option<&str>) -> bool {
    terminal && !no_color && term != Some("dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paints_only_when_on() {
        assert_eq!(Paint::OFF.bold("x") + &Paint::OFF.dim("y"), "xy");
        assert_eq!(Paint::ON.green("x"), "\u{1b}[32mx\u{1b}[0m");
    }

    #[test]
    fn colours_need_a_terminal_that_wants_them() {
        assert!(decide(true, false, Some("xterm-256color")));
        assert!(decide(true, false, None));
        assert!(!decide(false, false, Some("xterm-256color")));
        assert!(!decide(true, true, Some("xterm-256color")));
        assert!(!decide(true, false, Some("dumb")));
    }
}
