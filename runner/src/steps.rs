//! Counts what the host does for a guest or a file, so that it comes to an end whatever they are made of.
//!
//! The main type is [`Steps`]. Steps are counted and never timed: the same input is refused on every machine or on none, and a
//! rehearsal stays what it was.

use std::cell::Cell;

/// So many bytes of text cost a step.
const BYTES: usize = 16;

/// How many steps some work may still take. What a step is, is for whoever counts to say: about a look at a value, or 16 bytes
/// that are copied.
#[derive(Debug)]
pub(crate) struct Steps {
    allowed: u64,
    /// None where more was asked for than was left.
    left: Cell<Option<u64>>,
}

/// The work would take more steps than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent;

impl Steps {
    /// So many.
    pub(crate) fn of(allowed: u64) -> Self {
        Self { allowed, left: Cell::new(Some(allowed)) }
    }

    /// As many as are left, but no more than `most`: for one part of the work. What it took is taken by [`Self::join`].
    pub(crate) fn part(&self, most: u64) -> Self {
        Self::of(self.left.get().unwrap_or_default().min(most))
    }

    /// Take what a part of the work took.
    pub(crate) fn join(&self, part: &Self) -> Result<(), Spent> {
        self.take(part.taken())
    }

    /// Take some. Once there were too few, there are none.
    pub(crate) fn take(&self, steps: u64) -> Result<(), Spent> {
        let left = self.left.get().and_then(|left| left.checked_sub(steps));
        self.left.set(left);
        left.map(|_| ()).ok_or(Spent)
    }

    /// Whether there are none left.
    pub(crate) fn are_spent(&self) -> bool {
        self.left.get().unwrap_or_default() == 0
    }

    /// What it costs to look at so many bytes of text.
    pub(crate) fn for_text(bytes: usize) -> u64 {
        1 + (bytes / BYTES) as u64
    }

    /// How many may be taken in all.
    pub(crate) fn allowed(&self) -> u64 {
        self.allowed
    }

    /// How many were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.allowed - self.left.get().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_stays_spent() {
        let steps = Steps::of(10);
        assert_eq!(steps.take(7), Ok(()));
        assert!(!steps.are_spent());
        assert_eq!((steps.taken(), steps.allowed()), (7, 10));
        assert_eq!(steps.take(4), Err(Spent));
        assert_eq!(steps.take(1), Err(Spent), "nothing cheaper is done instead");
        assert_eq!(steps.take(u64::MAX), Err(Spent));
        assert_eq!(steps.taken(), 10);
        assert!(steps.are_spent());
    }

    #[test]
    fn a_part_has_no_more_than_the_whole() {
        let steps = Steps::of(10);
        let part = steps.part(4);
        assert_eq!((part.take(3), steps.join(&part)), (Ok(()), Ok(())));
        assert_eq!(steps.part(100).allowed(), 7);
        let all = steps.part(100);
        assert_eq!(all.take(8), Err(Spent));
        assert_eq!(steps.join(&all), Ok(()), "it had what there was");
        assert_eq!((steps.taken(), steps.are_spent()), (10, true));
    }
}
