//! A registry in an account of its own, and what runs in others: images that are in use there stay.

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{EventKind, Failure};
use kiln_runner::rehearse::Rehearsed;
use kiln_runner::report::Reports;
use kiln_tests::{Account, Kiln, World, plugins, rehearsal};
use rustix::process::Signal;
use serde_json::Value;

use crate::resuming::{send, wait_for};

/// Releases 1 to 6 in the registry of account 111111111111; release 2 serves in America; in Europe, in another region, a schedule starts
/// release 3, a function is made of release 4, and a job's definition names the copy of release 5 that its own registry has.
fn world() -> World {
    World::of(
        r#"
        [[roles]]
        name    = "watcher"
        account = "222222222222"

        [[roles]]
        name    = "watcher"
        account = "333333333333"

        [[repositories]]
        name    = "web"
        history = { count = 6, prefix = "release-", from = 1, every = "10d", last = "-1d" }

        [[clusters]]
        name    = "web"
        account = "222222222222"

        [[services]]
        cluster       = "web"
        name          = "web"
        account       = "222222222222"
        desired-count = 2
        containers    = [{ name = "app", image = "111111111111.dkr.ecr.us-west-2.amazonaws.com/web:release-2" }]

        [[clusters]]
        name    = "batch"
        account = "333333333333"
        region  = "eu-west-1"

        [[task-definitions]]
        family     = "nightly"
        account    = "333333333333"
        region     = "eu-west-1"
        containers = [{ name = "app", image = "111111111111.dkr.ecr.us-west-2.amazonaws.com/web:release-3" }]

        [[schedules]]
        name            = "nightly"
        account         = "333333333333"
        region          = "eu-west-1"
        cluster         = "batch"
        task-definition = "nightly"

        [[functions]]
        name    = "thumbnails"
        account = "333333333333"
        region  = "eu-west-1"
        image   = "111111111111.dkr.ecr.us-west-2.amazonaws.com/web:release-4"
        "#,
    )
}

const AMERICA: &str = "{ environment = \"america\", clusters = [\"web\"] }";
const EUROPE: &str = "{ environment = \"europe\", clusters = [\"batch\"] }";

/// A pipeline of one stage that cleans the registry up and looks elsewhere: in these.
fn pipeline(elsewhere: &[&str]) -> String {
    format!(
        r#"
[pipeline]
name   = "registry"
region = "us-west-2"

[environments.america]
account = "222222222222"
role    = "arn:aws:iam::222222222222:role/watcher"

[environments.europe]
account = "333333333333"
role    = "arn:aws:iam::333333333333:role/watcher"
region  = "eu-west-1"

[stages.cleanup]
plugin  = "cleanup-images"
timeout = "30m"
with    = {{ repository = "web", clusters = [], keep = 1, elsewhere = [{}] }}
"#,
        elsewhere.join(", ")
    )
}

fn rehearsed(world: &World, pipeline: &str) -> Rehearsed {
    let quiet = Box::new(Reports::new(Vec::new()));
    let mut rehearsal = rehearsal(SourceFile::new("registry.toml".to_owned(), pipeline.to_owned()), &world.text(), 7);
    rehearsal.inputs.clear();
    kiln_runner::rehearse::rehearse(rehearsal, plugins(), quiet).unwrap_or_else(|error| panic!("{error}"))
}

/// The tags of the images that an account's state has in the registry.
fn left(state: &Value) -> Vec<String> {
    let images =
        state.pointer("/places/111111111111~1us-west-2/ecr/repositories/web/images").and_then(Value::as_object);
    let images = images.unwrap_or_else(|| panic!("no images in {state}")).values();
    let tags = images.flat_map(|image| image["tags"].as_array().cloned().unwrap_or_default());
    let mut tags: Vec<String> = tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
    tags.sort();
    tags
}

fn failure(rehearsed: &Rehearsed) -> Option<&Failure> {
    rehearsed.events.iter().find_map(|event| match &event.kind {
        EventKind::StageFinished { failure, .. } => failure.as_ref(),
        _ => None,
    })
}

