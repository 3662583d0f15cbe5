//! Client tokens: what a call with a token made, so that the same call makes it once.
//!
//! The main type is [`Tokens`].

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::world::PlaceKey;

/// A token in its account, region and operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenKey {
    pub(crate) place: PlaceKey,
    pub(crate) action: String,
    pub(crate) token: String,
}

/// What a token meant before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// Nothing, or too long ago.
    None,
    /// The same call; it made the thing of this id.
    Same(String),
    /// A call with another input.
    Different,
}

#[derive(Debug)]
struct Made {
    fingerprint: String,
    id: String,
    expires: Timestamp,
}

/// The tokens that were used.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    made: BTreeMap<TokenKey, Made>,
    forgetful: bool,
}

impl Tokens {
    /// Tokens that mean nothing: an AWS that never was. Whoever proves that something happens once shows with it that the
    /// proof can fail.
    pub(crate) fn forgetful() -> Self {
        Self { made: BTreeMap::new(), forgetful: true }
    }

    pub(crate) fn look(&self, key: &TokenKey, fingerprint: &str, now: Timestamp) -> Earlier {
        match self.made.get(key) {
            Some(made) if made.expires <= now => Earlier::None,
            Some(made) if made.fingerprint == fingerprint => Earlier::Same(made.id.clone()),
            Some(_) => Earlier::Different,
            None => Earlier::None,
        }
    }

    pub(crate) fn put(&mut self, key: TokenKey, fingerprint: String, id: String, expires: Timestamp) {
        if !self.forgetful {
            self.made.insert(key, Made { fingerprint, id, expires });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_means_the_same_call_until_it_expires() {
        let place = PlaceKey { account: "111111111111".into(), region: "us-west-2".into() };
        let key = TokenKey { place, action: "codebuild:StartBuild".into(), token: "t".into() };
        let mut tokens = Tokens::default();
        tokens.put(key.clone(), "input".into(), "web:1".into(), Timestamp(300_000));
        assert_eq!(tokens.look(&key, "input", Timestamp(299_999)), Earlier::Same("web:1".into()));
        assert_eq!(tokens.look(&key, "other", Timestamp(299_999)), Earlier::Different);
        assert_eq!(tokens.look(&key, "input", Timestamp(300_000)), Earlier::None);
        let elsewhere = TokenKey { token: "u".into(), ..key };
        assert_eq!(tokens.look(&elsewhere, "input", Timestamp(0)), Earlier::None);
    }
}
