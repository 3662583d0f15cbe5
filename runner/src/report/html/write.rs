//! The report that becomes a page when the run is over.
//!
//! The main type is [`Html`].

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::page;
use super::recording::Recording;
use crate::event::Event;
use crate::report::sink::Report;

/// The account before and after the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Before the run.
    pub before: Value,
    /// After the run.
    pub after: Value,
}

/// Where the calls of the run went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// To AWS.
    #[default]
    Aws,
    /// To another address than AWS's.
    Endpoint {
        /// The address.
        url: String,
    },
    /// To a simulated account, in simulated time.
    Simulated {
        /// What the simulation draws its chances from.
        seed: u64,
    },
}

/// Gathers the events of a run and writes one self-contained page at its end.
pub struct Html {
    path: PathBuf,
    origin: Origin,
    recording: Recording,
    delivery: Delivery,
    finished: bool,
}

/// What the maker of a report and the report share: the account, for the page, and whether the page was written.
#[derive(Debug, Clone, Default)]
pub struct Delivery(Arc<Mutex<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    comparison: Option<Comparison>,
    failure: Option<io::Error>,
}

impl Html {
    /// To `path`, which is replaced when the run is over. Fails at once where nothing can be written there, so that
    /// nobody learns of it after an hour's run.
    pub fn new(path: impl Into<PathBuf>, comparison: Option<Comparison>) -> io::Result<Self> {
        let path = path.into();
        if path.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
        }
        let (partial, _) = partial(&path)?;
        fs::remove_file(&partial)?;
        let delivery = Delivery::default();
        if let Some(comparison) = comparison {
            delivery.compare(comparison);
        }
        Ok(Self { path, origin: Origin::default(), recording: Recording::default(), delivery, finished: false })
    }

    /// Say where the calls went.
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// What stays with the maker of the report.
    pub fn delivery(&self) -> Delivery {
        self.delivery.clone()
    }

    fn write(&self) -> io::Result<()> {
        let comparison = self.delivery.lock().comparison.take();
        let page = page::page(&self.recording, &self.origin, comparison.as_ref());
        let (partial, mut file) = partial(&self.path)?;
        let written = file.write_all(page.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| fs::rename(&partial, &self.path)).inspect_err(|_| {
            // What cannot be removed cannot be helped: the error that is told is the first.
            let _ = fs::remove_file(&partial);
        })
    }
}

/// A new file beside the page: renaming is atomic only within a file system, and a name that nobody can foresee cannot be
/// a link that somebody else put there.
fn partial(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", uuid::Uuid::new_v4().simple()));
    let partial = path.with_file_name(name);
    let file = File::create_new(&partial)?;
    Ok((partial, file))
}

impl Report for Html {
    fn event(&mut self, event: &Event) {
        self.recording.absorb(event);
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if let Err(error) = self.write() {
            tracing::error!(%error, path = %self.path.display(), "the report was not written");
            self.delivery.lock().failure = Some(error);
        }
    }
}

impl Delivery {
    /// Give the account before and after; it must come before the report is finished.
    pub fn compare(&self, comparison: Comparison) {
        self.lock().comparison = Some(comparison);
    }

    /// Whether the page was written. To be asked once the report is finished.
    pub fn written(&self) -> io::Result<()> {
        match self.lock().failure.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
