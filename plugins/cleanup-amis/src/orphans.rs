//! Snapshots of images that are there no more.
//! The main function is [`find`], which is pure.

use std::collections::BTreeSet;

use kiln_plugin::aws::ec2::Snapshot;
use kiln_plugin::{Instant, count, grouped};

use crate::config::Config;
use crate::cost::Cost;
use crate::family;
use crate::verdict::{Account, Uses};

/// A copy of an image may be on its way, and a new image may be seen late: nothing younger is an orphan.
const YOUNG: u64 = 86_400_000;

/// How EC2's own descriptions of snapshots of images begin.
pub(crate) const WORDS: [&str; 2] = ["Created by CreateImage(", "Copied for DestinationAmi "];

/// A snapshot of a former image: whether it goes, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Orphan {
    pub(crate) id: String,
    pub(crate) goes: bool,
    pub(crate) reason: String,
    pub(crate) cost: Cost,
}

/// The snapshots of the families' former images, those that go first, the oldest first. `named` are snapshots that launch templates name.
pub(crate) fn find(config: &Config, account: &Account, named: &Uses, now: Instant) -> Vec<Orphan> {
    if !config.orphans {
        return Vec::new();
    }
    let images: BTreeSet<&str> = account.images.iter().map(|image| image.id.as_str()).collect();
    let held: BTreeSet<&str> = account
        .images
        .iter()
        .flat_map(|image| &image.devices)
        .filter_map(|device| device.snapshot.as_deref())
        .collect();
    let mut orphans: Vec<(&Snapshot, &str)> = account
        .snapshots
        .iter()
        .filter_map(|snapshot| Some((snapshot, former_image(&snapshot.description)?)))
        .filter(|(snapshot, image)| !images.contains(image) && !held.contains(snapshot.id.as_str()))
        .filter(|(snapshot, _)| family::of_orphan(&config.families, snapshot).is_some())
        .collect();
    orphans.sort_by_key(|(snapshot, _)| (snapshot.started, snapshot.id.clone()));
    let mut left = config.most;
    let mut found: Vec<Orphan> = orphans
        .into_iter()
        .map(|(snapshot, image)| {
            let kept = reason_to_keep(config, snapshot, named, now);
            let goes = kept.is_none() && left > 0;
            left -= u32::from(goes);
            let days = snapshot.started.map(|at| now.millis_since(Instant(at)) / 86_400_000).unwrap_or_default();
            let reason = kept.unwrap_or_else(|| match goes {
                true => format!("{} old, and made for {image}, which is there no more", count(days, "day")),
                false => format!("left for the next run, since one deletes at most {}", grouped(config.most)),
            });
            Orphan { id: snapshot.id.clone(), goes, reason, cost: Cost::of(snapshot, config.price) }
        })
        .collect();
    found.sort_by_key(|orphan| !orphan.goes);
    found
}

fn reason_to_keep(config: &Config, snapshot: &Snapshot, named: &Uses, now: Instant) -> Option<String> {
    if let Some(reason) = named.get(&snapshot.id) {
        return Some(reason.clone());
    }
    if !["completed", "error"].contains(&snapshot.state.as_str()) {
        return Some(format!("its state is {}", snapshot.state));
    }
    if snapshot.tags.iter().any(|tag| tag.name.starts_with("aws:")) {
        return Some("another service of AWS manages it".to_owned());
    }
    let Some(started) = snapshot.started else {
        return Some("nobody knows when it was made".to_owned());
    };
    let limit = config.older_than.map_or(0, |limit| limit.as_millis()).max(YOUNG);
    let day = Instant(started).date();
    (now.millis_since(Instant(started)) < limit).then(|| format!("made {day}, which is not long enough ago"))
}

/// The image that a snapshot says it was made for: `Created by CreateImage(i-…) for ami-…`, `Copied for DestinationAmi ami-… from …`.
fn former_image(description: &str) -> Option<&str> {
    let [created, copied] = WORDS;
    let rest = match description.strip_prefix(copied) {
        Some(rest) => rest,
        None => description.strip_prefix(created)?.split_once(") for ")?.1,
    };
    let id = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next()?;
    id.strip_prefix("ami-").filter(|rest| !rest.is_empty()).map(|_| id)
}

