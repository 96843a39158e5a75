//! The client certificate is missing or not accepted.

use super::words::{self, APACHE, Line, NGINX};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::ClientCertificate,
    because: "the client certificate is missing or not accepted",
    contrast: &[],
    contrast_needs: &[],
    fits: &["response.words_certificate", "timing.before_body"],
    next_step,
    explain: Explain {
        what: "Whoever ends TLS wants a certificate of the client. There was none, or it has \
               expired, is revoked, or comes from an authority that is not trusted there.",
        recognised: "The failure comes before the request is looked at, and no file is touched. \
                     nginx logs `client SSL certificate verify error` or `client sent no required \
                     SSL certificate`, at info level. Apache logs AH02261 or AH02262 for a failed \
                     renegotiation, AH10158 after the handshake of TLS 1.3, AH02219 where SSL is \
                     required and AH02229 for an expression. IIS uses 403.7, 403.12, 403.13, \
                     403.16 and 403.17.",
        misleads: "nginx answers this with 400 unless an error_page maps it, so a plain 403 of \
                   nginx has another cause. An inner service may refuse because the proxy that \
                   ended TLS did not pass on who the client is.",
        mend: "Present a certificate that is in date and comes from an authority that the hop \
               ending TLS trusts. If an inner hop judges the identity, forward it there.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: NGINX,
        say: "look in the error log of {server} (info level) for `client SSL certificate verify \
              error` or `client sent no required SSL certificate`",
    },
    Line {
        of: APACHE,
        say: "look in the error log of {server} for AH02261, AH02262, AH10158, AH02219 or AH02229",
    },
    Line {
        of: &["iis"],
        say: "look in the log of {server} for sc-substatus 7, 12, 13, 16 or 17",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let who = words::client(clues).map_or_else(|| "the client".to_owned(), |ip| ip.to_string());
    let look = words::look(clues, LINES).unwrap_or_else(|| {
        format!(
            "look in the log of whoever ends TLS at or before {} for a refused certificate",
            words::server(clues)
        )
    });
    words::sentence(format!(
        "{look}, and check that {who} presents a certificate that is in date and from an \
         authority trusted there (`openssl x509 -noout -dates -issuer`)"
    ))
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::said;

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "nginx").contains("`client SSL certificate verify error`"));
        assert!(said(&CAUSE, "apache2").contains("AH10158"));
        assert!(said(&CAUSE, "gateway").contains("whoever ends TLS"));
        assert!(said(&CAUSE, "nginx").contains("10.0.0.7 presents"));
    }
}
