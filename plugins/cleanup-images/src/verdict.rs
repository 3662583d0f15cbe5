//! Decides which images go and which stay, and why.
//! The main function is [`decide`]: pure, so that what a plan shows is what a run does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use kiln_plugin::aws::ecr_storage::StoredImage;
use kiln_plugin::{Duration, Instant, count};

use crate::archive;
use crate::config::Config;
use crate::glob;
use crate::kin::{brief, own_tags};
use crate::registry::{Contents, Uses};

/// What becomes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// It goes.
    Delete,
    /// It is moved to the archive, from which it goes later.
    Archive,
    /// It stays.
    Keep,
}

/// The verdict on one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) digest: String,
    /// Its own tags: not those that say what it belongs to.
    pub(crate) tags: Vec<String>,
    pub(crate) size: u64,
    pub(crate) pushed: Option<u64>,
    /// When it was last pulled.
    pub(crate) pulled: Option<u64>,
    /// Whether it can be pulled.
    pub(crate) status: String,
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

impl Decision {
    /// The image for a reader.
    pub(crate) fn name(&self, repository: &str) -> String {
        match self.tags.as_slice() {
            [] => format!("{repository}@{}", brief(&self.digest)),
            tags => format!("{repository}:{} ({})", tags.join(","), brief(&self.digest)),
        }
    }
}

/// The verdicts on all images. Those that go come first, the oldest of them before the others, and each before what belongs to it; then
/// those that stay, the newest first.
pub(crate) fn decide(config: &Config, contents: &Contents, in_use: &Uses, now: Instant) -> Vec<Decision> {
    let mut kept = contents.kin.bound(must_stay(config, contents, in_use));
    let newest = newest(config, contents);
    let mut going = BTreeMap::new();
    for image in contents.images.iter().filter(|image| is_alone(contents, image)) {
        let by_rule = newest.get(&*image.digest).cloned().or_else(|| reason_to_keep(config, contents, image, now));
        match by_rule {
            Some(reason) => {
                kept.entry(image.digest.clone()).or_insert(reason);
            }
            None if !kept.contains_key(&image.digest) => {
                going.insert(image.digest.clone(), reason_to_delete(config, contents, image, now));
            }
            None => {}
        }
    }
    contents.kin.with_belongings(&mut kept);
    going.retain(|digest, _| !kept.contains_key(digest));
    let order = take_along(contents, &kept, &mut going);
    let mut decisions: Vec<Decision> = contents.images.iter().map(|image| decision(image, &kept, &going)).collect();
    if let Some(least) = config.archive_for {
        archive::first(contents, &mut decisions, least, now);
    }
    decisions.sort_by_cached_key(|decision| {
        let newest_first = Reverse(decision.pushed.unwrap_or(u64::MAX));
        (decision.verdict, order.get(&decision.digest).copied(), newest_first, decision.digest.clone())
    });
    decisions
}

fn decision(image: &StoredImage, kept: &Uses, going: &BTreeMap<String, String>) -> Decision {
    let (verdict, reason) = match (kept.get(&image.digest), going.get(&image.digest)) {
        (None, Some(reason)) => (Verdict::Delete, reason.clone()),
        (Some(reason), _) => (Verdict::Keep, reason.clone()),
        // What it belongs to belongs to it in turn: it cannot be judged, so it stays.
        (None, None) => (Verdict::Keep, "it belongs to no image that could be judged".to_owned()),
    };
    let tags = own_tags(image).cloned().collect();
    let (digest, pulled, status) = (image.digest.clone(), image.last_pulled, image.status.clone());
    Decision { digest, tags, size: image.size, pushed: image.pushed, pulled, status, verdict, reason }
}

