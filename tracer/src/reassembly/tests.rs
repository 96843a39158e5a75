//! Traces in a small language, see [`script`].

mod properties;
mod script;
mod short_way;
mod translated;

use std::time::Duration;

use self::script::{Script, run, run_with};
use super::*;

/// A handshake.
const OPEN: &str = ">S <S@0 >0@0";

#[test]
fn one_direction() {
    for (input, trace) in [
        (">0:abc >3:def", ">0:abc >3:def"),
        (">0:abc >6:ghi >3:def", ">0:abc >3:def >6:ghi"),
        // Overlaps: the first copy wins.
        (">0:abc >0:abc >3:d", ">0:abc >3:d"),
        (">0:abc >1:bcde", ">0:abc >3:de"),
        (">3:def >0:abcdeX", ">0:abc >3:def"),
        (">6:g >3:def >1:bcd >0:a", ">0:a >1:bc >3:def >6:g"),
        (">3:def >0:abcdefgh", ">0:abc >3:def >6:gh"),
        // What was not captured.
        (">0~5:abc >8:d", ">0:abc >3~5 >8:d"),
        (">4~2:ef >0:abcd", ">0:abcd >4:ef >6~2"),
        // The end.
        (">0:abc >3F", ">0:abc >3.fin"),
        (">3F >0:abc", ">0:abc >3.fin"),
        (">0F:abc >0F:abc >3F", ">0:abc >3.fin"),
        (">0:abc >0F:abc", ">0:abc >3.fin"),
        (">0F:abc >3:xyz >9:x", ">0:abc >3.fin"),
        (">1F:bc >0:abcXYZ", ">0:a >1:bc >3.fin"),
        // Keep-alive probes.
        (">0:abc >2:c >2 >3:d", ">0:abc >3:d"),
        // Far outside.
        (">0:abc >1073741828:z >3:d", ">0:abc >3:d"),
    ] {
        assert_eq!(run(&format!("{OPEN} {input}")).trace, trace, "{input}");
    }
}

#[test]
fn a_stream_goes_on_past_four_gibibytes() {
    let mut script = Script::new(Limits::default());
    script.feed(OPEN);
    let part = 1_000_000_000;
    for i in 0..9_u64 {
        script.feed(&format!(">{}~{part} >{}~{part}", i * part, i * part));
    }
    script.take_trace();
    script.feed(">9000000003:def <0@9000000006:x >8999999999:zabc >0:old");
    assert_eq!(script.trace(), ">9000000000:abc >9000000003:def <0:x");
    assert_eq!(script.reassembler.stats().implausible, 0);
    assert_eq!(script.reassembler.stats().conflicts, 0);
}

#[test]
fn an_answer_never_overtakes_its_request() {
    for (input, trace) in [
        (">0@0:req <0@3:ans", ">0:req <0:ans"),
        ("<0@3:ans >0@0:req", ">0:req <0:ans"),
        (
            "<0@3:ans >3@3:two <3@6:ans >0@0:req",
            ">0:req <0:ans >3:two <3:ans",
        ),
        (
            "<0@3:one <3@6:two >3@0:REQ >0@0:req",
            ">0:req >3:REQ <0:one <3:two",
        ),
        // Before the request is complete.
        ("<0@3:403 >0@0:abcdef", ">0:abcdef <0:403"),
        ("<0@3:403 >3@0:def >0@0:abc", ">0:abc >3:def <0:403"),
        // The end waits as data does.
        ("<0F@3:bye >0@0:req", ">0:req <0:bye <3.fin"),
        ("<0F@4:bye >0F@0:req", ">0:req >3.fin <0:bye <3.fin closed"),
        // Each waits for the other: both are retransmissions.
        (">0@3:abc <0@3:xyz", ">0:abc <0:xyz"),
        ("<0@3:xyz +1 >0@3:abc", "<0:xyz >0:abc"),
    ] {
        assert_eq!(run(&format!("{OPEN} {input}")).trace, trace, "{input}");
    }
}

