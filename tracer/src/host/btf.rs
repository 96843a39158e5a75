//! Where the running kernel keeps the fields that the kernel side reads, from the type information
//! that the kernel carries (BTF, the kernel's `Documentation/bpf/btf.rst`).

use std::fs;

/// Offsets of fields of the kernel's `struct task_struct`, in bytes, unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelOffsets {
    /// Pointer to the thread group's leader: the task whose id is the process id.
    pub group_leader: u32,
    /// When the task started, in nanoseconds of the boot-time clock.
    pub start_boottime: u32,
    /// The task's name, 16 bytes.
    pub comm: u32,
    /// `filename` in `struct linux_binprm`: the path that a started program was found under.
    pub binprm_filename: u32,
    /// How to find what the peer of a Unix socket is called.
    pub unix: UnixOffsets,
}

/// Offsets of fields of the kernel's Unix sockets, in bytes; all 0 where the kernel does not know
/// them (they are built as a module).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnixOffsets {
    /// `peer` in `struct unix_sock`: the other end.
    pub peer: u32,
    /// `addr` in `struct unix_sock`: what it is bound to.
    pub addr: u32,
    /// `len` in `struct unix_address`: length of `name`.
    pub address_len: u32,
    /// `name` in `struct unix_address`: a `struct sockaddr_un`.
    pub address_name: u32,
}

/// The offsets in the running kernel; `None` where it carries no type information
/// (`CONFIG_DEBUG_INFO_BTF`), or none that can be read.
pub fn kernel_offsets() -> Option<KernelOffsets> {
    offsets(&fs::read("/sys/kernel/btf/vmlinux").ok()?)
}

fn offsets(blob: &[u8]) -> Option<KernelOffsets> {
    let types = Types::parse(blob)?;
    let task = types.find_struct("task_struct")?;
    let member = |name| types.member_offset(task, name, 0);
    Some(KernelOffsets {
        group_leader: member("group_leader")?,
        // Its name before Linux 5.5.
        start_boottime: member("start_boottime").or_else(|| member("real_start_time"))?,
        comm: member("comm")?,
        binprm_filename: types.member_offset(types.find_struct("linux_binprm")?, "filename", 0)?,
        unix: unix(&types).unwrap_or_default(),
    })
}

fn unix(types: &Types<'_>) -> Option<UnixOffsets> {
    let sock = types.find_struct("unix_sock")?;
    let address = types.find_struct("unix_address")?;
    Some(UnixOffsets {
        peer: types.member_offset(sock, "peer", 0)?,
        addr: types.member_offset(sock, "addr", 0)?,
        address_len: types.member_offset(address, "len", 0)?,
        address_name: types.member_offset(address, "name", 0)?,
    })
}

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;

/// Unnamed members are looked into this deep; the kernel's own nest one or two levels.
const MAX_DEPTH: u32 = 4;

/// The type section: one entry after the other, the first one having the number 1.
struct Types<'a> {
    entries: Vec<Type<'a>>,
    strings: &'a [u8],
}

/// The fixed part of an entry, and the variable part that follows it.
#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    info: u32,
    rest: &'a [u8],
}

impl<'a> Types<'a> {
    fn parse(blob: &'a [u8]) -> Option<Self> {
        let magic = u16::from_ne_bytes(*blob.first_chunk()?);
        if magic != MAGIC {
            return None;
        }
        let body = blob.get(word(blob, 4)? as usize..)?;
        let section = |at| {
            let start = word(blob, at)? as usize;
            body.get(start..start.checked_add(word(blob, at + 4)? as usize)?)
        };
        let mut types = section(8)?;
        let strings = section(16)?;
        let mut entries = Vec::with_capacity(types.len() / 24);
        while !types.is_empty() {
            let (name, info) = (word(types, 0)?, word(types, 4)?);
            let (rest, next) = types.get(12..)?.split_at_checked(extra_len(info)?)?;
            entries.push(Type { name, info, rest });
            types = next;
        }
        Some(Self { entries, strings })
    }

    fn find_struct(&self, name: &str) -> Option<Type<'a>> {
        self.entries
            .iter()
            .copied()
            .find(|t| t.kind() == KIND_STRUCT && self.is(t.name, name))
    }

    /// Offset of a member, in bytes; members of unnamed members count as the type's own.
    fn member_offset(&self, of: Type<'_>, name: &str, depth: u32) -> Option<u32> {
        if depth > MAX_DEPTH || !matches!(of.kind(), KIND_STRUCT | KIND_UNION) {
            return None;
        }
        of.rest.chunks_exact(12).find_map(|member| {
            let (member_name, type_id) = (word(member, 0)?, word(member, 4)?);
            // With the kind flag, the upper 8 bits are the width of a bit field.
            let mask = if of.info >> 31 == 1 {
                0x00ff_ffff
            } else {
                u32::MAX
            };
            let bits = word(member, 8)? & mask;
            if bits % 8 != 0 {
                return None;
            }
            if self.is(member_name, name) {
                return Some(bits / 8);
            }
            if member_name != 0 {
                return None;
            }
            let index = (type_id as usize).checked_sub(1)?;
            let inner = self.member_offset(*self.entries.get(index)?, name, depth + 1)?;
            (bits / 8).checked_add(inner)
        })
    }

    fn is(&self, at: u32, name: &str) -> bool {
        self.strings
            .get(at as usize..)
            .and_then(|s| s.strip_prefix(name.as_bytes()))
            .is_some_and(|s| s.first() == Some(&0))
    }
}

impl Type<'_> {
    fn kind(&self) -> u32 {
        kind(self.info)
    }
}

fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

