//! Schemas and outputs that are cheap to hand in and dear to check: the host answers within its steps, and does not grow.
//!
//! How many steps that are is tested beside the code; here the real binary is watched.

use std::sync::OnceLock;

use kiln_tests::Guest;

use super::{Aftermath, Attack};

/// By how much more memory than for a harmless guest the host may need, in bytes.
const GROWTH: u64 = 64 << 20;

/// A guest of this output schema answers these outputs.
fn answering(schema: &str, outputs: &str) -> Aftermath {
    static HARMLESS: OnceLock<u64> = OnceLock::new();
    let harmless = *HARMLESS.get_or_init(|| Attack::by(&Guest::harmless()).json().peak);
    let text = outputs.replace('\\', "\\\\").replace('"', "\\\"");
    let mut guest = Guest::new(&format!("(call $ok (str \"{text}\"))"));
    guest.outputs = schema.to_owned();
    let aftermath = Attack::by(&guest).json();
    let growth = aftermath.peak.saturating_sub(harmless);
    assert!(growth <= GROWTH, "the host grew by {} MiB", growth >> 20);
    aftermath
}

/// So many of these, numbered where they hold `#`, with commas.
fn many(count: usize, item: &str) -> String {
    (0..count).map(|index| item.replace('#', &index.to_string())).collect::<Vec<_>>().join(",")
}

