//! What is read from the kernel's `struct sock`.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use tracer_common::AF_INET;

/// What is always asked of the beginning of the kernel's `struct sock_common`, unchanged since Linux
/// 3.13.
pub struct SockCommon {
    dport: u16,
    /// The socket's own port.
    pub num: u16,
    /// Its address family.
    pub family: u16,
}

/// Where fields lie in `struct sock_common`, in bytes.
const DADDR: usize = 0;
const RCV_SADDR: usize = 4;
const PORTS: usize = 12;
const FAMILY: usize = 16;
const V6_DADDR: usize = 56;
const V6_RCV_SADDR: usize = 72;

impl SockCommon {
    /// Reads it, without a helper: as with all that a BTF tracepoint is given, the verifier knows
    /// the type, and the kernel sees to it that a bad address reads as zeros.
    ///
    /// # Safety
    /// `sock` must come from the context of a BTF tracepoint.
    #[inline(always)]
    pub unsafe fn read(sock: *const c_void) -> Self {
        let sock = sock.cast::<u8>();
        // SAFETY: the caller's. Volatile, so that no two are read as one, which has no type.
        let (ports, family) = unsafe {
            (
                sock.add(PORTS).cast::<u32>().read_volatile(),
                sock.add(FAMILY).cast::<u16>().read_volatile(),
            )
        };
        let [dport, num] = [ports as u16, (ports >> 16) as u16];
        Self { dport, num, family }
    }

    /// The peer's port.
    #[inline(always)]
    pub fn remote_port(&self) -> u16 {
        u16::from_be(self.dport)
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
        let sock = sock.cast::<u8>();
        // SAFETY: the caller's.
        unsafe {
            if u32::from(self.family) == AF_INET {
                local.write([0; 16]);
                remote.write([0; 16]);
                read_into(local.cast::<[u8; 4]>(), sock.wrapping_add(RCV_SADDR));
                read_into(remote.cast::<[u8; 4]>(), sock.wrapping_add(DADDR));
            } else {
                read_into(local, sock.wrapping_add(V6_RCV_SADDR));
                read_into(remote, sock.wrapping_add(V6_DADDR));
            }
        }
    }
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