#[test]
fn what_other_accounts_and_regions_use_stays() {
    let both = rehearsed(&world(), &pipeline(&[AMERICA, EUROPE]));
    assert_eq!(failure(&both), None);
    assert_eq!(left(&both.after), ["release-2", "release-3", "release-4", "release-6"]);
    let america = rehearsed(&world(), &pipeline(&[AMERICA]));
    assert_eq!(left(&america.after), ["release-2", "release-6"]);
    // Nobody who is not named is asked.
    assert_eq!(left(&rehearsed(&world(), &pipeline(&[])).after), ["release-6"]);
}

#[test]
fn a_copy_elsewhere_that_is_named_by_its_digest_counts() {
    let digest = |state: &Value, tag: &str| {
        let images = &state["places"]["111111111111/us-west-2"]["ecr"]["repositories"]["web"]["images"];
        let images = images.as_object().cloned().unwrap_or_default();
        let has = |image: &Value| image["tags"].as_array().is_some_and(|tags| tags.iter().any(|one| one == tag));
        images.iter().find(|(_, image)| has(image)).map(|(digest, _)| digest.clone()).unwrap_or_default()
    };
    let release_5 = digest(&rehearsed(&world(), &pipeline(&[])).before, "release-5");
    assert!(release_5.starts_with("sha256:"));
    let world = world().add(
        "task-definitions",
        &format!(
            "family = \"job\"\naccount = \"333333333333\"\nregion = \"eu-west-1\"\n\
             containers = [{{ name = \"app\", image = \"333333333333.dkr.ecr.eu-west-1.amazonaws.com/copies/web@{release_5}\" }}]"
        ),
    );
    let left = left(&rehearsed(&world, &pipeline(&[AMERICA, EUROPE])).after);
    assert!(left.contains(&"release-5".to_owned()), "{left:?}");
}

#[test]
fn where_a_role_may_not_look_nothing_goes_and_both_is_told() {
    // The role cannot be assumed; it may not look at anything; it may not look at functions.
    let deny = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"ACTION","Resource":"*"}]}"#;
    for (change, unseen) in [
        ("assumable = false".to_owned(), "europe: clusters: "),
        (format!("policy = '{}'", deny.replace("ACTION", "*")), "europe: clusters: "),
        (format!("policy = '{}'", deny.replace("ACTION", "lambda:*")), "europe: functions: "),
    ] {
        let text = world().text();
        let mut table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}"));
        let changed: toml::Table = change.parse().unwrap_or_else(|error| panic!("{error}"));
        let role = table["roles"][1].as_table_mut().unwrap_or_else(|| panic!("no role"));
        assert_eq!(role["account"].as_str(), Some("333333333333"));
        role.extend(changed);
        let rehearsed = rehearsed(&World::parse(&table.to_string()), &pipeline(&[AMERICA, EUROPE]));
        let failure = failure(&rehearsed).unwrap_or_else(|| panic!("{change}: it ran"));
        assert_eq!(failure.kind, "denied", "{failure:?}");
        assert!(failure.details.iter().any(|line| line.starts_with(unseen)), "{failure:?}");
        assert!(
            failure.details.iter().any(|line| line == "looked at america: cluster web: 1 service, 2 tasks"),
            "{failure:?}"
        );
        assert_eq!(left(&rehearsed.after).len(), 6, "what cannot be seen is kept");
    }
}

#[test]
fn the_plan_says_where_it_looked() {
    let account = Account::of(&world());
    let plan = account.kiln(["plan", "p.toml"]).file("p.toml", pipeline(&[AMERICA, EUROPE])).run();
    assert_eq!(plan.code(), Some(0), "{}", plan.all());
    for line in [
        "america: cluster web: 1 service, 2 tasks",
        "europe: cluster batch: 0 services, 0 tasks",
        "europe: schedules: 1 schedule, of which 1 starts tasks",
        "europe: functions: 1 of 1 function is made of images",
        "other accounts and regions than those of `elsewhere` and this one",
    ] {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let all = words(&plan.all());
        let (what, found) = line.rsplit_once(": ").unwrap_or(("", line));
        assert!(all.contains(what) && all.contains(found), "{line}: {}", plan.all());
    }
}

