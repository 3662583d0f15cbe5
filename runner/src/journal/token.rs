//! Client tokens of AWS calls, derived from a call's place in its run and never random.
//!
//! The main function is [`token`]: the same call of the same run has the same token however often the runner dies.

use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::record::{CallKey, Phase};
use crate::types::RunId;

/// The client token of `call` in `run`: an HMAC-SHA256 in the shape of a UUID (version 8), 36 characters, which fits
/// every token field of AWS.
pub fn token(run: &RunId, call: &CallKey) -> String {
    // A key shorter than HMAC's block of 64 bytes is filled up with zeros, so this is the HMAC under the run's id.
    let mut key = Key::<Hmac<Sha256>>::default();
    for (to, from) in key.iter_mut().zip(run.as_str().bytes()) {
        *to = from;
    }
    let mut mac = Hmac::<Sha256>::new(&key);
    let phase: &[u8] = match call.phase {
        Phase::Run => b"run",
        Phase::Undo => b"undo",
    };
    // No part can hold a zero byte, so no two calls have the same message.
    mac.update(b"kiln client token 1\0");
    mac.update(call.stage.as_str().as_bytes());
    mac.update(b"\0");
    mac.update(phase);
    mac.update(b"\0");
    mac.update(&call.attempt.to_le_bytes());
    mac.update(&call.seq.to_le_bytes());
    let code = mac.finalize().into_bytes();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(code.iter()) {
        *to = *from;
    }
    uuid::Builder::from_bytes(bytes)
        .with_version(uuid::Version::Custom)
        .with_variant(uuid::Variant::RFC4122)
        .into_uuid()
        .to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_token_is_a_pure_function_of_the_call_and_differs_from_every_other() {
        let run: RunId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let other: RunId = "01890a5d-ac96-774b-bcce-b302099a8058".parse().unwrap();
        let mut seen = BTreeSet::new();
        for run in [&run, &other] {
            for stage in ["build", "deploy"] {
                for attempt in 1..4 {
                    for phase in [Phase::Run, Phase::Undo] {
                        for seq in 0..20 {
                            let call = CallKey { stage: stage.parse().unwrap(), attempt, phase, seq };
                            let one = token(run, &call);
                            assert_eq!(one, token(run, &call));
                            assert_eq!(one.len(), 36);
                            assert!(uuid::Uuid::parse_str(&one).is_ok(), "{one}");
                            assert!(seen.insert(one), "two calls have one token: {call:?}");
                        }
                    }
                }
            }
        }
        // Part of the format: a resumed run of an older kiln must derive the same.
        let call = CallKey { stage: "build".parse().unwrap(), attempt: 1, phase: Phase::Run, seq: 0 };
        insta::assert_snapshot!(token(&run, &call));
    }
}
