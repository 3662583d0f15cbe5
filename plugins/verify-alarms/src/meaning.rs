//! Decides what one alarm means for the gate, by its state, by how CloudWatch evaluates it, and by who mutes it.
//! The main type is [`Meaning`], the main function [`Rules::meaning`].

use std::collections::BTreeMap;

use kiln_plugin::Instant;
use kiln_plugin::aws::cloudwatch::Alarm;

use crate::config::{Blindness, Config, Muting, Silence};

/// What CloudWatch says of an alarm that it has not evaluated since it was made.
const UNCHECKED: &str = "Unchecked: Initial alarm creation";

/// What the config decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) insufficient_data: Silence,
    pub(crate) partial_data: Silence,
    pub(crate) warm_up: Blindness,
    pub(crate) evaluation_error: Blindness,
    pub(crate) evaluation_failure: Blindness,
    pub(crate) muted: Muting,
}

/// What an alarm means now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing speaks against what was deployed.
    Good,
    /// Nobody can tell yet: why.
    Waits(String),
    /// The gate closes.
    Refuses {
        /// What is wrong: the alarm is named before it.
        what: String,
        help: &'static str,
    },
}

/// Which rule mutes each alarm that is muted now.
pub(crate) type Muted = BTreeMap<String, String>;

impl Rules {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            insufficient_data: config.insufficient_data,
            partial_data: config.partial_data,
            warm_up: config.warm_up,
            evaluation_error: config.evaluation_error,
            evaluation_failure: config.evaluation_failure,
            muted: config.muted,
        }
    }

    /// What an alarm means. ALARM closes the gate before anything else is asked, unless who muted it is waited for.
    pub(crate) fn meaning(&self, alarm: &Alarm, muted: &Muted) -> Meaning {
        match (muted.get(&alarm.name), self.muted) {
            (Some(rule), Muting::Wait) => return Meaning::Waits(format!("the rule {rule} mutes it")),
            (Some(rule), Muting::Fail) => {
                return Meaning::Refuses {
                    what: format!("is muted by the rule {rule}"),
                    help: "Who mutes an alarm expects it to ring for other reasons. Run again when it is not muted, or say \
                           `muted = \"wait\"`; `\"judge\"` takes its state as ever.",
                };
            }
            (_, Muting::Judge) | (None, _) => {}
        }
        if alarm.state == "ALARM" {
            return Meaning::Refuses {
                what: "is in ALARM".to_owned(),
                help: "Look at what the alarm watches; if the deployment is the cause, go back to the version before.",
            };
        }
        match alarm.evaluation.as_deref() {
            None => self.by_state(alarm),
            Some("PARTIAL_DATA") if self.partial_data == Silence::Ok => self.by_state(alarm),
            Some(state) => self.unevaluated(state),
        }
    }

    fn by_state(&self, alarm: &Alarm) -> Meaning {
        match (alarm.state.as_str(), self.insufficient_data) {
            ("OK", _) => Meaning::Good,
            // It has no state of its own yet, whatever its metric will say.
            ("INSUFFICIENT_DATA", _) if alarm.reason.starts_with(UNCHECKED) => self.unevaluated("IN_WARM_UP"),
            ("INSUFFICIENT_DATA", Silence::Ok) => Meaning::Good,
            ("INSUFFICIENT_DATA", Silence::Wait) => Meaning::Waits("it has no data".to_owned()),
            ("INSUFFICIENT_DATA", Silence::Fail) => Meaning::Refuses {
                what: "has INSUFFICIENT_DATA".to_owned(),
                help: "Nothing says that all is well. If the metric is silent while all is well, say `insufficient-data = \
                       \"ok\"`; if it only needs time, `\"wait\"`.",
            },
            // A state that this plugin does not know: it is not OK, and nobody says that it is an alarm.
            (state, _) => Meaning::Waits(format!("it is {state}")),
        }
    }

    /// An alarm that CloudWatch does not evaluate, or not as it should: its state is no verdict.
    fn unevaluated(&self, state: &str) -> Meaning {
        let waits = |why: &str| Meaning::Waits(why.to_owned());
        let refuses = |what: &str, help| Meaning::Refuses { what: what.to_owned(), help };
        match (state, self.partial_data, self.warm_up, self.evaluation_error, self.evaluation_failure) {
            ("PARTIAL_DATA", Silence::Fail, ..) => refuses(
                "is evaluated on a part of its data (PARTIAL_DATA)",
                "What was left out may be what fails. Narrow what the alarm's query matches, or say `partial-data = \"ok\"` if its \
                 state is good enough, `\"wait\"` if it will be whole again.",
            ),
            ("PARTIAL_DATA", ..) => waits("it is evaluated on a part of its data (PARTIAL_DATA)"),
            ("IN_WARM_UP", _, Blindness::Fail, ..) => refuses(
                "is not evaluated yet",
                "It is new, or in its warm-up period. Run again when it is evaluated, or say `warm-up = \"wait\"`.",
            ),
            ("IN_WARM_UP", ..) => waits("it is not evaluated yet"),
            ("EVALUATION_ERROR", _, _, Blindness::Fail, _) => refuses(
                "cannot be evaluated as it is configured (EVALUATION_ERROR)",
                "Mend the alarm: its reason below says what is wrong. Until then its state is no verdict.",
            ),
            ("EVALUATION_ERROR", ..) => waits("it cannot be evaluated as it is configured (EVALUATION_ERROR)"),
            ("EVALUATION_FAILURE", _, _, _, Blindness::Fail) => refuses(
                "is not evaluated: CloudWatch has a trouble of its own (EVALUATION_FAILURE)",
                "Its state is from before. Look at AWS's health page and run again, or say `evaluation-failure = \"wait\"`.",
            ),
            ("EVALUATION_FAILURE", ..) => waits("CloudWatch cannot evaluate it for now (EVALUATION_FAILURE)"),
            // A word that this plugin does not know is no verdict either.
            (other, ..) => Meaning::Waits(format!("its evaluation is {other}")),
        }
    }

    /// What a plan says of an alarm that is not simply OK before anything was deployed. Empty where it does no harm.
    pub(crate) fn warning(&self, alarm: &Alarm, muted: &Muted) -> String {
        let by = muted.get(&alarm.name).filter(|_| self.muted == Muting::Judge);
        let by = by.map(|rule| format!("; the rule {rule} mutes it, its state counts as ever")).unwrap_or_default();
        let meaning = match self.meaning(alarm, muted) {
            Meaning::Good if alarm.evaluation.is_some() => {
                "; it is evaluated on a part of its data, and counts by its state".to_owned()
            }
            Meaning::Good => String::new(),
            Meaning::Waits(why) => format!("; {why}: the bake begins when it is OK"),
            Meaning::Refuses { .. } if alarm.state == "ALARM" => {
                "; it is in ALARM before anything is deployed: while it is, this stage refuses whatever the deployment does. Mend what \
                 it watches first"
                    .to_owned()
            }
            Meaning::Refuses { what, .. } => format!("; while it {what}, this stage refuses"),
        };
        format!("{by}{meaning}")
    }

    /// What the config decides of alarms that are neither OK nor in ALARM, for the plan.
    pub(crate) fn words(&self) -> String {
        let silence = |silence| match silence {
            Silence::Fail => "closes the gate",
            Silence::Ok => "is OK",
            Silence::Wait => "is waited for",
        };
        let blindness = |blindness| match blindness {
            Blindness::Fail => "closes the gate",
            Blindness::Wait => "is waited for",
        };
        let partial = match self.partial_data {
            Silence::Ok => "counts by its state",
            other => silence(other),
        };
        let muted = match self.muted {
            Muting::Judge => "counts by its state",
            Muting::Wait => "is waited for",
            Muting::Fail => "closes the gate",
        };
        format!(
            "no data {}; a part of the data {partial}; warm-up {}; EVALUATION_ERROR {}; EVALUATION_FAILURE {}; a muted alarm {muted}",
            silence(self.insufficient_data),
            blindness(self.warm_up),
            blindness(self.evaluation_error),
            blindness(self.evaluation_failure),
        )
    }
}

