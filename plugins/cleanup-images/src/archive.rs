//! Archive before delete: what is to go lies in ECR's archive for a while before it does.
//! The main functions are [`first`], which decides, and [`Archiving::run`], which does it.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ecr_storage::{StoredImage, UpdateImageStorageClassRequest, update_image_storage_class};
use kiln_plugin::{Duration, During, Failure, Instant, count, grouped, log, timer};

use crate::config::Config;
use crate::registry::{self, BATCH, Contents, Uses};
use crate::removal::in_time;
use crate::verdict::{self, ACTIVE, Decision, Verdict};

/// The most images that one run archives: AWS takes one a call, and each call is written down.
const MOST: usize = 1_500;

/// Change the verdicts on what is to go: an image and all that belongs to it is deleted once everything of it that can be archived has
/// lain in the archive for `least`, and is moved there before.
pub(crate) fn first(contents: &Contents, decisions: &mut [Decision], least: Duration, now: Instant) {
    let images: BTreeMap<&str, &StoredImage> =
        contents.images.iter().map(|image| (image.digest.as_str(), image)).collect();
    let doomed: BTreeSet<String> = decisions
        .iter()
        .filter(|decision| decision.verdict == Verdict::Delete)
        .map(|decision| decision.digest.clone())
        .collect();
    let mut waiting: BTreeSet<String> = BTreeSet::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for digest in &doomed {
        if seen.contains(digest.as_str()) {
            continue;
        }
        let together = together(contents, digest, &doomed);
        let lain =
            together.iter().all(|digest| images.get(digest).is_none_or(|image| has_lain(contents, image, least, now)));
        if !lain {
            waiting.extend(together.iter().map(|digest| (*digest).to_owned()));
        }
        seen.extend(together);
    }
    let mut archived = 0;
    for decision in decisions.iter_mut().filter(|decision| waiting.contains(&decision.digest)) {
        let Some(image) = images.get(decision.digest.as_str()) else { continue };
        (decision.verdict, decision.reason) = match image.status.as_str() {
            ACTIVE if can_be_archived(contents, image) && archived < MOST => {
                archived += 1;
                (Verdict::Archive, decision.reason.clone())
            }
            ACTIVE if can_be_archived(contents, image) => (
                Verdict::Keep,
                format!("left for the next run, since one archives at most {}: {}", grouped(MOST), decision.reason),
            ),
            ACTIVE => (Verdict::Keep, format!("stays while what it belongs to is archived for {least}")),
            "ARCHIVED" => {
                let since = image.archived.map(|at| format!(" since {}", Instant(at).date())).unwrap_or_default();
                (Verdict::Keep, format!("in the archive{since}, and goes with all that belongs to it after {least}"))
            }
            other => (Verdict::Keep, format!("its status is {other}")),
        };
    }
    decisions.sort_by_key(|decision| decision.verdict);
}

/// All that goes together with an image.
fn together<'a>(contents: &'a Contents, digest: &'a str, doomed: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    let (mut found, mut queue) = (BTreeSet::from([digest]), vec![digest]);
    while let Some(digest) = queue.pop() {
        for kin in contents.kin.owners(digest).iter().chain(contents.kin.belongings(digest)) {
            if doomed.contains(&kin.digest) && found.insert(&kin.digest) {
                queue.push(&kin.digest);
            }
        }
    }
    found
}

/// What is little besides what it lists or is about must be read to know what belongs to what: it is not archived.
fn can_be_archived(contents: &Contents, image: &StoredImage) -> bool {
    !image.index && !contents.kin.is_referrer(&image.digest)
}

/// Whether an image has lain in the archive for long enough, or is not for the archive.
fn has_lain(contents: &Contents, image: &StoredImage, least: Duration, now: Instant) -> bool {
    let lain = image.archived.is_some_and(|at| now.millis_since(Instant(at)) >= least.as_millis());
    (image.status == "ARCHIVED" && lain) || (image.status == ACTIVE && !can_be_archived(contents, image))
}

/// Moves images to the archive.
pub(crate) struct Archiving<'a> {
    pub(crate) config: &'a Config,
    /// All that stays because something is in use.
    pub(crate) bound: &'a Uses,
}

