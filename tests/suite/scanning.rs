//! What `scan-image` judges of an index: the images that it lists, and not what lies beside them.

use kiln_tests::{Account, Kiln, World};
use serde_json::Value;

const PIPELINE: &str = r#"
[pipeline]
name   = "web"
region = "us-west-2"

[inputs.image]

[stages.scan]
plugin  = "scan-image"
timeout = "20m"
with    = { image = "${inputs.image}", fail-on = "high", WITH }
"#;

/// An index of two images as `docker buildx build --push` makes it, in a repository that is scanned so.
fn indexed(scanning: &str) -> World {
    let repository = format!(
        "name = \"web\"\nscan = {{ takes = \"20s\" }}\n{scanning}\n\
         images = [{{ tags = [\"v1\"], platforms = [\"linux/amd64\", \"linux/arm64\"], attestations = true }}]"
    );
    World::of("").add("repositories", &repository)
}

fn finding(more: &str) -> String {
    format!("repository = \"web\"\nseverity = \"CRITICAL\"\nid = \"CVE-2026-1234\"\npackage = \"openssl\"\n{more}")
}

/// The index of that repository.
fn image(account: &Account) -> String {
    let state = account.state();
    let images = state
        .pointer("/places/111111111111~1us-west-2/ecr/repositories/web/images")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let tagged = images.iter().find(|(_, image)| image.pointer("/tags/0").and_then(Value::as_str) == Some("v1"));
    let (digest, _) = tagged.unwrap_or_else(|| panic!("no image is tagged v1: {state}"));
    format!("111111111111.dkr.ecr.us-west-2.amazonaws.com/web@{digest}")
}

fn kiln(account: &Account, command: &str, with: &str, arguments: &[&str]) -> Kiln {
    let input = format!("image={}", image(account));
    let kiln = account.kiln([command, "pipeline.toml", "--input"]).args([input.as_str()]);
    kiln.args(arguments.iter().copied()).file("pipeline.toml", PIPELINE.replace(", WITH", with))
}

const JSON: [&str; 2] = ["--output", "json"];

#[test]
fn an_index_is_planned_and_judged_by_its_images() {
    let account = Account::of(&indexed("scan-on-push = true"));
    let planned = kiln(&account, "plan", "", &[]).run();
    assert_eq!(planned.code(), Some(0), "{}", planned.all());
    for part in ["an index of 2 images (linux/amd64, linux/arm64); 2 attestations are left out", "(linux/amd64 of web@"]
    {
        assert!(planned.stdout().contains(part), "{part} in {}", planned.all());
    }
    let account = Account::of(&indexed("scan-on-push = true").add("findings", &finding("platform = \"linux/arm64\"")));
    let planned = kiln(&account, "plan", "", &[]).run();
    assert_eq!(planned.code(), Some(1), "what is known already closes the gate: {}", planned.all());
    assert!(planned.stdout().contains("CVE-2026-1234"), "{}", planned.all());
    let outcome = kiln(&account, "run", "", &JSON).run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    let failure = outcome.failure("scan");
    assert_eq!(failure.get("kind").and_then(Value::as_str), Some("rejected"), "{failure}");
    let said = failure.to_string();
    assert!(said.contains("CVE-2026-1234") && said.contains("(linux/arm64)"), "only where it is: {said}");
    assert!(!said.contains("(linux/amd64"), "{said}");

    let account = Account::of(&indexed("scan-on-push = true"));
    let outcome = kiln(&account, "run", "", &JSON).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
}

#[test]
fn the_scan_of_each_image_is_started_where_there_is_none() {
    let account = Account::of(&indexed(""));
    let outcome = kiln(&account, "run", "", &JSON).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    assert_eq!(account.count("ecr:StartImageScan"), 2, "of no attestation, and of no index");
}

#[test]
fn an_image_that_inspector_never_saw_is_no_pass() {
    // Inspector looks at the repositories that match its filter: this one it scans only when it is told.
    let account = Account::of(&indexed("scan-on-push = true"));
    let outcome = kiln(&account, "run", ", type = \"enhanced\"", &JSON).run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert!(outcome.failure("scan").to_string().contains("has only a basic scan"), "{}", outcome.all());

    let account = Account::of(&indexed(""));
    let outcome = kiln(&account, "run", ", type = \"enhanced\", timeout = \"2m\"", &JSON).run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    let said = outcome.failure("scan").to_string();
    for part in ["were never scanned", "linux/amd64", "linux/arm64", "rejected"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn inspector_scans_the_images_of_an_index() {
    let account = Account::of(&indexed("scanning = \"enhanced\"").add("findings", &finding("fixed-in = \"3.0.2\"")));
    let outcome = kiln(&account, "run", "", &JSON).run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    let said = outcome.failure("scan").to_string();
    assert!(said.contains("has 1 finding of severity high"), "of both images it is one: {said}");
    assert!(said.contains("(linux/amd64, linux/arm64), fixed in 3.0.2"), "{said}");
}

#[test]
fn findings_that_nothing_mends_can_be_ignored_for_a_while() {
    let world = indexed("scanning = \"enhanced\"").add("findings", &finding(""));
    let until = |day: &str| format!(", ignore-unfixed = {{ until = \"{day}\", reason = \"the base is old\" }}");
    let account = Account::of(&world);
    let planned = kiln(&account, "plan", &until("2999-12-31"), &[]).run();
    assert!(planned.stdout().contains("until 2999-12-31 (the base is old)"), "{}", planned.all());
    let outcome = kiln(&account, "run", &until("2999-12-31"), &JSON).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());

    let outcome = kiln(&account, "run", &until("2020-12-31"), &JSON).run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.all());
    assert!(outcome.failure("scan").to_string().contains("were ignored until 2020-12-31"), "{}", outcome.all());

    let mended = indexed("scanning = \"enhanced\"").add("findings", &finding("fixed-in = \"3.0.2\""));
    let outcome = kiln(&Account::of(&mended), "run", &until("2999-12-31"), &JSON).run();
    assert_eq!(outcome.code(), Some(1), "there is a fix: {}", outcome.all());
}
