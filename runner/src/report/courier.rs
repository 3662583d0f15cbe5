//! Takes things to where that may last for ever (a pipe that nobody reads, a terminal that stands still) on a thread of its own, so
//! that whoever hands them over does not stand still as well.
//!
//! The main type is [`Courier`]. What waits has a bound; who meets it decides what to leave out.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// As long as things move, whoever finds no room waits for it; once nothing has moved for so long, nobody does.
const STANDSTILL: Duration = Duration::from_millis(100);
/// How long all who hand things over may be kept waiting together, until everything has been delivered once: a reader that takes a
/// little now and then must not slow down a deployment.
const WAITING: Duration = Duration::from_secs(5);
/// How often whoever waits for the end looks whether that still has a point.
const LOOK: Duration = Duration::from_millis(20);

/// Takes things of one kind, in their order.
pub(crate) struct Courier<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<Queue<T>>,
    changed: Condvar,
}

struct Queue<T> {
    waiting: VecDeque<(T, usize)>,
    /// Of all that waits, and of what is on its way.
    weight: usize,
    on_its_way: bool,
    /// When something was last delivered, or set out while nothing waited.
    moved: Instant,
    /// For how long others may still be kept waiting.
    patience: Duration,
    /// Nothing more will be handed over.
    closed: bool,
    /// The thread has ended.
    gone: bool,
}

impl<T: Send + 'static> Courier<T> {
    /// A courier that takes things to `deliver`.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn start(name: &str, deliver: impl FnMut(T) + Send + 'static) -> io::Result<Self> {
        let state = Queue {
            waiting: VecDeque::new(),
            weight: 0,
            on_its_way: false,
            moved: Instant::now(),
            patience: WAITING,
            closed: false,
            gone: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name(name.to_owned()).spawn(move || carry(&theirs, deliver))?;
        Ok(Self(shared))
    }

    /// Hand `item` over, which weighs so much. Never waits.
    pub(crate) fn bring(&self, item: T, weight: usize) {
        let mut state = self.0.state();
        if state.gone {
            return;
        }
        if state.waiting.is_empty() && !state.on_its_way {
            state.moved = Instant::now();
        }
        state.waiting.push_back((item, weight));
        state.weight += weight;
        self.0.changed.notify_all();
    }

    /// Whether with `weight` more there would be at most `room` on the way. Waits for that as long as things move, and not for long.
    pub(crate) fn has_room(&self, weight: usize, room: usize) -> bool {
        let mut state = self.0.state();
        loop {
            if state.gone || state.weight + weight <= room {
                return true;
            }
            let now = Instant::now();
            let left = STANDSTILL.saturating_sub(now.duration_since(state.moved)).min(state.patience);
            if left.is_zero() {
                return false;
            }
            (state, _) = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state.patience = state.patience.saturating_sub(now.elapsed());
        }
    }

    /// Wait until everything has been delivered, but no longer than nothing has moved for as long as `patience` says from now on. Answers
    /// how much is still on the way.
    pub(crate) fn rest(&self, patience: impl Fn() -> Duration) -> usize {
        let begun = Instant::now();
        let mut state = self.0.state();
        loop {
            let left = state.waiting.len() + usize::from(state.on_its_way);
            if left == 0 || state.gone || state.moved.max(begun).elapsed() >= patience() {
                return left;
            }
            (state, _) = self.0.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Drop for Courier<T> {
    fn drop(&mut self) {
        // It goes on with what waits, for as long as the process lives.
        self.0.state().closed = true;
        self.0.changed.notify_all();
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, Queue<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(T, usize)> {
        let mut state = self.state();
        loop {
            if let Some(next) = state.waiting.pop_front() {
                state.on_its_way = true;
                return Some(next);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn delivered(&self, weight: usize) {
        let mut state = self.state();
        state.on_its_way = false;
        state.weight -= weight;
        state.moved = Instant::now();
        if state.waiting.is_empty() {
            state.patience = WAITING;
        }
        self.changed.notify_all();
    }
}

/// The courier's own work.
fn carry<T>(shared: &Shared<T>, mut deliver: impl FnMut(T)) {
    let _end = EndGuard(shared);
    while let Some((item, weight)) = shared.next() {
        deliver(item);
        shared.delivered(weight);
    }
}

/// Says that the thread has ended, also by a panic: nobody waits for it then.
struct EndGuard<'a, T>(&'a Shared<T>);

impl<T> Drop for EndGuard<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.gone = true;
        state.on_its_way = false;
        state.waiting.clear();
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const ROOM: usize = 100;

    #[test]
    fn a_reader_that_keeps_up_gets_everything_in_order() {
        let (sender, received) = mpsc::channel();
        let courier = Courier::start("test", move |number: u32| sender.send(number).unwrap()).unwrap();
        for number in 0..100_000 {
            assert!(courier.has_room(1, ROOM), "{number}");
            courier.bring(number, 1);
        }
        assert_eq!(courier.rest(|| Duration::from_secs(10)), 0);
        assert!(received.try_iter().eq(0..100_000));
    }

    #[test]
    fn a_reader_that_stands_still_keeps_nobody_waiting_and_gets_what_was_brought_when_it_goes_on() {
        let (go_on, stop) = mpsc::channel::<()>();
        let (sender, received) = mpsc::channel();
        let courier = Courier::start("test", move |number: u32| {
            let _ = stop.recv();
            sender.send(number).unwrap();
        })
        .unwrap();
        let begun = Instant::now();
        let mut brought = Vec::new();
        for number in 0..100_000 {
            if courier.has_room(1, ROOM) {
                courier.bring(number, 1);
                brought.push(number);
            }
        }
        assert_eq!(brought.len(), ROOM);
        courier.bring(u32::MAX, 1_000_000);
        assert!(begun.elapsed() < 10 * STANDSTILL, "{:?}", begun.elapsed());
        let begun = Instant::now();
        assert_eq!(courier.rest(|| Duration::from_millis(200)), ROOM + 1);
        assert!((200..2_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        drop(go_on);
        assert_eq!(courier.rest(|| Duration::from_secs(10)), 0);
        brought.push(u32::MAX);
        assert!(received.try_iter().eq(brought));
        assert!(courier.has_room(1, ROOM));
    }

    #[test]
    fn a_reader_that_takes_a_little_now_and_then_costs_a_bounded_time() {
        let courier = Courier::start("test", |_: u32| thread::sleep(STANDSTILL / 2)).unwrap();
        let begun = Instant::now();
        let brought = (0..1_000).filter(|number| {
            let has_room = courier.has_room(1, 10);
            if has_room {
                courier.bring(*number, 1);
            }
            has_room
        });
        let brought = brought.count();
        assert!(begun.elapsed() < WAITING + 4 * STANDSTILL, "{:?}", begun.elapsed());
        assert!(brought > 50, "as long as it waited, nothing was left out: {brought}");
    }

    #[test]
    fn a_courier_that_fell_keeps_nobody_waiting() {
        let courier = Courier::start("test", |_: u32| std::panic::resume_unwind(Box::new("fell"))).unwrap();
        courier.bring(0, 1_000);
        assert_eq!(courier.rest(|| Duration::from_secs(10)), 0);
        assert!(courier.has_room(1, 1));
        courier.bring(0, 1);
        assert_eq!(courier.rest(|| Duration::from_secs(10)), 0);
    }
}
