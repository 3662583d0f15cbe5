//! What goes, how far, and why; pure.
//! The main function is [`decide`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ec2::{Image, Snapshot};
use kiln_plugin::{Instant, count, grouped};

use crate::config::{Config, Rung};
use crate::cost::Cost;
use crate::family;

/// Things that are in use, by id, each with who uses it.
pub(crate) type Uses = BTreeMap<String, String>;

/// EC2 tells of launches so late.
const LAUNCHES_LAG: u64 = 86_400_000;
/// One that is to be deprecated within this time counts as deprecated: this run, or the last one, said so.
const SOON: u64 = 3_600_000;

/// What is to become of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// It goes down to this rung.
    To(Rung),
    /// It stays as it is.
    Keep,
}

/// What is to become of an image, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decision {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
    pub(crate) cost: Cost,
    /// As it was when this was decided.
    pub(crate) state: String,
    pub(crate) deprecated: Option<u64>,
    /// The image of Image Builder that it is an output of.
    pub(crate) builder: Option<String>,
}

impl Decision {
    /// What people call it.
    pub(crate) fn title(&self) -> String {
        format!("{} ({})", self.id, self.name)
    }
}

/// What is known of the account.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// All of its own images.
    pub(crate) images: Vec<Image>,
    /// All of its own snapshots.
    pub(crate) snapshots: Vec<Snapshot>,
    /// Images in use.
    pub(crate) uses: Uses,
}

/// An image that could go by all that is known of its own account: whether other accounts use it is yet to be seen.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) image: &'a Image,
    pub(crate) rung: Rung,
}

/// The images of the families: which stay, with the reason, and which could go, the oldest first.
pub(crate) fn sift<'a>(config: &Config, account: &'a Account, now: Instant) -> (Vec<Decision>, Vec<Candidate<'a>>) {
    let newest = newest(config, &account.images);
    let (mut kept, mut candidates) = (Vec::new(), Vec::new());
    for image in &account.images {
        if family::of_image(&config.families, image).is_none() {
            continue;
        }
        match reason_to_keep(config, account, &newest, image, now) {
            Err(reason) => kept.push(decision(config, account, image, Verdict::Keep, reason)),
            Ok(rung) => candidates.push(Candidate { image, rung }),
        }
    }
    candidates.sort_by(|a, b| (a.image.created, &a.image.id).cmp(&(b.image.created, &b.image.id)));
    (kept, candidates)
}

/// What becomes of the images of the families: those that go come first, the oldest first. `of_others` says why an image stays for
/// what other accounts do with it; it is asked only of those that go otherwise, until there are as many as a run takes.
pub(crate) fn decide<E>(
    config: &Config,
    account: &Account,
    now: Instant,
    mut of_others: impl FnMut(&Image) -> Result<Option<String>, E>,
) -> Result<Vec<Decision>, E> {
    let (kept, candidates) = sift(config, account, now);
    let (mut going, mut staying) = (Vec::new(), kept);
    for Candidate { image, rung } in candidates {
        if going.len() >= config.most as usize {
            let reason = format!("left for the next run, since one takes down at most {}", grouped(config.most));
            staying.push(decision(config, account, image, Verdict::Keep, reason));
            continue;
        }
        match of_others(image)? {
            Some(reason) => staying.push(decision(config, account, image, Verdict::Keep, reason)),
            None => {
                let reason = reason_to_go(config, image, now);
                going.push(decision(config, account, image, Verdict::To(rung), reason));
            }
        }
    }
    staying.sort_by(|a, b| a.id.cmp(&b.id));
    going.extend(staying);
    Ok(going)
}

fn decision(config: &Config, account: &Account, image: &Image, verdict: Verdict, reason: String) -> Decision {
    let builder = image.tags.iter().find(|tag| tag.name == BUILDER).map(|tag| tag.value.clone());
    Decision {
        id: image.id.clone(),
        name: image.name.clone(),
        verdict,
        reason,
        cost: Cost::of_image(image, &account.snapshots, config.price),
        state: image.state.clone(),
        deprecated: image.deprecated,
        builder,
    }
}

