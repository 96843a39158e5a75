//! Cases go out: text for a terminal, JSON lines, pcapng.
//!
//! [`Outputs`] hands every case to every [`Sink`], with its secrets already replaced
//! ([`redact`]): a sink cannot forget to. Only packets go to sinks as they crossed the wire.

mod changes;
pub mod escape;
pub mod explain;
mod file;
mod groups;
pub mod json;
pub mod pcapng;
pub mod redact;
pub mod text;
mod words;

use std::fmt;
use std::io;

pub use file::WholeFile;

use crate::model::{Case, Health};
use redact::{Presentable, Redactor, Secrets};

/// A form in which cases go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// For a person at a terminal: [`text::TextSink`].
    Text,
    /// For programs, one JSON object a line: [`json::JsonSink`].
    Json,
    /// The packets of the cases, for Wireshark.
    Pcapng,
}

/// A place where cases go; it may be written to from another thread than the one that made it.
pub trait Sink: Send {
    /// Writes what is known before the first case. By default that is nothing.
    ///
    /// # Errors
    /// Where it could not be written whole.
    fn start(&mut self, _session: &Session) -> io::Result<()> {
        Ok(())
    }

    /// Writes one case.
    ///
    /// # Errors
    /// Where it could not be written whole.
    fn case(&mut self, case: &Case) -> io::Result<()>;

    /// Writes the summary and closes the output; nothing may be written after it.
    ///
    /// # Errors
    /// Where it could not be written whole.
    fn finish(&mut self, health: &Health) -> io::Result<()>;
}

/// What is known of a session before its first case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Version of the tool.
    pub version: &'static str,
    /// Whether traffic is captured or read.
    pub mode: Mode,
    /// What is captured or read: interfaces, the cgroup, or files.
    pub inputs: Vec<String>,
    /// The ports, as the user would write them; `None` where every port counts.
    pub ports: Option<String>,
    /// The filter, in words.
    pub filter: String,
}

/// Where the traffic of a session comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From the kernel, now.
    Live,
    /// From capture files.
    Read,
}

/// Every output of a session.
///
/// A failure ends only the output that failed: the others get what is still to come.
pub struct Outputs {
    open: Vec<Output>,
    redactor: Redactor,
}

struct Output {
    name: String,
    sink: Box<dyn Sink>,
    cases: u64,
}

impl Outputs {
    /// No outputs yet.
    pub fn new(secrets: Secrets) -> Self {
        Self {
            open: Vec::new(),
            redactor: Redactor::new(secrets),
        }
    }

    /// Adds an output. `name` is for error messages: the path, or `standard output`.
    pub fn add(&mut self, name: impl Into<String>, sink: Box<dyn Sink>) {
        self.open.push(Output {
            name: name.into(),
            sink,
            cases: 0,
        });
    }

    /// Whether every output has failed, or there never was one.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Says what is known before the first case.
    ///
    /// # Errors
    /// The first failure; each output that failed gets nothing more.
    pub fn start(&mut self, session: &Session) -> Result<(), OutputError> {
        self.each(|output| output.sink.start(session))
    }

    /// What clears cases for these outputs.
    pub fn redactor(&self) -> Redactor {
        self.redactor.another()
    }

    /// Writes cases to every output, without their secrets unless they are to be shown.
    ///
    /// # Errors
    /// The first failure; each output that failed gets nothing more.
    pub fn cases(&mut self, cases: Vec<Case>) -> Result<(), OutputError> {
        let redactor = &mut self.redactor;
        let cleared = cases.into_iter().map(|case| redactor.present(case));
        let cleared: Vec<_> = cleared.collect();
        self.present(&cleared)
    }

    /// Writes cases that were cleared, by a [`redactor`](Self::redactor) of these outputs, to every
    /// one of them.
    ///
    /// # Errors
    /// The first failure; each output that failed gets nothing more.
    pub fn present(&mut self, cases: &[Presentable]) -> Result<(), OutputError> {
        self.each(|output| {
            cases.iter().try_for_each(|cleared| {
                output.sink.case(cleared.case())?;
                output.cases = output.cases.saturating_add(1);
                Ok(())
            })
        })
    }

    /// Writes the summary to every output and closes them.
    ///
    /// # Errors
    /// The first failure; every output was closed nevertheless.
    pub fn finish(mut self, health: &Health) -> Result<(), OutputError> {
        self.each(|output| output.sink.finish(health))
    }

    fn each(
        &mut self,
        mut write: impl FnMut(&mut Output) -> io::Result<()>,
    ) -> Result<(), OutputError> {
        let mut first = None;
        self.open.retain_mut(|output| match write(output) {
            Ok(()) => true,
            Err(source) => {
                first.get_or_insert(OutputError {
                    name: output.name.clone(),
                    cases: output.cases,
                    source,
                });
                false
            }
        });
        first.map_or(Ok(()), Err)
    }
}

/// An output could not be written.
#[derive(Debug)]
pub struct OutputError {
    name: String,
    cases: u64,
    source: io::Error,
}

