//! What a world file says of Image Builder, put into the world.
//!
//! The main function is [`plant`].

use serde_json::{Map, Value, json};

use super::behaviour::{BakeBehaviour, BakePhase};
use super::distribute;
use super::events::Event;
use super::seeds::{DistributionSeed, ImagePipelineSeed, InfrastructureSeed, LifecycleSeed, MadeSeed, RecipeSeed};
use super::start::{Order, enter};
use super::state::{
    BakeStatus, DistributionConfiguration, ImagePipeline, ImagePolicy, ImageRecipe, Infrastructure, RegionTarget, put,
};
use crate::ctx::Scope;
use crate::world::World;
use crate::worldfile::{Problems, Span};

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// The infrastructure configuration of pipelines that name none.
const USUAL: &str = "usual";

/// Put what a world file says of Image Builder into the world.
pub(crate) fn plant(
    world: &mut World,
    pipelines: &[ImagePipelineSeed],
    recipes: &[RecipeSeed],
    infrastructures: &[InfrastructureSeed],
    distributions: &[DistributionSeed],
    policies: &[LifecycleSeed],
    problems: &mut Problems,
) {
    for (index, seed) in recipes.iter().enumerate() {
        problems.reading("image-recipes", index);
        recipe(&mut world.scope(seed.account.as_ref(), seed.region.as_ref()), seed, problems);
    }
    for (index, seed) in infrastructures.iter().enumerate() {
        problems.reading("infrastructure-configurations", index);
        infrastructure(&mut world.scope(seed.account.as_ref(), seed.region.as_ref()), seed, problems);
    }
    for (index, seed) in distributions.iter().enumerate() {
        problems.reading("distribution-configurations", index);
        distribution(&mut world.scope(seed.account.as_ref(), seed.region.as_ref()), seed, problems);
    }
    for (index, seed) in policies.iter().enumerate() {
        problems.reading("lifecycle-policies", index);
        policy(&mut world.scope(seed.account.as_ref(), seed.region.as_ref()), seed, problems);
    }
    for (index, seed) in pipelines.iter().enumerate() {
        problems.reading("image-pipelines", index);
        pipeline(&mut world.scope(seed.account.as_ref(), seed.region.as_ref()), seed, problems);
    }
}

/// Say where a name is none that ARNs of Image Builder have.
fn check_name(place: &str, name: &str, problems: &mut Problems) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if name.len() < 3 || !name.chars().all(fits) {
        problems.add(place, "a name has 3 or more lower-case letters, digits, `-` and `_`");
    }
}

fn recipe(scope: &mut Scope<'_>, seed: &RecipeSeed, problems: &mut Problems) {
    let place = format!("image-recipes: {}", seed.name);
    check_name(&place, &seed.name, problems);
    let numbers: Vec<&str> = seed.version.split('.').collect();
    if numbers.len() != 3 || numbers.iter().any(|number| number.parse::<u32>().is_err()) {
        problems.add(&place, "a version is three numbers with dots between them");
    }
    if let Some(fail) = &seed.fail {
        if !matches!(fail.phase, BakePhase::Build | BakePhase::Test | BakePhase::Distribution) {
            problems.add(&place, "a bake fails in `build`, `test` or `distribution`");
        }
        if fail.region.is_some() && fail.phase != BakePhase::Distribution {
            problems.add(&place, "only a distribution fails in a region");
        }
    }
    if seed.components.is_empty() {
        problems.add(&place, "a recipe has at least one component");
    }
    let arn = scope.arn("imagebuilder", &format!("image-recipe/{}/{}", seed.name, seed.version));
    let component = |given: &String| match given.starts_with("arn:") {
        true => given.clone(),
        false => scope.arn("imagebuilder", &format!("component/{given}")),
    };
    let recipe = ImageRecipe {
        arn: arn.clone(),
        name: seed.name.clone(),
        version: seed.version.clone(),
        platform: "Linux".to_owned(),
        parent: parent(scope, &seed.parent),
        components: seed.components.iter().map(component).collect(),
        encrypted: seed.encrypted,
        key: seed.key.clone(),
        size: seed.size,
        created: scope.now(),
        behaviour: BakeBehaviour {
            takes: seed.takes.clone(),
            fail: seed.fail.clone(),
            scan: seed.scan_ends,
            log: seed.log.clone(),
        },
    };
    if scope.place().imagebuilder.recipes.insert(arn, recipe).is_some() {
        problems.add(&place, "the recipe is there twice");
    }
}

/// What a recipe builds on: the id of the machine image that has the name, where there is one.
fn parent(scope: &Scope<'_>, given: &str) -> String {
    let images = scope.world.places.get(&scope.at).map(|place| place.ec2.all()).into_iter().flatten();
    images.into_iter().find(|image| image.name == given).map_or_else(|| given.to_owned(), |image| image.id.clone())
}

