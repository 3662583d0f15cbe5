//! What a world file has of EC2 is put into the world.
//!
//! The main function is [`plant`].

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::capacity::CapacityLimit;
use super::document;
use super::events::Event;
use super::image::{ImageState, NewDevice, NewImage, make_image, set_image_state};
use super::instance::{Behaviour, Launch, launch, settle};
use super::interruptions::Interruption;
use super::network::{SecurityGroup, SecurityRule, Subnet};
use super::seeds::{
    CapacitySeed, DeviceSeed, InstanceBehaviourSeed, InstanceSeed, InterruptionSeed, MachineImageSeed,
    SecurityGroupSeed, SecurityRuleSeed, SnapshotSeed, SubnetSeed, TemplateSeed, VersionSeed,
};
use super::snapshot::Snapshot;
use super::template::{Template, TemplateRef, TemplateVersion, template_version};
use super::usage::{INSTANCE, ReportState, TEMPLATE, UsageReport, entries};
use crate::ctx::Scope;
use crate::world::World;
use crate::worldfile::{Problems, Span};

const GIB: u64 = 1 << 30;

/// Put what a world file has of EC2 into the world.
#[expect(
    clippy::too_many_arguments,
    reason = "one for each table of the file, as the table of services makes the call"
)]
pub(crate) fn plant(
    world: &mut World,
    images: &[MachineImageSeed],
    snapshots: &[SnapshotSeed],
    templates: &[TemplateSeed],
    subnets: &[SubnetSeed],
    groups: &[SecurityGroupSeed],
    instances: &[InstanceSeed],
    behaviours: &[InstanceBehaviourSeed],
    capacity: &[CapacitySeed],
    interruptions: &[InterruptionSeed],
    problems: &mut Problems,
) {
    let mut planted = Vec::new();
    for (index, seed) in images.iter().enumerate() {
        problems.reading("images", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let id = plant_image(&mut scope, seed);
        let names = scope.place().ec2.images.values().filter(|image| image.name == seed.name).count();
        if names > 1 || planted.contains(&id) {
            problems.add(&format!("images: {}", seed.name), "the image is there twice");
        }
        planted.push(id);
    }
    for (index, seed) in snapshots.iter().enumerate() {
        problems.reading("snapshots", index);
        plant_snapshot(&mut world.scope(seed.account.as_ref(), seed.region.as_ref()), seed);
    }
    each(world, "launch-templates", templates, problems, |seed| {
        (&seed.account, &seed.region, format!("launch-templates: {}", seed.name), plant_template)
    });
    each(world, "subnets", subnets, problems, |seed| {
        (&seed.account, &seed.region, format!("subnets: {}", seed.id), plant_subnet)
    });
    each(world, "security-groups", groups, problems, |seed| {
        (&seed.account, &seed.region, format!("security-groups: {}", seed.id), plant_group)
    });
    for seed in behaviours {
        let behaviour = behaviour(seed);
        world.scope(seed.account.as_ref(), seed.region.as_ref()).place().ec2.behaviours.push(behaviour);
    }
    each(world, "instances", instances, problems, |seed| {
        (&seed.account, &seed.region, "instances".to_owned(), plant_instances)
    });
    for seed in capacity {
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let now = scope.now();
        scope.place().ec2.limits.push(CapacityLimit {
            zone: seed.zone.clone(),
            instance_type: seed.instance_type.clone(),
            market: seed.market,
            instances: seed.instances,
            from: now + seed.after.map(Span::duration).unwrap_or_default(),
            until: seed.until.map(|until| now + until.duration()),
        });
    }
    for seed in interruptions {
        let interruption = Interruption {
            zone: seed.zone.clone(),
            instance_type: seed.instance_type.clone(),
            count: seed.count,
            notice: seed.notice.map_or(std::time::Duration::from_secs(120), Span::duration),
        };
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        scope.schedule(seed.after.duration(), Event::Interrupt(interruption));
    }
    // What runs was launched before its image came to be what it is now.
    for (seed, id) in images.iter().zip(planted) {
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        finish_image(&mut scope, seed, &id);
    }
}

type Planter<S> = fn(&mut Scope<'_>, &S) -> Result<(), String>;

/// Plant each of a table's entries, and tell what is wrong with it.
fn each<'s, S>(
    world: &mut World,
    table: &'static str,
    seeds: &'s [S],
    problems: &mut Problems,
    parts: impl Fn(&'s S) -> (&'s Option<String>, &'s Option<String>, String, Planter<S>),
) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading(table, index);
        let (account, region, what, planter) = parts(seed);
        if let Err(problem) = planter(&mut world.scope(account.as_ref(), region.as_ref()), seed) {
            problems.add(&what, problem);
        }
    }
}

/// At another time: `act` happens so long before the world's beginning.
fn before<T>(scope: &mut Scope<'_>, ago: crate::worldfile::Ago, act: impl FnOnce(&mut Scope<'_>) -> T) -> T {
    let now = scope.now();
    scope.world.now = now.before(ago.duration());
    let made = act(scope);
    scope.world.now = now;
    made
}

