//! Guests that want the machine: its time, its memory, its stack.

use kiln_tests::Guest;

use super::{Attack, endlessly};

#[test]
fn an_endless_loop() {
    let aftermath = Attack::running(&endlessly("")).json();
    aftermath.failed("sandbox", "the plugin `evil` 6.6.6 was ended: it computed for too long");
    assert!(aftermath.took.as_secs() < 60, "{:?}", aftermath.took);
}

#[test]
fn an_endless_loop_is_ended_by_its_timeout_too() {
    // Of a loop with the dearest instructions the fuel lasts longest.
    let slow = "(drop (f64.sqrt (f64.div (f64.const 1) (f64.sqrt (f64.const 3)))))".repeat(200);
    let aftermath = Attack::running(&endlessly(&slow)).stage("timeout = \"1s\"").json();
    let kind = aftermath.failure["kind"].as_str().unwrap_or_default();
    let message = if kind == "timed-out" { "not done within its timeout of 1.0s" } else { "computed for too long" };
    aftermath.failed(kind, message);
}

#[test]
fn endless_filling_of_memory() {
    let body = endlessly("(memory.fill (i32.const 65536) (i32.const 7) (i32.const 65536))");
    Attack::running(&body).json().failed("sandbox", "it computed for too long");
}

#[test]
fn a_loop_in_the_start_function() {
    let guest = Guest::new(r#"(call $ok (str "{}"))"#).with("(func $spin (loop $again (br $again))) (start $spin)");
    Attack::by(&guest).json().refused("does not describe itself: it computed for too long");
}

#[test]
fn a_loop_in_describe() {
    let mut guest = Guest::new(r#"(call $ok (str "{}"))"#);
    guest.describe = "(loop $again (br $again))".to_owned();
    Attack::by(&guest).json().refused("does not describe itself: it computed for too long");
}

#[test]
fn a_loop_where_memory_is_allocated() {
    let mut guest = Guest::new(r#"(call $ok (str "{}"))"#);
    guest.realloc = Some("(loop $again (br $again)) unreachable".to_owned());
    Attack::by(&guest).json().failed("sandbox", "it computed for too long");
}

#[test]
fn a_loop_after_the_answer() {
    let guest = Guest::new(r#"(call $ok (str "{}"))"#)
        .with(r#"(func (export "cabi_post_kiln:stage/lifecycle@0.1.0#run") (param i32) (loop $again (br $again)))"#);
    Attack::by(&guest).json().failed("sandbox", "it computed for too long");
}

#[test]
fn a_loop_in_the_undo() {
    let mut guest = Guest::new(r#"(call $fail (i32.const 5) (str "on purpose"))"#);
    guest.undo = endlessly("");
    let aftermath = Attack::by(&guest).undone().json();
    assert_eq!(aftermath.stages, ["evil failed", "kind not-run"]);
    let undo = aftermath.stdout.lines().find(|line| line.contains("undo-finished")).unwrap_or_default();
    assert!(undo.contains("it computed for too long"), "{undo}");
}

#[test]
fn a_bomb_of_memory() {
    let body = endlessly("(drop (memory.grow (i32.const 16)))");
    Attack::running(&body).json().failed("sandbox", "more than 64 MiB of memory");
}

#[test]
fn a_bomb_of_many_memories() {
    let memories: String = (0..6).map(|index| format!("(memory $m{index} 0)")).collect();
    let bodies: String = (0..6)
        .map(|index| {
            format!(
                "(drop (memory.grow $m{index} (i32.const 1000)))
                 (memory.fill $m{index} (i32.const 0) (i32.const 7) (i32.const 65536000))"
            )
        })
        .collect();
    let guest = Guest::new(&format!("{bodies} (call $ok (str \"{{}}\"))")).with(&memories);
    let mut attack = Attack::by(&guest);
    // A memory that grows is copied, so it is there twice for a moment; the host by itself holds about as much as one.
    attack.memory = 272;
    attack.json().failed("sandbox", "more than 64 MiB of memory");
}

#[test]
fn a_memory_that_is_too_large_from_the_start() {
    let guest = Guest::new(r#"(call $ok (str "{}"))"#).with("(memory $big 20000)");
    Attack::by(&guest).json().refused("more than 64 MiB of memory");
}

#[test]
fn a_bomb_of_tables() {
    let guest =
        Guest::new(&endlessly("(drop (table.grow $t (ref.null func) (i32.const 1000)))")).with("(table $t 0 funcref)");
    Attack::by(&guest).json().failed("sandbox", "more than 100000 elements of tables");
}

#[test]
fn a_table_that_is_too_large_from_the_start() {
    let guest = Guest::new(r#"(call $ok (str "{}"))"#).with("(table $t 9000000 funcref)");
    Attack::by(&guest).json().refused("more than 100000 elements of tables");
}

#[test]
fn endless_recursion() {
    let guest = Guest::new("(call $deep (i64.const 0)) unreachable")
        .with("(func $deep (param i64) (call $deep (i64.add (local.get 0) (i64.const 1))))");
    Attack::by(&guest).json().failed("sandbox", "stack overflow");
}

#[test]
fn endless_recursion_through_the_host() {
    // The host's own frames come on top of the guest's, however deep it is.
    let guest = Guest::new("(call $deep) unreachable")
        .with(
            "(func $deep (local i64 i64 i64 i64 i64 i64 i64 i64)
               (call $identity (i32.const 0) (i32.const 256))
               (call $log (i32.const 0) (i32.load (i32.const 260)) (i32.load (i32.const 264)))
               (call $deeper (i32.const 400)))
             (func $deeper (param i32)
               (if (local.get 0)
                 (then (call $deeper (i32.sub (local.get 0) (i32.const 1))))
                 (else (call $deep))))",
        )
        .asking("sts:GetCallerIdentity", &["*"]);
    Attack::by(&guest).json().failed("sandbox", "stack overflow");
}

#[test]
fn a_panic() {
    Attack::running("unreachable").json().failed("sandbox", "it panicked or aborted");
}
