//! Pipelines that are as they should be, and what their stages' configs are worth.

#![expect(clippy::unwrap_used, reason = "a test whose pipeline is refused has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{checked, codes, loaded, values, with_stage};
use crate::event::StageOutcome;
use crate::pipeline::{EvaluationPhase, OnFailure, Pipeline, PluginSource, Scope, Stage, Unfit};
use crate::types::{AccountId, RunId, StageName};

const WEB: &str = r#"
[pipeline]
name   = "web"
region = "us-west-2"

[inputs.commit]
default = "${env.CODEBUILD_RESOLVED_SOURCE_VERSION}"

[inputs.keep]
type    = "number"
default = 10

[secrets.registry]
id  = "prod/registry"
key = "token"

[environments.production]
account = "111111111111"
role    = "arn:aws:iam::111111111111:role/deployer"

[stages.verify-it]
plugin = "verify-alarms"
after  = ["deploy"]
when   = "stages.scan.high == 0 && environment.name == 'production'"
environment = "production"
with   = { alarms = ["web-5xx"], bake = "10m" }

[stages.build]
plugin = "build-image"
with   = { project = "web-image", repository = "web", tag = "${inputs.commit}", environment = { TOKEN = "${secrets.registry}", RUN = "${run.pipeline}/${run.id}", PRICE = "$5 $${x}" } }
retry  = { attempts = 3, jitter = "none" }

[stages.scan]
plugin = "scan-image"
with   = { image = "${stages.build.image}", fail-on = "high", accept = [{ id = "CVE-1", reason = "no fix", until = 2027-01-31 }] }

[stages.deploy]
plugin      = "deploy-ecs"
environment = "production"
with        = { cluster = "web", service = "${account}-${region}", image = "${stages.build.image}" }
timeout     = "45m"
on-failure  = "undo"

[stages.cleanup]
plugin = "cleanup-images"
after  = ["verify-it"]
with   = { repository = "web", keep = "${inputs.keep}", delete-untagged = "${has(stages.build.source-version)}" }
"#;

fn web() -> Pipeline {
    loaded(WEB, &values(&[("commit", "abc123")], &[("HOME", "/")])).unwrap()
}

struct World {
    pipeline: Pipeline,
    outputs: BTreeMap<StageName, Value>,
    outcomes: BTreeMap<StageName, StageOutcome>,
    account: AccountId,
    run: RunId,
}

impl World {
    fn new(pipeline: Pipeline, outputs: Value) -> Self {
        let outputs = outputs.as_object().unwrap().iter();
        let outputs = outputs.map(|(name, value)| (name.parse().unwrap(), value.clone())).collect();
        let run = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        Self { pipeline, outputs, outcomes: BTreeMap::new(), account: "999999999999".parse().unwrap(), run }
    }

    fn scope(&self, phase: EvaluationPhase) -> Scope<'_> {
        let running = phase == EvaluationPhase::Run;
        Scope {
            inputs: &self.pipeline.inputs,
            env: &self.pipeline.env,
            pipeline: &self.pipeline.name,
            run: running.then_some(&self.run),
            region: &self.pipeline.region,
            account: Some(&self.account),
            outputs: &self.outputs,
            outcomes: &self.outcomes,
            phase,
        }
    }

    fn stage(&self, name: &str) -> &Stage {
        self.pipeline.stage(&name.parse().unwrap()).unwrap()
    }
}

fn names(stages: &BTreeSet<StageName>) -> Vec<&str> {
    stages.iter().map(StageName::as_str).collect()
}

#[test]
fn stages_come_in_the_order_of_their_needs() {
    let pipeline = web();
    let order: Vec<&str> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(order, ["build", "scan", "deploy", "verify-it", "cleanup"]);
    let needs: Vec<Vec<&str>> = pipeline.stages.iter().map(|stage| names(&stage.needs)).collect();
    assert_eq!(needs, [vec![], vec!["build"], vec!["build"], vec!["deploy", "scan"], vec!["build", "verify-it"]]);
}

