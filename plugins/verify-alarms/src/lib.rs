//! Holds for a bake time while named CloudWatch alarms stay OK.
//! The main type is [`VerifyAlarms`]; what an observation means is decided in [`hold`].

mod hold;

use kiln_plugin::aws::cloudwatch::{Alarm, DescribeAlarmsRequest, describe_alarms};
use kiln_plugin::{
    ChangeAction, Duration, During, Failure, Instant, JsonSchema, Look, Permission, Plan, Stage, log, poll, timer,
};
use serde::{Deserialize, Serialize};

use crate::hold::{Hold, Observed};

/// The plugin.
pub struct VerifyAlarms;

/// What an alarm without data means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InsufficientData {
    /// It closes the gate: nothing says that all is well.
    #[default]
    Fail,
    /// It counts as OK: for alarms whose metric is silent while all is well.
    Ok,
    /// It is waited for: the bake time begins when the alarm is OK.
    Wait,
}

/// `with` of the stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Names of the alarms, metric and composite. All of them must exist.
    // What begins as an ARN is one, of an alarm.
    #[schemars(length(min = 1, max = 100), extend("items" = {
        "type": "string",
        "minLength": 1,
        "if": { "pattern": "^arn:" },
        "then": { "pattern": "^arn:[a-z0-9-]+:cloudwatch:[a-z0-9-]+:[0-9]{12}:alarm:." },
    }))]
    pub alarms: Vec<String>,
    /// How long all of them must be OK without a break.
    pub bake: Duration,
    /// What INSUFFICIENT_DATA means.
    #[serde(default)]
    pub insufficient_data: InsufficientData,
    /// How often to look.
    #[serde(default = "default_poll")]
    pub poll: Duration,
}

fn default_poll() -> Duration {
    Duration::from_secs(15)
}

/// The outputs of the stage.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The alarms that stayed OK.
    pub alarms: Vec<String>,
    /// How long they did, in seconds.
    pub baked_seconds: u64,
}

impl Stage for VerifyAlarms {
    const NAME: &'static str = "verify-alarms";
    const SUMMARY: &'static str = "Holds for a bake time while named CloudWatch alarms stay OK";
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        vec![
            Permission::new("cloudwatch:DescribeAlarms", "to look at the state of the alarms")
                .on("cloudwatch", "alarm:${with.alarms}"),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        check_time(config.bake)?;
        let alarms = look_at(&config.alarms)?;
        let mut plan = Plan::new(format!("waits until {} stayed OK for {}", named(&config.alarms), config.bake));
        for alarm in alarms {
            let since = alarm.since.map(|since| format!(" since {}", Instant(since))).unwrap_or_default();
            let warning = hold::warning(config.insufficient_data, &alarm);
            plan = plan.change(
                ChangeAction::Read,
                format!("alarm {}", alarm.name),
                format!("{}{since}: {}{warning}", alarm.state, alarm.description),
            );
        }
        Ok(plan)
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        let start = timer::now();
        let bake = config.bake.as_millis();
        check_time(config.bake)?;
        let mut hold = Hold::new(config.insufficient_data, start);
        let subject = format!("the bake of {} for {}", named(&config.alarms), config.bake);
        let held = poll(config.poll, &subject, || {
            let alarms = look_at(&config.alarms)?;
            let now = timer::now();
            let observed = hold.observe(now, &alarms)?;
            for line in &observed.notes {
                log::warn(line);
            }
            Ok(match observed {
                Observed { waiting_for: Some(alarm), .. } => {
                    Look::waiting(format!("waiting for data of alarm {alarm}"))
                }
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
        .help("Correct the name under `alarms`, or create the alarm: a gate must not pass because nobody watches."))
}

fn named(alarms: &[String]) -> String {
    let word = if alarms.len() == 1 { "alarm" } else { "alarms" };
    format!("{word} {}", alarms.join(", "))
}

fn seconds(millis: u64) -> String {
    if millis < 1000 { "0s".to_owned() } else { Duration::from_secs(millis / 1000).to_string() }
}

kiln_plugin::export!(VerifyAlarms);
