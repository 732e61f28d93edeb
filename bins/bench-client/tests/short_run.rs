//! The whole measurement, short: processes start, are stopped and continued,
//! leave their logs, and the last line is the object.
#![cfg(target_os = "linux")]

use std::process::Command;

use serde_json::Value;

fn measured(arguments: &[&str]) -> (String, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_vllm-bench-bench-client"))
        .args(["--quick", "--repetitions", "1"])
        .args(arguments)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let last = text.lines().last().expect("a line");
    let object = serde_json::from_str(last).expect("the last line is JSON");
    (text, object)
}

#[test]
fn saturated_streams_give_a_ratio() {
    let (text, object) = measured(&["--only", "saturated"]);
    let ratio = object["saturated_vs_floor"].as_f64().expect("a number");
    assert!(ratio > 0.0 && ratio.is_finite());
    assert_eq!(object["how"]["repetitions"], 1);
    assert!(object.get("cpu_per_token_vs_floor").is_none(), "it was not asked for");
    assert!(text.contains("tokens/s absorbed, 64 streams"), "{text}");
}

#[test]
fn a_stalled_client_is_compared_with_the_truth() {
    let (text, object) = measured(&["--only", "stalled"]);
    let error = object["arrival_error_p99_us_stalled_512"].as_f64().expect("a number");
    assert!(error > 0.0 && error.is_finite());
    assert!(text.contains("censored chunks, client stalled"), "{text}");
}
