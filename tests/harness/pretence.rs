//! Names that lead where the test says, and a clock that it sets forward.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::OnceCell;

use crate::scratch::Scratch;

/// What a program is led to believe; a function by [`crate::LambdaBuilder::believing`]. Linux only.
#[derive(Debug)]
pub struct Pretence {
    library: PathBuf,
    scratch: Scratch,
}

impl Pretence {
    /// The true time, and no names.
    pub async fn new() -> Result<Self> {
        static LIBRARY: OnceCell<Scratch> = OnceCell::const_new();
        let library = LIBRARY.get_or_try_init(compile).await?.path().join("pretend.so");
        Ok(Self { library, scratch: Scratch::new("pretence")? })
    }

    /// From now on `name`, which ends in `.pretend`, leads to `address`; without one there is no such name.
    pub fn name(&self, name: &str, address: Option<IpAddr>) -> Result<()> {
        let line = address.map(|address| format!("{name} {address}\n")).unwrap_or_default();
        self.write("names", &line)
    }

    /// From now on the wall clock is this far ahead.
    pub fn clock_ahead(&self, ahead: Duration) -> Result<()> {
        self.write("clock", &ahead.as_secs().to_string())
    }

    /// The variables that make a program believe it, for what is no function.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [("LD_PRELOAD", &*self.library), ("PRETENCE", self.scratch.path())]
            .map(|(name, path)| (name, path.display().to_string()))
    }

    /// All at once: a program that reads meanwhile sees the old or the new.
    fn write(&self, file: &str, text: &str) -> Result<()> {
        let fresh = self.scratch.path().join("fresh");
        std::fs::write(&fresh, text)?;
        Ok(std::fs::rename(fresh, self.scratch.path().join(file))?)
    }
}

async fn compile() -> Result<Scratch> {
    let scratch = Scratch::new("pretend")?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(scratch.path().join("pretend.so"));
    cc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/harness/pretend.c")).arg("-ldl");
    let compiled = tokio::task::spawn_blocking(move || cc.output()).await?.context("no C compiler (cc)")?;
    ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Ok(scratch)
}
