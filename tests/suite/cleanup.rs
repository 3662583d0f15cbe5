//! `cleanup-images` in accounts in which it is easy to delete the wrong thing: rehearsed from end to end.

use std::collections::BTreeSet;

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::{EventKind, Failure};
use kiln_runner::rehearse::Rehearsed;
use kiln_runner::report::Reports;
use kiln_tests::{Account, World, plugins, rehearsal};
use serde_json::Value;

/// A pipeline of one stage that cleans up, with this `with`.
fn pipeline(with: &str) -> String {
    format!(
        "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n\n[stages.cleanup]\nplugin = \"cleanup-images\"\n\
         timeout = \"30m\"\nwith = {{ repository = \"web\", clusters = [\"web\"], {with} }}\n"
    )
}

/// What came of a rehearsal of the pipeline with this `with`.
pub(crate) struct Cleaned {
    rehearsed: Rehearsed,
}

impl Cleaned {
    pub(crate) fn up(world: &World, with: &str) -> Self {
        Self::by(world, pipeline(with))
    }

    fn by(world: &World, pipeline: String) -> Self {
        let quiet = Box::new(Reports::new(Vec::new()));
        let mut rehearsal = rehearsal(SourceFile::new("cleanup.toml".to_owned(), pipeline), &world.text(), 7);
        rehearsal.inputs.clear();
        let rehearsed = kiln_runner::rehearse::rehearse(rehearsal, plugins(), quiet);
        Self { rehearsed: rehearsed.unwrap_or_else(|error| panic!("{error}")) }
    }

    /// How the images that are left are called: by their tags, or by what they are about.
    pub(crate) fn left(&self) -> Vec<String> {
        let repositories = find(&self.rehearsed.after, "repositories");
        let images = repositories.and_then(|all| all.get("web")?.get("images")?.as_object());
        let images = images.unwrap_or_else(|| panic!("no images in {}", self.rehearsed.after));
        let tags = |image: &Value| image.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
        let tag_of = |digest: &str| tags(images.get(digest)?).first()?.as_str().map(str::to_owned);
        let mut left: Vec<String> = images
            .values()
            .map(|image| {
                match (tags(image).first().and_then(Value::as_str), image.get("subject").and_then(Value::as_str)) {
                    (Some(tag), _) => match kind_of_signature(tag) {
                        Some((digest, kind)) => format!("{kind} of {}", tag_of(&digest).unwrap_or_default()),
                        None => tag.to_owned(),
                    },
                    (None, Some(subject)) => format!("referrer of {}", tag_of(subject).unwrap_or_default()),
                    (None, None) => "untagged".to_owned(),
                }
            })
            .collect();
        left.sort();
        left
    }

    fn failure(&self) -> Option<&Failure> {
        self.rehearsed.events.iter().find_map(|event| match &event.kind {
            EventKind::StageFinished { failure, .. } => failure.as_ref(),
            _ => None,
        })
    }

    fn outputs(&self) -> Value {
        let outputs = self.rehearsed.events.iter().find_map(|event| match &event.kind {
            EventKind::StageFinished { outputs, .. } => outputs.clone(),
            _ => None,
        });
        outputs.unwrap_or_else(|| panic!("it failed: {:?}", self.failure()))
    }

    fn lines(&self) -> Vec<&str> {
        let lines = self.rehearsed.events.iter().filter_map(|event| match &event.kind {
            EventKind::StageLog { message, .. } => Some(message.as_str()),
            _ => None,
        });
        lines.collect()
    }

    fn calls(&self, action: &str) -> usize {
        let is = |kind: &EventKind| matches!(kind, EventKind::Call { action: called, .. } if called == action);
        self.rehearsed.events.iter().filter(|event| is(&event.kind)).count()
    }
}

/// What stands under `key`, wherever that is.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(key).or_else(|| members.values().find_map(|member| find(member, key))),
        Value::Array(items) => items.iter().find_map(|item| find(item, key)),
        _ => None,
    }
}

