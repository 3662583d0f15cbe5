//! `promote-image`: an image goes to the registry of another account and region, by its digest and with all that belongs to it.

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{EventKind, Failure};
use kiln_runner::rehearse::Rehearsed;
use kiln_runner::report::Reports;
use kiln_tests::{Account, Course, Kiln, World, plugins, rehearsal};
use serde_json::Value;

use crate::crash::at_boundaries_by_seed;

const HERE: &str = "111111111111/us-west-2";
const THERE: &str = "222222222222/eu-west-1";

/// A registry with an image, signed in two ways, and an image for two platforms with attestations; and an empty one elsewhere.
fn world() -> World {
    World::of(
        r#"
        [[roles]]
        name    = "deployer"
        account = "222222222222"

        [[repositories]]
        name      = "shop"
        images    = [
          { tags = ["v1"], pushed = "-2d", size = 900_000, content = true },
          { tags = ["multi"], pushed = "-1d", size = 600_000, content = true, platforms = ["linux/amd64", "linux/arm64"], attestations = true },
          { tags = ["large"], size = 27_000_000, content = true },
        ]
        referrers = [{ of = "v1", content = true }, { of = "v1", tag = "sig", content = true }]

        [[repositories]]
        name    = "shop"
        account = "222222222222"
        region  = "eu-west-1"
        "#,
    )
}

fn repository<'s>(state: &'s Value, place: &str) -> &'s Value {
    &state["places"][place]["ecr"]["repositories"]["shop"]
}

/// The digest that a tag names in a registry.
fn digest(state: &Value, place: &str, tag: &str) -> Option<String> {
    let images = repository(state, place)["images"].as_object()?;
    let has = |image: &Value| image["tags"].as_array().is_some_and(|tags| tags.iter().any(|one| one == tag));
    images.iter().find(|(_, image)| has(image)).map(|(digest, _)| digest.clone())
}

/// The digests of all images, or of all layers, that a registry has.
fn all(state: &Value, place: &str, what: &str) -> Vec<String> {
    repository(state, place)[what].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
}

/// A pipeline that has the image of a tag in Europe, with this in its `with`.
fn pipeline(world: &World, tag: &str, with: &str) -> String {
    let before = Account::of(world).state();
    let digest = digest(&before, HERE, tag).unwrap_or_else(|| panic!("{tag} is not there: {before}"));
    format!(
        r#"
[pipeline]
name   = "promotion"
region = "us-west-2"

[environments.registry]
account = "111111111111"

[environments.europe]
account = "222222222222"
role    = "arn:aws:iam::222222222222:role/deployer"
region  = "eu-west-1"

[stages.promote]
plugin      = "promote-image"
environment = "europe"
timeout     = "1h"

[stages.promote.with]
image      = "111111111111.dkr.ecr.us-west-2.amazonaws.com/shop@{digest}"
repository = "shop"
elsewhere  = {{ environment = "registry" }}
{with}
"#
    )
}

fn rehearsed(world: &World, pipeline: &str) -> Rehearsed {
    let quiet = Box::new(Reports::new(Vec::new()));
    let mut rehearsal = rehearsal(SourceFile::new("p.toml".to_owned(), pipeline.to_owned()), &world.text(), 7);
    rehearsal.inputs.clear();
    kiln_runner::rehearse::rehearse(rehearsal, plugins(), quiet).unwrap_or_else(|error| panic!("{error}"))
}

fn ended(rehearsed: &Rehearsed) -> (Option<Value>, Option<Failure>) {
    let ended = rehearsed.events.iter().find_map(|event| match &event.kind {
        EventKind::StageFinished { outputs, failure, .. } => Some((outputs.clone(), failure.clone())),
        _ => None,
    });
    ended.unwrap_or_else(|| panic!("it did not end"))
}

fn outputs(rehearsed: &Rehearsed) -> Value {
    let (outputs, failure) = ended(rehearsed);
    outputs.unwrap_or_else(|| panic!("it failed: {failure:?}"))
}