impl OutputError {
    /// Whether whoever read the output went away (`tracer403 … | head`): no reason to complain.
    pub fn is_closed_pipe(&self) -> bool {
        self.source.kind() == io::ErrorKind::BrokenPipe
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write {}: {}; ", self.name, self.source)?;
        match self.cases {
            0 => f.write_str("it holds no case"),
            1 => f.write_str("it ends after the first case"),
            n => write!(f, "it ends after case {n} of those it was given"),
        }
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {

    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::testing;

    #[test]
    fn a_failed_output_is_named_and_the_others_go_on() {
        let (log, mut outputs) = two_outputs(Secrets::Redacted);
        outputs
            .cases(vec![testing::case(testing::refused_post())])
            .unwrap();
        let error = outputs
            .cases(vec![testing::case(testing::refused_post())])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot write /x/y: no storage space; it ends after the first case"
        );
        assert!(!error.is_closed_pipe());
        outputs
            .cases(vec![testing::case(testing::refused_post())])
            .unwrap();
        outputs.finish(&Health::default()).unwrap();
        assert_eq!(log.lock().unwrap().join(" "), "full case case case finish");
    }

    #[test]
    fn secrets_are_gone_before_a_sink_sees_them() {
        for (secrets, shown) in [(Secrets::Redacted, false), (Secrets::Shown, true)] {
            let (log, mut outputs) = two_outputs(secrets);
            let mut exchange = testing::refused_post();
            exchange.request = Some(
                testing::request(
                    "POST / HTTP/1.1\r\nAuthorization: Bearer s3cret\r\n\r\n",
                    b"",
                )
                .into(),
            );
            outputs.cases(vec![testing::case(exchange)]).unwrap();
            assert_eq!(log.lock().unwrap().contains(&"s3cret".to_owned()), shown);
        }
    }

    #[test]
    fn a_full_disk_is_told_with_the_path_whatever_the_format() {
        for format in [Format::Text, Format::Json] {
            let full = WholeFile::create(Path::new("/dev/full")).unwrap();
            let mut outputs = Outputs::new(Secrets::Redacted);
            outputs.add("/dev/full", sink(format, full));
            let error = outputs.cases(vec![testing::case(testing::refused_post())]);
            assert_eq!(
                error.unwrap_err().to_string(),
                "cannot write /dev/full: No space left on device (os error 28); it holds no case"
            );
            assert!(outputs.is_empty());
        }
    }

    #[test]
    fn a_reader_that_went_away_is_told_apart() {
        for format in [Format::Text, Format::Json] {
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            let mut outputs = Outputs::new(Secrets::Redacted);
            outputs.add("standard output", sink(format, writer));
            let error = outputs.cases(vec![testing::case(testing::refused_post())]);
            assert!(error.unwrap_err().is_closed_pipe());
        }
    }

    fn sink(format: Format, out: impl io::Write + Send + 'static) -> Box<dyn Sink> {
        let (body_bytes, body_kept) = (1024, 16 << 10);
        match format {
            Format::Text => Box::new(text::TextSink::new(
                out,
                text::TextOptions {
                    colour: false,
                    quiet: false,
                    all: false,
                    verbose: false,
                    zone: jiff::tz::TimeZone::UTC,
                    body_bytes,
                    body_kept,
                },
            )),
            Format::Json => Box::new(json::JsonSink::new(
                out,
                json::JsonOptions {
                    body_bytes,
                    body_kept,
                    secrets: Secrets::Redacted,
                },
            )),
            Format::Pcapng => unreachable!("it has tests of its own"),
        }
    }

    /// One that takes a single case, and one that takes everything and keeps a log.
    fn two_outputs(secrets: Secrets) -> (Arc<Mutex<Vec<String>>>, Outputs) {
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut outputs = Outputs::new(secrets);
        outputs.add("/x/y", Box::new(Full(Arc::clone(&log), false)));
        outputs.add("standard output", Box::new(Log(Arc::clone(&log))));
        (log, outputs)
    }

    struct Log(Arc<Mutex<Vec<String>>>);

    impl Sink for Log {
        fn case(&mut self, case: &Case) -> io::Result<()> {
            self.0.lock().unwrap().push("case".to_owned());
            let head = &case.exchange().request.as_ref().unwrap().message.head;
            if let Some(value) = head.value("authorization") {
                let value = String::from_utf8_lossy(value);
                self.0.lock().unwrap().push(value.replace("Bearer ", ""));
            }
            Ok(())
        }

        fn finish(&mut self, _health: &Health) -> io::Result<()> {
            self.0.lock().unwrap().push("finish".to_owned());
            Ok(())
        }
    }

    struct Full(Arc<Mutex<Vec<String>>>, bool);

    impl Sink for Full {
        fn case(&mut self, _case: &Case) -> io::Result<()> {
            if self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1 = true;
            self.0.lock().unwrap().push("full".to_owned());
            Ok(())
        }

        fn finish(&mut self, _health: &Health) -> io::Result<()> {
            panic!("a sink that failed gets nothing more");
        }
    }
}
