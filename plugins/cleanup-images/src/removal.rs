//! Deletes what is to go: the oldest first, a hundred a call, each image before what belongs to it.
//! The main type is [`Removal`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kiln_plugin::{Failure, Instant, count, grouped, log, progress, timer};

use crate::config::Config;
use crate::in_use::Search;
use crate::registry::{self, BATCH, Contents, Uses};
use crate::verdict::{self, Decision};

/// What was found to be in use counts for so long, in milliseconds, or four times as long as it took to look: then it is looked again
/// before anything more is deleted.
const FRESH: u64 = 10_000;
/// So long before the stage's time is over nothing more is begun, in milliseconds: a tenth of what there was, but no longer than this, or
/// twice as long as the slowest batch took.
const IN_TIME: u64 = 60_000;
/// With so many images or fewer each has a line of its own.
pub(crate) const FEW: usize = 20;

/// The deletion of what is to go.
pub(crate) struct Removal<'a> {
    config: &'a Config,
    contents: &'a Contents,
    search: Search<'a>,
    queue: Queue<'a>,
    /// All that stays because something is in use, and when it was looked.
    bound: Uses,
    looked: Instant,
    /// How long that counts, in milliseconds.
    fresh: u64,
    /// So long before the stage's time is over nothing more is begun, in milliseconds.
    in_time: u64,
    total: usize,
    done: Done,
}

/// When nothing more is begun, so that the stage ends in time, in milliseconds since the Unix epoch.
pub(crate) fn in_time() -> u64 {
    let (now, deadline) = (timer::now(), timer::deadline());
    deadline.saturating_sub((deadline.saturating_sub(now) / 10).min(IN_TIME))
}

/// What a deletion came to.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The images that were deleted: how people call them, the oldest first.
    pub(crate) deleted: Vec<String>,
    /// How many of those that were to go are gone, by whomever.
    pub(crate) gone: usize,
    failures: Vec<String>,
}

impl<'a> Removal<'a> {
    /// `doomed` is in the order in which it is to go, by what `search` found at `looked`.
    pub(crate) fn new(search: Search<'a>, looked: Instant, doomed: &'a [Decision]) -> Self {
        let Search { config, contents, .. } = search;
        let in_time = timer::deadline().saturating_sub(in_time());
        let queue = Queue::new(contents, doomed);
        Self {
            config,
            contents,
            search,
            queue,
            bound: Uses::new(),
            looked,
            fresh: FRESH,
            in_time,
            total: doomed.len(),
            done: Done::default(),
        }
    }

    /// Delete, and say how far it came where it does not come to the end.
    pub(crate) fn run(mut self) -> Result<Done, Failure> {
        loop {
            self.report();
            let batch = self.queue.next(BATCH);
            if batch.is_empty() {
                break;
            }
            let began = timer::now();
            if timer::deadline().saturating_sub(began) < self.in_time {
                return Err(self.unfinished(Failure::timed_out("the stage's time is nearly over").help(
                    "Run it again: it goes on with what is left. A longer `timeout` lets one run delete more.",
                )));
            }
            if let Err(failure) = self.batch(&batch) {
                return Err(self.unfinished(failure));
            }
            self.in_time = self.in_time.max(timer::now().saturating_sub(began).saturating_mul(2));
        }
        if self.done.failures.is_empty() {
            return Ok(self.done);
        }
        let repository = &self.config.repository;
        let of_all = format!("{} of {} of {repository}", grouped(self.done.failures.len()), count(self.total, "image"));
        Err(Failure::failed(format!("{of_all} could not be deleted; {} were", grouped(self.done.deleted.len())))
            .help("See why below. Running the stage again deletes what is left.")
            .details(self.done.failures))
    }

