//! Decides which images go and which stay, and why.
//! The main function is [`decide`]: pure, so that what a plan shows is what a run does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::Instant;
use kiln_plugin::aws::ecr::ImageDetail;

use crate::config::Config;
use crate::glob;
use crate::registry::{Contents, Uses};

/// What becomes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// It goes.
    Delete,
    /// It stays.
    Keep,
}

/// The verdict on one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) digest: String,
    pub(crate) tags: Vec<String>,
    pub(crate) size: u64,
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

impl Decision {
    /// The image for a reader.
    pub(crate) fn name(&self, repository: &str) -> String {
        let digest = self.digest.get(..19).unwrap_or(&self.digest);
        match self.tags.as_slice() {
            [] => format!("{repository}@{digest}"),
            tags => format!("{repository}:{} ({digest})", tags.join(",")),
        }
    }
}

/// The verdicts on all images. Those that go come first, wholes before their parts, as ECR wants them deleted.
pub(crate) fn decide(
    config: &Config,
    contents: &Contents,
    in_use: &Uses,
    of_this_run: &Uses,
    now: Instant,
) -> Vec<Decision> {
    let is_part: BTreeSet<&str> = contents.parts.values().flatten().map(String::as_str).collect();
    let newest = newest(config, contents, &is_part);
    let mut verdicts: BTreeMap<&str, (Verdict, String)> = BTreeMap::new();
    // Parts without a tag have no fate of their own.
    let wholes = || contents.images.iter().filter(|image| !image.tags.is_empty() || !is_part.contains(&*image.digest));
    for image in wholes() {
        let used = contents.uses(of_this_run, &image.digest).or_else(|| contents.uses(in_use, &image.digest));
        let kept = used.map(str::to_owned).or_else(|| newest.get(&*image.digest).cloned());
        let kept = kept.or_else(|| reason_to_keep(config, image, now));
        verdicts.insert(
            &image.digest,
            match kept {
                Some(reason) => (Verdict::Keep, reason),
                None => (Verdict::Delete, reason_to_delete(config, image, now)),
            },
        );
    }
    // A whole that stays needs its parts, tagged or not.
    for (whole, parts) in &contents.parts {
        if verdicts.get(&**whole).is_some_and(|(verdict, _)| *verdict == Verdict::Keep) {
            for part in parts {
                verdicts.insert(part, (Verdict::Keep, format!("part of {}, which stays", brief(whole))));
            }
        }
    }
    // A part without a tag goes with its whole; nobody could name it any more.
    for (whole, parts) in &contents.parts {
        if verdicts.get(&**whole).is_some_and(|(verdict, _)| *verdict == Verdict::Delete) {
            for part in parts {
                verdicts
                    .entry(part)
                    .or_insert_with(|| (Verdict::Delete, format!("part of {}, which goes", brief(whole))));
            }
        }
    }
    let mut decisions: Vec<Decision> = contents
        .images
        .iter()
        .map(|image| {
            let (verdict, reason) = match verdicts.remove(&*image.digest) {
                Some((verdict, reason)) => (verdict, reason),
                // A part whose whole has no verdict: it cannot be judged, so it stays.
                None => (Verdict::Keep, "part of an image that is not in the repository's list".to_owned()),
            };
            Decision { digest: image.digest.clone(), tags: image.tags.clone(), size: image.size, verdict, reason }
        })
        .collect();
    decisions.sort_by(|a, b| {
        let order = |decision: &Decision| (decision.verdict, !contents.parts.contains_key(&decision.digest));
        order(a).cmp(&order(b)).then_with(|| a.tags.cmp(&b.tags)).then_with(|| a.digest.cmp(&b.digest))
    });
    decisions
}

