//! The captures that are read, made where they are not there.

mod pcap;
mod posts;
mod real;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::exec;
pub(super) use posts::{Load, refused};

/// A capture.
pub(super) struct Capture {
    /// For the title of its table.
    pub(super) what: String,
    pub(super) path: PathBuf,
    /// What must be found in it, where that is known.
    pub(super) truth: Option<Truth>,
}

/// What a generated capture holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) exchanges: u64,
    pub(super) refused: u64,
}

impl Capture {
    /// Many POSTs, or large answers to some.
    pub(super) fn generated(directory: &Path, name: &str, load: Load) -> Result<Self> {
        let name = format!("{name}-{}.pcap", load.exchanges);
        let path = made(directory.join(name), |path| posts::write(path, load))?;
        let megabytes = std::fs::metadata(&path)?.len() / 1_000_000;
        Ok(Self {
            what: format!(
                "{} POST exchanges, 1 % refused, {megabytes} MB",
                load.exchanges
            ),
            path,
            truth: Some(Truth {
                exchanges: load.exchanges,
                refused: refused(load.exchanges),
            }),
        })
    }

    /// The captures of a folder, one after the other, again and again up to a size that can be
    /// measured.
    pub(super) fn real(directory: &Path, corpora: &Path) -> Result<Self> {
        let path = made(directory.join("real.pcap"), |path| {
            real::write(path, corpora)
        })?;
        let megabytes = std::fs::metadata(&path)?.len() / 1_000_000;
        Ok(Self {
            what: format!("real captures, one after the other, {megabytes} MB"),
            path,
            truth: None,
        })
    }

    pub(super) fn bytes(&self) -> Result<u64> {
        Ok(std::fs::metadata(&self.path)?.len())
    }
}

/// A file that is there is whole: it is written beside and renamed.
fn made(file: PathBuf, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    if !file.is_file() {
        exec::say(&format!("bench: making {}", file.display()))?;
        let partial = file.with_extension("partial");
        make(&partial)?;
        std::fs::rename(&partial, &file).with_context(|| file.display().to_string())?;
    }
    Ok(file)
}