    fn batch(&mut self, batch: &[&'a Decision]) -> Result<(), Failure> {
        let repository = self.config.repository.as_str();
        // The world may have changed since the decision.
        let now = Instant(timer::now());
        if now.millis_since(self.looked) > self.fresh {
            self.bound = self.contents.kin.bound(self.search.find()?);
            self.looked = Instant(timer::now());
            self.fresh = FRESH.max(self.looked.millis_since(now).saturating_mul(4));
        }
        let digests: Vec<String> = batch.iter().map(|decision| decision.digest.clone()).collect();
        let found = registry::look_again(repository, &digests)?;
        let found: BTreeMap<&str, _> = found.iter().map(|image| (image.digest.as_str(), image)).collect();
        let mut doomed = Vec::new();
        let mut gone = BTreeSet::new();
        for decision in batch {
            match found.get(decision.digest.as_str()) {
                // ECR may tell of what is archived only in its list.
                None if decision.status != verdict::ACTIVE => doomed.push(decision.digest.clone()),
                None => {
                    gone.insert(decision.digest.clone());
                }
                Some(image) => match verdict::spared(self.config, decision, image, &self.bound) {
                    Some(reason) => log::warn(format!("{} is kept: {reason}", decision.name(repository))),
                    None => doomed.push(decision.digest.clone()),
                },
            }
        }
        let outcome = registry::delete(repository, &doomed)?;
        let deleted: Vec<&Decision> =
            batch.iter().copied().filter(|decision| outcome.deleted.contains(&decision.digest)).collect();
        gone.extend(outcome.missing);
        gone.extend(outcome.deleted);
        self.done.gone += gone.len();
        self.done.deleted.extend(deleted.iter().map(|decision| decision.name(repository)));
        self.done.failures.extend(outcome.failures);
        self.tell(&deleted);
        self.queue.release(&gone);
        Ok(())
    }

    /// A line for each of a few images, and for each call where there are many.
    fn tell(&self, deleted: &[&Decision]) {
        let repository = &self.config.repository;
        match deleted {
            [] => {}
            few if self.total <= FEW => {
                for decision in few {
                    log::info(format!("deleted {}: {}", decision.name(repository), decision.reason));
                }
            }
            [first, .., last] => log::info(format!(
                "deleted {}, {} of {} so far: {} to {}",
                count(deleted.len(), "image"),
                grouped(self.done.deleted.len()),
                grouped(self.total),
                first.name(repository),
                last.name(repository)
            )),
            [only] => log::info(format!("deleted {}: {}", only.name(repository), only.reason)),
        }
    }

    fn report(&self) {
        if self.total == 0 {
            return;
        }
        progress::report(&progress::Status {
            message: format!("deleting images of {}", self.config.repository),
            done: u32::try_from(self.done.gone).ok(),
            total: u32::try_from(self.total).ok(),
        });
    }

    /// A failure that ends the stage before it was through: it says how far it came.
    fn unfinished(&self, failure: Failure) -> Failure {
        unfinished(failure, &self.done.deleted, self.total)
    }
}

/// A failure that ends the stage before it was through: it says what went.
pub(crate) fn unfinished(failure: Failure, deleted: &[String], total: usize) -> Failure {
    match deleted {
        [] => failure.detail("nothing was deleted: kiln deletes only while it knows what is in use"),
        deleted => Failure {
            message: format!(
                "{} of {} were deleted, then it ended: {}",
                grouped(deleted.len()),
                count(total, "image"),
                failure.message
            ),
            ..failure
        }
        .detail(format!("deleted: {}; the rest was left alone", few(deleted))),
    }
}

/// A few of many names: the first three and the last.
pub(crate) fn few(names: &[String]) -> String {
    match names {
        [first, second, third, _, .., last] => format!("{first}, {second}, {third}, … {last}"),
        names => names.join(", "),
    }
}

/// The first and the last of many names, without their digests.
pub(crate) fn span(names: &[String]) -> String {
    let short = |name: &String| name.split(" (").next().unwrap_or(name).to_owned();
    match names {
        [] => String::new(),
        [only] => short(only),
        [first, .., last] => format!("{} … {}", short(first), short(last)),
    }
}

/// What is to go, in order. What belongs to an image waits until that is gone: where it stays after all, so does what belongs to it.
struct Queue<'a> {
    contents: &'a Contents,
    /// What waits for nothing, the first to go first.
    ready: VecDeque<&'a Decision>,
    /// What waits, with how many images it waits for.
    waiting: BTreeMap<&'a str, (&'a Decision, usize)>,
}

