//! Which exchanges are reported: by default a POST that was answered 403.
//!
//! Several patterns of one kind are alternatives; different kinds must all match. A kind without
//! patterns matches everything.

mod pattern;

use std::fmt;

pub use pattern::{
    ClientPattern, HostPattern, InvalidPattern, MethodPattern, PathPattern, ProcessPattern,
    StatusPattern,
};

use crate::model::{Exchange, Request};

/// The filter.
///
/// What the capture missed is treated as a person at the end of it would: a response whose
/// request was not seen may well have answered a POST, so it passes every method filter (and
/// carries [`RequestMissing`](crate::model::Anomaly::RequestMissing)); it passes no host or path
/// filter, which are there to narrow down. A request without a response has no status, so only
/// [`StatusPattern::Missing`] lets it pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Methods of the request.
    pub methods: Vec<MethodPattern>,
    /// Status of the final response.
    pub statuses: Vec<StatusPattern>,
    /// Host that the request names.
    pub hosts: Vec<HostPattern>,
    /// Path of the request's target, without the query.
    pub paths: Vec<PathPattern>,
    /// Any address of the client: the peer of the socket, or a forwarded one.
    pub clients: Vec<ClientPattern>,
    /// The process at either end.
    pub processes: Vec<ProcessPattern>,
}

impl Selection {
    /// Everything is reported.
    pub fn everything() -> Self {
        Self {
            methods: Vec::new(),
            statuses: Vec::new(),
            hosts: Vec::new(),
            paths: Vec::new(),
            clients: Vec::new(),
            processes: Vec::new(),
        }
    }

    /// Whether no exchange with this status is reported, whatever else is known of it.
    pub fn rules_out(&self, status: u16) -> bool {
        !any(&self.statuses, |p| p.matches(Some(status)))
    }

    /// The statuses of answers that are reported, from the first to the last of each range, both
    /// included.
    pub fn status_ranges(&self) -> Vec<(u16, u16)> {
        if self.statuses.is_empty() {
            return vec![(0, u16::MAX)];
        }
        let ranges = self.statuses.iter().filter_map(|pattern| match pattern {
            StatusPattern::Between(first, last) => Some((*first, *last)),
            StatusPattern::Missing => None,
        });
        ranges.collect()
    }

    /// The methods of requests that are reported, or of which a preflight is; none where that is every
    /// method.
    pub fn request_methods(&self) -> Vec<String> {
        let names = self.methods.iter().map(|pattern| match pattern {
            MethodPattern::Is(name) => Some(name.clone()),
            MethodPattern::Any => None,
        });
        let preflight = self.methods.first().map(|_| Some("OPTIONS".to_owned()));
        let names: Option<Vec<_>> = names.chain(preflight).collect();
        names.unwrap_or_default()
    }

    /// Whether an exchange is reported.
    pub fn matches(&self, exchange: &Exchange) -> bool {
        self.matches_wire(exchange)
            && any(&self.clients, |p| p.matches(exchange))
            && any(&self.processes, |p| p.matches(exchange))
    }

    /// Whether the request and the response alone let an exchange pass: what can be told before
    /// the owners of its sockets are known.
    pub fn matches_wire(&self, exchange: &Exchange) -> bool {
        let status = exchange.response.as_ref().map(|r| r.status);
        let request = exchange.request.as_deref();
        any(&self.statuses, |p| p.matches(status))
            && any(&self.methods, |p| request.is_none_or(|r| p.matches(r)))
            && any(&self.hosts, |p| {
                request
                    .and_then(Request::host)
                    .is_some_and(|h| p.matches(h))
            })
            && any(&self.paths, |p| request.is_some_and(|r| p.matches(path(r))))
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            methods: vec![MethodPattern::Is("POST".to_owned())],
            statuses: vec![StatusPattern::Between(403, 403)],
            ..Self::everything()
        }
    }
}

impl fmt::Display for Selection {
    /// In words, such as `POST answered 403, host shop.example`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, "", &self.methods, "any method")?;
        list(f, " answered ", &self.statuses, " with any answer or none")?;
        list(f, ", host ", &self.hosts, "")?;
        list(f, ", path ", &self.paths, "")?;
        list(f, ", client ", &self.clients, "")?;
        list(f, ", process ", &self.processes, "")
    }
}

