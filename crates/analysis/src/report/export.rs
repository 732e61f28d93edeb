//! Charts as SVG and PNG, drawn by a Chromium that is already installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::charts::NamedChart;
use crate::error::AnalysisError;
use crate::report::standalone::export_html;

/// Programs that are looked for, in this order.
pub const BROWSERS: [&str; 6] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "microsoft-edge",
];

/// Room for the title and the margins of a picture, CSS pixels.
const PADDING: u32 = 34 + 32;

/// A picture format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// Lines and text, for print and papers.
    Svg,
    /// Pixels, two for each CSS pixel.
    Png,
}

impl Picture {
    /// The file name extension.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

/// Draws charts into pictures by a headless Chromium.
#[derive(Debug)]
pub struct Browser {
    program: PathBuf,
    width: u32,
    limit: Duration,
}

impl Browser {
    /// The first of [`BROWSERS`] in the directories of `path` (the caller's `PATH`).
    ///
    /// # Errors
    /// None is there.
    pub fn find(path: &std::ffi::OsStr) -> Result<Self, AnalysisError> {
        let found = std::env::split_paths(path)
            .flat_map(|dir| BROWSERS.map(|name| dir.join(name)))
            .find(|p| p.is_file());
        found.map(Self::at).ok_or_else(|| AnalysisError::Draw {
            what: "SVG and PNG files".into(),
            problem: format!(
                "no browser found; install Chromium (looked for {} on PATH), or use the HTML files, \
                 whose charts have a button that saves SVG",
                BROWSERS.join(", ")
            ),
        })
    }

    /// The browser at `program`.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), width: 1_000, limit: Duration::from_secs(60) }
    }

    /// Draws `chart` of a run with `stages` measured stages as `picture` into `file`.
    ///
    /// # Errors
    /// The browser does not start, takes longer than a minute or draws nothing; `file` cannot be
    /// written.
    pub fn draw(
        &self,
        chart: &NamedChart,
        stages: usize,
        picture: Picture,
        file: &Path,
    ) -> Result<(), AnalysisError> {
        let failed = |problem: String| AnalysisError::Draw {
            what: format!("{} as {}", chart.id, picture.extension()),
            problem,
        };
        // Beside the target, so that a browser in a sandbox of its own (snap) may read it too.
        let work = file.with_extension(format!("{}.tmp", picture.extension()));
        let told = |e: std::io::Error| failed(format!("{}: {e}", work.display()));
        fs::create_dir_all(&work).map_err(told)?;
        let result = self.photograph(chart, stages, picture, &work, file);
        // What is left of a browser's profile is of no use; failing to remove it is no failure.
        let _ = fs::remove_dir_all(&work);
        result.map_err(failed)
    }

    fn photograph(
        &self,
        chart: &NamedChart,
        stages: usize,
        picture: Picture,
        work: &Path,
        file: &Path,
    ) -> Result<(), String> {
        let page = work.join("page.html");
        let html = export_html(chart, stages).map_err(|e| e.to_string())?;
        let in_file = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        fs::write(&page, html).map_err(|e| in_file(&page, e))?;
        let page = page.canonicalize().map_err(|e| in_file(&page, e))?;
        let profile = work.join("profile");
        let shot = work.join("shot.png");
        let mut command = Command::new(&self.program);
        command
            .args([
                "--headless",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--force-device-scale-factor=2",
            ])
            // Containers run as root and forbid the sandbox; the page holds no foreign script.
            .arg("--no-sandbox")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--window-size={},{}", self.width, chart.height + PADDING));
        match picture {
            Picture::Svg => command.arg("--dump-dom"),
            Picture::Png => command.arg(format!("--screenshot={}", shot.display())),
        };
        command.arg(format!("file://{}", percent_encoded(&page)));
        let out = work.join("stdout");
        let stdout = fs::File::create(&out).map_err(|e| in_file(&out, e))?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null());
        run(command, self.limit)?;
        match picture {
            Picture::Svg => {
                let dom = fs::read_to_string(&out).map_err(|e| in_file(&out, e))?;
                let svg = svg_of(&dom).ok_or("the browser drew nothing")?;
                fs::write(file, svg).map_err(|e| in_file(file, e))
            }
            Picture::Png => {
                if !shot.is_file() {
                    return Err("the browser drew nothing".into());
                }
                fs::rename(&shot, file).map_err(|e| in_file(file, e))
            }
        }
    }
}

/// Runs `command` to its end, but no longer than `limit`.
fn run(mut command: Command, limit: Duration) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| format!("{program} did not start: {e}"))?;
    let begun = Instant::now();
    loop {
        match child.try_wait().map_err(|e| format!("{program}: {e}"))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("{program} ended with {status}")),
            None if begun.elapsed() > limit => {
                // It may have just ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program} took longer than {} s", limit.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The text that the page's script left in `#svg-out`.
fn svg_of(dom: &str) -> Option<String> {
    let (_, rest) = dom.split_once("id=\"svg-out\"")?;
    let (_, rest) = rest.split_once('>')?;
    let (text, _) = rest.split_once("</pre>")?;
    let svg = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&nbsp;", "\u{a0}")
        .replace("&amp;", "&");
    svg.starts_with("<svg").then_some(svg)
}

/// A path as the path of a URL.
fn percent_encoded(path: &Path) -> String {
    let mut out = String::new();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn svg_is_read_back_from_the_page() {
        let dom = r#"<pre id="svg-out" hidden="">&lt;svg&gt;&lt;text&gt;a &amp;amp; b&lt;/text&gt;&lt;/svg&gt;</pre>"#;
        assert_eq!(svg_of(dom).as_deref(), Some("<svg><text>a &amp; b</text></svg>"));
        assert_eq!(svg_of(r#"<pre id="svg-out"></pre>"#), None);
        assert_eq!(svg_of("<p>nothing</p>"), None);
    }

    #[test]
    fn no_browser_is_an_error_that_says_what_to_do() {
        let error = Browser::find(std::ffi::OsStr::new("/nonexistent")).expect_err("nothing there");
        let text = error.to_string();
        assert!(text.contains("install Chromium") && text.contains("google-chrome"), "{text}");
    }

    #[test]
    fn a_browser_that_fails_is_told() {
        let error = run(Command::new("/nonexistent/chromium"), Duration::from_secs(1));
        assert!(error.expect_err("not there").contains("did not start"));
    }

    #[test]
    fn paths_with_blanks_become_urls() {
        assert_eq!(percent_encoded(Path::new("/a b/é.html")), "/a%20b/%C3%A9.html");
    }
}
