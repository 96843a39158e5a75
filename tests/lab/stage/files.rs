//! The folder of a running stage: a copy of the stage's, with its placeholders filled in.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::stage::format::Stage;

/// Where what the servers of stages are made of is installed.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The interpreter of the tests' virtual environment.
    pub python: PathBuf,
    /// The tests' `node_modules`.
    pub node_modules: PathBuf,
}

impl Tools {
    /// The ones that `cargo xtask setup --tests` makes below a target directory.
    pub fn below(target: &Path) -> Self {
        Self {
            python: target.join("lab/python/bin/python"),
            node_modules: target.join("lab/node/node_modules"),
        }
    }
}

/// The directory of a running stage.
#[derive(Debug)]
pub(crate) struct Files {
    directory: TempDir,
    /// Placeholders and what they stand for.
    words: Vec<(String, String)>,
}

impl Files {
    /// Copies a stage's folder into a new directory that everybody may read.
    pub(crate) fn copy(stage: &Stage, tools: &Tools) -> Result<Self> {
        let directory = TempDir::with_prefix("tracer403-stage-")?;
        let mut words = vec![
            ("{dir}".to_owned(), text(directory.path())?),
            ("{python}".to_owned(), text(&tools.python)?),
            ("{node_modules}".to_owned(), text(&tools.node_modules)?),
        ];
        for server in &stage.servers {
            words.push((format!("{{port:{}}}", server.role), server.port.to_string()));
        }
        let files = Self { directory, words };
        files.copy_into(&stage.folder, files.path())?;
        Ok(files)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A text with its placeholders filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, meaning) in &self.words {
            text = text.replace(word, meaning);
        }
        text
    }

    fn copy_into(&self, from: &Path, to: &Path) -> Result<()> {
        fs::set_permissions(to, Permissions::from_mode(0o755))?;
        for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
            let entry = entry?;
            let source = entry.path();
            let name = entry.file_name();
            let name = name.to_str().context("a name is not UTF-8")?;
            // A capture may be large, and no server serves it.
            if name == "captures" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                let target = to.join(name);
                fs::create_dir(&target)?;
                self.copy_into(&source, &target)?;
            } else if let Some(name) = name.strip_suffix(".in") {
                let target = to.join(name);
                fs::write(&target, self.fill(&fs::read_to_string(&source)?))?;
                fs::set_permissions(&target, fs::metadata(&source)?.permissions())?;
                readable(&target)?;
            } else {
                let target = to.join(name);
                fs::copy(&source, &target)?;
                readable(&target)?;
            }
        }
        Ok(())
    }
}

/// Lets everybody read a file, whatever the umask of the checkout was.
fn readable(file: &Path) -> Result<()> {
    let mode = fs::metadata(file)?.permissions().mode();
    Ok(fs::set_permissions(
        file,
        Permissions::from_mode(mode | 0o444),
    )?)
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().context("a path is not UTF-8")?;
    Ok(text.to_owned())
}
