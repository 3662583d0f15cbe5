//! What every AWS operation that stages may ask for declares of itself.
//!
//! The main type is [`Operation`]: a value that holds a request. Each is a [`Read`] or a [`Write`]; a read has no client token, no
//! retry class and no fate. To add one, write its function and records in the WIT, implement both traits for the request record
//! beside the others of its service, and add a line to the service's row of `services!`. Nothing else knows of single operations.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::clients::Clients;
use super::error::AwsError;
use super::look::Look;
use crate::types::Arn;
use crate::types::Place;
pub use crate::types::RetryClass;

/// An AWS operation with its input.
pub trait Operation: Sized + Serialize + fmt::Debug + Send + Sync + 'static {
    /// What AWS answers: a WIT record.
    type Output: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static;

    /// IAM's own name for it: `ecr:DescribeImages`.
    const ACTION: &'static str;

    /// The members of the request that are secret by themselves and never written down, not even as a hash: what is short or
    /// one of a few can be guessed by one. A replay does not compare them.
    const SENSITIVE_REQUEST: &'static [&'static str] = &[];

    /// Whether a stage may ask for it only if it says `reveal = true`.
    const REVEALS: bool = false;

    /// What the permission is checked against. Empty for an action that IAM does not tie to a resource.
    fn resources(&self, at: &Place) -> Vec<Arn>;

    /// The actions that [`requires`](Self::requires) can name: a plugin may declare them.
    const REQUIRES: &'static [&'static str] = &[];

    /// Further access that IAM checks for the same call, such as `ecs:TagResource`: an action and what it is checked against. Roles
    /// that are handed on are told by [`passes`](Self::passes).
    fn requires(&self, _: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        Vec::new()
    }

    /// Whom the operation hands roles to, as `iam:PassedToService` names it. A policy that lets roles be passed has this condition,
    /// and an operation without it can pass none.
    const PASSES_TO: Option<&'static str> = None;

    /// The roles that the request hands to [`PASSES_TO`](Self::PASSES_TO): whoever sends it must be allowed to pass each.
    fn passes(&self, _: &Place) -> Vec<Arn> {
        Vec::new()
    }

    /// References in the request to secrets that AWS itself is to resolve. Each must be of a secret that the stage names:
    /// otherwise one stage could hand on another's.
    fn secret_references(&self) -> Vec<Cow<'_, str>> {
        Vec::new()
    }

    /// The request as the journal keeps it.
    fn journaled(&self) -> Result<Value, serde_json::Error> {
        let mut request = serde_json::to_value(self)?;
        for member in Self::SENSITIVE_REQUEST {
            if let Some(value) = request.get_mut(*member) {
                *value = Value::Null;
            }
        }
        Ok(request)
    }
}

/// An operation that changes nothing: it is sent again whenever that can help.
pub trait Read: Operation {
    /// The members of the answer that are secret by themselves: masked from the moment in which they arrive, and never
    /// written down. A replay asks again, which is why no answer of a write can be secret.
    const SENSITIVE: &'static [&'static str] = &[];

    /// Send it, following pages to their end. Must not be called but by the call path and by a [`Look`].
    fn send(&self, aws: &Clients) -> impl Future<Output = Result<Self::Output, AwsError>> + Send;
}

/// An operation that can change something. Its intent is journaled before it is sent, and what became of it is found out when its
/// answer does not come.
pub trait Write: Operation {
    /// How it is treated when its outcome is not known.
    const RETRY: RetryClass;

    /// For how long AWS knows the client token of an operation of class [`RetryClass::Token`], with time to spare: sent again
    /// later it would be done again.
    const TOKEN_LASTS: Duration = Duration::ZERO;

