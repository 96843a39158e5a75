//! Just enough of an HTTP/1.1 client: no library would send what the tests need.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use tracer_tests::Answer;

/// The head of a POST, up to and including the empty line.
pub(crate) fn head(path: &str, id: &str, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: lab.test\r\nUser-Agent: lab-client\r\n\
         X-Request-Id: {id}\r\n{more}\r\n"
    )
}

/// A reader of answers on one connection.
pub(crate) struct Answers {
    reader: BufReader<TcpStream>,
}

impl Answers {
    pub(crate) fn of(stream: &TcpStream) -> Result<Self> {
        Ok(Self {
            reader: BufReader::new(stream.try_clone()?),
        })
    }

    /// The next answer, 1xx included; `id` is for the report.
    pub(crate) fn next(&mut self, id: &str) -> Result<Answer> {
        let start = self.line()?;
        let status = start
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok())
            .with_context(|| format!("no status line: {start:?}"))?;
        let mut answer = Answer {
            id: id.to_owned(),
            status,
            worker: 0,
            length: 0,
        };
        let mut chunked = false;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').context("a header without a colon")?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => answer.length = value.parse()?,
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "x-worker" => answer.worker = value.parse()?,
                "x-request-id" if value != id => bail!("answer to {value} where {id} was due"),
                _ => {}
            }
        }
        if status < 200 {
            return Ok(answer);
        }
        if chunked {
            answer.length = self.skip_chunks()?;
        } else {
            self.skip(answer.length)?;
        }
        Ok(answer)
    }

    fn skip_chunks(&mut self) -> Result<u64> {
        let mut length = 0;
        loop {
            let size = u64::from_str_radix(self.line()?.trim(), 16)?;
            self.skip(size)?;
            self.line()?;
            if size == 0 {
                return Ok(length);
            }
            length += size;
        }
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        let copied = std::io::copy(&mut (&mut self.reader).take(length), &mut std::io::sink())?;
        if copied != length {
            bail!("the answer ended after {copied} of {length} bytes");
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("the connection was closed where an answer was due");
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
