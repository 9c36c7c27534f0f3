//! The supervisor process.

use std::io::BufRead;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use rustix::process::Pid;

use super::shutdown::{remove_directory, stop_processes, stop_servers};

/// What the supervisor process has been told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Instructions {
    run_id: String,
    first: Option<Pid>,
    directories: Vec<PathBuf>,
}

impl Instructions {
    /// Reads instructions, one a line, until the input ends.
    fn read(input: impl BufRead) -> Result<Self> {
        let mut instructions = Self::default();
        for line in input.lines() {
            let line = line?;
            match line.split_once('\t') {
                Some(("run", id)) => id.clone_into(&mut instructions.run_id),
                Some(("first", pid)) => instructions.first = Pid::from_raw(pid.parse()?),
                Some(("directory", path)) => instructions.directories.push(path.into()),
                _ => bail!("a line that is not understood: {line}"),
            }
        }
        Ok(instructions)
    }
}

/// What the supervisor process does: waits for the end of its standard input, then stops the processes of the run,
/// servers last, and removes its directories.
pub fn serve() -> Result<()> {
    let Instructions { run_id, first, directories } = Instructions::read(std::io::stdin().lock())?;
    if !run_id.is_empty() {
        stop_processes(&run_id, first);
        stop_servers(&super::server_id(&run_id));
    }
    for directory in directories {
        remove_directory(&directory)
            .with_context(|| format!("{} could not be removed", directory.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_a_line_each() {
        let read = |text: &str| Instructions::read(text.as_bytes());
        let expected = Instructions {
            run_id: "1-2".to_owned(),
            first: Pid::from_raw(3),
            directories: vec!["/tmp/a b".into(), "/tmp/c".into()],
        };
        let text = "run\t1-2\ndirectory\t/tmp/a b\nfirst\t3\ndirectory\t/tmp/c\n";
        assert_eq!(read(text).unwrap(), expected);
        assert!(read("run 1-2\n").is_err());
    }
}
