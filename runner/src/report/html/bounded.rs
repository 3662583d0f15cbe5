//! A list that keeps its beginning and its end, however much is put in.
//!
//! The main type is [`Bounded`].

use std::collections::VecDeque;

/// The first and the last items of a list; those between are only counted.
#[derive(Debug)]
pub(super) struct Bounded<T> {
    half: usize,
    first: Vec<T>,
    last: VecDeque<T>,
    dropped: u64,
}

impl<T> Bounded<T> {
    /// At most `limit` items.
    pub(super) fn new(limit: usize) -> Self {
        Self { half: limit / 2, first: Vec::new(), last: VecDeque::new(), dropped: 0 }
    }

    /// Put one in behind all others.
    pub(super) fn push(&mut self, item: T) {
        if self.first.len() < self.half {
            self.first.push(item);
            return;
        }
        if self.last.len() == self.half {
            self.last.pop_front();
            self.dropped += 1;
        }
        self.last.push_back(item);
    }

    /// The newest.
    pub(super) fn newest(&self) -> Option<&T> {
        self.last.back().or(self.first.last())
    }

    /// What was kept, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.last)
    }

    /// How many were kept.
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.last.len()
    }

    /// How many were not kept.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        let mut list = Bounded::new(4);
        for number in 0..10 {
            list.push(number);
            assert_eq!(list.newest(), Some(&number));
        }
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), [0, 1, 8, 9]);
        assert_eq!((list.len(), list.dropped()), (4, 6));
        let mut short = Bounded::new(4);
        short.push('a');
        assert_eq!((short.iter().collect::<String>(), short.dropped()), ("a".to_owned(), 0));
    }
}
