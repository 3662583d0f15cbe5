//! Columns of words, for lists that people read.
//!
//! The main function is [`columns`].

use std::io::{self, Write};

use super::fit;
use crate::harmless;

/// Write rows under a head, each column as wide as its widest cell.
pub(crate) fn columns<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    out: &mut impl Write,
) -> io::Result<()> {
    let clean = |cells: [String; N]| cells.map(|cell| harmless::line(&cell).into_owned());
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows.into_iter().map(clean)).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = fit::width(cell).max(*width);
        }
    }
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| fit::pad(cell, width)).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harmless::hostile_tests::{HOSTILE, acts};

    #[test]
    fn foreign_text_cannot_act() {
        for text in HOSTILE {
            let mut out = Vec::new();
            assert!(columns(["ONE"], [[text.to_owned()]], &mut out).is_ok());
            assert_eq!(acts(&String::from_utf8_lossy(&out)), None);
        }
    }

    #[test]
    fn each_column_is_as_wide_as_its_widest_cell() {
        let mut out = Vec::new();
        let rows = [["a".to_owned(), "\u{1b}[31m".to_owned()], ["long".to_owned(), String::new()]];
        assert!(columns(["ONE", "TWO"], rows, &mut out).is_ok());
        assert_eq!(String::from_utf8_lossy(&out), "ONE   TWO\na     \\u{1b}[31m\nlong\n");
    }
}