/// How often an action had an effect.
fn effects(rehearsed: &Rehearsed, action: &str) -> usize {
    rehearsed.effects.iter().filter(|effect| effect.action == action).count()
}

#[test]
fn an_image_goes_with_its_signatures_and_is_the_same() {
    let world = world();
    let promoted = rehearsed(&world, &pipeline(&world, "v1", "tag = \"stable\""));
    let outputs = outputs(&promoted);
    let v1 = digest(&promoted.before, HERE, "v1").unwrap_or_default();
    assert_eq!(outputs["image"], format!("222222222222.dkr.ecr.eu-west-1.amazonaws.com/shop@{v1}"));
    assert_eq!((&outputs["images"], &outputs["bytes"]), (&Value::from(3), &Value::from(900_160)));
    assert_eq!(digest(&promoted.after, THERE, "stable"), Some(v1.clone()));
    let signature = format!("{}.sig", v1.replace(':', "-"));
    assert_eq!(digest(&promoted.after, THERE, &signature), digest(&promoted.before, HERE, &signature));
    assert_eq!(all(&promoted.after, THERE, "images").len(), 3);
    assert_eq!(effects(&promoted, "ecr:PutImage"), 3);
    assert_eq!(effects(&promoted, "ecr:CompleteLayerUpload"), all(&promoted.after, THERE, "layers").len());
    // Nothing else went, and what it came from is as it was.
    assert_eq!(repository(&promoted.before, HERE)["layers"], repository(&promoted.after, HERE)["layers"]);
}

#[test]
fn an_index_goes_with_all_that_it_lists() {
    let world = world();
    let promoted = rehearsed(&world, &pipeline(&world, "multi", ""));
    assert_eq!(outputs(&promoted)["images"], 5, "two images, two attestations, and the index");
    let there = all(&promoted.after, THERE, "images");
    let multi = digest(&promoted.before, HERE, "multi").unwrap_or_default();
    assert!(there.len() == 5 && there.contains(&multi), "{there:?}");
    let layers = all(&promoted.after, THERE, "layers");
    assert!(layers.iter().all(|layer| all(&promoted.before, HERE, "layers").contains(layer)));
    assert_eq!(effects(&promoted, "ecr:CompleteLayerUpload"), layers.len(), "a layer that several have goes once");
}

#[test]
fn a_large_layer_goes_in_parts() {
    let world = world();
    let promoted = rehearsed(&world, &pipeline(&world, "large", ""));
    assert_eq!(outputs(&promoted)["bytes"], 27_000_000);
    assert_eq!((effects(&promoted, "ecr:CompleteLayerUpload"), effects(&promoted, "ecr:UploadLayerPart")), (3, 4));
}

#[test]
fn a_plan_says_what_goes_and_a_second_run_has_nothing_to_do() {
    let world = world();
    let account = Account::of(&world);
    let text = pipeline(&world, "v1", "");
    let plan = account.kiln(["plan", "p.toml"]).file("p.toml", text.clone()).run();
    assert_eq!(plan.code(), Some(0), "{}", plan.all());
    assert!(plan.all().contains("3 images, 880 KiB of 7 layers"), "{}", plan.all());
    assert_eq!(account.effects().len(), 0, "a plan changes nothing");
    let run = account.kiln(["run", "p.toml"]).file("p.toml", text.clone()).run();
    assert_eq!(run.code(), Some(0), "{}", run.all());
    let before = account.effects().len();
    let again = account.kiln(["plan", "p.toml"]).file("p.toml", text.clone()).run();
    assert!(again.all().contains("already") && again.all().contains("it is there already"), "{}", again.all());
    let run = account.kiln(["run", "p.toml"]).file("p.toml", text).run();
    assert_eq!(run.code(), Some(0), "{}", run.all());
    assert_eq!(account.effects().len(), before, "nothing goes twice");
}

