use std::collections::BTreeSet;

use super::*;
use crate::limits;
use crate::testing;

#[test]
fn every_row_is_whole_and_matches_its_example() {
    let table = table();
    let mut faults = Vec::new();
    for row in table.rows() {
        let mut fault = |what: &str| faults.push(format!("{}: {what}", row.id));
        if row.means.is_empty() || !row.means.ends_with('.') {
            fault("`means` is no sentence");
        }
        if row.source.is_empty() {
            fault("no source");
        }
        let at_the_wire = row.when.iter().all(|c| c.place != Place::Process);
        if row.is_visible() && at_the_wire {
            match raw::exchange(row.example.as_bytes()) {
                Some(example) if has(&table, &example, &row.id) => {}
                Some(_) => fault("its example does not match"),
                None => fault("its example is no message"),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn table() -> Fingerprints {
    Fingerprints::built_in().unwrap()
}

fn has(table: &Fingerprints, exchange: &Exchange, id: &str) -> bool {
    table
        .matches(exchange)
        .iter()
        .any(|m| m.fingerprint.id == id)
}
