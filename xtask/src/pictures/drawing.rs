//! What pictures are drawn with: colours, text, boxes.
//! The main type is [`Drawing`].

use std::fmt::Write as _;

/// Colours of one theme: those of the page that kiln writes about a run.
pub(super) struct Theme {
    pub(super) paper: &'static str,
    pub(super) card: &'static str,
    pub(super) ink: &'static str,
    pub(super) soft: &'static str,
    pub(super) line: &'static str,
    pub(super) accent: &'static str,
    pub(super) good: &'static str,
    pub(super) good_ink: &'static str,
    pub(super) bad_ink: &'static str,
    pub(super) warn_ink: &'static str,
}

pub(super) const LIGHT: Theme = Theme {
    paper: "#fbfbfa",
    card: "#ffffff",
    ink: "#1c1e21",
    soft: "#5d646d",
    line: "#e2e4e7",
    accent: "#0b5cad",
    good: "#2e8b57",
    good_ink: "#1d6a40",
    bad_ink: "#b02a21",
    warn_ink: "#8a5b00",
};

pub(super) const DARK: Theme = Theme {
    paper: "#15171a",
    card: "#1b1e22",
    ink: "#e4e6e9",
    soft: "#9ba3ad",
    line: "#30353b",
    accent: "#79b4f2",
    good: "#3f9f69",
    good_ink: "#74c998",
    bad_ink: "#f28b82",
    warn_ink: "#e6b860",
};

pub(super) const SANS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
pub(super) const MONO: &str = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

/// A picture under construction. All lengths are whole pixels, so that it is the same on every machine.
pub(super) struct Drawing(String);

/// How a text is set.
#[derive(Clone, Copy)]
pub(super) struct Type<'a> {
    pub(super) colour: &'a str,
    pub(super) size: u32,
    pub(super) bold: bool,
    /// `start`, `middle` or `end`: which part of it is where it is set.
    pub(super) anchor: &'static str,
}

impl Drawing {
    /// An empty picture, whose text is in `font`; `about` is read to those who do not see it.
    pub(super) fn new(width: u32, height: u32, font: &str, about: &str) -> Self {
        let mut text = String::new();
        // INVARIANT: writing to a String does not fail.
        let _ = writeln!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" font-family=\"{font}\">\n<title>{}</title>",
            escaped(about)
        );
        Self(text)
    }

    /// A box with round corners; a stroke where one is given.
    pub(super) fn rectangle(&mut self, [x, y, width, height]: [u32; 4], round: u32, fill: &str, stroke: Option<&str>) {
        let stroke = stroke.map(|colour| format!(" stroke=\"{colour}\"")).unwrap_or_default();
        let _ = writeln!(
            self.0,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\" fill=\"{fill}\"{stroke}/>"
        );
    }

    /// A dot.
    pub(super) fn dot(&mut self, x: u32, y: u32, radius: u32, fill: &str) {
        let _ = writeln!(self.0, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{fill}\"/>");
    }

    /// A line from top to bottom.
    pub(super) fn upright(&mut self, x: u32, from: u32, to: u32, colour: &str) {
        let _ = writeln!(self.0, "<path d=\"M{x} {from}V{to}\" stroke=\"{colour}\"/>");
    }

    /// A text.
    pub(super) fn text(&mut self, x: u32, y: u32, set: Type<'_>, text: &str) {
        let weight = if set.bold { " font-weight=\"600\"" } else { "" };
        let anchor = if set.anchor == "start" { String::new() } else { format!(" text-anchor=\"{}\"", set.anchor) };
        let _ = writeln!(
            self.0,
            "<text x=\"{x}\" y=\"{y}\" fill=\"{}\" font-size=\"{}\"{weight}{anchor}>{}</text>",
            set.colour,
            set.size,
            escaped(text)
        );
    }

    /// A line of a terminal: parts in colours, as wide as it says whatever the font is.
    pub(super) fn columns(&mut self, [x, y, width]: [u32; 3], size: u32, parts: &[(String, &str)]) {
        let _ = write!(
            self.0,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" xml:space=\"preserve\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\">"
        );
        for (text, colour) in parts {
            let _ = write!(self.0, "<tspan fill=\"{colour}\">{}</tspan>", escaped(text));
        }
        self.0.push_str("</text>\n");
    }

    /// The picture.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no others, not even escaped.
            c if c.is_control() && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_stays_text() {
        assert_eq!(escaped("a <b> & \"c\" \u{1b}[1m é"), "a &lt;b&gt; &amp; &quot;c&quot; \u{fffd}[1m é");
    }
}
