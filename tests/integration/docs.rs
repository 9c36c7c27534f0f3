//! The links, tests and paths that the documents name are there.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Markdown file of the repository, without what tools put there.
fn documents() -> Result<Vec<PathBuf>> {
    let mut folders = vec![root()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !matches!(name.as_str(), "target" | "node_modules" | ".git" | ".aws-sam") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Where a document's links and images lead, and the anchors of its headings.
fn links_and_anchors(text: &str) -> (Vec<String>, HashSet<String>) {
    let (mut links, mut anchors) = (Vec::new(), HashSet::new());
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => anchors.extend(heading.take().map(|title| anchor(&title))),
            Event::Text(part) | Event::Code(part) => {
                if let Some(title) = &mut heading {
                    title.push_str(&part);
                }
            }
            _ => {}
        }
    }
    (links, anchors)
}

/// As GitHub makes it of a heading: lower case, punctuation left out, a hyphen for a space.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

/// What is wrong with a link in `document`, if anything; links to other sites are not followed.
fn problem(document: &Path, link: &str) -> Result<Option<&'static str>> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(None);
    }
    let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => document.to_owned(),
        path => document.parent().context("a file is in a folder")?.join(path),
    };
    if !target.exists() {
        return Ok(Some("nothing is there"));
    }
    if fragment.is_empty() {
        return Ok(None);
    }
    let (_, anchors) = links_and_anchors(&fs::read_to_string(target)?);
    Ok((!anchors.contains(fragment)).then_some("has no such heading"))
}

#[test]
fn every_link_of_a_document_leads_somewhere() -> Result<()> {
    let mut seen = 0;
    let mut problems = Vec::new();
    for document in documents()? {
        let (links, _) = links_and_anchors(&fs::read_to_string(&document)?);
        seen += links.len();
        for link in links {
            if let Some(problem) = problem(&document, &link)? {
                problems.push(format!("{}: {link}: {problem}", document.display()));
            }
        }
    }
    assert!(seen > 50, "only {seen} links found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn every_page_in_docs_can_be_reached_from_the_readme() -> Result<()> {
    let (mut left, mut reached) = (vec![root().join("README.md").canonicalize()?], HashSet::new());
    while let Some(page) = left.pop() {
        let (links, _) = links_and_anchors(&fs::read_to_string(&page)?);
        let folder = page.parent().context("a file is in a folder")?.to_owned();
        if reached.insert(page) {
            let paths = links.iter().map(|link| folder.join(link.split('#').next().unwrap_or_default()));
            let pages = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
            left.extend(pages.filter_map(|path| path.canonicalize().ok()));
        }
    }
    for page in documents()? {
        let page = page.canonicalize()?;
        if page.parent().is_some_and(|folder| folder.ends_with("docs")) {
            assert!(reached.contains(&page), "no link leads to {}", page.display());
        }
    }
    Ok(())
}

/// The code spans of a document, such as `` `cargo dev` ``.
fn code_spans(text: &str) -> Vec<String> {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES);
    let spans = events.filter_map(|event| if let Event::Code(code) = event { Some(code) } else { None });
    spans.map(pulldown_cmark::CowStr::into_string).collect()
}

/// Whether a code span is the name of a test or another function: `module::name`, or with an ellipsis for what is left
/// out, as in `module::a_pooler_…` and `…a_server_may_have_been_restarted`.
fn names_a_function(span: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | ':' | '…');
    span.chars().all(plain) && (span.contains("::") || span.starts_with('…'))
}

/// Whether the sources define the function that `span` names, or such a module.
fn is_defined(sources: &[(String, String)], span: &str) -> bool {
    let (module, function) = span.rsplit_once("::").unwrap_or(("", span));
    let (start, rest) = function.strip_prefix('…').map_or(("fn ", function), |rest| ("", rest));
    let (rest, ends) = rest.strip_suffix('…').map_or((rest, ["(", "<"].as_slice()), |rest| (rest, &[""]));
    let is_in = |text: &str| ends.iter().any(|end| text.contains(&format!("{start}{rest}{end}")));
    sources.iter().any(|(path, text)| is_module(path, span) || (is_module(path, module) && is_in(text)))
}

/// Whether the file at `path` is the module of this name, or has it as an inner module `tests`.
fn is_module(path: &str, name: &str) -> bool {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    let outer = name.trim_end_matches("::tests");
    name.is_empty() || [name, outer].iter().any(|name| format!("::{path}").ends_with(&format!("::{name}")))
}

#[test]
fn every_test_that_a_document_names_exists() -> Result<()> {
    let mut sources = Vec::new();
    for folder in ["cli", "functions", "shared", "tests"] {
        sources.extend(crate::invariants::sources(folder, "rs")?);
    }
    let (mut seen, mut missing) = (0, Vec::new());
    for document in documents()? {
        for span in code_spans(&fs::read_to_string(&document)?) {
            if names_a_function(&span) {
                seen += 1;
                if !is_defined(&sources, &span) {
                    missing.push(format!("{}: {span}", document.display()));
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} names found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}

#[test]
fn every_path_that_a_document_names_exists() -> Result<()> {
    let folders = [".ci/", ".github/", "certificates/", "cli/", "docs/", "functions/", "shared/", "tests/"];
    let mut missing = Vec::new();
    for document in documents()? {
        for span in code_spans(&fs::read_to_string(&document)?) {
            // After the path of a program come its arguments; `functions/X/…` stands for each function's file.
            let path = span.split(' ').next().unwrap_or_default();
            let is_path = folders.iter().any(|folder| path.starts_with(folder)) && !path.contains("/X/");
            if is_path && !root().join(path).exists() {
                missing.push(format!("{}: {span}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}

#[test]
fn headings_get_the_anchors_that_github_gives_them() {
    for (title, expected) in [
        ("Roll back", "roll-back"),
        ("No Redis, no cache of rows or of misses", "no-redis-no-cache-of-rows-or-of-misses"),
        ("sslmode=require means what it means", "sslmoderequire-means-what-it-means"),
    ] {
        assert_eq!(anchor(title), expected);
    }
}
