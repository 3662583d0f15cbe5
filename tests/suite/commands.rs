//! The command line itself: exit codes, help, what scripts read.

use kiln_tests::{Guest, Kiln, repository};
use serde_json::Value;

#[test]
fn the_binary_works_alone_and_carries_its_plugins() {
    let outcome = Kiln::new(["plugin", "list", "--output", "json"]).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let plugins: Value = serde_json::from_str(&outcome.stdout()).unwrap_or_default();
    let names: Vec<&str> =
        plugins.as_array().into_iter().flatten().filter_map(|plugin| plugin.get("name")?.as_str()).collect();
    assert_eq!(
        names,
        [
            "bake-ami",
            "build-image",
            "cleanup-amis",
            "cleanup-images",
            "deploy-asg",
            "deploy-ecs",
            "deploy-stack",
            "promote-image",
            "scan-ami",
            "scan-image",
            "verify-alarms",
            "verify-health"
        ]
    );
}

#[test]
fn a_plugin_says_what_it_asks_for() {
    let outcome = Kiln::new(["plugin", "inspect", "deploy-ecs"]).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    for part in ["ecs:UpdateService", "(required)", "sha256:"] {
        assert!(outcome.stdout().contains(part), "{part} in {}", outcome.all());
    }
    let unknown = Kiln::new(["plugin", "inspect", "deploy-ec"]).run();
    assert_eq!(unknown.code(), Some(2), "{}", unknown.all());
    assert!(unknown.stderr().contains("did you mean `deploy-ecs`"), "{}", unknown.all());
}

#[test]
fn every_plugin_may_look_up_what_became_of_its_writes() {
    let book = std::fs::read_to_string(repository().join("docs/durability.md")).unwrap_or_default();
    // The first column is the write, the third the reads of its look-up.
    let looks = |line: &str| -> Option<Vec<String>> {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        let write = cells.first()?.trim_end_matches('`').to_owned();
        let reads =
            cells.get(2)?.split(", ").filter_map(|read| Some(read.strip_prefix('`')?.strip_suffix('`')?.to_owned()));
        Some(std::iter::once(write).chain(reads).collect())
    };
    let looks: Vec<Vec<String>> = book.lines().filter_map(looks).collect();
    let (mut writes, mut missing) = (0, Vec::new());
    for plugin in kiln_runner::plugin::standard_names() {
        let outcome = Kiln::new(["plugin", "inspect", plugin]).run();
        let declares = |action: &str| outcome.stdout().split_whitespace().any(|word| word == action);
        for looks in looks.iter().filter(|looks| looks.first().is_some_and(|write| declares(write))) {
            writes += 1;
            missing.extend(looks.iter().filter(|look| !declares(look)).map(|look| format!("{plugin}: {look}")));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert_eq!(writes, 51, "the writes of the standard plugins");
}

#[test]
fn the_real_pipeline_checks_without_aws() {
    let pipeline = repository().join("pipelines/web-service.toml").display().to_string();
    let outcome = Kiln::new(["check", &pipeline]).without_env("AWS_ACCESS_KEY_ID").run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
}

#[test]
fn wrong_input_is_told_apart_by_its_exit_code() {
    assert_eq!(Kiln::new(["frobnicate"]).run().code(), Some(2));
    assert_eq!(Kiln::new(["run", "missing.toml"]).run().code(), Some(2));
    assert_eq!(Kiln::new(["show"]).run().code(), Some(2));
    assert_eq!(Kiln::new(["--help"]).run().code(), Some(0));
    let binary = Kiln::new(["check", "pipeline.toml"]).file("pipeline.toml", [0xff, 0xfe, 0x00]).run();
    assert_eq!(binary.code(), Some(2), "{}", binary.all());
    assert!(binary.stderr().contains("UTF-8"), "{}", binary.all());
}

#[test]
fn an_unreachable_aws_is_told_apart_from_a_failed_run() {
    let pipeline = repository().join("pipelines/web-service.toml").display().to_string();
    // Nothing listens on port 9 of this machine.
    let outcome =
        Kiln::new(["run", &pipeline, "--input", "commit=1"]).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").run();
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    assert!(outcome.stderr().contains("help:"), "{}", outcome.all());
}

#[test]
fn schema_and_completions_are_printed() {
    let schema: Value = serde_json::from_str(&Kiln::new(["schema"]).run().stdout()).unwrap_or_default();
    assert!(schema.get("properties").and_then(|properties| properties.get("stages")).is_some(), "{schema}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(Kiln::new(["completions", shell]).run().stdout().contains("kiln"));
    }
}

#[test]
fn inspect_tells_types_limits_defaults_and_allowed_values() {
    let outcome = Kiln::new(["plugin", "inspect", "build-image"]).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let told = outcome.stdout();
    let line = |name: &str| {
        let line = told.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
    };
    for (name, expected) in [
        ("timeout-minutes", "integer, 5 to 2160"),
        ("on-existing-tag", "\"fail\" or \"reuse\" (default \"fail\")"),
        ("poll", "text, such as \"10s\", \"5m\", \"1h30m\" (default \"10s\")"),
        ("project", "text, of the form ^[A-Za-z0-9][A-Za-z0-9_-]{1,149}$ (required)"),
        ("cache", "table"),
        ("cache.type", "\"s3\", \"local\" or \"none\" (required)"),
        ("cache.modes", "list of \"docker-layer\", \"source\" or \"custom\""),
        ("environment", "table of text (default {})"),
        ("build-id", "text"),
    ] {
        assert_eq!(line(name).as_deref(), Some(expected), "{name}: {told}");
    }
    assert!(told.contains("Refuse: a tag names one image for ever."), "{told}");
}

#[test]
fn a_cache_that_others_may_write_to_is_not_used_and_its_notes_are_not_believed() {
    // A plugin that the binary does not carry: what it carries is in no cache.
    let inspect = |outcome: kiln_tests::Kiln| outcome.env("KILN_CACHE_DIR", "cache").run();
    let probe = Kiln::new(["plugin", "inspect", "probe.wasm"]).file("probe.wasm", Guest::harmless().build());
    let first = inspect(probe);
    assert_eq!(first.code(), Some(0), "{}", first.all());
    let cache = first.directory().join("cache");
    let summary = first.stdout().lines().nth(1).map(str::to_owned).unwrap_or_default();
    for note in std::fs::read_dir(cache.join("descriptions")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(note.path()).unwrap_or_default();
        let forged = text.replace(&summary, "FORGED");
        assert!(forged != text && std::fs::write(note.path(), forged).is_ok(), "{text}");
    }
    let believed = inspect(first.then(["plugin", "inspect", "probe.wasm"]));
    assert!(believed.stdout().contains("FORGED"), "what lies in a private cache is taken: {}", believed.all());

    let mode = |mode| std::fs::set_permissions(&cache, std::os::unix::fs::PermissionsExt::from_mode(mode));
    let mut last = believed;
    for open in [0o777, 0o775] {
        assert!(mode(open).is_ok());
        last = inspect(last.then(["plugin", "inspect", "probe.wasm"]));
        assert_eq!(last.code(), Some(0), "{}", last.all());
        assert!(last.stdout().contains(&summary) && !last.stdout().contains("FORGED"), "{}", last.all());
        assert!(
            last.stderr().contains("others may write to") && last.stderr().contains("chmod go-w"),
            "{}",
            last.all()
        );
    }
}
