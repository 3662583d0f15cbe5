//! No config that `check` takes fails in a run because it is wrong: configs that follow from each plugin's own schema, each checked and
//! rehearsed. `KILN_CONFIGS` says how many for each plugin, `KILN_SEED` with which they begin; what fails is named with its seed, and
//! fails again by `KILN_SEED=N KILN_CONFIGS=1`.

use std::collections::BTreeMap;

use kiln_runner::contract::standard_names;
use kiln_runner::diagnostic::SourceFile;
use kiln_runner::event::EventKind;
use kiln_runner::pipeline::PluginSource;
use kiln_runner::plugin::Plugins;
use kiln_runner::rehearse::{Rehearsal, RehearseError};
use kiln_runner::report::Reports;
use kiln_tests::{Chance, World, plugins, rehearsal};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

/// What only the run can know, or the place of the stage: not in the config alone.
const BEYOND_THE_CONFIG: [&str; 2] = ["does not fit into the stage's timeout", "but this stage acts in"];

/// Who must tell what a run would refuse as config.
#[derive(Clone, Copy, PartialEq)]
enum Teller {
    /// `check`, by the config alone.
    Check,
    /// `plan`, by the account: whether a config fits what is deployed is told by what is there.
    Plan,
}

/// An image of the world, by digest.
const RELEASE_40: &str = "sha256:17cd79aee9f46a393e05b8d4acd1ef9d662e800b6c696baef4bd31af577016e5";

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Values that mean something in the world of the rehearsals, and some that are awkward everywhere.
fn known(name: &str, chance: &mut Chance) -> Option<Value> {
    let digest = "ab".repeat(32);
    let image = format!("111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:{digest}");
    Some(match name {
        // More often would be no other config, only a slower rehearsal.
        "poll" => json!(chance.of(&["5s", "30s", "1m30s"])),
        "bake" => json!(chance.of(&["1s", "2m", "9m59s"])),
        "image" if chance.below(2) == 0 => {
            json!(format!("111111111111.dkr.ecr.us-west-2.amazonaws.com/web@{RELEASE_40}"))
        }
        "image" => json!(image),
        "container" if chance.below(4) > 0 => json!(chance.of(&["app", "app", "proxy", "sidecar"])),
        "containers" if chance.below(2) == 0 => json!([chance.of(&["app", "proxy"]), chance.of(&["app", "sidecar"])]),
        "roles" if chance.below(4) > 0 => json!(["web-execution", "web-task"]),
        "replace-failed" | "allow-zero" if chance.below(2) == 0 => json!(true),
        "alarms" if chance.below(2) == 0 => json!(["web-5xx"]),
        "cluster" | "service" | "repository" if chance.below(2) == 0 => json!("web"),
        "project" if chance.below(2) == 0 => json!("web-image"),
        // Beside the pipeline lies what is beside this test; what a template has is told by that, and not by the schema.
        "template" => json!("templates/watch.yaml"),
        "parameters" => json!({}),
        "keep" | "outputs" => json!([]),
        "stack-policy" | "template-key" => Value::Null,
        "capabilities" if chance.below(2) == 0 => json!(["named-iam"]),
        _ => return None,
    })
}

/// A value that the schema takes, as far as the schema says it in words that this understands.
fn value(schema: &Value, name: &str, chance: &mut Chance) -> Value {
    if name == "environment" && schema.get("type") == Some(&json!("string")) {
        return json!(chance.of(&["there", "there", "nowhere"]));
    }
    let is_ami = schema.get("pattern").and_then(Value::as_str).is_some_and(|pattern| pattern.contains("ami-"));
    match known(name, chance) {
        Some(known) if !is_ami => return known,
        Some(_) | None => {}
    }
    let pick = |list: &[Value], chance: &mut Chance| list[chance.below(list.len() as u64) as usize].clone();
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return pick(values, chance);
    }
    if let Some(choices) = schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array) {
        return value(&pick(choices, chance), "", chance);
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect(),
        Some(Value::String(only)) => vec![only],
        _ => Vec::new(),
    };
    let bound = |key: &str, otherwise: u64| schema.get(key).and_then(Value::as_u64).unwrap_or(otherwise);
    match types.first().copied().unwrap_or_default() {
        "object" => object(schema, chance),
        "array" => {
            let least = bound("minItems", 0);
            let count = least + chance.below(3).min(bound("maxItems", 100) - least);
            let items = schema.get("items").cloned().unwrap_or_default();
            (0..count).map(|_| value(&items, "", chance)).collect()
        }
        "integer" | "number" => {
            let least = bound("minimum", 0);
            let most = bound("maximum", least + 1000);
            let inside = least + chance.below(most - least + 1);
            json!([least, most, inside][chance.below(3) as usize])
        }
        "boolean" => json!(chance.below(2) == 0),
        "string" => text(schema, chance),
        _ => Value::Null,
    }
}

fn object(schema: &Value, chance: &mut Chance) -> Value {
    let mut object = Map::new();
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, of_it) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let wanted = required.contains(&json!(name)) || chance.below(2) == 0;
        let value = if wanted { value(of_it, name, chance) } else { Value::Null };
        if !value.is_null() {
            object.insert(name.clone(), value);
        }
    }
    if let Some(of_each) = schema.get("additionalProperties").filter(|more| more.is_object()) {
        for _ in 0..chance.below(3) {
            let name = chance.of(&["A", "b-c", "", "IMAGE_TAG", "with space"]).to_owned();
            object.insert(name, value(of_each, "", chance));
        }
    }
    Value::Object(object)
}

