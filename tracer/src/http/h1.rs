//! One direction of an HTTP/1 connection: where messages begin, and what lies between them.
//!
//! What comes out depends on the bytes alone, not on how they were cut into chunks.

mod message;

use std::mem;

use memchr::memchr;

use super::chunked::Chunked;
use super::collect::Collector;
use super::outstanding::{Hides, Outstanding};
use super::start::{self, StartLine};
use super::{Part, Protocol, proxy_protocol};
use crate::limits::Limits;
use crate::model::{Anomaly, Direction, GapKind, MessageEnd, Timestamp};

/// Bytes of the shortest request line of HTTP/1, `GET / HTTP/1.1` and its line end.
const SHORTEST: u64 = 16;

/// What both directions share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    outstanding: Outstanding,
    /// The exchange that had the last final response.
    answered: Option<u64>,
    /// The exchange that had the last `100 Continue`.
    continued: Option<u64>,
    /// Some message was recognised, in either direction.
    recognised: bool,
    /// Bytes in which none was, from the client and from the server.
    junk: (u64, u64),
    /// HTTP/1 is over.
    pub(super) switched: Option<Protocol>,
}

impl Shared {
    /// No request waits for its answer but the last one.
    pub(super) fn last_waits(&mut self) {
        self.outstanding.settle_requests();
    }

    /// Whether every request has its answer.
    pub(super) fn is_idle(&self) -> bool {
        self.switched.is_none() && self.outstanding.is_idle()
    }

    /// An exchange that is not read; returns its place.
    pub(super) fn pass_over(&mut self) -> u64 {
        let exchange = self.outstanding.pass_over();
        self.recognised = true;
        self.answered = Some(exchange);
        exchange
    }

    /// Bytes it holds.
    pub(super) fn memory(&self) -> usize {
        self.outstanding.memory()
    }
}

/// What a step may use.
pub(super) struct Context<'c> {
    pub(super) at: Timestamp,
    pub(super) dir: Direction,
    pub(super) limits: &'c Limits,
    pub(super) shared: &'c mut Shared,
    pub(super) sink: &'c mut dyn FnMut(Timestamp, Direction, Part<'_>),
}

impl Context<'_> {
    fn part(&mut self, part: Part<'_>) {
        (self.sink)(self.at, self.dir, part);
    }

    fn odd(&mut self, anomaly: Anomaly) {
        self.part(Part::Odd(anomaly));
    }

    fn switch(&mut self, protocol: Protocol) {
        self.shared.switched = Some(protocol);
        self.part(Part::Switched(protocol));
    }
}

/// The parser of one direction.
#[derive(Debug)]
pub(super) struct Side {
    dir: Direction,
    state: State,
    /// A line that spans chunks and is not yet known to belong to a head.
    buf: Vec<u8>,
    head: Collector,
    /// When the message under way began.
    started_at: Timestamp,
    /// When the first bytes in `buf` came, while it is not known what they are.
    opened_at: Option<Timestamp>,
    /// The PROXY protocol's header was there; there is only one.
    proxied: bool,
    /// When the last bytes came.
    last_at: Timestamp,
    /// The exchange of the message under way.
    exchange: u64,
    /// Content of the message under way is missing.
    missing: Option<GapKind>,
    /// The request under way waits for `100 Continue`, and nothing of its body was seen.
    expects_continue: bool,
    /// The request of the response under way is not there: if it was HEAD, then there is no body,
    /// of which nothing was seen so far.
    doubts_body: bool,
    /// The last response had no body, whatever its fields said.
    bodyless: bool,
    /// The client speaks TLS: nothing of it is read. The server, if it does not, may answer in
    /// plain HTTP.
    tls: bool,
    /// In `Lost`: bytes were dropped that were expected to be a message.
    dropped: bool,
    /// In `Lost`: dropping bytes is in order, for they may belong to a tunnel.
    quiet: bool,
    /// In `Lost`: length of the line in `buf` that looks like a start line.
    candidate: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// At the first bytes of the direction.
    Opening,
    /// Between messages.
    Start,
    /// Nothing is missing, but what comes is no message; or bytes are missing: at the next start
    /// line it goes on.
    Lost,
    /// In a head.
    Head,
    /// In a body.
    Body(Body),
    /// Before a body that may not be there, for the server has refused it, or the request may have
    /// been HEAD: here it comes, or the next message.
    Doubtful(Body),
    /// Behind the last chunk.
    Trailers,
}

