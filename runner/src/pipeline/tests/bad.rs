//! Every file under `bad/` is refused: with the codes that its first line lists, and in the words of its snapshot.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its cases has failed")]

use std::fs;
use std::path::Path;

use super::fake::{FakeCatalog, values};
use crate::diagnostic::{SourceFile, render};
use crate::pipeline::{check, load};

#[test]
fn bad_files_are_refused_with_all_their_problems() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pipeline/tests/bad");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 40, "{} cases", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let case = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap();
        // Cases that begin with `# run:` are given values, the others are only looked at.
        let (is_run, expected) = match first.strip_prefix("# run: ") {
            Some(expected) => (true, expected),
            None => (false, first.strip_prefix("# ").unwrap()),
        };
        let expected: Vec<&str> = expected.split(' ').collect();
        let source = SourceFile::new(format!("bad/{case}.toml"), text.clone());
        let result = if is_run {
            load(&source, &FakeCatalog, &values(&[("given", "7"), ("comit", "abc")], &[("HOME", "/root")]))
        } else {
            check(&source, &FakeCatalog)
        };
        let diagnostics = result.err().unwrap_or_default();
        let codes: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        let shown = render(&diagnostics, &source, false);
        if codes != expected {
            wrong.push(format!("{case}: {} instead of {}\n{shown}", codes.join(" "), expected.join(" ")));
        }
        assert!(!shown.contains(['\x1b', '\u{202e}', '\u{7}']), "{case} sends raw characters to the terminal");
        insta::with_settings!({ snapshot_suffix => case, prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("bad", shown);
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
