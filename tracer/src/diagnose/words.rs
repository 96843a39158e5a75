//! Words that the next steps share: who served it, where, what was asked for, what to look for.
//!
//! Nothing here says a value that may be a secret: no header values but addresses and ids for
//! support, no query, no body of a request.

use super::Clues;
use crate::model::{ClientSource, Endpoint, Hop, Part, Proves, Side, SideCall};

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
    /// What to do there; `{server}` stands for whose log it is.
    pub(super) say: &'static str,
}

/// What to do according to the first product seen at the hop that `lines` knows, such as "look in
/// the error log of nginx (pid 7) at 10.0.0.2:80 for …"; `None` where they know none.
pub(super) fn look(clues: &Clues<'_>, lines: &[Line]) -> Option<String> {
    let (name, line) = names(clues)
        .into_iter()
        .find_map(|name| Some((name.clone(), lines.iter().find(|l| is(&name, l.of))?)))?;
    let server = server(clues);
    let whose = match clues.hop().and_then(|h| h.server()) {
        Some(owner) if is(&owner.comm, line.of) => server,
        _ => format!("{name} at or behind {server}"),
    };
    Some(line.say.replace("{server}", &whose))
}

/// The server of the hop: its process and its address.
pub(super) fn server(clues: &Clues<'_>) -> String {
    let Some(hop) = clues.hop() else {
        return "the server".to_owned();
    };
    let addr = hop.exchange.server.addr;
    match hop.server() {
        Some(owner) => format!(
            "{} (pid {}) at {addr}",
            cut(owner.comm.as_bytes()),
            owner.pid
        ),
        None => format!("the server at {addr}"),
    }
}

/// The account that the server runs as.
pub(super) fn account(clues: &Clues<'_>) -> String {
    clues.hop().and_then(|h| h.server()).map_or_else(
        || "the account that it runs as".to_owned(),
        |owner| format!("its account (uid {})", owner.uid),
    )
}

/// Method and path of the request. The query stays out: it may hold keys.
pub(super) fn request(clues: &Clues<'_>) -> String {
    let method = clues
        .hop()
        .and_then(|h| h.exchange.request.as_ref())
        .map_or_else(|| "the request".to_owned(), |r| cut(r.method()));
    match path(clues) {
        Some(path) => format!("{method} {path}"),
        None => method,
    }
}

/// The path that the server was asked for, without its query.
pub(super) fn path(clues: &Clues<'_>) -> Option<String> {
    let request = clues.hop()?.exchange.request.as_ref()?;
    let path = request
        .path_and_query()
        .split(|b| matches!(b, b'?' | b'#'))
        .next()?;
    (!path.is_empty()).then(|| cut(path))
}

/// [`path`], or words for it where the request was not seen.
pub(super) fn path_or(clues: &Clues<'_>, words: &str) -> String {
    path(clues).unwrap_or_else(|| words.to_owned())
}

/// The host that the request names.
pub(super) fn host(clues: &Clues<'_>) -> Option<String> {
    let host = clues.hop()?.exchange.request.as_ref()?.host()?;
    (!host.is_empty()).then(|| cut(host))
}

/// The first value of a field of the request. Only for fields that hold no secret.
pub(super) fn field(clues: &Clues<'_>, name: &str) -> Option<String> {
    let request = clues.hop()?.exchange.request.as_ref()?;
    request.message.head.value(name).map(cut)
}

/// The first value of a field of the answer. Only for fields that hold no secret.
pub(super) fn answer_field(clues: &Clues<'_>, name: &str) -> Option<String> {
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
pub(super) fn client(clues: &Clues<'_>) -> Option<String> {
    let exchange = &clues.hop()?.exchange;
    let peer = exchange
        .proxy_client
        .unwrap_or_else(|| exchange.client.seen_as());
    Some(peer.ip().to_string())
}

/// The first address that a header names for the client, where it is another than the peer's.
pub(super) fn said_client(clues: &Clues<'_>) -> Option<String> {
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
    let told = told.addr?.to_string();
    (told != seen).then_some(told)
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
            Some(format!("{} {}", cut(field.name), cut(field.value)))
        }
        Part::Body(from, to) => {
            let body = &message.body;
            let bytes = body.decoded.as_ref().map_or(&body.kept, |d| &d.bytes);
            Some(cut(bytes.get(from..to)?))
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

/// The names seen at the hop: who is marked as the maker of the answer, strongest first, then its
/// process.
fn names(clues: &Clues<'_>) -> Vec<String> {
    let mut marks: Vec<_> = clues
        .here()
        .filter_map(|(_, e)| {
            let (proves, product) = e.product.as_ref()?;
            let is_process = e.id.starts_with("fingerprint.process-");
            match proves {
                Proves::Generated => Some((0, e.strength, product)),
                Proves::Hint if is_process => Some((1, e.strength, product)),
                _ => None,
            }
        })
        .collect();
    marks.sort_by_key(|(rank, strength, _)| (*rank, std::cmp::Reverse(*strength)));
    let marks = marks
        .into_iter()
        .map(|(_, _, product)| product.name.clone());
    let process = clues.hop().and_then(|h| h.server());
    marks
        .chain(process.map(|owner| owner.comm.to_string()))
        .collect()
}

fn is(name: &str, of: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| of.iter().any(|start| word.starts_with(start)))
}

/// Text of the wire on one line, shortened.
fn cut(bytes: &[u8]) -> String {
    let some = bytes.get(..QUOTED.saturating_mul(4)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(some);
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(QUOTED)
        .collect();
    if text.chars().count() > QUOTED || some.len() < bytes.len() {
        out.push('…');
    }
    out
}

/// The sentence with a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
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
