//! A service's deployment configuration: what of it the config changes, how that reads in a plan, and how it is put back.
//! The main type is [`Settings`].
//!
//! AWS leaves a member as it is that an update does not have. So only what the config names is sent, and the way back gives
//! each of those the value that it had.

use kiln_plugin::Failure;
use kiln_plugin::aws::ecs::Service;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::{Breaker, Config, ThresholdKind};

const MINIMUM: &str = "minimumHealthyPercent";
const MAXIMUM: &str = "maximumPercent";
const BREAKER: &str = "deploymentCircuitBreaker";
const ALARMS: &str = "alarms";

/// A service's `deploymentConfiguration`, with members that nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings(Map<String, Value>);

/// Members to send, and their values.
pub(crate) type Members = Map<String, Value>;

impl Settings {
    /// Those that a service has.
    pub(crate) fn of(service: &Service) -> Result<Self, Failure> {
        let read = serde_json::from_str(&service.deployment_configuration);
        read.map(Self).map_err(|error| {
            Failure::internal(format!("the deployment configuration of {} is not a JSON object: {error}", service.arn))
        })
    }

    /// What has to be sent, so that the service deploys as the config says: each member that the config names and that is
    /// not so already.
    pub(crate) fn wanted(&self, config: &Config) -> Members {
        let mut wanted = Members::new();
        let mut put = |name: &str, value: Value| {
            if self.member(name) != value {
                wanted.insert(name.to_owned(), value);
            }
        };
        if let Some(percent) = config.minimum_healthy_percent {
            put(MINIMUM, json!(percent));
        }
        if let Some(percent) = config.maximum_percent {
            put(MAXIMUM, json!(percent));
        }
        if let Some(breaker) = &config.circuit_breaker {
            put(BREAKER, self.breaker_of(breaker));
        }
        if let Some(names) = &config.alarms {
            put(ALARMS, self.alarms_of(names));
        }
        wanted
    }

    /// A member as it is, or as AWS understands that it is not there.
    fn member(&self, name: &str) -> Value {
        let usual = || match name {
            MINIMUM => json!(100),
            MAXIMUM => json!(200),
            BREAKER => json!({ "enable": false, "rollback": false }),
            ALARMS => json!({ "alarmNames": [], "enable": false, "rollback": false }),
            _ => Value::Null,
        };
        self.0.get(name).cloned().unwrap_or_else(usual)
    }

    /// The circuit breaker with what the config names changed, and nothing else.
    fn breaker_of(&self, given: &Breaker) -> Value {
        let was_on = self.flag(BREAKER, "enable");
        let mut breaker = self.member(BREAKER);
        let mut put = |name: &str, value: Value| {
            if let Value::Object(breaker) = &mut breaker {
                breaker.insert(name.to_owned(), value);
            }
        };
        put("enable", json!(given.enable));
        match given.rollback {
            Some(rollback) => put("rollback", json!(given.enable && rollback)),
            // Whoever switches it on wants what serves to stay whole.
            None if given.enable && !was_on => put("rollback", json!(true)),
            None if !given.enable => put("rollback", json!(false)),
            None => {}
        }
        if let Some(threshold) = &given.threshold {
            put("thresholdConfiguration", json!({ "type": threshold.kind.word(), "value": threshold.value }));
        }
        if let Some(reset) = given.reset_on_healthy_task {
            put("resetOnHealthyTask", json!(reset));
        }
        breaker
    }

    /// The alarms that the config names. Whether they go back stays as it was where there were some.
    fn alarms_of(&self, names: &[String]) -> Value {
        let on = !names.is_empty();
        let goes_back = if self.flag(ALARMS, "enable") { self.flag(ALARMS, "rollback") } else { true };
        json!({ "alarmNames": names, "enable": on, "rollback": on && goes_back })
    }

    /// For the way back: the alarms may begin to ring for what is being undone, and would bring it back.
    pub(crate) fn way_back(&self) -> Members {
        let mut off = Members::new();
        if self.flag(ALARMS, "enable") {
            let mut alarms = self.member(ALARMS);
            if let Value::Object(alarms) = &mut alarms {
                alarms.insert("enable".to_owned(), json!(false));
                alarms.insert("rollback".to_owned(), json!(false));
            }
            off.insert(ALARMS.to_owned(), alarms);
        }
        off
    }

