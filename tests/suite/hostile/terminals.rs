//! Guests that write to the terminal or the CI system behind the log.

use kiln_tests::Guest;

use super::Attack;

/// Clear the screen, set the title, write backwards, set an output of a CI system, fail its build.
const NASTY: &str =
    r#"\1b[2J\1b]0;pwned\07\e2\80\aeevil\n::error::x\n  ::set-output name=a::b\n##vso[task.complete]\0dgone\00\9b"#;

fn nasty() -> String {
    // The last byte is no UTF-8 by itself; as a character it is written in two.
    NASTY.replace(r"\9b", r"\c2\9b2J")
}

#[test]
fn escapes_and_commands_in_log_lines_and_statuses() {
    let nasty = nasty();
    let body = format!(
        r#"(call $log (i32.const 3) (str "{nasty}"))
           (call $report (str "{nasty}") (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
           (call $ok (str "{{}}"))"#
    );
    for json in [false, true] {
        let attack = Attack::running(&body);
        let aftermath = if json { attack.json() } else { attack.plain() };
        assert_eq!(aftermath.code, Some(0), "{}", aftermath.all());
        aftermath.harmless_for_terminals();
    }
}

#[test]
fn escapes_and_commands_in_a_failure() {
    let body = format!(r#"(call $fail (i32.const 5) (str "{}"))"#, nasty());
    let aftermath = Attack::running(&body).plain();
    assert_eq!(aftermath.code, Some(1), "{}", aftermath.all());
    aftermath.harmless_for_terminals();
}

#[test]
fn escapes_and_commands_in_a_plan() {
    let mut guest = Guest::harmless();
    guest.plan = format!(r#"(call $nasty (str "{}")) (i32.const 512)"#, nasty());
    let guest = guest.with(
        "(func $nasty (param i32 i32)
           (i32.store (i32.const 512) (i32.const 0))
           (i32.store (i32.const 516) (local.get 0)) (i32.store (i32.const 520) (local.get 1))
           (i32.store (i32.const 524) (i32.const 600)) (i32.store (i32.const 528) (i32.const 1))
           (i32.store (i32.const 532) (i32.const 0))
           (i32.store8 (i32.const 600) (i32.const 0))
           (i32.store (i32.const 604) (local.get 0)) (i32.store (i32.const 608) (local.get 1))
           (i32.store (i32.const 612) (local.get 0)) (i32.store (i32.const 616) (local.get 1)))",
    );
    let aftermath = Attack::by(&guest).planned().plain();
    assert_eq!(aftermath.code, Some(0), "{}", aftermath.all());
    assert!(aftermath.stdout.contains("evil"), "{}", aftermath.all());
    aftermath.harmless_for_terminals();
}
