//! Words that the next steps share: who served it, where, what was asked for, what to look for.
//!
//! Nothing here says a value that may be a secret: no header values but addresses and ids for
//! support, no query, no body of a request.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::net::IpAddr;

use super::Clues;
use crate::model::{Chain, ClientSource, Endpoint, Evidence, Hop, Part, Proves, Side, SideCall};

/// Names that nginx goes by, as a process and in fingerprints.
pub(super) const NGINX: &[&str] = &["nginx", "openresty", "tengine"];
/// Names that the Apache web server goes by. `Apache` alone is also the start of other products.
pub(super) const APACHE: &[&str] = &["httpd", "apache2"];
/// Names of PHP's process manager: `php-fpm8.2` and the like.
pub(super) const PHP_FPM: &[&str] = &["fpm"];
/// Names that Envoy goes by.
pub(super) const ENVOY: &[&str] = &["envoy", "istio", "pilot"];

/// The most characters of the wire that a next step quotes at once.
const QUOTED: usize = 120;

/// Where a product writes down why it refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Words of product or process names; a name fits if one of its words begins with one.
    pub(super) of: &'static [&'static str],
    /// What to do there; `{server}`, once at most, stands for whose log it is.
    pub(super) say: &'static str,
}

/// What most next steps name of the hop that made the refusal.
#[derive(Clone, Debug)]
pub(super) struct Common<'a> {
    /// The server of the hop: its process and its address.
    server: String,
    /// Method and path of the request. The query stays out: it may hold keys.
    request: String,
    /// The names seen at the hop: who is marked as the maker of the answer, strongest first, then
    /// its process.
    names: Vec<&'a str>,
}

impl<'a> Common<'a> {
    /// Of the hop at this place.
    pub(super) fn of(chain: &'a Chain, at: usize, evidence: &'a [Evidence]) -> Self {
        let hop = chain.hop(at);
        let server = hop.map(|hop| &hop.exchange.server);
        Self {
            server: server.map_or_else(|| "the server".to_owned(), end),
            request: request_of(hop),
            names: names(hop, evidence.iter().filter(|e| e.hop == at)),
        }
    }
}

/// What to do according to the first product seen at the hop that `lines` knows, such as "look in
/// the error log of nginx (pid 7) at 10.0.0.2:80 for …"; `None` where they know none.
pub(super) fn look(clues: &Clues<'_>, lines: &[Line]) -> Option<String> {
    let names = clues.common.names.iter();
    let (name, line) = names
        .filter_map(|name| Some((name, lines.iter().find(|l| is(name, l.of))?)))
        .next()?;
    let server = server(clues);
    let whose = match clues.hop().and_then(|h| h.server()) {
        Some(owner) if is(&owner.comm, line.of) => Cow::Borrowed(server),
        _ => Cow::Owned([name, " at or behind ", server].concat()),
    };
    Some(match line.say.split_once("{server}") {
        Some((before, after)) => [before, &*whose, after].concat(),
        None => line.say.to_owned(),
    })
}

/// The server of the hop: its process and its address.
pub(super) fn server<'c>(clues: &'c Clues<'_>) -> &'c str {
    &clues.common.server
}

/// The account that the server runs as.
pub(super) fn account(clues: &Clues<'_>) -> String {
    clues.hop().and_then(|h| h.server()).map_or_else(
        || "the account that it runs as".to_owned(),
        |owner| format!("its account (uid {})", owner.uid),
    )
}

/// Method and path of the request.
pub(super) fn request<'c>(clues: &'c Clues<'_>) -> &'c str {
    &clues.common.request
}

fn request_of(hop: Option<&Hop>) -> String {
    let request = hop.and_then(|hop| hop.exchange.request.as_ref());
    let method = request.map_or(Cow::Borrowed("the request"), |r| cut(r.method()));
    match path_of(hop) {
        Some(path) => [&*method, " ", &*path].concat(),
        None => method.into_owned(),
    }
}

/// The path that the server was asked for, without its query.
pub(super) fn path<'a>(clues: &Clues<'a>) -> Option<Cow<'a, str>> {
    path_of(clues.hop())
}

fn path_of(hop: Option<&Hop>) -> Option<Cow<'_, str>> {
    let request = hop?.exchange.request.as_ref()?;
    let path = request
        .path_and_query()
        .split(|b| matches!(b, b'?' | b'#'))
        .next()?;
    (!path.is_empty()).then(|| cut(path))
}

/// [`path`], or words for it where the request was not seen.
pub(super) fn path_or<'a>(clues: &Clues<'a>, words: &'static str) -> Cow<'a, str> {
    path(clues).unwrap_or(Cow::Borrowed(words))
}

