//! The table, its totals, and whether they are good enough.

use anyhow::Result;
use serde_json::{Value, json};
use tracer_tests::{Stage, StageScene};

use crate::exec::say;
use crate::verdicts::Mode;
use crate::verdicts::claim::{Claim, Confidence};
use crate::verdicts::play::Played;
use crate::verdicts::score::{Score, address, outer_fault};

/// The results so far.
pub(crate) struct Table {
    mode: Mode,
    rows: Vec<Row>,
}

struct Row {
    score: Score,
    /// Different verdicts, live and read.
    differs: bool,
    /// Why the scene proves nothing, or what else is wrong.
    fault: Option<String>,
    json: Value,
}

/// Permille of the scenes that must be right.
struct Bar {
    issuer: usize,
    handling: usize,
    cause: usize,
    /// Permille that may be wrong and called likely.
    likely: usize,
}

impl Table {
    pub(crate) fn new(mode: Mode) -> Result<Self> {
        say(&row(&["", "scene", "issuer", "handling", "cause"]))?;
        Ok(Self {
            mode,
            rows: Vec::new(),
        })
    }

    /// How many scenes there are.
    pub(crate) fn scenes(&self) -> usize {
        self.rows.len()
    }

    /// Judges a scene and prints its rows: what is true, then what was said, where it differs.
    pub(crate) fn add(&mut self, stage: &Stage, played: Played<'_>) -> Result<()> {
        let scene = played.scene;
        let claim = Claim::of_verdict(played.verdict());
        let score = Score::of(stage, scene, &claim);
        let mut fault = played.fault.clone();
        if let Some(status) = played.status
            && status != scene.status
        {
            fault = Some(format!("the client got {status}, not {}", scene.status));
        }
        if self.mode == Mode::Outer && fault.is_none() {
            fault = outer_fault(stage, scene, &claim);
        }
        let differs = played.differs();
        self.print(stage, scene, &claim, score, differs, fault.as_deref())?;
        if self.mode == Mode::Untraced && !played.before.is_empty() {
            say(&format!("      before it: {:?}", played.before))?;
        }
        self.rows.push(Row {
            score,
            differs,
            json: json!({
                "stage": stage.name,
                "scene": scene.name,
                "status": played.status,
                "before": played.before,
                "truth": truth_json(stage, scene),
                "live": played.live,
                "read_back": played.read_back,
                "capture": played.capture,
                "issuer_right": score.issuer,
                "handling_right": score.handling,
                "cause_right": score.cause,
                "wrong": score.wrong.word(),
                "differs": differs,
                "fault": fault.clone(),
            }),
            fault,
        });
        Ok(())
    }

    fn print(
        &self,
        stage: &Stage,
        scene: &StageScene,
        claim: &Claim,
        score: Score,
        differs: bool,
        fault: Option<&str>,
    ) -> Result<()> {
        let mark = |right: bool, text: String| if right { text } else { format!("! {text}") };
        let truth = &scene.truth;
        let issuer = stage.server(&truth.issuer)?;
        let product = truth.product.first().map_or("-", String::as_str);
        let true_row = [
            "true",
            &scene.name,
            &format!("{product} {}", address(issuer)),
            truth.handling.word(),
            &truth.cause.join("|"),
        ];
        say(&row(&true_row))?;
        if self.mode != Mode::Untraced {
            let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let said_issuer = format!("{} {}", or_dash(&claim.product), or_dash(&claim.address));
            let said_issuer = format!("{said_issuer} ({})", claim.sure_of_issuer.word());
            let said_cause = format!("{} ({})", or_dash(&claim.cause), claim.sure_of_cause.word());
            let said_row = [
                "said",
                "",
                &mark(score.issuer, said_issuer),
                &mark(score.handling, or_dash(&claim.handling)),
                &mark(score.cause, said_cause),
            ];
            say(&row(&said_row))?;
        }
        if differs {
            say("      ! live, read back and from the repository's capture are not the same")?;
        }
        if let Some(fault) = fault {
            say(&format!("      ! {fault}"))?;
        }
        Ok(())
    }

    /// Prints the totals; gives what is not good enough.
    pub(crate) fn totals(&self) -> Result<Vec<String>> {
        let all = self.rows.len();
        let count = |wanted: &dyn Fn(&Row) -> bool| self.rows.iter().filter(|r| wanted(r)).count();
        let faults = count(&|r| r.fault.is_some());
        let mut failures = Vec::new();
        if faults > 0 {
            failures.push(format!("{faults} scenes with a fault"));
        }
        if self.mode == Mode::Untraced || all == 0 {
            say(&format!("{all} scenes, {faults} with a fault"))?;
            return Ok(failures);
        }
        let bar = self.bar();
        let wrong = |how: Confidence| count(&|r| r.score.wrong == how);
        let rows = [
            ("issuer right", count(&|r| r.score.issuer), bar.issuer),
            ("handling right", count(&|r| r.score.handling), bar.handling),
            ("cause right", count(&|r| r.score.cause), bar.cause),
        ];
        say(&format!("{all} scenes"))?;
        for (what, right, wanted) in rows {
            let line = format!("{what}: {right} of {all}, {:.1} %", percent(right, all));
            say(&line)?;
            if right * 1000 < wanted * all {
                failures.push(format!("{line}, {:.1} % wanted", percent(wanted, 1000)));
            }
        }
        let (proven, likely) = (wrong(Confidence::Proven), wrong(Confidence::Likely));
        let differ = count(&|r| r.differs);
        say(&format!("wrong and proven: {proven}"))?;
        say(&format!("wrong and likely: {likely}"))?;
        say(&format!("live and offline differ: {differ}"))?;
        say(&format!("scenes with a fault: {faults}"))?;
        if proven > 0 {
            failures.push(format!("{proven} wrong and proven"));
        }
        if likely * 1000 > bar.likely * all {
            failures.push(format!("{likely} wrong and likely"));
        }
        if differ > 0 && self.mode != Mode::Noise {
            failures.push(format!("{differ} differ live and offline"));
        }
        Ok(failures)
    }

    /// Everything, for machines.
    pub(crate) fn json(&self) -> Value {
        let scenes: Vec<&Value> = self.rows.iter().map(|row| &row.json).collect();
        json!({ "mode": format!("{:?}", self.mode).to_lowercase(), "scenes": scenes })
    }

    const fn bar(&self) -> Bar {
        match self.mode {
            Mode::Noise => Bar {
                issuer: 950,
                handling: 0,
                cause: 0,
                likely: 1000,
            },
            // What is not traced cannot be named: only faults count.
            Mode::Outer | Mode::Untraced => Bar {
                issuer: 0,
                handling: 0,
                cause: 0,
                likely: 1000,
            },
            Mode::Quiet | Mode::Update | Mode::Offline => Bar {
                issuer: 980,
                handling: 980,
                cause: 900,
                likely: 20,
            },
        }
    }
}

fn truth_json(stage: &Stage, scene: &StageScene) -> Value {
    let truth = &scene.truth;
    json!({
        "issuer": stage.server(&truth.issuer).map(address).ok(),
        "product": truth.product,
        "handling": truth.handling.word(),
        "cause": truth.cause,
        "undecidable": truth.undecidable,
    })
}

fn row(cells: &[&str; 5]) -> String {
    let [kind, scene, issuer, handling, cause] = cells;
    format!("{kind:4}  {scene:36}  {issuer:46}  {handling:11}  {cause}")
        .trim_end()
        .to_owned()
}

fn percent(part: usize, whole: usize) -> f64 {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    100.0 * number(part) / number(whole).max(1.0)
}
