//! Holds for a bake time while named CloudWatch alarms stay OK.
//! The main type is [`VerifyAlarms`]; what one alarm means is decided in [`meaning`], what that means for the bake in [`hold`].

mod config;
mod hold;
mod meaning;

use kiln_plugin::aws::cloudwatch::{
    Alarm, DescribeAlarmsRequest, GetAlarmMuteRuleRequest, ListAlarmMuteRulesRequest, describe_alarms,
    get_alarm_mute_rule, list_alarm_mute_rules,
};
use kiln_plugin::aws::{Error, ErrorKind};
use kiln_plugin::{ChangeAction, Duration, During, Failure, Look, Permission, Plan, Stage, log, poll, timer};

pub use crate::config::{Blindness, Config, Muting, Outputs, Silence};
use crate::hold::{Hold, Observed};
use crate::meaning::{Muted, Rules, since};

/// The plugin.
pub struct VerifyAlarms;

impl Stage for VerifyAlarms {
    const NAME: &'static str = "verify-alarms";
    const SUMMARY: &'static str = "Holds for a bake time while named CloudWatch alarms stay OK";
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        vec![
            Permission::new("cloudwatch:DescribeAlarms", "to look at the state of the alarms")
                .on("cloudwatch", "alarm:${with.alarms}"),
            Permission::new("cloudwatch:ListAlarmMuteRules", "to see whether rules mute alarms now").on_any(),
            Permission::new("cloudwatch:GetAlarmMuteRule", "to see whether such a rule mutes one of these")
                .on("cloudwatch", "alarm-mute-rule:*"),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        check_time(config.bake)?;
        let alarms = look_at(&config.alarms)?;
        let rules = Rules::of(&config);
        let muted = match muted(&config) {
            Ok(muted) => muted,
            // The run does not ask either where it makes no difference.
            Err(error) if rules.muted == Muting::Judge => {
                log::warn(format!("which alarms are muted cannot be seen: {}", error.message));
                Muted::new()
            }
            Err(error) => return Err(error).during("looking for rules that mute alarms"),
        };
        let mut plan = Plan::new(format!("waits until {} stayed OK for {}", named(&config.alarms), config.bake));
        for alarm in alarms {
            let warning = rules.warning(&alarm, &muted);
            let evaluation = alarm.evaluation.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
            plan = plan.change(
                ChangeAction::Read,
                format!("alarm {}", alarm.name),
                format!("{}{evaluation}{}: {}{warning}", alarm.state, since(&alarm), alarm.description),
            );
        }
        plan = plan.change(ChangeAction::Read, "what is neither OK nor ALARM".to_owned(), rules.words());
        Ok(plan)
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        let start = timer::now();
        let bake = config.bake.as_millis();
        check_time(config.bake)?;
        let rules = Rules::of(&config);
        let mut hold = Hold::new(rules, start);
        let subject = format!("the bake of {} for {}", named(&config.alarms), config.bake);
        let held = poll(config.poll, &subject, || {
            let alarms = look_at(&config.alarms)?;
            let muted = match rules.muted {
                Muting::Judge => Muted::new(),
                Muting::Wait | Muting::Fail => muted(&config).during("looking for rules that mute alarms")?,
            };
            let now = timer::now();
            let observed = hold.observe(now, &alarms, &muted)?;
            for line in &observed.notes {
                log::warn(line);
            }
            Ok(match observed {
                Observed { waiting_for: Some(alarm), .. } => Look::waiting(format!("waiting for {alarm}")),
                Observed { held, .. } if held >= bake => Look::Done(held),
                Observed { held, .. } => Look::counted(
                    format!("{} OK for {} of {}", named(&config.alarms), seconds(held), config.bake),
                    (held / 1000) as u32,
                    (bake / 1000) as u32,
                ),
            })
        })?;
        Ok(Outputs { alarms: config.alarms, baked_seconds: held / 1000 })
    }
}

/// What the stage's timeout ends before the bake is over never passes.
fn check_time(bake: Duration) -> Result<(), Failure> {
    let left = timer::deadline().saturating_sub(timer::now());
    if left > bake.as_millis() {
        return Ok(());
    }
    Err(Failure::config(format!("a bake time of {bake} does not fit into the stage's timeout"))
        .help("Give the stage a `timeout` that is longer than `bake`."))
}

/// The alarms, all of which must exist.
fn look_at(names: &[String]) -> Result<Vec<Alarm>, Failure> {
    let request = DescribeAlarmsRequest { alarm_names: names.to_vec() };
    let alarms = describe_alarms(&request).during("looking at the alarms")?.alarms;
    let missing = hold::missing(names, &alarms);
    if missing.is_empty() {
        return Ok(alarms);
    }
    Err(Failure::not_found(format!("CloudWatch has no {}", named(&missing)))
        .help(
            "Correct the name under `alarms`, or create the alarm: a gate must not pass because nobody watches. If it is a composite \
             alarm, the role must be allowed cloudwatch:DescribeAlarms on `*`.",
        ))
}

/// Which of the alarms a rule mutes now, and which rule.
fn muted(config: &Config) -> Result<Muted, Error> {
    let request = ListAlarmMuteRulesRequest { statuses: vec!["ACTIVE".to_owned()] };
    let mut muted = Muted::new();
    for rule in list_alarm_mute_rules(&request)?.rules {
        let rule = match get_alarm_mute_rule(&GetAlarmMuteRuleRequest { name: rule.name }) {
            Ok(rule) => rule,
            // Somebody deleted it meanwhile.
            Err(error) if error.kind == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let ours = |name: &&String| {
            config.alarms.iter().any(|alarm| alarm == *name || alarm.ends_with(&format!(":alarm:{name}")))
        };
        let named = rule.alarm_names.iter().filter(ours);
        muted.extend(named.map(|alarm| (alarm.clone(), rule.rule.name.clone())));
    }
    Ok(muted)
}

fn named(alarms: &[String]) -> String {
    let word = if alarms.len() == 1 { "alarm" } else { "alarms" };
    format!("{word} {}", alarms.join(", "))
}

fn seconds(millis: u64) -> String {
    if millis < 1000 { "0s".to_owned() } else { Duration::from_secs(millis / 1000).to_string() }
}

kiln_plugin::export!(VerifyAlarms);