#[test]
fn settings_are_read_and_have_defaults() {
    let world = World::new(web(), json!({}));
    let (build, deploy) = (world.stage("build"), world.stage("deploy"));
    assert_eq!(build.retry.attempts, 3);
    assert_eq!(build.retry.delay(2, 0), Duration::from_secs(10));
    assert_eq!(build.timeout, Duration::from_secs(3600));
    assert_eq!(deploy.timeout, Duration::from_secs(2700));
    assert_eq!((build.on_failure, deploy.on_failure), (OnFailure::Stop, OnFailure::Undo));
    assert_eq!(build.secrets, BTreeSet::from(["registry".to_owned()]));
    assert!(deploy.secrets.is_empty() && !build.reveal);
    assert_eq!(build.plugin, PluginSource::Standard("build-image".to_owned()));
    assert_eq!(build.plugin_version(), ("build-image", "0.1.0"));
    assert_eq!(world.pipeline.secrets.get("registry").and_then(|secret| secret.key.as_deref()), Some("token"));
}

#[test]
fn while_planning_outputs_are_named_as_unknown() {
    let world = World::new(web(), json!({}));
    let scope = world.scope(EvaluationPhase::Plan);
    let build = world.stage("build").config(&scope).unwrap();
    assert_eq!(build.unknown, ["/environment/RUN"]);
    assert_eq!(
        build.config,
        json!({"project": "web-image", "repository": "web", "tag": "abc123", "environment":
            {"TOKEN": "kiln-secret:registry", "RUN": "(known when the run starts)", "PRICE": "$5 ${x}"}})
    );
    let scan = world.stage("scan").config(&scope).unwrap();
    assert_eq!(scan.unknown, ["/image"]);
    assert_eq!(scan.config.pointer("/image"), Some(&json!("(known after build)")));
    assert_eq!(scan.config.pointer("/accept/0/until"), Some(&json!("2027-01-31")), "a date of TOML is text");
    assert_eq!(world.stage("verify-it").when(&scope), Ok(None));
    assert_eq!(world.stage("scan").when(&scope), Ok(Some(true)));
}

#[test]
fn while_running_everything_has_a_value_of_its_type() {
    let image = format!("111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:{}", "0".repeat(64));
    let world =
        World::new(web(), json!({"build": {"image": image}, "scan": {"high": 0}, "deploy": {}, "verify-it": {}}));
    let scope = world.scope(EvaluationPhase::Run);
    let deploy = world.stage("deploy").config(&scope).unwrap();
    assert_eq!(deploy.config, json!({"cluster": "web", "service": "111111111111-us-west-2", "image": image}));
    assert_eq!(world.stage("deploy").check_config(&deploy.config), Ok(()));
    assert_eq!(world.stage("verify-it").when(&scope), Ok(Some(true)));
    let cleanup = world.stage("cleanup").config(&scope).unwrap();
    assert_eq!(cleanup.config, json!({"repository": "web", "keep": 10, "delete-untagged": false}));
    let build = world.stage("build").config(&scope).unwrap();
    assert_eq!(build.config.pointer("/environment/RUN"), Some(&json!("web/01890a5d-ac96-774b-bcce-b302099a8057")));
    assert_eq!((build.unknown, deploy.unknown, cleanup.unknown), (vec![], vec![], vec![]));
}

#[test]
fn a_stage_that_broke_its_promise_is_named() {
    let world = World::new(web(), json!({"build": {"tag": "x"}}));
    let error = world.stage("scan").config(&world.scope(EvaluationPhase::Run)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`with.image` of stage `scan` has no value: `stages.build.image`: stage `build` gave no output `image`; \
         has(stages.build.image) tells whether it did"
    );
    let planned = world.stage("scan").config(&world.scope(EvaluationPhase::Plan)).unwrap();
    assert_eq!(planned.unknown, ["/image"], "while planning it is only not known yet");
    let scan = world.stage("scan");
    assert_eq!(scan.check_outputs(&json!({"status": "COMPLETE", "high": 1})), Ok(()));
    assert_eq!(
        scan.check_outputs(&json!({"high": "1"})),
        Err(Unfit::Breaks(vec!["/high must be an integer, not a string".to_owned(), "it lacks `status`".to_owned()]))
    );
    let broken = scan.check_config(&json!({"image": "web:latest"}));
    assert!(matches!(broken, Err(Unfit::Breaks(sentences)) if sentences.len() == 1));
}

