//! The book's chapter for pipeline writers says what is true.

use super::fake::{FakeCatalog, source, values};
use crate::diagnostic::render;
use crate::pipeline::file::json_schema;
use crate::pipeline::load;

const CHAPTER: &str = include_str!("../../../../docs/pipelines.md");

#[test]
fn every_pipeline_of_the_chapter_is_sound() {
    let blocks: Vec<&str> = CHAPTER.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let result = load(&source(block), &FakeCatalog, &values(&[("commit", "abc")], &[]));
        assert!(result.is_ok(), "{}", render(&result.err().unwrap_or_default(), &source(block), false));
    }
}

#[test]
fn every_field_is_in_the_chapter() {
    let schema = json_schema();
    let tables = schema.get("$defs").and_then(serde_json::Value::as_object).into_iter().flatten();
    let tables = tables.map(|(_, table)| table).chain(schema.pointer("/properties/pipeline"));
    for field in tables.flat_map(|table| table.get("properties").and_then(serde_json::Value::as_object)).flatten() {
        assert!(
            CHAPTER.contains(&format!("`{}`", field.0)) || CHAPTER.contains(&format!("{} =", field.0)),
            "{}",
            field.0
        );
    }
}
