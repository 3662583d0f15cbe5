//! Components made in tests: core WebAssembly text against the contract, for guests that no SDK would produce.
//!
//! The main function is [`component`].

use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

use crate::kiln::repository;

/// A component of the world `stage`, made of a core module in the text format. The module exports the lifecycle under its
/// canonical names (`kiln:stage/lifecycle@0.1.0#run`) and imports what it calls the same way.
pub fn component(text: &str) -> Vec<u8> {
    component_of(&repository().join("wit"), text)
}

/// The same against the contract that is written down in `contract`.
pub fn component_of(contract: &Path, text: &str) -> Vec<u8> {
    build(contract, text).unwrap_or_else(|error| panic!("a component of the test: {error:?}"))
}

/// The contract of a release of kiln, as it was then.
pub fn released_contract(version: &str) -> PathBuf {
    repository().join("tests/contract").join(version)
}

/// A component that imports everything that `contract` offers, and can do nothing.
pub fn greedy_component(contract: &Path) -> Vec<u8> {
    let build = || -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(contract)?;
        let world = resolve.select_world(&[package], Some("stage"))?;
        let module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
        encode(module, &resolve, world)
    };
    build().unwrap_or_else(|error| panic!("a component of {}: {error:?}", contract.display()))
}

fn build(contract: &Path, text: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let module = wat::parse_str(text)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(contract)?;
    let world = resolve.select_world(&[package], Some("stage"))?;
    encode(module, &resolve, world)
}

fn encode(mut module: Vec<u8>, resolve: &Resolve, world: WorldId) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    Ok(ComponentEncoder::default().module(&module)?.validate(true).encode()?)
}
