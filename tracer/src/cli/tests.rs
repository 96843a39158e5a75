use clap::CommandFactory;

use super::*;
use crate::limits::Limits;
use crate::model::{CauseId, Kind};
use crate::output::Format;
use crate::output::redact::Secrets;
use crate::select::Selection;

#[test]
fn the_definition_holds() {
    Cli::command().debug_assert();
}

#[test]
fn nothing_but_live_is_the_default_of_everything() {
    let Command::Live(live) = parse("live") else {
        panic!()
    };
    assert_eq!(live.capture.ports, Ports::default());
    assert_eq!(live.capture.ring_size, 64 << 20);
    assert!(live.capture.interfaces.is_empty() && live.capture.cgroup.is_none());
    assert_eq!(live.filter.selection(), Selection::default());
    assert_eq!(live.limit.limits(None), Limits::default());
    assert_eq!(live.output.secrets(), Secrets::Redacted);
    assert!(!live.output.needs_packets());
    let destinations = live.output.destinations();
    assert_eq!(destinations.len(), 1);
    assert_eq!(destinations[0].format, Format::Text);
}

#[test]
fn flags_arrive() {
    let Command::Read(read) = parse(
        "read a.pcap - -p 80,8000-8010 --count 5 --method any --status 401,403 --status 5xx \
         --host *.example --path /api/* --client 10.0.0.0/8 --process nginx --json -o c.json \
         -w c.pcapng --show-secrets --body-bytes 1M --limit-connections 10 --limit-memory 1GiB -vv",
    ) else {
        panic!()
    };
    assert_eq!(
        read.capture.files,
        [PathBuf::from("a.pcap"), PathBuf::from("-")]
    );
    assert_eq!(read.capture.ports.unwrap().to_string(), "80,8000-8010");
    assert_eq!(read.capture.count, Some(5));
    assert_eq!(
        read.filter.selection().to_string(),
        "any method answered 401 or 403 or 500-599, host *.example, path /api/*, \
         client 10.0.0.0/8, process nginx"
    );
    let file = |path: &str| Target::File(path.into());
    let wanted = [
        (Format::Json, Target::Stdout),
        (Format::Json, file("c.json")),
        (Format::Pcapng, file("c.pcapng")),
    ];
    let wanted = wanted.map(|(format, target)| Destination { format, target });
    assert_eq!(read.output.destinations(), wanted);
    assert!(read.output.needs_packets());
    assert_eq!(read.output.secrets(), Secrets::Shown);
    assert_eq!(read.output.verbosity(), 2);
    let limits = read.limit.limits(read.output.body_bytes());
    assert_eq!((limits.connections, limits.memory), (10, 1 << 30));
    assert_eq!((limits.body_kept, limits.body_decoded), (1 << 20, 1 << 20));
}

#[test]
fn requests_are_held_unless_something_needs_every_packet() {
    for (line, mode) in [
        ("live", CaptureMode::Hold),
        (
            "live --cgroup /x -w c.pcapng --body-bytes 4096",
            CaptureMode::Hold,
        ),
        ("live --capture all", CaptureMode::All),
        ("live -i any", CaptureMode::All),
        ("live -i any --capture hold", CaptureMode::Hold),
        ("live --snaplen 1KiB", CaptureMode::All),
        ("live --snaplen 1KiB --capture hold", CaptureMode::Hold),
        ("live --body-bytes 1MiB", CaptureMode::All),
    ] {
        let Command::Live(live) = parse(line) else {
            panic!()
        };
        assert_eq!(live.mode(), mode, "{line}");
    }
}

#[test]
fn causes_are_known_by_name() {
    for (line, cause) in [
        ("explain", None),
        ("explain csrf-token", Some(CauseId::CsrfToken)),
        (
            "explain --json mtls-client-cert",
            Some(CauseId::ClientCertificate),
        ),
    ] {
        let Command::Explain(explain) = parse(line) else {
            panic!()
        };
        assert_eq!(explain.cause, cause);
        assert_eq!(explain.json, line.contains("--json"));
    }
    let error = try_parse("explain csrf").unwrap_err().to_string();
    assert!(error.contains("csrf-token"), "{error}");
}

