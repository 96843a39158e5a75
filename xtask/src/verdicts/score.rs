//! A claim against the truth.

use tracer_tests::{Server, Stage, StageScene};

use crate::verdicts::claim::{Claim, Confidence};

/// What of a claim is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) issuer: bool,
    pub(crate) handling: bool,
    pub(crate) cause: bool,
    /// The confidence of the surest wrong claim, of issuer or cause; `Unknown` where none is
    /// wrong.
    pub(crate) wrong: Confidence,
}

impl Score {
    /// Judges a claim about a scene.
    ///
    /// An issuer that cannot be seen (another host's, a port that is not traced, a peer that does
    /// not speak HTTP) need not be named: not naming it is right, and so is naming it rightly.
    pub(crate) fn of(stage: &Stage, scene: &StageScene, claim: &Claim) -> Self {
        let issuer = issuer_is_right(stage, scene, claim);
        let cause = cause_is_right(scene, claim);
        let mut wrong = Confidence::Unknown;
        if !issuer && claims_an_issuer(claim) && !is_incomplete(stage, scene, claim) {
            wrong = wrong.max(claim.sure_of_issuer);
        }
        let handling = handling_is_right(stage, scene, claim);
        if !handling
            && claim
                .handling
                .as_deref()
                .is_some_and(|said| said != "unknown")
        {
            wrong = wrong.max(claim.sure_of_issuer);
        }
        if !cause && claim.cause.is_some() {
            wrong = wrong.max(claim.sure_of_cause);
        }
        Self {
            issuer,
            handling,
            cause,
            wrong,
        }
    }
}

/// `--outer-only`: what is missing for the tool to have been honest about what it could not see.
pub(crate) fn outer_fault(stage: &Stage, scene: &StageScene, claim: &Claim) -> Option<String> {
    let issued_there = scene.truth.issuer == scene.request.to;
    if issued_there {
        return None;
    }
    if claim.handling.as_deref() == Some("issued") {
        return Some("said to be issued at the traced server, which it is not".to_owned());
    }
    let others = stage.servers.iter().filter(|server| {
        // What speaks no HTTP cannot be traced; where it made the refusal it must be named.
        server.role != scene.request.to && (server.http || server.role == scene.truth.issuer)
    });
    let name = |server: &Server| match server.port {
        0 => "Unix socket".to_owned(),
        port => port.to_string(),
    };
    let mut others = others.map(name).peekable();
    let other_host = stage
        .server(&scene.request.to)
        .is_ok_and(|first| !first.inside);
    let named =
        other_host || others.peek().is_none() || others.any(|port| claim.advice.contains(&port));
    (!named).then(|| "neither limits nor next step name the port that is not traced".to_owned())
}

/// Where a server listens, as the tool writes it.
pub(crate) fn address(server: &Server) -> String {
    if server.port == 0 {
        return "a Unix socket".to_owned();
    }
    format!("127.0.0.1:{}", server.port)
}

fn issuer_is_right(stage: &Stage, scene: &StageScene, claim: &Claim) -> bool {
    let Ok(server) = stage.server(&scene.truth.issuer) else {
        return false;
    };
    let truth = &scene.truth.product;
    let product_right = truth.is_empty()
        || claim
            .product
            .as_ref()
            .is_some_and(|said| truth.contains(said))
        // An application of its own has no name to be known by.
        || (claim.product.is_none() && truth.iter().any(|name| name == "application"));
    let address_right = claim.address.as_ref() == Some(&address(server));
    if is_visible(server, scene) {
        return address_right && product_right && claims_an_issuer(claim);
    }
    !claims_an_issuer(claim)
        || ((address_right || claim.address.is_none())
            && (product_right || claim.product.is_none()))
}

/// Whether it names the right server, and no product where there is one to name: less than there
/// was to say, and nothing wrong.
fn is_incomplete(stage: &Stage, scene: &StageScene, claim: &Claim) -> bool {
    let server = stage.server(&scene.truth.issuer);
    claim.product.is_none() && server.is_ok_and(|s| claim.address.as_ref() == Some(&address(s)))
}

fn handling_is_right(stage: &Stage, scene: &StageScene, claim: &Claim) -> bool {
    let said = claim.handling.as_deref().unwrap_or("unknown");
    let (Ok(issuer), Ok(first)) = (
        stage.server(&scene.truth.issuer),
        stage.server(&scene.request.to),
    ) else {
        return false;
    };
    if said == scene.truth.handling.word() {
        let delegate = scene.truth.delegate.as_ref();
        let delegate = delegate.and_then(|role| stage.server(role).ok());
        // Where the authoriser is seen, it must be named.
        return delegate
            .is_none_or(|role| !role.traced || claim.delegate.as_ref() == Some(&address(role)));
    }
    let issuer_hidden = !is_visible(issuer, scene);
    // The first hop is on another host: what is seen may begin at the issuer.
    let begins_there =
        !is_seen(first) && said == "issued" && claim.address.as_ref() == Some(&address(issuer));
    (issuer_hidden && said == "unknown") || begins_there
}

fn cause_is_right(scene: &StageScene, claim: &Claim) -> bool {
    let accepted = claim
        .cause
        .as_ref()
        .is_some_and(|said| scene.truth.cause.contains(said));
    accepted || (scene.truth.undecidable && claim.sure_of_cause <= Confidence::Possible)
}

fn claims_an_issuer(claim: &Claim) -> bool {
    claim.sure_of_issuer > Confidence::Unknown
        && (claim.address.is_some() || claim.product.is_some())
}

