//! Random accounts full of images, snapshots and whatever refers to them: `cleanup-amis` never takes one that anything refers to, and
//! leaves none that should go. What should is told by an oracle that is written apart from the plugin: it knows the account as it was
//! drawn, and not what EC2 says of it. `KILN_ACCOUNTS` says how many are drawn, `KILN_SEED` with which they begin; what fails is named
//! with its seed, and fails again by `KILN_SEED=N KILN_ACCOUNTS=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kiln_tests::{Chance, World};

use super::machines_cleanup::Cleaned;

/// How many accounts a test run draws unless it is told.
const ACCOUNTS: u64 = 100;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// An image, as it was drawn.
#[derive(Debug, Clone, Default)]
struct Drawn {
    name: String,
    days: u64,
    state: &'static str,
    deprecated: bool,
    protected: bool,
    backed_up: bool,
    launched: Option<u64>,
    /// Whether other accounts may launch it, whether one does, and how old the report of that is.
    shared: bool,
    used: bool,
    report: Option<u64>,
    /// Its snapshots, of which another image may be made, too.
    snapshots: Vec<u64>,
    /// What refers to it.
    held: Vec<&'static str>,
}

/// A snapshot that is of no image that is there.
#[derive(Debug, Clone)]
struct Loose {
    number: u64,
    days: u64,
    /// The words of EC2's for what it was made for; none for one that was made by hand.
    of_former: bool,
    of_family: bool,
    named: bool,
}

/// What the stage is told.
#[derive(Debug, Clone)]
struct Told {
    keep: u64,
    older_than: Option<u64>,
    launched_within: Option<u64>,
    snapshots: bool,
    orphans: bool,
    kept: Option<usize>,
    depth: u64,
}

#[derive(Debug, Clone)]
struct Scene {
    images: Vec<Drawn>,
    loose: Vec<Loose>,
    told: Told,
    /// Launch templates: the image of each version, and which is the default one.
    templates: Vec<(Vec<usize>, usize)>,
}

fn ami(index: usize) -> String {
    format!("ami-{index:017}")
}

fn snap(number: u64) -> String {
    format!("snap-{number:017}")
}

fn draw(chance: &mut Chance) -> Scene {
    let often = |chance: &mut Chance, one_in: u64| chance.below(one_in) == 0;
    let count = 1 + chance.below(14) as usize;
    let mut images: Vec<Drawn> = Vec::new();
    for index in 0..count {
        let family = chance.of(&["web", "web", "web", "api", "db"]);
        let mut snapshots = vec![index as u64 * 2];
        if often(chance, 4) {
            snapshots.push(index as u64 * 2 + 1);
        }
        // One that is made of another's snapshot.
        if index > 0 && often(chance, 8) {
            snapshots.push(chance.below(index as u64) * 2);
        }
        let shared = often(chance, 4);
        images.push(Drawn {
            name: format!("{family}-{index}"),
            days: 1 + chance.below(120),
            state: ["available", "available", "available", "available", "disabled", "pending", "failed"]
                [chance.below(7) as usize],
            deprecated: often(chance, 4),
            protected: often(chance, 10),
            backed_up: often(chance, 12),
            launched: often(chance, 3).then(|| 2 + chance.below(100)),
            shared,
            used: often(chance, 3),
            // Of a week and a day more or less.
            report: often(chance, 2).then(|| [1, 2, 5, 6, 8, 9, 14][chance.below(7) as usize]),
            snapshots,
            held: Vec::new(),
        });
    }
    let usable: Vec<usize> =
        (0..count).filter(|index| ["available", "disabled"].contains(&images[*index].state)).collect();
    let pick = |chance: &mut Chance| usable.get(chance.below(usable.len().max(1) as u64) as usize).copied();
    for _ in 0..chance.below(5) {
        let Some(index) = pick(chance) else { continue };
        let how = [
            "instance",
            "stopped instance",
            "typed parameter",
            "parameter below /web",
            "recipe",
            "group",
            "launch configuration",
        ];
        images[index].held.push(how[chance.below(7) as usize]);
    }
    let mut templates = Vec::new();
    for _ in 0..chance.below(4) {
        let versions: Vec<usize> = (0..1 + chance.below(4)).filter_map(|_| pick(chance)).collect();
        if !versions.is_empty() {
            let default = chance.below(versions.len() as u64) as usize;
            templates.push((versions, default));
        }
    }
    let loose = (0..chance.below(5)).map(|each| Loose {
        number: 900 + each,
        days: chance.below(120),
        of_former: !often(chance, 3),
        of_family: !often(chance, 3),
        named: often(chance, 5),
    });
    let loose = loose.collect();
    let told = Told {
        keep: chance.below(4),
        older_than: often(chance, 2).then(|| 1 + chance.below(90)),
        launched_within: often(chance, 2).then(|| 1 + chance.below(60)),
        snapshots: !often(chance, 4),
        orphans: often(chance, 2),
        kept: if often(chance, 3) { pick(chance) } else { None },
        depth: 1 + chance.below(3),
    };
    Scene { images, loose, told, templates }
}

