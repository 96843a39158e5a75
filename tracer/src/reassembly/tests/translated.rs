//! Connections whose addresses are translated on the way.

use super::*;

const CLIENT: &str = "192.0.2.1:40000";
const SERVICE: &str = "192.0.2.200:80";

fn named(script: &str) -> (String, [String; 4]) {
    let mut run = Script::new(Limits::default());
    run.feed(script);
    (run.trace(), run.names)
}

#[test]
fn a_router_sees_it_before_and_behind() {
    let (trace, names) = named(
        ">S as=1 >S <S@0 as=0 <S@0 >0@0:req as=1 >0@0:req <0@3:ans as=0 <0@3:ans \
         as=1 >3F@3 as=0 >3F@3 as=1 <3F@4 as=0 <3F@4",
    );
    assert_eq!(trace, "=2 >0:req <0:ans >3.fin <3.fin closed");
    assert_eq!(names, [CLIENT, "-", "198.51.100.1:8080", SERVICE]);
    let (trace, names) =
        named(">S as=10 >S <S@0 as=0 <S@0 as=10 >0@0:req <0@3:ans as=0 >0@0:req <0@3:ans");
    assert_eq!(trace, "=2 >0:req <0:ans");
    let behind = ["203.0.113.10:1024", "198.51.100.10:8080"];
    assert_eq!(names, [CLIENT, behind[0], behind[1], SERVICE]);
}

#[test]
fn a_socket_sees_requests_behind_and_answers_before() {
    // The client's own, and the server's as well or alone.
    for script in [
        "as=1 >S as=0 <S@0 as=1 >0@0:req as=0 <0@3:ans",
        "as=1 >S <S@0 as=0 <S@0 as=1 >0@0:req <0@3:ans as=0 <0@3:ans",
    ] {
        let (trace, names) = named(script);
        assert!(
            trace.starts_with("=2 ") && trace.contains(">0:req"),
            "{trace}"
        );
        assert_eq!(
            names,
            [CLIENT, "-", "198.51.100.1:8080", SERVICE],
            "{script}"
        );
    }
}

#[test]
fn a_connection_that_was_open_before_is_known_by_its_first_segment() {
    let (trace, names) = named(">0@0:POST_/ as=1 >0@0:POST_/ <0@6:ans as=0 <0@6:ans");
    assert_eq!(trace, ">0:POST_/ =2 <0:ans");
    assert_eq!(names, [CLIENT, "-", "198.51.100.1:8080", SERVICE]);
}

#[test]
fn the_same_numbers_are_not_enough() {
    for (script, why) in [
        ("!0 >S as=1 >S <S@0 as=0 <S@0", "made up by hand"),
        (">S as=1 >S <S@0 +1001 as=0 <S@0", "long after"),
        (">S <S@0 >0@0:req as=1 >S <S@0", "it went on meanwhile"),
        (
            ">S as=1 >S <S@0 >0@0:req as=0 <S@0",
            "the younger one went on",
        ),
        (">S <S@0 >0F@0 <0F@1 as=1 >S <S@0", "it is over"),
    ] {
        assert_eq!(run(script).stats.joined, 0, "{why}");
    }
}

#[test]
fn its_addresses_are_free_again_when_it_is_over() {
    let open = ">S as=1 >S <S@0 as=0 <S@0 >0@0:a as=1 >0R";
    let mut script = Script::new(Limits::default());
    script.feed(open);
    script.feed("+20000");
    script.take_trace();
    script.feed("!3");
    script.feed(open);
    assert_eq!(script.trace(), "#3 =4 >0:a >1.rst <0.rst closed");
    assert_eq!(script.reassembler.stats().joined, 2);
}
