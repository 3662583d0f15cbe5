//! Guests that ask the host for too much, too often: of its time, its journal, its output.

use kiln_tests::Guest;

use super::{Attack, endlessly, times};

#[test]
fn a_million_looks_at_the_clock() {
    Attack::running(&endlessly("(drop (call $now))"))
        .writing(16 << 20)
        .json()
        .failed("sandbox", "the journal of one attempt");
}

#[test]
fn waits_of_no_time_without_end() {
    Attack::running(&endlessly("(call $sleep (i64.const 0))"))
        .stage("timeout = \"1s\"")
        .json()
        .failed("timed-out", "not done within its timeout of 1.0s");
}

#[test]
fn calls_that_cost_nothing_without_end() {
    let aftermath = Attack::running(&endlessly("(call $unknown (i32.const 256))")).json();
    aftermath.failed("sandbox", "it called the host more than 500000 times");
}

#[test]
fn calls_that_are_refused_without_end() {
    let body = endlessly(
        r#"(call $describe-images (str "web") (i32.const 4096) (i32.const 0)
             (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))"#,
    );
    Attack::running(&body).writing(2 << 20).json().failed("sandbox", "it was refused 1001 AWS calls");
}

#[test]
fn large_texts_without_end_do_not_keep_the_timeout_from_coming() {
    let body = format!(
        "(drop (memory.grow (i32.const 260)))
         (memory.fill (i32.const 65536) (i32.const 0x61) (i32.const 16000000))
         {}",
        endlessly(
            "(call $report (i32.const 65536) (i32.const 16000000) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"
        )
    );
    let aftermath = Attack::running(&body).stage("timeout = \"1s\"").json();
    aftermath.failed("timed-out", "not done within its timeout of 1.0s");
    assert!(aftermath.took.as_secs() < 15, "{:?}", aftermath.took);
}

#[test]
fn statuses_without_end() {
    let body =
        times(500_000, r#"(call $report (str "working") (i32.const 1) (local.get $i) (i32.const 0) (i32.const 0))"#);
    let aftermath = Attack::running(&body).writing(4 << 20).json();
    aftermath.done();
    assert!(aftermath.stdout.contains("490000 more statuses were dropped"), "the loss is told");
}

#[test]
fn a_gibibyte_of_log() {
    // 16,400 lines of 64 KiB.
    let body = format!(
        "(drop (memory.grow (i32.const 2)))
         (memory.fill (i32.const 65536) (i32.const 0x61) (i32.const 65536))
         {}",
        "(local.set $i (i32.const 0))"
    );
    let looped = times(16_400, "(call $log (i32.const 1) (i32.const 65536) (i32.const 65536))");
    let looped = looped.replacen("(local $i i32)", &format!("(local $i i32) {body}"), 1);
    let aftermath = Attack::running(&looped).writing(10 << 20).json();
    aftermath.done();
    assert!(aftermath.stdout.contains("more lines were dropped"), "the loss is told");
}

#[test]
fn a_log_of_line_breaks() {
    let body = times(200, "(call $log (i32.const 1) (i32.const 65536) (i32.const 65536))");
    let body = body.replacen(
        "(local $i i32)",
        "(local $i i32) (drop (memory.grow (i32.const 2)))
         (memory.fill (i32.const 65536) (i32.const 0x0a) (i32.const 65536))",
        1,
    );
    let aftermath = Attack::running(&body).writing(4 << 20).json();
    aftermath.done();
    assert!(aftermath.stdout.contains("more lines were dropped"), "the loss is told");
}

#[test]
fn memories_without_end() {
    let body = endlessly(r#"(call $remember (str "what") (i32.const 4096) (i32.const 100000))"#);
    Attack::running(&format!("(drop (memory.grow (i32.const 2))) {body}"))
        .writing(40 << 20)
        .json()
        .failed("sandbox", "the journal of one attempt");
}

#[test]
fn a_memory_that_fills_a_record_of_the_journal() {
    // As JSON a control character takes six.
    let body = r#"(drop (memory.grow (i32.const 5)))
        (memory.fill (i32.const 65536) (i32.const 1) (i32.const 250000))
        (call $remember (str "what") (i32.const 65536) (i32.const 250000)) (call $ok (str "{}"))"#;
    Attack::running(body).json().failed("sandbox", "too large for the journal");
}

#[test]
fn an_undo_with_a_long_story() {
    let mut guest = Guest::new(r#"(call $fail (i32.const 5) (str "on purpose"))"#);
    guest.undo = "(drop (memory.grow (i32.const 40)))
        (memory.fill (i32.const 65536) (i32.const 0x61) (i32.const 2000000))
        (call $ok (i32.const 65536) (i32.const 2000000))"
        .to_owned();
    let aftermath = Attack::by(&guest).undone().json();
    assert_eq!(aftermath.code, Some(1), "{}", aftermath.all());
    assert!(aftermath.stdout.contains("undo-finished"), "{}", aftermath.all());
}
