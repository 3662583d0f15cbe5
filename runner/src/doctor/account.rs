//! Whose credentials there are, what time it is where AWS is, and whether a pipeline's roles and its store can be had.
//!
//! The main type is [`Account`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kiln_span::{duration, millis};
use tokio::task::JoinSet;

use super::examine::MachineSetup;
use super::way::variable;
use crate::aws::clients::{AssumedRole, Connection};
use crate::aws::error::NO_CREDENTIALS;
use crate::aws::heard::Heard;
use crate::aws::network;
use crate::contract::bindings::kiln::aws_sts::sts::GetCallerIdentityResponse as Identity;
use crate::event::{Event, EventKind};
use crate::pipeline::{Environment, Pipeline};
use crate::report::Report;
use crate::report::health::{Health, Observation};
use crate::run::{IdentityQuestion, RunError, ask_identity};
use crate::secrets::redact::Redactor;
use crate::store::{Table, instant, list_shared};
use crate::types::{EnvironmentName, Region};

const CREDENTIALS: &str = "credentials";
const CLOCK: &str = "clock";
const STORE: &str = "store";

/// Who is in a role only to see whether it can be had may do nothing in it.
const NOTHING_ALLOWED: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// What is asked, and by which way.
pub(super) struct Account<'a> {
    pub(super) surroundings: &'a MachineSetup,
    /// Without one, what keeps it from being made.
    pub(super) connection: Result<Connection, Observation>,
    pub(super) region: Region,
    /// Whether the region was named by somebody.
    pub(super) region_named: bool,
    pub(super) redactor: &'a Redactor,
}

impl Account<'_> {
    /// What AWS says.
    pub(super) async fn look(self) -> Vec<Observation> {
        let connection = match &self.connection {
            _ if self.surroundings.offline => {
                return self
                    .unasked(Observation::skipped(CREDENTIALS, format!("not asked for; {}", sources())), "not asked");
            }
            Ok(connection) => connection,
            Err(in_the_way) => return self.unasked(in_the_way.clone(), "AWS was not asked"),
        };
        let asking = Asking::of(&self, connection);
        let identity = match asking.clone().identity(self.region.clone(), None).await {
            Ok(identity) => identity,
            Err(refused) => {
                let mut seen =
                    vec![Observation::problem(CREDENTIALS, refused.says, refused.advice), clock(connection.heard())];
                seen.extend(self.left_out("without credentials nobody can ask"));
                return seen;
            }
        };
        let mut seen = vec![credentials(&identity, connection), clock(connection.heard())];
        let (store, environments) = tokio::join!(self.store(connection), self.environments(&asking, &identity));
        seen.push(store);
        seen.extend(environments);
        seen
    }

    /// Of what only AWS knows, that it was not asked.
    fn unasked(&self, credentials: Observation, why: &str) -> Vec<Observation> {
        let mut seen = vec![credentials, Observation::skipped(CLOCK, why)];
        seen.extend(self.left_out(why));
        seen
    }

    /// Of store and environments, that nobody was asked.
    fn left_out(&self, why: &str) -> Vec<Observation> {
        let store = match self.address() {
            Some(address) => Observation::skipped(STORE, format!("{address}: {why}")),
            None => no_store(),
        };
        let environments = self.pipeline().into_iter().flat_map(|pipeline| pipeline.environments.keys());
        std::iter::once(store).chain(environments.map(|name| Observation::skipped(subject_of(name), why))).collect()
    }

    fn pipeline(&self) -> Option<&Pipeline> {
        self.surroundings.pipeline.as_ref()
    }

    fn address(&self) -> Option<&crate::types::StoreAddress> {
        self.surroundings.store.as_ref().or_else(|| self.pipeline()?.store.as_ref())
    }

    /// Whether the table can be read, where runs are shared.
    async fn store(&self, connection: &Connection) -> Observation {
        let Some(address) = self.address() else { return no_store() };
        if address.region().is_none() && !self.region_named {
            let help =
                format!("write it as dynamodb://REGION/{}, or give --region, or set AWS_REGION", address.table());
            return Observation::problem(STORE, format!("it is not known in which region {address} is"), help);
        }
        let table = Table::open(connection, address, &self.region).await;
        let shown = table.address().to_string();
        let observation = match tokio::time::timeout(self.surroundings.patience, list_shared(&table, 1)).await {
            Ok(Ok(_)) => {
                Observation::ok(STORE, format!("{shown} can be read; whether it can be written to was not tried"))
            }
            Ok(Err(error)) => {
                let help = error
                    .help()
                    .unwrap_or_else(|| "`kiln permissions PIPELINE` prints what the runner needs".to_owned());
                Observation::problem(STORE, error.to_string(), help)
            }
            Err(_) => Observation::problem(
                STORE,
                format!("{shown} does not answer within {}", duration(self.surroundings.patience)),
                network::advice(),
            ),
        };
        observation.fact("address", shown)
    }

    /// Whether the roles of a pipeline's environments can be had, all asked at once.
    async fn environments(&self, asking: &Asking, own: &Identity) -> Vec<Observation> {
        let mut asked = JoinSet::new();
        let environments = self.pipeline().into_iter().flat_map(|pipeline| &pipeline.environments);
        for (name, environment) in environments {
            let (asking, own) = (asking.clone(), own.clone());
            let (name, environment, region) = (name.clone(), environment.clone(), self.region.clone());
            asked.spawn(async move {
                let seen = of_environment(&name, &environment, region, asking, &own).await;
                (name, seen)
            });
        }
        let mut seen: Vec<_> = asked.join_all().await;
        seen.sort_by(|one, other| one.0.cmp(&other.0));
        seen.into_iter().map(|(_, observation)| observation).collect()
    }
}

