//! The kernel's own account of how long eBPF programs run.

use std::collections::BTreeMap;
use std::ops::{Add, Sub};
use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context, Result};

use super::{Kind, call, held_by};

const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const ENABLE_STATS: libc::c_long = 32;
/// `BPF_STATS_RUN_TIME`.
const STATS_RUN_TIME: u32 = 0;

/// While this lives, the kernel counts the runs of eBPF programs and their time. Counting itself
/// takes some tens of nanoseconds a run.
#[derive(Debug)]
pub struct RunTimes {
    _counting: OwnedFd,
}

impl RunTimes {
    /// Begins to count (Linux 5.8 or later).
    ///
    /// # Errors
    /// Without root.
    pub fn count() -> Result<Self> {
        let counting = call::open(ENABLE_STATS, &mut [STATS_RUN_TIME])
            .context("counting the run times of eBPF programs: this needs root")?;
        Ok(Self {
            _counting: counting,
        })
    }
}

/// Runs of a program, and the time that they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunTime {
    /// How often it ran.
    pub runs: u64,
    /// Nanoseconds, in all.
    pub nanos: u64,
}

impl RunTime {
    /// The programs that a process holds, by name, and what they have run so far.
    ///
    /// # Errors
    /// Where the process is gone, or holds none.
    pub fn of_process(pid: u32) -> Result<BTreeMap<String, Self>> {
        let mut found = BTreeMap::new();
        for (kind, id) in held_by(pid)? {
            if kind == Kind::Program {
                let program = call::open(Kind::Program.open_command(), &mut [id, 0, 0])?;
                let (name, run_time) = Self::of_program(&program)?;
                found.insert(name, run_time);
            }
        }
        Ok(found)
    }

    /// A program's name, and what it has run so far.
    pub(super) fn of_program(program: &OwnedFd) -> Result<(String, Self)> {
        let mut info = Info::default();
        let size = u32::try_from(size_of::<Info>())?;
        let at = std::ptr::from_mut(&mut info) as u64;
        let mut attributes = (
            program.as_raw_fd().cast_unsigned(),
            size,
            [at as u32, (at >> 32) as u32],
        );
        if cfg!(target_endian = "big") {
            attributes.2.reverse();
        }
        call::bpf(OBJ_GET_INFO_BY_FD, &mut attributes).context("asking for a program's account")?;
        let name = info.name.split(|b| *b == 0).next().unwrap_or_default();
        Ok((
            String::from_utf8_lossy(name).into_owned(),
            Self {
                runs: info.runs,
                nanos: info.nanos,
            },
        ))
    }
}

impl Add for RunTime {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            runs: self.runs + other.runs,
            nanos: self.nanos + other.nanos,
        }
    }
}

/// What was run between two looks.
impl Sub for RunTime {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            runs: self.runs.saturating_sub(before.runs),
            nanos: self.nanos.saturating_sub(before.nanos),
        }
    }
}

/// `struct bpf_prog_info` up to what is read of it.
#[repr(C)]
#[derive(Default)]
struct Info {
    before_name: [u64; 8],
    name: [u8; 16],
    after_name: [u64; 14],
    nanos: u64,
    runs: u64,
}