#[test]
fn holes_are_given_up() {
    for (input, trace) in [
        // Acknowledged: a quarter of a second.
        (">3@0:def <0@6 +249", ""),
        (">3@0:def <0@6 +249 >0@0:abc", ">0:abc >3:def"),
        (">3@0:def <0@6 +251", ">0?3 >3:def"),
        (">3@0:def <0@6 +251 >0@0:abc", ">0?3 >3:def"),
        (">3@0:def +5000 <0@6 +249 >0:abc", ">0:abc >3:def"),
        (">3@0:def +5000 <0@6 +251", ">0?3 >3:def"),
        // Only up to what is acknowledged.
        (">6@0:ghi <0@3 +251 >3@0:def", ">0?3 >3:def >6:ghi"),
        // Not acknowledged: ten seconds.
        (">3@0:def +9999", ""),
        (">3@0:def +10001", ">0?3 >3:def"),
        // Several at once.
        (">1:b >3:d >5:f <0@6 +251", ">0?1 >1:b >2?1 >3:d >4?1 >5:f"),
        // The answer waits for the request.
        ("<0@3:ans +249", ""),
        ("<0@3:ans +251", ">0?3 <0:ans"),
        // The tail is lost.
        (">0@0:abc <0@9 +251", ">0:abc >3?6"),
        // One byte is rather a FIN; the answer waits for it all the same.
        (">0@0:abc <0@4:ans +249", ">0:abc"),
        (">0@0:abc <0@4:ans +251", ">0:abc <0:ans"),
        (">0@0:abc <0@4:ans +251 >3@0:de", ">0:abc <0:ans >3:de"),
        (
            ">0@0:abc <0@4:ans +251 >4@0:e +251",
            ">0:abc <0:ans >3?1 >4:e",
        ),
        // The end tells of what is missing before it.
        (">0@0:abc >6F@0 <0@7 +251", ">0:abc >3?3 >6.fin"),
        // Time steps back.
        (">3@0:def <0@6 -60000 >9@0:jkl +251", ">0?3 >3:def"),
        (">3@0:def <0@6 -1000 +1251", ">0?3 >3:def"),
    ] {
        assert_eq!(run(&format!("{OPEN} {input}")).trace, trace, "{input}");
    }
}

#[test]
fn nothing_waits_for_a_direction_that_is_not_captured() {
    for (input, trace) in [
        ("<S@0 <0@3:ans <3@6:ans", "<0:ans <3:ans"),
        ("<0@3:ans <3@6:ans +99999", "<0:ans <3:ans"),
        (">S >0@0:req >3@9:req", ">0:req >3:req"),
        (">0@0:req >3@9:req +99999", ">0:req >3:req"),
    ] {
        assert_eq!(run(input).trace, trace, "{input}");
    }
}

#[test]
fn the_end_hands_out_what_waits() {
    for (input, trace) in [
        (">0:abc <0R", ">0:abc >3.rst <0.rst closed"),
        (
            ">0:abc >6:ghi >9R",
            ">0:abc >3?3 >6:ghi >9.rst <0.rst closed",
        ),
        (
            "<0@3:ans >4:e <3R",
            ">0?3 <0:ans >3?1 >4:e >5.rst <3.rst closed",
        ),
        (">0F:abc <0F@4:xyz", ">0:abc >3.fin <0:xyz <3.fin closed"),
        // Half closed.
        (">0F:abc <0@4:xyz <3@4:z", ">0:abc >3.fin <0:xyz <3:z"),
        (">0F:abc <0@4:xyz <3R", ">0:abc >3.fin <0:xyz <3.rst closed"),
        // A RST with absurd numbers.
        (">0:abc <16777217R >3:d", ">0:abc >3:d"),
        // Silence, and the end of the capture.
        (
            ">0:abc >4:e +9999 $",
            ">0:abc >3?1 >4:e >5.idle <0.idle closed",
        ),
        (">0:abc +300001", ">0:abc >3.idle <0.idle closed"),
        (">0@0:abc <0@9 $", ">0:abc >3?6 >9.idle <0.idle closed"),
    ] {
        assert_eq!(run(&format!("{OPEN} {input}")).trace, trace, "{input}");
    }
}

