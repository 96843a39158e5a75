//! On which ports the network namespace of a process listens, to tell the connections that a
//! server accepted from those that it began.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use crate::model::Timestamp;

/// What is known of the listening ports, by process.
#[derive(Debug, Default)]
pub struct Listening {
    processes: BTreeMap<u32, Ports>,
}

#[derive(Debug)]
struct Ports {
    read_at: Timestamp,
    ports: BTreeSet<u16>,
}

/// Processes that are remembered.
const PROCESSES: usize = 1_024;
/// Ports taken from one namespace.
const PORTS: usize = 4_096;
/// A port that is not known is looked for anew when the last look is this long ago.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What is known is good for this long: a process id may be another's by then.
const GOOD_FOR: Duration = Duration::from_secs(10);

impl Listening {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether somebody listens on this port in the network namespace of this thread, as far as
    /// `/proc` told lately: then a connection of that local port was accepted there. (The kernel
    /// gives no such port to a connection that begins.) `false` where `/proc` does not tell.
    pub fn on(&mut self, pid: u32, tid: u32, port: u16, at: Timestamp) -> bool {
        let known = self.processes.get(&pid).and_then(|known| {
            let age = at.since(known.read_at);
            let listens = known.ports.contains(&port);
            (age < LOOK_AGAIN || (listens && age < GOOD_FOR)).then_some(listens)
        });
        known.unwrap_or_else(|| {
            let ports = read(pid, tid);
            let listens = ports.contains(&port);
            if self.processes.len() >= PROCESSES && !self.processes.contains_key(&pid) {
                self.processes.clear();
            }
            self.processes.insert(pid, Ports { read_at: at, ports });
            listens
        })
    }
}

fn read(pid: u32, tid: u32) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        // A thread may be gone already, or be in a namespace of its own.
        let file = File::open(format!("/proc/{pid}/task/{tid}/net/{table}"))
            .or_else(|_| File::open(format!("/proc/{pid}/net/{table}")));
        if let Ok(file) = file {
            take(BufReader::new(file), &mut ports);
        }
    }
    ports
}

/// Takes the listening ports from a table of sockets (`proc_net_tcp` in the kernel's
/// documentation). They come first, so the connections behind them are not even asked for.
fn take(table: impl BufRead, ports: &mut BTreeSet<u16>) {
    const LISTEN: &str = "0A";
    for line in table.lines().skip(1).map_while(Result::ok) {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, state) = (fields.next(), fields.nth(1));
        if state != Some(LISTEN) || ports.len() >= PORTS {
            return;
        }
        let port = local.and_then(|local| local.rsplit_once(':'));
        ports.extend(port.and_then(|(_, port)| u16::from_str_radix(port, 16).ok()));
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_the_listening_ones_are_taken() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n   \
             1: 00000000000000000000000000000000:0050 00000000:0000 0A 00000000:00000000\n   \
             2: 0100007F:1F91 0100007F:9C40 01 00000000:00000000\n   \
             3: 0100007F:1F92 00000000:0000 0A 00000000:00000000\n";
        let mut ports = BTreeSet::new();
        take(table.as_bytes(), &mut ports);
        assert_eq!(ports, BTreeSet::from([80, 8080]));
        for cut in 0..table.len() {
            take(&table.as_bytes()[..cut], &mut BTreeSet::new());
        }
    }

    #[test]
    fn a_new_port_is_found_after_a_while() {
        // SAFETY: takes nothing and changes nothing.
        let tid = unsafe { libc::gettid() }.unsigned_abs();
        let pid = std::process::id();
        let at = |millis: u64| Timestamp::from_nanos(1_000_000 * millis);
        let mut listening = Listening::new();
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listening.on(pid, tid, port, at(0)));
        assert!(!listening.on(pid, tid, 1, at(1)));
        drop(listener);
        // Known for a while yet.
        assert!(listening.on(pid, tid, port, at(9_000)));
        assert!(!listening.on(pid, tid, port, at(10_000)));
        assert!(!listening.on(u32::MAX, u32::MAX, port, at(0)));
    }
}
