//! The account that servers run as: PostgreSQL and PgBouncer refuse to run as root.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// An unprivileged account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, for messages.
    pub name: String,
    user: u32,
    group: u32,
}

impl Account {
    /// The account to run servers as: `postgres`, else `nobody`; none when we are not root and run them ourselves.
    pub fn for_servers() -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("/etc/passwd could not be read")?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::in_passwd(&passwd, name))
            .map(Some)
            .context("PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody`")
    }

    fn in_passwd(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [account, _, user, group, ..] = fields[..] else { return None };
            // macOS writes `nobody` as -2.
            let id =
                |text: &str| text.parse().ok().or_else(|| Some(text.parse::<i32>().ok()?.cast_unsigned()));
            (account == name).then_some(Self { name: name.to_owned(), user: id(user)?, group: id(group)? })
        })
    }

    /// Whether this account can enter the directory.
    #[must_use]
    pub fn can_enter(&self, directory: &Path) -> bool {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd -- \"$1\"", "sh"]).arg(directory).current_dir("/").stderr(Stdio::null());
        command.uid(self.user).gid(self.group);
        command.status().is_ok_and(|status| status.success())
    }
}

/// Whether we are root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Has the command run as that account, if there is one.
pub fn run_as<'a>(command: &'a mut Command, account: Option<&Account>) -> &'a mut Command {
    match account {
        // Not in the directory of root, which the account may not be able to read.
        Some(account) => command.uid(account.user).gid(account.group).current_dir("/").env("HOME", "/"),
        None => command,
    }
}

/// Gives a file or directory to that account, if there is one.
pub fn give_to(path: &Path, account: Option<&Account>) -> Result<()> {
    match account {
        Some(account) => chown(path, Some(account.user), Some(account.group))
            .with_context(|| format!("{} could not be given to {}", path.display(), account.name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_passwd() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104::/var/lib:/bin/sh\nnobody:*:-2:-2::/:/x\n";
        let account = |name: &str, user, group| Some(Account { name: name.to_owned(), user, group });
        assert_eq!(Account::in_passwd(passwd, "postgres"), account("postgres", 101, 104));
        assert_eq!(Account::in_passwd(passwd, "nobody"), account("nobody", u32::MAX - 1, u32::MAX - 1));
        assert_eq!(Account::in_passwd(passwd, "daemon"), None);
    }
}
