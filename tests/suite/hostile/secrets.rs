//! Guests that want secrets, and guests that have one and want to tell it.

use kiln_tests::Guest;

use super::{Attack, OTHER, TOKEN};

/// Open the stage's secret and reveal it: the value's address and length are at 264 and 268 then.
const REVEALED: &str = r#"(call $open (str "kiln-secret:token") (i32.const 256))
    (call $reveal (i32.load (i32.const 260)) (i32.const 260))"#;
const VALUE: &str = "(i32.load (i32.const 264)) (i32.load (i32.const 268))";

/// A stage that may see its secret, and does this with it.
fn telling(body: &str) -> Attack {
    Attack::running(&format!("{REVEALED} {body}")).stage("reveal = true\nwith = { token = \"${secrets.token}\" }")
}

#[test]
fn the_secret_of_another_stage() {
    let body = r#"(call $open (str "kiln-secret:other") (i32.const 256))
        (if (result i32) (i32.load8_u (i32.const 256))
          (then (call $fail (i32.load8_u (i32.const 260)) (str "refused")))
          (else (call $ok (str "{}"))))"#;
    // The error's case 0, `not-granted`, has become the failure's case 0.
    Attack::running(body)
        .stage("reveal = true\nwith = { token = \"${secrets.token}\" }")
        .json()
        .failed("config", "refused")
        .never_says(OTHER);
}

/// A guest that starts a build with a variable that CodeBuild is to fetch from Secrets Manager.
fn building_with(reference: &str) -> Guest {
    let body = format!(
        r#"(call $put (i32.const 1024) (str "web-image"))
           (i32.store (i32.const 1044) (i32.const 1200)) (i32.store (i32.const 1048) (i32.const 1))
           (call $put (i32.const 1200) (str "STOLEN")) (call $put (i32.const 1208) (str "{reference}"))
           (i32.store8 (i32.const 1216) (i32.const 2))
           (call $start-build (i32.const 1024) (i32.const 256))
           (call $fail (i32.const 1) (i32.load (i32.const 276)) (i32.load (i32.const 280)))"#
    );
    let put = "(func $put (param i32 i32 i32)
        (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))";
    let project = "arn:${partition}:codebuild:${region}:${account}:project/web-image";
    Guest::new(&body).with(put).asking("codebuild:StartBuild", &[project])
}

#[test]
fn the_secret_of_another_stage_by_a_build() {
    for reference in
        ["prod/other", "prod/registry:other-key", "arn:aws:secretsmanager:us-west-2:111111111111:secret:prod/other"]
    {
        Attack::by(&building_with(reference))
            .stage("with = { token = \"${secrets.token}\" }")
            .json()
            .failed("denied", "which the stage's config does not name");
    }
}

#[test]
fn a_secret_that_the_pipeline_does_not_have() {
    let body = r#"(call $open (str "kiln-secret:../../etc/passwd") (i32.const 256))
        (if (result i32) (i32.load8_u (i32.const 256))
          (then (call $fail (i32.load8_u (i32.const 260)) (str "refused")))
          (else (call $ok (str "{}"))))"#;
    Attack::running(body).json().failed("config", "refused");
}

#[test]
fn a_secret_that_is_not_to_be_revealed() {
    let body = format!(
        r#"{REVEALED}
           (if (result i32) (i32.load8_u (i32.const 260))
             (then (call $fail (i32.load8_u (i32.const 264)) (str "refused")))
             (else (call $ok (str "{{}}"))))"#
    );
    // The error's case 1, `not-revealed`.
    Attack::running(&body)
        .stage("with = { token = \"${secrets.token}\" }")
        .json()
        .failed("denied", "refused")
        .never_says(TOKEN);
}

#[test]
fn a_secret_in_a_failure() {
    telling(&format!("(call $fail (i32.const 5) {VALUE})")).json().failed("failed", "[secret token]").never_says(TOKEN);
}

#[test]
fn a_secret_across_the_end_of_a_failure_that_is_cut() {
    // 3,990 letters, then the secret: the first ten of it would be within the 4,000 that are kept.
    let body = "(memory.fill (i32.const 65536) (i32.const 0x61) (i32.const 3990))
        (memory.copy (i32.const 69526) (i32.load (i32.const 264)) (i32.load (i32.const 268)))
        (call $fail (i32.const 5) (i32.const 65536) (i32.add (i32.const 3990) (i32.load (i32.const 268))))";
    telling(body).json().failed("failed", "aaaa").never_says("aasimulated");
}

