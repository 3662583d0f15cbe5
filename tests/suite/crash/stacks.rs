//! Runs that deploy a stack are killed at the boundaries of their calls, and resumed: while it is created, updated and brought back.

use kiln_tests::{Course, World};

use super::at_boundaries_by_seed;
use crate::stacks::{TEMPLATE, THEN_UNDO, pipeline, with_stack, world};

/// Each fourth boundary comes in a test run, by the seed: each takes a run of some seconds.
const APART: u64 = 4;

/// It looks often, so that there is something to be killed at.
fn survives(name: &str, world: &World, more: &str, code: i32) {
    let text = pipeline("parameters = { Delay = 5 }", more).replace("poll     = \"5s\"", "poll     = \"1s\"");
    let course = Course::new(name, text, world.text(), 60.0).file("web.yaml", TEMPLATE.into());
    at_boundaries_by_seed(&course, code, APART);
}

#[test]
fn a_creation_survives_kills_at_the_boundaries_of_its_calls() {
    survives("a stack is created", &world(), "", 0);
}

#[test]
fn an_update_survives_kills_at_the_boundaries_of_its_calls() {
    survives("a stack is updated", &with_stack(TEMPLATE, ""), "", 0);
}

#[test]
fn an_undo_of_an_update_survives_kills_at_the_boundaries_of_its_calls() {
    survives("a stack is brought back", &with_stack(TEMPLATE, ""), THEN_UNDO, 1);
}

#[test]
fn an_undo_of_a_creation_survives_kills_at_the_boundaries_of_its_calls() {
    survives("a new stack is deleted again", &world(), THEN_UNDO, 1);
}