#[test]
fn outputs_that_are_put_too_deep_into_a_config_are_not_given() {
    let file = with_stage(
        "[plugins.any]\npath = \"any.wasm\"\n[stages.one]\nplugin = \"any\"\n\
         [stages.two]\nplugin = \"any\"\nwith = { all = [[\"${stages.one.deep}\"]] }",
    );
    let config = |levels| {
        let deep = (1..levels).fold(json!([]), |inner, _| json!([inner]));
        let world = World::new(checked(&file).unwrap(), json!({"one": {"deep": deep}}));
        let scope = world.scope(EvaluationPhase::Run);
        world.stage("two").config(&scope).map(|evaluated| evaluated.unknown).map_err(|error| error.to_string())
    };
    assert_eq!(config(45), Ok(vec![]));
    assert_eq!(config(46), Err("`with` of stage `two` is nested more than 48 levels deep".to_owned()));
}

#[test]
fn outputs_that_are_repeated_into_a_config_are_not_given() {
    let stage = |with: &str| {
        with_stage(&format!(
            "[plugins.any]\npath = \"any.wasm\"\n[stages.one]\nplugin = \"any\"\n[stages.two]\nplugin = \"any\"\nwith = {with}"
        ))
    };
    let config = |with: &str| {
        let world = World::new(checked(&stage(with)).unwrap(), json!({"one": {"blob": "x".repeat(200_000)}}));
        let scope = world.scope(EvaluationPhase::Run);
        world
            .stage("two")
            .config(&scope)
            .map(|evaluated| evaluated.config.to_string().len())
            .map_err(|error| error.to_string())
    };
    let blobs = |count: usize| format!("{{ a = [{}] }}", vec!["\"${stages.one.blob}\""; count].join(", "));
    assert_eq!(config(&blobs(2)), Ok(400_013));
    let large = "`with` of stage `two` is larger than 512 KiB, with its expressions evaluated";
    assert_eq!(config(&blobs(3)), Err(large.to_owned()));
    assert_eq!(config(&blobs(5_000)), Err(large.to_owned()));
    let many = "${size(stages.one.blob)}".repeat(3_000);
    assert_eq!(config(&format!("{{ a = \"{many}\" }}")), Err(
        "`with.a` of stage `two` has no value: `size(stages.one.blob)`: with what was evaluated before it, it does \
         too much; let a stage compute this".to_owned()
    ));
}

#[test]
fn inputs_come_from_the_flag_then_the_environment_then_the_default() {
    let commit = |inputs: &[(&str, &str)], env: &[(&str, &str)]| {
        loaded(WEB, &values(inputs, env)).map(|pipeline| pipeline.inputs.get("commit").cloned()).ok().flatten()
    };
    let env = [("KILN_INPUT_COMMIT", "from-env"), ("CODEBUILD_RESOLVED_SOURCE_VERSION", "from-codebuild")];
    assert_eq!(commit(&[("commit", "from-flag")], &env), Some(json!("from-flag")));
    assert_eq!(commit(&[], &env), Some(json!("from-env")));
    assert_eq!(commit(&[], &[("CODEBUILD_RESOLVED_SOURCE_VERSION", "from-codebuild")]), Some(json!("from-codebuild")));
    assert_eq!(commit(&[], &[]), None);
    let pipeline = loaded(WEB, &values(&[("commit", "x"), ("keep", "3")], &[])).unwrap();
    assert_eq!(pipeline.inputs.get("keep"), Some(&json!(3)));
}

