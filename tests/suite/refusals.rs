//! What a run would refuse, `kiln check` refuses before.

use kiln_tests::Kiln;

/// A pipeline whose stage watches an alarm for `bake`.
fn watching(bake: &str) -> String {
    format!(
        "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n\n[stages.verify]\nplugin = \"verify-alarms\"\n\
         with = {{ alarms = [\"web-5xx\"], bake = \"{bake}\" }}\n"
    )
}

#[test]
fn a_duration_that_is_none_or_too_long_is_refused_by_the_schema() {
    let check = |bake: &str| Kiln::new(["check", "pipeline.toml"]).file("pipeline.toml", watching(bake)).run();
    for bake in ["0s", "0h0m", "99999999999999999999d", "5m10h", "5 m", "", "1.5h", "-5m"] {
        let outcome = check(bake);
        assert_eq!(outcome.code(), Some(2), "{bake}: {}", outcome.all());
        assert!(outcome.stderr().contains("`bake`"), "{bake}: {}", outcome.all());
    }
    for bake in ["1ms", "1h30m", "10s", "30d", "0h5m", "999999999d"] {
        let outcome = check(bake);
        assert_eq!(outcome.code(), Some(0), "{bake}: {}", outcome.all());
    }
}

#[test]
fn a_value_that_does_not_fit_is_shown_with_where_it_comes_from() {
    const PIPELINE: &str = r#"
[pipeline]
name   = "web"
region = "us-west-2"

[inputs.tag]
default = "${env.BRANCH}"

[stages.build]
plugin = "build-image"
with   = { project = "web-image", repository = "web", tag = "${inputs.tag}" }
"#;
    let tried = |value: &str| {
        let outcome = Kiln::new(["rehearse", "pipeline.toml", "--world", "world.toml"])
            .file("pipeline.toml", PIPELINE)
            .file("world.toml", "account = \"111111111111\"\nregion = \"us-west-2\"\n")
            .env("BRANCH", value)
            .run();
        assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
        outcome.stderr()
    };
    let slash = tried("feature/login");
    assert!(slash.contains(r#"this is "feature/login" (from BRANCH), and must match"#), "{slash}");
    assert!(slash.contains("`${inputs.tag.replace('/', '-')}` would do"), "{slash}");
    let returned = tried("abc123\r");
    assert!(returned.contains(r#"this is "abc123\r" (from BRANCH)"#), "{returned}");
    assert!(returned.contains("`${inputs.tag.trim()}` would do"), "{returned}");
    let empty = tried("");
    assert!(empty.contains(r#"this is "" (from BRANCH)"#), "{empty}");
    let secret = tried("x/ghp_0123456789abcdefghijABCDEFGHIJ012345");
    assert!(secret.contains("looks like a GitHub token (from BRANCH), and is not shown"), "{secret}");
    assert!(!secret.contains("ghp_"), "{secret}");
}

#[test]
fn an_input_that_is_refused_is_shown_with_where_it_comes_from() {
    const PIPELINE: &str = r#"
[pipeline]
name   = "web"
region = "us-west-2"

[inputs.count]
type    = "number"
default = "${env.COUNT}"

[inputs.tag]
pattern = "[a-z]+"
default = "${env.TAG}"

[inputs.api-token]
pattern = "[a-z]+"
default = "x"

[stages.verify]
plugin = "verify-alarms"
with   = { alarms = ["${inputs.tag}", "${inputs.api-token}"], bake = "2m" }
"#;
    let outcome = Kiln::new(["plan", "pipeline.toml", "--input", "api-token=hunter2"])
        .file("pipeline.toml", PIPELINE)
        .env("COUNT", "7 of\t9")
        .env("TAG", "v1\r")
        .run();
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    for part in [
        r#"the default (from COUNT) of the input `count`, "7 of\t9", is not a number"#,
        "the default (from TAG) of the input `tag` does not match its pattern",
        r#"the whole value, "v1\r", must match this"#,
        "the whole value, which may be a secret and is not shown, must match this",
    ] {
        assert!(outcome.stderr().contains(part), "{part} in {}", outcome.all());
    }
    assert!(!outcome.all().contains("hunter2"), "{}", outcome.all());
    let given =
        Kiln::new(["plan", "pipeline.toml"]).file("pipeline.toml", PIPELINE).env("KILN_INPUT_COUNT", "many").run();
    let said = r#"the value of the environment variable KILN_INPUT_COUNT, "many", is not a number"#;
    assert!(given.stderr().contains(said), "{}", given.all());
}

#[test]
fn an_account_with_a_leading_zero_is_one_error_that_says_to_put_it_in_quotes() {
    const PIPELINE: &str = "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n\n[environments.production]\naccount = 012345678901\n\n\
                            [stages.verify]\nplugin = \"verify-alarms\"\nenvironment = \"production\"\n\
                            with = { alarms = [\"web-5xx\"], bake = \"2m\" }\n";
    let outcome = Kiln::new(["check", "pipeline.toml"]).file("pipeline.toml", PIPELINE).run();
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert_eq!(outcome.stderr().matches("error[").count(), 1, "{}", outcome.all());
    assert!(outcome.stderr().contains(r#"put it in quotes: `account = "012345678901"`"#), "{}", outcome.all());
}