fn any<P>(patterns: &[P], matches: impl Fn(&P) -> bool) -> bool {
    patterns.is_empty() || patterns.iter().any(matches)
}

fn path(request: &Request) -> &[u8] {
    let target = request.path_and_query();
    let end = target
        .iter()
        .position(|b| matches!(b, b'?' | b'#'))
        .unwrap_or(target.len());
    match target.get(..end).unwrap_or_default() {
        // `http://host` and `http://host?query` ask for the root (RFC 9112 section 3.2.2).
        b"" => b"/",
        path => path,
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    patterns: &[impl fmt::Display],
    where_empty: &str,
) -> fmt::Result {
    if patterns.is_empty() {
        return f.write_str(where_empty);
    }
    for (i, pattern) in patterns.iter().enumerate() {
        write!(f, "{}{pattern}", if i == 0 { before } else { " or " })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClientAddress, ClientSource, OwnerQuality};
    use crate::testing::{exchange, owner, refused_post, request, response};

    fn get(target: &str, host: &str, status: u16) -> Exchange {
        exchange(
            request(
                &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
                b"",
            ),
            response(&format!("HTTP/1.1 {status} Whatever\r\n\r\n"), b""),
        )
    }

    fn only<P: std::str::FromStr<Err = InvalidPattern>>(text: &str) -> Vec<P> {
        vec![text.parse().unwrap()]
    }

    #[test]
    fn a_post_answered_403_is_the_default() {
        let selection = Selection::default();
        assert!(selection.matches(&refused_post()));
        assert!(!selection.matches(&get("/", "shop.example", 403)));
        let mut created = refused_post();
        created.response.as_mut().unwrap().status = 201;
        assert!(!selection.matches(&created));
        assert_eq!(selection.to_string(), "POST answered 403");
    }

    #[test]
    fn preflights_go_with_the_methods_of_requests() {
        let methods = |text: &[&str]| {
            let selection = Selection {
                methods: text.iter().map(|text| text.parse().unwrap()).collect(),
                ..Selection::everything()
            };
            selection.request_methods()
        };
        assert_eq!(methods(&["post", "PUT"]), ["POST", "PUT", "OPTIONS"]);
        assert!(methods(&["POST", "any"]).is_empty() && methods(&[]).is_empty());
    }

    #[test]
    fn methods_are_case_sensitive_like_http() {
        let mut odd = refused_post();
        odd.request.as_mut().unwrap().message.head.raw[..4].copy_from_slice(b"post");
        assert!(!Selection::default().matches(&odd));
    }

    #[test]
    fn a_preflight_counts_as_the_request_that_it_asks_for() {
        let preflight = |extra: &str| {
            let head = format!("OPTIONS /orders HTTP/1.1\r\nHost: x\r\n{extra}\r\n");
            let refused = response("HTTP/1.1 403 Forbidden\r\n\r\n", b"");
            Selection::default().matches(&exchange(request(&head, b""), refused))
        };
        let origin = "Origin: https://a.example\r\n";
        let asks = |method| format!("{origin}Access-Control-Request-Method: {method}\r\n");
        assert!(preflight(&asks("POST")));
        assert!(!preflight(&asks("PUT")) && !preflight(origin) && !preflight(""));
    }

    #[test]
    fn statuses_are_numbers_classes_ranges_and_none() {
        let matching = |pattern: &str, status: Option<u16>| {
            let mut exchange = refused_post();
            match status {
                Some(status) => exchange.response.as_mut().unwrap().status = status,
                None => exchange.response = None,
            }
            Selection {
                statuses: only(pattern),
                ..Selection::default()
            }
            .matches(&exchange)
        };
        assert!(matching("403", Some(403)) && !matching("403", Some(404)));
        assert!(matching("4xx", Some(499)) && !matching("4XX", Some(500)));
        assert!(matching("401-403", Some(402)) && !matching("401-403", Some(400)));
        assert!(matching("any", Some(200)) && !matching("any", None));
        assert!(matching("none", None) && !matching("none", Some(403)));
        assert!(!matching("403", None));
    }

    #[test]
    fn a_response_without_its_request_is_reported_unless_host_or_path_are_asked_for() {
        let mut orphan = refused_post();
        orphan.request = None;
        assert!(Selection::default().matches(&orphan));
        let by_host = Selection {
            hosts: only("*"),
            ..Selection::default()
        };
        let by_path = Selection {
            paths: only("*"),
            ..Selection::default()
        };
        assert!(!by_host.matches(&orphan) && !by_path.matches(&orphan));
        assert!(by_host.matches(&refused_post()) && by_path.matches(&refused_post()));
    }

    #[test]
    fn hosts_ignore_case_and_a_port_that_is_not_asked_for() {
        let matching = |pattern: &str, host: &str| {
            Selection {
                hosts: only(pattern),
                ..Selection::everything()
            }
            .matches(&get("/", host, 200))
        };
        assert!(matching("shop.EXAMPLE", "Shop.example:8080"));
        assert!(matching("*.example", "a.b.example") && !matching("*.example", "example"));
        assert!(matching("shop.example:8080", "shop.example:8080"));
        assert!(!matching("shop.example:80", "shop.example:8080"));
        assert!(!matching("shop.example:80", "shop.example"));
        assert!(matching("[2001:db8::1]", "[2001:DB8::1]:8080"));
        assert!(matching("2001:db8::1", "[2001:db8::1]"));
        assert!(matching("[2001:db8::1]:80*", "[2001:db8::1]:8080"));
        assert!(!matching("[2001:db8::1]:81", "[2001:db8::1]:8080"));
    }

    #[test]
    fn paths_match_whole_and_without_the_query() {
        let matching = |pattern: &str, target: &str| {
            Selection {
                paths: only(pattern),
                ..Selection::everything()
            }
            .matches(&get(target, "shop.example", 200))
        };
        assert!(matching("/api/*", "/api/v1/orders?x=/other"));
        assert!(!matching("/api/*", "/v1/api/orders"));
        assert!(matching("/{a,b}/?", "/b/1") && !matching("/{a,b}/?", "/b/12"));
        assert!(matching("/orders", "http://shop.example/orders?q") && matching("/", "http://x"));
        assert!(!matching("/API", "/api"));
    }

    #[test]
    fn clients_match_by_any_address_that_is_known() {
        let matching = |pattern: &str, exchange: &Exchange| {
            Selection {
                clients: only(pattern),
                ..Selection::default()
            }
            .matches(exchange)
        };
        let mut exchange = refused_post();
        exchange.client_addresses.push(ClientAddress {
            source: ClientSource::XForwardedFor,
            text: "::ffff:203.0.113.9".to_owned(),
            addr: Some("::ffff:203.0.113.9".parse().unwrap()),
        });
        assert!(matching("10.0.0.0/8", &exchange) && matching("10.0.0.7", &exchange));
        assert!(matching("203.0.113.0/24", &exchange));
        assert!(matching("::ffff:203.0.113.9", &exchange));
        assert!(!matching("192.0.2.0/24", &exchange) && !matching("::/0", &exchange));
        exchange.client_addresses.clear();
        assert!(matching("10.0.0.7", &exchange));
    }

    #[test]
    fn processes_match_by_name_executable_or_pid_at_either_end() {
        let mut exchange = refused_post();
        exchange.server.owner = Some(owner("nginx", 4242, OwnerQuality::Exact));
        exchange.client.owner = Some(owner("curl", 77, OwnerQuality::Guess));
        let matching = |pattern: &str, exchange: &Exchange| {
            Selection {
                processes: only(pattern),
                ..Selection::default()
            }
            .matches(exchange)
        };
        for pattern in ["nginx", "ngin?", "4242", "curl", "77", "/usr/sbin/ngi*"] {
            assert!(matching(pattern, &exchange), "{pattern}");
        }
        for pattern in ["NGINX", "424", "sbin", "node"] {
            assert!(!matching(pattern, &exchange), "{pattern}");
        }
        assert!(!matching("*", &refused_post()), "nobody is known there");
    }

    #[test]
    fn what_is_asked_for_is_said_in_words() {
        let selection = Selection {
            methods: only("any"),
            statuses: vec!["4xx".parse().unwrap(), "500-503".parse().unwrap()],
            hosts: only("*.example"),
            clients: only("10.0.0.0/8"),
            ..Selection::everything()
        };
        assert_eq!(
            selection.to_string(),
            "any method answered 400-499 or 500-503, host *.example, client 10.0.0.0/8"
        );
    }
}