#[test]
fn a_look_at_the_file_needs_no_values() {
    let pipeline = checked(WEB).unwrap();
    assert_eq!(pipeline.inputs, BTreeMap::from([("keep".to_owned(), json!(10))]));
    let world = World::new(pipeline, json!({}));
    assert_eq!(
        world.stage("build").config(&world.scope(EvaluationPhase::Check)).unwrap().unknown,
        ["/tag", "/environment/RUN"]
    );
}

#[test]
fn only_the_variables_that_are_used_are_kept() {
    let text = with_stage(
        "[stages.a]\nplugin = \"cleanup-images\"\nwhen = \"has(env.NO) || env.HOME != ''\"\nwith = { repository = \"${env.USER}\", keep = 1 }",
    );
    let pipeline = loaded(&text, &values(&[], &[("HOME", "/root"), ("USER", "me"), ("AWS_SECRET", "x")])).unwrap();
    assert_eq!(pipeline.env.keys().collect::<Vec<_>>(), ["HOME", "USER"]);
}

#[test]
fn names_with_hyphens_work_as_written() {
    let text = with_stage(
        r#"
        [inputs.a-b]
        type = "number"
        default = 3
        [inputs.a]
        type = "number"
        default = 5
        [stages.my-stage]
        plugin = "deploy-ecs"
        with = { cluster = "c", service = "s", image = "${stages.the-build.image}" }
        [stages.the-build]
        plugin = "build-image"
        with = { project = "p", repository = "r", tag = "${string(inputs.a-b)}" }
        [stages.clean]
        plugin = "cleanup-images"
        with = { repository = "${stages.my-stage.task-definition}", keep = "${inputs.a - inputs.a-b}" }
        "#,
    );
    let world = World::new(checked(&text).unwrap(), json!({"my-stage": {"task-definition": "web:7"}, "the-build": {}}));
    let config = world.stage("clean").config(&world.scope(EvaluationPhase::Run)).unwrap().config;
    assert_eq!(config, json!({"repository": "web:7", "keep": 2}));
}

#[test]
fn plugins_lie_beside_the_pipeline() {
    let text = with_stage(
        "[plugins.ours]\npath = \"../plugins/ours.wasm\"\n[stages.a]\nplugin = \"ours\"\nwith = { any = [1, { thing = true }] }\n\
         [stages.b]\nplugin = \"ours\"\nwith = { other = \"${stages.a.whatever.it.gives}\" }",
    );
    let pipeline = checked(&text).unwrap();
    let source = pipeline.stages.first().map(|stage| stage.plugin.clone());
    let path = Path::new("pipelines/../plugins/ours.wasm").to_path_buf();
    assert_eq!(source, Some(PluginSource::File { name: "ours".to_owned(), path, digest: None }));
}

#[test]
fn a_stage_sees_the_place_in_which_it_acts() {
    let text = with_stage(
        r#"
        [environments.eu]
        account = "222222222222"
        region = "eu-central-1"
        [stages.there]
        plugin = "build-image"
        environment = "eu"
        with = { project = "${environment.name}", repository = "${environment.account}", tag = "${region}/${account}" }
        [stages.here]
        plugin = "build-image"
        with = { project = "p", repository = "${account}", tag = "${region}" }
        "#,
    );
    let world = World::new(checked(&text).unwrap(), json!({}));
    let config = |name: &str| world.stage(name).config(&world.scope(EvaluationPhase::Run)).unwrap().config;
    assert_eq!(
        config("there"),
        json!({"project": "eu", "repository": "222222222222", "tag": "eu-central-1/222222222222"})
    );
    assert_eq!(config("here"), json!({"project": "p", "repository": "999999999999", "tag": "us-west-2"}));
}

#[test]
fn windows_line_ends_are_fine() {
    assert_eq!(codes(&WEB.replace('\n', "\r\n")), Vec::<&str>::new());
}
