//! Decides what the states of alarms mean for the bake.
//! The main type is [`Hold`].

use std::collections::BTreeMap;

use kiln_plugin::Failure;
use kiln_plugin::aws::cloudwatch::Alarm;

use crate::meaning::{Meaning, Muted, Rules, line, since};

/// What an alarm's state and evaluation were, and when they were set.
type Seen = (String, Option<String>, Option<u64>);

/// How long all alarms have been OK without a break.
///
/// Looks are some seconds apart, and an alarm can fire and recover between two of them. Whether that is noticed must not
/// depend on luck: an alarm whose state was set anew between two looks that both found it in the same state left that state
/// unseen, and the bake begins again.
#[derive(Debug)]
pub(crate) struct Hold {
    rules: Rules,
    /// Since when all alarms have been OK.
    since: u64,
    /// Each alarm as the look before found it.
    seen: BTreeMap<String, Seen>,
}

/// What one look says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// How long all alarms have been OK, in milliseconds.
    pub(crate) held: u64,
    /// An alarm that is waited for, and why.
    pub(crate) waiting_for: Option<String>,
    /// What the reader should know.
    pub(crate) notes: Vec<String>,
}

impl Hold {
    pub(crate) fn new(rules: Rules, start: u64) -> Self {
        Self { rules, since: start, seen: BTreeMap::new() }
    }

    /// Take a look into account. A failure where the gate closes.
    pub(crate) fn observe(&mut self, now: u64, alarms: &[Alarm], muted: &Muted) -> Result<Observed, Failure> {
        let meanings: Vec<(&Alarm, Meaning)> =
            alarms.iter().map(|alarm| (alarm, self.rules.meaning(alarm, muted))).collect();
        if let Some(failure) = refusal(&meanings) {
            return Err(failure);
        }
        let mut notes = Vec::new();
        let mut waiting_for = None;
        for (alarm, meaning) in meanings {
            let seen = (alarm.state.clone(), alarm.evaluation.clone(), alarm.since);
            if let Some(before) = self.seen.insert(alarm.name.clone(), seen)
                && before.0 == alarm.state
                && before.1 == alarm.evaluation
                && before.2 != alarm.since
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
            if let Meaning::Waits(why) = meaning {
                waiting_for.get_or_insert_with(|| format!("alarm {}: {why}", alarm.name));
                self.since = now;
            }
        }
        Ok(Observed { held: now.saturating_sub(self.since), waiting_for, notes })
    }
}

/// The failure of the alarms that close the gate: those in ALARM lead.
fn refusal(meanings: &[(&Alarm, Meaning)]) -> Option<Failure> {
    let mut refusing: Vec<(&Alarm, &str, &str)> = Vec::new();
    for (alarm, meaning) in meanings {
        if let Meaning::Refuses { what, help } = meaning {
            refusing.push((alarm, what, help));
        }
    }
    refusing.sort_by_key(|(alarm, ..)| alarm.state != "ALARM");
    let (first, what, help) = refusing.first()?;
    let same = refusing.iter().filter(|(_, other, _)| other == what).count();
    let message = if same == 1 {
        format!("alarm {} {what}{}", first.name, since(first))
    } else {
        let what = match *what {
            "is in ALARM" => "are in ALARM",
            "has INSUFFICIENT_DATA" => "have INSUFFICIENT_DATA",
            _ => "close the gate",
        };
        format!("{same} alarms {what}, the first of them {}", first.name)
    };
    Some(Failure::rejected(message).help(*help).details(refusing.iter().map(|(alarm, ..)| line(alarm))))
}

