//! The processes of a measurement, started with their part as an argument.

use std::io::{Write as _, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vllm_bench_bench::{ClientPlan, TruthConfig, TruthServer, process, run_floor};

use crate::load;

/// What one process does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Role {
    pub part: RolePart,
    /// Where it may run; anywhere without.
    pub cpu: Option<usize>,
    /// Where it leaves its log.
    pub log: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RolePart {
    /// Serves until standard input ends; says its address on standard output.
    Truth(TruthConfig),
    Floor(ClientPlan),
    Load(ClientPlan),
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
            RolePart::Truth(config) => {
                let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let server = TruthServer::bind(config.clone(), any)?;
                let mut out = stdout();
                writeln!(out, "{}", server.addr())?;
                out.flush()?;
                server.serve(&stdin())?.write_to(&self.log)?;
            }
            RolePart::Floor(plan) => run_floor(plan)?.write_to(&self.log)?,
            RolePart::Load(plan) => load::run(plan)?.write_to(&self.log)?,
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
            part: RolePart::Truth(TruthConfig::default()),
            cpu: Some(1),
            log: "somewhere/truth.jsonl".into(),
        };
        let text = serde_json::to_string(&role).expect("JSON");
        assert_eq!(*Role::parse(&text).expect("the same"), role);
        assert!(Role::parse("{}").is_err());
    }
}
