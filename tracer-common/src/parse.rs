//! Records from the bytes of a ring buffer entry, without `unsafe` and without trust in them.

use crate::{
    ExecRecord, FILENAME_LEN, KIND_EXEC, KIND_OWNER, KIND_PACKET, KIND_TALK, OwnerRecord,
    PacketRecord, TalkRecord, UNIX_PATH_LEN,
};

/// One entry of the ring buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A packet and its bytes.
    Packet(PacketRecord, &'a [u8]),
    /// A process used a socket.
    Owner(OwnerRecord),
    /// A process started a program.
    Exec(ExecRecord),
    /// A process that serves a traced port sent to a peer that is not traced.
    Talk(TalkRecord),
}

impl<'a> Record<'a> {
    /// Reads an entry. `None` where it is of no known kind, or has not all of its fields. A packet has
    /// fewer bytes than it says where the request that it is grew as it was shipped.
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        match fields.u32()? {
            KIND_PACKET => {
                let (header, packet) = packet(fields)?;
                Some(Self::Packet(header, packet))
            }
            KIND_OWNER => owner(fields).map(Self::Owner),
            KIND_EXEC => exec(fields).map(Self::Exec),
            KIND_TALK => talk(fields).map(Self::Talk),
            _ => None,
        }
    }
}

fn packet(mut fields: Fields<'_>) -> Option<(PacketRecord, &[u8])> {
    let header = PacketRecord {
        kind: KIND_PACKET,
        captured_len: fields.u32()?,
        at_ns: fields.u64()?,
        cookie: fields.u64()?,
        netns: fields.u64()?,
        wire_len: fields.u32()?,
        ifindex: fields.u32()?,
        hook: fields.u32()?,
        link: fields.u32()?,
        settled_own: fields.u32()?,
        settled_peer: fields.u32()?,
        settled: fields.u16()?,
        length_at: fields.u16()?,
        lost: fields.u32()?,
    };
    // A held request can grow on one CPU while another copies its record: what came of it is here.
    let len = usize::try_from(header.captured_len).unwrap_or(usize::MAX);
    let (packet, _) = fields.0.split_at(len.min(fields.0.len()));
    Some((header, packet))
}

fn owner(mut fields: Fields<'_>) -> Option<OwnerRecord> {
    Some(OwnerRecord {
        kind: KIND_OWNER,
        used: fields.u32()?,
        at_ns: fields.u64()?,
        cookie: fields.u64()?,
        cgroup_id: fields.u64()?,
        start_boottime_ns: fields.u64()?,
        pid: fields.u32()?,
        tid: fields.u32()?,
        uid: fields.u32()?,
        family: fields.u32()?,
        local_port: fields.u16()?,
        remote_port: fields.u16()?,
        padding: fields.u32()?,
        local_addr: fields.array()?,
        remote_addr: fields.array()?,
        comm: fields.array()?,
        thread_comm: fields.array()?,
    })
}

fn exec(mut fields: Fields<'_>) -> Option<ExecRecord> {
    Some(ExecRecord {
        kind: KIND_EXEC,
        pid: fields.u32()?,
        at_ns: fields.u64()?,
        comm: fields.array()?,
        filename: fields.array::<FILENAME_LEN>()?,
    })
}

fn talk(mut fields: Fields<'_>) -> Option<TalkRecord> {
    Some(TalkRecord {
        kind: KIND_TALK,
        family: fields.u32()?,
        at_ns: fields.u64()?,
        cookie: fields.u64()?,
        pid: fields.u32()?,
        tid: fields.u32()?,
        local_port: fields.u16()?,
        remote_port: fields.u16()?,
        path_len: fields.u16()?,
        more: fields.u16()?,
        local_addr: fields.array()?,
        remote_addr: fields.array()?,
        path: fields.array::<UNIX_PATH_LEN>()?,
    })
}

