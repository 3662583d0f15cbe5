//! Ids that look random and are not: the same seed and the same requests give the same ids.
//!
//! The main type is [`Ids`]. Each kind of thing counts by itself, so that what one stage does never changes the ids that
//! another one sees.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// A source of ids.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    seed: u64,
    counts: BTreeMap<String, u64>,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counts: BTreeMap::new() }
    }

    /// 32 fresh bytes for the next thing of this kind, such as `codebuild/build/web-image`.
    pub(crate) fn bytes(&mut self, kind: &str) -> [u8; 32] {
        let count = self.counts.entry(kind.to_owned()).or_default();
        *count += 1;
        Sha256::digest(format!("{}\n{kind}\n{count}", self.seed)).into()
    }

    /// `digits` lower-case hexadecimal digits, at most 64.
    pub(crate) fn hex(&mut self, kind: &str, digits: usize) -> String {
        let mut text = hex(&self.bytes(kind));
        text.truncate(digits);
        text
    }

    /// A UUID of version 4.
    pub(crate) fn uuid(&mut self, kind: &str) -> String {
        let bytes = self.bytes(kind);
        let mut head = [0; 16];
        for (to, from) in head.iter_mut().zip(bytes) {
            *to = from;
        }
        uuid::Builder::from_random_bytes(head).into_uuid().to_string()
    }

    /// A number from 0 to below 1.
    pub(crate) fn share(&mut self, kind: &str) -> f64 {
        let head = self.bytes(kind).into_iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(byte));
        f64::from(head) / (f64::from(u32::MAX) + 1.0)
    }

    /// `length` characters of `alphabet` (ASCII), at most 32.
    pub(crate) fn characters(&mut self, kind: &str, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let pick = |byte: u8| alphabet.get(usize::from(byte) % alphabet.len().max(1)).copied();
        self.bytes(kind).into_iter().take(length).filter_map(pick).collect()
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // INVARIANT: writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of `bytes`, in lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_whatever_else_is_asked() {
        let mut one = Ids::new(7);
        let mut two = Ids::new(7);
        two.uuid("other");
        assert_eq!(one.uuid("build"), two.uuid("build"));
        assert_ne!(one.uuid("build"), Ids::new(8).uuid("build"));
        assert_eq!(one.hex("x", 6).len(), 6);
    }
}
