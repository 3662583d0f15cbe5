//! Components made in tests: core WebAssembly text against the contract, for guests that no SDK would produce.
//!
//! The main function is [`component`].

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::kiln::repository;

/// A component of the world `stage`, made of a core module in the text format. The module exports the lifecycle under its
/// canonical names (`kiln:stage/lifecycle@0.1.0#run`) and imports what it calls the same way.
pub fn component(text: &str) -> Vec<u8> {
    build(text).unwrap_or_else(|error| panic!("a component of the test: {error:?}"))
}

fn build(text: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut module = wat::parse_str(text)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(repository().join("wit"))?;
    let world = resolve.select_world(&[package], Some("stage"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(ComponentEncoder::default().module(&module)?.validate(true).encode()?)
}