#[test]
fn a_secret_in_log_lines_and_statuses() {
    let body = format!(
        r#"(call $log (i32.const 1) {VALUE})
           (call $log (i32.const 1) (i32.load (i32.const 264)) (i32.const 12))
           (call $log (i32.const 1) (i32.add (i32.load (i32.const 264)) (i32.const 12)) (i32.sub (i32.load (i32.const 268)) (i32.const 12)))
           (call $report {VALUE} (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
           (call $remember {VALUE} {VALUE})
           (call $ok (str "{{}}"))"#
    );
    let aftermath = telling(&body).json();
    aftermath.done().never_says(TOKEN).never_says("simulated-re");
}

#[test]
fn a_secret_across_the_end_of_a_line_that_is_cut() {
    let body = r#"(drop (memory.grow (i32.const 3)))
        (memory.fill (i32.const 131072) (i32.const 0x61) (i32.const 65526))
        (memory.copy (i32.const 196598) (i32.load (i32.const 264)) (i32.load (i32.const 268)))
        (call $log (i32.const 1) (i32.const 131072) (i32.add (i32.const 65526) (i32.load (i32.const 268))))
        (call $log (i32.const 1) (str "next"))
        (call $ok (str "{}"))"#;
    telling(body).json().done().never_says("aasimulat");
}

#[test]
fn a_secret_across_the_end_of_a_status_that_is_cut() {
    let body = r#"(memory.fill (i32.const 65536) (i32.const 0x61) (i32.const 490))
        (memory.copy (i32.const 66026) (i32.load (i32.const 264)) (i32.load (i32.const 268)))
        (call $report (i32.const 65536) (i32.add (i32.const 490) (i32.load (i32.const 268)))
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
        (call $ok (str "{}"))"#;
    telling(body).json().done().never_says("aasimulat");
}

#[test]
fn a_secret_among_the_outputs() {
    let body = r#"(i64.store (i32.const 65536) (i64.const 0x6161_223a_2261_227b))
        (memory.copy (i32.const 65544) (i32.load (i32.const 264)) (i32.load (i32.const 268)))
        (i32.store16 (i32.add (i32.const 65544) (i32.load (i32.const 268))) (i32.const 0x7d22))
        (call $ok (i32.const 65536) (i32.add (i32.load (i32.const 268)) (i32.const 10)))"#;
    telling(body).json().failed("denied", "answered a secret among its outputs").never_says(TOKEN);
}

#[test]
fn a_secret_among_outputs_that_break_the_schema() {
    let body = r#"(i64.store (i32.const 65536) (i64.const 0x6161_223a_2261_227b))
        (memory.copy (i32.const 65544) (i32.load (i32.const 264)) (i32.load (i32.const 268)))
        (i32.store16 (i32.add (i32.const 65544) (i32.load (i32.const 268))) (i32.const 0x7d22))
        (call $ok (i32.const 65536) (i32.add (i32.load (i32.const 268)) (i32.const 10)))"#;
    let mut guest = Guest::new(&format!("{REVEALED} {body}"));
    guest.outputs = r#"{"type":"object","properties":{"a":{"enum":["b"]}}}"#.to_owned();
    Attack::by(&guest)
        .stage("reveal = true\nwith = { token = \"${secrets.token}\" }")
        .json()
        .failed("sandbox", "break the schema")
        .never_says(TOKEN);
}

#[test]
fn a_secret_in_the_name_of_what_is_asked_for() {
    let body = format!(
        "(call $describe-images {VALUE} (i32.const 4096) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
         (call $fail (i32.const 1) (i32.load (i32.const 272)) (i32.load (i32.const 276)))"
    );
    telling(&body).json().failed("denied", "ecr:DescribeImages").never_says(TOKEN);
}

#[test]
fn a_secret_in_a_plan() {
    let mut guest = Guest::harmless();
    guest.plan = format!(
        "{REVEALED}
         (i32.store (i32.const 512) (i32.const 0))
         (i32.store (i32.const 516) (i32.load (i32.const 264))) (i32.store (i32.const 520) (i32.load (i32.const 268)))
         (i32.store (i32.const 524) (i32.const 600)) (i32.store (i32.const 528) (i32.const 1))
         (i32.store (i32.const 532) (i32.const 0))
         (i32.store8 (i32.const 600) (i32.const 0))
         (i32.store (i32.const 604) (i32.load (i32.const 264))) (i32.store (i32.const 608) (i32.load (i32.const 268)))
         (i32.store (i32.const 612) (i32.load (i32.const 264))) (i32.store (i32.const 616) (i32.load (i32.const 268)))
         (i32.const 512)"
    );
    for json in [false, true] {
        let attack = Attack::by(&guest).stage("reveal = true\nwith = { token = \"${secrets.token}\" }").planned();
        let aftermath = if json { attack.json() } else { attack.plain() };
        assert_eq!(aftermath.code, Some(0), "{}", aftermath.all());
        assert!(aftermath.stdout.contains("[secret token]"), "{}", aftermath.all());
        aftermath.never_says(TOKEN);
    }
}
