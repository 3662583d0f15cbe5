//! EC2: images of machines with their snapshots, launch templates, instances, and what they stand in.

mod attributes;
mod capacity;
mod document;
mod errors;
mod events;
mod filters;
mod image;
mod images;
mod instance;
mod interruptions;
mod machines;
mod network;
mod networks;
mod operations;
mod planting;
mod providing;
mod references;
mod reports;
mod retire;
mod seeds;
mod snapshot;
mod snapshots;
mod state;
mod tags;
mod template;
mod templates;
mod usage;

pub(crate) use events::{Event, happen};
#[expect(unused_imports, reason = "what other services make and ask of machines")]
pub(crate) use image::{Device, ImageState, MachineImage, NewDevice, NewImage, image, make_image, set_image_state};
pub(crate) use instance::{
    Check, Instance, InstanceState, InstanceTurn, Launch, Market, instance, instances, launch, replace_root, settle,
    start, stop, terminate,
};
pub(crate) use network::{network_of, subnet_zone};
pub(crate) use operations::service;
pub(crate) use planting::{image_named, plant};
pub(crate) use providing::{group_name, is_there, make_group, make_subnet, make_template, next_version, remove};
pub(crate) use seeds::{
    CapacitySeed, InstanceBehaviourSeed, InstanceSeed, InterruptionSeed, MachineImageSeed, SecurityGroupSeed,
    SnapshotSeed, SubnetSeed, TemplateSeed,
};
pub(crate) use state::State;
pub(crate) use template::{ResolvedTemplate, TemplateRef, template_version};
