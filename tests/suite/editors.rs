//! What an editor sees: the schemas that `kiln schema` prints take all that kiln takes, and find what is misspelt. `INSTA_UPDATE=always`
//! writes those that lie beside the pipelines, as it writes snapshots.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use jsonschema::Validator;
use kiln_runner::contract::standard_names;
use kiln_runner::diagnostic::SourceFile;
use kiln_runner::pipeline;
use kiln_tests::{Chance, Guest, Kiln, plugins, repository};
use serde_json::{Map, Value, json};

use crate::configs::{config_of, config_schema};
use crate::emulators::python;

/// The sorts of files, with what follows `kiln schema` for each and where its schema lies.
const SORTS: [(&str, &[&str], &str); 3] = [
    ("pipeline", &["schema"], "pipelines/schemas/pipeline.json"),
    ("world", &["schema", "--world"], "pipelines/schemas/world.json"),
    ("scenario", &["schema", "--scenario"], "pipelines/schemas/scenario.json"),
];

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn printed(sort: &str) -> String {
    let (_, arguments, _) = SORTS.iter().find(|(name, ..)| *name == sort).unwrap_or_else(|| panic!("no {sort}"));
    let outcome = Kiln::new(arguments.iter().copied()).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    outcome.stdout()
}

fn schema(sort: &str) -> Value {
    serde_json::from_str(&printed(sort)).unwrap_or_else(|error| panic!("{sort}: {error}"))
}

fn validator(sort: &str) -> Validator {
    jsonschema::validator_for(&schema(sort)).unwrap_or_else(|error| panic!("{sort}: {error}"))
}

/// A TOML text as JSON; a date is a text.
fn json_of(text: &str) -> Value {
    fn convert(value: toml::Value) -> Value {
        match value {
            toml::Value::Datetime(date) => Value::String(date.to_string()),
            toml::Value::Array(items) => items.into_iter().map(convert).collect(),
            toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, convert(value))).collect(),
            other => serde_json::to_value(other).unwrap_or_default(),
        }
    }
    convert(toml::Value::Table(text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))))
}

fn problems(validator: &Validator, text: &str) -> Vec<String> {
    let value = json_of(text);
    let told = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path()));
    told.collect()
}

/// The files below `pipelines` of a sort.
fn files(sort: &str) -> Vec<PathBuf> {
    let root = repository().join("pipelines");
    let mut found = Vec::new();
    for path in std::fs::read_dir(&root).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match sort {
            "scenario" if name.ends_with(".scenarios") => {
                found.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            }
            "world" if name.ends_with(".world.toml") => found.push(path),
            "pipeline" if name.ends_with(".toml") && !name.ends_with(".world.toml") => found.push(path),
            _ => {}
        }
    }
    found.sort();
    assert!(found.len() >= 2, "{sort}: {found:?}");
    found
}

#[test]
fn the_schemas_beside_the_pipelines_are_those_that_kiln_prints() {
    for (sort, arguments, file) in SORTS {
        let (printed, path) = (printed(sort), repository().join(file));
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&path, &printed).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        let same = std::fs::read_to_string(&path).is_ok_and(|there| there == printed);
        assert!(same, "{file} is not what `kiln {}` prints: INSTA_UPDATE=always writes it", arguments.join(" "));
    }
}

#[test]
fn each_pipeline_and_each_world_names_its_schema_in_its_first_line() {
    for sort in ["pipeline", "world"] {
        for path in files(sort) {
            let text = read(&path);
            let named = text.lines().next().and_then(|line| line.strip_prefix("#:schema ")).unwrap_or_default();
            assert_eq!(named, format!("schemas/{sort}.json"), "{}", path.display());
            assert!(path.with_file_name(named).is_file(), "{}", path.display());
        }
    }
}

#[test]
fn whatever_lies_beside_the_pipelines_is_valid() {
    for (sort, ..) in SORTS {
        let validator = validator(sort);
        for path in files(sort) {
            assert_eq!(problems(&validator, &read(&path)), Vec::<String>::new(), "{}", path.display());
        }
    }
}

/// Each value within a value, with what leads there.
fn paths(value: &toml::Value, path: &[String], found: &mut Vec<Vec<String>>) {
    let mut inner = |key: String, value: &toml::Value| {
        let path: Vec<String> = path.iter().cloned().chain([key]).collect();
        paths(value, &path, found);
        found.push(path);
    };
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| inner(key.clone(), value)),
        toml::Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| inner(index.to_string(), value))
        }
        _ => {}
    }
}