/// The world of a scene.
fn world(scene: &Scene) -> World {
    let mut text = String::new();
    for (index, image) in scene.images.iter().enumerate() {
        let devices: Vec<String> = image
            .snapshots
            .iter()
            .map(|number| format!("{{ name = \"/dev/sd{number}\", snapshot = \"{}\" }}", snap(*number)))
            .collect();
        let _ = writeln!(
            text,
            "[[images]]\nname = \"{}\"\nid = \"{}\"\ncreated = \"-{}d\"\nstate = \"{}\"\nprotected = {}\ndevices = [{}]",
            image.name,
            ami(index),
            image.days,
            image.state,
            image.protected,
            devices.join(", ")
        );
        if image.deprecated {
            text.push_str("deprecated = \"-1d\"\n");
        }
        if image.backed_up {
            text.push_str("tags = { \"aws:backup:source-resource\" = \"x\" }\n");
        }
        if let Some(days) = image.launched {
            let _ = writeln!(text, "last-launched = \"-{days}d\"");
        }
        if image.shared {
            text.push_str("shared = [\"222222222222\"]\n");
        }
        if image.used {
            text.push_str("used-by = [{ account = \"222222222222\", count = 2 }]\n");
        }
        if let Some(days) = image.report {
            let _ = writeln!(text, "usage-report = \"-{days}d\"");
        }
        for (number, held) in image.held.iter().enumerate() {
            let (id, unique) = (ami(index), format!("{index}-{number}"));
            let _ = match *held {
                "instance" | "stopped instance" => {
                    let stopped = *held == "stopped instance";
                    writeln!(text, "[[instances]]\nimage = \"{id}\"\ninstance-type = \"t3.micro\"\nstopped = {stopped}")
                }
                "typed parameter" => writeln!(
                    text,
                    "[[parameters]]\nname = \"/typed/{unique}\"\nvalues = [\"{id}\"]\ndata-type = \"aws:ec2:image\""
                ),
                "parameter below /web" => {
                    writeln!(
                        text,
                        "[[parameters]]\nname = \"/web/{unique}\"\nvalues = [\"old\", \"the image is {id}.\"]"
                    )
                }
                // A version that is neither the default nor among the newest, and has no instance.
                "group" => writeln!(
                    text,
                    "[[launch-templates]]\nname = \"of-group-{unique}\"\ndefault-version = 4\nversions = [{{ image = \"{id}\" }}, {{}}, {{}}, {{}}]\n\
                     [[auto-scaling-groups]]\nname = \"group-{unique}\"\nlaunch-template = \"of-group-{unique}\"\nversion = \"1\"\nmin = 0\n\
                     desired = 0\nmax = 1"
                ),
                "launch configuration" => {
                    writeln!(text, "[[launch-configurations]]\nname = \"configuration-{unique}\"\nimage = \"{id}\"")
                }
                _ => writeln!(text, "[[image-recipes]]\nname = \"recipe-{unique}\"\nparent = \"{id}\""),
            };
        }
    }
    for (number, (versions, default)) in scene.templates.iter().enumerate() {
        let versions: Vec<String> = versions.iter().map(|index| format!("{{ image = \"{}\" }}", ami(*index))).collect();
        let _ = writeln!(
            text,
            "[[launch-templates]]\nname = \"template-{number}\"\ndefault-version = {}\nversions = [{}]",
            default + 1,
            versions.join(", ")
        );
    }
    for loose in &scene.loose {
        let name = if loose.of_family { "web-0" } else { "other" };
        let of = if loose.of_former { "of-image = \"ami-0f0f\"" } else { "description = \"by hand\"" };
        let _ = writeln!(
            text,
            "[[snapshots]]\nid = \"{}\"\ncreated = \"-{}d\"\n{of}\ntags = {{ Name = \"{name}\" }}",
            snap(loose.number),
            loose.days
        );
        if loose.named {
            let _ = writeln!(
                text,
                "[[launch-templates]]\nname = \"volumes-{0}\"\nversions = [{{ data = {{ BlockDeviceMappings = [{{ DeviceName = \"/dev/sdb\", Ebs = {{ SnapshotId = \"{1}\" }} }}] }} }}]",
                loose.number,
                snap(loose.number)
            );
        }
    }
    World::of(&text)
}