fn infrastructure(scope: &mut Scope<'_>, seed: &InfrastructureSeed, problems: &mut Problems) {
    let place = format!("infrastructure-configurations: {}", seed.name);
    check_name(&place, &seed.name, problems);
    if let Some(tokens) = seed.http_tokens.as_ref().filter(|it| !matches!(it.as_str(), "optional" | "required")) {
        problems.add(&place, format!("{tokens:?} is neither `optional` nor `required`"));
    }
    let arn = scope.arn("imagebuilder", &format!("infrastructure-configuration/{}", seed.name));
    let infrastructure = Infrastructure {
        arn: arn.clone(),
        name: seed.name.clone(),
        instance_types: seed.instance_types.clone(),
        instance_profile: seed.instance_profile.clone(),
        subnet: seed.subnet.clone(),
        security_groups: seed.security_groups.clone(),
        terminates: seed.terminates,
        http_tokens: seed.http_tokens.clone(),
        created: scope.now(),
    };
    if scope.place().imagebuilder.infrastructures.insert(arn, infrastructure).is_some() {
        problems.add(&place, "the configuration is there twice");
    }
}

fn distribution(scope: &mut Scope<'_>, seed: &DistributionSeed, problems: &mut Problems) {
    let place = format!("distribution-configurations: {}", seed.name);
    check_name(&place, &seed.name, problems);
    if seed.to.is_empty() {
        problems.add(&place, "at least one region gets images");
    }
    let arn = scope.arn("imagebuilder", &format!("distribution-configuration/{}", seed.name));
    let regions = seed.to.iter().map(|target| RegionTarget {
        region: target.region.clone(),
        ami_name: target.ami_name.clone(),
        accounts: target.accounts.clone(),
        key: target.key.clone(),
        public: target.public,
        launch_accounts: target.launch_accounts.clone(),
        tags: target.tags.clone(),
        parameters: target.parameters.clone(),
    });
    let distribution = DistributionConfiguration {
        arn: arn.clone(),
        name: seed.name.clone(),
        regions: regions.collect(),
        created: scope.now(),
    };
    if scope.place().imagebuilder.distributions.insert(arn, distribution).is_some() {
        problems.add(&place, "the configuration is there twice");
    }
}

fn policy(scope: &mut Scope<'_>, seed: &LifecycleSeed, problems: &mut Problems) {
    let place = format!("lifecycle-policies: {}", seed.name);
    check_name(&place, &seed.name, problems);
    if !matches!(seed.action.as_str(), "DEPRECATE" | "DISABLE" | "DELETE") {
        problems.add(&place, format!("{} is none of DEPRECATE, DISABLE and DELETE", seed.action));
    }
    let filter = match (seed.keep, seed.older_than_days) {
        (Some(keep), None) => json!({ "type": "COUNT", "value": keep }),
        (None, Some(days)) => json!({ "type": "AGE", "value": days, "unit": "DAYS" }),
        _ => {
            problems.add(&place, "either `keep` or `older-than-days` decides");
            Value::Null
        }
    };
    if seed.recipes.is_empty() == seed.tags.is_empty() {
        problems.add(&place, "it is about images of `recipes` or with `tags`");
    }
    let recipe = |given: &String| {
        let (name, version) = given.split_once('/').unwrap_or((given, "x.x.x"));
        json!({ "name": name, "semanticVersion": version })
    };
    let mut selection = Map::new();
    if seed.recipes.is_empty() {
        selection.insert("tagMap".to_owned(), json!(seed.tags));
    } else {
        selection.insert("recipes".to_owned(), seed.recipes.iter().map(recipe).collect());
    }
    let mut action = json!({ "type": seed.action });
    if seed.action == "DELETE" {
        put(&mut action, "includeResources", json!({ "amis": seed.amis, "snapshots": seed.amis, "containers": false }));
    }
    let arn = scope.arn("imagebuilder", &format!("lifecycle-policy/{}", seed.name));
    let role = format!("arn:{}:iam::{}:role/EC2ImageBuilderLifecycle", scope.at.partition(), scope.at.account);
    let policy = ImagePolicy {
        arn: arn.clone(),
        name: seed.name.clone(),
        enabled: seed.enabled,
        details: vec![json!({ "action": action, "filter": filter })],
        selection,
        role,
        created: scope.now(),
    };
    if scope.place().imagebuilder.policies.insert(arn, policy).is_some() {
        problems.add(&place, "the policy is there twice");
    }
}

