//! The least that an eBPF program can do at the hooks of a control group: let the packet pass.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context, Result};

use super::call;
use super::run_time::RunTime;
use crate::cgroup::Cgroup;

const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;
const PROG_TYPE_CGROUP_SKB: u32 = 8;
/// `BPF_CGROUP_INET_INGRESS` and `BPF_CGROUP_INET_EGRESS`.
const HOOKS: [u32; 2] = [0, 1];

/// `r0 = 1; exit`, in the encoding of RFC 9669.
const PASS: [u64; 2] = [0x0000_0001_0000_00b7, 0x95];

/// Two such programs, one for each direction, attached to a group for as long as this lives.
#[derive(Debug)]
pub struct EmptyPrograms {
    programs: Vec<OwnedFd>,
    _links: Vec<OwnedFd>,
}

impl EmptyPrograms {
    /// Loads and attaches them.
    ///
    /// # Errors
    /// Without root.
    pub fn attach(cgroup: &Cgroup) -> Result<Self> {
        let directory = File::open(cgroup.path())?;
        let (mut programs, mut links) = (Vec::new(), Vec::new());
        for hook in HOOKS {
            let program = load(hook).context("loading an empty eBPF program: this needs root")?;
            // Program, target, hook, flags.
            let mut attributes = [
                program.as_raw_fd().cast_unsigned(),
                directory.as_raw_fd().cast_unsigned(),
                hook,
                0,
            ];
            links.push(call::open(LINK_CREATE, &mut attributes).context("attaching it")?);
            programs.push(program);
        }
        Ok(Self {
            programs,
            _links: links,
        })
    }

    /// What they have run so far, both together, while run times are counted.
    ///
    /// # Errors
    /// Where the kernel will not say.
    pub fn run_time(&self) -> Result<RunTime> {
        let mut total = RunTime::default();
        for program in &self.programs {
            total = total + RunTime::of_program(program)?.1;
        }
        Ok(total)
    }
}

/// The beginning of `union bpf_attr` for BPF_PROG_LOAD.
#[repr(C)]
struct Load {
    kind: u32,
    instructions: u32,
    instructions_at: u64,
    licence_at: u64,
    log: [u32; 2],
    log_at: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    hook: u32,
}

fn load(hook: u32) -> Result<OwnedFd> {
    let mut attributes = Load {
        kind: PROG_TYPE_CGROUP_SKB,
        instructions: u32::try_from(PASS.len())?,
        instructions_at: PASS.as_ptr() as u64,
        licence_at: c"GPL".as_ptr() as u64,
        log: [0; 2],
        log_at: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"lab_empty\0\0\0\0\0\0\0",
        interface: 0,
        hook,
    };
    Ok(call::open(PROG_LOAD, &mut attributes)?)
}
