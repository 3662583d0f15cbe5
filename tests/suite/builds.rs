//! What a failed build leaves to be seen: the end of its log, and where the rest is.

use kiln_tests::{Account, Outcome, World};

/// A pipeline with one build.
fn pipeline(more: &str) -> String {
    format!(
        "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n\n[stages.build]\nplugin = \"build-image\"\n\
         with = {{ project = \"web-image\", repository = \"web\", tag = \"v1\"{more} }}\n"
    )
}

/// A run in an account whose project writes its log to a group that several share.
fn run(more: &str) -> Outcome {
    let world = World::of(
        "repositories = [{ name = \"web\" }]\n[[projects]]\nname = \"web-image\"\nlog-group = \"/ci/shared\"\n\
         fail = { phase = \"BUILD\", log = [\"ERROR: npm ci: ENOSPC\"] }\n",
    );
    let outcome = Account::of(&world)
        .kiln(["run", "pipeline.toml", "--output", "json"])
        .file("pipeline.toml", pipeline(more))
        .run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    outcome
}

#[test]
fn a_log_group_that_is_named_is_read() {
    let failure = run(", log-group = \"/ci/shared\"").failure("build").to_string();
    for part in [
        "ERROR: npm ci: ENOSPC",
        "the whole log: https://console.aws.amazon.com/",
        "Mend what the end of the log shows",
    ] {
        assert!(failure.contains(part), "{part} in {failure}");
    }
}

#[test]
fn a_log_group_that_is_not_named_is_told_with_the_link_to_the_log() {
    let failure = run("").failure("build").to_string();
    for part in [
        "build web-image:",
        "its log is in the log group /ci/shared",
        "the whole log: https://console.aws.amazon.com/",
        "Say `log-group = \\\"/ci/shared\\\"` in `with`",
    ] {
        assert!(failure.contains(part), "{part} in {failure}");
    }
    assert!(!failure.contains("PermissionNotDeclared") && !failure.contains("Mend what the end"), "{failure}");
}
