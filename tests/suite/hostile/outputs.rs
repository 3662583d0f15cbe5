//! Guests that answer what they must not: too much, nonsense, other than they declared.

use kiln_tests::Guest;

use super::Attack;

/// Answer `length` times the letter `a` in a JSON object.
fn large(length: u32) -> String {
    let pages = length / 65536 + 2;
    format!(
        r#"(drop (memory.grow (i32.const {pages})))
           (memory.fill (i32.const 131072) (i32.const 0x61) (i32.const {length}))
           (i64.store (i32.const 131072) (i64.const 0x6161_223a_2261_227b))
           (i32.store16 (i32.add (i32.const 131072) (i32.const {at})) (i32.const 0x7d22))
           (call $ok (i32.const 131072) (i32.const {end}))"#,
        at = length,
        end = length + 2
    )
}

#[test]
fn outputs_that_are_not_json() {
    Attack::running(r#"(call $ok (str "{\"a\":"))"#).json().failed("sandbox", "answered outputs that are not JSON");
}

#[test]
fn outputs_that_are_no_object() {
    Attack::running(r#"(call $ok (str "[1]"))"#).json().failed("sandbox", "break the schema that it declares");
}

#[test]
fn outputs_that_break_the_declared_schema() {
    let mut guest = Guest::new(r#"(call $ok (str "{\"image\":7}"))"#);
    guest.outputs =
        r#"{"type":"object","properties":{"image":{"type":"string"}},"additionalProperties":false}"#.to_owned();
    let aftermath = Attack::by(&guest).json();
    aftermath.failed("sandbox", "break the schema that it declares");
    assert!(aftermath.failure["details"][0].as_str().unwrap_or_default().contains("image"), "{}", aftermath.failure);
}

#[test]
fn outputs_without_a_bottom() {
    let deep = "[".repeat(100_000);
    Attack::running(&format!("(call $ok (str \"{{\\\"a\\\":{deep}\"))"))
        .json()
        .failed("sandbox", "more than 48 levels deep");
}

/// Outputs of so many levels, their own one among them.
fn nested(levels: usize) -> String {
    format!("{{\\\"a\\\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
}

#[test]
fn outputs_as_deep_as_can_be_are_kept_and_read_again() {
    Attack::running(&format!("(call $ok (str \"{}\"))", nested(48))).json().done();
}

#[test]
fn outputs_that_are_deeper_than_a_record_may_be() {
    for levels in [49, 64, 124, 126] {
        let aftermath = Attack::running(&format!("(call $ok (str \"{}\"))", nested(levels))).json();
        aftermath.failed("sandbox", "answered outputs that are nested more than 48 levels deep");
    }
}

#[test]
fn known_outputs_that_are_deeper_than_a_record_may_be() {
    let mut guest = Guest::new(r#"(call $ok (str "{}"))"#).with(
        "(func $known (param i32 i32) (i32.store (i32.const 536) (local.get 0)) (i32.store (i32.const 540) (local.get 1)))",
    );
    guest.plan = format!(
        r#"(i32.store (i32.const 512) (i32.const 0))
        (i32.store (i32.const 516) (i32.const 4096)) (i32.store (i32.const 520) (i32.const 0))
        (i32.store (i32.const 524) (i32.const 4096)) (i32.store (i32.const 528) (i32.const 0))
        (i32.store (i32.const 532) (i32.const 1)) (call $known (str "{}")) (i32.const 512)"#,
        nested(49)
    );
    let aftermath = Attack::by(&guest).planned().json();
    assert_eq!(aftermath.code, Some(1), "{}", aftermath.all());
    assert!(aftermath.stdout.contains("known outputs that are nested more than 48 levels deep"), "{}", aftermath.all());
}

#[test]
fn outputs_that_fill_a_record_of_the_journal() {
    Attack::running(&large(1_048_000)).json().failed("sandbox", "are kept");
}

#[test]
fn outputs_whose_numbers_grow_when_they_are_written() {
    // Each of these five characters becomes twenty.
    let list = "1e15,".repeat(49_000);
    Attack::running(&format!("(call $ok (str \"{{\\\"a\\\":[{list}0]}}\"))")).json().failed("sandbox", "are kept");
}

#[test]
fn outputs_of_two_mebibytes() {
    Attack::running(&large(2 << 20)).json().failed("sandbox", "are kept");
}

#[test]
fn outputs_of_twenty_mebibytes() {
    Attack::running(&large(20 << 20)).json().failed("sandbox", "it handed the host too much in one call");
}

#[test]
fn outputs_of_a_hundred_mebibytes() {
    Attack::running("(call $ok (i32.const 4096) (i32.const 104857600))").json().failed("sandbox", "out of bounds");
}

#[test]
fn outputs_for_the_terminal() {
    let guest = Guest::new(r#"(call $ok (str "{\"image\":\"\\u001b[2J\\u202e::error::x\\n::set-output::y\"}"))"#);
    Attack::by(&guest).plain().harmless_for_terminals();
}

#[test]
fn a_failure_that_fills_a_record_of_the_journal() {
    // A million control characters: six million once they are written as JSON.
    let body = "(local $i i32)
        (drop (memory.grow (i32.const 60)))
        (memory.fill (i32.const 131072) (i32.const 0x01) (i32.const 20000))
        (loop $again
          (i32.store (i32.add (i32.const 262144) (i32.mul (local.get $i) (i32.const 8))) (i32.const 131072))
          (i32.store (i32.add (i32.const 262148) (i32.mul (local.get $i) (i32.const 8))) (i32.const 20000))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 500))))
        (drop (call $fail (i32.const 5) (i32.const 131072) (i32.const 20000)))
        (i32.store (i32.const 540) (i32.const 262144)) (i32.store (i32.const 544) (i32.const 500))
        (i32.const 512)";
    Attack::running(body).writing(2 << 20).json().failed("failed", "");
}

#[test]
fn a_failure_that_is_no_failure() {
    Attack::running(r#"(call $fail (i32.const 77) (str "what?"))"#)
        .json()
        .failed("sandbox", "unexpected discriminant: 77");
}