/// ` since 2026-11-23T10:34:56Z`, where it is known.
pub(crate) fn since(alarm: &Alarm) -> String {
    alarm.since.map(|since| format!(" since {}", Instant(since))).unwrap_or_default()
}

/// An alarm on a line.
pub(crate) fn line(alarm: &Alarm) -> String {
    let evaluation = alarm.evaluation.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
    format!("{}: {}{evaluation}{}: {} ({})", alarm.name, alarm.state, since(alarm), alarm.reason, alarm.description)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const USUAL: Rules = Rules {
        insufficient_data: Silence::Fail,
        partial_data: Silence::Fail,
        warm_up: Blindness::Wait,
        evaluation_error: Blindness::Fail,
        evaluation_failure: Blindness::Wait,
        muted: Muting::Judge,
    };

    pub(crate) fn alarm(name: &str, state: &str, since: u64) -> Alarm {
        Alarm {
            name: name.to_owned(),
            arn: format!("arn:aws:cloudwatch:us-west-2:111111111111:alarm:{name}"),
            state: state.to_owned(),
            reason: "Threshold Crossed".to_owned(),
            since: Some(since),
            kind: "MetricAlarm".to_owned(),
            description: "AWS/ApplicationELB HTTPCode_Target_5XX_Count".to_owned(),
            evaluation: None,
        }
    }

    fn evaluated(state: &str, evaluation: &str) -> Alarm {
        Alarm { evaluation: Some(evaluation.to_owned()), ..alarm("a", state, 0) }
    }

    fn short(meaning: &Meaning) -> &'static str {
        match meaning {
            Meaning::Good => "good",
            Meaning::Waits(_) => "waits",
            Meaning::Refuses { .. } => "refuses",
        }
    }

    #[test]
    fn what_cannot_be_evaluated_is_never_a_pass_and_the_config_decides_the_rest() {
        let fail = Rules { warm_up: Blindness::Fail, evaluation_failure: Blindness::Fail, ..USUAL };
        let mild = Rules {
            insufficient_data: Silence::Ok,
            partial_data: Silence::Ok,
            evaluation_error: Blindness::Wait,
            ..USUAL
        };
        let wait = Rules { partial_data: Silence::Wait, ..USUAL };
        // Usual, as strict as can be, as mild as can be, waiting.
        for (state, evaluation, expected) in [
            ("OK", "PARTIAL_DATA", ["refuses", "refuses", "good", "waits"]),
            ("ALARM", "PARTIAL_DATA", ["refuses", "refuses", "refuses", "refuses"]),
            ("INSUFFICIENT_DATA", "IN_WARM_UP", ["waits", "refuses", "waits", "waits"]),
            ("OK", "EVALUATION_ERROR", ["refuses", "refuses", "waits", "refuses"]),
            ("OK", "EVALUATION_FAILURE", ["waits", "refuses", "waits", "waits"]),
            ("ALARM", "EVALUATION_FAILURE", ["refuses", "refuses", "refuses", "refuses"]),
            ("OK", "DAYDREAMING", ["waits", "waits", "waits", "waits"]),
        ] {
            let alarm = evaluated(state, evaluation);
            let of = |rules: Rules| short(&rules.meaning(&alarm, &Muted::new()));
            assert_eq!([USUAL, fail, mild, wait].map(of), expected, "{state} {evaluation}");
        }
    }

    #[test]
    fn an_alarm_that_was_never_evaluated_is_not_one_whose_metric_is_silent() {
        let new = Alarm { reason: UNCHECKED.to_owned(), ..alarm("a", "INSUFFICIENT_DATA", 0) };
        let silent = Rules { insufficient_data: Silence::Ok, ..USUAL };
        assert_eq!(short(&silent.meaning(&new, &Muted::new())), "waits", "it may ring at its first evaluation");
        assert_eq!(short(&silent.meaning(&alarm("a", "INSUFFICIENT_DATA", 0), &Muted::new())), "good");
    }

    #[test]
    fn a_muted_alarm_is_judged_waited_for_or_refused() {
        let muted = Muted::from([("a".to_owned(), "nightly".to_owned())]);
        for (state, expected) in [("OK", ["good", "waits", "refuses"]), ("ALARM", ["refuses", "waits", "refuses"])] {
            let of = |muting| short(&Rules { muted: muting, ..USUAL }.meaning(&alarm("a", state, 0), &muted));
            assert_eq!([Muting::Judge, Muting::Wait, Muting::Fail].map(of), expected, "{state}");
        }
        let wait = Rules { muted: Muting::Wait, ..USUAL };
        assert_eq!(wait.meaning(&alarm("b", "OK", 0), &muted), Meaning::Good, "another one");
        assert!(USUAL.warning(&alarm("a", "OK", 0), &muted).contains("the rule nightly mutes it"));
    }

    #[test]
    fn a_plan_says_which_alarm_would_close_the_gate_before_anything_is_deployed() {
        let said = |insufficient_data, state| {
            Rules { insufficient_data, ..USUAL }.warning(&alarm("a", state, 0), &Muted::new())
        };
        assert_eq!(said(Silence::Fail, "OK"), "");
        assert!(said(Silence::Ok, "ALARM").contains("before anything is deployed"));
        assert!(said(Silence::Fail, "INSUFFICIENT_DATA").contains("refuses"));
        assert_eq!(said(Silence::Ok, "INSUFFICIENT_DATA"), "");
        assert!(said(Silence::Wait, "INSUFFICIENT_DATA").contains("begins when it is OK"));
        assert!(USUAL.warning(&evaluated("OK", "EVALUATION_ERROR"), &Muted::new()).contains("this stage refuses"));
    }
}
