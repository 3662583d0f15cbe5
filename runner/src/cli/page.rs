//! `--report FILE`: the page about a run.
//!
//! The main function is [`at`].

use std::path::Path;

use super::exit::Exit;
use super::say::complain;
use crate::report::{Delivery, Html, Origin, Report, Reports};

/// The page that will be written to `path`; refused before the run where nothing can be written there.
pub(super) fn at(path: &Path, origin: Origin) -> Result<Html, Exit> {
    let page = Html::new(path, None).map_err(|error| {
        let help = "name a file in a directory that exists and can be written to";
        complain(&format!("cannot write a report to {}: {error}", path.display()), Some(help), Exit::Input)
    })?;
    Ok(page.origin(origin))
}

/// The page gets the same events as the other reports.
pub(super) fn beside(reports: Reports, page: Option<Html>) -> Box<dyn Report> {
    match page {
        Some(page) => Box::new(Reports::new(vec![Box::new(reports), Box::new(page)])),
        None => Box::new(reports),
    }
}

/// Tell that the page is missing. What the run came to is not changed by it, and so the exit code is not.
pub(super) fn complain_unless_written(path: &Path, delivery: &Delivery) {
    if let Err(error) = delivery.written() {
        let message = format!("the report was not written to {}: {error}", path.display());
        complain(&message, Some("the events are in the journal: kiln show"), Exit::Done);
    }
}