/// The names that are not among the alarms.
pub(crate) fn missing(names: &[String], alarms: &[Alarm]) -> Vec<String> {
    names
        .iter()
        .filter(|name| !alarms.iter().any(|alarm| alarm.name == **name || alarm.arn == **name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Silence;
    use crate::meaning::tests::{USUAL, alarm};
    use kiln_plugin::FailureKind;

    fn rules(insufficient_data: Silence) -> Rules {
        Rules { insufficient_data, ..USUAL }
    }

    fn unmuted() -> Muted {
        Muted::new()
    }

    fn held(observed: Result<Observed, Failure>) -> Option<u64> {
        observed.ok().filter(|observed| observed.waiting_for.is_none()).map(|observed| observed.held)
    }

    #[test]
    fn the_bake_counts_while_all_is_ok() {
        let mut hold = Hold::new(rules(Silence::Fail), 1_000);
        assert_eq!(held(hold.observe(1_000, &[alarm("a", "OK", 0)], &unmuted())), Some(0));
        assert_eq!(held(hold.observe(16_000, &[alarm("a", "OK", 0)], &unmuted())), Some(15_000));
    }

    #[test]
    fn an_alarm_closes_the_gate_and_says_since_when() {
        let mut hold = Hold::new(rules(Silence::Ok), 0);
        let failure =
            hold.observe(10, &[alarm("a", "OK", 0), alarm("b", "ALARM", 1_795_430_096_000)], &unmuted()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert_eq!(failure.message, "alarm b is in ALARM since 2026-11-23T10:34:56Z");
        assert_eq!(failure.details.len(), 1);
        assert!(failure.details.iter().all(|line| line.contains("Threshold Crossed")));
    }

    #[test]
    fn an_alarm_that_fired_between_two_looks_starts_the_bake_again() {
        let mut hold = Hold::new(rules(Silence::Fail), 0);
        assert_eq!(held(hold.observe(0, &[alarm("a", "OK", 0)], &unmuted())), Some(0));
        assert_eq!(held(hold.observe(60_000, &[alarm("a", "OK", 0)], &unmuted())), Some(60_000));
        let observed = hold.observe(75_000, &[alarm("a", "OK", 70_000)], &unmuted());
        assert_eq!(observed.as_ref().map(|o| o.notes.len()).ok(), Some(1));
        assert_eq!(held(observed), Some(0));
        assert_eq!(held(hold.observe(90_000, &[alarm("a", "OK", 70_000)], &unmuted())), Some(15_000));
    }

    #[test]
    fn missing_data_is_decided_by_the_config() {
        let silent = [alarm("a", "INSUFFICIENT_DATA", 0)];
        let failure = Hold::new(rules(Silence::Fail), 0).observe(5, &silent, &unmuted()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Rejected);

        assert_eq!(held(Hold::new(rules(Silence::Ok), 0).observe(5, &silent, &unmuted())), Some(5));

        let mut wait = Hold::new(rules(Silence::Wait), 0);
        let observed = wait.observe(5_000, &silent, &unmuted());
        assert_eq!(observed.map(|o| o.waiting_for).ok(), Some(Some("alarm a: it has no data".to_owned())));
        assert_eq!(
            held(wait.observe(10_000, &[alarm("a", "OK", 9_000)], &unmuted())),
            Some(5_000),
            "since the last silent look"
        );
    }

    #[test]
    fn where_silence_is_ok_falling_silent_does_not_start_the_bake_again() {
        let mut hold = Hold::new(rules(Silence::Ok), 0);
        assert_eq!(held(hold.observe(0, &[alarm("a", "OK", 0)], &unmuted())), Some(0));
        assert_eq!(held(hold.observe(10, &[alarm("a", "INSUFFICIENT_DATA", 5)], &unmuted())), Some(10));
        assert_eq!(held(hold.observe(20, &[alarm("a", "OK", 15)], &unmuted())), Some(20));
    }

    #[test]
    fn a_state_that_aws_added_is_never_ok() {
        let mut hold = Hold::new(rules(Silence::Ok), 0);
        let observed = hold.observe(10, &[alarm("a", "PONDERING", 0)], &unmuted());
        assert_eq!(observed.map(|o| o.waiting_for).ok(), Some(Some("alarm a: it is PONDERING".to_owned())));
    }

    #[test]
    fn missing_alarms_are_named() {
        let names = ["a".to_owned(), "b".to_owned()];
        assert_eq!(missing(&names, &[alarm("a", "OK", 0)]), ["b"]);
        let by_arn = [alarm("a", "OK", 0).arn];
        assert!(missing(&by_arn, &[alarm("a", "OK", 0)]).is_empty(), "it was named by its ARN");
    }

    #[test]
    fn an_evaluation_that_failed_for_a_while_starts_the_bake_again() {
        let mut hold = Hold::new(rules(Silence::Fail), 0);
        assert_eq!(held(hold.observe(0, &[alarm("a", "OK", 0)], &unmuted())), Some(0));
        let blind = Alarm { evaluation: Some("EVALUATION_FAILURE".to_owned()), ..alarm("a", "OK", 30_000) };
        let observed = hold.observe(40_000, &[blind], &unmuted());
        assert!(observed.is_ok_and(|observed| observed.waiting_for.is_some() && observed.notes.is_empty()));
        assert_eq!(held(hold.observe(60_000, &[alarm("a", "OK", 50_000)], &unmuted())), Some(20_000));
    }

    #[test]
    fn those_in_alarm_lead_and_all_that_close_the_gate_are_shown() {
        let broken = Alarm { evaluation: Some("EVALUATION_ERROR".to_owned()), ..alarm("a", "OK", 0) };
        let failure = Hold::new(rules(Silence::Ok), 0).observe(5, &[broken, alarm("b", "ALARM", 0)], &unmuted());
        let failure = failure.unwrap_err();
        assert!(failure.message.starts_with("alarm b is in ALARM"), "{}", failure.message);
        assert_eq!(failure.details.len(), 2);
    }
}
