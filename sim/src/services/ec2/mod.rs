//! EC2: images of machines with their snapshots, launch templates, instances, and what they stand in.

mod capacity;
mod document;
mod errors;
mod events;
mod filters;
mod image;
mod images;
mod instance;
mod interruptions;
mod network;
mod operations;
mod planting;
mod seeds;
mod snapshot;
mod state;
mod template;
mod usage;

pub(crate) use events::{Event, happen};
#[expect(unused_imports, reason = "what other services make and ask of machines")]
pub(crate) use image::{Device, Image, ImageState, NewDevice, NewImage, image, make_image, set_image_state};
#[expect(unused_imports, reason = "what other services make and ask of machines")]
pub(crate) use instance::{
    Check, Instance, InstanceState, Launch, Market, Turn, instance, instances, launch, replace_root_volume, start,
    stop, terminate,
};
pub(crate) use operations::service;
pub(crate) use planting::plant;
pub(crate) use seeds::{
    CapacitySeed, ImageSeed, InstanceBehaviourSeed, InstanceSeed, InterruptionSeed, SecurityGroupSeed, SnapshotSeed,
    SubnetSeed, TemplateSeed,
};
pub(crate) use state::State;
#[expect(unused_imports, reason = "what other services make and ask of machines")]
pub(crate) use template::{ResolvedTemplate, TemplateRef, template_version};