#[derive(Clone, Copy, Debug)]
enum Body {
    /// This many bytes are left.
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Side {
    pub(super) fn new(dir: Direction) -> Self {
        Self {
            dir,
            state: State::Opening,
            buf: Vec::new(),
            head: Collector::default(),
            started_at: Timestamp::default(),
            opened_at: None,
            proxied: false,
            last_at: Timestamp::default(),
            exchange: 0,
            missing: None,
            expects_continue: false,
            doubts_body: false,
            bodyless: false,
            tls: false,
            dropped: false,
            quiet: false,
            candidate: None,
        }
    }

    /// Whether nothing of a message was seen since the last one.
    pub(super) fn is_between(&self) -> bool {
        let is_between = match self.state {
            State::Opening => self.opened_at.is_none(),
            State::Start => true,
            _ => false,
        };
        is_between && self.buf.is_empty() && !self.tls
    }

    /// A whole message that came at `at`, and is not read.
    pub(super) fn pass_over(&mut self, exchange: u64, at: Timestamp, has_body: bool) {
        self.exchange = exchange;
        self.last_at = at;
        self.missing = None;
        self.quiet = false;
        self.dropped = false;
        self.expects_continue = false;
        self.doubts_body = false;
        self.bodyless = !has_body;
        self.state = State::Start;
    }

    /// Takes in bytes.
    pub(super) fn data(&mut self, data: &[u8], cx: &mut Context<'_>) {
        if !self.tls {
            self.consume(data, cx);
        }
        self.last_at = cx.at;
    }

    /// Steps over bytes that are missing.
    pub(super) fn gap(&mut self, len: u64, kind: GapKind, cx: &mut Context<'_>) {
        if let Some(hides) = self.ends_in_gap(len, kind, cx) {
            self.lose_messages(hides, cx);
            self.lose();
        }
    }

    /// Steps over bytes that are missing. Where the message under way does not go on behind them,
    /// whether others may be hidden in them.
    fn ends_in_gap(&mut self, len: u64, kind: GapKind, cx: &mut Context<'_>) -> Option<Hides> {
        self.last_at = cx.at;
        if self.tls {
            return None;
        }
        match &mut self.state {
            State::Doubtful(body) => {
                self.state = State::Body(*body);
                self.refeed(cx);
                return self.ends_in_gap(len, kind, cx);
            }
            State::Body(Body::Length(left)) if len <= *left => {
                *left -= len;
                let over = *left == 0;
                self.body_gap(len, kind, cx);
                if over {
                    self.finish(cx);
                }
                return None;
            }
            State::Body(Body::Chunked(chunked)) if len <= chunked.left() => {
                chunked.skip(len);
                self.body_gap(len, kind, cx);
                return None;
            }
            State::Body(Body::UntilClose) => {
                self.body_gap(len, kind, cx);
                return None;
            }
            State::Body(Body::Length(left)) => {
                let left = *left;
                self.body_gap(left, kind, cx);
                cx.odd(Anomaly::Gap);
                cx.part(Part::End(MessageEnd::Gap(kind)));
                return Some(Hides::Surely);
            }
            State::Body(Body::Chunked(chunked)) => {
                let beyond = len.saturating_sub(chunked.left());
                cx.odd(Anomaly::Gap);
                self.abort(MessageEnd::Gap(kind), cx);
                if beyond < SHORTEST {
                    return Some(Hides::Nothing);
                }
            }
            State::Trailers | State::Head => {
                cx.odd(Anomaly::Gap);
                self.abort(MessageEnd::Gap(kind), cx);
                // A head that was not worth a message leaves the gap to the next one.
            }
            State::Opening | State::Start => {
                cx.odd(Anomaly::Gap);
                if self.dir == Direction::ServerToClient && kind == GapKind::Lost {
                    cx.shared.outstanding.lose_answer();
                }
                return Some(Hides::Surely);
            }
            State::Lost => cx.odd(Anomaly::Gap),
        }
        Some(Hides::Perhaps)
    }

    /// Steps over messages that were left out, whole: the next one begins behind them. The one under
    /// way may end in them, but no other that is waited for.
    pub(super) fn left_out(&mut self, len: u64, cx: &mut Context<'_>) {
        let is_between = matches!(self.state, State::Opening | State::Start);
        if is_between && self.buf.is_empty() {
            if self.dir == Direction::ServerToClient {
                cx.shared.outstanding.leave_out_answers();
            }
            self.last_at = cx.at;
            self.state = State::Start;
            return;
        }
        let was_lost = matches!(self.state, State::Lost);
        if self.ends_in_gap(len, GapKind::Skipped, cx).is_some() {
            if was_lost {
                self.lose_messages(Hides::Nothing, cx);
            } else if is_between && self.dir == Direction::ServerToClient {
                // Not even its first line was there.
                cx.shared.outstanding.lose_answer();
            }
            self.lose();
        }
        if matches!(self.state, State::Lost) && !self.tls {
            self.state = State::Start;
        }
    }

    /// No more bytes will come.
    pub(super) fn end(&mut self, end: MessageEnd, cx: &mut Context<'_>) {
        if let State::Doubtful(body) = self.state {
            self.state = State::Body(body);
            self.refeed(cx);
        }
        cx.at = self.last_at;
        if self.tls && !cx.shared.recognised {
            cx.switch(Protocol::Tls);
        }
        let end = match self.state {
            State::Body(Body::UntilClose) if end == MessageEnd::Closed => self.complete(),
            // Nothing of the body came, and perhaps nothing was to come.
            State::Body(_) if end == MessageEnd::Closed && self.is_doubtful(cx) => {
                MessageEnd::Abandoned
            }
            _ => end,
        };
        self.abort(end, cx);
        self.release();
        self.state = State::Lost;
    }

    /// Forgets what it holds: nothing more will be parsed.
    pub(super) fn release(&mut self) {
        self.buf = Vec::new();
        self.head = Collector::default();
        self.candidate = None;
    }

    /// Bytes it holds.
    pub(super) fn memory(&self) -> usize {
        self.buf.capacity() + self.head.memory()
    }

    fn consume(&mut self, mut data: &[u8], cx: &mut Context<'_>) {
        while !data.is_empty() && cx.shared.switched.is_none() {
            data = match self.state {
                State::Opening => self.opening(data, cx),
                State::Start => self.start(data, cx),
                State::Lost => self.lost(data, cx),
                State::Head => self.collect_head(data, cx),
                State::Body(_) if self.is_doubtful(cx) => self.doubt(data),
                State::Body(body) => self.body(body, data, cx),
                State::Doubtful(body) => self.doubtful(body, data, cx),
                State::Trailers => self.trailers(data, cx),
            };
        }
    }

    /// Takes in what is in `buf` once more, in the state that it turned out to belong to.
    fn refeed(&mut self, cx: &mut Context<'_>) {
        let mut bytes = mem::take(&mut self.buf);
        self.consume(&bytes, cx);
        if self.buf.capacity() == 0 && bytes.capacity() <= cx.limits.look {
            bytes.clear();
            self.buf = bytes;
        }
    }

    fn opening<'d>(&mut self, data: &'d [u8], cx: &mut Context<'_>) -> &'d [u8] {
        if self.buf.is_empty() && data.first().is_some_and(u8::is_ascii_uppercase) {
            // Nearly all connections; `P` may also be the PROXY protocol.
            if !data.starts_with(b"P") || data.get(1).is_some_and(|b| *b != b'R') {
                self.state = State::Start;
                return data;
            }
        }
        self.opened_at.get_or_insert(cx.at);
        // Read from the buffer in any case, so that the rest of a long header is found.
        self.buf.extend_from_slice(data);
        let header = match self.dir {
            Direction::ClientToServer if !self.proxied => proxy_protocol::read(&self.buf),
            _ => proxy_protocol::Header::Absent,
        };
        match header {
            proxy_protocol::Header::More => return &[],
            proxy_protocol::Header::Present { len, client } => {
                self.buf.drain(..len);
                self.opened_at = None;
                self.proxied = true;
                if let Some(client) = client {
                    cx.part(Part::ProxyClient(client));
                }
            }
            proxy_protocol::Header::Malformed { len } => {
                self.buf.drain(..len);
                cx.odd(Anomaly::MalformedProxyHeader);
                self.state = State::Start;
            }
            proxy_protocol::Header::Absent => match start::is_tls(&self.buf) {
                None => return &[],
                Some(true) if self.dir == Direction::ClientToServer => {
                    self.tls = true;
                    self.lose();
                    self.release();
                }
                Some(true) => cx.switch(Protocol::Tls),
                Some(false) => self.state = State::Start,
            },
        }
        self.refeed(cx);
        if !matches!(self.state, State::Opening) {
            self.opened_at = None;
        }
        &[]
    }

    fn start<'d>(&mut self, mut data: &'d [u8], cx: &mut Context<'_>) -> &'d [u8] {
        if self.buf.is_empty() {
            // RFC 9112 section 2.2: empty lines before a start line are ignored.
            let blank = data.iter().position(|b| !matches!(b, b'\r' | b'\n'));
            data = data.get(blank.unwrap_or(data.len())..).unwrap_or_default();
            if data.is_empty() {
                return data;
            }
            self.started_at = self.opened_at.take().unwrap_or(cx.at);
        }
        let Some((line, rest)) = memchr(b'\n', data).and_then(|lf| data.split_at_checked(lf + 1))
        else {
            self.buf.extend_from_slice(data);
            if !start::may_become(self.dir, &self.buf) {
                self.lose_start(cx);
                self.refeed(cx);
            } else if self.buf.len() > cx.limits.head {
                self.state = State::Head;
                self.refeed(cx);
            }
            return &[];
        };
        if self.buf.is_empty() {
            return match self.recognise(line, cx) {
                true => rest,
                false => data,
            };
        }
        self.buf.extend_from_slice(line);
        let line = mem::take(&mut self.buf);
        if !self.recognise(&line, cx) {
            self.buf = line;
            self.refeed(cx);
        }
        rest
    }

    /// Decides what a line is; `true` where that was all of it, `false` where the state is now the
    /// one to read it in.
    fn recognise(&mut self, line: &[u8], cx: &mut Context<'_>) -> bool {
        let kind = if line.len() > cx.limits.head {
            start::may_become(self.dir, line).then_some(StartLine::Head)
        } else {
            start::classify(self.dir, line)
        };
        match kind {
            Some(StartLine::Head) => self.state = State::Head,
            None => self.lose_start(cx),
            Some(StartLine::Simple) => {
                self.simple_request(line, cx);
                return true;
            }
            Some(StartLine::Http2) => {
                cx.switch(Protocol::Http2);
                return true;
            }
        }
        false
    }

    /// What comes is not the start of a message.
    fn lose_start(&mut self, cx: &mut Context<'_>) {
        self.state = State::Lost;
        // Behind a response that has none it is a body.
        if !self.bodyless {
            self.lose_messages(Hides::Nothing, cx);
        }
    }

    fn lost<'d>(&mut self, data: &'d [u8], cx: &mut Context<'_>) -> &'d [u8] {
        if self.buf.is_empty() {
            // Nearly all lines are whole, and none of a message's.
            let (lines, rest) = data.split_at(start::lines_before(data));
            if !lines.is_empty() {
                self.count_junk(lines.len(), cx);
                self.dropped |= !self.quiet;
                return rest;
            }
        }
        let end = memchr(b'\n', data).map(|lf| lf + 1);
        let (line, rest) = data.split_at(end.unwrap_or(data.len()));
        self.count_junk(line.len(), cx);
        let look = cx.limits.look;
        self.buf.extend_from_slice(line);
        if end.is_some() {
            self.lost_line(cx);
        } else if let Some(first) = self.candidate {
            let second = self.buf.get(first..).unwrap_or_default();
            if second.len() > look {
                self.judge_candidate(first, cx);
            }
        } else if self.buf.len() > look.saturating_mul(2) {
            self.drop_front(self.buf.len() - look);
        }
        rest
    }

    /// In `Lost`, with a whole line at the end of `buf`.
    fn lost_line(&mut self, cx: &mut Context<'_>) {
        if let Some(first) = self.candidate
            && self.judge_candidate(first, cx)
        {
            return;
        }
        let skip = self.buf.len().saturating_sub(cx.limits.look);
        let window = self.buf.get(skip..).unwrap_or_default();
        match start::find(self.dir, window) {
            Some(at) => {
                self.drop_front(skip + at);
                self.started_at = cx.at;
                self.candidate = Some(self.buf.len());
            }
            None => self.drop_front(self.buf.len()),
        }
    }

    /// Whether the line behind something like a start line says that it is one.
    fn judge_candidate(&mut self, first: usize, cx: &mut Context<'_>) -> bool {
        self.candidate = None;
        let second = self.buf.get(first..).unwrap_or_default();
        let good = start::may_follow(second.get(..cx.limits.look).unwrap_or(second));
        if good {
            self.state = State::Head;
            self.refeed(cx);
        } else {
            self.drop_front(first);
        }
        good
    }

    fn drop_front(&mut self, len: usize) {
        self.buf.drain(..len);
        self.dropped |= len > 0 && !self.quiet;
    }

    fn count_junk(&mut self, len: usize, cx: &mut Context<'_>) {
        if cx.shared.recognised {
            return;
        }
        let (client, server) = &mut cx.shared.junk;
        let mine = match self.dir {
            Direction::ClientToServer => &mut *client,
            Direction::ServerToClient => &mut *server,
        };
        *mine = mine.saturating_add(len as u64);
        // One direction alone may be the rest of a body.
        if *client > 0 && *server > 0 && client.saturating_add(*server) >= cx.limits.look as u64 {
            cx.switch(Protocol::Unknown);
        }
    }

    fn lose(&mut self) {
        self.buf.clear();
        self.head.clear();
        self.candidate = None;
        self.state = State::Lost;
    }
}
