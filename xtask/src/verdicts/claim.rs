//! What the tool said about a scene, read from its JSON in this one place.

use serde_json::Value;
use tracer_tests::Session;

/// How sure the tool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Confidence {
    #[default]
    Unknown,
    Possible,
    Likely,
    Proven,
}

impl Confidence {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Proven => "proven",
        }
    }

    fn of_word(word: &str) -> Self {
        match word {
            "proven" => Self::Proven,
            "likely" => Self::Likely,
            "possible" => Self::Possible,
            _ => Self::Unknown,
        }
    }
}

/// A verdict; where there is none, everything is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The issuer's address and port.
    pub(crate) address: Option<String>,
    pub(crate) product: Option<String>,
    /// Of the issuer.
    pub(crate) sure_of_issuer: Confidence,
    pub(crate) handling: Option<String>,
    /// The authoriser's address and port.
    pub(crate) delegate: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) sure_of_cause: Confidence,
    /// What limits it and what to do next, one text.
    pub(crate) advice: String,
}

impl Claim {
    /// Reads the `verdict` of a case.
    pub(crate) fn of_verdict(verdict: &Value) -> Self {
        let text = |pointer: &str| {
            let value = verdict.pointer(pointer)?.as_str()?;
            Some(value.to_owned())
        };
        let sure = |pointer: &str| {
            text(pointer).map_or(Confidence::Unknown, |word| Confidence::of_word(&word))
        };
        let mut advice = text("/next_step").unwrap_or_default();
        if let Some(limits) = verdict.get("limits") {
            advice.push_str(&limits.to_string());
        }
        Self {
            address: text("/issuer/address"),
            product: text("/issuer/product"),
            sure_of_issuer: sure("/issuer/confidence"),
            handling: text("/handling"),
            delegate: text("/delegate/address"),
            cause: text("/cause"),
            sure_of_cause: sure("/confidence"),
            advice,
        }
    }
}

/// The case of a session that is about the request for `target` that a client sent from `port`:
/// the one with that client in it, or, where the client's own connection is not seen, the last one
/// with that target, or the last one.
pub(crate) fn pick<'a>(session: &'a Session, port: u16, target: &str) -> Option<&'a Value> {
    let cases = || session.cases.iter().map(|case| &case.0);
    // Where another scene's client is seen, this one's was not missing: it was lost.
    let strangers = || cases().filter(|case| !client_ports(case).any(is_a_scene_port));
    cases()
        .rfind(|case| client_ports(case).any(|p| p == u64::from(port)))
        .or_else(|| strangers().rfind(|case| targets(case).any(|t| t == target)))
        .or_else(|| strangers().next_back())
}

/// The `verdict` of a case, `null` where there is none.
pub(crate) fn verdict(case: Option<&Value>) -> Value {
    case.and_then(|case| case.get("verdict"))
        .cloned()
        .unwrap_or(Value::Null)
}

fn client_ports(case: &Value) -> impl Iterator<Item = u64> + '_ {
    exchanges(case).filter_map(|exchange| exchange.pointer("/client/port")?.as_u64())
}

fn targets(case: &Value) -> impl Iterator<Item = &str> {
    exchanges(case).filter_map(|exchange| exchange.pointer("/request/target/text")?.as_str())
}

/// Every hop, and the reported exchange itself.
fn exchanges(case: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    let hops = case.get("hops").and_then(Value::as_array);
    hops.into_iter().flatten().chain([case])
}

fn is_a_scene_port(port: u64) -> bool {
    (20_000..28_000).contains(&port)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tracer_tests::{Case, Session};

    use super::{Claim, Confidence, pick, verdict};

    #[test]
    fn a_verdict_is_read() {
        let claim = Claim::of_verdict(&json!({
            "issuer": {"hop": 1, "address": "127.0.0.1:8001", "product": "Django",
                       "kind": "framework", "confidence": "proven"},
            "handling": "relayed", "delegate": null, "cause": "csrf-token",
            "confidence": "likely", "limits": ["port 9 is not traced"], "next_step": "Look.",
        }));
        assert_eq!(claim.address.as_deref(), Some("127.0.0.1:8001"));
        assert_eq!(claim.sure_of_issuer, Confidence::Proven);
        assert_eq!(claim.sure_of_cause, Confidence::Likely);
        assert_eq!(claim.delegate, None);
        assert!(claim.advice.contains("port 9") && claim.advice.contains("Look."));
    }

    #[test]
    fn no_verdict_is_unknown() {
        assert_eq!(Claim::of_verdict(&verdict(None)), Claim::default());
    }

    #[test]
    fn the_case_of_a_client_is_found_in_any_hop() {
        let case = |port: u16, hop: u16| {
            let target = format!("/{hop}");
            let hop = json!({"client": {"port": hop}, "request": {"target": {"text": target}}});
            Case(json!({"client": {"port": port}, "hops": [hop]}))
        };
        let session = Session {
            start: json!({}),
            cases: vec![case(1, 20_005), case(2, 20_006), case(3, 4), case(5, 6)],
            summary: json!({}),
        };
        let found = |port, target| pick(&session, port, target).map(|case| &case["client"]["port"]);
        assert_eq!(found(20_005, "/4"), Some(&json!(1)));
        assert_eq!(found(20_006, "/4"), Some(&json!(2)));
        assert_eq!(found(20_007, "/4"), Some(&json!(3)));
        assert_eq!(found(20_007, "/other"), Some(&json!(5)));
    }
}
