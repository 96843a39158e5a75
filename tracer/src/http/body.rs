//! Content codings (RFC 9110 section 8.4.1) are undone, within bounds.
//!
//! Only what was kept of a body is decoded, and only for exchanges that are reported: this is not
//! on the hot path.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use crate::model::{Anomaly, Decoded, Message, MessageEnd};

/// Most codings in a row.
const CODINGS_MAX: usize = 4;
/// Window of zstd, as a power of 2: 8 MiB is what RFC 9659 lets a sender of HTTP use.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Window of brotli, in bytes, that is read at a time.
const BROTLI_BUFFER: usize = 4096;

/// Decodes what was kept of a message's body into `body.decoded`, at most `limit` bytes.
///
/// Returns [`Anomaly::UndecodableBody`] where there is a coding, and nothing comes out of it.
pub fn decode_message(message: &mut Message, limit: usize) -> Option<Anomaly> {
    let body = &message.body;
    if body.kept.is_empty() {
        return None;
    }
    // Transfer codings were applied after content codings; `chunked` is gone already.
    let mut codings = Vec::new();
    for field in ["content-encoding", "transfer-encoding"] {
        let values = message.head.values(field);
        codings.extend(values.flat_map(|value| value.split(|b| *b == b',')));
    }
    let whole = message.end == MessageEnd::Complete && body.kept.len() as u64 == body.wire_len();
    if !codings.iter().any(|name| is_coding(name)) {
        return None;
    }
    match decode_body(&body.kept, &codings, whole, limit) {
        Some(decoded) => {
            message.body.decoded = Some(decoded);
            None
        }
        None => Some(Anomaly::UndecodableBody),
    }
}

/// Undoes `codings` (in the order in which they were applied) on the first bytes of a content,
/// `complete` where they are all of it. At most `limit` bytes come out.
///
/// `None` where a coding is not known, or nothing comes out; input that is cut gives what it can.
pub fn decode_body(
    kept: &[u8],
    codings: &[&[u8]],
    complete: bool,
    limit: usize,
) -> Option<Decoded> {
    let names: Vec<_> = codings
        .iter()
        .map(|name| name.trim_ascii())
        .filter(|name| is_coding(name))
        .collect();
    if names.is_empty() || names.len() > CODINGS_MAX {
        return None;
    }
    let mut bytes = Vec::new();
    let mut complete = complete;
    for (undone, name) in names.iter().rev().enumerate() {
        let input = if undone == 0 { kept } else { &bytes };
        let (output, whole) = decode(name, input, limit)?;
        complete &= whole;
        bytes = output;
    }
    if bytes.is_empty() && !complete {
        return None;
    }
    let names: Vec<_> = names.iter().map(|n| String::from_utf8_lossy(n)).collect();
    Some(Decoded {
        coding: names.join(", "),
        len: bytes.len() as u64,
        bytes,
        complete,
    })
}

/// Whether a word in a list of codings is one that changes the bytes and is still in place.
fn is_coding(name: &[u8]) -> bool {
    let name = name.trim_ascii();
    !name.is_empty()
        && !name.eq_ignore_ascii_case(b"identity")
        && !name.eq_ignore_ascii_case(b"chunked")
}

/// What comes out, and whether that is all.
fn decode(name: &[u8], input: &[u8], limit: usize) -> Option<(Vec<u8>, bool)> {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if is("gzip") || is("x-gzip") {
        Some(read_all(MultiGzDecoder::new(input), limit))
    } else if is("deflate") {
        Some(inflate(input, limit))
    } else if is("br") {
        let decoder = brotli_decompressor::Decompressor::new(input, BROTLI_BUFFER);
        Some(read_all(decoder, limit))
    } else if is("zstd") {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(input).ok()?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).ok()?;
        Some(read_all(decoder, limit))
    } else {
        None
    }
}

/// `deflate` is the zlib format (RFC 9110 section 8.4.1.2); some senders leave its wrapper out.
fn inflate(input: &[u8], limit: usize) -> (Vec<u8>, bool) {
    let zlib = match *input {
        [cmf, flg, ..] => cmf & 0x0f == 8 && u16::from_be_bytes([cmf, flg]).is_multiple_of(31),
        _ => false,
    };
    if zlib {
        read_all(ZlibDecoder::new(input), limit)
    } else {
        read_all(DeflateDecoder::new(input), limit)
    }
}

