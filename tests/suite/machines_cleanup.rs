//! `cleanup-amis` in accounts in which it is easy to take away the wrong image: rehearsed from end to end.

use std::collections::BTreeSet;

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{EventKind, Failure};
use kiln_runner::rehearse::Rehearsed;
use kiln_runner::report::Reports;
use kiln_tests::{Account, Course, World, plugins, rehearsal};
use serde_json::Value;

use super::crash::at_boundaries_by_seed;

/// A pipeline of one stage that cleans up the images `web-*`, with this `with`.
pub(crate) fn pipeline(with: &str) -> String {
    format!(
        "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n\n[stages.cleanup]\nplugin = \"cleanup-amis\"\n\
         timeout = \"30m\"\nwith = {{ families = [{{ names = \"web-*\" }}], {with} }}\n"
    )
}

/// What came of a rehearsal.
pub(crate) struct Cleaned {
    rehearsed: Rehearsed,
}

impl Cleaned {
    pub(crate) fn up(world: &World, with: &str) -> Self {
        Self::by(world, pipeline(with))
    }

    pub(crate) fn by(world: &World, pipeline: String) -> Self {
        let quiet = Box::new(Reports::new(Vec::new()));
        let mut rehearsal = rehearsal(SourceFile::new("cleanup.toml".to_owned(), pipeline), &world.text(), 7);
        rehearsal.inputs.clear();
        let rehearsed = kiln_runner::rehearse::rehearse(rehearsal, plugins(), quiet);
        Self { rehearsed: rehearsed.unwrap_or_else(|error| panic!("{error}")) }
    }

    fn things(&self, kind: &str) -> Vec<&Value> {
        let place = self.rehearsed.after.pointer("/places/111111111111~1us-west-2/ec2");
        let place = place.unwrap_or_else(|| panic!("nothing of EC2 in {}", self.rehearsed.after));
        place.get(kind).and_then(Value::as_object).map(|things| things.values().collect()).unwrap_or_default()
    }

    /// The names of the images that are there, each with its state, and whether it is deprecated.
    pub(crate) fn left(&self) -> Vec<String> {
        let text =
            |image: &Value, member: &str| image.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        let images = self.things("images").into_iter().filter(|image| text(image, "state") != "deregistered");
        let mut left: Vec<String> = images
            .map(|image| {
                let deprecated = image.get("deprecated").is_some_and(|at| !at.is_null());
                let word = match (text(image, "state").as_str(), deprecated) {
                    ("available", false) => String::new(),
                    ("available", true) => " deprecated".to_owned(),
                    (other, _) => format!(" {other}"),
                };
                format!("{}{word}", text(image, "name"))
            })
            .collect();
        left.sort();
        left
    }

    /// The ids of the snapshots that are there.
    pub(crate) fn snapshots(&self) -> BTreeSet<String> {
        let ids = self.things("snapshots").into_iter();
        ids.filter_map(|snapshot| snapshot.get("id").and_then(Value::as_str).map(str::to_owned)).collect()
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.rehearsed.events.iter().find_map(|event| match &event.kind {
            EventKind::StageFinished { failure, .. } => failure.as_ref(),
            _ => None,
        })
    }

    pub(crate) fn outputs(&self) -> Value {
        let outputs = self.rehearsed.events.iter().find_map(|event| match &event.kind {
            EventKind::StageFinished { outputs, .. } => outputs.clone(),
            _ => None,
        });
        outputs.unwrap_or_else(|| panic!("it failed: {:?}", self.failure()))
    }

    pub(crate) fn lines(&self) -> Vec<&str> {
        let lines = self.rehearsed.events.iter().filter_map(|event| match &event.kind {
            EventKind::StageLog { message, .. } => Some(message.as_str()),
            _ => None,
        });
        lines.collect()
    }

    fn effects(&self, action: &str) -> usize {
        self.rehearsed.effects.iter().filter(|effect| effect.action == action).count()
    }
}

/// Images `web-1` to `web-COUNT`, each ten days younger than the one before; the newest is ten days old.
fn images(count: u32) -> World {
    (1..=count).fold(World::of(""), |world, number| {
        let days = (count - number + 1) * 10;
        let id = format!("ami-0000000000000000{number}");
        let fields = format!(
            "name = \"web-{number}\"\nid = \"{id}\"\ncreated = \"-{days}d\"\n\
             devices = [{{ snapshot = \"snap-0000000000000000{number}\" }}]"
        );
        world.add("images", &fields)
    })
}

