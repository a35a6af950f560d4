//! The server's process, seen from outside. In: its id. Out: its memory and its CPU time.

use std::fs;

use rustix::param::clock_ticks_per_second;

use crate::Failure;

/// A running process that is being measured.
#[derive(Clone, Copy)]
pub(crate) struct Server {
    pid: u32,
}

impl Server {
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// Returns the resident memory in KiB.
    pub(crate) fn rss_kib(self) -> Result<u64, Failure> {
        let path = format!("/proc/{}/status", self.pid);
        let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmRSS:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse()
                    .ok()
            })
            .ok_or_else(|| format!("{path} has no VmRSS").into())
    }

    /// Returns the CPU time of all threads, in seconds.
    pub(crate) fn cpu_seconds(self) -> Result<f64, Failure> {
        let path = format!("/proc/{}/stat", self.pid);
        let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The name, in brackets, may hold anything. Behind it, user and system time are the 12th and
        // the 13th field.
        let ticks = stat.rsplit_once(')').and_then(|(_, fields)| {
            let mut fields = fields.split_whitespace().skip(11);
            let user: u64 = fields.next()?.parse().ok()?;
            let system: u64 = fields.next()?.parse().ok()?;
            Some(user + system)
        });
        match ticks {
            Some(ticks) => Ok(ticks as f64 / clock_ticks_per_second() as f64),
            None => Err(format!("{path} has no CPU times").into()),
        }
    }
}
