//! What the stub answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `NVML_ERROR_NOT_SUPPORTED`.
const NOT_SUPPORTED: u32 = 3;

/// A GPU as it is where the script says nothing else.
const PLAUSIBLE: [(&str, &str); 18] = [
    ("handle", "0"),
    ("name", "Stub GPU"),
    ("uuid", "GPU-00000000-0000-0000-0000-000000000000"),
    ("utilization", "97"),
    ("memory_utilization", "41"),
    ("memory_used", "73014444032"),
    ("memory_total", "85899345920"),
    ("temperature", "61"),
    ("power_mw", "412000"),
    ("energy_mj", "1000000"),
    ("sm_clock", "1980"),
    ("memory_clock", "2619"),
    ("throttle_reasons", "0"),
    ("pcie_tx", "150000"),
    ("pcie_rx", "90000"),
    ("pcie_delay_ms", "0"),
    ("compute_processes", "4242"),
    ("graphics_processes", "none"),
];

/// A whole script: the answer to `nvmlInit_v2` and the GPUs.
#[derive(Debug)]
pub struct Script {
    init: u32,
    gpus: Vec<Gpu>,
}

/// One scripted GPU.
#[derive(Debug)]
pub struct Gpu {
    answers: BTreeMap<String, Answers>,
}

#[derive(Debug)]
struct Answers {
    list: Vec<Result<String, u32>>,
    next: AtomicUsize,
}

impl Default for Script {
    fn default() -> Self {
        Self { init: 0, gpus: vec![Gpu::plausible()] }
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// With the number of the first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self { init: 0, gpus: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if line == "[gpu]" {
                script.gpus.push(Gpu::plausible());
                continue;
            }
            script.set(line).map_err(|problem| format!("line {}: {problem}", number + 1))?;
        }
        Ok(script)
    }

    /// The `nvmlReturn_t` of `nvmlInit_v2`.
    pub fn init(&self) -> u32 {
        self.init
    }

    /// GPUs in the script.
    pub fn gpus(&self) -> usize {
        self.gpus.len()
    }

    /// One of them.
    pub fn gpu(&self, index: usize) -> Option<&Gpu> {
        self.gpus.get(index)
    }

    fn set(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once('=').ok_or("no `=`")?;
        let (key, value) = (key.trim(), value.trim());
        let Some(gpu) = self.gpus.last_mut() else {
            if key != "init" {
                return Err(format!("{key}: only `init` may stand before the first [gpu]"));
            }
            self.init = value.parse().map_err(|e| format!("init: {e}"))?;
            return Ok(());
        };
        let answers = gpu.answers.get_mut(key).ok_or_else(|| format!("unknown key {key}"))?;
        *answers = Answers::parse(value)?;
        Ok(())
    }
}

impl Gpu {
    fn plausible() -> Self {
        let answer = |text: &str| Answers { list: vec![Ok(text.into())], next: 0.into() };
        let answers = PLAUSIBLE.iter().map(|(key, text)| ((*key).into(), answer(text)));
        Self { answers: answers.collect() }
    }

    /// The next answer to a question about text.
    ///
    /// # Errors
    /// With the scripted `nvmlReturn_t`.
    pub fn text(&self, key: &str) -> Result<&str, u32> {
        let answers = self.answers.get(key).ok_or(NOT_SUPPORTED)?;
        let at = answers.next.fetch_add(1, Ordering::Relaxed).min(answers.list.len() - 1);
        answers.list[at].as_deref().map_err(|code| *code)
    }

    /// The next answer to a question about text, which stays the next one unless it is an error.
    ///
    /// # Errors
    /// With the scripted `nvmlReturn_t`.
    pub fn peek(&self, key: &str) -> Result<&str, u32> {
        let answers = self.answers.get(key).ok_or(NOT_SUPPORTED)?;
        let at = answers.next.load(Ordering::Relaxed).min(answers.list.len() - 1);
        answers.list[at].as_deref().or_else(|_| self.text(key))
    }

    /// The next answer to a question about a number.
    ///
    /// # Errors
    /// With the scripted `nvmlReturn_t`.
    pub fn number(&self, key: &str) -> Result<u64, u32> {
        self.text(key)?.parse().map_err(|_| NOT_SUPPORTED)
    }
}

impl Answers {
    fn parse(text: &str) -> Result<Self, String> {
        let answer = |text: &str| match text.trim().strip_prefix("error ") {
            Some(code) => code.trim().parse().map(Err).map_err(|e| format!("error {code:?}: {e}")),
            None => Ok(Ok(text.trim().to_owned())),
        };
        let list = text.split(',').map(answer).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { list, next: 0.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::Script;

    #[test]
    fn answers_come_in_turn_and_the_last_stays() {
        let script = Script::parse(
            "init = 0\n[gpu]\n\n[gpu] # second\nname = B\ntemperature = 40, error 15, 50\n",
        )
        .expect("a script");
        assert_eq!((script.init(), script.gpus()), (0, 2));
        let gpu = script.gpu(1).expect("two GPUs");
        let four: Vec<_> = (0..4).map(|_| gpu.number("temperature")).collect();
        assert_eq!(four, [Ok(40), Err(15), Ok(50), Ok(50)]);
        assert_eq!(gpu.text("name"), Ok("B"));
        assert!(script.gpu(0).is_some_and(|gpu| gpu.number("power_mw") == Ok(412_000)));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, expected) in [
            ("[gpu]\nfan = 3\n", "line 2: unknown key fan"),
            ("power_mw = 1\n", "line 1: power_mw: only `init`"),
            ("[gpu]\nname\n", "line 2: no `=`"),
            ("[gpu]\npower_mw = error x\n", "line 2: error \"x\""),
        ] {
            let error = Script::parse(text).expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
