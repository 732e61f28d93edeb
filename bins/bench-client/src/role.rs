//! The clients of a measurement, started with their part as an argument. (The server's
//! process is the library's own `TruthRole`.)

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vllm_bench_bench::{ClientPlan, process, run_floor};
use vllm_bench_loadgen::Arrivals;

use crate::open::OpenPlan;
use crate::{busy, load, open};

/// What one process does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Role {
    pub part: RolePart,
    /// Where it may run; anywhere without.
    pub cpu: Option<usize>,
    /// Where it leaves its log.
    pub log: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RolePart {
    Floor(ClientPlan),
    Load(ClientPlan),
    /// The load generator with its packet capture.
    Capture(ClientPlan),
    /// The load generator in an open loop.
    Open(OpenPlan),
    /// No client: keeps its CPU busy until it is killed or standard input ends.
    Busy,
}

impl Role {
    pub(crate) fn parse(text: &str) -> Result<Box<Self>, serde_json::Error> {
        serde_json::from_str(text).map(Box::new)
    }

    pub(crate) fn play(&self) -> anyhow::Result<()> {
        if let Some(cpu) = self.cpu {
            process::pin(None, cpu)?;
        }
        match &self.part {
            RolePart::Floor(plan) => run_floor(plan)?.write_to(&self.log)?,
            RolePart::Load(plan) => load::run(plan, Arrivals::Kernel)?.write_to(&self.log)?,
            RolePart::Capture(plan) => load::run(plan, Arrivals::Capture)?.write_to(&self.log)?,
            RolePart::Open(plan) => open::run(plan)?.write_to(&self.log)?,
            RolePart::Busy => busy::spin(),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_through_an_argument() {
        let role = Role {
            part: RolePart::Floor(ClientPlan::default()),
            cpu: Some(1),
            log: "somewhere/client.json".into(),
        };
        let text = serde_json::to_string(&role).expect("JSON");
        assert_eq!(*Role::parse(&text).expect("the same"), role);
        assert!(Role::parse("{}").is_err());
    }
}
