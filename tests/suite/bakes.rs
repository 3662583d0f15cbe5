//! `bake-ami` and `scan-ami`: machine images are baked, looked at where they are, and scanned.

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{Event, EventKind, Failure};
use kiln_runner::rehearse::Rehearsed;
use kiln_runner::report::Reports;
use kiln_tests::{Account, Course, World, plugins, rehearsal};
use serde_json::Value;

use crate::crash::at_boundaries_by_seed;

const ROLE: &str =
    "arn:aws:iam::111111111111:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";

/// A key of a region; Auto Scaling may use it by a grant, where that is said.
fn key(region: &str, usable: bool) -> String {
    let grants = match usable {
        true => format!(
            "grants = [{{ grantee = \"{ROLE}\", operations = [\"CreateGrant\", \"Decrypt\", \"DescribeKey\", \
             \"GenerateDataKeyWithoutPlaintext\"] }}]"
        ),
        false => String::new(),
    };
    format!("alias = \"images\"\nregion = \"{region}\"\n{grants}")
}

/// What is otherwise than in a world in which all goes well.
#[derive(Default)]
struct Otherwise<'a> {
    recipe: &'a str,
    pipeline: &'a str,
    /// The targets of the distribution.
    to: Option<&'a str>,
    /// Whether no key of Europe lets Auto Scaling use it.
    useless: bool,
    more: &'a str,
}

/// A pipeline of Image Builder that gives its images to two regions, encrypted with a key of each.
fn world(otherwise: &Otherwise<'_>) -> World {
    let Otherwise { recipe, pipeline, to, useless, more } = otherwise;
    let to = to.unwrap_or(
        "{ region = \"us-west-2\", key = \"alias/images\", tags = { team = \"web\" } }, \
         { region = \"eu-west-1\", key = \"alias/images\" }",
    );
    let takes = "takes = { start = \"2s\", build = \"20s\", test = \"10s\", distribution = \"10s\", integration = \"2s\", scan = \"10s\" }";
    World::of(&format!(
        r#"
        [[roles]]
        name = "deployer"

        [[image-recipes]]
        name    = "web"
        version = "1.2.0"
        parent  = "ami-0123456789abcdef0"
        log     = ["Installing nginx"]
        {takes}
        {recipe}

        [[distribution-configurations]]
        name = "both"
        to   = [{to}]

        [[image-pipelines]]
        name         = "web"
        recipe       = "web/1.2.0"
        distribution = "both"
        {pipeline}
        {more}
        "#
    ))
    .add("keys", &key("us-west-2", true))
    .add("keys", &key("eu-west-1", !useless))
}

/// A pipeline of kiln with one bake.
fn baking(with: &str) -> String {
    format!(
        r#"
[pipeline]
name   = "images"
region = "us-west-2"

[inputs.commit]
type    = "string"
default = "4f2a9c1"

[environments.home]
account = "111111111111"

[environments.europe]
account = "111111111111"
role    = "arn:aws:iam::111111111111:role/deployer"
region  = "eu-west-1"

[stages.bake]
plugin      = "bake-ami"
environment = "home"
timeout     = "2h"

[stages.bake.with]
pipeline  = "web"
kms-key   = "alias/images"
commit    = "${{inputs.commit}}"
version   = "1.2.0"
poll      = "5s"
elsewhere = [{{ environment = "europe", kms-key = "alias/images" }}]
{with}
"#
    )
}

/// The same, and then a scan.
fn scanning(bake: &str, scan: &str) -> String {
    format!(
        "{}\n[stages.scan]\nplugin = \"scan-ami\"\nenvironment = \"home\"\ntimeout = \"1h\"\n\n[stages.scan.with]\n\
         ami = \"${{stages.bake.ami}}\"\npoll = \"5s\"\n{scan}\n",
        baking(bake)
    )
}

/// What came of a rehearsal.
struct Baked(Rehearsed);

impl Baked {
    fn of(world: &World, pipeline: &str) -> Self {
        let quiet = Box::new(Reports::new(Vec::new()));
        let source = SourceFile::new("images.toml".to_owned(), pipeline.to_owned());
        let mut rehearsal = rehearsal(source, &world.text(), 7);
        rehearsal.inputs.clear();
        Self(kiln_runner::rehearse::rehearse(rehearsal, plugins(), quiet).unwrap_or_else(|error| panic!("{error}")))
    }