impl<'a> Queue<'a> {
    fn new(contents: &'a Contents, doomed: &'a [Decision]) -> Self {
        let among: BTreeSet<&str> = doomed.iter().map(|decision| decision.digest.as_str()).collect();
        let (mut ready, mut waiting) = (VecDeque::new(), BTreeMap::new());
        for decision in doomed {
            let owners = contents.kin.owners(&decision.digest).iter();
            match owners.filter(|owner| among.contains(owner.digest.as_str())).count() {
                0 => ready.push_back(decision),
                owners => {
                    waiting.insert(decision.digest.as_str(), (decision, owners));
                }
            }
        }
        Self { contents, ready, waiting }
    }

    /// The next to go, at most so many.
    fn next(&mut self, most: usize) -> Vec<&'a Decision> {
        self.ready.drain(..most.min(self.ready.len())).collect()
    }

    /// These are gone: what belonged to them comes next.
    fn release(&mut self, gone: &BTreeSet<String>) {
        for belonging in gone.iter().flat_map(|digest| self.contents.kin.belongings(digest)) {
            let digest = belonging.digest.as_str();
            let Some((_, owners)) = self.waiting.get_mut(digest) else { continue };
            *owners = owners.saturating_sub(1);
            if *owners == 0
                && let Some((decision, _)) = self.waiting.remove(digest)
            {
                self.ready.push_front(decision);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::{contents_with, doomed_of, image, referrer};

    #[test]
    fn numbers_are_grouped_and_names_are_few() {
        let shown: Vec<String> = [0, 12, 999, 1000, 2776, 1_234_567].map(grouped).into();
        assert_eq!(shown, ["0", "12", "999", "1,000", "2,776", "1,234,567"]);
        let names: Vec<String> = (1..=5).map(|number| number.to_string()).collect();
        assert_eq!(few(&names), "1, 2, 3, … 5");
        assert_eq!(few(&names[..4]), "1, 2, 3, 4");
        assert_eq!(few(&names[..2]), "1, 2");
        let names = ["web:1 (sha256:a)", "web:2 (sha256:b)", "web@sha256:c"].map(str::to_owned);
        assert_eq!((span(&names).as_str(), span(&names[..1]).as_str()), ("web:1 … web@sha256:c", "web:1"));
    }

    #[test]
    fn what_belongs_to_an_image_goes_after_it_and_stays_where_it_stays() {
        let contents = contents_with(
            vec![
                image("a", &["v1"], 9),
                referrer("sig-a", &[], "a", 9),
                referrer("sig-sig-a", &[], "sig-a", 9),
                image("b", &["v2"], 8),
                referrer("sig-b", &[], "b", 8),
            ],
            &[],
        );
        let doomed = doomed_of(&contents);
        let mut queue = Queue::new(&contents, &doomed);
        let names = |batch: &[&Decision]| batch.iter().map(|decision| decision.digest.clone()).collect::<Vec<_>>();
        assert_eq!(names(&queue.next(100)), ["a", "b"]);
        // `b` could not be deleted.
        queue.release(&["a".to_owned()].into());
        assert_eq!(names(&queue.next(100)), ["sig-a"]);
        queue.release(&["sig-a".to_owned()].into());
        assert_eq!(names(&queue.next(100)), ["sig-sig-a"]);
        assert!(queue.next(100).is_empty());
    }

    #[test]
    fn the_oldest_go_first_a_batch_at_a_time() {
        let images = (1..=250).map(|number| image(&format!("{number:03}"), &["v"], 300 - number)).collect();
        let contents = contents_with(images, &[]);
        let doomed = doomed_of(&contents);
        let mut queue = Queue::new(&contents, &doomed);
        let batches: Vec<Vec<&Decision>> =
            std::iter::repeat_with(|| queue.next(BATCH)).take_while(|batch| !batch.is_empty()).collect();
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        let order: Vec<&str> = batches.iter().flatten().map(|decision| decision.digest.as_str()).collect();
        assert!(order.is_sorted(), "{order:?}");
    }
}
