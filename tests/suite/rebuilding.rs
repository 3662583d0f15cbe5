//! What becomes of an image that a build pushed before it failed: nobody takes it for a good one.

use kiln_tests::{Account, Kiln, World};
use serde_json::Value;

const PIPELINE: &str = r#"
[pipeline]
name   = "web"
region = "us-west-2"

[stages.build]
plugin  = "build-image"
timeout = "30m"
retry   = { attempts = 2, backoff = "5s" }
with    = { project = "web-image", repository = "web", tag = "v1" MORE }
"#;

/// A project that pushes its image, and then fails in `times` of its builds.
fn world(times: u32) -> World {
    let project = format!(
        "name = \"web-image\"\npushes = {{ repository = \"web\", tag = \"${{IMAGE_TAG}}\" }}\n\
         fail = {{ phase = \"UPLOAD_ARTIFACTS\", times = {times}, log = [\"smoke test failed: HTTP 500\"] }}"
    );
    World::of("").add("repositories", "name = \"web\"").add("projects", &project)
}

fn kiln(account: &Account, command: &str, more: &str) -> Kiln {
    let pipeline = PIPELINE.replace(" MORE", more);
    account.kiln([command, "pipeline.toml", "--output", "json"]).file("pipeline.toml", pipeline)
}

#[test]
fn an_attempt_after_a_failed_one_tells_what_failed_and_whose_the_tag_is() {
    let account = Account::of(&world(9));
    let outcome = kiln(&account, "run", "").run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert_eq!(account.count("codebuild:StartBuild"), 1, "a tag names one image for ever");
    let failure = outcome.failure("build");
    assert_eq!(failure.get("kind").and_then(Value::as_str), Some("failed"), "{failure}");
    let said = failure.to_string();
    for part in ["web:v1 is that of this run's own failed build", "UPLOAD_ARTIFACTS", "smoke test failed: HTTP 500"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let summary = outcome.then(["show"]).run().stdout();
    for part in ["this run's own failed build", "smoke test failed: HTTP 500"] {
        assert!(summary.contains(part), "{part} in {summary}");
    }
}

#[test]
fn reuse_does_not_take_the_image_of_a_failed_build() {
    let account = Account::of(&world(9));
    let reuse = ", on-existing-tag = \"reuse\"";
    let first = kiln(&account, "run", reuse).run();
    assert_eq!(first.code(), Some(1), "nor does the second attempt: {}", first.all());
    for command in ["run", "plan"] {
        let again = kiln(&account, command, reuse).run();
        assert_eq!(again.code(), Some(1), "{command}: {}", again.all());
        for part in ["is that of a failed build", "smoke test failed: HTTP 500"] {
            assert!(again.stdout().contains(part), "{command}: {part} in {}", again.all());
        }
    }
    assert_eq!(account.count("codebuild:StartBuild"), 1);
}

#[test]
fn reuse_takes_the_image_of_a_build_that_ended_well() {
    let account = Account::of(&world(0));
    let reuse = ", on-existing-tag = \"reuse\"";
    for _ in 0..2 {
        let outcome = kiln(&account, "run", reuse).run();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    }
    assert_eq!(account.count("codebuild:StartBuild"), 1);
}

#[test]
fn a_build_that_fails_before_it_pushes_is_tried_again() {
    let fails = "fail = { phase = \"BUILD\", times = 1, log = [\"make: *** [image] Error 4\"] }";
    let account = Account::of(&world(0).change("projects", "web-image", fails));
    let outcome = kiln(&account, "run", "").run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(account.count("codebuild:StartBuild"), 2);
}