/// The host that the request names.
pub(super) fn host<'a>(clues: &Clues<'a>) -> Option<Cow<'a, str>> {
    let host = clues.hop()?.exchange.request.as_ref()?.host()?;
    (!host.is_empty()).then(|| cut(host))
}

/// The first value of a field of the request. Only for fields that hold no secret.
pub(super) fn field<'a>(clues: &Clues<'a>, name: &'static str) -> Option<Cow<'a, str>> {
    let request = clues.hop()?.exchange.request.as_ref()?;
    request.message.head.value(name).map(cut)
}

/// The first value of a field of the answer. Only for fields that hold no secret.
pub(super) fn answer_field<'a>(clues: &Clues<'a>, name: &'static str) -> Option<Cow<'a, str>> {
    let response = clues.hop()?.exchange.response.as_ref()?;
    response.message.head.value(name).map(cut)
}

/// Scheme, host and port of an Origin or Referer; `null` stays as it is. What does not belong
/// there (user, path, query) may be a secret and is left out.
pub(super) fn origin(text: &str) -> Option<String> {
    if text == "null" {
        return Some(text.to_owned());
    }
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    let is_plain = |s: &str| {
        s.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-._:[]".contains(&b))
    };
    let is_whole = !scheme.is_empty() && !host.is_empty() && is_plain(scheme) && is_plain(host);
    is_whole.then(|| format!("{scheme}://{host}"))
}

/// A Content-Type without its parameters.
pub(super) fn media_type(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}

/// The product of a User-Agent.
pub(super) fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("an empty one")
}

/// Whom the server of the hop asked last whether to allow the request, if that one said no or
/// failed.
pub(super) fn authoriser(clues: &Clues<'_>) -> Option<String> {
    let calls = &clues.hop()?.side_calls;
    let status = |call: &SideCall| call.exchange.response.as_ref().map(|r| r.status);
    let refused = |c: &&SideCall| matches!(status(c), Some(401 | 403));
    let failed = |c: &&SideCall| status(c).is_none_or(|s| s >= 500);
    let calls = || calls.iter().rev();
    let call = calls().find(refused).or_else(|| calls().find(failed))?;
    Some(end(&call.exchange.server))
}

/// The credential that the previous hop still carried and this one does not: the name of its
/// field, and the server that did not pass it on.
pub(super) fn dropped(clues: &Clues<'_>) -> Option<(&'static str, String)> {
    let previous = clues.chain.hop(clues.at.checked_sub(1)?)?;
    let has = |hop: &Hop, name: &'static str| {
        let request = hop.exchange.request.as_ref()?;
        Some(request.message.head.value(name).is_some())
    };
    let here = clues.hop()?;
    let name = ["Authorization", "X-API-Key", "apikey", "Cookie"]
        .into_iter()
        .find(|name| has(previous, name) == Some(true) && has(here, name) == Some(false))?;
    Some((name, end(&previous.exchange.server)))
}

/// The address that the server saw as its client.
pub(super) fn client(clues: &Clues<'_>) -> Option<IpAddr> {
    let exchange = &clues.hop()?.exchange;
    let peer = exchange
        .proxy_client
        .unwrap_or_else(|| exchange.client.seen_as());
    Some(peer.ip())
}

/// The first address that a header names for the client, where it is another than the peer's.
pub(super) fn said_client(clues: &Clues<'_>) -> Option<IpAddr> {
    let seen = client(clues)?;
    let exchange = &clues.hop()?.exchange;
    let told = exchange.client_addresses.iter().find(|row| {
        !matches!(
            row.source,
            ClientSource::SocketPeer
                | ClientSource::BeforeTranslation
                | ClientSource::ProxyProtocol
        )
    })?;
    told.addr.filter(|told| *told != seen)
}

/// An id to ask the maker of the answer for, as the answer shows it.
pub(super) fn reference(clues: &Clues<'_>) -> Option<String> {
    let evidence = clues.find("response.reference")?;
    let span = evidence.span.filter(|s| s.message == Side::Response)?;
    let message = &clues.hop()?.exchange.response.as_ref()?.message;
    match span.part {
        Part::StartLine => None,
        Part::Field(i) => {
            let field = message.head.fields().nth(i)?;
            Some([&*cut(field.name), " ", &*cut(field.value)].concat())
        }
        Part::Body(from, to) => {
            let body = &message.body;
            let bytes = body.decoded.as_ref().map_or(&body.kept, |d| &d.bytes);
            Some(cut(bytes.get(from..to)?).into_owned())
        }
    }
}

