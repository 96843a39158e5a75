//! Every input that is kept, whole, cut at any byte, with bytes changed, and plain noise: without
//! the fuzzing engine, and the same on each run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tracer_fuzz::{TARGETS, Target};

/// Changed bytes, inputs of noise and cuts for each kept input or target.
const TRIES: usize = 2_000;
/// What is kept elsewhere and is an input too.
const ELSEWHERE: &[(&str, &str)] = &[("h1", "../tracer/tests/transcripts")];

#[test]
fn corpus() {
    for target in TARGETS {
        let inputs = corpus_of(target.0);
        assert!(!inputs.is_empty(), "corpus/{} is empty", target.0);
        for (path, input) in inputs {
            println!("{}", path.display());
            attempt(*target, &input);
        }
    }
}

#[test]
fn cuts() {
    each(|target, input, _| {
        let step = (input.len() / TRIES).max(1);
        for cut in (0..input.len()).step_by(step) {
            attempt(target, &input[..cut]);
        }
    });
}

#[test]
fn changed_bytes() {
    each(|target, input, random| {
        let mut changed = input.to_vec();
        for _ in 0..TRIES.min(input.len() * 8) {
            let at = random.below(input.len());
            changed[at] = match random.below(4) {
                0 => 0,
                1 => 0xff,
                2 => input[at] ^ (1 << random.below(8)),
                _ => random.below(256) as u8,
            };
            attempt(target, &changed);
            // Now and then the changes add up.
            if random.below(8) != 0 {
                changed[at] = input[at];
            }
        }
    });
}

#[test]
fn noise() {
    for target in TARGETS {
        let mut random = Random::new(target.0);
        for _ in 0..TRIES {
            let len = random.below(512);
            let input: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
            attempt(*target, &input);
        }
    }
}

#[test]
fn every_target_has_its_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| -> BTreeSet<String> {
        fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for name in &targets {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name}"
        );
    }
}

/// Runs `damage` for each kept input that is not empty.
fn each(damage: impl Fn(Target, &[u8], &mut Random)) {
    for target in TARGETS {
        for (path, input) in corpus_of(target.0) {
            println!("{}", path.display());
            if !input.is_empty() {
                damage(*target, &input, &mut Random::new(target.0));
            }
        }
    }
}

/// Runs a target on an input, which is kept where it fails.
fn attempt((name, run): Target, input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| run(input)) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("failed-{name}"));
        fs::write(&kept, input).unwrap();
        println!("the input is kept as {}", kept.display());
        std::panic::resume_unwind(panic);
    }
}

/// The kept inputs of a target, in the order of their names.
fn corpus_of(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let elsewhere = ELSEWHERE.iter().filter(|(target, _)| *target == name);
    let folders = elsewhere.map(|(_, folder)| (*folder).to_owned());
    let mut paths: Vec<_> = folders
        .chain([format!("corpus/{name}")])
        .flat_map(|folder| files(&folder))
        .collect();
    paths.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    paths.into_iter().map(read).collect()
}

/// The files of a folder, given from the root of this package.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    // Of a transcript, the file beside it is what is expected of it.
    paths
        .filter(|path| path.extension().is_none_or(|e| e == "http"))
        .collect()
}

/// Numbers that look random and are the same on each run (xorshift64).
struct Random(u64);

impl Random {
    fn new(seed: &str) -> Self {
        Self(seed.bytes().fold(0x9e37_79b9_7f4a_7c15, |s, b| {
            (s ^ u64::from(b)).rotate_left(9)
        }))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound.max(1)
    }
}
