//! Files that a command line asks for: the page about a run (`--report FILE`), and others.
//!
//! The main functions are [`destination`] and [`at`].

use std::path::Path;

use super::exit::Exit;
use super::say::complain;
use crate::files::{Destination, Kept};
use crate::report::{Delivery, Html, Origin, Report, Reports};

/// The file that `what` will be written to; refused before anything is begun where it cannot be written, or must not be.
pub(super) fn destination(what: &str, path: &Path, kept: Kept) -> Result<Destination, Exit> {
    Destination::new(path, kept).map_err(|error| {
        let message = format!("cannot write {what} to {}: {error}", path.display());
        complain(&message, Some(error.help()), Exit::Input)
    })
}

/// The page that will be written to `path`.
pub(super) fn at(path: &Path, origin: Origin, kept: Kept) -> Result<Html, Exit> {
    Ok(Html::new(destination("a report", path, kept)?, None).origin(origin))
}

/// The page gets the same events as the other reports.
pub(super) fn beside(report: Box<dyn Report>, page: Option<Html>) -> Box<dyn Report> {
    match page {
        Some(page) => Box::new(Reports::new(vec![report, Box::new(page)])),
        None => report,
    }
}

/// Tell that the page is missing. What the run came to is not changed by it, and so the exit code is not.
pub(super) fn complain_unless_written(path: &Path, delivery: &Delivery) {
    if let Err(error) = delivery.written() {
        let message = format!("the report was not written to {}: {error}", path.display());
        complain(&message, Some("the events are in the journal: kiln show"), Exit::Done);
    }
}
