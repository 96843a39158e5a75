//! What tshark finds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::corpora::compare::{Bag, Found};
use crate::corpora::index::{Capture, Passes};
use crate::exec;

/// Between the messages of one frame. No value holds it: tshark escapes control characters.
const BETWEEN: char = '\u{1}';

const FIELDS: [&str; 5] = [
    "frame.number",
    "http.request.method",
    "http.request.uri",
    "http.response.code",
    "http.request_in",
];

/// Asks tshark.
///
/// # Errors
/// Where it is not installed, cannot read the capture at all, or hangs.
pub(crate) fn found(capture: &Capture, limit: Duration) -> Result<Found> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "tcp.reassemble_out_of_order:TRUE"]);
    if capture.passes == Passes::Two {
        command.arg("-2");
    }
    command.args(&capture.options);
    // SSDP fills the same fields over UDP.
    command.args(["-Y", "http && tcp", "-T", "fields", "-E", "separator=/t"]);
    command.args(["-E", "occurrence=a", "-E", &format!("aggregator={BETWEEN}")]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    command.arg("-r").arg(Path::new(&capture.path));
    let output = exec::output_within(&mut command, limit)?;
    // 2: the capture is cut short in the middle of a packet; what came before was read.
    if !matches!(output.status.code(), Some(0 | 2)) {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}`: {}: {}",
            exec::line(&command),
            output.status,
            said.trim()
        );
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(text: &str) -> Found {
    let mut found = Found::default();
    let mut requests: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let mut answers: Vec<(&str, &str)> = Vec::new();
    for line in text.lines() {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (frame, methods, uris, codes, asked_in) = (cell(), cell(), cell(), cell(), cell());
        let (methods, uris) = (values(methods), values(uris));
        methods.iter().for_each(|m| found.methods.add(*m));
        uris.iter().for_each(|u| found.urls.add(*u));
        requests
            .entry(frame)
            .or_default()
            .extend(methods.into_iter().zip(uris));
        let codes = values(codes);
        codes.iter().for_each(|c| found.statuses.add(*c));
        answers.extend(values(asked_in).into_iter().zip(codes));
    }
    found.pairs = pairs(requests, answers);
    found
}

/// tshark names the frame of the request only: the requests of a frame are answered in order.
fn pairs(mut requests: BTreeMap<&str, Vec<(&str, &str)>>, answers: Vec<(&str, &str)>) -> Bag {
    let mut pairs = Bag::default();
    for (asked_in, status) in answers {
        if status.starts_with('1') && status != "101" {
            continue;
        }
        if let Some(waiting) = requests.get_mut(asked_in)
            && !waiting.is_empty()
        {
            let (method, uri) = waiting.remove(0);
            pairs.add(format!("{method} {uri} {status}"));
        }
    }
    pairs
}

fn values(cell: &str) -> Vec<&str> {
    if cell.is_empty() {
        return Vec::new();
    }
    cell.split(BETWEEN).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::corpora::compare::Bag;

    #[test]
    fn several_messages_in_a_frame_are_several_messages() {
        let text = "4\tGET\u{1}POST\t/a\u{1}/b\t\t\n\
                    6\t\t\t100\u{1}200\t4\u{1}4\n\
                    7\t\t\t403\t4\n";
        let found = parse(text);
        let mut pairs = Bag::default();
        pairs.add("GET /a 200");
        pairs.add("POST /b 403");
        assert_eq!(found.pairs, pairs);
        let mut statuses = Bag::default();
        ["100", "200", "403"]
            .into_iter()
            .for_each(|s| statuses.add(s));
        assert_eq!(found.statuses, statuses);
    }
}