impl Archiving<'_> {
    /// Move them, the oldest first. Answers how many were moved, or says it where it ends before.
    pub(crate) fn run(&self, images: &[Decision]) -> Result<u64, Failure> {
        let mut archived = 0;
        let end = in_time();
        for batch in images.chunks(BATCH) {
            self.batch(batch, end, &mut archived).map_err(|failure| Failure {
                message: format!(
                    "{} of {} were archived, then it ended: {}",
                    grouped(archived),
                    count(images.len(), "image"),
                    failure.message
                ),
                ..failure
            })?;
        }
        if archived > 0 {
            log::info(format!("archived {} of {}", count(archived, "image"), self.config.repository));
        }
        Ok(archived)
    }

    fn batch(&self, batch: &[Decision], end: u64, archived: &mut u64) -> Result<(), Failure> {
        let repository = &self.config.repository;
        let digests: Vec<String> = batch.iter().map(|decision| decision.digest.clone()).collect();
        let found = registry::look_again(repository, &digests)?;
        let found: BTreeMap<&str, &StoredImage> = found.iter().map(|image| (image.digest.as_str(), image)).collect();
        for decision in batch {
            let Some(image) = found.get(decision.digest.as_str()).filter(|image| image.status == ACTIVE) else {
                continue;
            };
            if let Some(reason) = verdict::spared(self.config, decision, image, self.bound) {
                log::warn(format!("{} is kept: {reason}", decision.name(repository)));
                continue;
            }
            if timer::now() > end {
                return Err(Failure::timed_out("the stage's time is nearly over").help(
                    "Run it again: it goes on with what is left. A longer `timeout` lets one run archive more.",
                ));
            }
            let request = UpdateImageStorageClassRequest {
                repository: repository.clone(),
                digest: decision.digest.clone(),
                storage_class: "ARCHIVE".to_owned(),
            };
            update_image_storage_class(&request).during(format!("archiving {}", decision.name(repository)))?;
            *archived += 1;
        }
        if let [first, .., last] = batch {
            log::info(format!(
                "archived {} so far: up to {} to {}",
                count(*archived, "image"),
                first.name(repository),
                last.name(repository)
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::decide;
    use crate::verdict::tests::{config, contents_with, image, referrer};

    const DAY: u64 = 86_400_000;

    fn archived(digest: &str, tags: &[&str], days: u64) -> StoredImage {
        StoredImage { status: "ARCHIVED".to_owned(), archived: Some((1000 - days) * DAY), ..image(digest, tags, 500) }
    }

    fn verdicts(
        archive_for: Option<&str>,
        images: Vec<StoredImage>,
        parts: &[(&str, &[&str])],
    ) -> Vec<(String, Verdict)> {
        let archive_for = archive_for.and_then(|text| text.parse().ok());
        let config = Config { archive_for, keep: 1, ..config() };
        let decisions = decide(&config, &contents_with(images, parts), &Uses::new(), Instant(1000 * DAY));
        let mut verdicts: Vec<_> = decisions.into_iter().map(|decision| (decision.digest, decision.verdict)).collect();
        verdicts.sort();
        verdicts
    }

    fn expected(verdicts: &[(&str, Verdict)]) -> Vec<(String, Verdict)> {
        verdicts.iter().map(|(digest, verdict)| ((*digest).to_owned(), *verdict)).collect()
    }

    #[test]
    fn what_lies_in_the_archive_stays_there_unless_the_config_says_how_long() {
        let images = || vec![archived("a", &["v1"], 400), image("b", &["v2"], 90), image("c", &["v3"], 1)];
        let (delete, archive, keep) = (Verdict::Delete, Verdict::Archive, Verdict::Keep);
        assert_eq!(verdicts(None, images(), &[]), expected(&[("a", keep), ("b", delete), ("c", keep)]));
        assert_eq!(verdicts(Some("90d"), images(), &[]), expected(&[("a", delete), ("b", archive), ("c", keep)]));
        let late = vec![archived("a", &["v1"], 89), image("c", &["v3"], 1)];
        assert_eq!(verdicts(Some("90d"), late, &[]), expected(&[("a", keep), ("c", keep)]));
    }

    #[test]
    fn an_archived_image_takes_no_place_among_the_newest() {
        let images = vec![archived("a", &["v9"], 1), image("b", &["v1"], 600)];
        let (keep, newest) = (Verdict::Keep, Verdict::Keep);
        assert_eq!(verdicts(Some("90d"), images, &[]), expected(&[("a", keep), ("b", newest)]));
    }

    #[test]
    fn an_image_for_several_platforms_is_archived_by_its_parts_and_goes_whole() {
        let (delete, archive, keep) = (Verdict::Delete, Verdict::Archive, Verdict::Keep);
        let index = || StoredImage { index: true, ..image("i", &["v1"], 500) };
        let parts: &[(&str, &[&str])] = &[("i", &["x", "y"])];
        let of =
            |x: StoredImage, y: StoredImage| vec![index(), x, y, referrer("s", &[], "i", 400), image("z", &["v3"], 1)];
        let first = of(image("x", &[], 500), archived("y", &[], 400));
        assert_eq!(
            verdicts(Some("90d"), first, parts),
            expected(&[("i", keep), ("s", keep), ("x", archive), ("y", keep), ("z", keep)])
        );
        let last = of(archived("x", &[], 400), archived("y", &[], 400));
        assert_eq!(
            verdicts(Some("90d"), last, parts),
            expected(&[("i", delete), ("s", delete), ("x", delete), ("y", delete), ("z", keep)])
        );
    }
}
