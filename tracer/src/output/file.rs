//! Files that hold whole writes only.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A file, readable by its owner alone, to which each [`write`](Write::write) goes whole or not at
/// all: a full disk leaves a file that ends after the last line that fitted.
#[derive(Debug)]
pub struct WholeFile {
    file: File,
    /// Where the last whole write ended, in bytes; `None` where there is no going back (a pipe).
    end: Option<u64>,
}

impl WholeFile {
    /// Creates the file with mode 0600; one that is there is emptied and gets that mode.
    ///
    /// A path to something other than a regular file (a named pipe, `/dev/null`) keeps its mode.
    ///
    /// # Errors
    /// Where it cannot be created or is not ours to change; the error names the path.
    pub fn create(path: &Path) -> io::Result<Self> {
        open(path)
            .map_err(|e| io::Error::new(e.kind(), format!("cannot create {}: {e}", path.display())))
    }
}

fn open(path: &Path) -> io::Result<WholeFile> {
    // Emptied only after the mode is right: what is written must never be readable by others.
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let regular = file.metadata()?.is_file();
    if regular {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.set_len(0)?;
    }
    Ok(WholeFile {
        file,
        end: regular.then_some(0),
    })
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_all(bytes);
        if let Some(end) = &mut self.end {
            match &written {
                Ok(()) => *end = end.saturating_add(bytes.len() as u64),
                Err(_) => {
                    // The first error is the one to tell; a file that cannot be cut stays as it is.
                    let _ = self.file.set_len(*end);
                    let _ = self.file.seek(SeekFrom::Start(*end));
                }
            }
        }
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_there_is_emptied_and_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cases.json");
        fs::write(&path, "left over").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"one\n").unwrap();
        file.write_all(b"two\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_error_names_the_path() {
        let error = WholeFile::create(Path::new("/nowhere/at/all.json")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot create /nowhere/at/all.json: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_write_that_does_not_fit_leaves_whole_lines() {
        const CHILD: &str = "TRACER403_TEST_FULL_FILE";
        let line = [&[b'x'; 99][..], b"\n"].concat();
        if let Some(path) = std::env::var_os(CHILD) {
            let mut file = WholeFile::create(Path::new(&path)).unwrap();
            let failed = (0..1_000_000).any(|_| file.write_all(&line).is_err());
            assert!(failed, "there is no bound on the size of files");
            return;
        }
        // A size limit stands in for a full disk. It holds for a whole process: one of its own.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cases.json");
        let status = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "output::file::tests::a_write_that_does_not_fit_leaves_whole_lines",
            ])
            .env(CHILD, &path)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let written = fs::read(&path).unwrap();
        assert!(written.len() > 1000);
        assert!(written.chunks(line.len()).all(|chunk| chunk == line));
    }

    #[test]
    fn a_full_device_is_an_error() {
        let mut full = WholeFile::create(Path::new("/dev/full")).unwrap();
        let error = full.write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
