//! What the tool reported: its JSON lines, read in this one place.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A whole session: the start line, the cases, the summary.
#[derive(Clone, Debug)]
pub struct Session {
    /// The line that names what was attached or read.
    pub start: Value,
    /// The reported exchanges, in order.
    pub cases: Vec<Case>,
    /// The counts at the end.
    pub summary: Value,
}

impl Session {
    /// Reads the JSON lines of a session that ended in order.
    ///
    /// # Errors
    /// Where a line is no JSON object, the first is not the start or the last not the summary.
    pub fn parse(lines: &str) -> Result<Self> {
        let (start, cases, summary) = Self::parse_unfinished(lines)?;
        Ok(Self {
            start,
            cases,
            summary: summary.context("the last line is no summary")?,
        })
    }

    /// As [`Session::parse`]; the summary may be missing, but every line must be whole.
    ///
    /// # Errors
    /// Where a line is no JSON object or the first is not the start.
    pub fn parse_unfinished(lines: &str) -> Result<(Value, Vec<Case>, Option<Value>)> {
        let mut cases = Vec::new();
        let (start, summary) = read(lines.as_bytes(), |case| cases.push(case))?;
        Ok((start, cases, summary))
    }

    /// Reads a session whose cases are too many to keep: each is handed over as it comes, and the
    /// session that is returned has none.
    ///
    /// # Errors
    /// As [`Session::parse`].
    pub fn stream(lines: impl BufRead, each: impl FnMut(Case)) -> Result<Self> {
        let (start, summary) = read(lines, each)?;
        Ok(Self {
            start,
            cases: Vec::new(),
            summary: summary.context("the last line is no summary")?,
        })
    }

    /// Records that were lost on the way to the tool, whatever the cause.
    pub fn lost(&self) -> u64 {
        let places = self
            .summary
            .pointer("/not_seen/lost")
            .and_then(Value::as_array);
        places
            .into_iter()
            .flatten()
            .filter_map(|place| place.get("records")?.as_u64())
            .sum()
    }

    /// The cases by the id that their request carried.
    ///
    /// # Errors
    /// Where an id comes twice or a request has none.
    pub fn by_request_id(&self) -> Result<BTreeMap<&str, &Case>> {
        let mut found = BTreeMap::new();
        for case in &self.cases {
            let id = case
                .request_id()
                .with_context(|| format!("no request id: {case:?}"))?;
            if found.insert(id, case).is_some() {
                bail!("request {id} is reported twice");
            }
        }
        Ok(found)
    }
}

/// Reads lines in their order: the start, cases, at most one summary.
fn read(lines: impl BufRead, mut each: impl FnMut(Case)) -> Result<(Value, Option<Value>)> {
    let mut start = None;
    let mut summary = None;
    for (number, line) in lines.lines().enumerate() {
        let line = line?;
        let number = number + 1;
        let value: Value = serde_json::from_str(&line)
            .with_context(|| format!("line {number} is not JSON: {line}"))?;
        if summary.is_some() {
            bail!("line {number} comes after the summary");
        }
        match value.get("type").and_then(Value::as_str) {
            Some("start") if start.is_none() => start = Some(value),
            Some("case") if start.is_some() => each(Case(value)),
            Some("summary") if start.is_some() => summary = Some(value),
            other => bail!("line {number}: unexpected type {other:?}"),
        }
    }
    Ok((start.context("there is no start line")?, summary))
}

/// One reported exchange.
#[derive(Clone, Debug)]
pub struct Case(pub Value);

impl Case {
    /// The request's method.
    pub fn method(&self) -> Option<&str> {
        wire_text(self.0.pointer("/request/method")?)
    }

    /// The request's target, as written.
    pub fn target(&self) -> Option<&str> {
        wire_text(self.0.pointer("/request/target")?)
    }

    /// The final answer's status.
    pub fn status(&self) -> Option<u64> {
        self.0.pointer("/response/status").and_then(Value::as_u64)
    }

