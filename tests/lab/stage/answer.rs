//! Reading an HTTP/1.1 answer, within bounds.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

/// The longest head that is read.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The longest answer that is read, head and body.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// An answer, as a client got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireAnswer {
    /// The status.
    pub status: u16,
    /// The header fields in their order.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl WireAnswer {
    /// The first header field of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Takes answers off a connection, one after the other.
#[derive(Debug, Default)]
pub(crate) struct AnswerReader {
    /// Read, and not yet part of an answer.
    bytes: Vec<u8>,
}

impl AnswerReader {
    /// The next answer that is not a 1xx.
    ///
    /// # Errors
    /// As [`AnswerReader::read_any`].
    pub(crate) fn read_final(
        &mut self,
        stream: &mut impl Read,
        method: &str,
    ) -> Result<WireAnswer> {
        loop {
            let answer = self.read_any(stream, method)?;
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    /// The next answer, also a 1xx.
    ///
    /// # Errors
    /// Where the connection ends or the time is over before it is whole, or it is not HTTP.
    pub(crate) fn read_any(&mut self, stream: &mut impl Read, method: &str) -> Result<WireAnswer> {
        let end = loop {
            if let Some(end) = find(&self.bytes, b"\r\n\r\n") {
                break end;
            }
            ensure!(self.bytes.len() < MAX_HEAD_BYTES, "the head is too long");
            ensure!(self.more(stream)?, "the connection ended before an answer");
        };
        let head: Vec<u8> = self.bytes.drain(..end + 4).collect();
        let mut answer = parse_head(&String::from_utf8_lossy(&head))?;
        if method != "HEAD" && answer.status >= 200 && ![204, 304].contains(&answer.status) {
            answer.body = self.body(stream, &answer)?;
        }
        Ok(answer)
    }

    fn body(&mut self, stream: &mut impl Read, answer: &WireAnswer) -> Result<Vec<u8>> {
        let chunked = answer
            .header("transfer-encoding")
            .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
        if chunked {
            return self.chunks(stream);
        }
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.trim().parse().context("Content-Length")?;
            return self.take(stream, length);
        }
        while self.more(stream)? {}
        Ok(std::mem::take(&mut self.bytes))
    }

    fn chunks(&mut self, stream: &mut impl Read) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line(stream)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).context("chunk size")?;
            if size == 0 {
                while !self.line(stream)?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(stream, size)?);
            self.line(stream)?;
        }
    }

    fn line(&mut self, stream: &mut impl Read) -> Result<String> {
        loop {
            if let Some(end) = find(&self.bytes, b"\r\n") {
                let line: Vec<u8> = self.bytes.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            ensure!(self.more(stream)?, "the connection ended within a chunk");
        }
    }

    fn take(&mut self, stream: &mut impl Read, length: usize) -> Result<Vec<u8>> {
        ensure!(length <= MAX_ANSWER_BYTES, "a body of {length} bytes");
        while self.bytes.len() < length {
            ensure!(self.more(stream)?, "the connection ended within the body");
        }
        Ok(self.bytes.drain(..length).collect())
    }

    /// Reads what there is; false at the end.
    fn more(&mut self, stream: &mut impl Read) -> Result<bool> {
        if self.bytes.len() > MAX_ANSWER_BYTES {
            bail!("the answer is too long");
        }
        let mut buffer = [0; 16 << 10];
        let length = stream.read(&mut buffer)?;
        self.bytes
            .extend_from_slice(buffer.get(..length).unwrap_or_default());
        Ok(length > 0)
    }
}

fn parse_head(head: &str) -> Result<WireAnswer> {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1)?.parse().ok())
        .with_context(|| format!("not a status line: {first:?}"))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Ok(WireAnswer {
        status,
        headers,
        body: Vec::new(),
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::AnswerReader;

    #[test]
    fn answers_are_taken_one_after_the_other() {
        let mut wire: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
            HTTP/1.0 403 Forbidden\r\n\r\nto the end";
        let mut reader = AnswerReader::default();
        let mut next = |all: bool| {
            let answer = if all {
                reader.read_any(&mut wire, "POST")
            } else {
                reader.read_final(&mut wire, "POST")
            };
            let answer = answer.unwrap();
            (answer.status, String::from_utf8(answer.body).unwrap())
        };
        assert_eq!(next(true), (100, String::new()));
        assert_eq!(next(false), (403, "abc".to_owned()));
        assert_eq!(next(false), (200, "ok".to_owned()));
        assert_eq!(next(false), (403, "to the end".to_owned()));
    }

    #[test]
    fn half_an_answer_is_none() {
        let mut wire: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nabc";
        let answer = AnswerReader::default().read_final(&mut wire, "POST");
        assert!(answer.is_err());
    }
}
