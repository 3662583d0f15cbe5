//! Decides what the states of alarms mean for the bake.
//! The main type is [`Hold`].

use std::collections::BTreeMap;

use kiln_plugin::aws::cloudwatch::Alarm;
use kiln_plugin::{Failure, Instant};

use crate::InsufficientData;

/// How long all alarms have been OK without a break.
///
/// Looks are some seconds apart, and an alarm can fire and recover between two of them. Whether that is noticed must not
/// depend on luck: an alarm whose state was set anew between two looks that both found it in the same state left that state
/// unseen, and the bake begins again.
#[derive(Debug)]
pub(crate) struct Hold {
    insufficient_data: InsufficientData,
    /// Since when all alarms have been OK.
    since: u64,
    /// Each alarm as the look before found it: its state and when that was set.
    seen: BTreeMap<String, (String, Option<u64>)>,
}

/// What one look says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// How long all alarms have been OK, in milliseconds.
    pub(crate) held: u64,
    /// An alarm that is neither OK nor in alarm, where it is waited for.
    pub(crate) waiting_for: Option<String>,
    /// What the reader should know.
    pub(crate) notes: Vec<String>,
}

impl Hold {
    pub(crate) fn new(insufficient_data: InsufficientData, start: u64) -> Self {
        Self { insufficient_data, since: start, seen: BTreeMap::new() }
    }

    /// Take a look into account. A failure where the gate closes.
    pub(crate) fn observe(&mut self, now: u64, alarms: &[Alarm]) -> Result<Observed, Failure> {
        let firing: Vec<&Alarm> = alarms.iter().filter(|alarm| alarm.state == "ALARM").collect();
        if let Some(first) = firing.first() {
            let message = match firing.as_slice() {
                [_] => format!("alarm {} is in ALARM{}", first.name, since(first)),
                more => format!("{} alarms are in ALARM, the first of them {}", more.len(), first.name),
            };
            return Err(Failure::rejected(message)
                .help("Look at what the alarm watches; if the deployment is the cause, go back to the version before.")
                .details(firing.iter().map(|alarm| line(alarm))));
        }
        let silent = alarms.iter().find(|alarm| alarm.state == "INSUFFICIENT_DATA");
        if let (Some(alarm), InsufficientData::Fail) = (silent, self.insufficient_data) {
            return Err(Failure::rejected(format!("alarm {} has INSUFFICIENT_DATA{}", alarm.name, since(alarm)))
                .help("Nothing says that all is well. If the metric is silent while all is well, say `insufficient-data = \"ok\"`; if it only needs time, `\"wait\"`.")
                .detail(line(alarm)));
        }

        let mut notes = Vec::new();
        let mut waiting_for = None;
        for alarm in alarms {
            let state = (alarm.state.clone(), alarm.since);
            if let Some(before) = self.seen.insert(alarm.name.clone(), state.clone())
                && before.0 == state.0
                && before.1 != state.1
            {
                notes.push(format!(
                    "alarm {} left {} between two looks and is back{}: the bake begins again",
                    alarm.name,
                    alarm.state,
                    since(alarm)
                ));
                // Not before the last look: when it came back is told by CloudWatch's clock, which is not ours.
                self.since = now;
            }
            let good = alarm.state == "OK"
                || (alarm.state == "INSUFFICIENT_DATA" && self.insufficient_data == InsufficientData::Ok);
            if !good {
                // Also a state that this plugin does not know: it is not OK, and nobody says that it is an alarm.
                waiting_for.get_or_insert_with(|| alarm.name.clone());
                self.since = now;
            }
        }
        Ok(Observed { held: now.saturating_sub(self.since), waiting_for, notes })
    }
}

/// What a plan says of an alarm that is not OK before anything was deployed: whether it closes the gate if it stays so. Empty where
/// it does no harm.
pub(crate) fn warning(insufficient_data: InsufficientData, alarm: &Alarm) -> &'static str {
    match (alarm.state.as_str(), insufficient_data) {
        ("ALARM", _) => {
            "; it is in ALARM before anything is deployed: while it is, this stage refuses whatever the deployment does. Mend what it \
             watches first"
        }
        ("INSUFFICIENT_DATA", InsufficientData::Fail) => {
            "; while it has no data, this stage refuses: `insufficient-data` is \"fail\""
        }
        ("OK", _) | ("INSUFFICIENT_DATA", InsufficientData::Ok) => "",
        _ => "; the bake begins when it is OK",
    }
}

/// The names that are not among the alarms.
pub(crate) fn missing(names: &[String], alarms: &[Alarm]) -> Vec<String> {
    names.iter().filter(|name| !alarms.iter().any(|alarm| alarm.name == **name)).cloned().collect()
}

fn since(alarm: &Alarm) -> String {
    alarm.since.map(|since| format!(" since {}", Instant(since))).unwrap_or_default()
}

