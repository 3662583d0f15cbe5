//! What `kiln permissions` prints is what a run needs: each pipeline of the repository runs under exactly that.

use std::fs;

use kiln_tests::{Account, Kiln, Outcome, World, repository};
use serde_json::{Value, json};

fn file(pipeline: &str, kind: &str) -> String {
    repository().join("pipelines").join(format!("{pipeline}.{kind}")).display().to_string()
}

/// `kiln permissions` of a pipeline, by the file alone.
fn permissions(pipeline: &str, more: &[&str]) -> Outcome {
    let path = file(pipeline, "toml");
    Kiln::new(["permissions", path.as_str()]).args(more.iter().copied()).run()
}

fn policies(pipeline: &str) -> Value {
    let printed = permissions(pipeline, &["--iam", "--account", "111111111111"]);
    assert_eq!(printed.code(), Some(0), "{}", printed.all());
    serde_json::from_str(&printed.stdout()).unwrap_or_else(|error| panic!("{error}: {}", printed.all()))
}

/// The pipeline's world with `documents` as its roles' policies, and a role `runner` for whoever runs it.
fn world(pipeline: &str, documents: &Value) -> World {
    let text = fs::read_to_string(file(pipeline, "world.toml")).unwrap_or_else(|error| panic!("{error}"));
    let mut world: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}"));
    let mut roles = toml::value::Array::new();
    let mut role = |name: &str, account: Option<&str>, policy: &Value| {
        let mut role = toml::Table::new();
        role.insert("name".to_owned(), name.into());
        role.extend(account.map(|account| ("account".to_owned(), account.into())));
        role.insert("policy".to_owned(), policy.to_string().into());
        roles.push(role.into());
    };
    role("runner", None, &documents["runner"]["policy"]);
    for document in documents["environments"].as_object().into_iter().flat_map(|all| all.values()) {
        let arn = document["role"].as_str().unwrap_or_default();
        let (place, name) = arn.split_once(":role/").unwrap_or_default();
        role(name, place.rsplit(':').next(), &document["policy"]);
    }
    world.insert("roles".to_owned(), roles.into());
    World::parse(&world.to_string())
}

/// Run a pipeline as the role `runner`.
fn run(pipeline: &str, documents: &Value) -> Outcome {
    let account = Account::of(&world(pipeline, documents));
    let path = file(pipeline, "toml");
    let kiln = account.kiln(["run", &path, "--input", "commit=4f2a9c1", "--output", "json"]);
    account.session_of("runner").iter().fold(kiln, |kiln, (name, value)| kiln.env(name, value)).run()
}

#[test]
fn each_pipeline_runs_under_exactly_what_is_printed() {
    for pipeline in ["web-service", "staging-first", "two-regions"] {
        let outcome = run(pipeline, &policies(pipeline));
        assert_eq!(outcome.code(), Some(0), "{pipeline}: {}", outcome.all());
    }
}

#[test]
fn with_less_than_is_printed_it_does_not() {
    let documents = policies("web-service");
    // Without each of these, and in each role.
    for (pointer, action) in [
        ("/runner/policy/Statement", "sts:AssumeRole"),
        ("/runner/policy/Statement", "codebuild:StartBuild"),
        ("/environments/production/policy/Statement", "ecs:TagResource"),
        ("/environments/production/policy/Statement", "iam:PassRole"),
        ("/environments/production/policy/Statement", "ecs:DescribeServiceRevisions"),
    ] {
        let mut less = documents.clone();
        let statements = less.pointer_mut(pointer).and_then(Value::as_array_mut);
        let mut found = false;
        for statement in statements.into_iter().flatten() {
            match &mut statement["Action"] {
                Value::Array(actions) => {
                    found |= actions.iter().any(|one| one == action);
                    actions.retain(|one| one != action);
                }
                one if one == action => (found, *one) = (true, json!("nothing:AtAll")),
                _ => {}
            }
        }
        assert!(found, "{action} is in {documents}");
        let outcome = run("web-service", &less);
        assert_ne!(outcome.code(), Some(0), "without {action}: {}", outcome.all());
        assert!(outcome.all().contains(action), "it is said that {action} is missing: {}", outcome.all());
    }
    // A role may be passed to tasks of ECS and to nobody else.
    let elsewhere = documents.to_string().replace("ecs-tasks.amazonaws.com", "ec2.amazonaws.com");
    let elsewhere: Value = serde_json::from_str(&elsewhere).unwrap_or_default();
    assert_eq!(run("web-service", &elsewhere).code(), Some(1));
}

#[test]
fn the_table_says_what_each_action_is_for() {
    let printed = permissions("web-service", &[]);
    assert_eq!(printed.code(), Some(0), "{}", printed.all());
    insta::assert_snapshot!(printed.stdout());
}

#[test]
fn the_book_shows_what_is_printed() {
    let book = fs::read_to_string(repository().join("docs/operators.md")).unwrap_or_default();
    let documents = policies("web-service");
    for document in [
        &documents["runner"]["policy"],
        &documents["environments"]["production"]["trust"],
        &documents["environments"]["production"]["policy"],
    ] {
        let shown = serde_json::to_string_pretty(document).unwrap_or_default();
        assert!(book.contains(&shown), "docs/operators.md should show:\n{shown}");
    }
}

#[test]
fn without_an_account_it_is_asked_for() {
    let pipeline = "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n[stages.scan]\nplugin = \"scan-image\"\n\
                    with = { image = \"111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", fail-on = \"high\" }\n";
    let asked = Kiln::new(["permissions", "p.toml"]).file("p.toml", pipeline).run();
    assert_eq!(asked.code(), Some(2), "{}", asked.all());
    assert!(asked.stderr().contains("--account 111111111111"), "{}", asked.all());
    let told = Kiln::new(["permissions", "p.toml", "--account", "111111111111"]).file("p.toml", pipeline).run();
    assert_eq!(told.code(), Some(0), "{}", told.all());
    assert!(told.stdout().contains("arn:aws:ecr:us-west-2:111111111111:repository/web"), "{}", told.all());
}