/// Length of what follows the fixed part of an entry, in bytes.
fn extra_len(info: u32) -> Option<usize> {
    let count = (info & 0xffff) as usize;
    Some(match kind(info) {
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Structure, union, data section, 64-bit enumeration.
        4 | 5 | 15 | 19 => count * 12,
        // Enumeration, function prototype.
        6 | 13 => count * 8,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_members() {
        assert_eq!(offsets(&blob()), Some(EXPECTED));
    }

    #[test]
    fn an_older_kernel_has_another_name() {
        let blob = replace(&blob(), b"start_boottime\0", b"real_start_time");
        assert_eq!(offsets(&blob), Some(EXPECTED));
        let blob = replace(&blob, b"real_start_time", b"fake_start_time");
        assert_eq!(offsets(&blob), None);
    }

    #[test]
    fn no_damage_is_a_panic() {
        let blob = blob();
        for len in 0..blob.len() {
            offsets(&blob[..len]);
        }
        for at in 0..blob.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = blob.clone();
                damaged[at] = value;
                offsets(&damaged);
            }
        }
    }

    #[test]
    fn a_struct_within_itself_ends() {
        let mut builder = Builder::default();
        let task = builder.string("task_struct");
        builder.entry(task, KIND_STRUCT << 24 | 1, &[0, 1, 0]);
        assert_eq!(offsets(&builder.finish()), None);
    }

    #[test]
    fn the_running_kernel_is_understood() {
        if fs::exists("/sys/kernel/btf/vmlinux").unwrap() {
            let found = kernel_offsets().unwrap();
            let fields = [found.group_leader, found.start_boottime, found.comm];
            assert!(
                fields.iter().all(|&at| at > 0 && at < 64 << 10),
                "{found:?}"
            );
            assert_eq!(found.start_boottime % 8, 0);
            assert_eq!(found.group_leader % 8, 0);
            assert!(found.unix.peer > found.unix.addr && found.unix.addr > 0);
        } else {
            assert_eq!(kernel_offsets(), None);
        }
    }

    const EXPECTED: KernelOffsets = KernelOffsets {
        group_leader: 40,
        start_boottime: 16,
        comm: 48,
        binprm_filename: 8,
        unix: UnixOffsets {
            peer: 24,
            addr: 8,
            address_len: 4,
            address_name: 8,
        },
    };

    fn blob() -> Vec<u8> {
        Builder::kernel().finish()
    }

    #[derive(Default)]
    struct Builder {
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Builder {
        /// `struct task_struct { long state; struct { u64 pad; u64 start_boottime; u64 bits: 3; }`
        /// `@8; task_struct *group_leader @40; char comm[16] @48 }` after types of other kinds, and
        /// `struct linux_binprm { long state; char *filename @8 }`, `struct unix_sock { addr @8;
        /// peer @24 }`, `struct unix_address { len @4; name @8 }`.
        fn kernel() -> Self {
            let mut b = Self::default();
            let [
                long,
                task,
                state,
                start,
                leader,
                comm,
                bits,
                binprm,
                filename,
            ] = [
                "long",
                "task_struct",
                "state",
                "start_boottime\0",
                "group_leader",
                "comm",
                "bits",
                "linux_binprm",
                "filename",
            ]
            .map(|name| b.string(name));
            b.entry(long, 1 << 24, &[64]);
            b.entry(0, 3 << 24, &[1, 1, 16]);
            b.entry(0, 6 << 24 | 1, &[long, 0]);
            b.entry(0, 13 << 24 | 1, &[long, 1]);
            b.entry(0, 19 << 24 | 1, &[long, 0, 0]);
            b.entry(0, KIND_STRUCT << 24 | 2, &[0, 1, 0, start, 1, 64]);
            b.entry(0, 2 << 24, &[]);
            // A forward declaration and a typedef of the same name are not the structure.
            b.entry(task, 7 << 24, &[]);
            b.entry(task, 8 << 24, &[]);
            let members = [
                [state, 1, 0],
                [bits, 1, 3 << 24 | 3],
                [0, 6, 64],
                [leader, 7, 320],
                [comm, 2, 384],
            ];
            b.entry(
                task,
                1 << 31 | KIND_STRUCT << 24 | 5,
                members.as_flattened(),
            );
            b.entry(
                binprm,
                KIND_STRUCT << 24 | 2,
                &[state, 1, 0, filename, 1, 64],
            );
            for (name, members) in [
                ("unix_sock", [("addr", 64), ("peer", 192)]),
                ("unix_address", [("len", 32), ("name", 64)]),
            ] {
                let name = b.string(name);
                let members = members.map(|(member, bits)| [b.string(member), 1, bits]);
                b.entry(name, KIND_STRUCT << 24 | 2, members.as_flattened());
            }
            b
        }

        fn string(&mut self, text: &str) -> u32 {
            if self.strings.is_empty() {
                self.strings.push(0);
            }
            let at = self.strings.len() as u32;
            self.strings.extend_from_slice(text.as_bytes());
            self.strings.push(0);
            at
        }

        fn entry(&mut self, name: u32, info: u32, rest: &[u32]) {
            for word in [name, info, 0].iter().chain(rest) {
                self.types.extend_from_slice(&word.to_ne_bytes());
            }
        }

        fn finish(self) -> Vec<u8> {
            let mut blob = MAGIC.to_ne_bytes().to_vec();
            blob.extend_from_slice(&[1, 0]);
            let types = self.types.len() as u32;
            for word in [24, 0, types, types, self.strings.len() as u32] {
                blob.extend_from_slice(&word.to_ne_bytes());
            }
            blob.extend_from_slice(&self.types);
            blob.extend_from_slice(&self.strings);
            blob
        }
    }

    fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    }
}