/// Reads until the end, a fault, or the bound.
fn read_all(mut decoder: impl Read, limit: usize) -> (Vec<u8>, bool) {
    let mut output = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return (output, true),
            Ok(len) => {
                let room = limit.saturating_sub(output.len());
                output.extend_from_slice(buffer.get(..len.min(room)).unwrap_or_default());
                if len > room {
                    return (output, false);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return (output, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    /// `text()` in brotli, made with the reference encoder (quality 5): the crate only decodes.
    const BROTLI: &[u8] = include_bytes!("body/forbidden.br");

    #[test]
    fn every_coding_whole() {
        let text = text();
        for (coding, wire) in wires() {
            let decoded = decode_body(&wire, &[coding], true, 1 << 20).expect("decodes");
            assert_eq!(decoded.bytes, text, "{}", coding.escape_ascii());
            assert!(decoded.complete);
            assert_eq!(decoded.len, text.len() as u64);
        }
    }

    #[test]
    fn every_coding_cut_gives_a_beginning() {
        let text = text();
        for (coding, wire) in wires() {
            let cut = &wire[..wire.len() - 3];
            let name = coding.escape_ascii();
            if let Some(decoded) = decode_body(cut, &[coding], false, 1 << 20) {
                assert!(text.starts_with(&decoded.bytes), "{name}");
                assert!(!decoded.complete, "{name}");
            }
            for len in 0..wire.len() {
                // Neither panics nor claims to be complete.
                let decoded = decode_body(&wire[..len], &[coding], false, 1 << 20);
                assert!(decoded.is_none_or(|d| !d.complete), "{name} {len}");
            }
        }
        let large = gzip(&noise(50_000));
        let decoded = decode_body(&large[..20_000], &[b"gzip"], false, 1 << 20).expect("some");
        assert!(decoded.bytes.len() > 10_000);
    }

    #[test]
    fn several_codings_are_undone_from_the_last() {
        let twice = gzip(&zstd::encode_all(&text()[..], 3).expect("encodes"));
        let codings: [&[u8]; 3] = [b"zstd", b" GZIP", b"identity"];
        let decoded = decode_body(&twice, &codings, true, 1 << 20).expect("decodes");
        assert_eq!(decoded.bytes, text());
        assert_eq!(decoded.coding, "zstd, GZIP");
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        let bomb = gzip(&vec![0; 10 << 20]);
        let decoded = decode_body(&bomb, &[b"gzip"], true, 1000).expect("decodes");
        assert_eq!((decoded.bytes.len(), decoded.complete), (1000, false));
    }

    #[test]
    fn a_message_says_what_cannot_be_decoded() {
        let mut message = Message {
            head: crate::http::head::trailers(
                b"Content-Encoding: gzip\r\n\r\n",
                &crate::limits::Limits::default(),
                &mut Vec::new(),
            ),
            end: MessageEnd::Complete,
            ..Message::default()
        };
        message.body.kept = b"<html>".to_vec();
        message.body.seen = 6;
        assert_eq!(
            decode_message(&mut message, 1000),
            Some(Anomaly::UndecodableBody)
        );
        message.body.kept = gzip(b"<html>");
        message.body.seen = message.body.kept.len() as u64;
        assert_eq!(decode_message(&mut message, 1000), None);
        let decoded = message.body.decoded.expect("decoded");
        assert_eq!(
            (&decoded.bytes[..], decoded.complete),
            (&b"<html>"[..], true)
        );
    }

    fn wires() -> Vec<(&'static [u8], Vec<u8>)> {
        let text = text();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&text).expect("encodes");
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&text).expect("encodes");
        vec![
            (b"gzip", gzip(&text)),
            (b"deflate", zlib.finish().expect("encodes")),
            (b"Deflate", raw.finish().expect("encodes")),
            (b"br", BROTLI.to_vec()),
            (b"zstd", zstd::encode_all(&text[..], 3).expect("encodes")),
        ]
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("encodes");
        encoder.finish().expect("encodes")
    }

    fn text() -> Vec<u8> {
        b"<html><body><h1>403 Forbidden</h1><p>nginx</p></body></html>\n".repeat(8)
    }

    /// Bytes that do not compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }
}