fn text(schema: &Value, chance: &mut Chance) -> Value {
    let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else {
        return json!(chance.of(&["", "a", "web", "*", "a*", " ", "é", "a/b", "arn:aws:x", "${", "v1.2-3_4", "-"]));
    };
    // What is drawn is the whole text.
    let whole = pattern.trim_start_matches('^').trim_end_matches('$');
    let strategy = proptest::string::string_regex(whole).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let mut seed = [0; 32];
    seed.fill_with(|| chance.below(256) as u8);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    json!(strategy.new_tree(&mut runner).unwrap_or_else(|error| panic!("{pattern}: {error}")).current())
}

/// The schema of a standard plugin's config.
pub(crate) fn config_schema(name: &str, plugins: &Plugins) -> Value {
    let source = PluginSource::Standard(name.to_owned());
    plugins.load(&source).unwrap_or_else(|error| panic!("{error}")).description.config_schema.clone()
}

/// A config that the schema takes, mostly.
pub(crate) fn config_of(schema: &Value, chance: &mut Chance) -> Value {
    object(schema, chance)
}

/// A pipeline with one stage of the plugin.
fn pipeline(plugin: &str, schema: &Value, seed: u64) -> String {
    let with = object(schema, &mut Chance::of_seed(seed));
    let pipeline = json!({
        "pipeline": { "name": "p", "region": "us-west-2" },
        "environments": { "there": { "account": "111111111111", "region": "eu-west-1" } },
        "stages": { "it": { "plugin": plugin, "timeout": "1h", "with": with } },
    });
    toml::to_string(&pipeline).unwrap_or_else(|error| panic!("{pipeline}: {error}"))
}

/// What of the rehearsal failed as config without being told before; none where `check` refuses the pipeline.
fn failed_as_config(text: &str, plugins: &std::sync::Arc<Plugins>, teller: Teller) -> Option<Vec<String>> {
    let source = SourceFile::new("pipeline.toml".to_owned(), text.to_owned());
    let rehearsal: Rehearsal = rehearsal(source, &World::web_service().text(), 7);
    let rehearsal = Rehearsal { inputs: Default::default(), ..rehearsal };
    let quiet = Box::new(Reports::new(Vec::new()));
    let planned = (teller == Teller::Plan).then(|| {
        let view = kiln_runner::rehearse::plan(rehearsal.clone(), std::sync::Arc::clone(plugins)).ok()?;
        view.stages.into_iter().find_map(|stage| stage.failure).map(|failure| failure.message)
    });
    let told = planned.flatten();
    let rehearsed = match kiln_runner::rehearse::rehearse(rehearsal, std::sync::Arc::clone(plugins), quiet) {
        Ok(rehearsed) => rehearsed,
        Err(RehearseError::Pipeline(_)) => return None,
        Err(error) => return Some(vec![error.to_string()]),
    };
    let failures = rehearsed.events.into_iter().filter_map(|event| match event.kind {
        EventKind::StageFinished { failure: Some(failure), .. } if failure.kind == "config" => Some(failure.message),
        _ => None,
    });
    let by_config = |message: &String| {
        !BEYOND_THE_CONFIG.iter().any(|beyond| message.contains(beyond)) && told.as_ref() != Some(message)
    };
    Some(failures.filter(by_config).collect())
}

/// Rehearse configs of one plugin, and answer what failed as config and how many passed the check.
fn try_plugin(name: &str, teller: Teller) {
    let plugins = plugins();
    let schema = config_schema(name, &plugins);
    let (first, count) = (number("KILN_SEED", 1), number("KILN_CONFIGS", 200));
    println!("{name}: {count} configs, from KILN_SEED={first} on");
    // An example of each message.
    let (mut passed, mut wrong) = (0, BTreeMap::new());
    for seed in first..first + count {
        let text = pipeline(name, &schema, seed);
        match failed_as_config(&text, &plugins, teller) {
            None => {}
            Some(failures) => {
                passed += 1;
                for why in failures {
                    wrong.entry(why).or_insert_with(|| format!("KILN_SEED={seed} KILN_CONFIGS=1:\n{text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "passed the check and failed as config: {wrong:#?}");
    assert!(count < 100 || passed * 20 > count, "only {passed} of {count} configs pass the check: nothing was tried");
}

/// The plugins whose configs are tried, each by a test of its own.
macro_rules! tried {
    ($($test:ident: $plugin:literal by $teller:ident;)*) => {
        const TRIED: &[&str] = &[$($plugin),*];

        $(
            #[test]
            fn $test() {
                try_plugin($plugin, Teller::$teller);
            }
        )*
    };
}

tried! {
    no_config_of_bake_ami_passes_the_check_and_fails_as_config: "bake-ami" by Check;
    no_config_of_build_image_passes_the_check_and_fails_as_config: "build-image" by Check;
    no_config_of_cleanup_amis_passes_the_check_and_fails_as_config: "cleanup-amis" by Check;
    no_config_of_cleanup_images_passes_the_check_and_fails_as_config: "cleanup-images" by Check;
    no_config_of_deploy_asg_passes_the_plan_and_fails_as_config: "deploy-asg" by Plan;
    no_config_of_deploy_ecs_passes_the_plan_and_fails_as_config: "deploy-ecs" by Plan;
    no_config_of_deploy_stack_passes_the_plan_and_fails_as_config: "deploy-stack" by Plan;
    no_config_of_promote_image_passes_the_check_and_fails_as_config: "promote-image" by Check;
    no_config_of_scan_ami_passes_the_check_and_fails_as_config: "scan-ami" by Check;
    no_config_of_scan_image_passes_the_check_and_fails_as_config: "scan-image" by Check;
    no_config_of_verify_alarms_passes_the_check_and_fails_as_config: "verify-alarms" by Check;
    no_config_of_verify_health_passes_the_check_and_fails_as_config: "verify-health" by Check;
}

#[test]
fn configs_of_every_standard_plugin_are_tried() {
    assert_eq!(TRIED, standard_names());
}
