//! Name resolution and a wall clock that a test controls, in a program that runs with `LD_PRELOAD`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::OnceCell;

use crate::scratch::Scratch;

/// A shared library that replaces `getaddrinfo` and `clock_gettime` of a program, and the files that it reads their
/// answers from. A function gets it by [`crate::LambdaBuilder::preload`]. Linux only.
#[derive(Debug)]
pub struct Preload {
    library: PathBuf,
    scratch: Scratch,
}

impl Preload {
    /// Starts with the true time, and with no name ending in `.test`.
    pub async fn new() -> Result<Self> {
        static LIBRARY: OnceCell<Scratch> = OnceCell::const_new();
        let library = LIBRARY.get_or_try_init(compile).await?.path().join("preload.so");
        Ok(Self { library, scratch: Scratch::new("preload")? })
    }

    /// Resolves `name`, which must end in `.test`, to `address` from now on; without an address, there is no such name.
    pub fn resolve(&self, name: &str, address: Option<IpAddr>) -> Result<()> {
        let line = address.map(|address| format!("{name} {address}\n")).unwrap_or_default();
        self.write("names", &line)
    }

    /// Sets the wall clock of the program this far ahead from now on. Its monotonic clock stays true.
    pub fn clock_ahead(&self, ahead: Duration) -> Result<()> {
        self.write("clock", &ahead.as_secs().to_string())
    }

    /// The environment variables that load the library, for a program that is not started as a function.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [("LD_PRELOAD", &*self.library), ("PRELOAD_DIRECTORY", self.scratch.path())]
            .map(|(name, path)| (name, path.display().to_string()))
    }

    /// Replaces a file atomically: a program that reads it meanwhile sees the old text or the new.
    fn write(&self, file: &str, text: &str) -> Result<()> {
        let fresh = self.scratch.path().join("fresh");
        std::fs::write(&fresh, text)?;
        Ok(std::fs::rename(fresh, self.scratch.path().join(file))?)
    }
}

async fn compile() -> Result<Scratch> {
    let scratch = Scratch::new("preload-library")?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(scratch.path().join("preload.so"));
    cc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/harness/preload.c")).arg("-ldl");
    let compiled = tokio::task::spawn_blocking(move || cc.output()).await?.context("no C compiler (cc)")?;
    ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Ok(scratch)
}
