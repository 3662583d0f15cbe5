//! Lifecycle policies: which images a repository's rules let go.
//!
//! The main type is [`LifecyclePolicy`]; [`LifecyclePolicy::apply`] is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::state::{Image, wildcard};
use crate::clock::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);
/// A pattern may hold so many stars.
const STARS: usize = 4;

/// A policy that was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LifecyclePolicy {
    rules: Vec<LifecycleRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LifecycleRule {
    rule_priority: u64,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    selection: Selection,
    action: RuleAction,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Selection {
    tag_status: SelectedTags,
    #[serde(default)]
    tag_prefix_list: Vec<String>,
    #[serde(default)]
    tag_pattern_list: Vec<String>,
    storage_class: Option<StorageClass>,
    count_type: CountType,
    count_unit: Option<CountUnit>,
    count_number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SelectedTags {
    Tagged,
    Untagged,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StorageClass {
    Standard,
    Archive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum CountType {
    ImageCountMoreThan,
    SinceImagePushed,
    SinceImagePulled,
    SinceImageTransitioned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CountUnit {
    Days,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RuleAction {
    r#type: ActionType,
    target_storage_class: Option<StorageClass>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActionType {
    Expire,
    Transition,
}

/// What a rule does with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LifecycleEffect {
    Expires,
    IsArchived,
}

/// An image that a rule has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) digest: String,
    pub(super) effect: LifecycleEffect,
    /// The rule's priority.
    pub(super) priority: u64,
}

impl LifecyclePolicy {
    /// Read a policy's text, or tell what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut policy: LifecyclePolicy = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if policy.rules.is_empty() {
            return Err("a policy has at least one rule".to_owned());
        }
        policy.rules.sort_by_key(|rule| rule.rule_priority);
        for rule in &policy.rules {
            rule.check().map_err(|wrong| format!("rule {}: {wrong}", rule.rule_priority))?;
        }
        policy.check()?;
        Ok(policy)
    }

    /// What holds between rules.
    fn check(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        if self.rules.iter().any(|rule| rule.rule_priority == 0 || !seen.insert(rule.rule_priority)) {
            return Err("each rule has a priority of its own, from 1 on".to_owned());
        }
        let of = |status: SelectedTags, class: StorageClass| {
            let fits = |rule: &&LifecycleRule| rule.selection.tag_status == status && rule.class() == class;
            self.rules.iter().filter(fits).count()
        };
        for class in [StorageClass::Standard, StorageClass::Archive] {
            if of(SelectedTags::Untagged, class) > 1 || of(SelectedTags::Any, class) > 1 {
                return Err("one rule of a storage class selects untagged images, and one any".to_owned());
            }
            let mut ordered = self.rules.iter().filter(|rule| rule.class() == class).rev().skip(1);
            if ordered.any(|rule| rule.selection.tag_status == SelectedTags::Any) {
                return Err("the rule for any tag status has the highest priority number".to_owned());
            }
        }
        Ok(())
    }

    /// The images that go, or are archived, at `now`: each by one rule at most. What is part of an image that stays, stays.
    pub(super) fn apply(&self, images: &BTreeMap<String, Image>, now: Timestamp) -> Vec<Chosen> {
        let mut taken: BTreeSet<&str> = BTreeSet::new();
        let mut chosen = Vec::new();
        for rule in &self.rules {
            let effect = match rule.action.r#type {
                ActionType::Expire => LifecycleEffect::Expires,
                ActionType::Transition => LifecycleEffect::IsArchived,
            };
            let mut matching: Vec<&Image> = images.values().filter(|image| rule.selects(image)).collect();
            matching.sort_by(|one, other| other.pushed.cmp(&one.pushed).then_with(|| one.digest.cmp(&other.digest)));
            // Images that another rule has chosen count, and are not chosen again.
            let counted = matching.iter().enumerate().filter(|(place, image)| rule.is_due(*place, image, now));
            let counted: Vec<&str> = counted.map(|(_, image)| image.digest.as_str()).collect();
            for digest in counted.iter().filter(|digest| !taken.contains(*digest)) {
                chosen.push(Chosen { digest: (*digest).to_owned(), effect, priority: rule.rule_priority });
            }
            // What a rule's tags match is no other rule's any more.
            let by_tags = rule.selection.tag_status != SelectedTags::Any;
            taken.extend(matching.iter().filter(|_| by_tags).map(|image| image.digest.as_str()));
            taken.extend(counted);
        }
        while let Some(place) = chosen.iter().position(|one| is_held(images, &chosen, &one.digest)) {
            chosen.remove(place);
        }
        chosen
    }
}

/// Whether an image is part of one that stays.
fn is_held(images: &BTreeMap<String, Image>, chosen: &[Chosen], digest: &str) -> bool {
    let stays = |whole: &&Image| !chosen.iter().any(|one| one.digest == whole.digest);
    images.values().filter(stays).any(|whole| whole.lists.contains(digest))
}

impl LifecycleRule {
    fn class(&self) -> StorageClass {
        self.selection.storage_class.unwrap_or(StorageClass::Standard)
    }

    fn check(&self) -> Result<(), String> {
        let Selection { tag_status, tag_prefix_list, tag_pattern_list, count_type, count_unit, count_number, .. } =
            &self.selection;
        let lists = usize::from(!tag_prefix_list.is_empty()) + usize::from(!tag_pattern_list.is_empty());
        let wanted = usize::from(*tag_status == SelectedTags::Tagged);
        if lists != wanted {
            return Err("tagPrefixList or tagPatternList goes with the tagStatus tagged, and only with it".to_owned());
        }
        if tag_pattern_list.iter().any(|pattern| pattern.matches('*').count() > STARS) {
            return Err(format!("a tag pattern has at most {STARS} wildcards"));
        }
        if *count_number == 0 {
            return Err("countNumber is at least 1".to_owned());
        }
        if (*count_type == CountType::ImageCountMoreThan) == count_unit.is_some() {
            return Err("countUnit goes with counts of days, and only with them".to_owned());
        }
        let archived = *count_type == CountType::SinceImageTransitioned;
        if archived != (self.class() == StorageClass::Archive) {
            return Err("sinceImageTransitioned goes with the storageClass archive, and only with it".to_owned());
        }
        match (self.action.r#type, self.action.target_storage_class) {
            (ActionType::Expire, None) if *count_type != CountType::SinceImagePulled => Ok(()),
            (ActionType::Expire, None) => Err("sinceImagePulled goes with the action transition".to_owned()),
            (ActionType::Transition, Some(StorageClass::Archive)) if !archived => Ok(()),
            (ActionType::Expire | ActionType::Transition, _) => {
                Err("a transition has the targetStorageClass archive, and nothing else has one".to_owned())
            }
        }
    }

    /// Whether the rule's tags and storage class are the image's.
    fn selects(&self, image: &Image) -> bool {
        let Selection { tag_status, tag_prefix_list, tag_pattern_list, .. } = &self.selection;
        let class = if image.storage.is_archived() { StorageClass::Archive } else { StorageClass::Standard };
        let some = |fits: &dyn Fn(&str) -> bool| image.tags.iter().any(|tag| fits(tag));
        class == self.class()
            && match tag_status {
                SelectedTags::Any => true,
                SelectedTags::Untagged => image.tags.is_empty(),
                SelectedTags::Tagged => {
                    tag_prefix_list.iter().all(|prefix| some(&|tag| tag.starts_with(prefix.as_str())))
                        && tag_pattern_list.iter().all(|pattern| some(&|tag| wildcard(pattern, tag)))
                }
            }
    }

    /// Whether an image that the rule selects, at this place of the newest first, is due.
    fn is_due(&self, place: usize, image: &Image, now: Timestamp) -> bool {
        let Selection { count_type, count_number, .. } = &self.selection;
        let since = match count_type {
            CountType::ImageCountMoreThan => return place as u64 >= *count_number,
            CountType::SinceImagePushed => Some(image.pushed),
            CountType::SinceImagePulled => Some(image.pulled.unwrap_or(image.pushed)),
            CountType::SinceImageTransitioned => image.storage.archived,
        };
        since.is_some_and(|since| now.since(since).as_secs() > count_number.saturating_mul(DAY.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::Storage;
    use super::*;

    fn image(name: &str, tags: &[&str], pushed: u64, pulled: Option<u64>) -> Image {
        let day = |days: u64| Timestamp(days * 86_400_000);
        Image {
            digest: name.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            manifest: String::new(),
            media_type: String::new(),
            artifact_media_type: None,
            lists: BTreeSet::new(),
            subject: None,
            size: 1,
            pushed: day(pushed),
            pulled: pulled.map(day),
            storage: Storage::default(),
            built: false,
            replicas: Vec::new(),
            scan: None,
        }
    }

    fn rule(priority: u64, selection: &str, action: &str) -> String {
        format!(r#"{{"rulePriority":{priority},"selection":{{{selection}}},"action":{{{action}}}}}"#)
    }

    fn policy(rules: &[String]) -> Result<LifecyclePolicy, String> {
        LifecyclePolicy::parse(&format!(r#"{{"rules":[{}]}}"#, rules.join(",")))
    }

    const EXPIRE: &str = r#""type":"expire""#;
    const ARCHIVE: &str = r#""type":"transition","targetStorageClass":"archive""#;
    const OLD: &str = r#""countType":"sinceImagePushed","countUnit":"days","countNumber":10"#;

    fn applied(rules: &[String], images: &[Image]) -> Result<Vec<(String, LifecycleEffect)>, String> {
        let images = images.iter().map(|image| (image.digest.clone(), image.clone())).collect();
        let chosen = policy(rules)?.apply(&images, Timestamp(100 * 86_400_000));
        Ok(chosen.into_iter().map(|chosen| (chosen.digest, chosen.effect)).collect())
    }

    #[test]
    fn the_newest_of_a_pattern_stay_and_a_rule_of_a_higher_priority_keeps_its_images_from_the_others()
    -> Result<(), String> {
        let images = [
            image("a", &["release-1"], 1, None),
            image("b", &["release-2"], 2, None),
            image("c", &["main-1"], 3, None),
            image("d", &[], 95, None),
        ];
        let newest =
            r#""tagStatus":"tagged","tagPatternList":["release-*"],"countType":"imageCountMoreThan","countNumber":1"#;
        let any = format!(r#""tagStatus":"any",{OLD}"#);
        let rules = [rule(1, newest, EXPIRE), rule(2, &any, EXPIRE)];
        let expired = |digest: &str| (digest.to_owned(), LifecycleEffect::Expires);
        assert_eq!(applied(&rules, &images)?, [expired("a"), expired("c")]);
        Ok(())
    }

    #[test]
    fn an_image_that_was_never_pulled_counts_from_its_push_and_parts_stay_with_the_whole() -> Result<(), String> {
        let mut whole = image("whole", &["v1"], 1, Some(95));
        whole.lists.insert("part".to_owned());
        let images = [whole, image("part", &[], 1, None), image("unused", &["v2"], 1, None)];
        let pulled = r#""tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":10"#;
        let archived = applied(&[rule(1, pulled, ARCHIVE)], &images)?;
        assert_eq!(archived, [("unused".to_owned(), LifecycleEffect::IsArchived)]);
        Ok(())
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let with = |selection: &str, action: &str| policy(&[rule(1, selection, action)]).is_err();
        let tagged = r#""tagStatus":"tagged""#;
        let pulled = r#""tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":10"#;
        assert!(with(&format!("{tagged},{OLD}"), EXPIRE), "tagged without tags");
        assert!(with(&format!(r#"{tagged},"tagPatternList":["*a*b*c*d*"],{OLD}"#), EXPIRE), "too many stars");
        assert!(with(pulled, EXPIRE), "pulled images are archived only");
        assert!(with(&format!(r#""tagStatus":"any",{OLD}"#), r#""type":"transition""#), "no class");
        assert!(with(r#""tagStatus":"any","countType":"imageCountMoreThan","countNumber":0"#, EXPIRE), "none");
        assert!(with(
            r#""tagStatus":"any","countType":"imageCountMoreThan","countUnit":"days","countNumber":1"#,
            EXPIRE
        ));
        let (any, untagged) = (format!(r#""tagStatus":"any",{OLD}"#), format!(r#""tagStatus":"untagged",{OLD}"#));
        assert!(policy(&[rule(1, &any, EXPIRE), rule(2, &untagged, EXPIRE)]).is_err(), "any comes last");
        assert!(policy(&[rule(1, &untagged, EXPIRE), rule(1, &any, EXPIRE)]).is_err(), "one priority each");
        assert!(policy(&[rule(1, &untagged, EXPIRE), rule(2, &any, EXPIRE)]).is_ok());
        assert!(policy(&[]).is_err());
    }
}
