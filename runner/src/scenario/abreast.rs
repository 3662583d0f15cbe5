//! Several items of a list are worked at side by side, and what comes of them is told in the order of the list.
//!
//! The main function is [`abreast`].

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Do `work` for all `items`, at most `workers` of them at a time, each on a thread that does nothing else meanwhile. `done` is told of
/// each in the order of the list, as soon as all before it are done. Work that panics stops no other: `broken` says what comes of it.
pub(super) fn abreast<I: Sync, R: Send>(
    items: &[I],
    workers: usize,
    work: impl Fn(&I) -> R + Sync,
    broken: impl Fn(&I, String) -> R + Sync,
    mut done: impl FnMut(&R),
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let toil = |results: mpsc::Sender<(usize, R)>| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            // What the work shares with others are caches and the engine, which a panic leaves whole.
            let result = catch_unwind(AssertUnwindSafe(|| work(item)));
            let result = result.unwrap_or_else(|panic| broken(item, words(panic.as_ref())));
            if results.send((index, result)).is_err() {
                return;
            }
        }
    };
    let mut all = Vec::with_capacity(items.len());
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let begin = |_: &usize| {
            let (sender, toil) = (sender.clone(), &toil);
            thread::Builder::new().name("scenario".to_owned()).spawn_scoped(scope, move || toil(sender)).is_ok()
        };
        if (0..workers.min(items.len())).filter(begin).count() == 0 {
            // Where there are no threads to be had, it is done here.
            toil(sender.clone());
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        for (index, result) in receiver {
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(&all.len()) {
                done(&result);
                all.push(result);
            }
        }
    });
    all
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it does not say why".to_owned())
}

#[cfg(test)]
#[expect(clippy::panic, clippy::indexing_slicing, reason = "a test of panics")]
mod tests {
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Duration;

    use super::*;

    /// How many are at work, and how many ever were at once.
    #[derive(Default)]
    struct Crowd {
        now: Mutex<(usize, usize)>,
        grown: Condvar,
    }

    impl Crowd {
        /// Come, wait until `wanted` are here or ever were, and go. Whether they were.
        fn meet(&self, wanted: usize) -> bool {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            now.0 += 1;
            now.1 = now.1.max(now.0);
            self.grown.notify_all();
            let waited = self.grown.wait_timeout_while(now, Duration::from_secs(20), |now| now.1 < wanted);
            let (mut now, _) = waited.unwrap_or_else(PoisonError::into_inner);
            now.0 -= 1;
            now.1 >= wanted
        }

        fn most(&self) -> usize {
            self.now.lock().unwrap_or_else(PoisonError::into_inner).1
        }
    }

    fn none(_: &u64, panic: String) -> String {
        panic
    }

    #[test]
    fn as_many_as_may_be_are_at_work_at_once_and_no_more() {
        let crowd = Crowd::default();
        let met = abreast(&[0_u64; 12], 3, |_| crowd.meet(3), |_, _| false, |_| ());
        assert_eq!((met, crowd.most()), (vec![true; 12], 3));
    }

    #[test]
    fn they_are_told_in_the_order_of_the_list_whoever_is_done_first() {
        let items: Vec<u64> = (0..20).collect();
        let mut told = Vec::new();
        let slow_first = |item: &u64| {
            thread::sleep(Duration::from_millis(20 - item));
            item.to_string()
        };
        let all = abreast(&items, 8, slow_first, none, |one| told.push(one.clone()));
        let expected: Vec<String> = items.iter().map(u64::to_string).collect();
        assert_eq!((&all, &told), (&expected, &expected));
        assert_eq!(abreast(&[], 8, slow_first, none, |_| ()), [""; 0]);
        assert_eq!(abreast(&items, 0, slow_first, none, |_| ()), expected, "somebody does it in any case");
    }

    #[test]
    fn one_that_panics_stops_no_other() {
        let work = |item: &u64| {
            assert_ne!(*item, 1, "one is wrong");
            if *item == 3 { panic!("three") } else { item.to_string() }
        };
        let all = abreast(&[0, 1, 2, 3, 4], 2, work, none, |_| ());
        assert!(all[1].contains("one is wrong"), "{all:?}");
        assert_eq!((all[0].as_str(), all[2].as_str(), all[3].as_str(), all[4].as_str()), ("0", "2", "three", "4"));
    }
}
