//! Everything: a capture in, cases and outputs out.

use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use tracer403::evidence::fingerprint::Fingerprints;
use tracer403::limits::Limits;
use tracer403::model::{Case, Health};
use tracer403::output::json::{JsonOptions, JsonSink};
use tracer403::output::pcapng::PcapngSink;
use tracer403::output::redact::Secrets;
use tracer403::output::text::{TextOptions, TextSink};
use tracer403::output::{Mode, Outputs, Session};
use tracer403::pipeline::{Options, Pipeline};
use tracer403::select::Selection;
use tracer403::source::pcap::CaptureFile;
use tracer403::source::{Record, Source};

use crate::capture::{Portions, with_header};

/// A capture file of any format; what has no header gets that of a pcap file. Read twice, in
/// portions of different sizes: both have to come to the same outputs.
pub fn pipeline(data: &[u8]) {
    let data = with_header(data);
    let whole = run(Box::new(Cursor::new(data.clone())));
    whole.check();
    let in_portions = run(Box::new(Portions(Cursor::new(data))));
    assert!(whole == in_portions, "the outputs differ");
}

/// Read once: the table is the same for every input.
static FINGERPRINTS: LazyLock<Arc<Fingerprints>> =
    LazyLock::new(|| Arc::new(Fingerprints::built_in().unwrap_or_default()));

#[derive(Default, PartialEq)]
struct Outcome {
    cases: u64,
    packets: usize,
    health: Health,
    text: Vec<u8>,
    json: Vec<u8>,
    pcapng: Vec<u8>,
}

fn run(reader: Box<dyn Read + Send>) -> Outcome {
    let limits = Limits {
        connections: 4,
        out_of_order: 2_000,
        head: 1_000,
        look: 200,
        fields: 20,
        body_kept: 200,
        body_decoded: 400,
        pipeline: 4,
        interim: 2,
        settle: Duration::from_millis(1),
        owners: 4,
        packets_per_connection: 4_000,
        packets: 8_000,
        memory: 30_000,
        recent: 8_000,
        hops: 2,
        routes: 2,
        ..Limits::default()
    };
    let (body_bytes, body_kept) = (100, limits.body_kept);
    let mut pipeline = Pipeline::new(Options {
        limits,
        ports: None,
        selection: Selection::everything(),
        fingerprints: Arc::clone(&FINGERPRINTS),
        no_verdict: false,
        keep_packets: true,
    });
    let [text, json, pcapng] = [Shared::default(), Shared::default(), Shared::default()];
    let mut outputs = Outputs::new(Secrets::Redacted);
    let text_options = TextOptions {
        colour: false,
        quiet: false,
        all: false,
        verbose: true,
        zone: TimeZone::UTC,
        body_bytes,
        body_kept,
    };
    let json_options = JsonOptions {
        body_bytes,
        body_kept,
        secrets: Secrets::Redacted,
    };
    outputs.add("text", Box::new(TextSink::new(text.clone(), text_options)));
    outputs.add("json", Box::new(JsonSink::new(json.clone(), json_options)));
    outputs.add("pcapng", Box::new(PcapngSink::new(pcapng.clone())));
    let session = Session {
        version: "0",
        mode: Mode::Read,
        inputs: vec!["fuzz".to_owned()],
        ports: None,
        filter: "everything".to_owned(),
    };
    outputs.start(&session).expect("memory takes it");

    let mut outcome = Outcome::default();
    let mut hand_out = |case: Case| {
        outcome.cases += 1;
        outcome.packets += case.packets.len();
        assert_eq!(case.number, outcome.cases);
        outputs.cases(vec![case]).expect("memory takes it");
    };
    if let Ok(mut file) = CaptureFile::from_reader("fuzz", reader) {
        while let Ok(true) = file.next(&mut |record| pipeline.push(record)) {
            while let Some(case) = pipeline.next_case() {
                hand_out(case);
            }
        }
    }
    pipeline.finish();
    while let Some(case) = pipeline.next_case() {
        hand_out(case);
    }
    outcome.health = pipeline.health();
    outputs.finish(&outcome.health).expect("memory takes it");
    Outcome {
        text: text.take(),
        json: json.take(),
        pcapng: pcapng.take(),
        ..outcome
    }
}

impl Outcome {
    fn check(&self) {
        let health = &self.health;
        assert_eq!(health.cases, self.cases);
        assert!(health.cases <= health.exchanges);
        assert!(health.not_tcp + health.malformed <= health.packets);
        let text = std::str::from_utf8(&self.text).expect("text is UTF-8");
        if let Some(hidden) = text.chars().find(|c| *c != '\n' && is_dangerous(*c)) {
            panic!("{hidden:?} in the text");
        }
        let mut types = Vec::new();
        for line in self.json.split_inclusive(|b| *b == b'\n') {
            let value: serde_json::Value = serde_json::from_slice(line).expect("a JSON value");
            assert!(line.ends_with(b"\n"));
            types.push(value["type"].as_str().unwrap_or_default().to_owned());
        }
        let cases = vec!["case".to_owned(); self.cases as usize];
        let expected = [&["start".to_owned()][..], &cases, &["summary".to_owned()]].concat();
        assert_eq!(types, expected);
        self.check_written();
    }

    /// What `-w` writes can be read, to the last packet.
    fn check_written(&self) {
        let reader = Box::new(Cursor::new(self.pcapng.clone()));
        let mut file = CaptureFile::from_reader("written", reader).expect("a capture");
        let mut packets = 0;
        let mut more = true;
        while more {
            let mut count = |record: Record<'_>| {
                packets += usize::from(matches!(record, Record::Packet(_)));
            };
            more = file.next(&mut count).expect("undamaged");
        }
        assert_eq!(packets, self.packets);
    }
}

/// What a terminal obeys: control characters, and those that change the order in which text reads.
fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Bytes in memory.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_inputs_reach_every_stage() {
        let outcome = |input: &[u8]| run(Box::new(Cursor::new(input.to_vec())));
        let refused = outcome(include_bytes!("../corpus/pipeline/keep-alive"));
        assert_eq!((refused.cases, refused.packets), (2, 7));
        let coded = outcome(include_bytes!("../corpus/pipeline/coded"));
        assert!(coded.json.windows(6).any(|w| w == b"denied"));
        let evicted = outcome(include_bytes!("../corpus/pipeline/evicted")).health;
        assert!(evicted.evicted_connections > 0);
        let gaps = outcome(include_bytes!("../corpus/pipeline/gaps")).health;
        assert!(gaps.gaps > 0 && gaps.cut > 0);
    }
}