fn no_store() -> Observation {
    Observation::ok(STORE, "none: runs and leases are this machine's own")
}

fn subject_of(environment: &EnvironmentName) -> String {
    format!("environment {environment}")
}

/// Why nobody said who the caller is.
struct NoAnswer {
    says: String,
    advice: String,
}

/// What every question is asked with.
#[derive(Clone)]
struct Asking {
    connection: Connection,
    redactor: Redactor,
    patience: Duration,
}

impl Asking {
    fn of(account: &Account<'_>, connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
            redactor: account.redactor.clone(),
            patience: account.surroundings.patience,
        }
    }

    /// Who the caller is, in a role where that is given.
    async fn identity(self, region: Region, role: Option<AssumedRole>) -> Result<Identity, NoAnswer> {
        let tries = Tried::default();
        let question = IdentityQuestion {
            connection: self.connection,
            region,
            role,
            redactor: self.redactor,
            report: Box::new(tries.clone()),
        };
        match tokio::time::timeout(self.patience, ask_identity(question)).await {
            Ok(Ok(identity)) => Ok(identity),
            Ok(Err(error)) => Err(unanswered(&error)),
            Err(_) => {
                let last = tries.last().map(|error| format!(": {error}")).unwrap_or_default();
                let says = format!("AWS does not answer within {}{last}", duration(self.patience));
                Err(NoAnswer { says, advice: network::advice() })
            }
        }
    }
}

fn unanswered(error: &RunError) -> NoAnswer {
    let says = match error {
        // It says itself what was asked for.
        RunError::Identity(error) if error.code == NO_CREDENTIALS => error.message.clone(),
        other => other.to_string(),
    };
    let advice = error.help().unwrap_or_else(|| "do what it says, then ask again".to_owned());
    NoAnswer { says, advice }
}

/// What went wrong with the last try of a call, for whoever waits no longer.
#[derive(Clone, Default)]
struct Tried(Arc<Mutex<Option<String>>>);

