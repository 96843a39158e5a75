//! Less evidence never makes a verdict surer: from every case of every committed capture each piece
//! of evidence is removed, alone and together with others, and the verdict is made again.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test and its helpers"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracer403::diagnose;
use tracer403::evidence::fingerprint::Fingerprints;
use tracer403::model::{Case, Confidence, Evidence, Verdict};
use tracer403::pipeline::{Options, Pipeline};
use tracer403::source::Source;
use tracer403::source::pcap::CaptureFile;

#[test]
fn removing_evidence_never_raises_confidence() {
    let (mut cases, mut verdicts) = (0, 0);
    let mut raised = Vec::new();
    for file in captures() {
        for case in read(&file) {
            cases += 1;
            verdicts += check(&case, &file, &mut raised);
        }
    }
    println!("{cases} cases, {verdicts} verdicts with less evidence");
    assert!(cases >= 10, "only {cases} cases");
    assert!(raised.is_empty(), "{}", raised.join("\n"));
}

/// How many verdicts were made.
fn check(case: &Case, file: &Path, raised: &mut Vec<String>) -> usize {
    let whole = sureness(&diagnose::verdict(&case.chain, &case.evidence));
    let count = case.evidence.len();
    // Alone, and each with a varying set of others.
    let singles = (0..count).map(|i| vec![i]);
    let sets = (0..count).flat_map(|i| {
        let step = i % 5 + 2;
        [2, 3].map(|more| (0..more).map(|n| (i + n * step) % count).collect())
    });
    let mut made = 0;
    for removed in singles.chain(sets) {
        let left: Vec<Evidence> = kept(&case.evidence, &removed);
        let verdict = diagnose::verdict(&case.chain, &left);
        let ids: Vec<_> = removed.iter().map(|i| &case.evidence[*i].id).collect();
        let (issuer, cause) = sureness(&verdict);
        if issuer > whole.0 || cause > whole.1 {
            raised.push(format!(
                "{}, case {}: without {ids:?} it is {issuer:?} and {cause:?}, with it {whole:?}",
                file.display(),
                case.number
            ));
        }
        made += 1;
    }
    made
}

fn kept(evidence: &[Evidence], removed: &[usize]) -> Vec<Evidence> {
    let all = evidence.iter().enumerate();
    all.filter(|(i, _)| !removed.contains(i))
        .map(|(_, e)| e.clone())
        .collect()
}

/// Of the issuer and of the cause.
fn sureness(verdict: &Verdict) -> (Confidence, Confidence) {
    let cause = verdict.cause().map(|f| f.confidence);
    (verdict.issuer.confidence, cause.unwrap_or_default())
}

fn read(file: &Path) -> Vec<Case> {
    let mut pipeline = Pipeline::new(Options {
        fingerprints: Arc::new(Fingerprints::built_in().unwrap()),
        ..Options::default()
    });
    let mut capture = CaptureFile::open(file.to_str().unwrap()).unwrap();
    while capture.next(&mut |record| pipeline.push(record)).unwrap() {}
    pipeline.finish();
    std::iter::from_fn(|| pipeline.next_case()).collect()
}

/// Every committed capture, in the order of the paths.
fn captures() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for root in ["cases", "stages"] {
        collect(&here.join(root), &mut found);
    }
    found.sort();
    found
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path
            .extension()
            .is_some_and(|e| e == "pcap" || e == "pcapng")
        {
            found.push(path);
        }
    }
}
