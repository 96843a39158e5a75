//! A load from its beginning to its end, watched all the time.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::stand::{PORT, Stand};
use super::watcher;
use crate::bench::Bench;
use crate::bench::report::Table;
use crate::exec;

/// A load from its beginning to its end, watched all the time.
#[derive(Debug, Serialize)]
pub(super) struct Watched {
    seconds: u64,
    requests: u64,
    refused: u64,
    reported: u64,
    lost: u64,
    /// Refusals that were neither reported nor can be behind what was counted as lost.
    pub(super) unaccounted: u64,
    /// The resident memory in bytes, once a second.
    resident: Vec<u64>,
}

impl Watched {
    /// Traces while wrk sends for so many seconds.
    pub(super) fn run(
        bench: &Bench,
        stand: &Stand,
        path: &str,
        connections: u32,
        seconds: u64,
    ) -> Result<Self> {
        let mut counter = stand.counter()?;
        let before = counter.requests()?;
        let (_, log) = stand.refusals_since(0)?;
        let watcher = watcher::Running::start(stand, bench, watcher::HOLD)?;
        let mut load = stand.load(PORT, path, connections, seconds)?;
        let mut resident = Vec::new();
        for _ in 0..seconds {
            thread::sleep(Duration::from_secs(1));
            resident.push(watcher.resident_bytes()?);
        }
        watcher::wait(&mut load, seconds)?;
        let reported = watcher.stop()?;
        let (refusals, _) = stand.refusals_since(log)?;
        let found = refusals
            .iter()
            .filter(|refusal| reported.ids.contains(&refusal.id));
        let found = found.count() as u64;
        let refused = refusals.len() as u64;
        exec::say(&format!(
            "bench: {path}, {connections} connections: {refused} refused, {found} reported; {} records lost",
            reported.lost
        ))?;
        Ok(Self {
            seconds,
            requests: (counter.requests()? - before).saturating_sub(1),
            refused,
            reported: found,
            lost: reported.lost,
            unaccounted: (refused - found).saturating_sub(reported.lost),
            resident,
        })
    }

    /// By how much the memory of the last third is above that of the second: a session keeps what
    /// it needs for a while, so the first third grows.
    pub(super) fn growth(&self) -> Option<f64> {
        let third = self.resident.len() / 3;
        let most = |from: usize| self.resident.iter().skip(from).take(third).max();
        Some(*most(2 * third)? as f64 / *most(third)? as f64)
    }

    pub(super) fn table(&self, seconds: u64) -> Table {
        let most = self.resident.iter().max().copied().unwrap_or_default();
        Table {
            title: format!("Everything refused, for {seconds} s"),
            columns: &["what", "number"],
            rows: [
                ("refused a second", self.refused / seconds.max(1)),
                ("refused", self.refused),
                ("reported", self.reported),
                ("records lost, as counted", self.lost),
                ("refusals neither reported nor counted", self.unaccounted),
                ("most resident memory, MB", most / 1_000_000),
            ]
            .map(|(what, number)| vec![what.to_owned(), number.to_string()])
            .to_vec(),
            notes: Vec::new(),
        }
    }
}

/// Loss against rate.
pub(super) fn losses(sessions: &[Watched]) -> Table {
    let row = |watched: &Watched| {
        [
            watched.requests / watched.seconds,
            watched.refused / watched.seconds,
            watched.refused,
            watched.reported,
            watched.lost,
            watched.unaccounted,
        ]
        .map(|number| number.to_string())
        .to_vec()
    };
    Table {
        title: "Loss against rate".to_owned(),
        columns: &[
            "requests/s",
            "refusals/s",
            "refused",
            "reported",
            "records lost, as counted",
            "neither reported nor counted",
        ],
        rows: sessions.iter().map(row).collect(),
        notes: Vec::new(),
    }
}