/// The rest of an entry, read field by field.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::mem::offset_of;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::{HOOK_EGRESS, LINK_RAW_IP, USED_SENT};

    #[test]
    fn reads_each_field_of_a_packet_where_the_struct_has_it() {
        let mut bytes = Vec::new();
        bytes.extend(KIND_PACKET.to_ne_bytes());
        put(
            &mut bytes,
            offset_of!(PacketRecord, captured_len),
            &3u32.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(PacketRecord, at_ns),
            &7u64.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(PacketRecord, cookie),
            &8u64.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(PacketRecord, netns),
            &9u64.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(PacketRecord, wire_len),
            &10u32.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(PacketRecord, ifindex),
            &11u32.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(PacketRecord, hook),
            &HOOK_EGRESS.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(PacketRecord, link),
            &LINK_RAW_IP.to_ne_bytes(),
        );
        for (offset, field) in [
            (
                offset_of!(PacketRecord, settled_own),
                &12u32.to_ne_bytes()[..],
            ),
            (offset_of!(PacketRecord, settled_peer), &13u32.to_ne_bytes()),
            (offset_of!(PacketRecord, settled), &14u16.to_ne_bytes()),
            (offset_of!(PacketRecord, lost), &16u32.to_ne_bytes()),
            (offset_of!(PacketRecord, length_at), &15u16.to_ne_bytes()),
        ] {
            put(&mut bytes, offset, field);
        }
        put(&mut bytes, size_of::<PacketRecord>(), b"abcpadding");
        let Some(Record::Packet(header, packet)) = Record::from_bytes(&bytes) else {
            panic!("not read");
        };
        let expected = PacketRecord {
            kind: KIND_PACKET,
            captured_len: 3,
            at_ns: 7,
            cookie: 8,
            netns: 9,
            wire_len: 10,
            ifindex: 11,
            hook: HOOK_EGRESS,
            link: LINK_RAW_IP,
            settled_own: 12,
            settled_peer: 13,
            settled: 14,
            length_at: 15,
            lost: 16,
        };
        assert_eq!((header, packet), (expected, &b"abc"[..]));
    }

    #[test]
    fn reads_each_field_of_an_owner_where_the_struct_has_it() {
        let mut bytes = KIND_OWNER.to_ne_bytes().to_vec();
        put(
            &mut bytes,
            offset_of!(OwnerRecord, used),
            &USED_SENT.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(OwnerRecord, cookie),
            &2u64.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(OwnerRecord, cgroup_id),
            &3u64.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(OwnerRecord, start_boottime_ns),
            &4u64.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(OwnerRecord, pid),
            &5u32.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(OwnerRecord, tid),
            &6u32.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(OwnerRecord, uid),
            &7u32.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(OwnerRecord, family),
            &10u32.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(OwnerRecord, local_port),
            &80u16.to_ne_bytes(),
        );
        put(
            &mut bytes,
            offset_of!(OwnerRecord, remote_port),
            &81u16.to_ne_bytes(),
        );
        put(&mut bytes, offset_of!(OwnerRecord, local_addr), &[1; 16]);
        put(&mut bytes, offset_of!(OwnerRecord, remote_addr), &[2; 16]);
        put(&mut bytes, offset_of!(OwnerRecord, comm), &[3; 16]);
        put(&mut bytes, offset_of!(OwnerRecord, thread_comm), &[4; 16]);
        let Some(Record::Owner(owner)) = Record::from_bytes(&bytes) else {
            panic!("not read");
        };
        assert_eq!(
            (owner.used, owner.cookie, owner.cgroup_id),
            (USED_SENT, 2, 3)
        );
        assert_eq!(
            (owner.start_boottime_ns, owner.pid, owner.tid, owner.uid),
            (4, 5, 6, 7)
        );
        assert_eq!(
            (owner.family, owner.local_port, owner.remote_port),
            (10, 80, 81)
        );
        assert_eq!((owner.local_addr, owner.remote_addr), ([1; 16], [2; 16]));
        assert_eq!((owner.comm, owner.thread_comm), ([3; 16], [4; 16]));
    }

    #[test]
    fn reads_each_field_of_a_talk_where_the_struct_has_it() {
        let mut bytes = KIND_TALK.to_ne_bytes().to_vec();
        let mut path = [0; UNIX_PATH_LEN];
        path[..2].copy_from_slice(b"/s");
        for (offset, field) in [
            (offset_of!(TalkRecord, family), &1u32.to_ne_bytes()[..]),
            (offset_of!(TalkRecord, at_ns), &2u64.to_ne_bytes()),
            (offset_of!(TalkRecord, cookie), &3u64.to_ne_bytes()),
            (offset_of!(TalkRecord, pid), &4u32.to_ne_bytes()),
            (offset_of!(TalkRecord, tid), &5u32.to_ne_bytes()),
            (offset_of!(TalkRecord, local_port), &6u16.to_ne_bytes()),
            (offset_of!(TalkRecord, remote_port), &7u16.to_ne_bytes()),
            (offset_of!(TalkRecord, path_len), &2u16.to_ne_bytes()),
            (offset_of!(TalkRecord, more), &1u16.to_ne_bytes()),
            (offset_of!(TalkRecord, local_addr), &[8; 16]),
            (offset_of!(TalkRecord, remote_addr), &[9; 16]),
            (offset_of!(TalkRecord, path), &path),
        ] {
            put(&mut bytes, offset, field);
        }
        let expected = TalkRecord {
            kind: KIND_TALK,
            family: 1,
            at_ns: 2,
            cookie: 3,
            pid: 4,
            tid: 5,
            local_port: 6,
            remote_port: 7,
            path_len: 2,
            more: 1,
            local_addr: [8; 16],
            remote_addr: [9; 16],
            path,
        };
        assert_eq!(Record::from_bytes(&bytes), Some(Record::Talk(expected)));
    }

    #[test]
    fn refuses_what_is_cut_anywhere() {
        for (kind, len) in [
            (KIND_PACKET, size_of::<PacketRecord>()),
            (KIND_OWNER, size_of::<OwnerRecord>()),
            (KIND_EXEC, size_of::<ExecRecord>()),
            (KIND_TALK, size_of::<TalkRecord>()),
        ] {
            let mut bytes = vec![0; len];
            put(&mut bytes, 0, &kind.to_ne_bytes());
            assert!(Record::from_bytes(&bytes).is_some(), "kind {kind}");
            for cut in 0..len {
                assert_eq!(
                    Record::from_bytes(&bytes[..cut]),
                    None,
                    "kind {kind} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn of_a_packet_that_claims_more_there_is_what_there_is() {
        let mut bytes = vec![0; size_of::<PacketRecord>()];
        put(&mut bytes, 0, &KIND_PACKET.to_ne_bytes());
        bytes.extend(b"abcd");
        for (len, expected) in [
            (3_u32, &b"abc"[..]),
            (4, b"abcd"),
            (5, b"abcd"),
            (u32::MAX, b"abcd"),
        ] {
            put(
                &mut bytes,
                offset_of!(PacketRecord, captured_len),
                &len.to_ne_bytes(),
            );
            let Some(Record::Packet(_, packet)) = Record::from_bytes(&bytes) else {
                panic!("not read");
            };
            assert_eq!(packet, expected, "{len}");
        }
    }

    #[test]
    fn refuses_other_kinds() {
        for kind in [0, 5, u32::MAX] {
            let mut bytes = vec![0; 512];
            put(&mut bytes, 0, &kind.to_ne_bytes());
            assert_eq!(Record::from_bytes(&bytes), None);
        }
    }

    /// Writes a field at its offset, with zeros before it where there is nothing yet.
    fn put(bytes: &mut Vec<u8>, offset: usize, field: &[u8]) {
        if bytes.len() < offset + field.len() {
            bytes.resize(offset + field.len(), 0);
        }
        bytes[offset..offset + field.len()].copy_from_slice(field);
    }
}