    /// What has to be sent, so that each of `changed` is again as it was in `self`.
    pub(crate) fn restoring<'m>(&self, now: &Settings, changed: impl IntoIterator<Item = &'m String>) -> Members {
        let named = changed.into_iter().filter(|name| now.member(name) != self.member(name));
        named.map(|name| (name.clone(), self.member(name))).collect()
    }

    /// Each change in words: the setting, and from what to what.
    pub(crate) fn changes(&self, members: &Members) -> Vec<(&'static str, String)> {
        let mut after = self.clone();
        after.0.extend(members.clone());
        let mut changes = Vec::new();
        for (name, what) in [
            (MINIMUM, "fewest running tasks"),
            (MAXIMUM, "most running tasks"),
            (BREAKER, "circuit breaker"),
            (ALARMS, "deployment alarms"),
        ] {
            if members.contains_key(name) {
                changes.push((what, format!("from {} to {}", self.words(name), after.words(name))));
            }
        }
        changes
    }

    /// These settings with `members` in their place.
    pub(crate) fn with(&self, members: &Members) -> Self {
        let mut with = self.clone();
        with.0.extend(members.clone());
        with
    }

    fn words(&self, name: &str) -> String {
        match name {
            MINIMUM | MAXIMUM => format!("{} %", self.member(name)),
            BREAKER => self.breaker_words(),
            _ => self.alarms_words(),
        }
    }

    fn breaker_words(&self) -> String {
        if !self.is_guarded() {
            return "off".to_owned();
        }
        let mut words =
            if self.flag(BREAKER, "rollback") { "on, going back" } else { "on, without going back" }.to_owned();
        let breaker = self.member(BREAKER);
        if let Some(threshold) = breaker.get("thresholdConfiguration") {
            let kind = threshold.get("type").and_then(Value::as_str).unwrap_or("BOUNDED_PERCENT");
            let value = threshold.get("value").and_then(Value::as_u64).unwrap_or(50);
            words.push_str(&match kind {
                "COUNT" => format!(", after {value} failed tasks"),
                "UNBOUNDED_PERCENT" => format!(", after {value} % failed tasks, without bounds"),
                _ => format!(", after {value} % failed tasks"),
            });
        }
        if breaker.get("resetOnHealthyTask").and_then(Value::as_bool) == Some(false) {
            words.push_str(", counting all failures");
        }
        words
    }

    fn alarms_words(&self) -> String {
        let names = self.alarms();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    /// The alarms that fail a deployment.
    pub(crate) fn alarms(&self) -> Vec<String> {
        if !self.flag(ALARMS, "enable") {
            return Vec::new();
        }
        let alarms = self.member(ALARMS);
        let names = alarms.get("alarmNames").and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Whether the circuit breaker is on.
    pub(crate) fn is_guarded(&self) -> bool {
        self.flag(BREAKER, "enable")
    }

    /// How many failed tasks end a deployment of `desired` tasks, as ECS reckons it: half of the tasks, at least 3 and at
    /// most 200, unless told otherwise. None where the circuit breaker is off.
    pub(crate) fn failures(&self, desired: u32) -> Option<u32> {
        if !self.is_guarded() {
            return None;
        }
        let breaker = self.member(BREAKER);
        let threshold = breaker.get("thresholdConfiguration");
        let member = |name: &str| threshold.and_then(|threshold| threshold.get(name));
        let value = member("value").and_then(Value::as_u64).unwrap_or(50);
        let percent = u64::from(desired).saturating_mul(value).div_ceil(100);
        let failures = match member("type").and_then(Value::as_str) {
            Some("COUNT") => value,
            Some("UNBOUNDED_PERCENT") => percent.max(1),
            _ => percent.clamp(3, 200),
        };
        u32::try_from(failures).ok()
    }

    /// A failure where `wanted` makes limits that AWS refuses: the most running tasks must be more than the fewest. One of the two may
    /// be the service's own.
    pub(crate) fn check_limits(&self, wanted: &Members, subject: &str) -> Result<(), Failure> {
        let changed = [MINIMUM, MAXIMUM].into_iter().any(|name| wanted.contains_key(name));
        let after = self.with(wanted);
        let percent = |name: &str| after.member(name).as_u64().unwrap_or_default();
        if !changed || percent(MAXIMUM) > percent(MINIMUM) {
            return Ok(());
        }
        let limit = |name: &str, key: &str| {
            let whose = if wanted.contains_key(name) { "" } else { ", which the service has" };
            format!("`{key}` of {}{whose}", after.member(name))
        };
        let (most, fewest) = (limit(MAXIMUM, "maximum-percent"), limit(MINIMUM, "minimum-healthy-percent"));
        Err(Failure::config(format!("the limits of {subject} let no task be replaced: {most} is not more than {fewest}"))
            .help("Raise `maximum-percent` or lower `minimum-healthy-percent`; what the config does not name stays as the service has it."))
    }

    /// Whether the limits let a service of `desired` tasks replace any: it can neither start one more nor stop one first
    /// otherwise. ECS rounds the upper limit down and the lower one up.
    pub(crate) fn can_move(&self, desired: u32) -> bool {
        let percent = |name: &str| self.member(name).as_u64().unwrap_or(100).saturating_mul(u64::from(desired));
        percent(MAXIMUM) / 100 > u64::from(desired) || percent(MINIMUM).div_ceil(100) < u64::from(desired)
    }

    fn flag(&self, member: &str, name: &str) -> bool {
        self.0.get(member).and_then(|member| member.get(name)).and_then(Value::as_bool).unwrap_or(false)
    }
}

impl ThresholdKind {
    fn word(self) -> &'static str {
        match self {
            Self::Count => "COUNT",
            Self::BoundedPercent => "BOUNDED_PERCENT",
            Self::UnboundedPercent => "UNBOUNDED_PERCENT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Threshold;

    /// A service with alarms, a breaker that does not go back, and a member that nobody knows.
    fn guarded() -> Settings {
        let document = json!({
            "minimumHealthyPercent": 100, "maximumPercent": 150, "newMember": { "a": [1] },
            "deploymentCircuitBreaker": { "enable": true, "rollback": false, "newField": 7 },
            "alarms": { "alarmNames": ["web-5xx"], "enable": true, "rollback": false },
        });
        Settings(document.as_object().cloned().unwrap_or_default())
    }

    fn config(with: Value) -> Config {
        let mut all = json!({
            "cluster": "web", "service": "web",
            "image": "111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        });
        if let (Value::Object(all), Value::Object(with)) = (&mut all, with) {
            all.extend(with);
        }
        match serde_json::from_value(all) {
            Ok(config) => config,
            Err(error) => unreachable!("{error}"),
        }
    }

    #[test]
    fn what_the_config_does_not_name_is_not_sent() {
        assert_eq!(guarded().wanted(&config(json!({}))), Members::new());
        assert_eq!(Settings(Map::new()).wanted(&config(json!({}))), Members::new());
        // Each setting alone brings its own member and no other.
        for (with, member) in [
            (json!({ "minimum-healthy-percent": 50 }), MINIMUM),
            (json!({ "maximum-percent": 200 }), MAXIMUM),
            (json!({ "circuit-breaker": { "rollback": true } }), BREAKER),
            (json!({ "alarms": [] }), ALARMS),
        ] {
            let wanted = guarded().wanted(&config(with));
            assert_eq!(wanted.keys().collect::<Vec<_>>(), [member]);
        }
        // And what is so already is not sent either.
        let same = json!({ "maximum-percent": 150, "alarms": ["web-5xx"], "circuit-breaker": {} });
        assert_eq!(guarded().wanted(&config(same)), Members::new());
    }

    #[test]
    fn limits_that_aws_refuses_are_refused_before_they_are_sent() {
        let of = |with: Value| {
            let settings = Settings(Map::new());
            settings.check_limits(&settings.wanted(&config(with)), "web/web").map_err(|failure| failure.message)
        };
        assert_eq!(of(json!({})), Ok(()));
        assert_eq!(of(json!({ "maximum-percent": 101 })), Ok(()));
        assert_eq!(
            of(json!({ "maximum-percent": 100 })).unwrap_err(),
            "the limits of web/web let no task be replaced: `maximum-percent` of 100 is not more than `minimum-healthy-percent` of 100, \
             which the service has"
        );
        assert!(of(json!({ "maximum-percent": 100, "minimum-healthy-percent": 100 })).is_err());
        // What the service has and nobody changes is the service's affair.
        let tight = Settings(Map::from_iter([(MAXIMUM.to_owned(), json!(100))]));
        assert_eq!(tight.check_limits(&tight.wanted(&config(json!({ "alarms": ["a"] }))), "web/web"), Ok(()));
    }

    #[test]
    fn within_a_setting_what_is_not_named_stays() {
        let wanted = guarded().wanted(&config(json!({ "circuit-breaker": { "reset-on-healthy-task": false } })));
        let breaker = json!({ "enable": true, "rollback": false, "newField": 7, "resetOnHealthyTask": false });
        assert_eq!(wanted.get(BREAKER), Some(&breaker));
        let wanted = guarded().wanted(&config(json!({ "alarms": ["web-5xx", "web-slow"] })));
        let alarms = json!({ "alarmNames": ["web-5xx", "web-slow"], "enable": true, "rollback": false });
        assert_eq!(wanted.get(ALARMS), Some(&alarms), "they did not go back before, and do not now");
    }

    #[test]
    fn what_is_switched_on_goes_back() {
        let bare = Settings(Map::new());
        let wanted = bare.wanted(&config(json!({ "circuit-breaker": {}, "alarms": ["web-5xx"] })));
        assert_eq!(wanted.get(BREAKER), Some(&json!({ "enable": true, "rollback": true })));
        let alarms = json!({ "alarmNames": ["web-5xx"], "enable": true, "rollback": true });
        assert_eq!(wanted.get(ALARMS), Some(&alarms));
    }

    #[test]
    fn all_that_was_changed_is_put_back_and_nothing_else() {
        for before in [guarded(), Settings(Map::new())] {
            let with = json!({ "maximum-percent": 120, "alarms": ["other"], "circuit-breaker": { "enable": false } });
            let wanted = before.wanted(&config(with));
            let deployed = before.with(&wanted);
            let off = deployed.way_back();
            let gone_back = deployed.with(&off);
            assert!(!gone_back.flag(ALARMS, "enable"));
            let back = before.restoring(&gone_back, wanted.keys().chain(off.keys()));
            let after = gone_back.with(&back);
            for name in [MINIMUM, MAXIMUM, BREAKER, ALARMS, "newMember"] {
                assert_eq!(after.member(name), before.member(name), "{name}");
            }
            assert_eq!(before.restoring(&before, wanted.keys()), Members::new(), "it is so already");
        }
    }

    #[test]
    fn changes_read_as_sentences() {
        let before = guarded();
        let with = json!({ "minimum-healthy-percent": 50, "alarms": [], "circuit-breaker": { "threshold": { "type": "count", "value": 9 } } });
        let changes = before.changes(&before.wanted(&config(with)));
        assert_eq!(
            changes,
            [
                ("fewest running tasks", "from 100 % to 50 %".to_owned()),
                (
                    "circuit breaker",
                    "from on, without going back to on, without going back, after 9 failed tasks".to_owned()
                ),
                ("deployment alarms", "from web-5xx to none".to_owned()),
            ]
        );
    }

    #[test]
    fn limits_that_let_nothing_move_are_found() {
        assert!(!guarded().can_move(1), "one task, at least 100 %, at most 150 %: neither one more nor one less");
        assert!(guarded().can_move(2) && Settings(Map::new()).can_move(1));
    }

    #[test]
    fn so_many_failures_end_a_deployment() {
        let with = |kind, value| {
            let breaker = Breaker {
                enable: true,
                rollback: None,
                threshold: Some(Threshold { kind, value }),
                reset_on_healthy_task: None,
            };
            let settings = Settings(Map::new());
            let breaker = settings.breaker_of(&breaker);
            Settings(Members::from_iter([(BREAKER.to_owned(), breaker)]))
        };
        assert_eq!(Settings(Map::new()).failures(4), None);
        assert_eq!(guarded().failures(4), Some(3));
        assert_eq!(guarded().failures(25), Some(13));
        assert_eq!(guarded().failures(1000), Some(200));
        assert_eq!(with(ThresholdKind::Count, 5).failures(100), Some(5));
        assert_eq!(with(ThresholdKind::UnboundedPercent, 10).failures(5), Some(1));
        assert_eq!(with(ThresholdKind::BoundedPercent, 10).failures(5), Some(3));
    }
}
