//! What happens to scans with time.
//!
//! The main type is [`Event`].

use crate::ctx::Scope;
use crate::services::ec2;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A scan of a machine image is over.
    ScanEnds { scan: String },
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    let Event::ScanEnds { scan: id } = event;
    let now = scope.now();
    let inspector = &scope.place().inspector2;
    let Some(scan) = inspector.scans.iter().find(|scan| scan.id == id).cloned() else { return };
    let fails = inspector.settings.fails.clone();
    let gone = ec2::image(scope, &scan.image).is_none().then(|| "RESOURCE_TERMINATED".to_owned());
    if let Some(scan) = scope.place().inspector2.scans.iter_mut().find(|scan| scan.id == id) {
        scan.ended = Some(now);
        scan.failed = gone.or(fails);
    }
}