/// What stays whatever its age, together with all that it belongs to: what is in use, and what says something about an image and was
/// given a tag of its own that is to stay.
fn must_stay<'a>(
    config: &'a Config,
    contents: &'a Contents,
    in_use: &'a Uses,
) -> impl Iterator<Item = (String, String)> + 'a {
    contents.images.iter().filter_map(move |image| {
        let used = in_use.get(&image.digest).cloned();
        let named = || {
            let named = contents.kin.is_referrer(&image.digest) && own_tags(image).next().is_some();
            named.then(|| reason_by_tags(config, image)).flatten()
        };
        Some((image.digest.clone(), used.or_else(named)?))
    })
}

/// Whether an image is judged by itself: it belongs to no other, or somebody gave it a name.
fn is_alone(contents: &Contents, image: &StoredImage) -> bool {
    own_tags(image).next().is_some() || contents.kin.owners(&image.digest).is_empty()
}

/// Let what belongs to images that go, and to none that stays, go with them. Answers the order in which all of them go: the oldest first,
/// each behind everything that it belongs to.
fn take_along(contents: &Contents, kept: &Uses, going: &mut BTreeMap<String, String>) -> BTreeMap<String, usize> {
    let mut queue: VecDeque<String> = going.keys().cloned().collect();
    while let Some(owner) = queue.pop_front() {
        for belonging in contents.kin.belongings(&owner) {
            if !kept.contains_key(&belonging.digest) && !going.contains_key(&belonging.digest) {
                let reason = format!("{} {}, which goes", belonging.tie.words(), brief(&owner));
                going.insert(belonging.digest.clone(), reason);
                queue.push_back(belonging.digest.clone());
            }
        }
    }
    let mut waits: BTreeMap<&str, usize> = going.keys().map(|digest| (digest.as_str(), 0)).collect();
    for digest in going.keys() {
        let owners = contents.kin.owners(digest).iter().filter(|owner| going.contains_key(&owner.digest)).count();
        waits.insert(digest, owners);
    }
    let pushed: BTreeMap<&str, u64> =
        contents.images.iter().map(|image| (image.digest.as_str(), image.pushed.unwrap_or(u64::MAX))).collect();
    let mut first: Vec<&str> = waits.iter().filter(|(_, owners)| **owners == 0).map(|(digest, _)| *digest).collect();
    first.sort_by_key(|digest| (pushed.get(digest).copied(), *digest));
    let mut order = BTreeMap::new();
    let mut stack: Vec<&str> = first.into_iter().rev().collect();
    while let Some(digest) = stack.pop() {
        order.insert(digest.to_owned(), order.len());
        for belonging in contents.kin.belongings(digest) {
            let Some(owners) = waits.get_mut(belonging.digest.as_str()) else { continue };
            *owners = owners.saturating_sub(1);
            if *owners == 0 {
                stack.push(&belonging.digest);
            }
        }
    }
    order
}

/// Why an image that was to go stays after all, given what it is and what is in use right before its deletion. `bound` is all that
/// stays because something is in use.
pub(crate) fn spared(config: &Config, decision: &Decision, now: &StoredImage, bound: &Uses) -> Option<String> {
    if let Some(reason) = bound.get(&decision.digest) {
        return Some(format!("since a moment ago, {reason}"));
    }
    if now.status != decision.status {
        return Some(format!("its status was {} a moment ago, and is {}", decision.status, now.status));
    }
    // That the index was read for what it lists counts as a pull.
    if config.keep_pulled_within.is_some() && !now.index && now.last_pulled > decision.pulled {
        return Some("it was pulled a moment ago".to_owned());
    }
    // Somebody who gives it another tag means to use it.
    let fresh: Vec<&String> = own_tags(now).filter(|tag| !decision.tags.contains(tag)).collect();
    (!fresh.is_empty()).then(|| format!("it was tagged anew a moment ago ({})", now.tags.join(", ")))
}

