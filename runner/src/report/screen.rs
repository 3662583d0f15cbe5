//! What the tests of reports read: a stream that keeps its bytes, and a terminal that keeps its cells.
//!
//! The main type is [`Screen`].

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use indicatif::TermLike;

/// A stream that keeps what is written.
#[derive(Clone, Default)]
pub(crate) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A terminal without end: rows that scroll away are kept, so that a test sees all of them.
#[derive(Debug, Clone)]
pub(crate) struct Screen(Arc<Mutex<Cells>>);

#[derive(Debug)]
struct Cells {
    /// A wide character fills its first cell; the second is empty.
    rows: Vec<Vec<String>>,
    row: usize,
    column: usize,
    columns: usize,
    height: u16,
}

impl Screen {
    pub(crate) fn new(columns: u16, height: u16) -> Self {
        Self(Arc::new(Mutex::new(Cells { rows: vec![Vec::new()], row: 0, column: 0, columns: columns.into(), height })))
    }

    pub(crate) fn set_columns(&self, columns: u16) {
        self.0.lock().unwrap().columns = columns.into();
    }

    pub(crate) fn text(&self) -> String {
        let cells = self.0.lock().unwrap();
        let rows: Vec<String> = cells.rows.iter().map(|row| row.concat().trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }
}

impl Cells {
    fn put(&mut self, text: &str) {
        for character in console::strip_ansi_codes(text).chars() {
            match character {
                '\n' => {
                    self.row += 1;
                    self.column = 0;
                }
                '\r' => self.column = 0,
                visible => self.put_visible(visible),
            }
            self.rows.resize_with(self.rows.len().max(self.row + 1), Vec::new);
        }
    }

    fn put_visible(&mut self, character: char) {
        let width = console::measure_text_width(character.encode_utf8(&mut [0; 4]));
        // A terminal wraps when the next character comes, not when the line is full.
        if self.column + width > self.columns {
            self.row += 1;
            self.column = 0;
            self.rows.resize_with(self.rows.len().max(self.row + 1), Vec::new);
        }
        let row = &mut self.rows[self.row];
        let needed = row.len().max(self.column + width);
        row.resize(needed, " ".to_owned());
        for cell in &mut row[self.column..self.column + width] {
            cell.clear();
        }
        row[self.column].push(character);
        self.column += width;
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.0.lock().unwrap().columns as u16
    }

    fn height(&self) -> u16 {
        self.0.lock().unwrap().height
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        let mut cells = self.0.lock().unwrap();
        cells.row = cells.row.saturating_sub(n);
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        let mut cells = self.0.lock().unwrap();
        cells.row += n;
        let rows = cells.rows.len().max(cells.row + 1);
        cells.rows.resize_with(rows, Vec::new);
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.lock().unwrap().column += n;
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        let mut cells = self.0.lock().unwrap();
        cells.column = cells.column.saturating_sub(n);
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        let mut cells = self.0.lock().unwrap();
        cells.put(text);
        cells.put("\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().put(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        let mut cells = self.0.lock().unwrap();
        let row = cells.row;
        cells.rows[row].clear();
        cells.column = 0;
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Screen {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().put(std::str::from_utf8(buffer).unwrap());
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