/// The digest and the kind in a tag of cosign.
fn kind_of_signature(tag: &str) -> Option<(String, &str)> {
    let (digest, kind) = tag.strip_prefix("sha256-")?.split_once('.')?;
    Some((format!("sha256:{digest}"), kind))
}

/// Three releases, the first of which is signed in two ways and serves; the later two are signed by tags.
fn signed() -> World {
    World::of(
        r#"
        [[repositories]]
        name      = "web"
        history   = { count = 3, prefix = "release-", from = 1, every = "4d", last = "-2d" }
        referrers = [
            { of = "release-1", tag = "sig", pushed = "-3h" },
            { of = "release-1", pushed = "-2h" },
            { of = "release-2", tag = "sig", pushed = "-90m" },
            { of = "release-3", tag = "sig", pushed = "-1h" },
            { of = "release-3", tag = "att", pushed = "-1h" },
        ]

        [[clusters]]
        name = "web"
        "#,
    )
}

fn serving(world: World, image: &str) -> World {
    let service = format!(
        "cluster = \"web\"\nname = \"web\"\ndesired-count = 1\ncontainers = [{{ name = \"app\", image = \"web:{image}\" }}]"
    );
    world.add("services", &service)
}

#[test]
fn signatures_share_the_fate_of_their_image_and_do_not_count() {
    let of = |releases: &[u8]| {
        let all = ["att of release-3", "referrer of release-1", "release-1", "release-2", "release-3"];
        let all = all.into_iter().chain(["sig of release-1", "sig of release-2", "sig of release-3"]);
        let mine = |name: &&str| releases.iter().any(|release| name.ends_with(&format!("release-{release}")));
        all.filter(mine).map(str::to_owned).collect::<Vec<_>>()
    };
    let all_but_newest = "keep = 2, delete-untagged = true";
    let served = Cleaned::up(&serving(signed(), "release-1"), all_but_newest);
    assert_eq!(served.left(), of(&[1, 2, 3]), "what serves keeps what says who made it: {:?}", served.lines());
    assert_eq!(served.calls("ecr:BatchDeleteImage"), 0);

    let idle = Cleaned::up(&signed(), all_but_newest);
    assert_eq!(idle.left(), of(&[2, 3]));
    assert_eq!(idle.outputs().get("deleted"), Some(&Value::from(3)));
    let one = Cleaned::up(&serving(signed(), "release-1"), "keep = 1, delete-untagged = true");
    assert_eq!(one.left(), of(&[1, 3]));
    // They need no permission to go by themselves.
    assert_eq!(Cleaned::up(&signed(), "keep = 1").left(), of(&[3]));
}

/// A repository with so many images, the newest of which was pushed two days ago, each 3 hours after the one before.
fn many(count: u32) -> World {
    World::of(&format!(
        "[[repositories]]\nname = \"web\"\nhistory = {{ count = {count}, prefix = \"release-\", from = 1, every = \"3h\", last = \"-2d\" }}\n\
         [[clusters]]\nname = \"web\"\n"
    ))
}

const OLD: &str = "keep = 2, older-than = \"30d\"";

#[test]
fn thousands_of_images_go_in_one_run() {
    let cleaned = Cleaned::up(&many(4500), OLD);
    let outputs = cleaned.outputs();
    assert_eq!(outputs.get("deleted"), Some(&Value::from(4276)), "{outputs}");
    assert_eq!((cleaned.left().len(), outputs.get("kept")), (224, Some(&Value::from(224))));
    assert_eq!(cleaned.calls("ecr:BatchDeleteImage"), 43, "a hundred a call");
    let lines = cleaned.lines();
    assert!(lines.len() < 50, "{} lines, the first {:?}", lines.len(), lines.first());
    let first = lines.first().copied().unwrap_or_default();
    assert!(first.contains("deleted 100 images, 100 of 4,276 so far: web:release-1 ("), "the oldest first: {first}");
    let last = lines.last().copied().unwrap_or_default();
    assert!(
        last.contains("deleted 4,276 images of web: web:release-1 (") && last.contains("web:release-4276 ("),
        "{last}"
    );
    assert!(outputs.to_string().len() < 1000, "{outputs}");
}