#[test]
fn arguments_of_fingerprints_arrive() {
    let Command::Fingerprints(arguments) = parse(
        "fingerprints kong ip --kind api-gateway --product kong --cause ip-restriction \
         --test a.http --fingerprints mine.toml --json",
    ) else {
        panic!()
    };
    assert_eq!(arguments.words, ["kong", "ip"]);
    assert_eq!(arguments.kind, Some(Kind::ApiGateway));
    assert_eq!(arguments.cause, Some(CauseId::IpRestriction));
    assert_eq!(arguments.test, Some("a.http".into()));
    assert!(arguments.json && !arguments.verbose);
    let Command::Read(read) = parse("read a --fingerprints f --baseline b --baseline c") else {
        panic!()
    };
    assert_eq!(read.verdict.files().count(), 3);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "",
        "read",
        "live -i eth0 --cgroup /x",
        "live -p 0",
        "live --count 0",
        "live --duration 5",
        "live --ring-size 100M",
        "live --snaplen 10",
        "live --status 40",
        "live -q --json",
        "live -q -v",
        "live -q --all",
        "explain nonsense",
        "live --client shop",
        "read a --color sometimes",
        "read a.pcapng -w a.pcapng",
        "live -o x -w x",
        "read a --baseline b -o b",
        "live --fingerprints f -o f",
        "fingerprints --kind cdn",
        "fingerprints --cause unknown",
        "fingerprints -v --json",
    ] {
        assert!(try_parse(line).is_err(), "{line}");
    }
}

#[test]
fn every_flag_has_help_and_every_command_an_example() {
    for command in Cli::command().get_subcommands() {
        let example = command.get_after_long_help().unwrap().to_string();
        assert!(example.contains("Example"), "{}", command.get_name());
        for arg in command.get_arguments() {
            assert!(
                arg.get_help().is_some(),
                "{} {}",
                command.get_name(),
                arg.get_id()
            );
            let heading = arg.get_help_heading().unwrap_or("none");
            let known = [
                "Capture", "Filter", "Verdict", "Output", "Limits", "Explain",
            ];
            assert!(
                known.iter().any(|k| heading.starts_with(k)),
                "{} {heading}",
                arg.get_id()
            );
        }
    }
}

#[test]
fn the_defaults_in_the_help_are_the_defaults() {
    let limits = Limits::default();
    let help = Cli::command()
        .find_subcommand_mut("live")
        .unwrap()
        .render_long_help()
        .to_string();
    for (default, flag) in [
        (limits.connections.to_string(), "connections"),
        (format!("{}MiB", limits.memory >> 20), "memory"),
        (format!("{}KiB", limits.body_kept >> 10), "body"),
        (
            format!("{}MiB", limits.packets_per_connection >> 20),
            "packets",
        ),
        (format!("{}m", limits.idle.as_secs() / 60), "idle"),
    ] {
        let at = help.find(&format!("--limit-{flag}")).unwrap();
        let text: String = help[at..].chars().take(200).collect();
        assert!(
            text.contains(&format!("[default: {default}]")),
            "{flag}: {text}"
        );
    }
}

#[test]
fn help() {
    let mut command = Cli::command().term_width(100);
    insta::assert_snapshot!("help", command.render_long_help());
    for name in ["live", "read", "explain", "fingerprints", "schema"] {
        let command = command.find_subcommand_mut(name).unwrap();
        insta::assert_snapshot!(
            format!("help_{name}"),
            command.clone().term_width(100).render_long_help()
        );
    }
}

fn parse(line: &str) -> Command {
    try_parse(line).unwrap()
}

fn try_parse(line: &str) -> Result<Command, clap::Error> {
    let words = std::iter::once("tracer403").chain(line.split_whitespace());
    Cli::from_arguments(words).map(|cli| cli.command)
}