/// The newest images that could go, as many as are kept. What belongs to an image, or says something about one, is none of them.
fn newest<'a>(config: &Config, contents: &'a Contents) -> BTreeMap<&'a str, String> {
    let could_go = |image: &&StoredImage| {
        is_alone(contents, image)
            && image.status == ACTIVE
            && !contents.kin.is_referrer(&image.digest)
            && contents.doubt(image).is_none()
            && reason_by_tags(config, image).is_none()
    };
    let mut images: Vec<&StoredImage> = contents.images.iter().filter(could_go).collect();
    // An image whose time of push is not known is taken for new.
    images.sort_by_key(|image| (Reverse(image.pushed.unwrap_or(u64::MAX)), image.digest.as_str()));
    let reason = format!("one of the {} newest", config.keep);
    images.into_iter().take(config.keep as usize).map(|image| (image.digest.as_str(), reason.clone())).collect()
}

/// Why an image stays by its tags.
fn reason_by_tags(config: &Config, image: &StoredImage) -> Option<String> {
    if own_tags(image).next().is_none() {
        return (!config.delete_untagged).then(|| "it has no tag, and `delete-untagged` is off".to_owned());
    }
    let kept = |tag: &&String| config.keep_tags.iter().any(|pattern| glob::matches(pattern, tag));
    if let Some(tag) = own_tags(image).find(kept) {
        return Some(format!("its tag {tag} matches `keep-tags`"));
    }
    let free = |tag: &&String| config.tags.iter().any(|pattern| glob::matches(pattern, tag));
    match own_tags(image).find(|tag| !free(tag)) {
        Some(tag) if !config.tags.is_empty() => Some(format!("its tag {tag} matches none of `tags`")),
        _ => None,
    }
}

/// Why an image stays that nobody uses and that is none of the newest.
fn reason_to_keep(config: &Config, contents: &Contents, image: &StoredImage, now: Instant) -> Option<String> {
    let orphaned_by = contents.kin.orphaned_by(&image.digest);
    match orphaned_by {
        Some(subject) if !config.delete_orphans => {
            return Some(format!(
                "it belongs to {}, which is not in this repository, and `delete-orphans` is off",
                brief(subject)
            ));
        }
        Some(_) if own_tags(image).next().is_none() => {}
        Some(_) | None => {
            if let Some(reason) = contents.doubt(image).or_else(|| reason_by_tags(config, image)) {
                return Some(reason);
            }
        }
    }
    let Some(pushed) = image.pushed else {
        return Some("nobody knows when it was pushed".to_owned());
    };
    if image.status != ACTIVE && config.archive_for.is_none() {
        return Some(format!("its status is {}, and no `archive-for` says how long that lasts", image.status));
    }
    if let Some(reason) = pulled_lately(config, contents, image, pushed, now) {
        return Some(reason);
    }
    // What an orphan belongs to may be on its way.
    let limit = config.older_than.or_else(|| orphaned_by.map(|_| ORPHAN))?;
    (now.millis_since(Instant(pushed)) < limit.as_millis())
        .then(|| format!("pushed {}, not yet {limit} ago", Instant(pushed).date()))
}

/// The status of an image that can be pulled.
pub(crate) const ACTIVE: &str = "ACTIVE";

/// Why an image stays by its last pull.
fn pulled_lately(
    config: &Config,
    contents: &Contents,
    image: &StoredImage,
    pushed: u64,
    now: Instant,
) -> Option<String> {
    let within = config.keep_pulled_within?;
    let pulled = contents.pulled(image);
    let last = Instant(pulled.unwrap_or(pushed));
    // ECR writes down one pull a day.
    let limit = within.as_millis().saturating_add(ORPHAN.as_millis());
    let words = if pulled.is_some() { "last pulled" } else { "never pulled, and pushed" };
    (now.millis_since(last) < limit).then(|| format!("{words} {}, not yet {within} ago", last.date()))
}

/// How old what belongs to no image must be to go, where the config does not say.
const ORPHAN: Duration = Duration::from_secs(86_400);

