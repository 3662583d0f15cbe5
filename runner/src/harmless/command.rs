//! What CI services take for commands in a log, broken up by a space: `::error::` becomes `: :error::`, `##[` `# #[`.
//!
//! The main function is [`break_up`].

use std::borrow::Cow;

/// Where in `line` a space must stand so that no CI service takes any of it for a command.
pub(crate) fn breaks(line: &str) -> Vec<usize> {
    let mut places = Vec::new();
    // GitHub takes `::name` at the beginning of a line, behind any white space.
    let body = line.trim_start();
    let indent = line.len() - body.len();
    if body.starts_with("::") {
        places.push(indent + 1);
    }
    // GitHub and Azure take `##[name]` and `##vso[`, TeamCity `##teamcity[`, anywhere in a line.
    let mut from = indent;
    while let Some(found) = line.get(from..).and_then(|rest| rest.find("##")) {
        let at = from + found;
        let marked = line.get(at..).unwrap_or_default();
        let behind = marked.trim_start_matches('#');
        let hashes = marked.len() - behind.len();
        let word = behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if word.starts_with('[') {
            places.extend(at + 1..at + hashes);
        }
        from = at + hashes;
    }
    places
}

/// `line` with a space at each of its [`breaks`].
pub(super) fn break_up(line: &str) -> Cow<'_, str> {
    let places = breaks(line);
    if places.is_empty() {
        return Cow::Borrowed(line);
    }
    let mut broken = String::with_capacity(line.len() + places.len());
    let mut from = 0;
    for place in places {
        broken.push_str(line.get(from..place).unwrap_or_default());
        broken.push(' ');
        from = place;
    }
    broken.push_str(line.get(from..).unwrap_or_default());
    Cow::Owned(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_broken_up_and_nothing_else() {
        for (line, expected) in [
            ("::set-output name=x::y", ": :set-output name=x::y"),
            (" \t::error::x", " \t: :error::x"),
            ("x ##vso[task.setvariable]y", "x # #vso[task.setvariable]y"),
            ("###[x] ##[y]", "# # #[x] # #[y]"),
            ("##teamcity[message]", "# #teamcity[message]"),
            ("## a heading", "## a heading"),
            ("a::b, [::1]:80 and #[x]", "a::b, [::1]:80 and #[x]"),
            ("é##[x]é", "é# #[x]é"),
        ] {
            assert_eq!(break_up(line), expected);
            assert_eq!(break_up(expected), expected, "twice is as once");
        }
    }
}
