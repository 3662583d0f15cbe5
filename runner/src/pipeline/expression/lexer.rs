//! Makes an expression of a pipeline one of CEL: names with hyphens are put into CEL's quotes for names.
//!
//! The main type is [`Rewritten`]. In `stages.my-stage.image`, CEL would see two subtractions.

use std::ops::Range;

/// The longest expression, in bytes.
pub(super) const LONGEST: usize = 1024;
/// The most tokens of an expression. A tree is at most as deep.
const MOST_TOKENS: usize = 256;
/// How deep brackets may stand in one another. The parser takes up to 150 KB of stack for each, of a thread's 2 MiB.
const DEEPEST: usize = 8;

/// Names that CEL keeps for itself, and that are fine as a member's name once they are quoted.
const KEYWORDS: [&str; 4] = ["in", "true", "false", "null"];

/// An expression in CEL's own writing.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) cel: String,
    /// Where names joined by dots stand in the expression.
    pub(super) chains: Vec<NameChain>,
    /// Of how many words and signs it is made.
    pub(super) tokens: usize,
    /// Pairs of offsets, in the CEL text and in the expression: from the first on, both run in step.
    offsets: Vec<(usize, usize)>,
}

/// Names joined by dots.
#[derive(Debug, PartialEq)]
pub(super) struct NameChain {
    pub(super) path: Vec<String>,
    start: usize,
    /// Where each name ends.
    ends: Vec<usize>,
}

impl NameChain {
    /// Where the first names of the chain stand.
    pub(super) fn span(&self, names: usize) -> Range<usize> {
        let end = names.checked_sub(1).and_then(|last| self.ends.get(last)).copied();
        self.start..end.unwrap_or(self.start)
    }
}

/// What stops an expression from being read at all.
#[derive(Debug, PartialEq)]
pub(super) struct LexProblem {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: &'static str,
}

impl Rewritten {
    /// Where an offset of the CEL text stands in the expression.
    pub(super) fn original(&self, offset: usize) -> usize {
        let index = self.offsets.partition_point(|(cel, _)| *cel <= offset);
        match index.checked_sub(1).and_then(|last| self.offsets.get(last)) {
            Some((cel, original)) => original + (offset - cel),
            None => offset,
        }
    }
}

/// Rewrite an expression.
pub(super) fn rewrite(text: &str) -> Result<Rewritten, LexProblem> {
    let refuse = |span, message: String, help| Err(LexProblem { span, message, help });
    if text.len() > LONGEST {
        let help = "let a stage compute it and refer to its output";
        return refuse(0..text.len(), format!("the expression is longer than {LONGEST} characters"), help);
    }
    let bytes = text.as_bytes();
    let cel = String::with_capacity(text.len() + 8);
    let mut out = Rewritten { cel, chains: Vec::new(), tokens: 0, offsets: vec![(0, 0)] };
    let (mut at, mut depth) = (0, 0_usize);
    // Whether the next name continues the last chain.
    let mut behind_dot = false;
    while let Some(byte) = bytes.get(at).copied() {
        let start = at;
        at = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => at + 1,
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                return refuse(
                    at..text.len(),
                    "comments have no place in an expression".to_owned(),
                    "use a TOML comment",
                );
            }
            b'"' | b'\'' => match end_of_string(bytes, at) {
                Some(end) => end,
                None => return refuse(at..text.len(), "a string is not closed".to_owned(), "add the closing quote"),
            },
            b'`' => match bytes.get(at + 1..).and_then(|rest| rest.iter().position(|byte| *byte == b'`')) {
                Some(length) => at + length + 2,
                None => return refuse(at..text.len(), "a quoted name is not closed".to_owned(), "add the closing `"),
            },
            b'0'..=b'9' => end_of_number(bytes, at),
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => end_of_name(bytes, at, behind_dot),
            b'(' | b'[' | b'{' => {
                depth += 1;
                at + 1
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ => at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8),
        };
        let token = text.get(start..at).unwrap_or_default();
        if token.trim().is_empty() {
            out.cel.push_str(token);
            continue;
        }
        out.tokens += 1;
        if out.tokens > MOST_TOKENS || depth > DEEPEST {
            let help = "split it: let a stage compute a part and refer to its output";
            return refuse(start..at, "the expression is too complex".to_owned(), help);
        }
        let is_name = matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'`');
        if is_name {
            let name = token.trim_matches('`');
            match out.chains.last_mut() {
                Some(chain) if behind_dot => {
                    chain.path.push(name.to_owned());
                    chain.ends.push(at);
                }
                _ if behind_dot => {}
                _ => out.chains.push(NameChain { path: vec![name.to_owned()], start, ends: vec![at] }),
            }
            if behind_dot && byte != b'`' && (name.contains('-') || KEYWORDS.contains(&name)) {
                out.cel.push('`');
                out.offsets.push((out.cel.len(), start));
                out.cel.push_str(name);
                out.cel.push('`');
                out.offsets.push((out.cel.len(), at));
                behind_dot = false;
                continue;
            }
        }
        behind_dot = byte == b'.';
        out.cel.push_str(token);
    }
    Ok(out)
}