/// The process and address of one end of a connection.
fn end(end: &Endpoint) -> String {
    let addr = end.addr;
    match &end.owner {
        Some(owner) => format!(
            "{} (pid {}) at {addr}",
            cut(owner.comm.as_bytes()),
            owner.pid
        ),
        None => format!("the server at {addr}"),
    }
}

fn names<'a>(hop: Option<&'a Hop>, here: impl Iterator<Item = &'a Evidence>) -> Vec<&'a str> {
    let mut marks: Vec<_> = here
        .filter_map(|e| {
            let (proves, product) = e.product.as_ref()?;
            let is_process = e.id.starts_with("fingerprint.process-");
            match proves {
                Proves::Generated => Some((0, e.strength, product)),
                Proves::Hint if is_process => Some((1, e.strength, product)),
                _ => None,
            }
        })
        .collect();
    marks.sort_by_key(|(rank, strength, _)| (*rank, Reverse(*strength)));
    let marks = marks.into_iter().map(|(.., product)| product.name.as_str());
    let process = hop.and_then(Hop::server);
    marks.chain(process.map(|owner| &*owner.comm)).collect()
}

/// Whether one of the words of a name begins with one of these, which are in lower case.
fn is(name: &str, of: &[&str]) -> bool {
    let begins = |word: &str, start: &str| {
        let begin = word.get(..start.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    };
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| of.iter().any(|start| begins(word, start)))
}

/// Text of the wire on one line, shortened.
fn cut(bytes: &[u8]) -> Cow<'_, str> {
    let some = bytes.get(..QUOTED.saturating_mul(4)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(some);
    let is_plain = |b: u8| b == b' ' || b.is_ascii_graphic();
    if bytes.len() <= QUOTED && text.bytes().all(is_plain) {
        return text;
    }
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(QUOTED)
        .collect();
    if text.chars().count() > QUOTED || some.len() < bytes.len() {
        out.push('…');
    }
    Cow::Owned(out)
}

/// The text, which begins with a word of ours, as a sentence: with a capital letter and a full stop.
pub(super) fn sentence(mut text: String) -> String {
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::tests::Stage;
    use crate::model::{Kind, Strength};

    #[test]
    fn a_product_is_known_by_whole_words() {
        assert!(is("Apache httpd", APACHE));
        assert!(is("apache2", APACHE));
        assert!(!is("Apache APISIX", APACHE));
        assert!(!is("lighttpd", APACHE));
        assert!(is("php-fpm8.2", PHP_FPM));
        assert!(is("ModSecurity v3 (nginx connector)", NGINX));
    }

    #[test]
    fn the_query_is_never_said() {
        let stage = Stage::new("POST /a/b?api_key=hush HTTP/1.1\r\n\r\n", b"");
        assert_eq!(request(&stage.clues()), "POST /a/b");
        assert_eq!(path(&stage.clues()).as_deref(), Some("/a/b"));
    }

    #[test]
    fn a_mark_of_the_maker_comes_before_the_process() {
        let lines = [
            Line {
                of: NGINX,
                say: "read the log of {server}",
            },
            Line {
                of: &["modsecurity"],
                say: "audit {server}",
            },
        ];
        let stage = Stage::plain().served_by("nginx");
        let said = look(&stage.clues(), &lines).unwrap();
        assert_eq!(said, "read the log of nginx (pid 40) at 10.0.0.2:8080");
        let stage = stage.marked("ModSecurity", Kind::WafModule, Strength::Strong);
        let said = look(&stage.clues(), &lines).unwrap();
        assert!(said.starts_with("audit ModSecurity at or behind nginx (pid 40)"));
        assert_eq!(look(&Stage::plain().clues(), &lines), None);
    }

    #[test]
    fn a_reference_is_read_where_it_was_seen() {
        let stage = Stage::plain().referenced();
        assert_eq!(reference(&stage.clues()).as_deref(), Some("Server nginx"));
    }

    #[test]
    fn an_origin_is_cut_to_what_it_is() {
        let said = |text| origin(text).unwrap_or_default();
        assert_eq!(said("https://a.example:8443"), "https://a.example:8443");
        assert_eq!(
            said("https://u:hush@a.example/p?t=hush"),
            "https://a.example"
        );
        assert_eq!(said("null"), "null");
        assert_eq!(said("hush"), "");
        assert_eq!(said("https://hush hush"), "");
    }

    #[test]
    fn long_and_odd_text_is_cut_to_one_line() {
        let long = "é".repeat(500);
        assert_eq!(cut(long.as_bytes()).chars().count(), QUOTED + 1);
        assert_eq!(cut(b"a\r\nb"), "a  b");
    }
}