#[test]
fn a_new_handshake_is_a_new_connection() {
    for (input, trace) in [
        // Retransmitted, or seen twice.
        (">S >S <S@0 <S@0 >0@0:abc", ">0:abc"),
        // The same addresses again, after the end and without one.
        (
            ">S >0F:a <0F:b !7 >S >0:c",
            ">0:a >1.fin <0:b <1.fin closed #2 >0:c",
        ),
        (">S >0:a !7 >S >0:c", ">0:a >1.idle <0.idle closed #2 >0:c"),
        (
            ">S <S@0 <0@0:a !7 <S@0 <0@0:c",
            "<0:a >0.idle <1.idle closed #2 <0:c",
        ),
        (">S >0:a !7 >S !0 >0:b", ">0:a >1.idle <0.idle closed"),
        // Reordered.
        ("<S@0 >S >0@0:a", ">0:a"),
        (">0@0:a >S <S@0 <0@1:b", ">0:a <0:b"),
        (">0@0:a <S@0 <0@1:b", ">0:a <0:b"),
        // Simultaneous open (RFC 9293 section 3.5).
        (">S <S >S@0 <S@0 >0@0:a <0@1:b", ">0:a <0:b"),
        // Fast open (RFC 7413).
        (">S:abc <S@3 >3@0:d <0@4:x", ">0:abc >3:d <0:x"),
        (">S:abc <S@0 >0@0:abc <0@3:x", ">0:abc <0:x"),
        // Nobody listens.
        (">S <-1R@0", ">0.rst <0.rst closed"),
    ] {
        assert_eq!(run(input).trace, trace, "{input}");
    }
}

#[test]
fn stragglers_open_nothing() {
    for (input, trace) in [
        (">0@0 <0R >0F", ""),
        (
            ">S >0:a <0R >0:a >1:b >1F <0R <0",
            ">0:a >1.rst <0.rst closed",
        ),
        (
            ">S >0F:a <0F@2:b >2@2 <0F@2:b >0F:a",
            ">0:a >1.fin <0:b <1.fin closed",
        ),
        (">S >0:a <0R +9000 >0:a", ">0:a >1.rst <0.rst closed"),
        (
            ">S >0:a <0R +10001 +10001 >0:a",
            ">0:a >1.rst <0.rst closed #2 >0:a",
        ),
        // Another connection of which the SYN is missing.
        (">S >0:a <0R !7 >0:b", ">0:a >1.rst <0.rst closed #2 >0:b"),
    ] {
        assert_eq!(run(input).trace, trace, "{input}");
    }
}

#[test]
fn a_reset_that_its_sender_ignores_was_not_its_own() {
    for (input, trace) in [
        // Forged, or refused by the peer: the sender goes on.
        (
            "{OPEN} >0R >0@0:abc <0@3:def",
            ">0.rst <0.rst closed #2 >0:abc <0:def",
        ),
        // An answer to the SYN, before the true one.
        (
            ">S <5000R@0 <S@0 >0@0:abc <0@3:def",
            ">0.rst <0.rst closed #2 >0:abc <0:def",
        ),
        // What was sent before the RST, by either end.
        ("{OPEN} >3R@0 >0@0:abc", ">0.rst <0.rst closed"),
        ("{OPEN} >0R <0@0:abc", ">0.rst <0.rst closed"),
        ("{OPEN} >0R <S@0", ">0.rst <0.rst closed"),
    ] {
        let input = input.replace("{OPEN}", OPEN);
        assert_eq!(run(&input).trace, trace, "{input}");
    }
}