/// The tag by which Image Builder says which image of its own an AMI is an output of.
const BUILDER: &str = "Ec2ImageBuilderArn";

/// The newest images of each family, as many as are kept. One that is disabled takes no place: nobody can go back to it. One that is
/// deprecated does: who makes images may let all of them be deprecated by themselves.
fn newest<'a>(config: &Config, images: &'a [Image]) -> BTreeSet<&'a str> {
    let mut families: BTreeMap<usize, Vec<&Image>> = BTreeMap::new();
    for image in images.iter().filter(|image| image.state != DISABLED) {
        if let Some(family) = family::of_image(&config.families, image) {
            families.entry(family).or_default().push(image);
        }
    }
    let mut newest = BTreeSet::new();
    for mut members in families.into_values() {
        // One of which nobody knows when it was made is taken for new.
        members.sort_by_key(|image| (Reverse(image.created.unwrap_or(u64::MAX)), Reverse(&image.id)));
        newest.extend(members.into_iter().take(config.keep as usize).map(|image| image.id.as_str()));
    }
    newest
}

const AVAILABLE: &str = "available";
const DISABLED: &str = "disabled";

/// Why an image stays by what is known of its own account, or else the rung that it goes down to.
fn reason_to_keep(
    config: &Config,
    account: &Account,
    newest: &BTreeSet<&str>,
    image: &Image,
    now: Instant,
) -> Result<Rung, String> {
    if let Some(reason) = account.uses.get(&image.id) {
        return Err(reason.clone());
    }
    if newest.contains(image.id.as_str()) {
        return Err(format!("one of the {} newest", grouped(config.keep)));
    }
    if ![AVAILABLE, DISABLED].contains(&image.state.as_str()) {
        return Err(format!("its state is {}", image.state));
    }
    if image.deregistration_protection != DISABLED {
        return Err("it is protected from being deregistered".to_owned());
    }
    if let Some(keeper) = keeper(image) {
        return Err(format!("{keeper} manages it"));
    }
    let Some(created) = image.created else {
        return Err("nobody knows when it was made".to_owned());
    };
    if let Some(limit) = config.older_than.filter(|limit| now.millis_since(Instant(created)) < limit.as_millis()) {
        return Err(format!("made {}, not yet {limit} ago", Instant(created).date()));
    }
    if let (Some(within), Some(launched)) = (config.keep_launched_within, image.last_launched) {
        let limit = within.as_millis().saturating_add(LAUNCHES_LAG);
        if now.millis_since(Instant(launched)) < limit {
            return Err(format!("last launched {}, not yet {within} ago", Instant(launched).date()));
        }
    }
    next_rung(config, image, now).ok_or_else(|| format!("it is {}, and `rungs` leads no further", standing(image, now)))
}

/// Who else cleans up an image of theirs.
fn keeper(image: &Image) -> Option<&'static str> {
    let has = |begin: &str| image.tags.iter().any(|tag| tag.name.starts_with(begin));
    match () {
        () if has("aws:backup:") => Some("AWS Backup"),
        () if has("aws:dlm:") || has("dlm:managed") => Some("Data Lifecycle Manager"),
        () => None,
    }
}

/// The rung that an image stands on; none for one that is as it was made.
fn rung(image: &Image, now: Instant) -> Option<Rung> {
    if image.state == DISABLED {
        return Some(Rung::Disable);
    }
    let deprecated = image.deprecated.is_some_and(|at| at <= now.0.saturating_add(SOON));
    deprecated.then_some(Rung::Deprecate)
}

fn standing(image: &Image, now: Instant) -> &'static str {
    match rung(image, now) {
        Some(Rung::Disable) => "disabled",
        Some(Rung::Deprecate) => "deprecated",
        Some(Rung::Deregister) | None => "available",
    }
}

/// The rung that an image goes down to next: by one, or at once.
fn next_rung(config: &Config, image: &Image, now: Instant) -> Option<Rung> {
    let below = config.rungs.iter().copied().filter(|next| rung(image, now) < Some(*next));
    if config.at_once { below.max() } else { below.min() }
}

