//! The ways to send a POST.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tracer_tests::Answer;

use crate::http::{Answers, head};
use crate::{Gate, Outcome, Plan, Shape};

/// Nothing in a lab takes longer to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One piece of a body that is sent until the answer comes.
static PIECE: [u8; 64 * 1024] = [b'u'; 64 * 1024];

/// Sends the requests with these numbers, on one connection at a time.
pub(crate) fn run(plan: &Plan, numbers: Range<u64>, gate: &Gate) -> Outcome {
    #[expect(
        clippy::disallowed_methods,
        reason = "load for a given time, on real sockets"
    )]
    let until = plan
        .seconds
        .map(|s| Instant::now() + Duration::from_secs(s));
    let mut connection = None;
    let mut parked = Vec::new();
    let mut answers = Vec::new();
    let mut numbers = numbers.peekable();
    let mut first = true;
    let opening = Plan {
        path: plan.first_path.as_ref().unwrap_or(&plan.path).clone(),
        ..plan.clone()
    };
    while let Some(number) = numbers.next() {
        #[expect(
            clippy::disallowed_methods,
            reason = "load for a given time, on real sockets"
        )]
        if until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let mut ids = vec![id(plan, number)];
        if plan.shape == Shape::Pipelined {
            ids.extend(
                (1..plan.depth)
                    .map_while(|_| numbers.next())
                    .map(|n| id(plan, n)),
            );
        }
        let open = match connection.take() {
            Some(open) => open,
            None => Connection::open(plan.to)?,
        };
        let is_first = std::mem::take(&mut first);
        connection = open
            .exchange(if is_first { &opening } else { plan }, &ids, &mut answers)
            .with_context(|| format!("request {ids:?}"))?;
        if plan.shape == Shape::Parked {
            parked.extend(connection.take().map(|connection| connection.stream));
        } else if is_first {
            gate.pass();
        }
    }
    if plan.shape == Shape::Parked {
        gate.pass();
    }
    Ok((answers.len() as u64, answers))
}

fn id(plan: &Plan, number: u64) -> String {
    format!("{}-{number}", plan.prefix)
}

struct Connection {
    stream: TcpStream,
    answers: Answers,
}

impl Connection {
    fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let answers = Answers::of(&stream)?;
        Ok(Self { stream, answers })
    }

    /// Sends and reads the answers; gives the connection back where it can be used again.
    fn exchange(
        mut self,
        plan: &Plan,
        ids: &[String],
        out: &mut Vec<Answer>,
    ) -> Result<Option<Self>> {
        let id = ids.first().context("no id")?;
        match plan.shape {
            Shape::KeepAlive | Shape::Pipelined | Shape::Parked => {
                let all: Vec<u8> = ids.iter().flat_map(|id| whole(plan, id, "")).collect();
                self.stream.write_all(&all)?;
                for id in ids {
                    out.push(self.answers.next(id)?);
                }
                Ok(Some(self))
            }
            Shape::Close => {
                self.stream
                    .write_all(&whole(plan, id, "Connection: close\r\n"))?;
                out.push(self.answers.next(id)?);
                Ok(None)
            }
            Shape::Chunked => {
                self.chunked(plan, id)?;
                out.push(self.answers.next(id)?);
                Ok(Some(self))
            }
            Shape::Expect => {
                out.push(self.expect(plan, id)?);
                Ok(None)
            }
            Shape::Upload => {
                out.push(self.upload(plan, id)?);
                Ok(None)
            }
            Shape::Reset => {
                self.stream.write_all(&whole(plan, id, ""))?;
                out.push(self.answers.next(id)?);
                self.reset()?;
                Ok(None)
            }
        }
    }

    fn chunked(&mut self, plan: &Plan, id: &str) -> Result<()> {
        let more = "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n";
        self.stream
            .write_all(head(&plan.path, id, more).as_bytes())?;
        // Each chunk is a segment of its own.
        for _ in 0..plan.body.div_ceil(16) {
            self.stream.write_all(b"10\r\n0123456789abcdef\r\n")?;
        }
        Ok(self.stream.write_all(b"0\r\nX-Sum: none\r\n\r\n")?)
    }

    fn expect(&mut self, plan: &Plan, id: &str) -> Result<Answer> {
        let more = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", plan.body);
        self.stream
            .write_all(head(&plan.path, id, &more).as_bytes())?;
        let answer = self.answers.next(id)?;
        if answer.status != 100 {
            return Ok(answer);
        }
        self.stream.write_all(&body(plan.body))?;
        self.answers.next(id)
    }

    /// Sends on one thread's time slices: a piece, then a look whether the answer has begun.
    fn upload(&mut self, plan: &Plan, id: &str) -> Result<Answer> {
        let more = format!("Content-Length: {}\r\n", plan.body);
        self.stream
            .write_all(head(&plan.path, id, &more).as_bytes())?;
        let mut left = plan.body;
        while left > 0 && !self.answer_has_begun()? {
            let piece = PIECE
                .get(..usize::try_from(left)?.min(PIECE.len()))
                .context("piece")?;
            match self.stream.write(piece) {
                Ok(0) => bail!("the server takes no more"),
                Ok(n) => left -= n as u64,
                // The server closed its side; the answer is there before that.
                Err(_) => break,
            }
        }
        let answer = self.answers.next(id)?;
        drop(self.stream.shutdown(Shutdown::Write));
        Ok(answer)
    }

    fn answer_has_begun(&self) -> Result<bool> {
        self.stream.set_nonblocking(true)?;
        let begun = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        Ok(matches!(begun, Ok(n) if n > 0))
    }

    /// Closes with a RST instead of a FIN.
    fn reset(self) -> Result<()> {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // SAFETY: the option's value is a linger of the given length that lives through the call.
        let result = unsafe {
            libc::setsockopt(
                self.stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                libc::socklen_t::try_from(size_of_val(&linger))?,
            )
        };
        if result != 0 {
            return Err(std::io::Error::last_os_error()).context("SO_LINGER");
        }
        Ok(())
    }
}

/// A whole request with a body of known length.
fn whole(plan: &Plan, id: &str, more: &str) -> Vec<u8> {
    let more = format!(
        "{more}Content-Type: text/plain\r\nContent-Length: {}\r\n",
        plan.body
    );
    let mut bytes = head(&plan.path, id, &more).into_bytes();
    bytes.extend(body(plan.body));
    bytes
}

fn body(length: u64) -> Vec<u8> {
    std::iter::repeat_n(b'b', usize::try_from(length).unwrap_or_default()).collect()
}