    fn ended(&self, stage: &str) -> (Option<&Value>, Option<&Failure>) {
        let of = |event: &Event| event.stage.as_ref().is_some_and(|one| one.as_str() == stage);
        let ended = self.0.events.iter().rev().find_map(|event| match &event.kind {
            EventKind::StageFinished { outputs, failure, .. } if of(event) => {
                Some((outputs.as_ref(), failure.as_ref()))
            }
            _ => None,
        });
        ended.unwrap_or((None, None))
    }

    fn outputs(&self, stage: &str) -> &Value {
        let (outputs, failure) = self.ended(stage);
        outputs.unwrap_or_else(|| panic!("{stage} failed: {failure:?}"))
    }

    /// The kind of the failure, and all that it says.
    fn failure(&self, stage: &str) -> (&str, String) {
        let (outputs, failure) = self.ended(stage);
        let failure = failure.unwrap_or_else(|| panic!("{stage} went well: {outputs:?}"));
        let Failure { kind, message, help, details, .. } = failure;
        (kind, format!("{message}\n{}\n{}", help.clone().unwrap_or_default(), details.join("\n")))
    }

    fn count(&self, action: &str) -> usize {
        self.0.effects.iter().filter(|effect| effect.action == action).count()
    }

    /// What an account's region holds of a service.
    fn held(&self, region: &str, service: &str) -> &Value {
        &self.0.after["places"][format!("111111111111/{region}")][service]
    }