fn line(alarm: &Alarm) -> String {
    format!("{}: {}{}: {} ({})", alarm.name, alarm.state, since(alarm), alarm.reason, alarm.description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_plugin::FailureKind;

    fn alarm(name: &str, state: &str, since: u64) -> Alarm {
        Alarm {
            name: name.to_owned(),
            arn: format!("arn:aws:cloudwatch:us-west-2:111111111111:alarm:{name}"),
            state: state.to_owned(),
            reason: "Threshold Crossed".to_owned(),
            since: Some(since),
            composite: false,
            description: "AWS/ApplicationELB HTTPCode_Target_5XX_Count".to_owned(),
        }
    }

    fn held(observed: Result<Observed, Failure>) -> Option<u64> {
        observed.ok().filter(|observed| observed.waiting_for.is_none()).map(|observed| observed.held)
    }

    #[test]
    fn the_bake_counts_while_all_is_ok() {
        let mut hold = Hold::new(InsufficientData::Fail, 1_000);
        assert_eq!(held(hold.observe(1_000, &[alarm("a", "OK", 0)])), Some(0));
        assert_eq!(held(hold.observe(16_000, &[alarm("a", "OK", 0)])), Some(15_000));
    }

    #[test]
    fn an_alarm_closes_the_gate_and_says_since_when() {
        let mut hold = Hold::new(InsufficientData::Ok, 0);
        let failure = hold.observe(10, &[alarm("a", "OK", 0), alarm("b", "ALARM", 1_795_430_096_000)]).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert_eq!(failure.message, "alarm b is in ALARM since 2026-11-23T10:34:56Z");
        assert_eq!(failure.details.len(), 1);
        assert!(failure.details.iter().all(|line| line.contains("Threshold Crossed")));
    }

    #[test]
    fn an_alarm_that_fired_between_two_looks_starts_the_bake_again() {
        let mut hold = Hold::new(InsufficientData::Fail, 0);
        assert_eq!(held(hold.observe(0, &[alarm("a", "OK", 0)])), Some(0));
        assert_eq!(held(hold.observe(60_000, &[alarm("a", "OK", 0)])), Some(60_000));
        let observed = hold.observe(75_000, &[alarm("a", "OK", 70_000)]);
        assert_eq!(observed.as_ref().map(|o| o.notes.len()).ok(), Some(1));
        assert_eq!(held(observed), Some(0));
        assert_eq!(held(hold.observe(90_000, &[alarm("a", "OK", 70_000)])), Some(15_000));
    }

    #[test]
    fn missing_data_is_decided_by_the_config() {
        let silent = [alarm("a", "INSUFFICIENT_DATA", 0)];
        let failure = Hold::new(InsufficientData::Fail, 0).observe(5, &silent).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Rejected);

        assert_eq!(held(Hold::new(InsufficientData::Ok, 0).observe(5, &silent)), Some(5));

        let mut wait = Hold::new(InsufficientData::Wait, 0);
        let observed = wait.observe(5_000, &silent);
        assert_eq!(observed.map(|o| o.waiting_for).ok(), Some(Some("a".to_owned())));
        assert_eq!(held(wait.observe(10_000, &[alarm("a", "OK", 9_000)])), Some(5_000), "since the last silent look");
    }

    #[test]
    fn where_silence_is_ok_falling_silent_does_not_start_the_bake_again() {
        let mut hold = Hold::new(InsufficientData::Ok, 0);
        assert_eq!(held(hold.observe(0, &[alarm("a", "OK", 0)])), Some(0));
        assert_eq!(held(hold.observe(10, &[alarm("a", "INSUFFICIENT_DATA", 5)])), Some(10));
        assert_eq!(held(hold.observe(20, &[alarm("a", "OK", 15)])), Some(20));
    }

    #[test]
    fn a_state_that_aws_added_is_never_ok() {
        let mut hold = Hold::new(InsufficientData::Ok, 0);
        let observed = hold.observe(10, &[alarm("a", "PONDERING", 0)]);
        assert_eq!(observed.map(|o| o.waiting_for).ok(), Some(Some("a".to_owned())));
    }

    #[test]
    fn a_plan_says_which_alarm_would_close_the_gate_before_anything_is_deployed() {
        let said = |insufficient_data, state| warning(insufficient_data, &alarm("a", state, 0));
        assert_eq!(said(InsufficientData::Fail, "OK"), "");
        assert!(said(InsufficientData::Ok, "ALARM").contains("before anything is deployed"));
        assert!(said(InsufficientData::Fail, "INSUFFICIENT_DATA").contains("refuses"));
        assert_eq!(said(InsufficientData::Ok, "INSUFFICIENT_DATA"), "");
        assert!(said(InsufficientData::Wait, "INSUFFICIENT_DATA").contains("begins when it is OK"));
    }

    #[test]
    fn missing_alarms_are_named() {
        let names = ["a".to_owned(), "b".to_owned()];
        assert_eq!(missing(&names, &[alarm("a", "OK", 0)]), ["b"]);
    }
}
