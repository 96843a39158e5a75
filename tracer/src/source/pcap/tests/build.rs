//! Small captures, put together byte by byte.

use std::io::Write;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn sample_pcap() -> Vec<u8> {
    pcap((0..5).map(|i| vec![i; usize::from(i) * 3]))
}

/// Several buffers of packets that do not compress to nothing.
pub(super) fn large_pcap() -> Vec<u8> {
    let mut state = 1_u32;
    pcap((0..3_000).map(|_| {
        let byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(byte).take(1_000).collect()
    }))
}

pub(super) fn pcap(packets: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let order = Endian::Little;
    let mut file = pcap_header(order, 0xa1b2_c3d4, 1);
    for data in packets {
        let len = u32::try_from(data.len()).unwrap();
        for field in [1, 2, len, len] {
            order.put(&mut file, field);
        }
        file.extend(data);
    }
    file
}

pub(super) fn sample_pcapng() -> Vec<u8> {
    let order = Endian::Little;
    let mut file = section(order);
    file.extend(interface(order, 1, 0, &[9], 0));
    for i in 0..5_u8 {
        let comment = (1, b"a comment".to_vec());
        file.extend(enhanced(
            order,
            0,
            u64::from(i),
            &vec![i; usize::from(i) * 3],
            &[comment],
        ));
    }
    file
}

pub(super) fn pcap_header(order: Endian, magic: u32, link_type: u32) -> Vec<u8> {
    let mut file = order.u32(magic);
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    for field in [0, 0, 65_535, link_type] {
        order.put(&mut file, field);
    }
    file
}

pub(super) fn section(order: Endian) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d);
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend([0xff; 8]);
    order.block(0x0a0d_0d0a, &body)
}

pub(super) fn interface(
    order: Endian,
    link_type: u16,
    snap_len: u32,
    unit: &[u8],
    offset: i64,
) -> Vec<u8> {
    let mut body = order.u16(link_type);
    body.extend([0; 2]);
    body.extend(order.u32(snap_len));
    let offset = order.u64(offset.cast_unsigned());
    body.extend(order.options(&[(9, unit.to_vec()), (14, offset)]));
    order.block(1, &body)
}

pub(super) fn enhanced(
    order: Endian,
    id: u32,
    ticks: u64,
    data: &[u8],
    options: &[(u16, Vec<u8>)],
) -> Vec<u8> {
    let len = u32::try_from(data.len()).unwrap();
    let mut body = Vec::new();
    for field in [id, (ticks >> 32) as u32, ticks as u32, len, len] {
        order.put(&mut body, field);
    }
    body.extend(data);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(order.options(options));
    order.block(6, &body)
}

#[derive(Clone, Copy)]
pub(super) enum Endian {
    Little,
    Big,
}

impl Endian {
    pub(super) fn bytes<const N: usize>(self, mut little: [u8; N]) -> Vec<u8> {
        if matches!(self, Self::Big) {
            little.reverse();
        }
        little.to_vec()
    }

    pub(super) fn u16(self, n: u16) -> Vec<u8> {
        self.bytes(n.to_le_bytes())
    }

    pub(super) fn u32(self, n: u32) -> Vec<u8> {
        self.bytes(n.to_le_bytes())
    }

    pub(super) fn u64(self, n: u64) -> Vec<u8> {
        self.bytes(n.to_le_bytes())
    }

    pub(super) fn put(self, out: &mut Vec<u8>, n: u32) {
        out.extend(self.u32(n));
    }

    pub(super) fn options(self, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (code, value) in options {
            out.extend(self.u16(*code));
            out.extend(self.u16(u16::try_from(value.len()).unwrap()));
            out.extend(value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    pub(super) fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let len = self.u32(u32::try_from(body.len() + 12).unwrap());
        [self.u32(kind), len.clone(), body.to_vec(), len].concat()
    }
}