fn reason_to_delete(config: &Config, contents: &Contents, image: &StoredImage, now: Instant) -> String {
    let days = image.pushed.map(|pushed| now.millis_since(Instant(pushed)) / 86_400_000).unwrap_or_default();
    let age = if days == 0 { "less than a day old".to_owned() } else { format!("{} old", count(days, "day")) };
    if let Some(subject) = contents.kin.orphaned_by(&image.digest) {
        return format!("{age}, and belongs to {}, which is not in the repository", brief(subject));
    }
    let limit = config.older_than.map(|limit| format!(" and older than {limit}")).unwrap_or_default();
    format!("{age}, not in use, beyond the {} newest{limit}", config.keep)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Revisions;
    use kiln_plugin::EcrRepository;

    const DAY: u64 = 86_400_000;

    pub(crate) fn image(digest: &str, tags: &[&str], days: u64) -> StoredImage {
        StoredImage {
            digest: digest.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            pushed: Some((1000 - days) * DAY),
            last_pulled: None,
            size: 10,
            index: false,
            subject: None,
            status: "ACTIVE".to_owned(),
            archived: None,
        }
    }

    pub(crate) fn referrer(digest: &str, tags: &[&str], subject: &str, days: u64) -> StoredImage {
        StoredImage { subject: Some(subject.to_owned()), ..image(digest, tags, days) }
    }

    pub(crate) fn contents(images: Vec<StoredImage>) -> Contents {
        contents_with(images, &[])
    }

    /// With images for several platforms: the whole, and its parts.
    pub(crate) fn contents_with(images: Vec<StoredImage>, parts: &[(&str, &[&str])]) -> Contents {
        let repository = EcrRepository {
            account: "111111111111".to_owned(),
            region: "us-west-2".to_owned(),
            name: "web".to_owned(),
        };
        let owned = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
        let parts = parts.iter().map(|(whole, parts)| ((*whole).to_owned(), owned(parts))).collect();
        Contents::of(repository, images, &parts)
    }

    /// What goes where nothing is kept.
    pub(crate) fn doomed_of(contents: &Contents) -> Vec<Decision> {
        let everything = Config { delete_untagged: true, ..config() };
        let mut decisions = decide(&everything, contents, &Uses::new(), Instant(1000 * DAY));
        decisions.retain(|decision| decision.verdict == Verdict::Delete);
        decisions
    }

    pub(crate) fn config() -> Config {
        Config {
            repository: "web".to_owned(),
            keep: 0,
            older_than: None,
            keep_pulled_within: None,
            archive_for: None,
            tags: Vec::new(),
            keep_tags: Vec::new(),
            clusters: Vec::new(),
            delete_untagged: false,
            delete_orphans: false,
            families: Vec::new(),
            revisions: Revisions::Active,
            not_looked_at: Vec::new(),
            elsewhere: Vec::new(),
        }
    }

    fn uses(digests: &[&str]) -> Uses {
        digests.iter().map(|digest| ((*digest).to_owned(), "task 1 runs it".to_owned())).collect()
    }

    fn doomed(config: &Config, contents: &Contents, in_use: &Uses) -> Vec<String> {
        let decisions = decide(config, contents, in_use, Instant(1000 * DAY));
        decisions.into_iter().filter(|d| d.verdict == Verdict::Delete).map(|d| d.digest).collect()
    }

    #[test]
    fn an_image_in_use_stays_whatever_the_rules_say() {
        let contents = contents(vec![image("a", &["v1"], 900), image("b", &["v2"], 900)]);
        assert_eq!(doomed(&config(), &contents, &uses(&["a"])), ["b"]);
    }

    #[test]
    fn the_newest_stay_and_a_used_one_counts_among_them() {
        let contents =
            contents(vec![image("a", &["1"], 4), image("b", &["2"], 3), image("c", &["3"], 2), image("d", &["4"], 1)]);
        let config = Config { keep: 2, ..config() };
        assert_eq!(doomed(&config, &contents, &Uses::new()), ["a", "b"]);
        assert_eq!(doomed(&config, &contents, &uses(&["d"])), ["a", "b"]);
        assert_eq!(doomed(&config, &contents, &uses(&["a"])), ["b"]);
    }

    #[test]
    fn only_old_images_go() {
        let contents = contents(vec![image("a", &["1"], 40), image("b", &["2"], 20)]);
        let older_than = "30d".parse().ok();
        assert_eq!(doomed(&Config { older_than, ..config() }, &contents, &Uses::new()), ["a"]);
    }

    #[test]
    fn what_was_pulled_lately_stays() {
        let pulled = |digest: &str, pushed: u64, ago: u64| StoredImage {
            last_pulled: Some((1000 - ago) * DAY),
            ..image(digest, &["v"], pushed)
        };
        let all =
            contents(vec![pulled("a", 90, 20), pulled("b", 90, 40), image("c", &["v"], 90), image("d", &["v"], 20)]);
        let keep_pulled_within = "30d".parse().ok();
        let config = Config { keep_pulled_within, ..config() };
        assert_eq!(doomed(&config, &all, &Uses::new()), ["b", "c"]);
        let late = contents(vec![pulled("a", 90, 30), pulled("b", 90, 31)]);
        assert_eq!(doomed(&config, &late, &Uses::new()), ["b"], "ECR may tell a day late");

        // The index was read a moment ago, by whoever wanted to know what it lists.
        let index = |digest: &str| StoredImage { index: true, ..pulled(digest, 90, 0) };
        let part = |digest: &str, ago: u64| StoredImage { tags: Vec::new(), ..pulled(digest, 90, ago) };
        let images = vec![index("i"), part("x", 20), part("y", 80), index("j"), part("z", 80)];
        let several = contents_with(images, &[("i", &["x", "y"]), ("j", &["z"])]);
        assert_eq!(doomed(&config, &several, &Uses::new()), ["j", "z"]);

        let decisions = decide(&config, &late, &Uses::new(), Instant(1000 * DAY));
        let spared = |image: &StoredImage| decisions.first().and_then(|d| spared(&config, d, image, &Uses::new()));
        assert!(spared(&pulled("b", 90, 31)).is_none() && spared(&pulled("b", 90, 0)).is_some());
    }

    #[test]
    fn tags_decide_what_may_go() {
        let contents =
            contents(vec![image("a", &["pr-1"], 9), image("b", &["pr-2", "release-1"], 9), image("c", &["v1"], 9)]);
        let tags = vec!["pr-*".to_owned()];
        assert_eq!(
            doomed(&Config { tags: tags.clone(), ..config() }, &contents, &Uses::new()),
            ["a"],
            "all tags must match"
        );
        let keep_tags = vec!["release-*".to_owned(), "v?".to_owned()];
        assert_eq!(doomed(&Config { keep_tags, ..config() }, &contents, &Uses::new()), ["a"]);
        let both = Config { tags, keep_tags: vec!["pr-1".to_owned()], ..config() };
        assert!(doomed(&both, &contents, &Uses::new()).is_empty());
    }

    #[test]
    fn images_that_may_not_go_take_no_place_among_the_newest() {
        let contents = contents(vec![image("keep", &["v1"], 1), image("a", &["pr-1"], 2), image("b", &["pr-2"], 3)]);
        let config = Config { keep: 1, tags: vec!["pr-*".to_owned()], ..config() };
        assert_eq!(doomed(&config, &contents, &Uses::new()), ["b"]);
    }

    #[test]
    fn untagged_images_stay_unless_they_may_go() {
        let contents = contents(vec![image("a", &[], 9)]);
        assert!(doomed(&config(), &contents, &Uses::new()).is_empty());
        assert_eq!(doomed(&Config { delete_untagged: true, ..config() }, &contents, &Uses::new()), ["a"]);
    }

    #[test]
    fn an_image_of_unknown_age_stays() {
        let mut unknown = image("a", &["v1"], 9);
        unknown.pushed = None;
        assert!(doomed(&config(), &contents(vec![unknown]), &Uses::new()).is_empty());
    }

    fn with_parts() -> Contents {
        let images =
            vec![image("arm", &[], 9), image("x86", &[], 9), image("list", &["v1"], 9), image("stray", &[], 8)];
        contents_with(images, &[("list", &["arm", "x86"])])
    }

    #[test]
    fn parts_share_the_fate_of_their_whole() {
        assert_eq!(doomed(&config(), &with_parts(), &Uses::new()), ["list", "x86", "arm"], "the whole first");
        let untagged_too = Config { delete_untagged: true, keep_tags: vec!["v1".to_owned()], ..config() };
        assert_eq!(doomed(&untagged_too, &with_parts(), &Uses::new()), ["stray"], "never a part of what stays");
    }

    #[test]
    fn a_part_in_use_keeps_its_whole() {
        let untagged_too = Config { delete_untagged: true, ..config() };
        assert_eq!(doomed(&untagged_too, &with_parts(), &uses(&["arm"])), ["stray"]);
    }

    #[test]
    fn a_part_of_two_wholes_stays_with_either() {
        let mut images = with_parts().images;
        images.push(image("list2", &["v2"], 9));
        let contents = contents_with(images, &[("list", &["arm", "x86"]), ("list2", &["arm"])]);
        let config = Config { keep_tags: vec!["v2".to_owned()], ..config() };
        assert_eq!(doomed(&config, &contents, &Uses::new()), ["list", "x86"]);
    }

    /// A digest that a tag can name.
    fn digest(letter: &str) -> String {
        format!("sha256:{}", letter.repeat(64))
    }

    /// Three releases, the first signed in both ways and its signature too; each later one by a tag.
    fn signed() -> Contents {
        let (a, b, c) = (digest("a"), digest("b"), digest("c"));
        let by_tag = |digest: &str| format!("{}.sig", digest.replace(':', "-"));
        contents(vec![
            image(&a, &["release-1"], 30),
            image("sig-1", &[&by_tag(&a)], 2),
            referrer("ref-1", &[], &a, 2),
            referrer("ref-ref-1", &[], "ref-1", 2),
            image(&b, &["release-2"], 20),
            image("sig-2", &[&by_tag(&b)], 1),
            image(&c, &["release-3"], 10),
            image("sig-3", &[&by_tag(&c)], 1),
        ])
    }

    #[test]
    fn signatures_share_the_fate_of_their_image_and_take_no_place_among_the_newest() {
        let untagged_too = Config { keep: 2, delete_untagged: true, ..config() };
        let all_of_the_first = [&*digest("a"), "sig-1", "ref-1", "ref-ref-1"];
        let gone = doomed(&untagged_too, &signed(), &Uses::new());
        assert!(gone.first().is_some_and(|first| *first == digest("a")), "the image before its signatures: {gone:?}");
        assert!(
            gone.len() == 4 && all_of_the_first.iter().all(|digest| gone.contains(&(*digest).to_owned())),
            "{gone:?}"
        );
        assert!(
            doomed(&untagged_too, &signed(), &uses(&[&digest("a")])).is_empty(),
            "what serves keeps its signatures"
        );
        let one = Config { keep: 1, ..untagged_too };
        assert_eq!(doomed(&one, &signed(), &uses(&[&digest("a")])), [digest("b"), "sig-2".to_owned()]);
    }

    #[test]
    fn rules_on_tags_are_not_asked_of_signatures() {
        let patterns = Config { tags: vec!["release-1".to_owned()], ..config() };
        assert_eq!(
            doomed(&patterns, &signed(), &Uses::new()).len(),
            4,
            "untagged signatures go without `delete-untagged`"
        );
        let kept = Config { keep_tags: vec!["*.sig".to_owned()], tags: vec!["release-1".to_owned()], ..config() };
        assert_eq!(doomed(&kept, &signed(), &Uses::new()).len(), 4);
    }

    #[test]
    fn a_signature_that_somebody_uses_or_named_keeps_its_image() {
        let untagged_too = Config { delete_untagged: true, ..config() };
        let stays = doomed(&untagged_too, &signed(), &uses(&["ref-ref-1"]));
        assert!(stays.len() == 4 && !stays.contains(&digest("a")), "{stays:?}");
        let named = contents(vec![image("a", &["pr-1"], 9), referrer("s", &["audited"], "a", 9)]);
        let keep_tags = vec!["audited".to_owned()];
        assert!(doomed(&Config { keep_tags, ..config() }, &named, &Uses::new()).is_empty());
        assert_eq!(doomed(&config(), &named, &Uses::new()), ["a", "s"]);
    }

    #[test]
    fn a_signature_of_a_part_belongs_to_the_whole() {
        let mut images = with_parts().images;
        images.push(referrer("sig", &[], "arm", 1));
        let contents = contents_with(images, &[("list", &["arm", "x86"])]);
        let gone = doomed(&config(), &contents, &Uses::new());
        assert_eq!(gone, ["list", "x86", "arm", "sig"]);
        assert!(doomed(&config(), &contents, &uses(&["x86"])).is_empty());
    }

    #[test]
    fn signatures_of_what_is_elsewhere_stay_unless_they_may_go() {
        let elsewhere = format!("sha256-{}.att", "d".repeat(64));
        let orphans =
            contents(vec![referrer("a", &[], "gone", 9), image("b", &[&elsewhere], 9), image("c", &["v1"], 0)]);
        let untagged_too = Config { delete_untagged: true, keep: 1, ..config() };
        assert!(doomed(&untagged_too, &orphans, &Uses::new()).is_empty());
        let orphans_too = Config { delete_orphans: true, delete_untagged: false, ..untagged_too };
        assert_eq!(doomed(&orphans_too, &orphans, &Uses::new()), ["a", "b"], "nor do they count among the newest");
        let new = contents(vec![referrer("a", &[], "on its way", 0)]);
        assert!(doomed(&orphans_too, &new, &Uses::new()).is_empty());
    }

    #[test]
    fn what_came_into_use_or_was_tagged_anew_is_spared() {
        let before = contents(vec![image("a", &["v1"], 9)]);
        let decisions = decide(&config(), &before, &Uses::new(), Instant(1000 * DAY));
        let spared =
            |image: &StoredImage, uses: &Uses| decisions.first().and_then(|d| spared(&config(), d, image, uses));
        assert_eq!(spared(&image("a", &["v1"], 9), &Uses::new()), None);
        assert!(spared(&image("a", &["v1"], 9), &uses(&["a"])).is_some());
        assert!(spared(&image("a", &["v1", "live"], 9), &Uses::new()).is_some());
        let restored = StoredImage { status: "ACTIVATING".to_owned(), ..image("a", &["v1"], 9) };
        assert!(spared(&restored, &Uses::new()).is_some(), "somebody brings it back from the archive");
        let signed = format!("sha256-{}.sig", "a".repeat(64));
        assert_eq!(spared(&image("a", &["v1", &signed], 9), &Uses::new()), None);
    }

    #[test]
    fn each_decision_says_why() {
        let contents = contents(vec![image("sha256:aaaaaaaaaaaaaaaa", &["v1", "v2"], 40)]);
        let older_than = "30d".parse().ok();
        let config_of = |keep| Config { older_than, keep, ..config() };
        let decisions = decide(&config_of(3), &contents, &Uses::new(), Instant(1000 * DAY));
        let first = decisions.first().map(|decision| (decision.name("web"), decision.reason.clone()));
        assert_eq!(first, Some(("web:v1,v2 (sha256:aaaaaaaaaaaa)".to_owned(), "one of the 3 newest".to_owned())));
        let decisions = decide(&config_of(0), &contents, &Uses::new(), Instant(1000 * DAY));
        let reason = decisions.first().map(|decision| decision.reason.as_str());
        assert_eq!(reason, Some("40 days old, not in use, beyond the 0 newest and older than 30d"));
    }
}