/// With these fields for one of them.
fn but(world: World, number: u32, change: &str) -> World {
    world.change("images", &format!("web-{number}"), change)
}

const AT_ONCE: &str = "keep = 0, at-once = true";

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn old_images_go_with_their_snapshots_and_the_newest_stay() {
    let cleaned = Cleaned::up(&images(5), "keep = 2, at-once = true");
    assert_eq!(cleaned.left(), named(&["web-4", "web-5"]), "{:?}", cleaned.failure());
    let snapshots: Vec<String> = cleaned.snapshots().into_iter().collect();
    assert_eq!(snapshots, ["snap-00000000000000004", "snap-00000000000000005"]);
    let outputs = cleaned.outputs();
    assert_eq!(outputs["deregistered"], 3);
    assert_eq!((&outputs["snapshots"], &outputs["kept"]), (&Value::from(3), &Value::from(2)));
    assert_eq!(outputs["images"], "ami-00000000000000001, ami-00000000000000002, ami-00000000000000003");
    assert!(
        cleaned.lines()[0].contains("deregistered ami-00000000000000001 (web-1): 50 days old"),
        "{:?}",
        cleaned.lines()
    );

    let alone = Cleaned::up(&images(3), "keep = 1, at-once = true, snapshots = false");
    assert_eq!((alone.left(), alone.snapshots().len()), (named(&["web-3"]), 3));
    let old = Cleaned::up(&images(5), "keep = 0, at-once = true, older-than = \"25d\"");
    assert_eq!(old.left(), named(&["web-4", "web-5"]));
}

#[test]
fn an_image_goes_down_by_one_rung_a_run() {
    let world = but(but(images(3), 2, "deprecated = \"-5d\""), 3, "state = \"disabled\"");
    let once = Cleaned::up(&world, "keep = 0");
    assert_eq!(once.left(), named(&["web-1 deprecated", "web-2 disabled"]), "{:?}", once.failure());
    let counted = |name: &str| once.outputs()[name].as_u64();
    assert_eq!((counted("deprecated"), counted("disabled"), counted("deregistered")), (Some(1), Some(1), Some(1)));
    let never = Cleaned::up(&world, "keep = 0, rungs = [\"deprecate\", \"disable\"]");
    assert_eq!(never.left(), named(&["web-1 deprecated", "web-2 disabled", "web-3 disabled"]));
    let all = Cleaned::up(&world, AT_ONCE);
    assert_eq!(all.left(), named(&[]));
    assert_eq!((all.effects("ec2:DisableImage"), all.effects("ec2:DeregisterImage")), (0, 3), "straight to the last");
}

#[test]
fn what_an_instance_runs_stays_whatever_its_state() {
    let world = images(4)
        .add("instances", "image = \"web-1\"\ninstance-type = \"t3.micro\"")
        .add("instances", "image = \"web-2\"\ninstance-type = \"t3.micro\"\nstopped = true")
        .add(
            "instances",
            "image = \"web-3\"\ninstance-type = \"t3.micro\"\nregion = \"eu-west-1\"\naccount = \"222222222222\"",
        );
    // The third account cannot see the image: the world refuses it, so it runs one of its own.
    let world = world.add("images", "name = \"web-3\"\nregion = \"eu-west-1\"\naccount = \"222222222222\"");
    let cleaned = Cleaned::up(&world, AT_ONCE);
    assert_eq!(cleaned.left(), named(&["web-1", "web-2"]), "{:?}", cleaned.failure());
}

#[test]
fn what_a_launch_template_names_by_default_or_newest_stays() {
    let template = |default: u32| {
        format!(
            "name = \"web\"\ndefault-version = {default}\nversions = [{{ image = \"web-1\" }}, {{ image = \"web-2\" }}, {{ image = \"web-3\" }}]"
        )
    };
    let by_default = Cleaned::up(&images(4).add("launch-templates", &template(1)), AT_ONCE);
    assert_eq!(by_default.left(), named(&["web-1", "web-3"]), "{:?}", by_default.failure());
    let newest = Cleaned::up(&images(4).add("launch-templates", &template(3)), AT_ONCE);
    assert_eq!(newest.left(), named(&["web-3"]));
    let deep =
        Cleaned::up(&images(4).add("launch-templates", &template(3)), &format!("{AT_ONCE}, template-versions = 2"));
    assert_eq!(deep.left(), named(&["web-2", "web-3"]));
}

