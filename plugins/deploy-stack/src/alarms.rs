//! The alarms that are to watch a change of the stack.
//! The main function is [`triggers`].

use kiln_plugin::aws::cloudformation::RollbackTriggers;
use kiln_plugin::aws::cloudwatch::{Alarm, DescribeAlarmsRequest, describe_alarms};
use kiln_plugin::{Duration, During, Failure, Instant};

use crate::config::Config;

/// CloudFormation watches for three hours at the most.
const LONGEST: u64 = 180;

/// The triggers of the config, once it is known that its alarms can ring. `None` where it names none: then the stack keeps its own.
pub(crate) fn triggers(config: &Config) -> Result<Option<RollbackTriggers>, Failure> {
    let minutes = minutes(config.monitoring)?;
    if config.rollback_alarms.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = config.rollback_alarms.iter().map(|given| name(given).to_owned()).collect();
    let request = DescribeAlarmsRequest { alarm_names: names.clone() };
    let alarms = describe_alarms(&request).during("looking at the alarms that are to watch the stack")?.alarms;
    judge(config.name(), &names, &alarms)?;
    let arns = |composite: bool| {
        let of = alarms.iter().filter(|alarm| (alarm.kind == "CompositeAlarm") == composite);
        of.map(|alarm| alarm.arn.clone()).collect()
    };
    Ok(Some(RollbackTriggers { alarms: arns(false), composites: arns(true), minutes }))
}

fn minutes(monitoring: Option<Duration>) -> Result<u32, Failure> {
    let minutes = monitoring.map_or(0, |time| time.as_secs().div_ceil(60));
    match u32::try_from(minutes).ok().filter(|_| minutes <= LONGEST) {
        Some(minutes) => Ok(minutes),
        None => Err(Failure::config("`monitoring` may be three hours at the most")
            .help("Watch longer by a stage of its own: `verify-alarms`.")),
    }
}

/// The name in an alarm's ARN.
fn name(given: &str) -> &str {
    match given.starts_with("arn:") {
        true => given.split_once(":alarm:").map_or(given, |(_, name)| name),
        false => given,
    }
}

/// An alarm that is not there fails the whole operation, and one that rings already brings it back at once.
fn judge(stack: &str, names: &[String], alarms: &[Alarm]) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for name in names {
        match alarms.iter().find(|alarm| alarm.name == *name) {
            None => wrong.push(format!("CloudWatch has no alarm {name}, and CloudFormation fails for that")),
            Some(alarm) if alarm.state == "ALARM" => {
                let since = alarm.since.map(|since| format!(" since {}", Instant(since))).unwrap_or_default();
                wrong.push(format!("alarm {name} is in ALARM{since} already ({})", alarm.reason));
            }
            Some(_) => {}
        }
    }
    match wrong.first() {
        None => Ok(()),
        Some(first) => Err(Failure::rejected(format!("{stack} would be brought back at once: {first}"))
            .help("Mend what rings, or correct `rollback-alarms`. Nothing was changed.")
            .details(wrong)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(name: &str, state: &str) -> Alarm {
        Alarm {
            name: name.to_owned(),
            arn: format!("arn:aws:cloudwatch:us-west-2:111111111111:alarm:{name}"),
            state: state.to_owned(),
            reason: "because".to_owned(),
            since: None,
            kind: "MetricAlarm".to_owned(),
            description: String::new(),
            evaluation: None,
        }
    }

    #[test]
    fn alarms_must_be_there_and_silent() {
        let names = ["a".to_owned(), "b".to_owned()];
        assert!(judge("web", &names, &[alarm("a", "OK"), alarm("b", "INSUFFICIENT_DATA")]).is_ok());
        let missing = judge("web", &names, &[alarm("a", "OK")]).unwrap_err();
        assert_eq!(
            missing.message,
            "web would be brought back at once: CloudWatch has no alarm b, and CloudFormation fails for that"
        );
        let rings = judge("web", &names, &[alarm("a", "ALARM"), alarm("b", "OK")]).unwrap_err();
        assert!(rings.message.contains("alarm a is in ALARM already (because)"));
        assert_eq!(name("arn:aws:cloudwatch:us-west-2:111111111111:alarm:x y"), "x y");
    }

    #[test]
    fn the_time_of_watching_is_whole_minutes_and_bounded() {
        let of = |seconds: u64| minutes(Some(Duration::from_secs(seconds))).ok();
        assert_eq!([of(30), of(60), of(10_800), of(10_801)], [Some(1), Some(1), Some(180), None]);
        assert_eq!(minutes(None).ok(), Some(0));
    }
}
