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

#[test]
fn a_busy_cpu_delays_the_client_and_is_measured() {
    let (text, object) = measured(&["--only", "busy"]);
    for key in ["arrival_error_p99_us_busy_64", "client_lag_p99_us_busy_64"] {
        assert!(object[key].as_f64().is_some_and(|us| us > 0.0), "{key}: {object}");
    }
    assert!(object["client_lag_p99_us_idle_64"].is_number(), "{object}");
    assert!(text.contains("CPU shared with a busy loop"), "{text}");
}

#[test]
fn arrivals_are_held_against_their_schedule() {
    let (_, object) = measured(&["--only", "schedule"]);
    assert!(object["send_error_p99_us"].as_f64().is_some_and(|us| us > 0.0), "{object}");
    // Even arrivals would be 0.63 away from an exponential; a busy machine is not that late.
    assert!(object["poisson_ks"].as_f64().is_some_and(|ks| ks > 0.0 && ks < 0.3), "{object}");
}

#[test]
fn long_bodies_go_beside_other_streams() {
    let (_, object) = measured(&["--only", "long-body"]);
    for key in ["itl_error_p99_us_long_body", "itl_error_p99_us_no_long_body"] {
        assert!(object[key].as_f64().is_some_and(|us| us > 0.0), "{key}: {object}");
    }
}
