//! Whether the alarms that are to watch a deployment can do so.
//! The main function is [`ready`]; what an alarm can do is decided in [`sight`].

use kiln_plugin::aws::cloudwatch::{Alarm, DescribeAlarmsRequest, describe_alarms};
use kiln_plugin::{During, Failure, Instant};

use crate::config::{Config, UnreadyAlarms};
use crate::settings::Settings;

/// How many alarms may be described at once.
const ALARMS: usize = 100;

/// Look at the alarms that watch a deployment with these settings, before it begins. Answers what the reader should know; a failure
/// where one of them can see nothing, unless the config lets that be.
pub(crate) fn ready(config: &Config, settings: &Settings) -> Result<Vec<String>, Failure> {
    let names = settings.alarms();
    let mut alarms = Vec::new();
    for names in names.chunks(ALARMS) {
        let request = DescribeAlarmsRequest { alarm_names: names.to_vec() };
        alarms.extend(describe_alarms(&request).during("looking at the alarms that watch the deployment")?.alarms);
    }
    judge(&config.subject(), config.unready_alarms, &names, &alarms)
}

/// What an alarm can see of a deployment.
#[derive(Debug, PartialEq, Eq)]
enum Sight {
    Clear,
    /// It may see less than all: why.
    Dim(String),
    /// It cannot fail this deployment: why.
    Blind(String),
}

fn sight(name: &str, alarm: Option<&Alarm>) -> Sight {
    let Some(alarm) = alarm else {
        return Sight::Blind(format!("CloudWatch has no alarm {name}"));
    };
    let since = alarm.since.map(|since| format!(" since {}", Instant(since))).unwrap_or_default();
    if alarm.state == "ALARM" {
        return Sight::Blind(format!(
            "alarm {name} is in ALARM{since}: ECS leaves an alarm out that rings before the deployment begins ({})",
            alarm.reason
        ));
    }
    match alarm.evaluation.as_deref() {
        None => Sight::Clear,
        Some("PARTIAL_DATA") => Sight::Dim(format!("alarm {name} is evaluated on a part of its data (PARTIAL_DATA)")),
        Some("IN_WARM_UP") => {
            Sight::Dim(format!("alarm {name} is in its warm-up period, and cannot ring before its end"))
        }
        Some(state) => Sight::Blind(format!("alarm {name} is not evaluated: {state}{since} ({})", alarm.reason)),
    }
}

fn judge(subject: &str, unready: UnreadyAlarms, names: &[String], alarms: &[Alarm]) -> Result<Vec<String>, Failure> {
    let mut notes = Vec::new();
    let mut blind = Vec::new();
    for name in names {
        match sight(name, alarms.iter().find(|alarm| alarm.name == *name || alarm.arn == *name)) {
            Sight::Clear => {}
            Sight::Dim(why) => notes.push(why),
            Sight::Blind(why) => blind.push(why),
        }
    }
    match (blind.as_slice(), unready) {
        ([], _) => Ok(notes),
        (_, UnreadyAlarms::Warn) => {
            notes
                .extend(blind.iter().map(|why| format!("{why}; the deployment goes on without it (`unready-alarms`)")));
            Ok(notes)
        }
        ([first, ..], UnreadyAlarms::Fail) => Err(Failure::rejected(format!(
            "nothing would watch the deployment to {subject}: {first}"
        ))
        .help(
            "Mend what rings, or the alarm. If this deployment is what mends it, say `unready-alarms = \"warn\"`; \
                     `alarms` names others.",
        )
        .details(blind.iter().cloned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_deployment_does_not_begin_under_alarms_that_can_see_nothing() {
        let names = ["a".to_owned()];
        let judged = |unready, alarms: &[Alarm]| judge("web/web", unready, &names, alarms);
        for good in [alarm("OK", None), alarm("INSUFFICIENT_DATA", None)] {
            assert_eq!(judged(UnreadyAlarms::Fail, &[good]).ok(), Some(Vec::new()));
        }
        for dim in [alarm("OK", Some("PARTIAL_DATA")), alarm("INSUFFICIENT_DATA", Some("IN_WARM_UP"))] {
            assert_eq!(judged(UnreadyAlarms::Fail, &[dim]).map(|notes| notes.len()).ok(), Some(1));
        }
        for blind in [
            vec![],
            vec![alarm("ALARM", None)],
            vec![alarm("OK", Some("EVALUATION_ERROR"))],
            vec![alarm("OK", Some("EVALUATION_FAILURE"))],
            vec![alarm("OK", Some("DAYDREAMING"))],
        ] {
            let failure = judged(UnreadyAlarms::Fail, &blind).unwrap_err();
            assert!(
                failure.message.starts_with("nothing would watch the deployment to web/web"),
                "{}",
                failure.message
            );
            assert_eq!(judged(UnreadyAlarms::Warn, &blind).map(|notes| notes.len()).ok(), Some(1));
        }
    }
}