fn reason_to_go(config: &Config, image: &Image, now: Instant) -> String {
    let days = image.created.map(|created| now.millis_since(Instant(created)) / 86_400_000).unwrap_or_default();
    let age = if days == 0 { "less than a day old".to_owned() } else { format!("{} old", count(days, "day")) };
    let launched = match image.last_launched {
        Some(at) => format!("last launched {} (EC2 tells a day late)", Instant(at).date()),
        None => "no launch is known".to_owned(),
    };
    let limit = config.older_than.map(|limit| format!(" and older than {limit}")).unwrap_or_default();
    let newest = grouped(config.keep);
    format!("{age}, {launched}, {}, not in use, beyond the {newest} newest{limit}", standing(image, now))
}

/// Why an image that was to go stays after all, given what it is and what is in use right before it goes.
pub(crate) fn spared(decision: &Decision, now: Option<&Image>, uses: &Uses) -> Option<String> {
    let Some(image) = now else { return Some("it is gone already".to_owned()) };
    if let Some(reason) = uses.get(&decision.id) {
        return Some(format!("since a moment ago, {reason}"));
    }
    if image.state != decision.state {
        return Some(format!("its state was {} a moment ago, and is {}", decision.state, image.state));
    }
    if image.deprecated != decision.deprecated {
        return Some("its deprecation was changed a moment ago".to_owned());
    }
    (image.deregistration_protection != DISABLED).then(|| "it was protected a moment ago".to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use kiln_plugin::aws::Pair;
    use kiln_plugin::aws::ec2::ImageDevice;

    use super::*;
    use crate::config::Family;

    const DAY: u64 = 86_400_000;
    pub(crate) const NOW: Instant = Instant(1000 * DAY);

    /// An image that was made so many days ago.
    pub(crate) fn image(id: &str, name: &str, days: u64) -> Image {
        Image {
            id: id.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            state: "available".to_owned(),
            state_reason: None,
            owner: "111111111111".to_owned(),
            created: Some((1000 - days) * DAY),
            deprecated: None,
            last_launched: None,
            is_public: false,
            architecture: "x86_64".to_owned(),
            root_device: "/dev/xvda".to_owned(),
            devices: Vec::new(),
            tags: Vec::new(),
            source_image: None,
            source_region: None,
            deregistration_protection: "disabled".to_owned(),
        }
    }

    pub(crate) fn of_snapshots(image: Image, ids: &[&str]) -> Image {
        let device = |id: &&str| ImageDevice {
            name: "/dev/xvda".to_owned(),
            snapshot: Some((*id).to_owned()),
            size: Some(8),
            volume_type: "gp3".to_owned(),
            encrypted: false,
            kms_key: None,
        };
        Image { devices: ids.iter().map(device).collect(), ..image }
    }

    pub(crate) fn snapshot(id: &str, days: u64) -> Snapshot {
        Snapshot {
            id: id.to_owned(),
            description: String::new(),
            state: "completed".to_owned(),
            owner: "111111111111".to_owned(),
            started: Some((1000 - days) * DAY),
            size: 8,
            full_size: None,
            encrypted: false,
            kms_key: None,
            tier: "standard".to_owned(),
            tags: Vec::new(),
        }
    }

    pub(crate) fn config() -> Config {
        Config {
            families: vec![Family { names: "web-*".to_owned(), tags: BTreeMap::new() }],
            keep: 0,
            older_than: None,
            keep_launched_within: None,
            rungs: vec![Rung::Deprecate, Rung::Disable, Rung::Deregister],
            at_once: true,
            snapshots: true,
            orphans: false,
            keep_images: Vec::new(),
            parameters: Vec::new(),
            not_looked_at: Vec::new(),
            template_versions: 1,
            report_within: kiln_plugin::Duration::from_secs(86_400),
            report: false,
            most: 50,
            price: 0.05,
        }
    }

    pub(crate) fn account(images: Vec<Image>) -> Account {
        Account { images, ..Account::default() }
    }

    fn decisions(config: &Config, account: &Account) -> Vec<Decision> {
        decide(config, account, NOW, |_| Ok::<_, ()>(None)).unwrap_or_default()
    }

    /// What goes, and how far.
    fn going(config: &Config, account: &Account) -> Vec<(String, Rung)> {
        let going = decisions(config, account).into_iter().filter_map(|decision| match decision.verdict {
            Verdict::To(rung) => Some((decision.id, rung)),
            Verdict::Keep => None,
        });
        going.collect()
    }

    fn ids(config: &Config, account: &Account) -> Vec<String> {
        going(config, account).into_iter().map(|(id, _)| id).collect()
    }

    fn reason(config: &Config, account: &Account, id: &str) -> String {
        let found = decisions(config, account).into_iter().find(|decision| decision.id == id);
        found.map(|decision| decision.reason).unwrap_or_default()
    }

    #[test]
    fn the_oldest_go_first_and_the_newest_of_each_family_stay() {
        let images = vec![image("ami-3", "web-3", 10), image("ami-1", "web-1", 30), image("ami-2", "web-2", 20)];
        let all = account(images);
        assert_eq!(ids(&config(), &all), ["ami-1", "ami-2", "ami-3"]);
        assert_eq!(ids(&Config { keep: 2, ..config() }, &all), ["ami-1"]);
        let families = vec![
            Family { names: "web-*".to_owned(), tags: BTreeMap::new() },
            Family { names: "api-*".to_owned(), tags: BTreeMap::new() },
        ];
        let mut two = all.images.clone();
        two.extend([image("ami-4", "api-4", 90), image("ami-5", "other", 90)]);
        let kept = Config { keep: 1, families, ..config() };
        assert_eq!(ids(&kept, &account(two)), ["ami-1", "ami-2"], "each family has its own newest, and others stay");
    }

    #[test]
    fn what_takes_a_place_among_the_newest() {
        let disabled = Image { state: "disabled".to_owned(), ..image("ami-3", "web-3", 1) };
        let deprecated = Image { deprecated: Some(1), ..image("ami-2", "web-2", 2) };
        let unknown = Image { created: None, ..image("ami-0", "web-0", 0) };
        let keep = Config { keep: 1, ..config() };
        let all = account(vec![image("ami-1", "web-1", 3), deprecated.clone(), disabled.clone()]);
        assert_eq!(ids(&keep, &all), ["ami-1", "ami-3"], "a deprecated one can be gone back to, a disabled one cannot");
        let all = account(vec![image("ami-1", "web-1", 3), unknown]);
        assert_eq!(ids(&keep, &all), ["ami-1"], "one whose age is not known is taken for new");
    }

    #[test]
    fn an_image_goes_down_by_one_rung_or_at_once() {
        let deprecated = Image { deprecated: Some(900 * DAY), ..image("ami-2", "web-2", 90) };
        let later = Image { deprecated: Some(1100 * DAY), ..image("ami-4", "web-4", 70) };
        let disabled = Image { state: "disabled".to_owned(), ..image("ami-3", "web-3", 80) };
        let all = account(vec![image("ami-1", "web-1", 100), deprecated, disabled, later]);
        let by = |rungs: &[Rung], at_once| {
            let config = Config { rungs: rungs.to_vec(), at_once, ..config() };
            going(&config, &all).into_iter().map(|(_, rung)| rung).collect::<Vec<_>>()
        };
        use Rung::{Deprecate, Deregister, Disable};
        let every = [Deprecate, Disable, Deregister];
        assert_eq!(by(&every, false), [Deprecate, Disable, Deregister, Deprecate]);
        assert_eq!(by(&every, true), [Deregister; 4]);
        assert_eq!(
            by(&[Disable, Deprecate], false),
            [Deprecate, Disable, Deprecate],
            "what is disabled goes no further"
        );
        assert_eq!(by(&[Deregister], false), [Deregister; 4]);
        let only = Config { rungs: vec![Deprecate], ..config() };
        assert_eq!(reason(&only, &all, "ami-3"), "it is disabled, and `rungs` leads no further");
    }

    #[test]
    fn each_reason_to_stay_is_told() {
        let tag = |name: &str| vec![Pair { name: name.to_owned(), value: "x".to_owned() }];
        let base = |id: &str| image(id, "web", 100);
        let images = vec![
            base("ami-1"),
            Image { state: "pending".to_owned(), ..base("ami-2") },
            Image { deregistration_protection: "enabled-with-cooldown".to_owned(), ..base("ami-3") },
            Image { created: None, ..base("ami-4") },
            image("ami-5", "web", 10),
            Image { last_launched: Some(971 * DAY), ..base("ami-6") },
            Image { last_launched: Some(969 * DAY), ..base("ami-7") },
            Image { tags: tag("aws:backup:source-resource"), ..base("ami-8") },
            Image { state: "hibernated".to_owned(), ..base("ami-9") },
        ];
        let images: Vec<Image> = images.into_iter().map(|image| Image { name: "web-1".to_owned(), ..image }).collect();
        let uses = Uses::from([("ami-1".to_owned(), "instance i-1 runs it".to_owned())]);
        let all = Account { images, uses, ..Account::default() };
        let config = Config { older_than: "30d".parse().ok(), keep_launched_within: "30d".parse().ok(), ..config() };
        let told = |id: &str| reason(&config, &all, id);
        assert_eq!(told("ami-1"), "instance i-1 runs it");
        assert_eq!(told("ami-2"), "its state is pending");
        assert_eq!(told("ami-3"), "it is protected from being deregistered");
        assert_eq!(told("ami-4"), "nobody knows when it was made");
        assert_eq!(told("ami-5"), "made 1972-09-17, not yet 30d ago");
        assert_eq!(told("ami-6"), "last launched 1972-08-29, not yet 30d ago");
        assert_eq!(told("ami-8"), "AWS Backup manages it");
        assert_eq!(told("ami-9"), "its state is hibernated", "a state that nobody knows");
        assert_eq!(ids(&config, &all), ["ami-7"]);
        let words = told("ami-7");
        assert!(
            words.starts_with("100 days old, last launched 1972-08-27 (EC2 tells a day late), available"),
            "{words}"
        );
    }

    #[test]
    fn a_run_takes_as_many_as_it_may_and_those_that_others_use_do_not_count() {
        let images = (1..=5).map(|number| image(&format!("ami-{number}"), "web-1", 100 - number)).collect();
        let all = account(images);
        let config = Config { most: 2, ..config() };
        let mut asked = Vec::new();
        let decided = decide(&config, &all, NOW, |image| {
            asked.push(image.id.clone());
            Ok::<_, ()>((image.id == "ami-1").then(|| "222222222222 runs it".to_owned()))
        });
        let decided = decided.unwrap_or_default();
        let told: Vec<(&str, &str)> =
            decided.iter().skip(2).map(|decision| (decision.id.as_str(), decision.reason.as_str())).collect();
        let left = "left for the next run, since one takes down at most 2";
        assert_eq!(told, [("ami-1", "222222222222 runs it"), ("ami-4", left), ("ami-5", left)]);
        assert_eq!(asked, ["ami-1", "ami-2", "ami-3"], "of the rest nobody asks");
    }

    #[test]
    fn what_changed_since_the_decision_spares_an_image() {
        let all = account(vec![image("ami-1", "web-1", 100)]);
        let decided = decisions(&config(), &all);
        let Some(decision) = decided.first() else { return assert!(!decided.is_empty()) };
        let of = |now: Option<Image>, uses: &[&str]| {
            let uses: Uses = uses.iter().map(|id| ((*id).to_owned(), "instance i-9 runs it".to_owned())).collect();
            spared(decision, now.as_ref(), &uses)
        };
        let now = || image("ami-1", "web-1", 100);
        assert_eq!(of(Some(now()), &["ami-2"]), None);
        assert_eq!(of(None, &[]).as_deref(), Some("it is gone already"));
        assert_eq!(of(Some(now()), &["ami-1"]).as_deref(), Some("since a moment ago, instance i-9 runs it"));
        let disabled = Image { state: "disabled".to_owned(), ..now() };
        assert_eq!(of(Some(disabled), &[]).as_deref(), Some("its state was available a moment ago, and is disabled"));
        assert!(of(Some(Image { deprecated: Some(1), ..now() }), &[]).is_some());
        let protected = Image { deregistration_protection: "enabled".to_owned(), ..now() };
        assert!(of(Some(protected), &[]).is_some());
    }
}