#[test]
fn a_run_that_ends_in_the_middle_says_what_went_and_the_next_one_goes_on() {
    let faults = "operation = \"ecr:BatchDeleteImage\"\nkind = \"error\"\ncode = \"ServerException\"\n\
                  message = \"a server-side issue\"\nstatus = 500\nnth = 4\ntimes = 1000";
    let broken = Cleaned::up(&many(700).add("faults", faults), OLD);
    let failure = broken.failure().unwrap_or_else(|| panic!("it did not fail"));
    assert!(failure.message.contains("300 of 476 images were deleted, then it ended: "), "{failure:?}");
    let deleted = failure.details.iter().find(|line| line.starts_with("deleted: web:release-1 ("));
    assert!(deleted.is_some_and(|line| line.contains("… web:release-300 (")), "{failure:?}");
    assert_eq!(broken.left().len(), 400);
    let left: BTreeSet<String> = broken.left().into_iter().collect();
    assert!(left.contains("release-301") && !left.contains("release-300"), "the oldest first");
}

#[test]
fn it_ends_in_time_and_says_what_went() {
    let slow = "operation = \"ecr:BatchDeleteImage\"\nkind = \"delay\"\ndelay = \"4s\"\ntimes = 1000";
    let short = pipeline(OLD).replace("30m", "30s");
    let cleaned = Cleaned::by(&many(1000).add("faults", slow), short);
    let failure = cleaned.failure().unwrap_or_else(|| panic!("it came to its end"));
    assert_eq!(failure.kind.as_str(), "timed-out");
    assert!(failure.message.contains("600 of 776 images were deleted, then it ended: the stage's time"), "{failure:?}");
    assert!(failure.help.as_deref().is_some_and(|help| help.contains("Run it again")), "{failure:?}");
    assert_eq!(cleaned.left().len(), 400);
}

#[test]
fn what_somebody_else_deletes_meanwhile_is_no_failure() {
    // ECR says that one of a hundred is not there and nothing of the others: they are asked for in halves.
    let gone = "operation = \"ecr:DescribeImages\"\nkind = \"error\"\ncode = \"ImageNotFoundException\"\n\
                message = \"The image with imageId … does not exist\"\nstatus = 400\nnth = 2\ntimes = 2";
    let cleaned = Cleaned::up(&many(330).add("faults", gone), OLD);
    assert_eq!(cleaned.outputs().get("deleted"), Some(&Value::from(106)));
    assert_eq!(cleaned.left().len(), 224);
}

#[test]
fn a_plan_of_thousands_can_be_read() {
    let account = Account::of(&many(1500));
    let plan = account.kiln(["plan", "cleanup.toml"]).file("cleanup.toml", pipeline(OLD)).run();
    assert_eq!(plan.code(), Some(0), "{}", plan.all());
    let text = plan.stdout();
    assert!(text.contains("deletes 1,276 of 1,500 images of web"), "{text}");
    assert!(text.contains("1,276 to delete; nothing was changed"), "{text}");
    assert!(text.lines().count() < 120, "{text}");
}

/// Five releases, of which none serves, beside what `more` says.
fn releases(more: &str) -> World {
    World::of(&format!(
        "[[repositories]]\nname = \"web\"\nhistory = {{ count = 5, prefix = \"release-\", from = 1, every = \"4d\", last = \"-2d\" }}\n\
         [[clusters]]\nname = \"web\"\n[[clusters]]\nname = \"batch\"\n{more}"
    ))
}

/// A task definition that no service runs.
fn job(release: u8) -> String {
    format!(
        "[[task-definitions]]\nfamily = \"nightly-report\"\ncontainers = [{{ name = \"job\", image = \"web:release-{release}\" }}]\n"
    )
}

fn left(world: &World, with: &str) -> Vec<String> {
    let cleaned = Cleaned::up(world, with);
    assert!(cleaned.failure().is_none(), "{:?}", cleaned.failure());
    cleaned.left()
}

