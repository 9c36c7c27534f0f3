//! The invariants of docs/architecture.md that can be read off the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use shared::statements::ALL;
use tessera_postgres::IdempotentBy;

type Dependencies = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below `folder` with this ending, with its text and its path from the root of the repository.
pub(crate) fn sources(folder: &str, ending: &str) -> Result<Vec<(String, String)>> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let name = path.strip_prefix(root())?.to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(path)?));
            }
        }
    }
    assert!(!found.is_empty(), "nothing found below {folder}");
    Ok(found)
}

fn assert_only(found: &[(String, String)], word: &str, allowed: &[&str]) {
    let others: Vec<_> = found
        .iter()
        .filter(|(name, text)| text.contains(word) && !allowed.iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, _)| name)
        .collect();
    assert!(others.is_empty(), "`{word}` is not for {others:?}");
}

#[test]
fn only_the_connection_core_and_the_migrations_talk_to_the_driver() -> Result<()> {
    assert_only(
        &sources("shared/src", "rs")?,
        "tokio_postgres",
        &["shared/src/migrations/", "shared/src/schema.rs"],
    );
    assert_only(&sources("functions", "rs")?, "tokio_postgres", &[]);
    Ok(())
}

/// What an SQLSTATE means is said by one table, in the connection core.
#[test]
fn nobody_but_the_connection_core_matches_an_sqlstate() -> Result<()> {
    for folder in ["shared/src", "functions", "cli/src"] {
        let found = sources(folder, "rs")?;
        for word in ["SqlState", "sqlstate ==", "query_wait_timeout"] {
            assert_only(&found, word, &[]);
        }
    }
    Ok(())
}

/// The connection core is for any Lambda function, and for programs that are none.
#[test]
fn the_connection_core_knows_no_domain_no_http_and_no_lambda() -> Result<()> {
    let found = sources("shared/postgres/src", "rs")?;
    for word in ["lambda_", "AWS_LAMBDA", "::http", "cargo tessera", "short_id", "webhook", "shared::"] {
        assert_only(&found, word, &[]);
    }
    Ok(())
}

/// Text in, bytes of an image out.
#[test]
fn the_symbol_knows_no_domain_no_database_and_no_http() -> Result<()> {
    let found = sources("shared/symbol/src", "rs")?;
    for word in ["shared::", "postgres", "http::", "short_id", "lambda_"] {
        assert_only(&found, word, &[]);
    }
    Ok(())
}

#[test]
fn only_what_starts_a_function_and_answers_knows_of_lambda() -> Result<()> {
    let shared = sources("shared/src", "rs")?;
    let allowed = ["shared/src/http/", "shared/src/scheduled.rs", "shared/src/telemetry"];
    assert_only(&shared, "lambda_http", &allowed);
    assert_only(&shared, "lambda_runtime", &allowed);
    Ok(())
}

#[test]
fn functions_hold_no_sql() -> Result<()> {
    let functions = sources("functions", "rs")?;
    for word in ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM", "Statement {"] {
        assert_only(&functions, word, &[]);
    }
    Ok(())
}

#[test]
fn no_statement_needs_a_session() -> Result<()> {
    for (name, text) in sources("shared/src", "sql")? {
        let code: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
        let code = code.join("\n").to_uppercase();
        for word in ["BEGIN", "COMMIT", "PREPARE", "LISTEN", "TEMP ", "TEMPORARY", "PG_ADVISORY_LOCK"] {
            assert!(
                !code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word.trim()),
                "{name}: {word}"
            );
        }
        assert!(!code.trim_start().starts_with("SET "), "{name} sets something");
    }
    Ok(())
}

/// A statement that is declared and not listed would escape the tests that take each of them in turn.
#[test]
fn every_declared_statement_is_listed_once_and_says_why_it_may_be_sent_twice() -> Result<()> {
    let declared: usize = sources("shared/src", "rs")?
        .iter()
        .map(|(_, text)| {
            text.lines()
                .filter(|line| line.trim_start().starts_with("pub const") && line.contains(": Statement ="))
                .count()
        })
        .sum();
    assert_eq!(declared, ALL.len());
    for statement in ALL {
        let same = ALL.iter().filter(|other| other.name == statement.name).count();
        assert_eq!(same, 1, "{} is listed once", statement.name);
        let writes =
            ["INSERT INTO", "UPDATE ", "DELETE FROM"].iter().any(|word| statement.sql.contains(word));
        assert_eq!(
            writes,
            statement.idempotent_by != IdempotentBy::Read,
            "{}: a read changes nothing, a write has a key",
            statement.name
        );
        let parameters = (1..100).take_while(|number| statement.sql.contains(&format!("${number}"))).count();
        assert_eq!(parameters, statement.parameters.len(), "{}: parameters", statement.name);
    }
    Ok(())
}

