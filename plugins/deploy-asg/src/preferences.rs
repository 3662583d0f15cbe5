//! How a refresh goes, in AWS's words: only what the config names.
//! The main functions are [`of`] and [`back`].

use kiln_plugin::{Duration, Failure};
use serde_json::{Map, Value, json};

use crate::config::{Config, Protected, RefreshBy, Standby, Strategy};
use crate::guard::Pace;

/// Refuse what AWS would refuse, or what would not replace everything.
pub(crate) fn check(config: &Config) -> Result<(), Failure> {
    check_owned(config)?;
    let rising = config.checkpoints.iter().zip(config.checkpoints.iter().skip(1)).all(|(one, next)| one < next);
    if !rising {
        return Err(Failure::config("the checkpoints do not rise").help("Write them as `[10, 50, 100]`."));
    }
    if config.checkpoints.last().is_some_and(|last| *last != 100) {
        return Err(Failure::config("the last checkpoint is not 100: not every instance would be replaced")
            .help("End `checkpoints` with 100."));
    }
    if config.checkpoint_delay.is_some() && config.checkpoints.is_empty() {
        return Err(
            Failure::config("`checkpoint-delay` without `checkpoints` means nothing").help("Name the checkpoints.")
        );
    }
    if let (Some(min), Some(max)) = (config.min_healthy_percentage, config.max_healthy_percentage)
        && max > min + 100
    {
        return Err(Failure::config("`max-healthy-percentage` is more than 100 above `min-healthy-percentage`")
            .help("AWS takes a difference of 100 at the most."));
    }
    if config.strategy == Strategy::ReplaceRootVolume && config.max_healthy_percentage.is_some_and(|max| max > 100) {
        return Err(Failure::config(
            "`max-healthy-percentage` is above 100, and no instance is launched where root volumes are replaced",
        )
        .help(
            "Leave it out: instances go out of service one after the other, as `min-healthy-percentage` lets them.",
        ));
    }
    Ok(())
}

/// Refuse what does not go with a stack that owns the group.
fn check_owned(config: &Config) -> Result<(), Failure> {
    if config.stack.is_none() {
        return Ok(());
    }
    if config.strategy == Strategy::ReplaceRootVolume {
        return Err(Failure::config("`strategy = \"replace-root-volume\"` gives every type an AMI of its own, which the stack does not know")
            .help("Leave `strategy` out, so that instances are replaced; or `stack` and `parameter`: then the group drifts from its template."));
    }
    if config.allow_unpinned {
        return Err(Failure::config("`allow-unpinned` with `stack`: once its refresh has succeeded the group would name a number, and its template does not")
            .help("Let the template name the version by its number: `!GetAtt LaunchTemplate.LatestVersionNumber`."));
    }
    if config.refresh_by() == RefreshBy::Stage {
        return match config.auto_rollback {
            Some(true) => Err(Failure::config(
                "`auto-rollback` with `stack`: the stack lets the group name the new AMI before the refresh, and AWS would go back to that",
            )
            .help("Leave it out: `on-failure = \"undo\"` goes back by the stack. Or let the stack refresh, which goes back by itself: `refresh = \"stack\"`.")),
            Some(false) | None => Ok(()),
        };
    }
    let told = [
        ("min-healthy-percentage", config.min_healthy_percentage.is_some()),
        ("max-healthy-percentage", config.max_healthy_percentage.is_some()),
        ("warmup", config.warmup.is_some()),
        ("checkpoints", !config.checkpoints.is_empty()),
        ("bake", config.bake.is_some()),
        ("alarms", config.alarms.is_some()),
        ("skip-matching", config.skip_matching.is_some()),
        ("auto-rollback", config.auto_rollback.is_some()),
        ("scale-in-protected", config.scale_in_protected.is_some()),
        ("standby", config.standby.is_some()),
    ];
    match told.iter().find(|(_, told)| *told) {
        None => Ok(()),
        Some((name, _)) => Err(Failure::config(format!(
            "`{name}` with `refresh = \"stack\"`: how the stack refreshes, its template says"
        ))
        .help("Say it in the group's `UpdatePolicy`, or let the stage refresh: `refresh = \"stage\"`.")),
    }
}

fn seconds(duration: Duration) -> Value {
    json!(duration.as_millis() / 1000)
}

/// AWS's `Preferences` of a refresh as the config says; none where it names nothing.
pub(crate) fn of(config: &Config, pace: Pace) -> Option<String> {
    let mut all = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| drop(all.insert(name.to_owned(), value)));
    };
    put_pace(config, pace, &mut put);
    put("InstanceWarmup", config.warmup.map(seconds));
    put("CheckpointPercentages", (!config.checkpoints.is_empty()).then(|| json!(config.checkpoints)));
    put("CheckpointDelay", config.checkpoint_delay.map(seconds));
    put("BakeTime", config.bake.map(seconds));
    let alarms = config.alarms.as_ref().filter(|alarms| !alarms.is_empty());
    put("AlarmSpecification", alarms.map(|alarms| json!({ "Alarms": alarms })));
    put("SkipMatching", config.skip_matching.map(Value::from));
    put("AutoRollback", config.auto_rollback.map(Value::from));
    put_others(config, &mut put);
    (!all.is_empty()).then(|| Value::Object(all).to_string())
}

