//! The frame of a program: parse, log, run, report an error, exit.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use clap::{ArgMatches, Command, Parser, ValueEnum as _, builder::StyledStr};
use clap_complete::Shell;

use crate::{Exit, describe, log, note, output::ReaderGone, print, style};

/// Runs a program: parses its arguments, installs the log, calls `run`, prints its error and gives the exit code.
///
/// `--completions` and `--man` are answered here, before the arguments are parsed. Wrong usage is
/// [`Exit::BadInput`], an error without a code of its own [`Exit::Failure`].
pub fn main<A: Parser>(run: impl FnOnce(A) -> anyhow::Result<Exit>) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let outcome = match Asked::of(arguments.get(1..).unwrap_or_default()) {
        Some(asked) => asked.answer(command::<A>()),
        None => match parse::<A>(arguments) {
            Ok(arguments) => run(arguments),
            Err(usage) => return ended_by_usage(&usage).into(),
        },
    };
    outcome.unwrap_or_else(|error| ended_by_error(&error)).into()
}

/// Plays a part that a program was started in by another program, not by a person: no arguments to parse, no log;
/// an error is printed and gives [`Exit::Failure`] or its own code.
pub fn play<E: Into<anyhow::Error>>(part: impl FnOnce() -> Result<(), E>) -> ExitCode {
    match part() {
        Ok(()) => Exit::Success.into(),
        Err(error) => ended_by_error(&error.into()).into(),
    }
}

/// The clap command of a program as its users see it: with the version and the list of exit codes in every help text.
pub fn command<A: Parser>() -> Command {
    let command = A::command();
    let command = match command.get_version() {
        Some(_) => command,
        None => command.version(env!("CARGO_PKG_VERSION")),
    };
    with_exit_codes(command)
}

/// What is printed instead of running.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Completions(Shell),
    ManualPage,
}

impl Asked {
    /// Looks for the two flags alone. What is not understood here is left to clap, whose message is better.
    fn of(arguments: &[OsString]) -> Option<Self> {
        let mut arguments = arguments.iter().take_while(|argument| argument.as_os_str() != "--");
        while let Some(argument) = arguments.next() {
            let argument = argument.to_str().unwrap_or_default();
            if argument == "--man" {
                return Some(Self::ManualPage);
            }
            let shell = match argument.strip_prefix("--completions") {
                Some("") => arguments.next().map(OsString::as_os_str).and_then(OsStr::to_str),
                Some(rest) => rest.strip_prefix('='),
                None => continue,
            };
            return shell
                .and_then(|shell| Shell::from_str(shell, true).ok())
                .map(Self::Completions);
        }
        None
    }

    fn answer(self, mut command: Command) -> anyhow::Result<Exit> {
        let mut text = Vec::new();
        match self {
            Self::Completions(shell) => {
                let name = command.get_name().to_owned();
                clap_complete::generate(shell, &mut command, name, &mut text);
            }
            Self::ManualPage => clap_mangen::Man::new(command).render(&mut text)?,
        }
        print(String::from_utf8_lossy(&text))?;
        Ok(Exit::Success)
    }
}

/// Parses and installs the log.
fn parse<A: Parser>(arguments: Vec<OsString>) -> Result<A, clap::Error> {
    let mut command = command::<A>();
    let matches = command.try_get_matches_from_mut(arguments)?;
    log::install(flag(&matches, "quiet"), count(&matches, "verbose"));
    A::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// A program that does not flatten `Common` has neither flag.
fn flag(matches: &ArgMatches, id: &str) -> bool {
    matches.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or(false)
}

fn count(matches: &ArgMatches, id: &str) -> u8 {
    matches.try_get_one::<u8>(id).ok().flatten().copied().unwrap_or(0)
}

/// clap prints its own text, to standard output where it is help or the version.
fn ended_by_usage(usage: &clap::Error) -> Exit {
    // A reader that has gone needs no help text.
    let _ = usage.print();
    if usage.use_stderr() { Exit::BadInput } else { Exit::Success }
}

fn ended_by_error(error: &anyhow::Error) -> Exit {
    if error.chain().any(|cause| cause.is::<ReaderGone>()) {
        return Exit::Success;
    }
    note(describe(error, style::stderr()).trim_end());
    Exit::of(error)
}

fn with_exit_codes(command: Command) -> Command {
    let codes = Exit::help();
    let closing = |text: Option<&StyledStr>| match text {
        Some(text) => format!("{}\n\n{codes}", text.to_string().trim_end()),
        None => codes.clone(),
    };
    let short = closing(command.get_after_help());
    let long = command.get_after_long_help().map(|text| closing(Some(text)));
    let command = command.after_help(short).mut_subcommands(with_exit_codes);
    match long {
        Some(long) => command.after_long_help(long),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Common;

    #[derive(Debug, Parser)]
    #[command(name = "tool", about = "A tool", after_help = "Examples:\n  tool in.toml")]
    struct Tool {
        /// The input
        input: String,
        #[command(flatten)]
        common: Common,
        /// Where to write
        #[arg(long)]
        out: Option<String>,
        #[command(subcommand)]
        verb: Option<Verb>,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Verb {
        /// Look at it
        Look {
            /// What to look at
            what: String,
        },
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_definitions_are_sound() {
        command::<Tool>().debug_assert();
    }

    #[test]
    fn completions_and_manual_are_found_before_parsing() {
        let bash = Some(Asked::Completions(Shell::Bash));
        for (line, expected) in [
            ("--completions bash", &bash),
            ("--out x --completions=bash", &bash),
            ("look --man", &Some(Asked::ManualPage)),
            ("--completions", &None),
            ("--completions tcsh", &None),
            ("--completionsbash", &None),
            ("in.toml -- --man", &None),
            ("", &None),
        ] {
            assert_eq!(&Asked::of(&words(line)), expected, "{line}");
        }
    }

    #[test]
    fn every_help_lists_the_exit_codes_after_its_own_words() {
        let mut command = command::<Tool>();
        let help = command.render_help().to_string();
        let example = help.find("tool in.toml").expect("the program's own closing words");
        assert!(example < help.find("Exit codes:").expect("the codes"), "{help}");
        let look = command.find_subcommand_mut("look").expect("defined above");
        assert!(look.render_help().to_string().contains("  130  interrupted"));
    }

    #[test]
    fn common_options_have_a_heading_of_their_own() {
        let help = command::<Tool>().render_help().to_string();
        let common = &help[help.find("Common options:").expect("the heading")..];
        assert!(common.contains("--quiet") && common.contains("--man"), "{help}");
        assert!(!common.contains("--out"), "{help}");
    }

    #[test]
    fn common_flags_work_after_a_subcommand_too() {
        let tool = parse::<Tool>(words("tool in.toml look it -vv")).expect("parses");
        assert_eq!((tool.common.verbose, tool.common.quiet), (2, false));
        let tool = parse::<Tool>(words("tool -q in.toml")).expect("parses");
        assert!(tool.common.quiet);
    }

    #[test]
    fn unknown_flags_are_bad_input_and_name_the_nearest() {
        let usage = parse::<Tool>(words("tool in.toml --ou x")).expect_err("no such flag");
        assert!(usage.to_string().contains("'--out'"), "{usage}");
        assert_eq!(usage.exit_code(), i32::from(Exit::BadInput.code()));
        assert!(usage.use_stderr());
    }
}
