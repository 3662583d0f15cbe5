//! Guests that break the canonical ABI: addresses, lengths, texts, handles that cannot be.

use kiln_tests::Guest;

use super::{Attack, times};

const OPENS_TOKEN: &str = r#"(call $open (str "kiln-secret:token") (i32.const 256))"#;

#[test]
fn a_text_of_two_gibibytes() {
    let body = "(call $log (i32.const 1) (i32.const 4096) (i32.const 0x80000000)) unreachable";
    Attack::running(body).json().failed("sandbox", "out of bounds");
}

#[test]
fn a_text_behind_the_end_of_memory() {
    let body = "(call $log (i32.const 1) (i32.const -1) (i32.const 2)) unreachable";
    Attack::running(body).json().failed("sandbox", "out of bounds");
}

#[test]
fn a_text_of_forty_mebibytes() {
    let body = "(drop (memory.grow (i32.const 700)))
        (call $log (i32.const 1) (i32.const 4096) (i32.const 41943040)) unreachable";
    Attack::running(body).json().failed("sandbox", "it handed the host too much in one call");
}

/// A list of `count` texts, each of them the same `length` bytes.
fn alarms(count: u32, length: u32) -> Guest {
    let body = format!(
        "(local $i i32)
         (drop (memory.grow (i32.const 300)))
         (memory.fill (i32.const 65536) (i32.const 0x61) (i32.const {length}))
         (loop $again
           (i32.store (i32.add (i32.const 8388608) (i32.mul (local.get $i) (i32.const 8))) (i32.const 65536))
           (i32.store (i32.add (i32.const 8388612) (i32.mul (local.get $i) (i32.const 8))) (i32.const {length}))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $i) (i32.const {count}))))
         (call $describe-alarms (i32.const 8388608) (i32.const {count}) (i32.const 256))
         (call $fail (i32.const 1) (i32.load (i32.const 272)) (i32.load (i32.const 276)))"
    );
    Guest::new(&body).asking("cloudwatch:DescribeAlarms", &["*"])
}

#[test]
fn a_million_texts() {
    Attack::by(&alarms(1_000_000, 16)).json().failed("sandbox", "it handed the host too much in one call");
}

#[test]
fn a_million_empty_texts() {
    Attack::by(&alarms(1_000_000, 0)).json().failed("sandbox", "it handed the host too much in one call");
}

#[test]
fn texts_that_are_all_the_same_megabyte() {
    Attack::by(&alarms(1_000, 1 << 20)).json().failed("sandbox", "it handed the host too much in one call");
}

#[test]
fn a_text_that_is_not_utf_8() {
    Attack::running(r#"(call $log (i32.const 1) (str "\ff\fe")) unreachable"#).json().failed("sandbox", "utf-8");
}

#[test]
fn a_case_that_the_enumeration_does_not_have() {
    Attack::running(r#"(call $log (i32.const 9) (str "hello")) unreachable"#)
        .json()
        .failed("sandbox", "unexpected discriminant: 9");
}

#[test]
fn memory_for_the_host_where_there_is_none() {
    let mut guest = Guest::new(r#"(call $ok (str "{}"))"#);
    guest.realloc = Some("(i32.const -16)".to_owned());
    Attack::by(&guest).json().failed("sandbox", "beyond end of memory");
}

#[test]
fn memory_for_the_host_that_asks_the_host() {
    let mut guest = Guest::new(r#"(call $ok (str "{}"))"#);
    guest.realloc = Some(r#"(call $log (i32.const 1) (str "again")) (i32.const 8192)"#.to_owned());
    Attack::by(&guest).json().failed("sandbox", "cannot leave component instance");
}

#[test]
fn a_forged_handle() {
    let body = "(call $reveal (i32.const 12345) (i32.const 256)) unreachable";
    Attack::running(body)
        .stage("reveal = true\nwith = { token = \"${secrets.token}\" }")
        .json()
        .failed("sandbox", "unknown handle index 12345");
}

#[test]
fn a_handle_that_was_dropped() {
    let body = format!(
        "{OPENS_TOKEN}
         (call $drop-secret (i32.load (i32.const 260)))
         (call $secret-name (i32.load (i32.const 260)) (i32.const 256)) unreachable"
    );
    Attack::running(&body)
        .stage("with = { token = \"${secrets.token}\" }")
        .json()
        .failed("sandbox", "unknown handle index");
}

#[test]
fn handles_until_there_are_none_left() {
    Attack::running(&times(2_000, OPENS_TOKEN))
        .stage("with = { token = \"${secrets.token}\" }")
        .json()
        .failed("sandbox", "it holds too many handles");
}
