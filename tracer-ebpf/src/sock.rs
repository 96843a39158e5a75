//! What is read from the kernel's `struct sock`.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use tracer_common::AF_INET;

/// The beginning of the kernel's `struct sock_common`, unchanged since Linux 3.13. The fields are
/// in network order but for `num`.
#[repr(C)]
#[derive(Default)]
pub struct SockCommon {
    daddr: [u8; 4],
    rcv_saddr: [u8; 4],
    hash: u32,
    dport: [u8; 2],
    /// The socket's own port.
    pub num: u16,
    /// Its address family.
    pub family: u16,
}

/// Where IPv6 addresses lie in `struct sock_common`, in bytes: peer's and own.
const V6_DADDR: usize = 56;
const V6_RCV_SADDR: usize = 72;

impl SockCommon {
    /// Reads it.
    #[inline(always)]
    pub fn read(sock: *const c_void) -> Self {
        let mut common = Self::default();
        // SAFETY: the fields are integers and arrays of bytes.
        unsafe { read_into(&raw mut common, sock.cast()) };
        common
    }

    /// The peer's port.
    #[inline(always)]
    pub fn remote_port(&self) -> u16 {
        u16::from_be_bytes(self.dport)
    }

    /// Writes the addresses of an IPv4 or IPv6 socket, own and peer's.
    ///
    /// # Safety
    /// `local` and `remote` must be valid for writes.
    #[inline(always)]
    pub unsafe fn write_addresses(
        &self,
        sock: *const c_void,
        local: *mut [u8; 16],
        remote: *mut [u8; 16],
    ) {
        // SAFETY: the caller's.
        unsafe {
            if u32::from(self.family) == AF_INET {
                local.write(widen(self.rcv_saddr));
                remote.write(widen(self.daddr));
            } else {
                read_into(local, sock.cast::<u8>().wrapping_add(V6_RCV_SADDR));
                read_into(remote, sock.cast::<u8>().wrapping_add(V6_DADDR));
            }
        }
    }
}

#[inline(always)]
fn widen([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Reads kernel memory; zeros where there is none at that address.
///
/// # Safety
/// `to` must be valid for writes, and any bits must make a `T`.
#[inline(always)]
pub unsafe fn read_into<T>(to: *mut T, from: *const u8) {
    // SAFETY: the helper writes `size_of::<T>()` bytes, and faults on no source address.
    unsafe { bpf_probe_read_kernel(to.cast(), size_of::<T>() as u32, from.cast()) };
}