    /// All that was said, and all progress.
    fn said(&self) -> String {
        format!("{:?}", self.0.events)
    }
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

#[test]
fn an_image_is_baked_for_two_regions_and_tagged() {
    let baked = Baked::of(&world(&Otherwise::default()), &baking(""));
    let outputs = baked.outputs("bake");
    let (here, there) = (text(&outputs["regions"], "us-west-2"), text(&outputs["regions"], "eu-west-1"));
    assert!(here.starts_with("ami-") && there.starts_with("ami-") && here != there, "{outputs}");
    assert_eq!(text(outputs, "ami"), here);
    assert_eq!(text(&outputs["amis"], "111111111111/eu-west-1"), there);
    assert_eq!((text(outputs, "version"), &outputs["reused"]), ("1.2.0/1", &Value::Bool(false)));
    assert_eq!(outputs["unchecked"], Value::Array(Vec::new()));
    for (region, id) in [("us-west-2", here), ("eu-west-1", there)] {
        let image = &baked.held(region, "ec2")["images"][id];
        let tags = &image["tags"];
        assert_eq!((text(tags, "kiln:pipeline"), text(tags, "kiln:commit")), ("images", "4f2a9c1"), "{image}");
        assert_eq!((text(tags, "kiln:version"), text(tags, "kiln:stage")), ("1.2.0", "bake"), "{image}");
        assert!(!text(tags, "kiln:run").is_empty(), "{image}");
    }
    let said = baked.said();
    for step in ["BUILDING: ApplyBuildComponents", "TESTING: ApplyTestComponents", "DISTRIBUTING: DistributeImage"] {
        assert!(said.contains(step), "{step}");
    }
}

#[test]
fn an_equal_image_is_reused_and_says_so() {
    let made = |images: &str| format!("images = [{images}]");
    let there = made("{ begun = \"-2d\" }, { begun = \"-1d\" }, { begun = \"-1h\", failed = true }");
    let baked = Baked::of(&world(&Otherwise { pipeline: &there, ..Otherwise::default() }), &baking("reuse = true"));
    let outputs = baked.outputs("bake");
    assert_eq!((text(outputs, "version"), &outputs["reused"]), ("1.2.0/2", &Value::Bool(true)), "the newest good one");
    assert_eq!(baked.count("imagebuilder:StartImagePipelineExecution"), 0);
    assert!(baked.said().contains("it is equal: of web 1.2.0"), "{}", baked.said());

    for (with, pipeline) in [
        // Another version of the recipe, too old, and one that was not tested.
        ("reuse = true", "images = [{ begun = \"-1d\", recipe = \"older/1.0.0\" }]"),
        ("reuse = true\nmax-age = \"12h\"", there.as_str()),
        ("", there.as_str()),
    ] {
        let older = "[[image-recipes]]\nname = \"older\"\n";
        let baked = Baked::of(&world(&Otherwise { pipeline, more: older, ..Otherwise::default() }), &baking(with));
        assert_eq!(baked.outputs("bake")["reused"], Value::Bool(false), "{with} {pipeline}");
        assert_eq!(baked.count("imagebuilder:StartImagePipelineExecution"), 1, "{with} {pipeline}");
    }
    // Nobody knows of what a version would be made that moves by itself.
    let moving = Otherwise {
        recipe: "components = [\"arn:aws:imagebuilder:us-west-2:aws:component/update-linux/x.x.x\"]",
        pipeline: &there,
        ..Otherwise::default()
    };
    let baked = Baked::of(&world(&moving), &baking("reuse = true"));
    assert_eq!(baked.outputs("bake")["reused"], Value::Bool(false));
    assert!(baked.said().contains("no image is reused: the component"), "{}", baked.said());
}

#[test]
fn the_newest_image_of_the_schedule_is_taken() {
    let there = "schedule = \"cron(0 4 * * ? *)\"\nimages = [{ begun = \"-2d\", scheduled = true }, \
                 { begun = \"-1d\", scheduled = true }, { begun = \"-1h\" }]";
    let scheduled = world(&Otherwise { pipeline: there, ..Otherwise::default() });
    let baked = Baked::of(&scheduled, &baking("use = \"latest\""));
    let outputs = baked.outputs("bake");
    assert_eq!((text(outputs, "version"), &outputs["reused"]), ("1.2.0/2", &Value::Bool(true)));
    assert_eq!(baked.count("imagebuilder:StartImagePipelineExecution"), 0);
    let image = &baked.held("us-west-2", "ec2")["images"][text(outputs, "ami")];
    assert_eq!(text(&image["tags"], "kiln:pipeline"), "images", "nobody had tagged it");

    let baked = Baked::of(&scheduled, &baking("use = \"latest\"\nmax-age = \"2h\""));
    let (kind, said) = baked.failure("bake");
    assert_eq!(kind, "not-found", "{said}");
    assert!(said.contains("has made no image within 2h") && said.contains("cron(0 4 * * ? *)"), "{said}");
    let baked = Baked::of(&world(&Otherwise::default()), &baking("use = \"latest\""));
    let (kind, _) = baked.failure("bake");
    assert_eq!(kind, "not-found");
}

#[test]
fn a_bake_that_fails_says_in_which_step_and_shows_the_end_of_the_log() {
    for (phase, status, step) in [("build", "build", "ApplyBuildComponents"), ("test", "test", "ApplyTestComponents")] {
        let recipe = format!("fail = {{ in = \"{phase}\", log = [\"ERROR: nginx does not answer\"] }}");
        let failing = world(&Otherwise { recipe: &recipe, ..Otherwise::default() });
        let baked = Baked::of(&failing, &baking(""));
        let (kind, said) = baked.failure("bake");
        assert_eq!(kind, "failed", "{status}: {said}");
        for part in [
            format!("the bake of web 1.2.0/1 failed in step {step}"),
            format!("step {step} (ExecuteComponents)"),
            "the end of the log /aws/imagebuilder/web 1.2.0/1".to_owned(),
            "ERROR: nginx does not answer".to_owned(),
        ] {
            assert!(said.contains(&part), "{part} in {said}");
        }
        let images = baked.held("us-west-2", "ec2")["images"].as_object();
        assert!(images.is_none_or(serde_json::Map::is_empty), "{images:?}");
    }
}

#[test]
fn a_log_group_that_is_not_named_is_told() {
    let recipe = "fail = { in = \"build\", log = [\"ERROR: it broke\"] }";
    let failing = world(&Otherwise { recipe, pipeline: "log-group = \"/ci/bakes\"", ..Otherwise::default() });
    let baked = Baked::of(&failing, &baking(""));
    let (_, said) = baked.failure("bake");
    assert!(said.contains("say `log-group = \"/ci/bakes\"`") && !said.contains("it broke"), "{said}");
    let baked = Baked::of(&failing, &baking("log-group = \"/ci/bakes\""));
    let (_, said) = baked.failure("bake");
    assert!(said.contains("ERROR: it broke"), "{said}");
}

#[test]
fn a_distribution_that_fails_in_one_region_names_it() {
    let recipe = "fail = { in = \"distribution\", region = \"eu-west-1\", message = \"The key is gone.\" }";
    let baked = Baked::of(&world(&Otherwise { recipe, ..Otherwise::default() }), &baking(""));
    let (kind, said) = baked.failure("bake");
    assert_eq!(kind, "failed", "{said}");
    for part in ["failed in its distribution to eu-west-1", "The key is gone.", "1 machine image was made nevertheless"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn an_image_that_is_not_encrypted_in_one_region_is_refused() {
    let to = "{ region = \"us-west-2\", key = \"alias/images\" }, { region = \"eu-west-1\" }";
    let baked = Baked::of(&world(&Otherwise { to: Some(to), ..Otherwise::default() }), &baking(""));
    let (kind, said) = baked.failure("bake");
    assert_eq!(kind, "rejected", "{said}");
    assert!(said.contains("in 111111111111/eu-west-1 is not encrypted (/dev/xvda)"), "{said}");
    assert!(!said.contains("111111111111/us-west-2 is not"), "only where it is so: {said}");
}

#[test]
fn an_image_that_is_encrypted_with_another_key_is_refused() {
    let recipe = "encrypted = true";
    let to = "{ region = \"us-west-2\", key = \"alias/images\" }, { region = \"eu-west-1\" }";
    let other = world(&Otherwise { recipe, to: Some(to), ..Otherwise::default() });
    let baked = Baked::of(&other, &baking(""));
    let (kind, said) = baked.failure("bake");
    assert_eq!(kind, "rejected", "{said}");
    assert!(said.contains("eu-west-1 is encrypted with arn:aws:kms:eu-west-1:"), "{said}");
}

#[test]
fn a_public_image_is_refused() {
    let to = "{ region = \"us-west-2\", key = \"alias/images\" }, \
              { region = \"eu-west-1\", key = \"alias/images\", public = true }";
    let baked = Baked::of(&world(&Otherwise { to: Some(to), ..Otherwise::default() }), &baking(""));
    let (kind, said) = baked.failure("bake");
    assert_eq!(kind, "rejected", "{said}");
    assert!(said.contains("in 111111111111/eu-west-1 is public"), "{said}");
}

#[test]
fn a_key_that_auto_scaling_may_not_use_is_refused() {
    let useless = world(&Otherwise { useless: true, ..Otherwise::default() });
    let baked = Baked::of(&useless, &baking(""));
    let (kind, said) = baked.failure("bake");
    assert_eq!(kind, "rejected", "{said}");
    assert!(said.contains("in 111111111111/eu-west-1 does not let") && said.contains(ROLE), "{said}");
    assert!(said.contains("CreateGrant, Decrypt"), "{said}");
    Baked::of(&useless, &baking("auto-scaling = false")).outputs("bake");
}

#[test]
fn what_nobody_can_look_at_is_never_counted_as_fine() {
    let to = "{ region = \"us-west-2\", key = \"alias/images\" }, \
              { region = \"eu-west-1\", key = \"alias/images\", accounts = [\"222222222222\"] }";
    let shared = world(&Otherwise { to: Some(to), ..Otherwise::default() });
    let baked = Baked::of(&shared, &baking(""));
    let (kind, said) = baked.failure("bake");
    assert_eq!(kind, "rejected", "{said}");
    assert!(said.contains("222222222222/eu-west-1: ami-") && said.contains("no environment of `elsewhere`"), "{said}");
    let baked = Baked::of(&shared, &baking("unchecked = \"warn\""));
    let outputs = baked.outputs("bake");
    assert_eq!(outputs["unchecked"], serde_json::json!(["222222222222/eu-west-1"]), "{outputs}");
    assert!(baked.said().contains("not checked: 222222222222/eu-west-1"), "{}", baked.said());
}

#[test]
fn a_recipe_is_baked_without_a_pipeline() {
    let pipeline =
        baking("recipe = { name = \"web/1.2.0\", infrastructure = \"usual\", distribution = \"both\", tests = false }")
            .replace("pipeline  = \"web\"\n", "");
    let baked = Baked::of(&world(&Otherwise::default()), &pipeline);
    assert_eq!(text(baked.outputs("bake"), "version"), "1.2.0/1");
    assert_eq!(baked.count("imagebuilder:CreateImage"), 1);
    assert!(!baked.said().contains("TESTING"), "it was not tested");
}

#[test]
fn an_undo_cancels_a_bake_that_goes_on_and_deletes_only_where_the_config_says_so() {
    let failing = "\n[stages.fail]\nplugin = \"scan-ami\"\nafter = [\"bake\"]\nenvironment = \"home\"\n\
                   on-failure = \"undo\"\nwith = { ami = \"ami-00000000\" }\n";
    let kept = Baked::of(&world(&Otherwise::default()), &format!("{}{failing}", baking("")));
    assert!(kept.said().contains("what it made stays"), "{}", kept.said());
    assert_eq!((kept.count("imagebuilder:DeleteImage"), kept.count("ec2:DeregisterImage")), (0, 0));
    let deleted = Baked::of(&world(&Otherwise::default()), &format!("{}{failing}", baking("delete-on-undo = true")));
    assert!(deleted.said().contains("was deleted, with 2 machine images and their snapshots"), "{}", deleted.said());
    assert_eq!((deleted.count("imagebuilder:DeleteImage"), deleted.count("ec2:DeregisterImage")), (1, 2));

    let slow =
        world(&Otherwise { recipe: "", ..Otherwise::default() }).text().replace("build = \"20s\"", "build = \"1d\"");
    let timed = baking("").replace("timeout     = \"2h\"", "timeout     = \"5m\"\non-failure  = \"undo\"");
    let cancelled = Baked::of(&World::parse(&slow), &timed);
    assert!(cancelled.said().contains("the bake of web 1.2.0/1 was cancelled"), "{}", cancelled.said());
    assert_eq!(cancelled.count("imagebuilder:CancelImageCreation"), 1);
    let bakes = &cancelled.held("us-west-2", "imagebuilder")["bakes"];
    assert_eq!(text(&bakes[0], "status"), "CANCELLED", "{bakes}");
}

#[test]
fn a_plan_says_what_would_be_baked_and_what_is_there() {
    let account = Account::of(&world(&Otherwise::default()));
    let planned = account.kiln(["plan", "images.toml"]).file("images.toml", baking("")).run();
    assert_eq!(planned.code(), Some(0), "{}", planned.all());
    for part in ["image pipeline web", "web 1.2.0 on ami-0123456789abcdef0", "machine image in 111111111111/eu-west-1"]
    {
        assert!(planned.stdout().contains(part), "{part} in {}", planned.all());
    }
    assert!(account.effects().is_empty(), "a plan changes nothing");
    let there = world(&Otherwise { pipeline: "images = [{ begun = \"-1d\" }]", ..Otherwise::default() });
    let planned = Account::of(&there).kiln(["plan", "images.toml"]).file("images.toml", baking("reuse = true")).run();
    assert_eq!(planned.code(), Some(0), "{}", planned.all());
    assert!(planned.stdout().contains("takes web 1.2.0/1, which is there already"), "{}", planned.all());
}

#[test]
fn a_bake_survives_kills_at_the_boundaries_of_its_calls() {
    at_boundaries_by_seed(&Course::new("bake-ami", baking(""), world(&Otherwise::default()).text(), 60.0), 0, 4);
}

/// A world in which images are scanned.
fn scanned(pipeline: &str, inspector: &str, risks: &[&str]) -> World {
    let world = world(&Otherwise { pipeline, ..Otherwise::default() });
    let world = if inspector.is_empty() { world } else { world.add("inspectors", inspector) };
    risks.iter().fold(world, |world, risk| world.add("risks", risk))
}

const CRITICAL: &str = "image = \"web\"\nseverity = \"CRITICAL\"\nid = \"CVE-2026-1234\"\nfixed-in = \"3.0.2\"";
const LOW: &str = "severity = \"LOW\"\nid = \"CVE-2026-0001\"";

#[test]
fn a_critical_finding_of_image_builder_s_scan_stops_the_run() {
    let baked = Baked::of(&scanned("scans = true", "", &[CRITICAL, LOW]), &scanning("", ""));
    let (kind, said) = baked.failure("scan");
    assert_eq!(kind, "rejected", "{said}");
    assert!(said.contains("has 1 finding of severity critical or worse"), "{said}");
    assert!(said.contains("CRITICAL CVE-2026-1234 in openssl 3.0.1, fixed in 3.0.2"), "{said}");
    assert_eq!(baked.count("inspector2:StartOnDemandScan"), 0, "Image Builder has scanned it");
    let accepted = "accept = [{ id = \"CVE-2026-1234\", reason = \"not reachable\", until = \"2999-12-31\" }]";
    let baked = Baked::of(&scanned("scans = true", "", &[CRITICAL, LOW]), &scanning("", accepted));
    let outputs = baked.outputs("scan");
    assert_eq!((text(outputs, "by"), text(outputs, "status")), ("builder", "COMPLETED"), "{outputs}");
    assert_eq!((&outputs["critical"], &outputs["accepted"], &outputs["low"]), (&1.into(), &1.into(), &1.into()));
}

#[test]
fn an_image_that_nobody_scanned_is_scanned_on_demand() {
    let baked = Baked::of(&scanned("", "scan-takes = \"3m\"", &[LOW]), &scanning("", ""));
    let outputs = baked.outputs("scan");
    assert_eq!((text(outputs, "by"), text(outputs, "status")), ("on-demand", "SUCCESSFUL"), "{outputs}");
    assert_eq!(outputs["low"], 1);
    assert_eq!(baked.count("inspector2:StartOnDemandScan"), 1);
    let baked = Baked::of(&scanned("", "scan-takes = \"3m\"", &[CRITICAL]), &scanning("", ""));
    let (kind, said) = baked.failure("scan");
    assert_eq!(kind, "rejected", "{said}");
}

#[test]
fn an_image_that_was_never_scanned_is_no_pass() {
    // Inspector is off, and Image Builder keeps no findings.
    let baked = Baked::of(&scanned("", "", &[]), &scanning("", ""));
    let (kind, said) = baked.failure("scan");
    assert_eq!(kind, "rejected", "{said}");
    assert!(said.contains("was never scanned"), "{said}");
    let baked = Baked::of(&scanned("", "", &[]), &scanning("", "by = \"builder\""));
    let (kind, said) = baked.failure("scan");
    assert_eq!(kind, "rejected", "{said}");
    assert!(said.contains("was never scanned by Image Builder"), "{said}");
    let impossible = scanned("", "scan-fails = \"UNSUPPORTED_OS\"", &[]);
    let baked = Baked::of(&impossible, &scanning("", ""));
    let (kind, said) = baked.failure("scan");
    assert_eq!(kind, "rejected", "{said}");
    assert!(said.contains("Inspector does not know its system"), "{said}");
}

#[test]
fn a_scan_that_goes_on_is_awaited() {
    let slow = scanned("scans = true", "", &[CRITICAL]).text().replace("scan = \"10s\"", "scan = \"10m\"");
    let baked = Baked::of(&World::parse(&slow), &scanning("", ""));
    let (kind, said) = baked.failure("scan");
    assert_eq!(kind, "rejected", "{said}");
    assert!(baked.said().contains("Image Builder's scan: SCANNING"), "{}", baked.said());
    let baked = Baked::of(&World::parse(&slow), &scanning("", "timeout = \"1m\""));
    let (kind, said) = baked.failure("scan");
    assert_eq!(kind, "timed-out", "it had begun: {said}");
}

#[test]
fn a_scan_survives_kills_at_the_boundaries_of_its_calls() {
    let world = scanned("images = [{ begun = \"-1d\" }]", "scan-takes = \"60s\"", &[LOW]);
    let pipeline = scanning("reuse = true", "by = \"on-demand\"");
    at_boundaries_by_seed(&Course::new("scan-ami", pipeline, world.text(), 60.0), 0, 4);
}