#[cfg(test)]
mod tests {
    use kiln_plugin::aws::Pair;

    use super::*;
    use crate::verdict::tests::{NOW, config, image, of_snapshots, snapshot};

    fn tagged(name: &str, value: &str) -> Vec<Pair> {
        vec![Pair { name: name.to_owned(), value: value.to_owned() }]
    }

    fn of(id: &str, image: &str, days: u64) -> Snapshot {
        let description = format!("Created by CreateImage(i-0a) for {image}");
        Snapshot { description, tags: tagged("Name", "web-7"), ..snapshot(id, days) }
    }

    fn found(config: &Config, account: &Account, named: &Uses) -> Vec<(String, bool, String)> {
        let found = find(config, account, named, NOW).into_iter();
        found.map(|orphan| (orphan.id, orphan.goes, orphan.reason)).collect()
    }

    #[test]
    fn the_image_that_a_snapshot_was_made_for_is_read_from_ec2s_words() {
        for (description, expected) in [
            ("Created by CreateImage(i-0a1b) for ami-0c", Some("ami-0c")),
            ("Created by CreateImage(i-0a1b) for ami-0c from vol-0d", Some("ami-0c")),
            (
                "Copied for DestinationAmi ami-0e from SourceAmi ami-0f for SourceSnapshot snap-1. Task created on 1.",
                Some("ami-0e"),
            ),
            ("my backup for ami-0c", None),
            ("Created by CreateImage(i-0a1b) for me", None),
            ("", None),
        ] {
            assert_eq!(former_image(description), expected, "{description}");
        }
    }

    #[test]
    fn only_snapshots_of_former_images_of_the_families_go() {
        let config = Config { orphans: true, ..config() };
        let mut account =
            Account { images: vec![of_snapshots(image("ami-1", "web-1", 9), &["snap-3"])], ..Account::default() };
        account.snapshots = vec![
            of("snap-1", "ami-0", 50),
            of("snap-2", "ami-1", 50),
            of("snap-3", "ami-0", 50),
            Snapshot { tags: tagged("Name", "db-7"), ..of("snap-4", "ami-0", 50) },
            Snapshot { description: "a backup".to_owned(), ..of("snap-5", "ami-0", 50) },
            of("snap-6", "ami-0", 0),
            Snapshot { state: "pending".to_owned(), ..of("snap-7", "ami-0", 50) },
            of("snap-8", "ami-0", 60),
            Snapshot {
                tags: [tagged("Name", "web-7"), tagged("aws:backup:x", "y")].concat(),
                ..of("snap-9", "ami-0", 50)
            },
            Snapshot { started: None, ..of("snap-10", "ami-0", 1) },
        ];
        let named = Uses::from([("snap-8".to_owned(), "launch template web has it".to_owned())]);
        let told = |id: &str, goes: bool, reason: &str| (id.to_owned(), goes, reason.to_owned());
        assert_eq!(
            found(&config, &account, &named),
            [
                told("snap-1", true, "50 days old, and made for ami-0, which is there no more"),
                told("snap-10", false, "nobody knows when it was made"),
                told("snap-8", false, "launch template web has it"),
                told("snap-7", false, "its state is pending"),
                told("snap-9", false, "another service of AWS manages it"),
                told("snap-6", false, "made 1972-09-27, which is not long enough ago"),
            ]
        );
        assert_eq!(found(&Config { orphans: false, ..config.clone() }, &account, &named), []);
        let none = Config { most: 1, older_than: "55d".parse().ok(), ..config };
        let going = found(&none, &account, &Uses::new()).into_iter().filter(|(_, goes, _)| *goes);
        assert_eq!(
            going.map(|(id, ..)| id).collect::<Vec<_>>(),
            ["snap-8"],
            "the oldest, and no more than a run takes"
        );
    }
}
