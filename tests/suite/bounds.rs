//! Files that are cheap to write and dear to check: `kiln check` answers, and does not grow.
//!
//! How many steps the checks may take is tested beside the code; here the real binary is watched.

use std::sync::OnceLock;

use kiln_tests::Kiln;

use crate::hostile::watched;

/// By how much more memory than for a small file the runner may need, in bytes.
const GROWTH: u64 = 64 << 20;

const PIPELINE: &str = "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n";
const STAGE: &str = "[stages.a]\nplugin = \"cleanup-images\"\n";

/// `kiln check` of a file, of which at most a mebibyte is used; and how much memory it held.
fn checked(text: &str) -> (String, u64) {
    let most = text.len().min(1 << 20);
    let kiln = Kiln::new(["check", "pipeline.toml"]).file("pipeline.toml", &text[..most]);
    let (outcome, peak, _) = watched(kiln);
    assert_eq!(outcome.code(), Some(2), "{:.2000}", outcome.all());
    (outcome.stderr(), peak)
}

/// It is refused with this, within its bounds.
#[track_caller]
fn refused(text: &str, said: &str) {
    static SMALL: OnceLock<u64> = OnceLock::new();
    let small = *SMALL.get_or_init(|| checked(&format!("{PIPELINE}{STAGE}")).1);
    let (all, peak) = checked(text);
    assert!(all.contains(said), "{said:?} is not in {all:.2000}");
    assert!(all.len() < 1 << 20, "it wrote {} bytes", all.len());
    let growth = peak.saturating_sub(small);
    assert!(growth <= GROWTH, "the runner grew by {} MiB", growth >> 20);
}

/// So many of these, numbered where they hold `#`.
fn many(count: usize, item: &str) -> String {
    (0..count).map(|index| item.replace('#', &index.to_string())).collect()
}

/// A stage whose list `clusters` holds so many of this text.
fn listing(count: usize, text: &str) -> String {
    format!("{PIPELINE}{STAGE}with = {{ clusters = [{}] }}\n", many(count, &format!("\"{text}\", ")))
}

#[test]
fn six_thousand_names_that_are_misspelt() {
    let stage = "[stages.stage-number-#-of-many-others]\nplugin = \"cleanup-images\"\nafter = [\"stage-nunber-#-of-many-others\"]\n";
    refused(&format!("{PIPELINE}{}", many(6_000, stage)), "did you mean `stage-number-");
}

#[test]
fn twenty_thousand_fields_that_are_misspelt() {
    let text = format!("{PIPELINE}{}", many(20_000, "[stages.s#]\nplugn = \"cleanup-images\"\n"));
    refused(&text, "did you mean `plugin`?");
}

#[test]
fn a_hundred_thousand_fields_that_nobody_knows() {
    refused(&format!("{PIPELINE}{}", many(100_000, "a#=1\n")), "1 more problem, which is not listed");
}

#[test]
fn sixty_thousand_stages_without_a_plugin() {
    refused(&format!("{PIPELINE}{}", many(60_000, "[stages.s#]\n")), "has no `plugin`");
}

#[test]
fn nothing_but_syntax_errors() {
    refused(&"=\n".repeat(250_000), "this is not TOML");
}

#[test]
fn nothing_but_keys_that_are_there_already() {
    refused(&"a=1\n".repeat(250_000), "is defined a second time");
}

#[test]
fn nothing_but_access_keys() {
    refused(&format!("a = \"{}\"", "AKIAAAAAAAAAAAAAAAAA ".repeat(49_000)), "what looks like an AWS access key id");
}

#[test]
fn a_pattern_within_nested_macros() {
    let ten = "[0,1,2,3,4,5,6,7,8,9]";
    let body = "'x'.matches('(?i)x|[a-z]{400}')";
    let when = format!("{ten}.all(a,{ten}.all(b,{ten}.all(c,{ten}.all(d,{ten}.all(e,{body})))))");
    refused(&format!("{PIPELINE}{STAGE}when = \"{when}\"\n"), "the expression does too much");
    let large = format!("{ten}.all(a,{ten}.all(b,{ten}.all(c,{ten}.all(d,'x'.matches('(?i)x|\\\\\\\\pL{{400}}')))))");
    refused(&format!("{PIPELINE}{STAGE}when = \"{large}\"\n"), "is not a regular expression: it is too large");
}

#[test]
fn twenty_thousand_inputs_with_large_patterns() {
    refused(
        &format!("{PIPELINE}{}{STAGE}", many(20_000, "[inputs.i#]\npattern = '\\w{90}'\n")),
        "the pattern is too much",
    );
}

#[test]
fn a_hundred_thousand_references_in_one_text() {
    let text = format!("{PIPELINE}{STAGE}with = {{ repository = \"{}\" }}\n", "${region}".repeat(100_000));
    refused(&text, "the file has more expressions than are read");
}

#[test]
fn two_hundred_thousand_references_to_nothing() {
    let text = format!("{PIPELINE}{STAGE}with = {{ repository = \"{}\" }}\n", "${a}".repeat(200_000));
    refused(&text, "`a` means nothing here");
}

#[test]
fn a_large_default_that_is_repeated() {
    let input = format!("[inputs.x]\ndefault = \"{}\"\n", "x".repeat(200_000));
    let text = listing(20_000, "${inputs.x}").replacen(STAGE, &format!("{input}{STAGE}"), 1);
    refused(&text, "larger than 512 KiB, with its expressions evaluated");
}

#[test]
fn thousands_of_expressions_that_double_and_double() {
    let bomb = format!("${{['aaaaaaaaaaaaaaaa']{}}}", ".map(x, x + x)".repeat(12));
    refused(&listing(500, &bomb), "larger than 512 KiB");
    let spent = format!("${{size(['aaaaaaaaaaaaaaaa']{})}}", ".map(x, x + x)".repeat(13));
    refused(&listing(500, &spent), "its expressions take more than 4000000 steps");
}

#[test]
fn expressions_on_one_long_line() {
    let sum = vec!["size(region)"; 20].join("+");
    refused(&listing(2_000, &format!("${{{sum}}}")), "must be a string");
}

#[test]
fn a_key_of_half_a_mebibyte_above_thousands_of_values() {
    let key = "k".repeat(500_000);
    let text = format!("{PIPELINE}{STAGE}[stages.a.with.{key}]\nx = [{}]\n", "\"${run.id}\", ".repeat(20_000));
    refused(&text, "a key has 500000 bytes");
}
