//! `cargo xtask setup`: installs what a build needs. Safe to repeat: each step first looks whether
//! there is anything to do.

mod apt;
mod kernel;
mod lab;
mod policy;
mod suricata;

use anyhow::{Context, Result, bail};

use crate::exec::{self, in_path};

/// The version that goes with the LLVM of the pinned Rust toolchain.
const BPF_LINKER: &str = "0.10.0";

/// A program, or a file by its whole path, and the Debian package that has it.
type Need = (&'static str, &'static str);

/// What the demo's scene is made of.
const DEMO: &[Need] = &[
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("curl", "curl"),
    ("ip", "iproute2"),
];

/// What the tests and the comparisons use beyond that.
const TESTS: &[Need] = &[
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("tshark", "tshark"),
    ("tcpdump", "tcpdump"),
    ("tcpflow", "tcpflow"),
    ("ngrep", "ngrep"),
    ("wrk", "wrk"),
];

/// What the benchmark compares with beyond that.
const BENCH: &[Need] = &[
    ("httpry", "httpry"),
    ("editcap", "wireshark-common"),
    ("debootstrap", "debootstrap"),
    ("valgrind", "valgrind"),
];

/// The servers of the stages whose 403s have a known truth, and what is loaded into them.
const STAGES: &[Need] = &[
    ("apache2", "apache2"),
    ("haproxy", "haproxy"),
    ("lighttpd", "lighttpd"),
    ("php-fpm8.2", "php8.2-fpm"),
    ("varnishd", "varnish"),
    ("python3", "python3"),
    ("npm", "npm"),
    (
        "/usr/lib/nginx/modules/ngx_http_modsecurity_module.so",
        "libnginx-mod-http-modsecurity",
    ),
    (
        "/usr/lib/apache2/modules/mod_security2.so",
        "libapache2-mod-security2",
    ),
    (
        "/usr/share/modsecurity-crs/owasp-crs.load",
        "modsecurity-crs",
    ),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Also install the servers and tools that the tests use
    #[arg(long)]
    tests: bool,
    /// Also install the programs that the benchmark compares with
    #[arg(long)]
    bench: bool,
    /// Change nothing: say what is missing, and fail if anything is
    #[arg(long)]
    check: bool,
}

/// Installs what was asked for.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut steps = build_steps();
    if arguments.tests {
        steps.push(Step::servers(
            "servers and tools of the tests",
            &[DEMO, TESTS, STAGES].concat(),
        ));
        steps.extend(lab::steps());
    }
    if arguments.bench {
        steps.push(Step::servers(
            "programs of the benchmark",
            &[DEMO, TESTS, BENCH].concat(),
        ));
        steps.push(suricata::step());
    }
    go(steps, arguments.check)
}

/// What a build and the demo need.
pub(crate) fn for_demo() -> Result<()> {
    let mut steps = build_steps();
    steps.push(Step::servers("servers of the demo", DEMO));
    go(steps, false)
}

/// What a build needs, and nothing that needs root where it is there already.
pub(crate) fn for_tests() -> Result<()> {
    run(&Arguments {
        tests: true,
        bench: false,
        check: false,
    })
}

/// One thing to have.
struct Step {
    name: &'static str,
    why: &'static str,
    cost: &'static str,
    /// What is there already; `None` where there is something to do.
    there: Box<dyn Fn() -> Option<String>>,
    install: Box<dyn Fn() -> Result<()>>,
}

impl Step {
    fn servers(name: &'static str, needs: &[Need]) -> Self {
        let missing: Vec<Need> = needs.iter().filter(|(p, _)| !in_path(p)).copied().collect();
        let packages: Vec<&'static str> = missing.iter().map(|(_, package)| *package).collect();
        Self {
            name,
            why: "real traffic; services are kept from starting, only the programs are used",
            cost: "up to 1 minute and 300 MB",
            there: {
                let needs = needs.to_vec();
                Box::new(move || {
                    let all = needs.iter().all(|(program, _)| in_path(program));
                    all.then(|| needs.iter().map(|(p, _)| *p).collect::<Vec<_>>().join(", "))
                })
            },
            install: Box::new(move || apt::install(&packages)),
        }
    }
}

fn build_steps() -> Vec<Step> {
    vec![
        Step {
            name: "compiler for the kernel side",
            why: "eBPF is a target without a ready-made `core`: it is built from source",
            cost: "1 minute; 500 MB",
            there: Box::new(kernel::find),
            install: Box::new(kernel::install),
        },
        Step {
            name: "bpf-linker",
            why: "links the kernel side into one eBPF object",
            cost: "2 minutes on 2 cores; 20 MB in cargo's bin directory",
            there: Box::new(bpf_linker),
            install: Box::new(|| {
                let version = format!("bpf-linker@{BPF_LINKER}");
                exec::run(exec::cargo().args(["install", &version, "--locked"]))
            }),
        },
    ]
}

fn go(steps: Vec<Step>, check_only: bool) -> Result<()> {
    let mut missing = Vec::new();
    for step in steps {
        let Step {
            name, why, cost, ..
        } = step;
        if let Some(what) = (step.there)() {
            exec::say(&format!("setup: {name}: there ({what})"))?;
            continue;
        }
        if check_only {
            exec::say(&format!("setup: {name}: missing. {why}. Costs: {cost}"))?;
            missing.push(name);
            continue;
        }
        exec::say(&format!("setup: {name}: installing. {why}. Costs: {cost}"))?;
        (step.install)().with_context(|| format!("setup of {name}"))?;
        let what = (step.there)().with_context(|| {
            format!("setup of {name}: installed without an error, but it still does not work")
        })?;
        exec::say(&format!("setup: {name}: done ({what})"))?;
    }
    if !missing.is_empty() {
        bail!(
            "missing: {}; `cargo xtask setup` installs it",
            missing.join(", ")
        );
    }
    Ok(())
}

/// The bpf-linker that runs, where it is the right one.
fn bpf_linker() -> Option<String> {
    let version = exec::output(std::process::Command::new("bpf-linker").arg("--version")).ok()?;
    let version = version.trim();
    version.ends_with(BPF_LINKER).then(|| version.to_owned())
}