#[test]
fn each_role_needs_what_is_done_as_it_and_no_more() {
    let text = pipeline(&[AMERICA, EUROPE]);
    let printed =
        Kiln::new(["permissions", "p.toml", "--iam", "--account", "111111111111"]).file("p.toml", text.clone()).run();
    assert_eq!(printed.code(), Some(0), "{}", printed.all());
    let documents: Value = serde_json::from_str(&printed.stdout()).unwrap_or_else(|error| panic!("{error}"));
    let (runner, europe) = (documents["runner"].to_string(), documents["environments"]["europe"].to_string());
    assert!(runner.contains("ecr:BatchDeleteImage") && runner.contains("arn:aws:iam::333333333333:role/watcher"));
    assert!(europe.contains("arn:aws:ecs:eu-west-1:333333333333:task/batch/*"), "{europe}");
    assert!(!europe.contains("ecr:") && !europe.contains("web"), "{europe}");
    assert!(!documents["environments"]["america"].to_string().contains("batch"));
    // The run needs nothing else.
    let mut table: toml::Table = world().text().parse().unwrap_or_else(|error| panic!("{error}"));
    let role = |name: &str, account: &str, policy: &Value| {
        let role = format!("name = {name:?}\naccount = {account:?}\npolicy = '{policy}'");
        toml::Value::Table(role.parse().unwrap_or_else(|error| panic!("{error}")))
    };
    let roles = vec![
        role("runner", "111111111111", &documents["runner"]["policy"]),
        role("watcher", "222222222222", &documents["environments"]["america"]["policy"]),
        role("watcher", "333333333333", &documents["environments"]["europe"]["policy"]),
    ];
    table.insert("roles".to_owned(), roles.into());
    let account = Account::of(&World::parse(&table.to_string()));
    let kiln = account.kiln(["run", "p.toml"]).file("p.toml", text);
    let run = account.session_of("runner").iter().fold(kiln, |kiln, (name, value)| kiln.env(name, value)).run();
    assert_eq!(run.code(), Some(0), "{}", run.all());
}

#[test]
fn an_environment_that_is_not_declared_is_found_by_the_check() {
    let text = pipeline(&[&AMERICA.replace("america", "amercia"), EUROPE, EUROPE]);
    let check = Kiln::new(["check", "p.toml"]).file("p.toml", text).run();
    assert_eq!(check.code(), Some(2), "{}", check.all());
    assert!(check.all().contains("there is no environment `amercia`"), "{}", check.all());
    assert!(check.all().contains("did you mean `america`?"), "{}", check.all());
    assert!(check.all().contains("the environment `europe` is named twice"), "{}", check.all());
}

#[test]
fn a_run_that_is_killed_while_it_looks_elsewhere_goes_on_there() {
    let account = Account::of(&world());
    let text = pipeline(&[AMERICA, EUROPE]);
    let running = account.kiln(["run", "p.toml", "--output", "json"]).file("p.toml", text).start();
    wait_for(&running, "Europe", |journal| journal.contains("environment europe"));
    send(&running, Signal::KILL);
    let outcome = running.end();
    let resumed = outcome.then(["resume", "--output", "json"]).env("AWS_ENDPOINT_URL", &account.url()).run();
    assert_eq!(resumed.code(), Some(0), "{}", resumed.all());
    assert_eq!(left(&account.state()), ["release-2", "release-3", "release-4", "release-6"]);
}

#[test]
fn two_services_in_four_accounts_and_two_regions_are_rehearsed() {
    let pipeline = kiln_tests::repository().join("pipelines/two-regions.toml").display().to_string();
    let tried = Kiln::new(["test", pipeline.as_str()]).run();
    assert_eq!(tried.code(), Some(0), "{}", tried.all());
    assert!(tried.all().contains("3 passed"), "{}", tried.all());
}