/// Why an image that was to go stays after all, given the repository and the uses right before its deletion.
pub(crate) fn spared(decision: &Decision, contents: &Contents, in_use: &Uses) -> Option<String> {
    if let Some(reason) = contents.uses(in_use, &decision.digest) {
        return Some(format!("since a moment ago, {reason}"));
    }
    let now = contents.images.iter().find(|image| image.digest == decision.digest);
    // Somebody who gives it another tag means to use it. Whoever deleted it did no harm; the deletion says so.
    now.filter(|now| now.tags.iter().any(|tag| !decision.tags.contains(tag)))
        .map(|now| format!("it was tagged anew a moment ago ({})", now.tags.join(", ")))
}

/// The newest images that could go, as many as are kept.
fn newest<'a>(config: &Config, contents: &'a Contents, is_part: &BTreeSet<&str>) -> BTreeMap<&'a str, String> {
    let could_go = |image: &&ImageDetail| {
        let untagged_part = image.tags.is_empty() && is_part.contains(&*image.digest);
        !untagged_part && reason_by_tags(config, image).is_none()
    };
    let mut images: Vec<&ImageDetail> = contents.images.iter().filter(could_go).collect();
    // An image whose time of push is not known is taken for new.
    images.sort_by_key(|image| (Reverse(image.pushed.unwrap_or(u64::MAX)), image.digest.as_str()));
    let reason = format!("one of the {} newest", config.keep);
    images.into_iter().take(config.keep as usize).map(|image| (image.digest.as_str(), reason.clone())).collect()
}

/// Why an image stays by its tags.
fn reason_by_tags(config: &Config, image: &ImageDetail) -> Option<String> {
    if image.tags.is_empty() {
        return (!config.delete_untagged).then(|| "it has no tag, and `delete-untagged` is off".to_owned());
    }
    let kept = |tag: &&String| config.keep_tags.iter().any(|pattern| glob::matches(pattern, tag));
    if let Some(tag) = image.tags.iter().find(kept) {
        return Some(format!("its tag {tag} matches `keep-tags`"));
    }
    let free = |tag: &&String| config.tags.iter().any(|pattern| glob::matches(pattern, tag));
    match image.tags.iter().find(|tag| !free(tag)) {
        Some(tag) if !config.tags.is_empty() => Some(format!("its tag {tag} matches none of `tags`")),
        _ => None,
    }
}

/// Why an image stays that nobody uses and that is none of the newest.
fn reason_to_keep(config: &Config, image: &ImageDetail, now: Instant) -> Option<String> {
    if let Some(reason) = reason_by_tags(config, image) {
        return Some(reason);
    }
    let Some(pushed) = image.pushed else {
        return Some("nobody knows when it was pushed".to_owned());
    };
    let limit = config.older_than?;
    (now.millis_since(Instant(pushed)) < limit.as_millis())
        .then(|| format!("pushed {}, not yet {limit} ago", Instant(pushed).date()))
}

fn reason_to_delete(config: &Config, image: &ImageDetail, now: Instant) -> String {
    let days = image.pushed.map(|pushed| now.millis_since(Instant(pushed)) / 86_400_000).unwrap_or_default();
    let age = if days == 0 { "less than a day old".to_owned() } else { format!("{days} days old") };
    let limit = config.older_than.map(|limit| format!(" and older than {limit}")).unwrap_or_default();
    format!("{age}, not in use, beyond the {} newest{limit}", config.keep)
}

