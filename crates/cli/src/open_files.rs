//! Room for connections: a program that opens many asks for as many files as it may have.

/// Raises the limit of open files to the most that this process may ask for; each
/// connection of a load is one. The limit now, or `None` where the system does not tell.
/// A limit that could not be raised stays as it was.
pub fn raise_open_files() -> Option<u64> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        Some(if raised { hard } else { soft })
    }
    #[cfg(not(unix))]
    None
}

#[cfg(all(test, unix))]
mod tests {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    use super::*;

    #[test]
    fn the_limit_becomes_the_most_there_is() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(512), hard).expect("lower is allowed");
        assert_eq!(raise_open_files(), Some(hard));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).expect("a limit").0, hard);
        assert_eq!(raise_open_files(), Some(hard), "nothing is left to raise");
    }
}