fn pipeline(scope: &mut Scope<'_>, seed: &ImagePipelineSeed, problems: &mut Problems) {
    let place = format!("image-pipelines: {}", seed.name);
    check_name(&place, &seed.name, problems);
    let arn = scope.arn("imagebuilder", &format!("image-pipeline/{}", seed.name));
    let named = |scope: &Scope<'_>, kind: &str, name: &str| scope.arn("imagebuilder", &format!("{kind}/{name}"));
    let recipe = named(scope, "image-recipe", &seed.recipe);
    let own = seed.infrastructure.as_deref().unwrap_or(USUAL);
    let infrastructure = named(scope, "infrastructure-configuration", own);
    let distribution = seed.distribution.as_ref().map(|name| named(scope, "distribution-configuration", name));
    if seed.infrastructure.is_none() && !scope.place().imagebuilder.infrastructures.contains_key(&infrastructure) {
        usual(scope, &infrastructure);
    }
    let state = &scope.place().imagebuilder;
    if !state.recipes.contains_key(&recipe) {
        problems.add(&place, format!("there is no recipe {}", seed.recipe));
    }
    if !state.infrastructures.contains_key(&infrastructure) {
        problems.add(&place, format!("there is no infrastructure configuration {own}"));
    }
    if let Some(name) = seed
        .distribution
        .as_ref()
        .filter(|_| distribution.as_ref().is_some_and(|distribution| !state.distributions.contains_key(distribution)))
    {
        problems.add(&place, format!("there is no distribution configuration {name}"));
    }
    let pipeline = ImagePipeline {
        arn: arn.clone(),
        name: seed.name.clone(),
        recipe,
        infrastructure,
        distribution,
        tests: seed.tests,
        scans: seed.scans,
        schedule: seed.schedule.clone(),
        enabled: seed.enabled,
        log_group: seed.log_group.clone(),
        created: scope.now(),
        last_run: None,
    };
    for made in &seed.images {
        image(scope, &pipeline, made, &place, problems);
    }
    if scope.place().imagebuilder.pipelines.insert(arn.clone(), pipeline).is_some() {
        problems.add(&place, "the pipeline is there twice");
    }
    if let Some(after) = seed.runs_after {
        let again = seed.runs_every.unwrap_or(Span::of(DAY));
        scope.schedule(after.duration(), Event::ScheduledRun { pipeline: arn, again });
    }
}

/// The infrastructure configuration of those that name none.
fn usual(scope: &mut Scope<'_>, arn: &str) {
    let infrastructure = Infrastructure {
        arn: arn.to_owned(),
        name: USUAL.to_owned(),
        instance_types: vec!["t3.medium".to_owned()],
        instance_profile: "EC2InstanceProfileForImageBuilder".to_owned(),
        subnet: None,
        security_groups: Vec::new(),
        terminates: true,
        http_tokens: Some("required".to_owned()),
        created: scope.now(),
    };
    scope.place().imagebuilder.infrastructures.insert(arn.to_owned(), infrastructure);
}

/// An image that the pipeline has made already.
fn image(scope: &mut Scope<'_>, pipeline: &ImagePipeline, seed: &MadeSeed, place: &str, problems: &mut Problems) {
    let recipe = match &seed.recipe {
        Some(name) => scope.arn("imagebuilder", &format!("image-recipe/{name}")),
        None => pipeline.recipe.clone(),
    };
    let state = &scope.place().imagebuilder;
    let Some(recipe) = state.recipes.get(&recipe).cloned() else {
        problems.add(place, format!("there is no recipe {recipe}"));
        return;
    };
    let distribution = pipeline.distribution.as_ref().and_then(|arn| state.distributions.get(arn)).cloned();
    let order = Order {
        // How the bakes of a recipe go is how those go that come.
        recipe: ImageRecipe { behaviour: BakeBehaviour::default(), ..recipe },
        infrastructure: pipeline.infrastructure.clone(),
        distribution,
        pipeline: Some((pipeline.arn.clone(), pipeline.name.clone())),
        tests: pipeline.tests,
        scans: pipeline.scans,
        log_group: pipeline.log_group.clone(),
        tags: seed.tags.clone(),
        scheduled: seed.scheduled,
    };
    let arn = enter(scope, order);
    let created = scope.now().before(seed.begun.duration());
    let Some(bake) = scope.place().imagebuilder.bake(&arn) else { return };
    bake.created = created;
    if seed.failed {
        bake.status = BakeStatus::Failed;
        bake.reason = Some("Workflow step ApplyBuildComponents failed with message 'exit code 1'".to_owned());
        bake.scan = None;
        return;
    }
    bake.status = BakeStatus::Available;
    bake.scan = bake.scans.then_some("COMPLETED");
    let bake = bake.clone();
    for (region, message) in distribute::all(scope, &bake) {
        problems.add(place, format!("an image cannot be given to {region}: {message}"));
    }
}