fn brief(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kiln_plugin::EcrRepository;

    const DAY: u64 = 86_400_000;

    pub(crate) fn image(digest: &str, tags: &[&str], days: u64) -> ImageDetail {
        ImageDetail {
            digest: digest.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            pushed: Some((1000 - days) * DAY),
            last_pulled: None,
            size: 10,
            media_type: None,
            scan_status: None,
        }
    }

    pub(crate) fn contents(images: Vec<ImageDetail>) -> Contents {
        Contents {
            repository: EcrRepository {
                account: "111111111111".to_owned(),
                region: "us-west-2".to_owned(),
                name: "web".to_owned(),
            },
            images,
            parts: BTreeMap::new(),
        }
    }

    fn config() -> Config {
        Config {
            repository: "web".to_owned(),
            keep: 0,
            older_than: None,
            tags: Vec::new(),
            keep_tags: Vec::new(),
            clusters: Vec::new(),
            delete_untagged: false,
        }
    }

    fn uses(digests: &[&str]) -> Uses {
        digests.iter().map(|digest| ((*digest).to_owned(), "task 1 runs it".to_owned())).collect()
    }

    fn doomed(config: &Config, contents: &Contents, in_use: &Uses) -> Vec<String> {
        let decisions = decide(config, contents, in_use, &Uses::new(), Instant(1000 * DAY));
        decisions.into_iter().filter(|d| d.verdict == Verdict::Delete).map(|d| d.digest).collect()
    }

    #[test]
    fn an_image_in_use_stays_whatever_the_rules_say() {
        let contents = contents(vec![image("a", &["v1"], 900), image("b", &["v2"], 900)]);
        assert_eq!(doomed(&config(), &contents, &uses(&["a"])), ["b"]);
        let of_this_run = decide(&config(), &contents, &Uses::new(), &uses(&["b"]), Instant(1000 * DAY));
        let kept: Vec<&str> =
            of_this_run.iter().filter(|d| d.verdict == Verdict::Keep).map(|d| d.digest.as_str()).collect();
        assert_eq!(kept, ["b"]);
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
        let mut contents = contents(vec![
            image("arm", &[], 9),
            image("x86", &[], 9),
            image("list", &["v1"], 9),
            image("stray", &[], 9),
        ]);
        contents.parts.insert("list".to_owned(), vec!["arm".to_owned(), "x86".to_owned()]);
        contents
    }

    #[test]
    fn parts_share_the_fate_of_their_whole() {
        assert_eq!(doomed(&config(), &with_parts(), &Uses::new()), ["list", "arm", "x86"], "the whole first");
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
        let mut contents = with_parts();
        contents.images.push(image("list2", &["v2"], 9));
        contents.parts.insert("list2".to_owned(), vec!["arm".to_owned()]);
        let config = Config { keep_tags: vec!["v2".to_owned()], ..config() };
        assert_eq!(doomed(&config, &contents, &Uses::new()), ["list", "x86"]);
    }

    #[test]
    fn what_came_into_use_or_was_tagged_anew_is_spared() {
        let before = contents(vec![image("a", &["v1"], 9)]);
        let decisions = decide(&config(), &before, &Uses::new(), &Uses::new(), Instant(1000 * DAY));
        let spared = |contents: &Contents, uses: &Uses| decisions.first().and_then(|d| spared(d, contents, uses));
        assert_eq!(spared(&before, &Uses::new()), None);
        assert_eq!(spared(&contents(Vec::new()), &Uses::new()), None, "somebody was quicker");
        assert!(spared(&before, &uses(&["a"])).is_some());
        assert!(spared(&contents(vec![image("a", &["v1", "live"], 9)]), &Uses::new()).is_some());
    }

    #[test]
    fn each_decision_says_why() {
        let contents = contents(vec![image("sha256:aaaaaaaaaaaaaaaa", &["v1", "v2"], 40)]);
        let older_than = "30d".parse().ok();
        let decisions = decide(
            &Config { older_than, keep: 3, ..config() },
            &contents,
            &Uses::new(),
            &Uses::new(),
            Instant(1000 * DAY),
        );
        let first = decisions.first().map(|decision| (decision.name("web"), decision.reason.clone()));
        assert_eq!(first, Some(("web:v1,v2 (sha256:aaaaaaaaaaaa)".to_owned(), "one of the 3 newest".to_owned())));
        let decisions =
            decide(&Config { older_than, ..config() }, &contents, &Uses::new(), &Uses::new(), Instant(1000 * DAY));
        let reason = decisions.first().map(|decision| decision.reason.as_str());
        assert_eq!(reason, Some("40 days old, not in use, beyond the 0 newest and older than 30d"));
    }
}