#[test]
fn what_a_group_or_a_launch_configuration_may_launch_stays() {
    let versions =
        "versions = [{ image = \"web-1\" }, { image = \"web-2\" }, { image = \"web-3\" }, { image = \"web-4\" }]";
    let world = images(6)
        .add("launch-templates", &format!("name = \"web\"\ndefault-version = 4\n{versions}"))
        .add(
            "auto-scaling-groups",
            "name = \"idle\"\nlaunch-template = \"web\"\nversion = \"2\"\nmin = 0\ndesired = 0\nmax = 2",
        )
        .add("launch-configurations", "name = \"old\"\nimage = \"web-5\"");
    let cleaned = Cleaned::up(&world, AT_ONCE);
    assert_eq!(cleaned.left(), named(&["web-2", "web-4", "web-5"]), "{:?}", cleaned.failure());
    let blind = Cleaned::up(&world, &format!("{AT_ONCE}, not-looked-at = [\"groups\"]"));
    assert_eq!(blind.left(), named(&["web-4"]), "what the config calls without matter is not looked at");
}

#[test]
fn what_a_parameter_or_a_recipe_names_stays() {
    let parameter = |name: &str, value: &str, more: &str| format!("name = \"{name}\"\nvalues = ['{value}']\n{more}");
    let id = |number: u32| format!("ami-0000000000000000{number}");
    let world = images(6)
        .add("parameters", &parameter("/typed", &id(1), "data-type = \"aws:ec2:image\""))
        .add("parameters", &parameter("/web/amis/all", &format!("{{\"us-west-2\":\"{}\"}}", id(2)), ""))
        .add("parameters", &parameter("/other", &id(3), ""))
        .add("parameters", &parameter("/alias", &id(4), ""))
        .add("launch-templates", "name = \"web\"\nversions = [{ image = \"resolve:ssm:/alias\" }]")
        .add("image-recipes", "name = \"web\"\nparent = \"web-5\"");
    let cleaned = Cleaned::up(&world, &format!("{AT_ONCE}, parameters = [\"/web\"]"));
    assert_eq!(cleaned.left(), named(&["web-1", "web-2", "web-4", "web-5"]), "{:?}", cleaned.failure());
    let all = Cleaned::up(&world, &format!("{AT_ONCE}, parameters = [\"/web\", \"/other\"]"));
    assert_eq!(all.left(), named(&["web-1", "web-2", "web-3", "web-4", "web-5"]));
}

#[test]
fn what_is_protected_young_lately_launched_or_in_an_odd_state_stays() {
    let world = but(images(6), 1, "protected = true");
    let world = but(world, 2, "last-launched = \"-3d\"");
    let world = but(world, 3, "state = \"pending\"");
    let world = but(world, 4, "state = \"failed\"");
    let world = but(world, 5, "tags = { \"aws:backup:source-resource\" = \"x\" }");
    let cleaned = Cleaned::up(&world, &format!("{AT_ONCE}, keep-launched-within = \"30d\""));
    assert_eq!(
        cleaned.left(),
        named(&["web-1", "web-2", "web-3 pending", "web-4 failed", "web-5"]),
        "{:?}",
        cleaned.lines()
    );
    let kept = Cleaned::up(&images(2), &format!("{AT_ONCE}, keep-images = [\"ami-00000000000000001\"]"));
    assert_eq!(kept.left(), named(&["web-1"]));
}

