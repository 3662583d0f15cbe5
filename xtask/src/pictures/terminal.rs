//! A picture of what a terminal shows, drawn from the lines that were written to it.
//! The main functions are [`folded`], which leaves out the middle of what each stage says, and [`picture`].

use super::drawing::{Drawing, MONO, Theme, Type};

/// A character is so wide, in tenths of a pixel, and a line so high.
const TENTHS: u32 = 78;
const HEIGHT: u32 = 19;
const SIZE: u32 = 13;

/// No line is longer; what is cut ends in an ellipsis.
const COLUMNS: usize = 116;

/// Around the text, and above it the bar of a window.
const MARGIN: u32 = 18;
const BAR: u32 = 34;

/// The lines, of which for each stage only the first and the last two are left where it said more, and long ones are cut.
pub(super) fn folded(said: &str) -> Vec<String> {
    let lines: Vec<&str> = said.trim_end().lines().collect();
    let mut folded = Vec::new();
    for of_stage in lines.chunk_by(|one, next| stage(one).is_some() && stage(one) == stage(next)) {
        match of_stage {
            [first, _, .., before, last] => {
                folded.push(cut(first));
                folded.push(format!("{:11}⋮", ""));
                folded.extend([cut(before), cut(last)]);
            }
            few => folded.extend(few.iter().map(|line| cut(line))),
        }
    }
    folded
}

/// The stage that a line is about.
fn stage(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split_once("] ")?.1.split_whitespace().next()
}

fn cut(line: &str) -> String {
    if line.chars().count() <= COLUMNS {
        return line.to_owned();
    }
    line.chars().take(COLUMNS - 1).chain(['…']).collect()
}

/// The picture of a window in which `typed` was typed and `lines` were said.
pub(super) fn picture(typed: &str, lines: &[String], theme: &Theme) -> String {
    let typed = cut(typed);
    let longest = lines.iter().chain([&typed]).map(|line| line.chars().count()).max().unwrap_or_default();
    let width = long(longest) + 2 * MARGIN;
    let height = BAR + MARGIN + HEIGHT * (lines.len() as u32 + 2);
    let mut drawing = Drawing::new(width, height, MONO, "What kiln says of a run, from its first stage to its last");
    drawing.rectangle([0, 0, width, height], 10, theme.card, None);
    drawing.rectangle([0, 0, width, BAR], 10, theme.line, None);
    drawing.rectangle([0, BAR - 10, width, 10], 0, theme.line, None);
    for dot in 0..3 {
        drawing.dot(MARGIN + 4 + dot * 18, BAR / 2, 5, theme.soft);
    }
    let title = Type { colour: theme.soft, size: 12, bold: false, anchor: "middle" };
    drawing.text(width / 2, BAR / 2 + 4, title, "kiln");
    let mut baseline = BAR + HEIGHT + 4;
    for line in std::iter::once(&typed).chain([&String::new()]).chain(lines) {
        if !line.is_empty() {
            drawing.columns([MARGIN, baseline, long(line.chars().count())], SIZE, &coloured(line, theme));
        }
        baseline += HEIGHT;
    }
    drawing.finish()
}

/// How long so many characters are.
fn long(characters: usize) -> u32 {
    (characters as u32 * TENTHS).div_ceil(10)
}

/// A line in the colours that a terminal shows it in.
fn coloured<'a>(line: &str, theme: &'a Theme) -> Vec<(String, &'a str)> {
    let part = |text: &str, colour: &'a str| (text.to_owned(), colour);
    if let Some(typed) = line.strip_prefix("$ ") {
        return vec![part("$ ", theme.soft), part(typed, theme.ink)];
    }
    if let Some((time, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
        let (stage, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        let ends = rest.trim_start().starts_with("done in");
        return vec![
            part(&format!("[{time}] "), theme.soft),
            part(stage, theme.accent),
            part(rest, if ends { theme.good_ink } else { theme.ink }),
        ];
    }
    for (sign, colour) in [("✔", theme.good_ink), ("✖", theme.bad_ink), ("!", theme.warn_ink)] {
        if let Some(rest) = line.strip_prefix(sign) {
            return vec![part(sign, colour), part(rest, theme.ink)];
        }
    }
    match line.split_at(line.find("  ").unwrap_or(0)) {
        ("", rest) if rest.trim_start().starts_with('⋮') => vec![part(rest, theme.soft)],
        (label, rest) => vec![part(label, theme.soft), part(rest, theme.ink)],
    }
}

#[cfg(test)]
mod tests {
    use super::super::drawing::LIGHT;
    use super::*;

    #[test]
    fn of_each_stage_its_beginning_and_its_end_are_left() {
        let many: String =
            (0..9).map(|minute| format!("[{minute}m 00s] verify   alarm web OK for {minute}m\n")).collect();
        let said = format!("[   0.0s] verify   started\n{many}[9m 00s] verify   done in 9m\n\n✔ verify  done\n");
        assert_eq!(
            folded(&said),
            [
                "[   0.0s] verify   started",
                "           ⋮",
                "[8m 00s] verify   alarm web OK for 8m",
                "[9m 00s] verify   done in 9m",
                "",
                "✔ verify  done",
            ]
        );
        assert_eq!(folded("[1s] a   x\n[2s] a   y\n[3s] a   z\n[3s] b   z\n").len(), 4, "few are all shown");
        assert_eq!(folded(&"x".repeat(200)), [format!("{}…", "x".repeat(COLUMNS - 1))]);
    }

    #[test]
    fn no_character_of_a_line_is_lost_by_its_colours() {
        for line in [
            "[ 6m 00s] build    done in 6m: x",
            "✔ build  done",
            "serving  web runs x",
            "$ kiln run",
            "           ⋮",
            "[0s] run",
        ] {
            let parts: String = coloured(line, &LIGHT).into_iter().map(|(text, _)| text).collect();
            assert_eq!(parts, line);
        }
    }
}
