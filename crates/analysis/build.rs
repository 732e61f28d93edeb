//! Finds the ECharts script inside the `charming` package, checks it, and
//! writes the page's assets with their CSP hashes into `OUT_DIR/assets.rs`.
//!
//! Cargo tells a build script nothing about where a dependency lies. A full
//! `cargo metadata --offline` of the workspace would ask for packages that this
//! build never downloaded (test tools, other platforms), so a manifest that
//! names only `charming` is resolved against the workspace's lock file. That
//! works offline, and in a vendored build, whose source replacement cargo finds
//! from the crate's directory. `VLLM_BENCH_ECHARTS` names the file by hand.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

const CHARMING: &str = "0.6.0";
const ECHARTS: &str = "src/asset/echarts-5.5.1.min.js";
const ECHARTS_SHA256: &str = "e84270bd0cd5bdf60fefc26d00c2a391cb2e81f4d26a7a9ee16185a54773a3cf";
const BY_HAND: &str = "VLLM_BENCH_ECHARTS";

fn main() {
    println!("cargo::rerun-if-env-changed={BY_HAND}");
    for file in ["build.rs", "assets/page.js", "assets/page.css"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let crate_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out_dir = PathBuf::from(variable("OUT_DIR"));
    let echarts = match env::var_os(BY_HAND) {
        Some(path) => PathBuf::from(path),
        None => charming_dir(&crate_dir, &out_dir)
            .unwrap_or_else(|e| {
                panic!("the charming {CHARMING} package was not found: {e}\nset {BY_HAND} to its {ECHARTS}")
            })
            .join(ECHARTS),
    };
    println!("cargo::rerun-if-changed={}", echarts.display());

    let script = read(&echarts);
    let sha256 = hex(&Sha256::digest(&script));
    assert!(
        sha256 == ECHARTS_SHA256,
        "{} is not ECharts 5.5.1 as reviewed: sha256 {sha256}, expected {ECHARTS_SHA256}",
        echarts.display()
    );
    let page_js = crate_dir.join("assets/page.js");
    let page_css = crate_dir.join("assets/page.css");
    let mut out = String::new();
    for (name, path) in [("ECHARTS", &echarts), ("PAGE_JS", &page_js), ("PAGE_CSS", &page_css)] {
        let text = read(path);
        // The hash is of the bytes a browser sees between the tags: it ends a
        // script at `</script` and turns CR LF into LF.
        let lower = text.to_ascii_lowercase();
        for bad in ["</script", "</style", "<!--", "\r"] {
            assert!(!lower.contains(bad), "{} contains {bad:?}", path.display());
        }
        let csp = format!("sha256-{}", base64(&Sha256::digest(&text)));
        // A copy, so that what is embedded is what was hashed even when the file is edited meanwhile.
        let copy = out_dir.join(name);
        fs::write(&copy, &text).expect("OUT_DIR is writable");
        let copy = copy.display().to_string();
        writeln!(out, "pub(super) const {name}: &str = include_str!({copy:?});")
            .and_then(|()| writeln!(out, "pub(super) const {name}_CSP: &str = {csp:?};"))
            .expect("writing to a String does not fail");
    }
    fs::write(out_dir.join("assets.rs"), out).expect("OUT_DIR is writable");
}

/// The directory of the `charming` package that this build uses.
fn charming_dir(crate_dir: &Path, out_dir: &Path) -> Result<PathBuf, String> {
    let probe = out_dir.join("charming-probe");
    let told = |e: std::io::Error| e.to_string();
    fs::create_dir_all(&probe).map_err(told)?;
    fs::write(probe.join("lib.rs"), "").map_err(told)?;
    let manifest = probe.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"charming-probe\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         [lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies]\n\
         charming = {{ version = \"={CHARMING}\", default-features = false }}\n"
    );
    fs::write(&manifest, text).map_err(told)?;
    if let Some(lock) = crate_dir.ancestors().map(|d| d.join("Cargo.lock")).find(|p| p.is_file()) {
        println!("cargo::rerun-if-changed={}", lock.display());
        fs::copy(lock, probe.join("Cargo.lock")).map_err(told)?;
    }
    let output = Command::new(variable("CARGO"))
        .current_dir(crate_dir)
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform"])
        .arg(variable("TARGET"))
        .arg("--manifest-path")
        .arg(&manifest)
        .output()
        .map_err(|e| format!("cargo metadata did not start: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|p| p["name"] == "charming" && p["version"] == CHARMING)
        .and_then(|p| p["manifest_path"].as_str())
        .and_then(|p| Path::new(p).parent())
        .map(Path::to_owned)
        .ok_or_else(|| "cargo metadata does not list it".to_owned())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|e| panic!("cargo sets {name} for build scripts: {e}"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().enumerate().fold(0u32, |w, (i, &b)| w | u32::from(b) << (16 - 8 * i));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(char::from(DIGITS[(word >> (18 - 6 * i)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}
