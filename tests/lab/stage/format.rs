//! `stage.toml`: the servers, the scenes and their truth.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Scenes get a client port of their own from here on, below the ports that the kernel gives.
const FIRST_CLIENT_PORT: u16 = 20_000;
/// How many client ports there are.
const CLIENT_PORTS: u16 = 8_000;

/// A folder of `tests/stages`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The folder's name.
    #[serde(skip)]
    pub name: String,
    /// The folder.
    #[serde(skip)]
    pub folder: PathBuf,
    /// What the stage shows, one sentence.
    pub about: String,
    /// Its servers, in the order in which they are started.
    #[serde(rename = "server")]
    pub servers: Vec<Server>,
    /// What is asked of them.
    #[serde(rename = "scene", default)]
    pub scenes: Vec<StageScene>,
}

/// A server of a stage.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name in the stage.
    pub role: String,
    /// The TCP port on which it listens at 127.0.0.1; 0 where it listens at a Unix socket only.
    #[serde(default)]
    pub port: u16,
    /// The Unix socket that it makes; then it is ready when that is there.
    pub socket: Option<String>,
    /// The command line.
    pub run: Vec<String>,
    /// Shell commands before it starts.
    #[serde(default)]
    pub prepare: Vec<String>,
    /// Whether the tracer is given its port.
    #[serde(default = "yes")]
    pub traced: bool,
    /// Whether it is in the traced control group; otherwise it stands for another host.
    #[serde(default = "yes")]
    pub inside: bool,
    /// Whether the clients that call it are in the traced control group: of a server on another
    /// host, their end is then seen, and nothing else.
    #[serde(default)]
    pub called_from_inside: bool,
    /// Whether it only gives the documented answer of the product that it stands for.
    #[serde(default)]
    pub replica: bool,
    /// Whether it speaks HTTP; otherwise (FastCGI) the wire cannot show its answer.
    #[serde(default = "yes")]
    pub http: bool,
    /// The user as which it runs, other than root.
    pub user: Option<String>,
}

/// One request with a known truth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageScene {
    /// Its name, unique among all stages.
    pub name: String,
    /// What happens, one sentence.
    pub about: String,
    /// Requests sent before, each to its end.
    #[serde(default)]
    pub before: Vec<Request>,
    /// The request.
    pub request: Request,
    /// The status that the client must get.
    #[serde(default = "forbidden")]
    pub status: u16,
    /// Whether its requests may serve as the noise around other scenes.
    #[serde(default = "yes")]
    pub noise: bool,
    /// What is true of it.
    pub truth: Truth,
}

/// A request of a scene.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The role of the server that it is sent to; the first server where it is empty.
    #[serde(default)]
    pub to: String,
    /// The method.
    #[serde(default = "post")]
    pub method: String,
    /// The request's target.
    pub path: String,
    /// Header lines without their ends.
    #[serde(default)]
    pub headers: Vec<String>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// Whether to ask for `100 Continue` and wait for it, up to a second.
    #[serde(default)]
    pub expect_continue: bool,
    /// How long after the head the body is sent, in milliseconds.
    #[serde(default)]
    pub delay_body_ms: u64,
    /// How often it is sent; the last answer counts.
    #[serde(default = "once")]
    pub repeat: u32,
    /// Whether the repeated requests share a connection.
    #[serde(default)]
    pub keep_alive: bool,
}

/// What is true of a scene's refusal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The role of the server that made it.
    pub issuer: String,
    /// Acceptable names of its product, the true one first; none where it does not matter.
    #[serde(default, deserialize_with = "one_or_more")]
    pub product: Vec<String>,
    /// What the hop nearest the client did.
    pub handling: Handling,
    /// Acceptable causes, the true one first.
    pub cause: Vec<String>,
    /// Whether the wire cannot tell the cause.
    #[serde(default)]
    pub undecidable: bool,
    /// The role of the authoriser.
    pub delegate: Option<String>,
}

/// What the hop nearest the client that did not issue the refusal did with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handling {
    /// The client talks to the issuer.
    Issued,
    /// Passed on as it was.
    Relayed,
    /// The status or the page is another than the one that came.
    Replaced,
    /// Made after an authoriser was asked.
    Delegated,
}

impl Handling {
    /// The word for it in the tool's output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Relayed => "relayed",
            Self::Replaced => "replaced",
            Self::Delegated => "delegated",
        }
    }
}

