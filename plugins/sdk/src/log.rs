//! Lines for people, by the host's log.
//! Secrets are masked and control characters removed by the host.

use crate::bindings::kiln::stage::log::{Level, write};

/// For whoever looks into a problem.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// The ordinary course.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// The reader should know.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Something went wrong.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}
