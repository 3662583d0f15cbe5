//! Writing a command's answer to stdout.
//!
//! The main function is [`write`].

use std::io::{self, ErrorKind, Write};

use super::exit::Exit;
use super::say::complain;
use crate::harmless;

/// Write to stdout with `render`, then answer `exit`. A reader that closes early (`| head`) is no error.
pub(super) fn write(exit: Exit, render: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Exit {
    let mut text = Vec::new();
    let written = render(&mut text).and_then(|()| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&text)?;
        stdout.flush()
    });
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("cannot write to stdout: {error}"), None, Exit::Environment)
        }
        Ok(()) | Err(_) => exit,
    }
}

/// Write a value as JSON for people and scripts alike.
pub(super) fn write_json(exit: Exit, value: &impl serde::Serialize) -> Exit {
    write(exit, |out| {
        out.write_all(harmless::json(value, true)?.as_bytes())?;
        out.write_all(b"\n")
    })
}