/// The table or list in which a path ends, and the last of its keys.
fn holder<'v>(value: &'v mut toml::Value, path: &[String]) -> Option<(&'v mut toml::Value, String)> {
    let (last, before) = path.split_last()?;
    let found = before.iter().try_fold(value, |here, key| match here {
        toml::Value::Table(table) => table.get_mut(key),
        toml::Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    });
    Some((found?, last.clone()))
}

#[test]
fn a_world_is_valid_where_the_simulator_can_read_it() {
    let validator = validator("world");
    let (mut read, mut refused) = (0, 0);
    for file in files("world") {
        let world = toml::Value::Table(self::read(&file).parse().unwrap_or_else(|error| panic!("{error}")));
        let mut all = Vec::new();
        paths(&world, &[], &mut all);
        for path in all {
            // Without it, under another name, and with other things in its place.
            for change in ["remove", "rename", "number", "text", "list"] {
                let mut changed = world.clone();
                let Some((holder, key)) = holder(&mut changed, &path) else { continue };
                let toml::Value::Table(table) = holder else { continue };
                let Some(value) = table.remove(&key) else { continue };
                match change {
                    "rename" => drop(table.insert(format!("{key}x"), value)),
                    "number" => drop(table.insert(key, toml::Value::Integer(7))),
                    "text" => drop(table.insert(key, toml::Value::from("x"))),
                    "list" => drop(table.insert(key, toml::Value::Array(Vec::new()))),
                    _ => {}
                }
                let text = toml::to_string(&changed).unwrap_or_else(|error| panic!("{change} {path:?}: {error}"));
                let problems = problems(&validator, &text);
                match kiln_sim::WorldFile::parse(&text) {
                    // That something contradicts itself no schema says.
                    Ok(_) | Err(kiln_sim::WorldError::Invalid(_)) => {
                        read += 1;
                        // Whether a region is one, the schema says as the simulator does.
                        let is_place = ["account", "region", "scale"].contains(&path.concat().as_str());
                        assert!(is_place || problems.is_empty(), "{change} {path:?}: {problems:?}");
                    }
                    Err(kiln_sim::WorldError::Syntax(_)) => {
                        refused += 1;
                        // A policy, an instant, what a duration adds up to: their parsers are stricter than any pattern.
                        assert!(!problems.is_empty(), "{change} {path:?} is refused by the simulator alone: {text}");
                    }
                }
            }
        }
    }
    assert!(read > 100 && refused > 200, "{read} were read, {refused} refused");
}

#[test]
fn the_pipelines_of_the_book_are_valid() {
    let validator = validator("pipeline");
    for chapter in ["docs/pipelines.md", "README.md"] {
        let text = read(&repository().join(chapter));
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        // Some are pieces of a pipeline.
        for block in blocks.filter(|block| block.contains("[pipeline]")) {
            assert_eq!(problems(&validator, block), Vec::<String>::new(), "{chapter}: {block}");
        }
    }
}