#[test]
fn an_image_of_a_job_without_a_service_stays() {
    let world = releases(&format!("{}{}", job(1), job(2)));
    assert_eq!(left(&world, "keep = 1"), ["release-1", "release-2", "release-5"]);
    assert_eq!(left(&world, "keep = 1, revisions = \"newest\""), ["release-2", "release-5"]);
    let protected = "keep = 1, revisions = \"newest\", families = [\"nightly-*\"]";
    assert_eq!(left(&world, protected), ["release-1", "release-2", "release-5"]);
    assert_eq!(left(&world, "keep = 1, not-looked-at = [\"task-definitions\"]"), ["release-5"]);
}

#[test]
fn an_image_of_a_task_that_a_rule_or_a_schedule_starts_stays() {
    let jobs = format!("{}{}{}{}", job(1), job(2), job(3), job(4));
    let starts = |list: &str, number: u8, more: &str| {
        format!(
            "[[{list}]]\nname = \"s{number}\"\ncluster = \"batch\"\ntask-definition = \"nightly-report:{number}\"\n{more}\n"
        )
    };
    let world = releases(&format!(
        "{jobs}{}{}{}",
        starts("rules", 1, "bus = \"orders\""),
        starts("schedules", 2, "enabled = false"),
        starts("schedules", 3, "universal = true")
    ));
    let newest = "keep = 1, revisions = \"newest\"";
    assert_eq!(left(&world, newest), ["release-1", "release-2", "release-3", "release-4", "release-5"]);
    assert_eq!(
        left(&world, &format!("{newest}, not-looked-at = [\"rules\"]")),
        ["release-2", "release-3", "release-4", "release-5"]
    );
    assert_eq!(
        left(&world, &format!("{newest}, not-looked-at = [\"schedules\"]")),
        ["release-1", "release-4", "release-5"]
    );
}

#[test]
fn an_image_of_a_lambda_function_stays_in_each_version() {
    let function = "[[functions]]\nname = \"resize\"\nimage = \"web:release-2\"\nversions = [\"web:release-1\"]\n[[functions]]\nname = \"zip\"\n";
    let world = releases(function);
    assert_eq!(left(&world, "keep = 1"), ["release-1", "release-2", "release-5"]);
    assert_eq!(left(&world, "keep = 1, not-looked-at = [\"functions\"]"), ["release-5"]);
}

fn refused(action: &str) -> String {
    format!(
        "operation = \"{action}\"\nkind = \"error\"\ncode = \"AccessDeniedException\"\nmessage = \"not authorized to perform: {action}\"\n\
         status = 403\ntimes = 1000"
    )
}

#[test]
fn what_may_not_be_looked_at_stops_the_clean_up_with_the_way_out() {
    let looks = [
        ("task-definitions", "ecs:ListTaskDefinitions"),
        ("rules", "events:ListRules"),
        ("schedules", "scheduler:ListSchedules"),
        ("functions", "lambda:ListFunctions"),
    ];
    let blind = looks.iter().fold(releases(""), |world, (_, action)| world.add("faults", &refused(action)));
    let cleaned = Cleaned::up(&blind, "keep = 1");
    let failure = cleaned.failure().unwrap_or_else(|| panic!("it cleaned up"));
    assert_eq!((failure.kind.as_str(), cleaned.calls("ecr:BatchDeleteImage")), ("denied", 0), "{failure:?}");
    for (word, action) in looks {
        assert!(failure.details.iter().any(|line| line.starts_with(word) && line.contains(action)), "{failure:?}");
        assert!(failure.help.as_deref().is_some_and(|help| help.contains(&format!("\"{word}\""))), "{failure:?}");
    }
    let not = "keep = 1, not-looked-at = [\"task-definitions\", \"rules\", \"schedules\", \"functions\"]";
    assert_eq!(left(&blind, not), ["release-5"]);

    let account = Account::of(&blind);
    let plan = account.kiln(["plan", "cleanup.toml"]).file("cleanup.toml", pipeline("keep = 1")).run();
    assert_ne!(plan.code(), Some(0), "what a run refuses, a plan says: {}", plan.all());
    assert!(plan.stdout().contains("functions: ") && plan.stdout().contains("not-looked-at"), "{}", plan.all());
}