/// The offset of the `}` that ends an expression which begins at `start`.
pub(crate) fn end_of_expression(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut open) = (start, 0_usize);
    loop {
        match bytes.get(at)? {
            // An unclosed string ends where the text does: then there is no end to be found.
            b'"' | b'\'' => at = end_of_string(bytes, at)?,
            b'{' => {
                open += 1;
                at += 1;
            }
            b'}' if open == 0 => return Some(at),
            b'}' => {
                open -= 1;
                at += 1;
            }
            _ => at += 1,
        }
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes.get(start)?;
    let raw = start.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(|byte| matches!(byte, b'r' | b'R'));
    let triple = [*quote; 3];
    let long = bytes.get(start..start + 3) == Some(&triple);
    let mut at = start + if long { 3 } else { 1 };
    loop {
        match bytes.get(at)? {
            b'\\' if !raw => at += 2,
            byte if byte == quote && !long => return Some(at + 1),
            byte if byte == quote && bytes.get(at..at + 3) == Some(&triple) => return Some(at + 3),
            _ => at += 1,
        }
    }
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let hexadecimal = rest.starts_with(b"0x");
    let mut length = 0;
    while let Some(byte) = rest.get(length) {
        let sign_of_exponent = matches!(byte, b'+' | b'-')
            && !hexadecimal
            && length
                .checked_sub(1)
                .and_then(|before| rest.get(before))
                .is_some_and(|byte| matches!(byte, b'e' | b'E'));
        let fraction = *byte == b'.' && rest.get(length + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || sign_of_exponent || fraction) {
            break;
        }
        length += 1;
    }
    start + length
}

fn end_of_name(bytes: &[u8], start: usize, is_member: bool) -> usize {
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let plain = bytes.get(start..).unwrap_or_default().iter().take_while(|byte| of_name(byte)).count();
    if !is_member {
        return start + plain;
    }
    let mut at = start + plain;
    while bytes.get(at) == Some(&b'-') && bytes.get(at + 1).is_some_and(of_name) {
        at += 1;
        at += bytes.get(at..).unwrap_or_default().iter().take_while(|byte| of_name(byte)).count();
    }
    // Functions have no hyphens: `a.b-size(c)` is a subtraction, whatever it is good for.
    let behind = bytes.get(at..).unwrap_or_default().iter().find(|byte| !byte.is_ascii_whitespace());
    if behind == Some(&b'(') { start + plain } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cel(text: &str) -> String {
        rewrite(text).map(|rewritten| rewritten.cel).unwrap_or_else(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn names_with_hyphens_are_quoted_and_nothing_else() {
        assert_eq!(cel("stages.my-stage.task-definition"), "stages.`my-stage`.`task-definition`");
        assert_eq!(cel("inputs.a-b - inputs.c -1"), "inputs.`a-b` - inputs.c -1");
        assert_eq!(cel("inputs.a -b-c"), "inputs.a -b-c");
        assert_eq!(cel("'a.b-c' + \"x.y-z\" + inputs.d"), "'a.b-c' + \"x.y-z\" + inputs.d");
        assert_eq!(cel("1.5-2.5e-3-x"), "1.5-2.5e-3-x");
        assert_eq!(cel("x.in || x.`a/b`"), "x.`in` || x.`a/b`");
        assert_eq!(cel("x.a-size(y)"), "x.a-size(y)");
        assert_eq!(cel("x.size() - 1"), "x.size() - 1");
        assert_eq!(cel("r'\\'.size()"), "r'\\'.size()");
    }

    #[test]
    fn chains_know_where_they_stand() {
        let text = "has(stages.a-b.c) && x == 'y'";
        let rewritten = rewrite(text).unwrap_or_else(|refusal| unreachable!("{refusal:?}"));
        let found: Vec<_> =
            rewritten.chains.iter().map(|chain| text.get(chain.span(chain.path.len())).unwrap_or("")).collect();
        assert_eq!(found, ["has", "stages.a-b.c", "x"]);
        assert_eq!(rewritten.chains.get(1).and_then(|chain| text.get(chain.span(2))), Some("stages.a-b"));
        let in_cel = rewritten.cel.find("'y'").unwrap_or(0);
        assert_eq!(text.get(rewritten.original(in_cel)..), Some("'y'"));
    }

    #[test]
    fn ends_are_found_behind_strings_and_maps() {
        let end = |text: &str| end_of_expression(text, 0);
        assert_eq!(end("a}b"), Some(1));
        assert_eq!(end("{'}': 1}['}']}"), Some(13));
        assert_eq!(end("'a}"), None);
        assert_eq!(end("{}"), None);
    }

    #[test]
    fn complexity_is_bounded() {
        assert!(rewrite(&"(".repeat(9)).is_err());
        assert!(rewrite(&"1+".repeat(200)).is_err());
        assert!(rewrite(&"a".repeat(LONGEST + 1)).is_err());
    }
}
