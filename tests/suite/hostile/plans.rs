//! Guests that change things, or compute without end, while it is only asked what they would do.

use kiln_tests::Guest;

use super::{Attack, endlessly};

#[test]
fn a_write_while_planning() {
    let mut guest = Guest::harmless();
    guest.plan = r#"(call $put-image (str "web") (str "{}") (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
        (call $fail (i32.const 1) (i32.load (i32.const 272)) (i32.load (i32.const 276)))"#
        .to_owned();
    let guest = guest.asking("ecr:PutImage", &["arn:${partition}:ecr:${region}:${account}:repository/web"]);
    let aftermath = Attack::by(&guest).planned().json();
    assert_eq!(aftermath.code, Some(1), "{}", aftermath.all());
    assert!(aftermath.stdout.contains("ecr:PutImage was refused: planning changes nothing"), "{}", aftermath.all());
}

#[test]
fn a_plan_without_end() {
    let mut guest = Guest::harmless();
    guest.plan = endlessly("");
    let aftermath = Attack::by(&guest).planned().json();
    assert_eq!(aftermath.code, Some(1), "{}", aftermath.all());
    assert!(aftermath.stdout.contains("it computed for too long"), "{}", aftermath.all());
}

#[test]
fn a_plan_of_a_million_changes() {
    let mut guest = Guest::harmless();
    guest.plan = "(drop (memory.grow (i32.const 330)))
        (i32.store (i32.const 512) (i32.const 0))
        (i32.store (i32.const 516) (i32.const 4096)) (i32.store (i32.const 520) (i32.const 1))
        (call $fill)
        (i32.store (i32.const 524) (i32.const 131072)) (i32.store (i32.const 528) (i32.const 300000))
        (i32.store (i32.const 532) (i32.const 0))
        (i32.const 512)"
        .to_owned();
    let guest = guest.with(
        "(func $fill (local $i i32) (local $at i32)
           (loop $again
             (local.set $at (i32.add (i32.const 131072) (i32.mul (local.get $i) (i32.const 20))))
             (i32.store (i32.add (local.get $at) (i32.const 4)) (i32.const 4096))
             (i32.store (i32.add (local.get $at) (i32.const 8)) (i32.const 8))
             (i32.store (i32.add (local.get $at) (i32.const 12)) (i32.const 4096))
             (i32.store (i32.add (local.get $at) (i32.const 16)) (i32.const 8))
             (local.set $i (i32.add (local.get $i) (i32.const 1)))
             (br_if $again (i32.lt_u (local.get $i) (i32.const 300000)))))",
    );
    let aftermath = Attack::by(&guest).planned().writing(1 << 20).json();
    assert_eq!(aftermath.code, Some(1), "{}", aftermath.all());
}

#[test]
fn known_outputs_of_a_plan_that_are_none() {
    let mut guest = Guest::harmless();
    guest.plan = "(drop (memory.grow (i32.const 100)))
        (memory.fill (i32.const 131072) (i32.const 0x61) (i32.const 4000000))
        (i32.store (i32.const 512) (i32.const 0))
        (i32.store (i32.const 516) (i32.const 4096)) (i32.store (i32.const 520) (i32.const 1))
        (i32.store (i32.const 524) (i32.const 4096)) (i32.store (i32.const 528) (i32.const 0))
        (i32.store (i32.const 532) (i32.const 1))
        (i32.store (i32.const 536) (i32.const 131072)) (i32.store (i32.const 540) (i32.const 4000000))
        (i32.const 512)"
        .to_owned();
    let aftermath = Attack::by(&guest).planned().json();
    assert_eq!(aftermath.code, Some(1), "{}", aftermath.all());
    assert!(aftermath.stdout.contains("are kept"), "{}", aftermath.all());
}
