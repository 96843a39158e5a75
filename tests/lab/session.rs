//! What the tool reported: its JSON lines, read in this one place.

use std::collections::BTreeMap;

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
        let mut start = None;
        let mut cases = Vec::new();
        let mut summary = None;
        for (number, line) in lines.lines().enumerate() {
            let value: Value = serde_json::from_str(line)
                .with_context(|| format!("line {} is not JSON: {line}", number + 1))?;
            if summary.is_some() {
                bail!("line {} comes after the summary", number + 1);
            }
            match value.get("type").and_then(Value::as_str) {
                Some("start") if start.is_none() => start = Some(value),
                Some("case") if start.is_some() => cases.push(Case(value)),
                Some("summary") if start.is_some() => summary = Some(value),
                other => bail!("line {}: unexpected type {other:?}", number + 1),
            }
        }
        Ok((start.context("there is no start line")?, cases, summary))
    }

    /// Records that were lost on the way to the tool, whatever the cause.
    pub fn lost(&self) -> u64 {
        let lost = self
            .summary
            .pointer("/health/lost")
            .or(self.summary.get("lost"));
        match lost {
            Some(Value::Array(places)) => places.iter().map(count_in).sum(),
            Some(Value::Object(places)) => places.values().filter_map(Value::as_u64).sum(),
            Some(value) => value.as_u64().unwrap_or_default(),
            None => 0,
        }
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

fn count_in(place: &Value) -> u64 {
    place
        .get("count")
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

/// One reported exchange.
#[derive(Clone, Debug)]
pub struct Case(pub Value);

impl Case {
    /// The request's method.
    pub fn method(&self) -> Option<&str> {
        self.text("/request/method")
    }

    /// The request's target, as written.
    pub fn target(&self) -> Option<&str> {
        self.text("/request/target")
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

    fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer).and_then(Value::as_str)
    }

    fn header(&self, pointer: &str, name: &str) -> Option<&str> {
        self.0
            .pointer(pointer)?
            .as_array()?
            .iter()
            .find_map(|field| {
                let same = field.get("name")?.as_str()?.eq_ignore_ascii_case(name);
                same.then(|| field.get("value")?.as_str())?
            })
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
