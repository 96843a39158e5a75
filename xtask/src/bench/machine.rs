//! What it was measured on.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use crate::exec;

/// A machine and the programs on it.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    /// Other work on it, as the load average of the minute before.
    load: String,
    /// The day, in UTC.
    date: String,
    programs: Vec<String>,
}

/// How to ask each program which it is; the first line that names a version counts.
const VERSIONS: &[(&str, &str)] = &[
    ("rustc", "--version"),
    ("nginx", "-v"),
    ("wrk", "-v"),
    ("tcpdump", "--version"),
    ("ngrep", "-V"),
    ("tcpflow", "--version"),
    ("httpry", "-h"),
    ("tshark", "--version"),
];

impl Machine {
    pub(super) fn here() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let kib = field(&meminfo, "MemTotal").and_then(|v| v.split(' ').next()?.parse().ok());
        Ok(Self {
            cpu: field(&cpuinfo, "model name")
                .unwrap_or("unknown")
                .to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: kib.unwrap_or(0_u64).div_ceil(1 << 20),
            // What follows the first three numbers is its builder's business.
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .split(|c: char| !c.is_ascii_digit() && c != '.')
                .next()
                .unwrap_or_default()
                .to_owned(),
            load: fs::read_to_string("/proc/loadavg")?
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            date: exec::output(Command::new("date").args(["-u", "+%F"]))?
                .trim()
                .to_owned(),
            programs: VERSIONS
                .iter()
                .filter_map(|(p, how)| version(p, how))
                .collect(),
        })
    }

    /// Two sentences.
    pub(super) fn text(&self) -> String {
        format!(
            "{}, {} cores, {} GiB, Linux {}; load before: {}; {}.\nPrograms: {}.",
            self.cpu,
            self.cores,
            self.memory_gib,
            self.kernel,
            self.load,
            self.date,
            self.programs.join(", ")
        )
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// `nginx 1.22.1`; many programs say it where they say what they were given wrongly.
fn version(program: &str, how: &str) -> Option<String> {
    let output = Command::new(program).arg(how).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let number = said
        .split(|c: char| c.is_whitespace() || "/:,()".contains(c))
        .map(|word| word.trim_start_matches(['v', 'V']))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))?;
    Some(format!("{program} {number}"))
}

#[cfg(test)]
mod tests {
    use super::{field, version};

    #[test]
    fn fields_of_proc_are_found() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n";
        assert_eq!(field(text, "model name"), Some("A CPU @ 2 GHz"));
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn a_program_that_is_not_there_has_no_version() {
        assert_eq!(version("tracer403-no-such-program", "--version"), None);
        assert!(version("rustc", "--version").is_some_and(|v| v.starts_with("rustc 1.")));
    }
}