#[test]
fn use_by_other_accounts_is_read_from_reports_and_the_want_of_one_keeps_an_image() {
    let shared = "shared = [\"222222222222\"]";
    let world =
        but(images(5), 1, &format!("{shared}\nusage-report = \"-2d\"\nused-by = [{{ account = \"222222222222\" }}]"));
    let world = but(world, 2, &format!("{shared}\nusage-report = \"-2d\""));
    let world = but(world, 3, &format!("{shared}\nusage-report = \"-20d\""));
    let world = but(world, 4, "public = true");
    // What is not shared needs no report, though it was used before.
    let world = but(world, 5, "used-by = [{ account = \"222222222222\" }]");
    let cleaned = Cleaned::up(&world, AT_ONCE);
    assert_eq!(cleaned.left(), named(&["web-1", "web-3", "web-4"]), "{:?}", cleaned.failure());
    assert_eq!(cleaned.effects("ec2:CreateImageUsageReport"), 0);
    let asking = Cleaned::up(&world, &format!("{AT_ONCE}, report = true"));
    assert_eq!(asking.left(), cleaned.left(), "the report is for the next run");
    assert_eq!((asking.effects("ec2:CreateImageUsageReport"), &asking.outputs()["reports"]), (2, &Value::from(2)));
}

#[test]
fn orphans_of_the_families_go_and_no_other_snapshot() {
    let snapshot = |id: u32, more: &str| format!("id = \"snap-0000000000000009{id}\"\ncreated = \"-90d\"\n{more}");
    let world = images(1)
        .add("snapshots", &snapshot(1, "of-image = \"ami-0f\"\ntags = { Name = \"web-0\" }"))
        .add("snapshots", &snapshot(2, "of-image = \"ami-0f\"\ntags = { Name = \"db-0\" }"))
        .add("snapshots", &snapshot(3, "of-image = \"ami-00000000000000001\"\ntags = { Name = \"web-1\" }"))
        .add("snapshots", &snapshot(4, "description = \"by hand\"\ntags = { Name = \"web-0\" }"))
        .add("snapshots", &snapshot(5, "of-image = \"ami-0f\"\ntags = { Name = \"web-0\" }"))
        .add(
            "launch-templates",
            "name = \"web\"\nversions = [{ instance-type = \"t3.micro\", data = { BlockDeviceMappings = \
             [{ DeviceName = \"/dev/sdb\", Ebs = { SnapshotId = \"snap-00000000000000095\" } }] } }]",
        );
    let cleaned = Cleaned::up(&world, "keep = 5, orphans = true");
    let left: Vec<String> =
        cleaned.snapshots().into_iter().map(|id| id.trim_start_matches("snap-000000000000000").to_owned()).collect();
    assert_eq!(left, ["01", "92", "93", "94", "95"], "{:?}", cleaned.lines());
    assert_eq!(Cleaned::up(&world, "keep = 5").snapshots().len(), 6, "only where the config says so");
}

#[test]
fn image_builders_own_record_goes_with_its_ami() {
    let world = World::of("[[image-recipes]]\nname = \"web-app\"\n").add(
        "image-pipelines",
        "name = \"web-app\"\nrecipe = \"web-app/1.0.0\"\nimages = [{ begun = \"-90d\" }, { begun = \"-60d\" }, { begun = \"-5d\" }]",
    );
    let cleaned = Cleaned::up(&world, "keep = 1, at-once = true");
    assert_eq!(cleaned.left().len(), 1, "{:?}", cleaned.failure());
    assert_eq!((cleaned.effects("imagebuilder:DeleteImage"), &cleaned.outputs()["records"]), (2, &Value::from(2)));
    let alone = Cleaned::up(&world, "keep = 1, at-once = true, not-looked-at = [\"image-builder\"]");
    assert_eq!((alone.left().len(), alone.effects("imagebuilder:DeleteImage")), (1, 0));
}

#[test]
fn a_snapshot_of_two_images_stays_for_the_other_one() {
    let world = but(images(2), 1, "devices = [{ snapshot = \"snap-00000000000000002\" }]");
    let cleaned = Cleaned::up(&world, "keep = 1, at-once = true");
    assert_eq!((cleaned.left(), cleaned.snapshots().len()), (named(&["web-2"]), 1));
    assert!(
        cleaned.lines()[0].contains("snap-00000000000000002 stays: another image is made of it"),
        "{:?}",
        cleaned.lines()
    );
}

#[test]
fn a_run_takes_no_more_than_it_may() {
    let cleaned = Cleaned::up(&images(6), &format!("{AT_ONCE}, most = 2"));
    assert_eq!(cleaned.left(), named(&["web-3", "web-4", "web-5", "web-6"]), "the oldest first");
}

