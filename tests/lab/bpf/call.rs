//! The system call bpf(2).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Calls it with a command and `union bpf_attr` as that command reads it.
///
/// # Errors
/// What the kernel says.
pub(super) fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads and writes at most the given number of bytes of `attributes`; what
    // those point to lives as long as they do, which is for the callers to see to.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// As [`bpf`], for a command that makes or opens an object.
pub(super) fn open<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attributes)?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
