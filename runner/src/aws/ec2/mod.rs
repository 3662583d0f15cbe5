//! EC2: images of machines with their snapshots, launch templates, instances, and what they stand in.

mod document;
mod ids;
mod images;
mod instances;
mod networks;
mod pages;
mod reports;
mod retire;
mod templates;
pub(crate) mod wire;