/// Whether the wire can show that a server made the scene's refusal.
fn is_visible(server: &Server, scene: &StageScene) -> bool {
    let is_asked = server.role == scene.request.to && server.traced;
    is_seen(server) || (is_asked && (server.inside || server.called_from_inside))
}

fn is_seen(server: &Server) -> bool {
    server.traced && server.inside && server.http && server.port != 0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tracer_tests::Stage;

    use super::{Confidence, Score, outer_fault};
    use crate::verdicts::claim::Claim;

    #[test]
    fn a_right_claim_is_right_in_everything() {
        let stage = stage("");
        let score = Score::of(&stage, &stage.scenes[0], &right());
        assert_eq!(score, all(true, Confidence::Unknown));
    }

    #[test]
    fn silence_is_wrong_where_there_is_something_to_see_but_not_a_lie() {
        let stage = stage("");
        let score = Score::of(&stage, &stage.scenes[0], &Claim::default());
        assert_eq!(score, all(false, Confidence::Unknown));
    }

    #[test]
    fn a_wrong_claim_counts_with_its_confidence() {
        let stage = stage("");
        let wrong = Claim {
            address: Some("127.0.0.1:8080".to_owned()),
            ..right()
        };
        let score = Score::of(&stage, &stage.scenes[0], &wrong);
        assert_eq!(
            (score.issuer, score.cause, score.wrong),
            (false, true, Confidence::Proven)
        );
        let wrong = Claim {
            cause: Some("waf-block".to_owned()),
            ..right()
        };
        let score = Score::of(&stage, &stage.scenes[0], &wrong);
        assert_eq!((score.cause, score.wrong), (false, Confidence::Likely));
    }

    #[test]
    fn an_issuer_that_cannot_be_seen_need_not_be_named() {
        let stage = stage("inside = false");
        let score = |claim: &Claim| Score::of(&stage, &stage.scenes[0], claim);
        let silent = score(&Claim::default());
        assert!(silent.issuer && silent.handling);
        assert!(score(&right()).issuer);
        let wrong = Claim {
            address: Some("127.0.0.1:8080".to_owned()),
            ..right()
        };
        assert!(!score(&wrong).issuer);
    }

    #[test]
    fn of_another_host_its_answer_is_seen_and_nothing_behind_it() {
        let mut stage = stage("inside = false");
        stage.servers[0].inside = false;
        stage.servers[0].called_from_inside = true;
        let issued = Claim {
            handling: Some("issued".to_owned()),
            ..Claim::default()
        };
        let relayed = Score::of(&stage, &stage.scenes[0], &issued);
        assert!(relayed.issuer && !relayed.handling);
        stage.scenes[0].truth.issuer = "edge".to_owned();
        assert!(!Score::of(&stage, &stage.scenes[0], &issued).issuer);
        assert!(outer_fault(&stage, &stage.scenes[0], &issued).is_none());
    }

    #[test]
    fn behind_a_first_hop_that_cannot_be_seen_the_issuer_is_where_it_begins() {
        let mut stage = stage("");
        stage.servers[0].inside = false;
        let mut claim = Claim {
            handling: Some("issued".to_owned()),
            ..right()
        };
        assert!(Score::of(&stage, &stage.scenes[0], &claim).handling);
        claim.address = Some("127.0.0.1:1".to_owned());
        assert!(!Score::of(&stage, &stage.scenes[0], &claim).handling);
    }

    #[test]
    fn an_undecidable_cause_may_be_possible_but_not_likely() {
        let mut stage = stage("");
        stage.scenes[0].truth.undecidable = true;
        let mut claim = Claim {
            cause: Some("waf-block".to_owned()),
            sure_of_cause: Confidence::Possible,
            ..right()
        };
        assert!(Score::of(&stage, &stage.scenes[0], &claim).cause);
        claim.sure_of_cause = Confidence::Likely;
        assert!(!Score::of(&stage, &stage.scenes[0], &claim).cause);
    }

    #[test]
    fn with_the_outer_port_alone_the_other_must_be_named() {
        let stage = stage("");
        let fault = |claim: &Claim| outer_fault(&stage, &stage.scenes[0], claim);
        assert!(fault(&Claim::default()).is_some());
        let honest = Claim {
            advice: "trace port 9000 too".to_owned(),
            ..Claim::default()
        };
        assert_eq!(fault(&honest), None);
        let issued = Claim {
            handling: Some("issued".to_owned()),
            ..honest
        };
        assert!(fault(&issued).is_some());
    }

    fn all(right: bool, wrong: Confidence) -> Score {
        Score {
            issuer: right,
            handling: right,
            cause: right,
            wrong,
        }
    }

    fn right() -> Claim {
        Claim {
            address: Some("127.0.0.1:9000".to_owned()),
            product: Some("Django".to_owned()),
            sure_of_issuer: Confidence::Proven,
            handling: Some("relayed".to_owned()),
            cause: Some("csrf-token".to_owned()),
            sure_of_cause: Confidence::Likely,
            ..Claim::default()
        }
    }

    /// An edge before an origin with more about the origin.
    fn stage(origin: &str) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            r#"
about = "A stage."
[[server]]
role = "edge"
port = 8080
run = ["true"]
[[server]]
role = "origin"
port = 9000
run = ["true"]
{origin}
[[scene]]
name = "refused"
about = "It is refused."
request = {{ path = "/" }}
[scene.truth]
issuer = "origin"
product = ["Django", "application"]
handling = "relayed"
cause = ["csrf-token"]
"#
        );
        fs::write(folder.path().join("stage.toml"), text).unwrap();
        Stage::load(folder.path()).unwrap()
    }
}