fn plant_image(scope: &mut Scope<'_>, seed: &MachineImageSeed) -> String {
    let region = seed.source_region.clone().unwrap_or_else(|| scope.at.region.clone());
    let new = NewImage {
        id: seed.id.clone(),
        name: seed.name.clone(),
        description: seed.description.clone(),
        architecture: Some(seed.architecture.clone()),
        devices: seed.devices.iter().map(device).collect(),
        public: seed.public,
        shared: seed.shared.clone(),
        tags: seed.tags.clone(),
        source: seed.source.clone().map(|source| (source, region)),
        builder: seed.image_builder.clone(),
        takes: None,
    };
    before(scope, seed.created, |scope| make_image(scope, new))
}

fn device(seed: &DeviceSeed) -> NewDevice {
    NewDevice {
        name: seed.name.clone(),
        size: seed.size,
        volume_type: seed.volume_type.clone(),
        encrypted: seed.encrypted.unwrap_or(seed.kms_key.is_some()),
        kms_key: seed.kms_key.clone(),
        snapshot: seed.snapshot.clone(),
        full_size: seed.full_size,
    }
}

fn finish_image(scope: &mut Scope<'_>, seed: &MachineImageSeed, id: &str) {
    let now = scope.now();
    if seed.state != ImageState::Available {
        let reason = (seed.state == ImageState::Failed).then(|| "The image could not be made.".to_owned());
        set_image_state(scope, id, seed.state, reason);
    }
    if let Some(image) = scope.place().ec2.images.get_mut(id) {
        image.protected = seed.protected;
        image.deprecated = seed.deprecated.map(|ago| now.before(ago.duration()));
        image.launches.extend(seed.last_launched.map(|ago| now.before(ago.duration())));
        image.used_by = seed.used_by.clone();
    }
    if let Some(ago) = seed.usage_report {
        let drawn = scope.world.ids.hex(&format!("ec2/report/{}", scope.at), 16);
        let mut report = UsageReport {
            id: format!("amiur-0{drawn}"),
            image: id.to_owned(),
            resource_types: vec![INSTANCE.to_owned(), TEMPLATE.to_owned()],
            accounts: BTreeSet::new(),
            state: ReportState::Available,
            created: now.before(ago.duration()),
            tags: crate::tags::Tags::new(),
            entries: std::collections::BTreeMap::new(),
        };
        report.entries = entries(scope, &report);
        scope.place().ec2.usage_reports.insert(report.id.clone(), report);
    }
}

fn plant_snapshot(scope: &mut Scope<'_>, seed: &SnapshotSeed) {
    let at = scope.at.clone();
    let drawn = |scope: &mut Scope<'_>, kind: &str| scope.world.ids.hex(&format!("ec2/{kind}/{at}"), 16);
    let id = seed.id.clone().unwrap_or_else(|| format!("snap-0{}", drawn(scope, "snapshot")));
    let (volume, instance) = (drawn(scope, "volume"), drawn(scope, "volume"));
    let description = match &seed.of_image {
        Some(image) => format!("Created by CreateImage(i-0{instance}) for {image}"),
        None => seed.description.clone(),
    };
    let snapshot = Snapshot {
        id: id.clone(),
        owner: scope.at.account.clone(),
        description,
        state: seed.state,
        started: scope.now().before(seed.created.duration()),
        size: seed.size,
        full_size: seed.full_size.unwrap_or(seed.size.saturating_mul(GIB)),
        encrypted: seed.kms_key.is_some(),
        kms_key: seed.kms_key.clone(),
        volume: format!("vol-0{volume}"),
        tags: seed.tags.clone(),
    };
    scope.place().ec2.snapshots.insert(id, snapshot);
}

/// The id of an image that is named by its name or its id.
pub(crate) fn image_named(scope: &mut Scope<'_>, which: &str) -> Result<String, String> {
    let (region, account) = (scope.at.region.clone(), scope.at.account.clone());
    let here = scope.world.places.iter().filter(|(at, _)| at.region == region);
    let mut images = here.flat_map(|(_, place)| place.ec2.images.values()).filter(|image| image.seen_by(&account));
    let found = images.find(|image| image.name == which || image.id == which).map(|image| image.id.clone());
    found.ok_or_else(|| format!("there is no image {which:?} in account {account} and region {region}"))
}

fn plant_template(scope: &mut Scope<'_>, seed: &TemplateSeed) -> Result<(), String> {
    let (kind, owner) = (format!("ec2/template/{}", scope.at), scope.at.account.clone());
    let id = seed.id.clone().unwrap_or_else(|| format!("lt-0{}", scope.world.ids.hex(&kind, 16)));
    let created_by = format!("arn:{}:iam::{owner}:root", scope.at.partition());
    let mut versions = std::collections::BTreeMap::new();
    for (index, version) in seed.versions.iter().enumerate() {
        let number = index as u64 + 1;
        let version = TemplateVersion {
            number,
            description: version.description.clone(),
            created: scope.now().before(version.created.duration()),
            created_by: created_by.clone(),
            data: data(scope, version)?,
        };
        versions.insert(number, version);
    }
    if !versions.contains_key(&seed.default_version) {
        return Err(format!("it has no version {}", seed.default_version));
    }
    let templates = &mut scope.place().ec2.templates;
    if templates.contains_key(&id) || templates.values().any(|template| template.name == seed.name) {
        return Err("the launch template is there twice".to_owned());
    }
    let created = versions.values().next().map(|version| version.created).unwrap_or_default();
    let (name, default, tags) = (seed.name.clone(), seed.default_version, seed.tags.clone());
    templates.insert(id.clone(), Template { id, name, created, created_by, default, versions, tags });
    Ok(())
}