#[test]
fn what_comes_into_use_between_the_look_and_the_deed_stays() {
    // Whoever may not look at what is in use takes nothing.
    let world = images(3).add(
        "faults",
        "operation = \"ec2:DescribeImageReferences\"\nkind = \"error\"\ncode = \"UnauthorizedOperation\"\nmessage = \"no\"\nstatus = 403\ntimes = 99",
    );
    let blind = Cleaned::up(&world, AT_ONCE);
    let failure = blind.failure().unwrap_or_else(|| panic!("it went on: {:?}", blind.lines()));
    assert!(failure.message.contains("looking for what names the images"), "{failure:?}");
    assert_eq!(blind.left().len(), 3);
    // The second look fails: what was to go stays, and the failure says that nothing was changed.
    let world = images(3).add(
        "faults",
        "operation = \"ec2:DescribeImageReferences\"\nkind = \"error\"\ncode = \"InternalError\"\nmessage = \"no\"\nstatus = 500\nnth = 2\ntimes = 99",
    );
    let late = Cleaned::up(&world, AT_ONCE);
    let failure = late.failure().unwrap_or_else(|| panic!("it went on: {:?}", late.lines()));
    assert!(failure.details.iter().any(|line| line == "nothing was changed"), "{failure:?}");
    assert_eq!(late.left().len(), 3);
}

#[test]
fn a_run_that_ends_in_the_middle_says_what_it_did() {
    let world = images(4).add(
        "faults",
        "operation = \"ec2:DeregisterImage\"\nkind = \"error\"\ncode = \"UnauthorizedOperation\"\nmessage = \"no\"\nstatus = 403\nnth = 3\ntimes = 99",
    );
    let ended = Cleaned::up(&world, AT_ONCE);
    let failure = ended.failure().unwrap_or_else(|| panic!("it went on: {:?}", ended.lines()));
    assert!(
        failure.details.contains(&"done before: 2 images deregistered, 2 snapshots deleted".to_owned()),
        "{failure:?}"
    );
    assert_eq!(ended.left(), named(&["web-3", "web-4"]));
}

#[test]
fn the_plan_tells_of_each_image_why_and_what_it_costs_at_the_most() {
    let world = but(images(4), 1, "devices = [{ size = 100, full-size = 32_212_254_720 }]");
    let world = but(world, 2, "last-launched = \"-9d\"\nprotected = true");
    let policy = "name = \"old\"\nkeep = 5\nrecipes = [\"web/1.x.x\"]";
    let account = Account::of(&but(world, 3, "public = true").add("lifecycle-policies", policy));
    let plan = account
        .kiln(["plan", "cleanup.toml", "--output", "plain"])
        .file("cleanup.toml", pipeline("keep = 1, at-once = true, price = 0.1"))
        .run();
    assert_eq!(plan.code(), Some(0), "{}", plan.all());
    let text = plan.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "deregisters 1 of 4 images",
        "at most $3.00 a month",
        "ami-00000000000000001 (web-1)",
        "40 days old, no launch is known, available, not in use, beyond the 1 newest",
        "it is protected from being deregistered",
        "no report tells what they do; `report = true` lets one be made",
        "one of the 1 newest",
        "lifecycle policy old",
    ] {
        assert!(text.contains(told), "{told:?} is not in {text}");
    }
    assert!(account.effects().is_empty(), "a plan changes nothing");
}

#[test]
fn a_clean_up_survives_kills_at_the_boundaries_of_its_calls() {
    let world = but(but(images(9), 2, "deprecated = \"-5d\""), 3, "state = \"disabled\"");
    let world = but(world, 4, "shared = [\"222222222222\"]");
    let world = world.add(
        "snapshots",
        "id = \"snap-00000000000000091\"\nof-image = \"ami-0f\"\ncreated = \"-90d\"\ntags = { Name = \"web-0\" }",
    );
    let text = pipeline("keep = 1, orphans = true, report = true")
        .replace("[stages.cleanup]", "[inputs.commit]\ntype = \"string\"\n\n[stages.cleanup]");
    at_boundaries_by_seed(&Course::new("cleanup-amis", text, world.text(), 60.0), 0, 4);
}
