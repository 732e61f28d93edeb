//! A whole program on this frame (`examples/greet.rs`), run as its users run it: exit codes, streams, closed pipes.

use std::{
    io::Read as _,
    path::PathBuf,
    process::{Command, Stdio},
};

/// `cargo test` builds the examples before it runs the tests, beside the folder of this executable.
fn greet() -> Command {
    let here = std::env::current_exe().expect("a running test has a path");
    let target: PathBuf = here.ancestors().nth(2).expect("target/<profile>/deps/<test>").into();
    let program = target.join("examples").join(format!("greet{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is missing: cargo build -p vllm-bench-cli --examples",
        program.display()
    );
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Exit code, standard output, standard error.
fn ran(arguments: &[&str]) -> (i32, String, String) {
    let output = greet().args(arguments).output().expect("the example runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("not killed"), text(output.stdout), text(output.stderr))
}

#[test]
fn results_go_to_stdout_and_advice_to_stderr() {
    assert_eq!(ran(&["Ada"]), (0, "hello Ada\n".into(), "next: greet somebody else\n".into()));
    assert_eq!(ran(&["Ada", "--quiet"]), (0, "hello Ada\n".into(), String::new()));
}

#[test]
fn verbose_logs_to_stderr_without_colours() {
    let (code, stdout, stderr) = ran(&["Ada", "-v"]);
    assert_eq!((code, stdout.as_str()), (0, "hello Ada\n"));
    assert!(stderr.contains("INFO vllm_bench_greet: greeted times=1"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
}

#[test]
fn an_error_has_its_code_and_text() {
    let (code, stdout, stderr) = ran(&["Ada", "--times", "many"]);
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (2, "", "error: invalid digit found in string\n")
    );
}

#[test]
fn wrong_usage_is_bad_input() {
    let (code, stdout, stderr) = ran(&["Ada", "--tims", "2"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("'--times'"), "{stderr}");
    assert_eq!(ran(&[]).0, 2, "the name is required");
}

#[test]
fn help_and_version_are_no_errors() {
    let (code, help, stderr) = ran(&["--help"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(help.contains("greet Ada --times 3") && help.contains("Exit codes:"), "{help}");
    let (code, version, _) = ran(&["--version"]);
    assert_eq!((code, version), (0, format!("greet {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn completions_and_manual_need_no_positional_argument() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, script, stderr) = ran(&["--completions", shell]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{shell}");
        assert!(script.contains("greet") && script.contains("times"), "{shell}: {script}");
    }
    let (code, manual, _) = ran(&["--man"]);
    assert_eq!(code, 0);
    assert!(manual.contains(".TH greet 1") && manual.contains("Exit codes"), "{manual}");
    let (code, _, stderr) = ran(&["--completions", "tcsh"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("tcsh") && stderr.contains("fish"), "{stderr}");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = greet()
        .args(["Ada", "--times", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example runs");
    let mut first = [0; 10];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("a line");
    let output = child.wait_with_output().expect("ends by itself");
    assert_eq!(&first, b"hello Ada\n");
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
        (Some(0), "")
    );
}