    /// The reads that [`before`](Self::before) and [`fate`](Self::fate) make, for people who write permissions. A [`Look`] makes
    /// no other, so that none is missing here.
    const LOOKS: &'static [&'static str] = &[];

    /// Send it. `token` is the client token; operations of class [`RetryClass::Token`] give it to AWS. Must not be called but by
    /// the call path.
    fn send(&self, aws: &Clients, token: &Token) -> impl Future<Output = Result<Self::Output, AwsError>> + Send;

    /// What is sent at this instant, by the run's clock in milliseconds since the Unix epoch, where that is something else than what was
    /// asked for: an instant that was still to come then may be over when a run that had stopped goes on.
    fn when_sent(&self, _: u64) -> Option<Self> {
        None
    }

    /// What must be known of the world before it is sent, so that [`fate`](Self::fate) can tell afterwards whether it
    /// happened. Journaled with the intent. Most operations need nothing.
    fn before(&self, _: &Look) -> impl Future<Output = Result<Option<Value>, AwsError>> + Send {
        async { Ok(None) }
    }

    /// Find out what became of it after it was sent and its answer never came. The call path asks again while the answer is that
    /// nothing happened and AWS may not show it yet, so one look is enough here.
    fn fate(
        &self,
        _: &Look,
        asked: &Unanswered<'_>,
    ) -> impl Future<Output = Result<Fate<Self::Output>, AwsError>> + Send {
        let given_up = asked.given_up;
        async move {
            Ok(match Self::RETRY {
                RetryClass::Natural => Fate::SendAgain,
                RetryClass::Token if !given_up => Fate::SendAgain,
                RetryClass::Token | RetryClass::Unsafe => Fate::Unknown {
                    evidence: "nothing tells whether it happened".to_owned(),
                    check: format!("look in CloudTrail for {}", Self::ACTION),
                    likely: None,
                },
            })
        }
    }

    /// Whether one of class [`RetryClass::Natural`] can be sent again without a look, because it means the same whatever others did
    /// meanwhile.
    fn means_the_same_later(&self) -> bool {
        true
    }

    /// The answer to one that was sent again, as it would have been had the first sending been answered: what that did already
    /// must not look like a failure. `before` is what [`before`](Self::before) found.
    fn amend(&self, _: Option<&Value>, output: Self::Output) -> Self::Output {
        output
    }
}

/// A write that was sent, or may have been, and whose answer never came.
#[derive(Debug, Clone, Copy)]
pub struct Unanswered<'a> {
    /// The token that it was sent with.
    pub token: &'a Token,
    /// What [`Write::before`] found.
    pub before: Option<&'a Value>,
    /// When its intent was written, in milliseconds since the Unix epoch by the run's clock.
    pub sent: u64,
    /// How long ago that was at the most, by a clock that counts also while the machine sleeps.
    pub age: Duration,
    /// Whether it is not sent again, whatever is found: that AWS would know it by its token helps nobody then.
    pub given_up: bool,
}

/// What became of a write whose answer never came.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate<T> {
    /// It happened.
    Happened {
        /// What it answered, or would have.
        output: T,
        /// What was found, for people: a sentence without a full stop.
        evidence: String,
    },
    /// Nothing shows that it happened: once AWS would show it, it may be sent.
    NotHappened {
        /// What was found, for people.
        evidence: String,
    },
    /// Whether it happened or not, sending it again does no harm and is answered the same.
    SendAgain,
    /// It cannot be found out: a person must decide.
    Unknown {
        /// What was found, for people.
        evidence: String,
        /// What the person should look at, as an imperative sentence.
        check: String,
        /// What it answered if it happened, where that can be told.
        likely: Option<T>,
    },
}

/// A client token: derived from the run, the stage, the attempt and the call, never random, so that a resumed run sends
/// the same again. 36 characters: it fits every token field of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token that was derived; `crate::journal::token` derives them.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tag by which a thing is found that a call made whose answer never came: its value is the call's token.
pub(crate) const TOKEN_TAG: &str = "kiln:token";

/// IAM's action by which a role is handed to a service.
pub const PASS_ROLE: &str = "iam:PassRole";

/// What most operations declare, one row each: the request, what AWS answers, IAM's name for it, and what the permission is checked
/// against. An operation that declares more has an `impl Operation` of its own.
macro_rules! heads {
    ($($request:ident => $output:ident: $action:literal on |$it:tt, $at:tt| $resources:expr;)*) => {
        $(
            impl $crate::aws::operation::Operation for $request {
                type Output = $output;
                const ACTION: &'static str = $action;

                fn resources(&self, $at: &$crate::types::Place) -> Vec<$crate::types::Arn> {
                    let $it = self;
                    IntoIterator::into_iter($resources).collect()
                }
            }
        )*
    };
}

pub(crate) use heads;
