//! Who calls: access keys, their secrets, session tokens, expiry and the age of a signature.
//!
//! The main function is [`authenticate`]. The simulator knows the secrets of the keys that it hands out and of those in
//! the world file, and verifies what is signed with them. Keys that it does not know belong to strangers, who are let in
//! as users of the world's own account unless the world is strict.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use hyper::body::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use super::policy::Policy;
use super::signature::{Signature, compact, header, signed_at};
use crate::clock::Timestamp;
use crate::error::AwsError;
use crate::service::Service;
use crate::services::sts;
use crate::wire::query::Dialect;
use crate::world::{Caller, World};
use crate::worldfile::Problems;

/// How much older or newer than now a signature may be.
const SKEW: Duration = Duration::from_secs(300);

/// Whose signatures are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verify {
    /// Those of keys whose secret the simulator knows; other keys are let in.
    #[default]
    Known,
    /// Every one: an unknown key is refused.
    Strict,
}

/// An access key of a user in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AccessKeySeed {
    /// The access key's id.
    id: String,
    /// The secret that belongs to it.
    secret: String,
    /// The world's own unless told.
    account: Option<String>,
    /// The user's name.
    #[serde(default = "user")]
    user: String,
    /// The user's IAM policy, in JSON: everything is allowed where there is none.
    policy: Option<Policy>,
}

fn user() -> String {
    "kiln".to_owned()
}

impl AccessKeySeed {
    /// The key that clients take who have none.
    pub(crate) fn anyone() -> Self {
        Self { id: "test".to_owned(), secret: "test".to_owned(), account: None, user: user(), policy: None }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// The users' keys, and how strictly callers are looked at.
#[derive(Debug, Default)]
pub(crate) struct AccessKeys {
    keys: BTreeMap<String, AccessKey>,
    rigour: Rigour,
}

/// How strictly callers are looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rigour {
    pub(crate) verify: Verify,
    /// Whether credentials expire and signatures grow too old: wants callers on the simulator's clock.
    pub(crate) expire: bool,
}

#[derive(Debug)]
struct AccessKey {
    secret: String,
    caller: Caller,
    policy: Option<Policy>,
}

impl AccessKeys {
    pub(crate) fn policy(&self, access_key: &str) -> Option<&Policy> {
        self.keys.get(access_key)?.policy.as_ref()
    }

    /// The policy of the user with this ARN, where the user has one; none where nobody has a key of such a user.
    pub(crate) fn policy_of_user(&self, arn: &str) -> Option<Option<Policy>> {
        let known = self.keys.values().find(|key| key.caller.arn == arn).map(|key| key.policy.clone());
        // Keys that nobody knows are of a user without a policy.
        let mut parts = arn.split(':');
        let (partition, account) = (parts.nth(1).unwrap_or_default(), parts.nth(2).unwrap_or_default());
        let stranger = self.rigour.verify == Verify::Known && Caller::stranger(account, partition).arn == arn;
        known.or(stranger.then_some(None))
    }
}

/// Put the access keys of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[AccessKeySeed], rigour: Rigour, problems: &mut Problems) {
    world.access.rigour = rigour;
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("access-keys", index);
        let account = seed.account.clone().unwrap_or_else(|| world.home.account.clone());
        let mut caller = Caller::stranger(&account, world.home.partition());
        caller.arn = format!("arn:{}:iam::{account}:user/{}", world.home.partition(), seed.user);
        let key = AccessKey { secret: seed.secret.clone(), caller, policy: seed.policy.clone() };
        if world.access.keys.insert(seed.id.clone(), key).is_some() {
            problems.add(&format!("access-keys: {}", seed.id), "the key is there twice");
        }
    }
}

/// Why nobody is known to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nobody has this key, or this token with it.
    Unknown,
    /// The session is over.
    Expired,
    /// The secret is another one, or the request was altered.
    Mismatch,
    /// The signature is too old or too new.
    Skewed(String),
}

impl Refused {
    /// In AWS's words: services that speak Query have other codes than those that speak JSON only.
    pub(crate) fn error(self, service: &Service) -> AwsError {
        if service.dialect == Dialect::Ec2 {
            return self.error_of_ec2();
        }
        let query = service.speaks_query();
        let code = |of_query: &'static str, of_json: &'static str| if query { of_query } else { of_json };
        let (code, message) = match self {
            Refused::Unknown => (
                code("InvalidClientTokenId", "UnrecognizedClientException"),
                "The security token included in the request is invalid.".to_owned(),
            ),
            Refused::Expired => (
                code("ExpiredToken", "ExpiredTokenException"),
                "The security token included in the request is expired".to_owned(),
            ),
            Refused::Mismatch => (
                code("SignatureDoesNotMatch", "InvalidSignatureException"),
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details."
                    .to_owned(),
            ),
            Refused::Skewed(message) => (code("SignatureDoesNotMatch", "InvalidSignatureException"), message),
        };
        AwsError::new(code, message).status(403)
    }

    /// EC2 has codes of its own.
    fn error_of_ec2(self) -> AwsError {
        match self {
            Refused::Unknown => {
                let message = "AWS was not able to validate the provided access credentials";
                AwsError::new("AuthFailure", message).status(401)
            }
            Refused::Expired => AwsError::new("RequestExpired", "Request has expired."),
            Refused::Mismatch => AwsError::new(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            )
            .status(403),
            Refused::Skewed(message) => AwsError::new("RequestExpired", message),
        }
    }
}

/// Who makes this request.
pub(crate) fn authenticate(world: &World, signature: &Signature, request: &Request<Bytes>) -> Result<Caller, Refused> {
    let AccessKeys { keys, rigour } = &world.access;
    if rigour.expire {
        check_age(world, request)?;
    }
    let token = header(request.headers(), "x-amz-security-token");
    let (secret, caller) = match (sts::session(world, &signature.access_key), keys.get(&signature.access_key)) {
        (Some(session), _) => {
            if token != Some(session.token()) {
                return Err(Refused::Unknown);
            }
            if rigour.expire && session.expires() <= world.now {
                return Err(Refused::Expired);
            }
            (session.secret(), session.caller())
        }
        (None, Some(key)) => (key.secret.as_str(), &key.caller),
        (None, None) if rigour.verify == Verify::Strict => return Err(Refused::Unknown),
        (None, None) => return Ok(Caller::stranger(&world.home.account, world.home.partition())),
    };
    if signature.is_right(request, secret) { Ok(caller.clone()) } else { Err(Refused::Mismatch) }
}

/// The refusal of a caller whose clock is late by `behind`.
pub(crate) fn late(now: Timestamp, behind: Duration) -> Refused {
    too_old(&compact(now.before(behind)), now)
}

fn too_old(written: &str, now: Timestamp) -> Refused {
    let (oldest, now) = (compact(now.before(SKEW)), compact(now));
    Refused::Skewed(format!("Signature expired: {written} is now earlier than {oldest} ({now} - 5 min.)"))
}

fn check_age(world: &World, request: &Request<Bytes>) -> Result<(), Refused> {
    let now = compact(world.now);
    let Some((written, signed)) = signed_at(request.headers()) else { return Err(Refused::Mismatch) };
    let (oldest, newest) = (world.now.before(SKEW), world.now + SKEW);
    // A signature has whole seconds.
    if signed.0 + 999 < oldest.0 {
        return Err(too_old(&written, world.now));
    }
    if signed > newest {
        let newest = compact(newest);
        return Err(Refused::Skewed(format!(
            "Signature not yet current: {written} is still later than {newest} ({now} + 5 min.)"
        )));
    }
    Ok(())
}
