//! A guest that does what its config says: one component for pipelines of every shape, compiled once.
//!
//! The main functions are [`scripted`] and [`script`].

use crate::guest::Guest;

/// What a config of [`scripted`] looks like in a pipeline: a repository to put images into, and the scripts of `run` and of
/// `undo`. In a script mean
///
/// | | |
/// |---|---|
/// | `s12` | wait for 12 seconds (two digits) |
/// | `i` | ask who it is |
/// | `d` | describe the repository's images |
/// | `pa` | put an image with the tag `a` |
/// | `r` | remember something |
/// | `f2` | fail at the first two attempts |
/// | `x` | fail for good |
pub fn script(repository: &str, run: &str, undo: &str) -> String {
    format!("repository = \"{repository}\", run = \"{run}\", undo = \"{undo}\"")
}

/// A guest that does what its config says; `remembered` is what it remembers.
pub fn scripted(remembered: &str) -> Guest {
    let run = r#"(local $came i32)
        (local.set $came (call $do (local.get $config) (i32.const 4)))
        (if (i32.eq (local.get $came) (i32.const 1)) (then (return (call $fail (i32.const 7) (str "not yet")))))
        (if (i32.eq (local.get $came) (i32.const 2)) (then (return (call $fail (i32.const 4) (str "it shall not be")))))
        (call $ok (str "{\"came\":\"to its end\"}"))"#;
    let undo = r#"(drop (call $do (local.get $config) (i32.const 6))) (call $ok (str "it is as it was"))"#;
    let remember = format!("(call $remember (str \"note\") (str \"{remembered}\"))");
    let mut guest = Guest::new(run)
        .asking("sts:GetCallerIdentity", &["*"])
        .asking("ecr:PutImage", &["arn:${partition}:ecr:${region}:${account}:repository/${with.repository}"])
        .asking("ecr:DescribeImages", &["arn:${partition}:ecr:${region}:${account}:repository/${with.repository}"])
        .with(&ITEMS.replace("REMEMBER", &remember));
    guest.name = "scripted".to_owned();
    guest.undo = undo.to_owned();
    guest
}

/// `$text` answers where the `n`th text of a JSON begins, `$length` how long it is; texts without escapes, that is. `$do` plays
/// the script that is the `n`th text of the config, and answers 1 where it fails and may be tried again, 2 where it fails.
const ITEMS: &str = r#"
(func $text (param $at i32) (param $n i32) (result i32)
  (local $quotes i32)
  (loop $next
    (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 34))
      (then (local.set $quotes (i32.add (local.get $quotes) (i32.const 1)))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $quotes) (i32.sub (i32.mul (local.get $n) (i32.const 2)) (i32.const 1)))))
  (local.get $at))
(func $length (param $at i32) (result i32)
  (local $end i32)
  (local.set $end (local.get $at))
  (block $closed
    (loop $next
      (br_if $closed (i32.eq (i32.load8_u (local.get $end)) (i32.const 34)))
      (local.set $end (i32.add (local.get $end) (i32.const 1)))
      (br $next)))
  (i32.sub (local.get $end) (local.get $at)))
(func $digit (param $at i32) (result i32)
  (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
(func $do (param $config i32) (param $n i32) (result i32)
  (local $at i32) (local $step i32) (local $repository i32)
  (local.set $repository (call $text (local.get $config) (i32.const 2)))
  (local.set $at (call $text (local.get $config) (local.get $n)))
  (loop $next
    (local.set $step (i32.load8_u (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (if (i32.eq (local.get $step) (i32.const 34)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $step) (i32.const 115))
      (then (call $sleep (i64.extend_i32_u (i32.mul (i32.const 1000)
        (i32.add (i32.mul (call $digit (local.get $at)) (i32.const 10))
          (call $digit (i32.add (local.get $at) (i32.const 1)))))))))
    (if (i32.eq (local.get $step) (i32.const 105)) (then (call $identity (i32.const 0) (i32.const 1024))))
    (if (i32.eq (local.get $step) (i32.const 100))
      (then (call $describe-images (local.get $repository) (call $length (local.get $repository)) (i32.const 4096)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))))
    (if (i32.eq (local.get $step) (i32.const 112))
      (then (call $put-image (local.get $repository) (call $length (local.get $repository))
        (str "{\"schemaVersion\":2}") (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1) (local.get $at) (i32.const 1)
        (i32.const 1024))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))))
    (if (i32.eq (local.get $step) (i32.const 114)) (then REMEMBER))
    (if (i32.eq (local.get $step) (i32.const 102))
      (then (call $context (i32.const 256))
        (if (i32.le_u (i32.load (i32.const 280)) (call $digit (local.get $at))) (then (return (i32.const 1))))))
    (if (i32.eq (local.get $step) (i32.const 120)) (then (return (i32.const 2))))
    (br $next))
  (unreachable))
"#;
