//! Keeps the message of a panic, which the trap that ends the plugin would lose.

use std::sync::Once;

static INSTALLED: Once = Once::new();

/// From now on a panic writes its message and place to the host's log.
pub(crate) fn report_by_log() {
    INSTALLED.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.payload_as_str().unwrap_or("(no message)");
            let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
            crate::log::error(format!("the plugin panicked{place}: {message}"));
        }));
    });
}
