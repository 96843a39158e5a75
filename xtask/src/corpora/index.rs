//! Which captures there are, and how tshark has to be asked about each.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A capture of the folder.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    /// Its path below the folder.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) passes: Passes,
    /// More arguments for tshark.
    pub(crate) options: Vec<String>,
}

/// How often tshark goes through a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passes {
    /// The first pass finds what belongs together, so the second tells it of every frame.
    Two,
    /// Two passes lose messages after CONNECT and upgrades.
    One,
}

/// The captures that index.tsv names, or all in the folder where there is none.
///
/// # Errors
/// Where the folder cannot be read, or the index has no column `file`.
pub(crate) fn captures(directory: &Path) -> Result<Vec<Capture>> {
    let index = directory.join("index.tsv");
    if index.is_file() {
        let text = fs::read_to_string(&index).with_context(|| index.display().to_string())?;
        return of_index(directory, &text).with_context(|| index.display().to_string());
    }
    let mut found = Vec::new();
    walk(directory, &mut found)?;
    found.sort();
    Ok(found
        .iter()
        .map(|path| capture(directory, path, "-2"))
        .collect())
}

fn of_index(directory: &Path, text: &str) -> Result<Vec<Capture>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| header.iter().position(|h| *h == name);
    let file = column("file").context("no column `file`")?;
    let mode = column("tshark_mode");
    Ok(lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let path = directory.join(cells.get(file)?);
            let mode = mode.and_then(|m| cells.get(m)).copied().unwrap_or("-2");
            Some(capture(directory, &path, mode))
        })
        .collect())
}

/// `mode` is `-2` with more options, or begins with `single pass`.
fn capture(directory: &Path, path: &Path, mode: &str) -> Capture {
    let name = path.strip_prefix(directory).unwrap_or(path);
    let (passes, options) = match mode.strip_prefix("-2") {
        Some(options) => (Passes::Two, options),
        None => (Passes::One, ""),
    };
    Capture {
        name: name.to_string_lossy().into_owned(),
        path: path.to_owned(),
        passes,
        options: options.split_whitespace().map(str::to_owned).collect(),
    }
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else if is_capture(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_capture(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    [".pcap", ".pcapng", ".cap"]
        .iter()
        .any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Passes, of_index};

    #[test]
    fn the_index_says_how_to_ask() {
        let text = "file\tx\ttshark_mode\na.pcap\t\t-2\nb.pcap\t\t-2 -o http.tcp.port:1-65535\n\
                    c.pcap\t\tsingle pass (why)\n";
        let captures = of_index(Path::new("/d"), text).unwrap();
        let told: Vec<_> = captures
            .iter()
            .map(|c| (c.passes, c.options.join(" ")))
            .collect();
        assert_eq!(
            told,
            [
                (Passes::Two, String::new()),
                (Passes::Two, "-o http.tcp.port:1-65535".to_owned()),
                (Passes::One, String::new())
            ]
        );
        assert_eq!(captures[0].path, Path::new("/d/a.pcap"));
    }
}
