//! What the functions' own code logs when it gives up: the whole cause, of which its caller learns nothing.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing::subscriber::DefaultGuard;

/// The lines so far.
#[derive(Clone, Default)]
pub(super) struct Overheard(Arc<Mutex<Vec<u8>>>);

impl Overheard {
    /// Listens to this thread's errors while the guard lives.
    pub(super) fn listen() -> (Self, DefaultGuard) {
        let overheard = Self::default();
        let writer = overheard.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::ERROR)
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (overheard, tracing::subscriber::set_default(subscriber))
    }

    /// The error of the last line.
    pub(super) fn last(&self) -> Option<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().last()?;
        Some(line.split_once("error=").map_or(line, |(_, error)| error).to_owned())
    }
}

impl Write for Overheard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