/// The same of a way back: as fast as the percentages let it, and nothing is done twice.
pub(crate) fn back(config: &Config, pace: Pace) -> String {
    let mut all = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| drop(all.insert(name.to_owned(), value)));
    };
    put_pace(config, pace, &mut put);
    put("InstanceWarmup", config.warmup.map(seconds));
    put("SkipMatching", Some(json!(true)));
    put_others(config, &mut put);
    Value::Object(all).to_string()
}

/// AWS wants the least where the most is told.
fn put_pace(config: &Config, pace: Pace, put: &mut impl FnMut(&str, Option<Value>)) {
    if config.min_healthy_percentage.is_some() || config.max_healthy_percentage.is_some() {
        put("MinHealthyPercentage", Some(json!(pace.min)));
    }
    put("MaxHealthyPercentage", config.max_healthy_percentage.map(Value::from));
}

fn put_others(config: &Config, put: &mut impl FnMut(&str, Option<Value>)) {
    let protected = config.scale_in_protected.map(|protected| match protected {
        Protected::Wait => "Wait",
        Protected::Ignore => "Ignore",
        Protected::Refresh => "Refresh",
    });
    put("ScaleInProtectedInstances", protected.map(Value::from));
    let standby = config.standby.map(|standby| match standby {
        Standby::Wait => "Wait",
        Standby::Ignore => "Ignore",
        Standby::Terminate => "Terminate",
    });
    put("StandbyInstances", standby.map(Value::from));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::config;

    const PACE: Pace = Pace { min: 90, max: 100 };

    #[test]
    fn what_the_config_does_not_name_is_not_sent() {
        assert_eq!(of(&config(), PACE), None);
        let some = Config { bake: Some(Duration::from_secs(60)), alarms: Some(vec![]), ..config() };
        assert_eq!(of(&some, PACE).as_deref(), Some(r#"{"BakeTime":60}"#));
        let most = Config { max_healthy_percentage: Some(150), standby: Some(Standby::Terminate), ..config() };
        let sent: Value = serde_json::from_str(&of(&most, Pace { min: 90, max: 150 }).unwrap()).unwrap();
        assert_eq!(
            sent,
            json!({ "MinHealthyPercentage": 90, "MaxHealthyPercentage": 150, "StandbyInstances": "Terminate" })
        );
    }

    #[test]
    fn a_way_back_neither_rests_nor_bakes() {
        let config = Config {
            checkpoints: vec![50, 100],
            bake: Some(Duration::from_secs(60)),
            scale_in_protected: Some(Protected::Refresh),
            ..config()
        };
        let sent: Value = serde_json::from_str(&back(&config, PACE)).unwrap();
        assert_eq!(sent, json!({ "SkipMatching": true, "ScaleInProtectedInstances": "Refresh" }));
    }

    #[test]
    fn what_a_stack_s_template_says_the_stage_does_not() {
        let owned = || Config {
            stack: Some(kiln_stack::StackName("web".to_owned())),
            parameter: Some("ImageId".to_owned()),
            ..config()
        };
        let refused = |config: Config| check(&config).map_err(|failure| failure.message);
        assert_eq!(refused(owned()), Ok(()));
        let bake = Some(Duration::from_secs(60));
        assert_eq!(refused(Config { bake, ..owned() }), Ok(()), "the stage refreshes");
        for (config, word) in [
            (Config { strategy: Strategy::ReplaceRootVolume, ..owned() }, "replace-root-volume"),
            (Config { allow_unpinned: true, ..owned() }, "allow-unpinned"),
            (Config { auto_rollback: Some(true), ..owned() }, "auto-rollback"),
            (Config { bake, refresh: Some(RefreshBy::Stack), ..owned() }, "`bake`"),
            (Config { alarms: Some(vec![]), refresh: Some(RefreshBy::Stack), ..owned() }, "`alarms`"),
        ] {
            assert!(refused(config).is_err_and(|message| message.contains(word)), "{word}");
        }
    }

    #[test]
    fn what_would_not_replace_everything_is_refused() {
        let with = |checkpoints: &[u32]| check(&Config { checkpoints: checkpoints.to_vec(), ..config() });
        assert!(with(&[]).is_ok() && with(&[20, 100]).is_ok());
        assert!(with(&[20, 50]).is_err() && with(&[50, 20, 100]).is_err() && with(&[50, 50, 100]).is_err());
        let alone = Config { checkpoint_delay: Some(Duration::from_secs(60)), ..config() };
        assert!(check(&alone).is_err());
        let wide = Config { min_healthy_percentage: Some(50), max_healthy_percentage: Some(200), ..config() };
        assert!(check(&wide).is_err());
        let ahead = Config { strategy: Strategy::ReplaceRootVolume, max_healthy_percentage: Some(150), ..config() };
        assert!(check(&ahead).is_err());
    }
}