#[test]
fn the_middle_of_a_connection() {
    for (input, trace) in [
        (">900:abc <700@903:xyz", ">0:abc <0:xyz"),
        (">903@0:d >900@0:abc >904@0:e", ">0:d >1:e"),
        // The acknowledgement tells where the other direction is.
        (
            ">900@700:abc <703@903:xyz <700@903:uvw",
            ">0:abc <0:uvw <3:xyz",
        ),
        (
            ">900@700:abc <703@903:xyz >903@706 +251",
            ">0:abc <0?3 <3:xyz",
        ),
        (">900@700:abc <9000000@903:xyz", ">0:abc <0:xyz"),
        (">900@700:abc <700F@903", ">0:abc <0.fin"),
    ] {
        let script = run(input);
        assert_eq!(script.trace, trace, "{input}");
        assert_eq!(script.stats.started_in_middle, 1, "{input}");
    }
}

#[test]
fn counts() {
    let stats = |input: &str| run(&format!("{OPEN} {input}")).stats;
    assert_eq!(stats("").connections, 1);
    assert_eq!(stats("").started_in_middle, 0);
    assert_eq!(stats("").duplicates, 0);
    for (input, duplicates) in [
        (">S >S <S@0", 3),
        (">0:abc >0:abc >1:b >1:bcd", 2),
        (">3:def >3:def >4:e >0:abc", 2),
        (">0F:abc >0F:abc >3F", 2),
        (">3F >3F >0:abc", 1),
        (">0:abc >2 >2:c >3 >3", 2),
        (">0~3:abc >0~3:abc", 1),
        (">0F:abc <0F:x >0:abc <1F >4", 2),
    ] {
        assert_eq!(stats(input).duplicates, duplicates, "{input}");
    }
    for (input, conflicts) in [
        (">3:def >3:def", 0),
        (">3:def >3:deX", 1),
        (">3:def >0:abcXef", 1),
    ] {
        let script = run(&format!("{OPEN} {input} $"));
        assert_eq!(script.stats.conflicts, conflicts, "{input}");
        assert_eq!(script.conflict, conflicts > 0, "{input}");
    }
    let lossy = stats(">3:def >9:jkl $");
    assert_eq!((lossy.gaps, lossy.gap_bytes), (2, 6));
    assert_eq!(stats(">0~3:abc $").gaps, 0);
    assert_eq!(stats(">0:a >1073741828:z <0@1073741828").implausible, 1);
    assert_eq!(stats(">0:a <99999999R").implausible, 1);
}

#[test]
fn who_is_the_client() {
    // The script's `>` end is 192.0.2.1:40000, its `<` end 192.0.2.2:80.
    for (input, trace) in [
        ("<0:HTTP/1.1", "<0:HTTP/1.1"),
        ("<0:GET_/", "<0:GET_/"),
        (">0:HTTP/1.1", "~ <0:HTTP/1.1"),
        ("<0:PROXY_TCP4", "~ >0:PROXY_TCP4"),
        (">S <0:PROXY_TCP4", "<0:PROXY_TCP4"),
        ("<S@0 <0:PROXY_TCP4", "<0:PROXY_TCP4"),
    ] {
        let input = input.replace("GET_/", "GET");
        let trace = trace.replace("GET_/", "GET");
        assert_eq!(run(&input).trace, trace, "{input}");
    }
}

#[test]
fn too_much_that_waits_is_handed_out() {
    let limits = Limits {
        out_of_order: 1_000,
        ..Limits::default()
    };
    let mut script = Script::new(limits);
    script.feed(OPEN);
    for i in 1..100 {
        script.feed(&format!(">{}:ab", i * 3));
        assert!(script.reassembler.memory() <= 1_000);
    }
    let stats = script.reassembler.stats();
    assert!(stats.gaps > 90 && stats.evicted_bytes > 90);
    // The same where the other direction is what is waited for.
    let mut script = Script::new(script.reassembler.limits.clone());
    script.feed(OPEN);
    for i in 0..20 {
        script.feed(&format!("<{}@4:ab", i * 2));
        assert!(script.reassembler.memory() <= 1_000);
    }
    assert!(script.trace().starts_with(">0?4 <0:ab <2:ab"));
}