#[test]
fn an_undo_removes_what_was_copied_where_the_config_says_so() {
    for (with, left) in [("remove-on-undo = true", 0), ("", 3)] {
        let world = world();
        let account = Account::of(&world);
        let run = account.kiln(["run", "p.toml"]).file("p.toml", pipeline(&world, "v1", with)).run();
        assert_eq!(run.code(), Some(0), "{}", run.all());
        let journal = kiln_tests::run_in(&run.directory().join(".kiln"));
        let id = journal.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let undone = run.then(["undo", &id]).env("AWS_ENDPOINT_URL", &account.url()).run();
        let there = all(&account.state(), THERE, "images");
        assert_eq!(there.len(), left, "{with}: {}", undone.all());
    }
}

#[test]
fn what_aws_does_on_its_bad_days_does_no_harm() {
    for (operation, kind) in [
        ("ecr:UploadLayerPart", "reset-after"),
        ("ecr:UploadLayerPart", "reset"),
        ("ecr:InitiateLayerUpload", "reset-after"),
        ("ecr:CompleteLayerUpload", "reset-after"),
        ("ecr:GetDownloadUrlForLayer", "throttle"),
        ("ecr:PutImage", "reset-after"),
    ] {
        let fault = format!("operation = {operation:?}\nkind = {kind:?}\nnth = 2");
        let world = world();
        let text = pipeline(&world, "v1", "");
        let promoted = rehearsed(&world.add("faults", &fault), &text);
        assert_eq!(outputs(&promoted)["images"], 3, "{operation} {kind}");
        assert_eq!(all(&promoted.after, THERE, "images").len(), 3, "{operation} {kind}");
        assert_eq!(effects(&promoted, "ecr:PutImage"), 3, "{operation} {kind}");
        let layers = all(&promoted.after, THERE, "layers").len();
        assert_eq!(effects(&promoted, "ecr:CompleteLayerUpload"), layers, "{operation} {kind}");
    }
}

#[test]
fn a_copy_survives_kills_at_the_boundaries_of_its_calls() {
    let world = world();
    // How long a run is dead between two processes must not decide how it ends.
    let patient = pipeline(&world, "v1", "tag = \"stable\"").replace("\"1h\"", "\"2d\"");
    // It is given a commit, as all courses are.
    let patient = format!("{patient}\n[inputs.commit]\ndefault = \"none\"\n");
    let course = Course::new("promote", patient, world.text(), 300.0);
    at_boundaries_by_seed(&course, 0, 4);
}

#[test]
fn each_role_needs_what_is_done_as_it() {
    let world = world();
    let text = pipeline(&world, "v1", "remove-on-undo = true");
    let printed =
        Kiln::new(["permissions", "p.toml", "--iam", "--account", "111111111111"]).file("p.toml", text.clone()).run();
    assert_eq!(printed.code(), Some(0), "{}", printed.all());
    let documents: Value = serde_json::from_str(&printed.stdout()).unwrap_or_else(|error| panic!("{error}"));
    let (runner, europe) = (&documents["runner"]["policy"], &documents["environments"]["europe"]["policy"]);
    assert!(runner.to_string().contains("ecr:GetDownloadUrlForLayer") && !runner.to_string().contains("ecr:PutImage"));
    assert!(europe.to_string().contains("ecr:UploadLayerPart") && !europe.to_string().contains("GetDownloadUrl"));
    let mut table: toml::Table = world.text().parse().unwrap_or_else(|error| panic!("{error}"));
    let role = |name: &str, account: &str, policy: &Value| {
        let role = format!("name = {name:?}\naccount = {account:?}\npolicy = '{policy}'");
        toml::Value::Table(role.parse().unwrap_or_else(|error| panic!("{error}")))
    };
    let roles = vec![role("runner", "111111111111", runner), role("deployer", "222222222222", europe)];
    table.insert("roles".to_owned(), roles.into());
    let account = Account::of(&World::parse(&table.to_string()));
    let kiln = account.kiln(["run", "p.toml"]).file("p.toml", text);
    let run = account.session_of("runner").iter().fold(kiln, |kiln, (name, value)| kiln.env(name, value)).run();
    assert_eq!(run.code(), Some(0), "{}", run.all());
}