/// The modules that each module of `folder` names, by the first segment of what follows `prefix`. Tests may name any.
fn dependencies(folder: &str, prefix: &str, module: fn(&str) -> String) -> Result<Dependencies> {
    let mut named = Dependencies::new();
    for (path, text) in sources(folder, "rs")? {
        if path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let own = module(path.trim_start_matches(folder).trim_start_matches('/'));
        let code =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let others = code.split(prefix).skip(1).flat_map(|after| {
            // `prefix{a, b::C}` names several.
            let (list, _) = after
                .strip_prefix('{')
                .map_or((after, ""), |list| list.split_once('}').unwrap_or((list, "")));
            let several = after.starts_with('{');
            list.split(',')
                .take(if several { usize::MAX } else { 1 })
                .map(|name| {
                    name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
                })
                .collect::<Vec<_>>()
        });
        named.entry(own.clone()).or_default().extend(others.filter(|other| *other != own));
    }
    let modules: BTreeSet<String> = named.keys().cloned().collect();
    for others in named.values_mut() {
        others.retain(|other| modules.contains(other));
    }
    Ok(named)
}

/// A path from a module through those that it names back to itself.
fn cycle(named: &Dependencies) -> Option<Vec<String>> {
    fn visit(named: &Dependencies, path: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let Some(here) = path.last().cloned() else { return false };
        for next in &named[&here] {
            let known = path.contains(next);
            if known || !done.contains(next) {
                path.push(next.clone());
                if known || visit(named, path, done) {
                    return true;
                }
                path.pop();
            }
        }
        done.insert(here);
        false
    }
    let mut done = BTreeSet::new();
    named.keys().find_map(|start| {
        let mut path = vec![start.clone()];
        visit(named, &mut path, &mut done).then_some(path)
    })
}

/// `http/serve.rs` is of the module `http`, `fields.rs` of `fields`.
fn top_module(path: &str) -> String {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs").to_owned()
}

#[test]
fn no_modules_of_the_shared_crate_need_each_other() -> Result<()> {
    let mut named = dependencies("shared/src", "crate::", top_module)?;
    // The list of all statements names every module that has some, for tests and migrations.
    named.remove("statements");
    for others in named.values_mut() {
        others.remove("statements");
    }
    assert_eq!(cycle(&named), None, "{named:#?}");
    Ok(())
}

/// Modules of the shared crate whose `mod.rs` only names the parts.
const FOLDERS: [&str; 8] = ["config", "health", "http", "jobs", "metrics", "migrations", "qr", "webhook"];

/// What stands between `mod.rs` and its parts is a cycle too, which the test below would not see.
#[test]
fn a_folder_of_the_shared_crate_has_its_code_in_its_parts() -> Result<()> {
    for folder in FOLDERS {
        let path = format!("shared/src/{folder}");
        let text = fs::read_to_string(root().join(&path).join("mod.rs"))?;
        for word in ["fn ", "struct ", "enum ", "impl ", "const ", "static "] {
            assert!(
                !text.lines().any(|line| line.trim_start_matches("pub ").starts_with(word)),
                "{path}/mod.rs has a `{word}`"
            );
        }
    }
    Ok(())
}

/// Parts of a folder name each other by `super::`, and from a folder further down by `crate::FOLDER::`; by the module that has
/// it, not by what `mod.rs` exports, behind which a cycle could hide.
#[test]
fn no_parts_of_a_folder_of_the_shared_crate_need_each_other() -> Result<()> {
    for folder in FOLDERS {
        let path = format!("shared/src/{folder}");
        let mut named = dependencies(&path, &format!("crate::{folder}::"), top_module)?;
        for (part, others) in dependencies(&path, "super::", top_module)? {
            named.entry(part).or_default().extend(others);
        }
        assert_eq!(cycle(&named), None, "{folder}: {named:#?}");
        for (file, text) in sources(&path, "rs")? {
            let parent = format!("crate::{folder}::");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let is_part = file.trim_start_matches(&path).matches('/').count() == 1;
            let prefixes = if is_part { vec!["super::", &parent] } else { vec![parent.as_str()] };
            for after in prefixes.iter().flat_map(|prefix| code.split(prefix).skip(1)) {
                let list =
                    after.strip_prefix('{').map_or(after, |list| list.split('}').next().unwrap_or(list));
                let parts = list.split([',', ';']).take(if after.starts_with('{') { usize::MAX } else { 1 });
                let export = parts.map(str::trim).find(|name| name.starts_with(char::is_uppercase));
                assert_eq!(export, None, "{file} names an export of mod.rs");
            }
        }
    }
    Ok(())
}

#[test]
fn no_modules_of_the_connection_core_or_of_a_function_need_each_other() -> Result<()> {
    for folder in ["qr-generate", "qr-redirect", "webhook", "health", "worker", "migrate"] {
        let named = dependencies(&format!("functions/{folder}/src"), "crate::", top_module)?;
        assert_eq!(cycle(&named), None, "{folder}: {named:#?}");
    }
    let named = dependencies("shared/postgres/src", "crate::", top_module)?;
    assert_eq!(cycle(&named), None, "{named:#?}");
    Ok(())
}

#[test]
fn a_cycle_is_found_however_long_it_is() {
    let named = |pairs: &[(&str, &str)]| {
        let mut named = Dependencies::new();
        for (from, to) in pairs {
            named.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            named.entry((*to).to_owned()).or_default();
        }
        named
    };
    assert_eq!(cycle(&named(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert!(cycle(&named(&[("a", "b"), ("b", "c"), ("c", "a")])).is_some());
}