#[test]
fn too_many_connections() {
    let limits = Limits {
        connections: 3,
        ..Limits::default()
    };
    let mut script = Script::new(limits);
    script.feed(":1 >S >0:a :2 >S >0F:b <0F :3 >S >0:c :1 >1:a");
    script.take_trace();
    // The one that is over goes first, then the one that is silent for longest.
    script.feed(":4 >S");
    assert_eq!(script.take_trace(), "");
    script.feed(":5 >S");
    assert_eq!(script.take_trace(), "#3 >1.evicted <0.evicted closed");
    script.feed(":1 >2:a");
    assert_eq!(script.take_trace(), "#1 >2:a");
    assert_eq!(script.reassembler.stats().evicted_connections, 1);
}

#[test]
fn too_much_memory() {
    let limits = Limits {
        memory: 1_000,
        ..Limits::default()
    };
    let mut script = Script::new(limits);
    // Connection 1 holds nothing; of the others the oldest goes.
    script.feed(":1 >S >0:a");
    for peer in 2..10 {
        script.feed(&format!(":{peer} >S >1:b"));
        assert!(script.reassembler.memory() <= 1_000);
    }
    assert!(
        script
            .trace()
            .starts_with(">0:a #2 >0?1 >1:b >2.evicted <0.evicted closed")
    );
    let evicted = script.reassembler.stats().evicted_memory;
    assert!((1..8).contains(&evicted));
    // The flow counts too.
    script.flow_memory = 2_000;
    script.feed(":1 >1:a");
    assert_eq!(script.reassembler.memory(), 0);
    assert_eq!(script.reassembler.stats().evicted_connections, 0);
}

#[test]
fn loopback_connections_are_told_apart_by_namespace() {
    let both = ":lo netns=5 >S >0:a netns=6 >S >0:b";
    assert_eq!(run(both).trace, ">0:a #2 >0:b");
    let elsewhere = "netns=5 >S >0:a netns=6 >S >0:a >1:b";
    assert_eq!(run(elsewhere).trace, ">0:a >1:b");
}

#[test]
fn both_hooks_see_a_segment_once() {
    let mut script = Script::new(Limits::default());
    script.feed("egress=11 >S ingress=20 >S egress=20 <S@0 ingress=11 <S@0");
    script.feed("egress=11 >0@0:abc ingress=22 >0@0:abc egress=22 <0@3:x");
    assert_eq!(script.trace(), ">0:abc <0:x");
    assert_eq!(script.cookies, (11, 22));
}

#[test]
fn an_idle_connection_is_small() {
    let size = size_of::<Option<Slot<()>>>();
    assert!(size <= 328, "{size}");
}

#[test]
fn finish_goes_by_number() {
    let script = run(":3 >S :1 >S :2 >S :1 >0:a $");
    let ends = ["#1", "#2", "#3"].map(|n| script.trace.rfind(n).unwrap());
    assert!(ends.is_sorted(), "{}", script.trace);
}

#[test]
fn patience_is_a_limit() {
    let limits = Limits {
        acked_hole: Duration::from_millis(10),
        ..Limits::default()
    };
    let trace = run_with(limits, &format!("{OPEN} >3:d <0@4 +11")).trace;
    assert_eq!(trace, ">0?3 >3:d");
}

#[test]
fn a_flow_is_woken_once_and_in_time() {
    let mut script = Script::new(Limits::default());
    script.wakes_after_ms = Some(300);
    script.feed(&format!("{OPEN} >0:a +200"));
    assert_eq!(script.take_trace(), ">0:a");
    // It began to wait with the first chunk.
    script.feed(">1:b +101 +500");
    assert_eq!(script.take_trace(), ">1:b woken");
    // A hole in the same connection does not wake it earlier or later.
    script.feed(">2:c >4:e <0@5 +260 +50");
    assert_eq!(script.take_trace(), ">2:c >3?1 >4:e woken");
}
