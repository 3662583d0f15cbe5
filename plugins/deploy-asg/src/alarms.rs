//! Whether the alarms that are to watch a refresh can do so.
//! The main function is [`ready`].

use kiln_plugin::aws::cloudwatch::{Alarm, DescribeAlarmsRequest, describe_alarms};
use kiln_plugin::{During, Failure, Instant};

use crate::config::{Config, UnreadyAlarms};

/// Look at the alarms that the config names, before the refresh begins. Answers what the reader should know; a failure where one of them
/// can see nothing, unless the config lets that be.
pub(crate) fn ready(config: &Config) -> Result<Vec<String>, Failure> {
    ready_of(config, &config.alarms.clone().unwrap_or_default())
}

/// The same of these alarms, whoever lets them watch the refresh.
pub(crate) fn ready_of(config: &Config, names: &[String]) -> Result<Vec<String>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let request = DescribeAlarmsRequest { alarm_names: names.to_vec() };
    let alarms = describe_alarms(&request).during("looking at the alarms that watch the refresh")?.alarms;
    judge(config, names, &alarms)
}

/// Why an alarm cannot fail a refresh; none where it can.
fn blind(name: &str, alarm: Option<&Alarm>) -> Option<String> {
    let Some(alarm) = alarm else { return Some(format!("CloudWatch has no alarm {name}")) };
    let since = alarm.since.map(|since| format!(" since {}", Instant(since))).unwrap_or_default();
    if alarm.state == "ALARM" {
        return Some(format!("alarm {name} is in ALARM{since}: it would fail the refresh at once ({})", alarm.reason));
    }
    match alarm.evaluation.as_deref() {
        None | Some("PARTIAL_DATA" | "IN_WARM_UP") => None,
        Some(state) => Some(format!("alarm {name} is not evaluated: {state}{since} ({})", alarm.reason)),
    }
}

fn judge(config: &Config, names: &[String], alarms: &[Alarm]) -> Result<Vec<String>, Failure> {
    let of = |name: &String| alarms.iter().find(|alarm| alarm.name == *name || alarm.arn == *name);
    let blind: Vec<String> = names.iter().filter_map(|name| blind(name, of(name))).collect();
    match (blind.first(), config.unready_alarms) {
        (None, _) => Ok(Vec::new()),
        (Some(_), UnreadyAlarms::Warn) => {
            Ok(blind.iter().map(|why| format!("{why}; the refresh begins all the same (`unready-alarms`)")).collect())
        }
        (Some(first), UnreadyAlarms::Fail) => {
            Err(Failure::rejected(format!("the refresh of {} would not be watched: {first}", config.group))
                .help("Mend what rings, or the alarm. If this deployment is what mends it, say `unready-alarms = \"warn\"`; `alarms` names others.")
                .details(blind.iter().cloned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::config;

    fn alarm(state: &str, evaluation: Option<&str>) -> Alarm {
        Alarm {
            name: "a".to_owned(),
            arn: "arn:aws:cloudwatch:us-west-2:111111111111:alarm:a".to_owned(),
            state: state.to_owned(),
            reason: "because".to_owned(),
            since: Some(0),
            kind: "MetricAlarm".to_owned(),
            description: String::new(),
            evaluation: evaluation.map(str::to_owned),
        }
    }

    #[test]
    fn a_refresh_does_not_begin_under_alarms_that_can_see_nothing() {
        let names = ["a".to_owned()];
        for good in [alarm("OK", None), alarm("INSUFFICIENT_DATA", None), alarm("OK", Some("PARTIAL_DATA"))] {
            assert_eq!(judge(&config(), &names, &[good]).ok(), Some(Vec::new()));
        }
        let ills = [
            vec![],
            vec![alarm("ALARM", None)],
            vec![alarm("OK", Some("EVALUATION_ERROR"))],
            vec![alarm("OK", Some("DOZING"))],
        ];
        for ill in ills {
            assert!(judge(&config(), &names, &ill).is_err(), "{ill:?}");
            let warned = Config { unready_alarms: UnreadyAlarms::Warn, ..config() };
            assert_eq!(judge(&warned, &names, &ill).map(|notes| notes.len()).ok(), Some(1));
        }
    }
}
