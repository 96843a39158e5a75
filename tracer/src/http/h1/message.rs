//! From the start line to the end of a message.

use std::mem;

use memchr::{memchr, memrchr};

use super::{Body, Context, Side, State};
use crate::http::chunked::{Chunked, Step};
use crate::http::outstanding::{Hides, Kind};
use crate::http::{Part, Placed, Protocol, framing, head, start};
use crate::model::{Anomaly, Direction, Framing, GapKind, MessageEnd, Request, Response};

impl Side {
    pub(super) fn collect_head<'d>(&mut self, data: &'d [u8], cx: &mut Context<'_>) -> &'d [u8] {
        let Some(len) = self.head.feed(data, cx.limits.head) else {
            return &[];
        };
        self.message(data, len, None, cx);
        data.get(len..).unwrap_or_default()
    }

    /// A request line of HTTP/0.9 is all of the request.
    pub(super) fn simple_request(&mut self, line: &[u8], cx: &mut Context<'_>) {
        self.head.feed(line, cx.limits.head);
        self.message(&[], 0, None, cx);
    }

    pub(super) fn body<'d>(
        &mut self,
        body: Body,
        mut data: &'d [u8],
        cx: &mut Context<'_>,
    ) -> &'d [u8] {
        self.stop_doubting();
        match body {
            Body::UntilClose => {
                cx.part(Part::Body(data));
                &[]
            }
            Body::Length(left) => {
                let len = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                let (content, rest) = data.split_at(len);
                cx.part(Part::Body(content));
                let left = left.saturating_sub(len as u64);
                self.state = State::Body(Body::Length(left));
                if left == 0 {
                    self.finish(cx);
                }
                rest
            }
            Body::Chunked(mut chunked) => {
                let step = chunked.step(&mut data);
                self.state = State::Body(Body::Chunked(chunked));
                match step {
                    Step::Data(content) => cx.part(Part::Body(content)),
                    Step::More => {}
                    Step::Last => {
                        if chunked.bare_lf {
                            cx.odd(Anomaly::BareLf);
                        }
                        self.state = State::Trailers;
                    }
                    Step::Invalid => {
                        cx.odd(Anomaly::InvalidChunk);
                        cx.part(Part::End(MessageEnd::Abandoned));
                        self.lose_messages(Hides::Perhaps, cx);
                        self.lose();
                    }
                }
                data
            }
        }
    }

    pub(super) fn trailers<'d>(&mut self, data: &'d [u8], cx: &mut Context<'_>) -> &'d [u8] {
        let Some(len) = self.head.feed(data, cx.limits.head) else {
            return &[];
        };
        let mut odd = Vec::new();
        self.name_head_oddities(&mut odd);
        let raw = self.head.raw(data, len);
        if !matches!(raw, b"\r\n" | b"\n") {
            let trailers = head::trailers(raw, cx.limits, &mut odd);
            cx.part(Part::Trailers(trailers));
        }
        self.head.clear();
        for anomaly in odd {
            cx.odd(anomaly);
        }
        self.finish(cx);
        data.get(len..).unwrap_or_default()
    }

    /// Whether nothing of the body under way was seen, and it may never come: it was refused
    /// instead of asked for, or it is the answer to a request that is not there.
    pub(super) fn is_doubtful(&self, cx: &Context<'_>) -> bool {
        self.doubts_body
            || (self.expects_continue
                && cx.shared.answered == Some(self.exchange)
                && cx.shared.continued != Some(self.exchange))
    }

    pub(super) fn doubt<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        self.stop_doubting();
        if let State::Body(body) = self.state {
            self.state = State::Doubtful(body);
        }
        data
    }

    fn stop_doubting(&mut self) {
        self.expects_continue = false;
        self.doubts_body = false;
    }

    /// Reads as much as it takes to tell a body from the next message.
    pub(super) fn doubtful<'d>(
        &mut self,
        body: Body,
        data: &'d [u8],
        cx: &mut Context<'_>,
    ) -> &'d [u8] {
        let end = memchr(b'\n', data).map(|lf| lf + 1);
        let (line, rest) = data.split_at(end.unwrap_or(data.len()));
        self.buf.extend_from_slice(line);
        let plausible = start::may_become(self.dir, &self.buf) && self.buf.len() <= cx.limits.look;
        if plausible && end.is_none() {
            return rest;
        }
        if plausible && start::find(self.dir, &self.buf) == Some(0) {
            cx.part(Part::End(MessageEnd::Abandoned));
            self.state = State::Start;
        } else {
            self.state = State::Body(body);
        }
        self.refeed(cx);
        rest
    }

    pub(super) fn body_gap(&mut self, len: u64, kind: GapKind, cx: &mut Context<'_>) {
        self.stop_doubting();
        cx.part(Part::BodyGap { len, kind });
        if kind == GapKind::Lost {
            cx.odd(Anomaly::Gap);
        }
        if self.missing != Some(GapKind::Lost) {
            self.missing = Some(kind);
        }
    }

    /// The framing says that the message is over.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>) {
        cx.part(Part::End(self.complete()));
        self.state = State::Start;
    }

    /// The end of a message that has come to its end.
    pub(super) fn complete(&self) -> MessageEnd {
        self.missing.map_or(MessageEnd::Complete, MessageEnd::Gap)
    }

    /// Ends the message under way, if there is one, before it is over.
    pub(super) fn abort(&mut self, end: MessageEnd, cx: &mut Context<'_>) {
        match self.state {
            State::Head => self.message(&[], 0, Some(end), cx),
            State::Body(_) | State::Trailers => cx.part(Part::End(end)),
            State::Opening | State::Start | State::Lost | State::Doubtful(_) => {}
        }
    }

    /// Whole messages may be among the bytes that were not read.
    pub(super) fn lose_messages(&self, hides: Hides, cx: &mut Context<'_>) {
        let outstanding = &mut cx.shared.outstanding;
        match self.dir {
            Direction::ClientToServer => outstanding.lose_requests(hides),
            Direction::ServerToClient => outstanding.lose_responses(),
        }
    }

    /// Hands out the head in the collector (of the last piece, `len` bytes belong to it), and
    /// where `cut` is set, the end of the message, for there will be no more of it.
    fn message(&mut self, piece: &[u8], len: usize, cut: Option<MessageEnd>, cx: &mut Context<'_>) {
        let mut odd = Vec::new();
        self.name_head_oddities(&mut odd);
        cx.shared.recognised = true;
        self.missing = None;
        self.quiet = false;
        if mem::take(&mut self.dropped) {
            if self.bodyless {
                cx.odd(Anomaly::UnexpectedBody);
            } else {
                cx.odd(Anomaly::JunkBeforeStart);
            }
        }
        let mut collector = mem::take(&mut self.head);
        let mut raw = collector.raw(piece, len);
        if cut.is_some() {
            // Half a line says nothing that can be relied on.
            let whole = memrchr(b'\n', raw).map_or(raw.len(), |lf| lf + 1);
            raw = raw.get(..whole).unwrap_or(raw);
        }
        match self.dir {
            Direction::ClientToServer => {
                let request = head::request(raw, cx.limits, &mut odd);
                self.request(request, cut, odd, cx);
            }
            Direction::ServerToClient => {
                let response = head::response(raw, cx.limits, &mut odd);
                self.response(response, cut, odd, cx);
            }
        }
        collector.clear();
        self.head = collector;
    }

    fn name_head_oddities(&self, odd: &mut Vec<Anomaly>) {
        if self.head.has_bare_lf() {
            odd.push(Anomaly::BareLf);
        }
        if self.head.is_cut() {
            odd.push(Anomaly::OverlongHead);
        }
    }

    fn request(
        &mut self,
        mut request: Request,
        cut: Option<MessageEnd>,
        mut odd: Vec<Anomaly>,
        cx: &mut Context<'_>,
    ) {
        let facts = framing::facts(&request.message.head, &mut odd);
        let framing = framing::request(&request, &facts, &mut odd);
        let kind = match request.method() {
            b"HEAD" => Kind::Head,
            b"CONNECT" => Kind::Connect,
            _ => Kind::Other,
        };
        self.exchange = cx.shared.outstanding.ask(kind, self.started_at, cx.limits);
        self.expects_continue = facts.expects_continue;
        request.message.started_at = self.started_at;
        request.message.head_at = cx.at;
        request.message.body.framing = framing;
        cx.part(Part::Request(Placed {
            exchange: self.exchange,
            message: Box::new(request),
        }));
        odd.into_iter().for_each(|anomaly| cx.odd(anomaly));
        self.go_on(framing, cut, cx);
        if kind == Kind::Connect && cut.is_none() {
            // Nothing of the tunnel is a request; without one, the next request is. What its fields
            // say of a body cannot be told from the tunnel (RFC 9110 section 9.3.6: it has none).
            self.abort(MessageEnd::Abandoned, cx);
            self.lose();
            self.quiet = true;
        }
    }

    fn response(
        &mut self,
        mut response: Response,
        cut: Option<MessageEnd>,
        mut odd: Vec<Anomaly>,
        cx: &mut Context<'_>,
    ) {
        let status = response.status;
        let interim = response.is_interim();
        let outstanding = &mut cx.shared.outstanding;
        let (exchange, asked) = outstanding.answer(interim, self.started_at, cx.limits);
        let facts = framing::facts(&response.message.head, &mut odd);
        let framing = match framing::response(&response, &facts, asked) {
            // The field that says otherwise may lie behind the cut.
            Framing::UntilClose if cut.is_some() => Framing::None,
            framing => framing,
        };
        self.exchange = exchange;
        response.message.started_at = self.started_at;
        response.message.head_at = cx.at;
        response.message.body.framing = framing;
        if interim {
            response.message.end = cut.unwrap_or(MessageEnd::Complete);
            response.message.ended_at = Some(cx.at);
        }
        cx.part(Part::Response(Placed {
            exchange,
            message: Box::new(response),
        }));
        odd.into_iter().for_each(|anomaly| cx.odd(anomaly));
        if interim {
            self.state = State::Start;
            if status == 100 {
                cx.shared.continued = Some(exchange);
            }
            return;
        }
        cx.shared.answered = Some(exchange);
        self.doubts_body = asked == Kind::Unknown;
        self.bodyless = framing == Framing::None && cut.is_none();
        self.go_on(framing, cut, cx);
        if cut.is_some() {
        } else if status == 101 {
            cx.switch(facts.upgrade.unwrap_or(Protocol::Upgraded));
        } else if asked == Kind::Connect && framing::is_success(status) {
            cx.switch(Protocol::Tunnel);
        }
    }

    /// What comes after a head.
    fn go_on(&mut self, framing: Framing, cut: Option<MessageEnd>, cx: &mut Context<'_>) {
        if let Some(end) = cut {
            cx.part(Part::End(end));
            self.state = State::Start;
            return;
        }
        match framing {
            Framing::None | Framing::Length(0) => self.finish(cx),
            Framing::Length(left) => self.state = State::Body(Body::Length(left)),
            Framing::Chunked => self.state = State::Body(Body::Chunked(Chunked::default())),
            Framing::UntilClose => self.state = State::Body(Body::UntilClose),
        }
    }
}