impl Stage {
    /// Reads the stage in a folder.
    ///
    /// # Errors
    /// Where `stage.toml` is missing, or says what cannot be; with the place.
    pub fn load(folder: &Path) -> Result<Self> {
        let file = folder.join("stage.toml");
        let context = || file.display().to_string();
        let text = fs::read_to_string(&file).with_context(context)?;
        let mut stage: Self = toml::from_str(&text).with_context(context)?;
        stage.folder = folder.to_owned();
        stage.name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned)
            .context("the stage's folder has no name")?;
        stage.complete().with_context(context)?;
        Ok(stage)
    }

    /// Reads every stage below a folder, in the order of their names.
    ///
    /// # Errors
    /// As [`Stage::load`], and where two scenes have the same name.
    pub fn load_all(folder: &Path) -> Result<Vec<Self>> {
        let mut stages = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.join("stage.toml").is_file() {
                stages.push(Self::load(&path)?);
            }
        }
        stages.sort_by(|a, b| a.name.cmp(&b.name));
        let mut names = BTreeSet::new();
        for scene in stages.iter().flat_map(|stage| &stage.scenes) {
            ensure!(names.insert(&scene.name), "two scenes are {}", scene.name);
        }
        Ok(stages)
    }

    /// The server of a role.
    ///
    /// # Errors
    /// Where there is none.
    pub fn server(&self, role: &str) -> Result<&Server> {
        let found = self.servers.iter().find(|server| server.role == role);
        found.with_context(|| format!("no server has the role {role:?}"))
    }

    /// Fills in the roles that requests leave out, and checks that all roles exist.
    fn complete(&mut self) -> Result<()> {
        let first = self.servers.first().context("there is no server")?;
        let first = first.role.clone();
        for scene in &mut self.scenes {
            for request in scene.before.iter_mut().chain([&mut scene.request]) {
                if request.to.is_empty() {
                    request.to.clone_from(&first);
                }
            }
        }
        let mut roles = BTreeSet::new();
        for server in &self.servers {
            ensure!(roles.insert(&server.role), "two servers: {}", server.role);
            ensure!(
                (server.port == 0) == server.socket.is_some(),
                "{}: it needs a port or a socket",
                server.role
            );
            ensure!(
                !(FIRST_CLIENT_PORT..FIRST_CLIENT_PORT + CLIENT_PORTS).contains(&server.port),
                "{}: port {} is one of the clients'",
                server.role,
                server.port
            );
        }
        let mut ports = BTreeSet::new();
        for scene in &self.scenes {
            let mut check = || -> Result<()> {
                for request in scene.before.iter().chain([&scene.request]) {
                    let port = self.server(&request.to)?.port;
                    ensure!(port != 0, "{} has no port to send to", request.to);
                    ensure!(request.repeat > 0, "repeat = 0 sends nothing");
                }
                self.server(&scene.truth.issuer)?;
                if let Some(role) = &scene.truth.delegate {
                    self.server(role)?;
                }
                ensure!(!scene.truth.cause.is_empty(), "the truth has no cause");
                ensure!(
                    ports.insert(scene.client_port()),
                    "its client port is another scene's: change the name"
                );
                Ok(())
            };
            check().with_context(|| scene.name.clone())?;
        }
        Ok(())
    }
}

impl StageScene {
    /// The client's port in the scene's last request: always the same, so that its case is found
    /// in a capture of another day too.
    pub fn client_port(&self) -> u16 {
        // FNV-1a.
        let hash = self.name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let offset = hash % u32::from(CLIENT_PORTS);
        FIRST_CLIENT_PORT + u16::try_from(offset).unwrap_or_default()
    }
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        More(Vec<String>),
    }
    Ok(match Names::deserialize(from)? {
        Names::One(name) => vec![name],
        Names::More(names) => names,
    })
}

const fn yes() -> bool {
    true
}

const fn once() -> u32 {
    1
}

const fn forbidden() -> u16 {
    403
}

fn post() -> String {
    "POST".to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Handling, Stage};

    #[test]
    fn every_stage_of_ours_is_understood() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stages");
        let stages = Stage::load_all(&folder).unwrap();
        assert!(!stages.is_empty());
    }

    #[test]
    fn defaults_are_filled_in() {
        let stage = load(
            r#"
about = "A stage."
[[server]]
role = "edge"
port = 8080
run = ["true"]
[[scene]]
name = "refused"
about = "It is refused."
request = { path = "/" }
truth = { issuer = "edge", product = "nginx", handling = "issued", cause = ["nginx-deny"] }
"#,
        )
        .unwrap();
        let scene = &stage.scenes[0];
        assert_eq!(
            (scene.request.to.as_str(), scene.request.method.as_str()),
            ("edge", "POST")
        );
        assert_eq!((scene.status, scene.request.repeat), (403, 1));
        assert_eq!(scene.truth.handling, Handling::Issued);
        assert!((20_000..28_000).contains(&scene.client_port()));
        assert!(stage.servers[0].inside && stage.servers[0].traced);
    }

    #[test]
    fn a_role_that_is_not_there_is_refused() {
        let text = r#"
about = "A stage."
server = [{ role = "edge", port = 80, run = ["true"] }]
[[scene]]
name = "refused"
about = "It is refused."
request = { path = "/" }
truth = { issuer = "origin", handling = "relayed", cause = ["nginx-deny"] }
"#;
        let why = format!("{:#}", load(text).unwrap_err());
        assert!(why.contains("refused: no server has the role"), "{why}");
        assert!(load(&text.replace("origin", "edge")).is_ok());
        assert!(load(&text.replace("port = 80", "port = 20001")).is_err());
        assert!(load(&text.replace("about = \"It is refused.\"", "colour = 3")).is_err());
    }

    fn load(text: &str) -> anyhow::Result<Stage> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("stage.toml"), text)?;
        Stage::load(folder.path())
    }
}
