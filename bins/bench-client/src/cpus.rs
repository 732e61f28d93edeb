//! Who runs where.

use vllm_bench_bench::process;

/// The CPUs of server and client; `None` where there are not two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cpus {
    pub pinned: Option<Pinned>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub server: usize,
    pub client: usize,
}

impl Cpus {
    pub(crate) fn pick() -> Self {
        Self::of(&process::cpus())
    }

    /// The last two: interrupts tend to go to the first.
    fn of(allowed: &[usize]) -> Self {
        let pinned = match allowed {
            [.., server, client] => Some(Pinned { server: *server, client: *client }),
            _ => None,
        };
        Self { pinned }
    }

    pub(crate) fn server(&self) -> Option<usize> {
        self.pinned.map(|p| p.server)
    }

    pub(crate) fn client(&self) -> Option<usize> {
        self.pinned.map(|p| p.client)
    }

    pub(crate) fn say(&self) -> String {
        match self.pinned {
            Some(Pinned { server, client }) => {
                format!("server on CPU {server}, clients on CPU {client}")
            }
            None => {
                "warning: one CPU only: server and clients share it; errors and ratios are worse \
                 than they need be"
                    .into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_pinned_apart_and_one_is_not() {
        assert_eq!(Cpus::of(&[3]).pinned, None);
        assert!(Cpus::of(&[3]).say().starts_with("warning"));
        let four = Cpus::of(&[0, 1, 4, 5]);
        assert_eq!((four.server(), four.client()), (Some(4), Some(5)));
    }
}