/// Put expressions into the place of some values, whatever they are.
fn with_expressions(value: &mut Value, odds: u64, chance: &mut Chance) {
    if chance.below(odds) == 0 {
        let text = value.as_str().unwrap_or_default().replace("${", "");
        *value = match chance.below(3) {
            0 => json!("${inputs.any}"),
            1 => json!(format!("{text}${{region}}")),
            _ => json!("${env.SOME}"),
        };
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| with_expressions(item, odds, chance)),
        Value::Object(map) => map.values_mut().for_each(|item| with_expressions(item, odds, chance)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Let each environment that a config names be one that there is.
fn elsewhere_in_production(with: &mut Value) {
    let elsewhere = match with.get_mut("elsewhere") {
        Some(Value::Array(several)) => {
            several.truncate(1);
            several.iter_mut().next()
        }
        only => only,
    };
    if let Some(Value::Object(elsewhere)) = elsewhere {
        elsewhere.insert("environment".to_owned(), json!("production"));
    }
}

#[test]
fn whatever_a_check_takes_the_schema_takes() {
    let (plugins, validator) = (plugins(), validator("pipeline"));
    for plugin in standard_names() {
        let (config, mut passed, mut with_some) = (config_schema(plugin, &plugins), 0, 0);
        // Of a config of which little passes, more are tried.
        for seed in 1..=3_000 {
            if seed > 200 && passed >= 30 && with_some >= 10 {
                break;
            }
            let mut chance = Chance::of_seed(seed);
            let mut with = config_of(&config, &mut chance);
            elsewhere_in_production(&mut with);
            if seed % 3 > 0 {
                // Of a config with many fields few would pass if each had its chance.
                let odds = with.as_object().map_or(0, Map::len).max(2) as u64;
                with.as_object_mut()
                    .into_iter()
                    .flat_map(Map::values_mut)
                    .for_each(|value| with_expressions(value, odds, &mut chance));
            }
            let file = json!({
                "pipeline": { "name": "p", "region": "us-west-2" },
                "inputs": { "any": {} },
                "environments": { "production": { "account": "111111111111" } },
                "stages": { "it": { "plugin": plugin, "timeout": "1h", "with": with } },
            });
            let text = toml::to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
            if pipeline::check(&SourceFile::new("pipeline.toml", text.as_str()), plugins.as_ref()).is_ok() {
                passed += 1;
                with_some += usize::from(text.contains("${inputs.any}"));
                assert_eq!(problems(&validator, &text), Vec::<String>::new(), "seed {seed}: {text}");
            }
        }
        assert!(
            passed >= 30 && with_some >= 10,
            "{plugin}: only {passed} passed the check, {with_some} with an expression"
        );
    }
}

const PIPELINE: &str = r#"
[pipeline]
name = "web"
region = "us-west-2"
[environments.production]
account = "111111111111"
role = "arn:aws:iam::111111111111:role/deployer"
[stages.deploy]
plugin = "deploy-ecs"
environment = "production"
timeout = "45m"
retry = { attempts = 2, backoff = "1s" }
with = { cluster = "web", service = "web", image = "${env.IMAGE}", minimum-healthy-percent = 50, roles = ["x"] }
[stages.build]
plugin = "build-image"
with = { project = "web", repository = "web", tag = "1", cache = { type = "s3", location = "b/p" } }
"#;

/// What is wrong, by what stands in its place.
const WRONG: [(&str, &str); 16] = [
    ("cluster = \"web\"", "clutser = \"web\""),
    ("plugin = \"deploy-ecs\"", "plugin = \"deploy-ec\""),
    ("minimum-healthy-percent = 50", "minimum-healthy-percent = 500"),
    ("minimum-healthy-percent = 50", "minimum-healthy-percent = \"50\""),
    ("roles = [\"x\"]", "roles = [\"a b\"]"),
    ("type = \"s3\"", "type = \"s4\""),
    ("cache = { type = \"s3\", location = \"b/p\" }", "cache = { type = \"s3\" }"),
    ("timeout = \"45m\"", "timeout = \"45 minutes\""),
    ("timeout = \"45m\"", "timeout = \"0s\""),
    ("region = \"us-west-2\"", "region = \"Oregon\""),
    ("account = \"111111111111\"", "account = \"11111111111\""),
    ("account = \"111111111111\"", "account = 111111111111"),
    ("role = \"arn:aws:iam", "role = \"arn:aws:ecs"),
    ("name = \"web\"", "name = \"Web\""),
    ("[stages.deploy]", "[stages.Deploy]"),
    ("repository = \"web\", tag", "tag"),
];

#[test]
fn what_is_misspelt_is_found_as_the_check_finds_it() {
    let (plugins, validator) = (plugins(), validator("pipeline"));
    let check = |text: &str| pipeline::check(&SourceFile::new("pipeline.toml", text), plugins.as_ref());
    assert!(check(PIPELINE).is_ok(), "{:?}", check(PIPELINE).err());
    assert_eq!(problems(&validator, PIPELINE), Vec::<String>::new());
    for (right, wrong) in WRONG {
        let text = PIPELINE.replacen(right, wrong, 1);
        assert_ne!(text, PIPELINE, "{right}");
        assert!(check(&text).is_err(), "the check takes {wrong}");
        assert!(!problems(&validator, &text).is_empty(), "the schema takes {wrong}");
    }
    let own = PIPELINE.replace("\"deploy-ecs\"", "\"ours\"") + "[plugins.ours]\npath = \"ours.wasm\"\n";
    assert_eq!(problems(&validator, &own), Vec::<String>::new(), "a plugin of the pipeline's own has any config");
}

#[test]
fn the_plugins_that_a_pipeline_brings_are_in_its_schema() {
    let mut guest = Guest::new(r#"(call $ok (str "{}"))"#);
    guest.config =
        r#"{"type":"object","additionalProperties":false,"properties":{"port":{"type":"integer"}}}"#.to_owned();
    let text = "[pipeline]\nname = \"p\"\nregion = \"us-west-2\"\n[plugins.mine]\npath = \"guest.wasm\"\n[stages.a]\nplugin = \"mine\"\nwith = { port = 1 }\n";
    let kiln = Kiln::new(["schema", "pipeline.toml"]).file("guest.wasm", guest.build());
    let outcome = kiln.file("pipeline.toml", text).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    let schema: Value = serde_json::from_str(&outcome.stdout()).unwrap_or_default();
    let validator = jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(problems(&validator, text), Vec::<String>::new());
    assert!(!problems(&validator, &text.replace("port", "prot")).is_empty());
}

/// Ask taplo, as an editor would.
fn taplo(directory: &Path, file: &str) -> (bool, String) {
    let taplo = python().with_file_name("taplo");
    let output = Command::new(&taplo)
        .args(["lint", "--no-auto-config", file])
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask test` installs it", taplo.display()));
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn taplo_finds_nothing_in_the_pipelines_and_finds_what_is_misspelt() {
    let pipelines = repository().join("pipelines");
    for sort in ["pipeline", "world"] {
        for path in files(sort) {
            let (clean, told) = taplo(&pipelines, &path.display().to_string());
            assert!(clean, "{}: {told}", path.display());
        }
    }
    let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    std::fs::create_dir(directory.path().join("schemas")).unwrap_or_else(|error| panic!("{error}"));
    for (sort, _, _) in SORTS {
        let file = directory.path().join(format!("schemas/{sort}.json"));
        std::fs::write(&file, printed(sort)).unwrap_or_else(|error| panic!("{error}"));
    }
    let lint = |text: &str| {
        let path = directory.path().join("pipeline.toml");
        std::fs::write(&path, format!("#:schema schemas/pipeline.json\n{text}"))
            .unwrap_or_else(|error| panic!("{error}"));
        taplo(directory.path(), "pipeline.toml")
    };
    let (clean, told) = lint(PIPELINE);
    assert!(clean, "{told}");
    for (right, wrong) in WRONG {
        let (clean, told) = lint(&PIPELINE.replacen(right, wrong, 1));
        assert!(!clean && told.contains("pipeline.toml:"), "{wrong}: {told}");
    }
    let (_, told) = lint(&PIPELINE.replace("cluster =", "clutser ="));
    assert!(told.contains("'clutser' was unexpected"), "it names the word: {told}");
}

/// The tables of a world file with their fields: `(heading, path of the field)`.
fn fields_of_worlds(schema: &Value) -> Vec<(String, String)> {
    fn target<'v>(root: &'v Value, schema: &'v Value) -> &'v Value {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        reference.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
    }
    fn within(root: &Value, schema: &Value, heading: &str, before: &str, found: &mut Vec<(String, String)>) {
        let schema = target(root, schema);
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{before}{name}");
            found.push((heading.to_owned(), path.clone()));
            let inner = [Some(field), field.get("items"), field.get("additionalProperties")];
            for inner in inner.into_iter().flatten() {
                within(root, inner, heading, &format!("{path}."), found);
            }
        }
    }
    let mut found = Vec::new();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        match (field.get("items"), field.get("$ref")) {
            (Some(items), _) => within(schema, items, &format!("[[{name}]]"), "", &mut found),
            (None, Some(_)) => within(schema, field, &format!("[{name}]"), "", &mut found),
            (None, None) => found.push(("the world itself".to_owned(), name.clone())),
        }
    }
    found
}

#[test]
fn the_chapter_of_worlds_names_every_field() {
    let chapter = read(&repository().join("docs/worlds.md"));
    let sections: Vec<(&str, &str)> =
        chapter.split("\n### ").skip(1).filter_map(|section| section.split_once('\n')).collect();
    let fields = fields_of_worlds(&schema("world"));
    assert!(fields.len() > 150, "{}", fields.len());
    for known in ["platforms", "attestations", "crash-after", "kind", "unhealthy"] {
        assert!(fields.iter().any(|(_, path)| path.ends_with(known)), "{known}");
    }
    let mut missing = Vec::new();
    for (heading, path) in &fields {
        // Where a thing is, is told once for all of them.
        if heading.starts_with("[[") && ["account", "region"].contains(&path.as_str()) {
            continue;
        }
        let told = sections.iter().filter(|(title, _)| title.contains(heading.as_str()));
        // The phases of a build are told in a row.
        let last = path.rsplit('.').next().filter(|last| last.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        let names = [Some(path.as_str()), last];
        let is_told = |text: &str| names.into_iter().flatten().any(|name| text.contains(&format!("`{name}`")));
        if !told.clone().any(|(_, text)| is_told(text)) {
            missing.push(format!("{heading}: {path}"));
        }
    }
    assert!(missing.is_empty(), "docs/worlds.md does not tell of {missing:#?}");
}

#[test]
fn the_chapter_of_scenarios_names_every_field() {
    let chapter = read(&repository().join("docs/scenarios.md"));
    let words: BTreeSet<&str> = chapter.split(|c: char| !(c.is_alphanumeric() || c == '-')).collect();
    let schema = schema("scenario");
    let own = |(name, _): &(&String, &Value)| !name.starts_with("world-") && !name.starts_with("change-");
    let tables = schema.get("$defs").and_then(Value::as_object).into_iter().flatten().filter(own);
    let mut fields = BTreeSet::new();
    let mut tables: Vec<&Value> = tables.map(|(_, table)| table).chain([&schema]).collect();
    while let Some(table) = tables.pop() {
        for (name, field) in table.get("properties").and_then(Value::as_object).into_iter().flatten() {
            fields.insert(name.as_str());
            // What these have is told in the chapter of worlds.
            if !["change", "remove"].contains(&name.as_str()) {
                tables.push(field);
            }
        }
    }
    assert!(fields.len() > 40 && fields.contains("outputs") && fields.contains("fails-in"), "{fields:?}");
    let missing: Vec<&str> = fields.difference(&words).copied().collect();
    assert!(missing.is_empty(), "docs/scenarios.md does not tell of {missing:?}");
}

#[test]
fn every_field_of_a_world_and_of_a_scenario_is_described() {
    fn look(schema: &Value, path: &str, out: &mut Vec<String>) {
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if field.get("description").is_none() && !field.get("$ref").is_some_and(|_| path.is_empty()) {
                out.push(format!("{path}.{name}"));
            }
        }
        for (name, inner) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            look(inner, name, out);
        }
    }
    for sort in ["world", "scenario"] {
        let mut out = Vec::new();
        look(&schema(sort), "", &mut out);
        assert!(out.is_empty(), "{sort}: {out:?}");
    }
}

/// The first TOML of a chapter that stands behind `mark`.
fn example(chapter: &str, mark: &str) -> String {
    let text = read(&repository().join(chapter));
    let behind = text.split_once(mark).map(|(_, behind)| behind).unwrap_or_else(|| panic!("{chapter} has no {mark:?}"));
    let block = behind.split_once("```toml\n").and_then(|(_, rest)| rest.split_once("```"));
    block.map(|(block, _)| block.to_owned()).unwrap_or_else(|| panic!("{chapter}: no TOML behind {mark:?}"))
}

#[test]
fn the_example_of_the_chapter_of_worlds_is_one_that_a_pipeline_runs_in() {
    let world = example("docs/worlds.md", "## An example");
    assert_eq!(problems(&validator("world"), &world), Vec::<String>::new());
    let pipeline = repository().join("pipelines/web-service.toml").display().to_string();
    let outcome = Kiln::new(["rehearse", &pipeline, "--input", "commit=1", "--world", "world.toml"])
        .file("world.toml", &world)
        .run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
}

#[test]
fn the_example_of_the_chapter_of_scenarios_is_one_that_passes() {
    let scenario = example("docs/scenarios.md", "# Scenarios");
    assert_eq!(problems(&validator("scenario"), &scenario), Vec::<String>::new());
    let pipeline = repository().join("pipelines/web-service.toml").display().to_string();
    let outcome =
        Kiln::new(["rehearse", &pipeline, "--scenario", "scenario.toml"]).file("scenario.toml", &scenario).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
}