#[test]
fn a_plan_says_what_was_looked_at_and_what_was_not() {
    let rule = "[[rules]]\nname = \"nightly\"\ncluster = \"batch\"\ntask-definition = \"nightly-report:1\"\n";
    let account = Account::of(&serving(releases(&format!("{}{rule}", job(1))), "release-3"));
    let plan = account.kiln(["plan", "cleanup.toml"]).file("cleanup.toml", pipeline("keep = 1")).run();
    assert_eq!(plan.code(), Some(0), "{}", plan.all());
    let text = plan.stdout();
    for line in [
        "cluster web       1 service, 1 task",
        "task definitions  2 of 2 active revisions of 2 families",
        "rules             1 rule on the default event bus, by which 1 task is started",
        "schedules         0 schedules, of which 0 start tasks",
        "functions         0 of 0 functions and versions are made of images",
        "tasks and services of batch, which `clusters` does not name",
        "other accounts and regions",
        "task definition nightly-report:1 names it",
    ] {
        assert!(
            text.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains(&line.split_whitespace().collect::<Vec<_>>().join(" ")),
            "{line}: {text}"
        );
    }
}

#[test]
fn what_would_be_deleted_is_archived_first_where_the_config_says_so() {
    let images = "[[repositories]]\nname = \"web\"\nimages = [\n\
        { tags = [\"long\"], pushed = \"-400d\", archived = \"-100d\" },\n\
        { tags = [\"short\"], pushed = \"-300d\", archived = \"-10d\" },\n\
        { tags = [\"old\"], pushed = \"-200d\" },\n\
        { tags = [\"served\"], pushed = \"-150d\" },\n\
        { tags = [\"new\"], pushed = \"-1d\" },\n]\n[[clusters]]\nname = \"web\"\n";
    let world = serving(World::of(images), "served");
    assert_eq!(left(&world, "keep = 1"), ["long", "new", "served", "short"], "nobody said what becomes of the archive");

    let cleaned = Cleaned::up(&world, "keep = 1, archive-for = \"90d\"");
    assert_eq!(cleaned.left(), ["new", "old", "served", "short"]);
    let outputs = cleaned.outputs();
    let number = |name: &str| outputs.get(name).and_then(Value::as_u64);
    assert_eq!((number("archived"), number("deleted"), number("kept")), (Some(1), Some(1), Some(4)), "{outputs}");
    assert_eq!(cleaned.calls("ecr:UpdateImageStorageClass"), 1);
    let archived =
        find(&cleaned.rehearsed.after, "repositories").map(|all| all.to_string().matches("\"ARCHIVED\"").count());
    assert_eq!(archived, Some(2));
    // What is lost of an answer is looked up, not done twice or forgotten.
    let lost = "operation = \"ecr:UpdateImageStorageClass\"\nkind = \"reset-after\"";
    let cleaned = Cleaned::up(&world.add("faults", lost), "keep = 1, archive-for = \"90d\"");
    assert_eq!(cleaned.outputs().get("archived"), Some(&Value::from(1)));
}

#[test]
fn what_was_pulled_lately_is_kept() {
    let images = "[[repositories]]\nname = \"web\"\nimages = [\n\
        { tags = [\"pulled\"], pushed = \"-400d\", pulled = \"-20d\" },\n\
        { tags = [\"forgotten\"], pushed = \"-400d\", pulled = \"-50d\" },\n\
        { tags = [\"new\"], pushed = \"-1d\" },\n]\n[[clusters]]\nname = \"web\"\n";
    assert_eq!(left(&World::of(images), "keep = 1, keep-pulled-within = \"30d\""), ["new", "pulled"]);
    assert_eq!(left(&World::of(images), "keep = 1"), ["new"]);
}