#[test]
fn an_image_of_another_place_than_is_named_is_refused() {
    let world = world();
    let text = pipeline(&world, "v1", "").replace("us-west-2.amazonaws.com", "us-east-1.amazonaws.com");
    let (_, failure) = ended(&rehearsed(&world, &text));
    let failure = failure.unwrap_or_else(|| panic!("it ran"));
    assert_eq!(failure.kind, "config");
    assert!(failure.message.contains("but this stage acts in account 111111111111 and us-west-2"), "{failure:?}");
}

#[test]
fn a_replication_is_waited_for() {
    let replicates = |more: &str| {
        let text =
            format!("replicates = [{{ account = \"222222222222\", region = \"eu-west-1\", takes = \"4m\"{more} }}]");
        let mut table: toml::Table = world().text().parse().unwrap_or_else(|error| panic!("{error}"));
        let changed: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}"));
        table["repositories"][0].as_table_mut().unwrap_or_else(|| panic!("no repository")).extend(changed);
        // Only what is pushed at the beginning is still on its way.
        table["repositories"][0]["images"].as_array_mut().unwrap_or_else(|| panic!("no images")).iter_mut().for_each(
            |image| {
                image.as_table_mut().unwrap_or_else(|| panic!("no image")).remove("pushed");
            },
        );
        World::parse(&table.to_string())
    };
    let with = "by = \"replication\"\nreferrers = false";
    let good = replicates("");
    let promoted = rehearsed(&good, &pipeline(&good, "v1", with));
    assert_eq!(outputs(&promoted)["images"], 0, "nothing is copied");
    assert!(promoted.millis > 3 * 60_000, "{}", promoted.millis);
    assert_eq!(effects(&promoted, "ecr:PutImage"), 0);
    assert_eq!(digest(&promoted.after, THERE, "v1"), digest(&promoted.before, HERE, "v1"));

    let bad = replicates(", fails = \"KmsError\"");
    let failure = ended(&rehearsed(&bad, &pipeline(&bad, "v1", with))).1.unwrap_or_else(|| panic!("it ran"));
    assert!(failure.kind == "failed" && failure.message.contains("KmsError"), "{failure:?}");
    let none = world();
    let failure = ended(&rehearsed(&none, &pipeline(&none, "v1", with))).1.unwrap_or_else(|| panic!("it ran"));
    assert!(failure.kind == "not-found" && failure.message.contains("does not replicate"), "{failure:?}");
}

#[test]
fn a_deployment_refers_to_the_registry_of_its_own_region() {
    let mut table: toml::Table = world().text().parse().unwrap_or_else(|error| panic!("{error}"));
    let old: toml::Table = "images = [{ tags = [\"old\"] }]".parse().unwrap_or_else(|error| panic!("{error}"));
    table["repositories"][1].as_table_mut().unwrap_or_else(|| panic!("no repository")).extend(old);
    let place = "account = \"222222222222\"\nregion = \"eu-west-1\"";
    let world = World::parse(&table.to_string()).add("clusters", &format!("name = \"shop\"\n{place}")).add(
        "services",
        &format!(
            "cluster = \"shop\"\nname = \"web\"\ndesired-count = 1\n{place}\n\
             containers = [{{ name = \"app\", image = \"shop:old\" }}]"
        ),
    );
    let deploy = "\n[stages.deploy]\nplugin = \"deploy-ecs\"\nenvironment = \"europe\"\n\
                  with = { cluster = \"shop\", service = \"web\", image = \"${stages.promote.image}\", roles = [\"web-execution\"] }\n";
    let rehearsed = rehearsed(&world, &format!("{}{deploy}", pipeline(&world, "v1", "")));
    assert_eq!(rehearsed.outcome, kiln_runner::event::RunOutcome::Done, "{:?}", rehearsed.events.last());
    let v1 = digest(&rehearsed.before, HERE, "v1").unwrap_or_default();
    let image = format!("222222222222.dkr.ecr.eu-west-1.amazonaws.com/shop@{v1}");
    let ecs = |state: &Value| state["places"][THERE]["ecs"].to_string();
    assert!(ecs(&rehearsed.after).contains(&image) && !ecs(&rehearsed.before).contains(&image));
}