impl Tried {
    fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Report for Tried {
    fn event(&mut self, event: &Event) {
        if let EventKind::CallRetrying { error, .. } = &event.kind {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
    }

    fn finish(&mut self) {}
}

/// Credentials that last for less may be over before a run is.
const LASTING: Duration = Duration::from_secs(15 * 60);

fn credentials(identity: &Identity, connection: &Connection) -> Observation {
    let given = connection.given();
    let source = given.as_ref().map_or("an unknown source", |given| given.source.as_str());
    let expires = given.as_ref().and_then(|given| given.expires);
    let until = match expires {
        Some(at) => format!("until {}", shown_time(at)),
        None => "and nothing says that they expire".to_owned(),
    };
    let says = format!("{} (account {}), from {source}, {until}", identity.arn, identity.account);
    let left = expires.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
    let observation = match left {
        _ if identity.arn.ends_with(":root") => Observation::warning(
            CREDENTIALS,
            says,
            "these may do everything in the account: make a role for the runner, `kiln permissions` says which",
        ),
        Some(left) if left < LASTING => Observation::warning(
            CREDENTIALS,
            format!("{says}, in {}", duration(left)),
            "sign in again before a long run, unless whoever gives them renews them",
        ),
        Some(_) | None => Observation::ok(CREDENTIALS, says),
    };
    observation
        .fact("arn", identity.arn.as_str())
        .fact("account", identity.account.as_str())
        .fact("source", source)
        .fact("expires", expires.map(shown_time))
}

fn shown_time(at: SystemTime) -> String {
    instant(millis(at.duration_since(UNIX_EPOCH).unwrap_or_default()))
}

/// Where credentials would be looked for, as far as the environment says.
fn sources() -> String {
    const NAMES: [&str; 5] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    let set: Vec<&str> = NAMES.into_iter().filter(|name| variable(name).is_some()).collect();
    match set.is_empty() {
        true => "no variable of the environment names any".to_owned(),
        false => format!("the environment has {}", set.join(", ")),
    }
}

/// So many seconds are the pace of the answer and the rounding of its date.
const SAME: u64 = 5;

/// From here on somebody should look.
const ODD: u64 = 60;

/// Beyond this AWS takes no signature.
const REFUSED: u64 = 300;

fn clock(heard: Option<Heard>) -> Observation {
    let Some(ahead) = heard.map(|heard| heard.ahead()) else {
        return Observation::skipped(CLOCK, "no answer said what time it is");
    };
    let off = ahead.unsigned_abs();
    let how = if ahead < 0 { "behind" } else { "ahead of" };
    let says = format!("{} {how} the one that answered", duration(Duration::from_secs(off)));
    let observation = match off {
        0..=SAME => Observation::ok(CLOCK, format!("within {SAME} s of the one that answered")),
        off if off < ODD => Observation::ok(CLOCK, says),
        off if off < REFUSED => Observation::warning(
            CLOCK,
            says,
            "set this machine's clock: AWS takes no signature that is off by more than five minutes",
        ),
        _ => Observation::problem(
            CLOCK,
            says,
            "set this machine's clock: AWS takes no signature that is off by more than five minutes",
        ),
    };
    match observation.health {
        Health::Ok if off <= SAME => observation,
        _ => observation.fact("ahead-seconds", ahead),
    }
}

async fn of_environment(
    name: &EnvironmentName,
    environment: &Environment,
    region: Region,
    asking: Asking,
    own: &Identity,
) -> Observation {
    let (subject, account) = (subject_of(name), &environment.account);
    let Some(role) = environment.role.clone() else {
        return match own.account == account.as_str() {
            true => Observation::ok(subject, format!("account {account}, by the runner's own credentials")),
            false => Observation::problem(
                subject,
                format!(
                    "it is account {account}, it has no role, and the credentials belong to account {}",
                    own.account
                ),
                format!(
                    "use credentials of that account, or give it a role there: `role = \"arn:aws:iam::…\"` under [environments.{name}]"
                ),
            ),
        };
    };
    let assumed = AssumedRole {
        role: role.clone(),
        session: "kiln-doctor".to_owned(),
        external_id: environment.external_id.clone(),
        policy: Some(NOTHING_ALLOWED.to_owned()),
    };
    let observation = match asking.identity(environment.region.clone().unwrap_or(region), Some(assumed)).await {
        Ok(identity) if identity.account != account.as_str() => Observation::problem(
            subject,
            format!("{role} belongs to account {}, and the environment is account {account}", identity.account),
            format!("correct `account` or `role` under [environments.{name}]"),
        ),
        Ok(_) => Observation::ok(subject, format!("account {account}, {role} can be assumed")),
        Err(refused) => Observation::problem(
            subject,
            format!("{role}: {}", refused.says),
            format!(
                "its trust policy must let {} in, and that one's own policy allow sts:AssumeRole: `kiln permissions PIPELINE --iam` \
                 prints both; otherwise: {}",
                own.arn, refused.advice
            ),
        ),
    };
    observation.fact("role", role.as_str()).fact("account", account.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        for (off, health, words) in [
            (0, Health::Ok, "within 5 s"),
            (-5, Health::Ok, "within 5 s"),
            (30, Health::Ok, "30.0s ahead of"),
            (120, Health::Warning, "2m 00s ahead of"),
            (-120, Health::Warning, "2m 00s behind"),
            (300, Health::Problem, "5m 00s ahead of"),
            (-900, Health::Problem, "15m 00s behind"),
        ] {
            let seen = clock(Some(Heard::ahead_by(off)));
            assert!(seen.health == health && seen.says.contains(words), "{off}: {seen:?}");
            assert_eq!(seen.advice.is_some(), health > Health::Ok, "{off}: {seen:?}");
        }
        assert_eq!(clock(None).health, Health::Skipped);
    }

    #[test]
    fn what_is_allowed_in_a_role_that_is_only_tried_is_nothing() {
        let policy: serde_json::Value = serde_json::from_str(NOTHING_ALLOWED).unwrap_or_default();
        assert_eq!(policy.pointer("/Statement/0/Effect").and_then(|effect| effect.as_str()), Some("Deny"));
        assert_eq!(policy.pointer("/Statement/1"), None);
    }
}