fn with(told: &Told) -> String {
    let mut text = format!(
        "keep = {}, at-once = true, most = 500, snapshots = {}, orphans = {}, template-versions = {}, \
         parameters = [\"/web\"]",
        told.keep, told.snapshots, told.orphans, told.depth
    );
    if let Some(days) = told.older_than {
        let _ = write!(text, ", older-than = \"{days}d\"");
    }
    if let Some(days) = told.launched_within {
        let _ = write!(text, ", keep-launched-within = \"{days}d\"");
    }
    if let Some(index) = told.kept {
        let _ = write!(text, ", keep-images = [\"{}\"]", ami(index));
    }
    text
}

/// What the oracle says: the images that stay, and the snapshots.
struct Oracle {
    images: BTreeSet<usize>,
    snapshots: BTreeSet<String>,
}

/// By the account as it was drawn.
fn oracle(scene: &Scene) -> Oracle {
    let Scene { images, loose, told, templates } = scene;
    let mut held: BTreeSet<usize> = (0..images.len()).filter(|index| !images[*index].held.is_empty()).collect();
    held.extend(told.kept);
    for (versions, default) in templates {
        held.insert(versions[*default]);
        held.extend(versions.iter().rev().take(told.depth as usize));
    }
    // The family's images that count, the youngest first; of two of one day the one with the higher id.
    let mut ranks: Vec<usize> = (0..images.len())
        .filter(|index| images[*index].name.starts_with("web-") && images[*index].state != "disabled")
        .collect();
    ranks.sort_by_key(|index| (images[*index].days, std::cmp::Reverse(*index)));
    let newest: BTreeSet<usize> = ranks.into_iter().take(told.keep as usize).collect();
    let goes = |index: &usize| {
        let image = &images[*index];
        // An instance was launched from it at the world's beginning, which is seen a day later.
        let launched_lately =
            told.launched_within.is_some_and(|within| image.launched.is_some_and(|days| days < within + 1));
        let disabled = image.state == "disabled";
        let others = image.shared && !disabled && (image.report.is_none_or(|days| days > 7) || image.used);
        image.name.starts_with("web-")
            && ["available", "disabled"].contains(&image.state)
            && !held.contains(index)
            && !newest.contains(index)
            && !image.protected
            && !image.backed_up
            && told.older_than.is_none_or(|days| image.days >= days)
            && !launched_lately
            && !others
    };
    let stay: BTreeSet<usize> = (0..images.len()).filter(|index| !goes(index)).collect();
    let needed: BTreeSet<u64> = stay.iter().flat_map(|index| images[*index].snapshots.iter().copied()).collect();
    let of_images: BTreeSet<u64> = images.iter().flat_map(|image| image.snapshots.iter().copied()).collect();
    let mut snapshots: BTreeSet<String> = of_images
        .iter()
        .filter(|number| needed.contains(number) || !told.snapshots)
        .map(|number| snap(*number))
        .collect();
    let is_orphan = |each: &&Loose| {
        told.orphans
            && each.of_former
            && each.of_family
            && !each.named
            && each.days >= told.older_than.unwrap_or(1).max(1)
    };
    snapshots.extend(loose.iter().filter(|each| !is_orphan(each)).map(|each| snap(each.number)));
    Oracle { images: stay, snapshots }
}