/// A schema of the property `a`.
fn of_a(schema: &str) -> String {
    format!(r#"{{"type":"object","properties":{{"a":{schema}}}}}"#)
}

#[test]
fn twenty_thousand_texts_that_are_none_of_three_thousand() {
    let schema = of_a(&format!(r#"{{"items":{{"anyOf":[{}]}}}}"#, many(3_000, r##"{"const":"one-of-many-#"}"##)));
    let aftermath = answering(&schema, &format!(r#"{{"a":[{}]}}"#, many(20_000, "\"text-#\"")));
    aftermath.failed("sandbox", "break the schema that it declares");
    let details = aftermath.failure["details"].to_string();
    assert!(details.contains("/a/0 must be one of `one-of-many-0`"), "{details:.400}");
    assert!(details.contains("there is more, which is not told"), "{details:.400}");
}

#[test]
fn twenty_thousand_texts_each_the_last_of_three_thousand() {
    let schema = of_a(&format!(r#"{{"items":{{"anyOf":[{}]}}}}"#, many(3_000, r##"{"const":"#"}"##)));
    let aftermath = answering(&schema, &format!(r#"{{"a":[{}]}}"#, many(20_000, "\"2999\"")));
    aftermath
        .failed("sandbox", "outputs that are too much: to check it against its schema takes more than 2000000 steps");
}

#[test]
fn alternatives_within_alternatives() {
    let mut schema = r#"{"type":"integer"}"#.to_owned();
    for level in 0..11 {
        let word = ["anyOf", "oneOf", "allOf"][level % 3];
        schema = format!(r#"{{"{word}":[{schema},{schema}]}}"#);
    }
    let aftermath =
        answering(&of_a(&format!(r#"{{"items":{schema}}}"#)), &format!(r#"{{"a":[{}]}}"#, many(20_000, "\"#\"")));
    aftermath.failed("sandbox", "");
}

#[test]
fn lists_that_hash_alike_and_must_differ() {
    // Lists of nothing but lists: all of them are different, and hold nothing.
    let mut shapes = vec!["[]".to_owned()];
    let mut last = 0;
    while shapes.len() < 16_000 {
        let one = shapes[last].clone();
        let other = shapes[last / 2].clone();
        shapes.push(format!("[{one}]"));
        shapes.push(format!("[{one},{other}]"));
        last += 1;
    }
    shapes.retain(|shape| shape.len() < 24);
    shapes.sort();
    shapes.dedup();
    shapes.truncate(9_000);
    let aftermath = answering(&of_a(r#"{"uniqueItems":true}"#), &format!(r#"{{"a":[{}]}}"#, shapes.join(",")));
    aftermath.done();
}

#[test]
fn many_names_and_many_patterns() {
    let patterns = many(300, r##""^(a|b)*#$":{"type":"string"}"##);
    let schema =
        of_a(&format!(r#"{{"patternProperties":{{{patterns}}},"propertyNames":{{"pattern":"^([a-z]|[0-9])*$"}}}}"#));
    let names = many(9_000, r##""abababababababab#":1"##);
    let aftermath = answering(&schema, &format!(r#"{{"a":{{{names}}}}}"#));
    aftermath.failed("sandbox", "");
}

#[test]
fn a_pattern_that_needs_many_states_and_a_long_text() {
    let schema = of_a(r#"{"items":{"pattern":"a[ab]{200}c"}}"#);
    let text = "ab".repeat(60_000);
    let aftermath = answering(&schema, &format!(r#"{{"a":["{text}","{text}"]}}"#));
    aftermath.failed("sandbox", "outputs that are too much");
}

#[test]
fn as_many_large_patterns_as_a_schema_may_have() {
    let patterns = many(100, r##"{"pattern":"a[ab]{1,300}[cd]{0,30}#"}"##);
    let schema = of_a(&format!(r#"{{"items":{{"not":{{"anyOf":[{patterns}]}}}}}}"#));
    let aftermath = answering(&schema, &format!(r#"{{"a":["{}"]}}"#, "abaab".repeat(20)));
    aftermath.done();
}

#[test]
fn references_to_references() {
    let mut definitions = String::new();
    for level in 0..9 {
        let next = level + 1;
        definitions +=
            &format!(r##""d{level}":{{"anyOf":[{{"$ref":"#/$defs/d{next}"}},{{"$ref":"#/$defs/d{next}"}}]}},"##);
    }
    let schema = format!(
        r##"{{"type":"object","properties":{{"a":{{"items":{{"$ref":"#/$defs/d0"}}}}}},"$defs":{{{definitions}"d9":{{"type":"object"}}}}}}"##
    );
    let aftermath = answering(&schema, &format!(r#"{{"a":[{}]}}"#, many(20_000, "\"#\"")));
    aftermath.failed("sandbox", "");
}

#[test]
fn an_error_for_each_of_many_items_below_a_long_name() {
    // The place of each error repeats the name.
    let name = "n".repeat(100_000);
    let schema = r#"{"type":"object","additionalProperties":{"items":{"type":"string"}}}"#;
    let aftermath = answering(schema, &format!(r#"{{"{name}":[{}]}}"#, many(30_000, "1")));
    aftermath.failed("sandbox", "");
}

#[test]
fn one_description_for_many_errors() {
    let schema = of_a(&format!(r#"{{"items":{{"type":"string","description":"{}"}}}}"#, "long ".repeat(50_000)));
    let aftermath = answering(&schema, &format!(r#"{{"a":[{}]}}"#, many(60_000, "1")));
    aftermath.failed("sandbox", "break the schema that it declares");
}

#[test]
fn counts_that_cannot_be() {
    let schema = of_a(r#"{"minItems":9007199254740991,"contains":{"enum":[1,[2],{"c":3}]},"minContains":19000}"#);
    let aftermath = answering(&schema, &format!(r#"{{"a":[{}]}}"#, many(20_000, "[2]")));
    aftermath.failed("sandbox", "break the schema that it declares");
}

#[test]
fn one_large_output_that_a_config_repeats() {
    let mut guest = Guest::new(&format!(r#"(call $ok (str "{{\"blob\":\"{}\"}}"))"#, "x".repeat(200_000)));
    guest.outputs = r#"{"type":"object","additionalProperties":true}"#.to_owned();
    let repeated = "\"${stages.evil.blob}\", ".repeat(5_000);
    let tables = format!("[stages.last]\nplugin = \"kind\"\nwith = {{ all = [{repeated}] }}\n");
    let aftermath = Attack::by(&guest).tables(&tables).writing(4 << 20).json();
    assert_eq!(aftermath.stages, ["evil done", "kind done", "last failed"], "{}", aftermath.all());
    let last =
        aftermath.stdout.lines().find(|line| line.contains(r#""stage":"last""#) && line.contains("stage-finished"));
    assert!(last.is_some_and(|line| line.contains("larger than 512 KiB, with its expressions evaluated")), "{last:?}");
}

#[test]
fn a_schema_whose_patterns_are_too_large() {
    for pattern in [r"[\\p{L}]{1000}", r"(((a{100}){100}){100})", "(a|b){5000}"] {
        let mut guest = Guest::new(r#"(call $ok (str "{}"))"#);
        guest.outputs = of_a(&format!(r#"{{"items":{{"pattern":"{pattern}"}}}}"#));
        Attack::by(&guest).json().refused("output schema");
    }
    let mut guest = Guest::new(r#"(call $ok (str "{}"))"#);
    guest.outputs = of_a(&format!(r#"{{"patternProperties":{{{}}}}}"#, many(3_000, r##""^x[a-z]{30}#$":true"##)));
    Attack::by(&guest).json().refused("output schema");
}

#[test]
fn a_schema_that_looks_at_all_again_at_every_level() {
    let mut schema = r#"{"type":"object"}"#.to_owned();
    for _ in 0..40 {
        schema = format!(r#"{{"allOf":[{schema}],"unevaluatedProperties":{{"type":"string"}}}}"#);
    }
    let mut guest = Guest::new(r#"(call $ok (str "{}"))"#);
    guest.outputs = of_a(&schema);
    Attack::by(&guest).json().refused("output schema");
}

#[test]
fn a_schema_that_references_make_deep() {
    let level = |inner: &str| format!("{}{inner}{}", r#"{"allOf":["#.repeat(30), "]}".repeat(30));
    let mut definitions = String::new();
    for index in 0..30 {
        let next = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, index + 1);
        definitions += &format!(r#""d{index}":{},"#, level(&next));
    }
    let mut guest = Guest::new(r#"(call $ok (str "{}"))"#);
    guest.outputs = format!(
        r##"{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/d0"}}}},"$defs":{{{definitions}"d30":{{"type":"string"}}}}}}"##
    );
    Attack::by(&guest).json().refused("output schema");
}
