//! The programs that read captures, each asked for the least that it can do.

use std::path::Path;

use super::measure::Program;
use crate::exec;

/// Runs of the programs that take minutes.
const SLOW_ROUNDS: u32 = 1;

/// The tool, with each number of threads that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    One,
    Two,
}

/// Those that are here, and the names of those that are not.
pub(super) struct Contestants {
    pub(super) programs: Vec<Program>,
    pub(super) missing: Vec<&'static str>,
}

impl Contestants {
    /// The tool comes first.
    pub(super) fn find(tracer: &Path, suricata: &Path, alone: bool) -> Self {
        let mut programs = Vec::from(ours(tracer));
        let mut missing = Vec::new();
        if !alone {
            for peer in peers() {
                if exec::in_path(&peer.command.get_program().to_string_lossy()) {
                    programs.push(peer);
                } else {
                    missing.push(peer.name);
                }
            }
            match suricata_in(suricata) {
                Some(program) => programs.push(program),
                None => missing.push("Suricata"),
            }
        }
        Self { programs, missing }
    }

    /// What is said of the missing ones below a table.
    pub(super) fn note(&self) -> Option<String> {
        (!self.missing.is_empty()).then(|| {
            format!(
                "Not installed, so not measured: {} (`cargo xtask setup --bench`).",
                self.missing.join(", ")
            )
        })
    }
}

/// What the tool's row is called.
pub(super) const fn name(threads: Threads) -> &'static str {
    match threads {
        Threads::One => "tracer403, 1 thread",
        Threads::Two => "tracer403, 2 threads",
    }
}

/// What the tool's row is called where it comes to no verdicts.
pub(super) const fn unjudged(threads: Threads) -> &'static str {
    match threads {
        Threads::One => "tracer403, no verdicts, 1 thread",
        Threads::Two => "tracer403, no verdicts, 2 threads",
    }
}

fn ours(tracer: &Path) -> [Program; 4] {
    let one = ["read", "--json", "--threads", "1", "--no-verdict"];
    let two = ["read", "--json", "--threads", "2", "--no-verdict"];
    [
        Program::new(name(Threads::One), tracer, &one[..4]),
        Program::new(name(Threads::Two), tracer, &two[..4]),
        Program::new(unjudged(Threads::One), tracer, &one),
        Program::new(unjudged(Threads::Two), tracer, &two),
    ]
}

fn peers() -> Vec<Program> {
    vec![
        // What reading the file alone costs.
        Program::new("cat", "cat", &[]),
        // Looks at each packet by itself; prints a mark for each that does not match.
        Program::new("ngrep", "ngrep", &["403 Forbidden", "-I"]),
        // The same without the marks.
        Program::new("ngrep -q", "ngrep", &["-q", "403 Forbidden", "-I"]),
        // Prints packets as they come.
        Program::new("tcpflow, printing", "tcpflow", &["-C", "-r"]),
        // Writes each direction of each connection to a file.
        Program::new("tcpflow, to files", "tcpflow", &["-r"]),
        // Prints a line for each packet that begins a message.
        Program::new("httpry", "httpry", &["-q", "-r"]),
        Program {
            rounds: SLOW_ROUNDS,
            ..Program::new("tshark", "tshark", &["-n", "-Y", "http", "-r"])
        },
    ]
}

/// Suricata from a root directory of its own, as `setup --bench` makes it: with that directory's
/// loader and libraries, logging HTTP and nothing else, with no rules.
fn suricata_in(root: &Path) -> Option<Program> {
    let binary = root.join("usr/bin/suricata");
    binary.is_file().then(|| {
        let mut program = Program::new("Suricata", root.join(LOADER), &[]);
        program
            .command
            .arg("--library-path")
            .arg(root.join(LIBRARIES))
            .arg(binary)
            .arg("-c")
            .arg(exec::root().join("xtask/src/bench/suricata.yaml"))
            .args(["-k", "none", "-S", "/dev/null", "-l", ".", "-r"]);
        program.rounds = SLOW_ROUNDS;
        program
    })
}

const LOADER: &str = "lib64/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