/// What is otherwise than the oracle says, in an account that was drawn by this seed.
fn differences(seed: u64) -> Option<String> {
    let scene = draw(&mut Chance::of_seed(seed));
    let cleaned = Cleaned::up(&world(&scene), &with(&scene.told));
    let Oracle { images, snapshots } = oracle(&scene);
    let expected: BTreeSet<String> = images.iter().map(|index| scene.images[*index].name.clone()).collect();
    let left: BTreeSet<String> =
        cleaned.left().into_iter().map(|name| name.split(' ').next().unwrap_or_default().to_owned()).collect();
    let all = |from: &BTreeSet<String>, less: &BTreeSet<String>| {
        from.difference(less).cloned().collect::<Vec<_>>().join(", ")
    };
    let there = cleaned.snapshots();
    let mut found = Vec::new();
    for (what, wrong) in [
        ("images are gone that are needed", all(&expected, &left)),
        ("images are left that should go", all(&left, &expected)),
        ("snapshots are gone that are needed", all(&snapshots, &there)),
        ("snapshots are left that should go", all(&there, &snapshots)),
    ] {
        if !wrong.is_empty() {
            found.push(format!("{what}: {wrong}"));
        }
    }
    found.extend(cleaned.failure().map(|failure| format!("it failed: {failure:?}")));
    (!found.is_empty())
        .then(|| format!("seed {seed}: {}\n{scene:#?}\n{}", found.join("; "), cleaned.lines().join("\n")))
}

#[test]
fn in_random_accounts_nothing_goes_that_is_needed_and_nothing_is_left_that_should_go() {
    let (first, accounts) = (number("KILN_SEED", 1), number("KILN_ACCOUNTS", ACCOUNTS));
    let found: Vec<String> = (first..first + accounts).filter_map(differences).collect();
    assert!(found.is_empty(), "{} of {accounts} accounts:\n{}", found.len(), found.join("\n\n"));
}

#[test]
fn the_accounts_that_are_drawn_have_all_that_the_oracle_knows_of() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut note = |what: &'static str, is: bool| *seen.entry(what).or_default() += usize::from(is);
    for seed in 1..=ACCOUNTS {
        let scene = draw(&mut Chance::of_seed(seed));
        let Oracle { images, snapshots } = oracle(&scene);
        note("something goes", images.len() < scene.images.len());
        note("something stays", !images.is_empty());
        note("held by an instance", scene.images.iter().any(|image| image.held.contains(&"instance")));
        note("held by a launch template", !scene.templates.is_empty());
        note("used by others", scene.images.iter().any(|image| image.shared && image.used));
        note("without a report", scene.images.iter().any(|image| image.shared && image.report.is_none()));
        note("an orphan goes", scene.loose.iter().any(|each| !snapshots.contains(&snap(each.number))));
    }
    assert!(seen.values().all(|times| *times > 10), "{seen:?}");
}
