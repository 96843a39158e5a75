//! `--baseline FILE`: requests that passed on another day show what differs today.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{Place, tracer_binary};

/// The same refusal twice: alone, and in a capture that also has a request that passed.
const ALONE: &str = "stages/nginx/captures/nginx-user-agent-alone.pcapng";
const WITH_PASSED: &str = "stages/nginx/captures/nginx-user-agent.pcapng";

#[test]
fn a_request_that_passed_elsewhere_singles_the_cause_out() -> Result<()> {
    let alone = case(&[ALONE])?;
    ensure!(alone["siblings"].as_array().is_some_and(Vec::is_empty));
    ensure!(alone["verdict"]["cause"] != "user-agent-block", "{alone:#}");

    let compared = case(&[ALONE, "--baseline", WITH_PASSED])?;
    ensure!(
        compared["siblings"]
            .as_array()
            .is_some_and(|s| !s.is_empty())
    );
    ensure!(
        compared["verdict"]["cause"] == "user-agent-block",
        "{compared:#}"
    );
    // What is only compared with is not reported.
    ensure!(compared["case"] == 1);
    Ok(())
}

#[test]
fn a_baseline_that_cannot_be_read_is_named() -> Result<()> {
    let output = read(&[ALONE, "--baseline", "no/such/file"])?;
    ensure!(output.status.code() == Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(said.contains("no/such/file"), "{said}");
    Ok(())
}

/// The only case.
fn case(arguments: &[&str]) -> Result<Value> {
    let output = read(arguments)?;
    ensure!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let mut cases = lines.into_iter().filter(|line| line["type"] == "case");
    let case = cases.next().context("no case")?;
    ensure!(cases.next().is_none(), "more than one case");
    Ok(case)
}

fn read(arguments: &[&str]) -> Result<std::process::Output> {
    let mut command = Place::here().command(tracer_binary()?);
    command.args(["read", "--json"]).args(arguments);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    Ok(command.output()?)
}