    /// The statuses of the answers before the final one (1xx).
    pub fn interim_statuses(&self) -> Vec<u64> {
        let interim = self.0.get("interim").and_then(Value::as_array);
        interim
            .into_iter()
            .flatten()
            .filter_map(|answer| answer.get("status")?.as_u64())
            .collect()
    }

    /// The id that the client gave the request, in `X-Request-Id`.
    pub fn request_id(&self) -> Option<&str> {
        self.request_header("x-request-id")
    }

    /// A header of the request.
    pub fn request_header(&self, name: &str) -> Option<&str> {
        self.header("/request/headers", name)
    }

    /// A header of the final answer.
    pub fn response_header(&self, name: &str) -> Option<&str> {
        self.header("/response/headers", name)
    }

    /// The process at the client's end.
    pub fn client(&self) -> Option<Owner<'_>> {
        self.owner("/client/process")
    }

    /// The process at the server's end.
    pub fn server(&self) -> Option<Owner<'_>> {
        self.owner("/server/process")
    }

    /// Whether an anomaly of this name was noted.
    pub fn has_anomaly(&self, name: &str) -> bool {
        self.0
            .get("anomalies")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().any(|a| a.as_str() == Some(name)))
    }

    fn header(&self, pointer: &str, name: &str) -> Option<&str> {
        let fields = self.0.pointer(pointer)?.as_array()?;
        let field = fields.iter().find(|field| {
            let named = field.get("name").and_then(wire_text);
            named.is_some_and(|n| n.eq_ignore_ascii_case(name))
        })?;
        wire_text(field.get("value")?)
    }

    fn owner(&self, pointer: &str) -> Option<Owner<'_>> {
        let owner = self.0.pointer(pointer)?;
        Some(Owner {
            pid: owner.get("pid")?.as_u64()?,
            comm: owner
                .get("comm")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            quality: owner
                .get("quality")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        })
    }
}

/// Text from the wire; its bytes in base64 where they are not UTF-8.
fn wire_text(value: &Value) -> Option<&str> {
    value.get("text").or_else(|| value.get("base64"))?.as_str()
}

/// A process at one end, as reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Its process id.
    pub pid: u64,
    /// Its name.
    pub comm: &'a str,
    /// How this is known: `exact`, `relaxed` or `guess`.
    pub quality: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Owner, Session};

    #[test]
    fn a_session_is_read() {
        let case = json!({
            "type": "case",
            "request": {
                "method": {"text": "POST"},
                "target": {"base64": "L/8="},
                "headers": [{"name": {"text": "X-Request-ID"}, "value": {"text": "r-1"}}],
            },
            "interim": [{"status": 100}],
            "response": {"status": 403, "headers": []},
            "server": {"process": {"pid": 7, "comm": "nginx", "quality": "exact"}},
            "client": {"process": null},
            "anomalies": ["early_response"],
        });
        let summary = json!({"type": "summary", "not_seen": {"lost": [
            {"place": "ring_packet", "records": 2}, {"place": "ring_owner", "records": 3},
        ]}});
        let lines = format!("{}\n{case}\n{summary}\n", json!({"type": "start"}));
        let session = Session::parse(&lines).unwrap();
        assert_eq!(session.lost(), 5);
        let case = session.by_request_id().unwrap()["r-1"];
        assert_eq!(
            (
                case.method(),
                case.target(),
                case.status(),
                case.interim_statuses()
            ),
            (Some("POST"), Some("L/8="), Some(403), vec![100])
        );
        assert!(case.has_anomaly("early_response") && !case.has_anomaly("gap"));
        let nginx = Owner {
            pid: 7,
            comm: "nginx",
            quality: "exact",
        };
        assert_eq!((case.server(), case.client()), (Some(nginx), None));
    }

    #[test]
    fn a_session_without_its_end_is_not_whole() {
        assert!(Session::parse("{\"type\":\"start\"}\n").is_err());
        assert!(Session::parse_unfinished("{\"type\":\"start\"}\n").is_ok());
        assert!(Session::parse_unfinished("{\"type\":\"start\"}\n{\"typ").is_err());
    }
}