fn data(scope: &mut Scope<'_>, seed: &VersionSeed) -> Result<Value, String> {
    let mut members: Map<String, Value> = seed.data.clone().into_iter().collect();
    if let Some(image) = &seed.image {
        let image = if image.starts_with("resolve:ssm:") { image.clone() } else { image_named(scope, image)? };
        members.insert("ImageId".to_owned(), Value::from(image));
    }
    if let Some(instance_type) = &seed.instance_type {
        members.insert("InstanceType".to_owned(), Value::from(instance_type.as_str()));
    }
    document::checked(&Value::Object(members)).map_err(|error| format!("data: {}", error.message))
}

fn plant_subnet(scope: &mut Scope<'_>, seed: &SubnetSeed) -> Result<(), String> {
    let subnet = Subnet {
        id: seed.id.clone(),
        vpc: seed.vpc.clone(),
        zone: seed.zone.clone(),
        cidr: seed.cidr.clone(),
        addresses: seed.free_addresses,
        public: seed.public,
        tags: seed.tags.clone(),
    };
    if !seed.zone.starts_with(&scope.at.region) {
        return Err(format!("the zone {} is not in the region {}", seed.zone, scope.at.region));
    }
    match scope.place().ec2.subnets.insert(seed.id.clone(), subnet) {
        Some(_) => Err("the subnet is there twice".to_owned()),
        None => Ok(()),
    }
}

fn plant_group(scope: &mut Scope<'_>, seed: &SecurityGroupSeed) -> Result<(), String> {
    let rule = |seed: &SecurityRuleSeed| SecurityRule {
        protocol: seed.protocol.clone(),
        ports: seed.port.map(|port| (port, port)),
        cidr: seed.cidr.clone(),
        group: seed.group.clone(),
    };
    let everything =
        SecurityRule { protocol: "-1".to_owned(), ports: None, cidr: Some("0.0.0.0/0".to_owned()), group: None };
    let group = SecurityGroup {
        id: seed.id.clone(),
        name: seed.name.clone(),
        description: seed.description.clone(),
        vpc: seed.vpc.clone(),
        ingress: seed.ingress.iter().map(rule).collect(),
        egress: vec![everything],
        tags: seed.tags.clone(),
    };
    match scope.place().ec2.security_groups.insert(seed.id.clone(), group) {
        Some(_) => Err("the security group is there twice".to_owned()),
        None => Ok(()),
    }
}

fn plant_instances(scope: &mut Scope<'_>, seed: &InstanceSeed) -> Result<(), String> {
    let template = match &seed.launch_template {
        Some(name) => {
            let by = TemplateRef { id: None, name: Some(name.clone()), version: seed.version.clone() };
            Some(template_version(scope, &by).map_err(|error| error.message)?)
        }
        None => None,
    };
    let named = |given: &Option<String>, member: &str| {
        let of_template = || template.as_ref().and_then(|template| template.text(member)).map(str::to_owned);
        given.clone().or_else(of_template).ok_or_else(|| format!("neither it nor a launch template says its {member}"))
    };
    let (image, instance_type) = (named(&seed.image, "ImageId")?, named(&seed.instance_type, "InstanceType")?);
    let image = image_named(scope, &image)?;
    let mut tags = template.as_ref().map(|template| template.instance_tags()).unwrap_or_default();
    tags.extend(seed.tags.clone());
    for _ in 0..seed.count {
        let new = Launch {
            image: image.clone(),
            instance_type: instance_type.clone(),
            subnet: seed.subnet.clone(),
            zone: seed.zone.clone(),
            market: seed.market,
            template: template.as_ref().map(|template| (template.id.clone(), template.version)),
            groups: Vec::new(),
            tags: tags.clone(),
        };
        let id = before(scope, seed.launched, |scope| launch(scope, new)).map_err(|error| error.message)?;
        settle(scope, &id, seed.stopped);
    }
    Ok(())
}

fn behaviour(seed: &InstanceBehaviourSeed) -> Behaviour {
    let usual = Behaviour::default();
    Behaviour {
        image: seed.image.clone(),
        boots: seed.boots.map_or(usual.boots, Span::duration),
        checks: seed.checks.map_or(usual.checks, Span::duration),
        impaired_after: seed.impaired_after.map(Span::duration),
        dies_after: seed.dies_after.map(Span::duration),
        console: seed.console.clone(),
    }
}
