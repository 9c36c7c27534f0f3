//! How many containers a deployment from this directory lets run at once.

use std::path::Path;

/// A number of containers, and where it comes from.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// None where nothing is reserved.
    pub(super) containers: Option<u32>,
    pub(super) origin: String,
}

/// The template's parameter that decides; the sum of all functions' reserved concurrency.
const PARAMETER: &str = "ConnectionBudget";

/// As `sam deploy --config-env ENVIRONMENT` would have it in `directory`: what `samconfig.toml` says, else the default of
/// `template.yaml`.
pub(super) fn of_directory(directory: &Path, environment: &str) -> Option<Plan> {
    let read = |name| std::fs::read_to_string(directory.join(name)).ok();
    // A configuration of something else than this template says nothing.
    let default = default_of(&read("template.yaml")?)?;
    let (value, origin) = match read("samconfig.toml").and_then(|text| override_of(&text, environment)) {
        Some(value) => (value, format!("{PARAMETER} of [{environment}] in samconfig.toml")),
        None => (default, format!("{PARAMETER}'s default in template.yaml")),
    };
    match value.as_str() {
        "none" => Some(Plan { containers: None, origin }),
        number => number.parse().ok().map(|number| Plan { containers: Some(number), origin }),
    }
}

/// The template is written by hand, a parameter's name two spaces deep: for one word of it, no parser of YAML with
/// CloudFormation's tags is worth its weight.
fn default_of(template: &str) -> Option<String> {
    let mut lines = template.lines().skip_while(|line| line.trim_end() != format!("  {PARAMETER}:"));
    lines.next()?;
    let mut of_parameter = lines.take_while(|line| line.starts_with("   "));
    of_parameter.find_map(|line| line.trim().strip_prefix("Default:")).map(word)
}

/// In a list or in one text, bare or quoted: SAM takes `parameter_overrides` in all these ways.
fn override_of(configuration: &str, environment: &str) -> Option<String> {
    let of_environment = format!("[{environment}.");
    let mut is_of_environment = false;
    for line in configuration.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        if line.starts_with('[') {
            is_of_environment = line.starts_with(&of_environment);
        } else if let (true, Some((_, value))) = (is_of_environment, line.split_once("ConnectionBudget=")) {
            return Some(word(value));
        }
    }
    None
}

/// The first word, without the quotes around it.
fn word(text: &str) -> String {
    text.trim_start_matches([' ', '"', '\'', '\\']).chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_that_is_shipped_is_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let plan = |environment| of_directory(&root, environment).unwrap();
        assert_eq!(plan("default").containers, None);
        let prod = plan("prod");
        assert_eq!(prod.containers, Some(50));
        assert_eq!(prod.origin, "ConnectionBudget of [prod] in samconfig.toml");
        let other = plan("elsewhere");
        assert_eq!(other.containers, Some(50));
        assert_eq!(other.origin, "ConnectionBudget's default in template.yaml");
    }

    #[test]
    fn an_override_is_read_as_sam_writes_it() {
        for line in [
            r#"parameter_overrides = 'Stage="x" ConnectionBudget="200" LogLevel="info"'"#,
            r#"parameter_overrides = "Stage=\"x\" ConnectionBudget=\"200\" LogLevel=\"info\"""#,
            r#"parameter_overrides = ["Stage=x", "ConnectionBudget=200"]"#,
            "parameter_overrides = [\n  \"Stage=x\",\n  \"ConnectionBudget=200\",\n]",
        ] {
            let text = format!(
                "[a.deploy.parameters]\n# ConnectionBudget=7\n{line}\n[b.deploy.parameters]\nparameter_overrides = 'ConnectionBudget=\"none\"'\n"
            );
            assert_eq!(override_of(&text, "a").as_deref(), Some("200"), "{line}");
            assert_eq!(override_of(&text, "b").as_deref(), Some("none"), "{line}");
            assert_eq!(override_of(&text, "c"), None, "{line}");
        }
    }

    #[test]
    fn a_directory_without_the_template_plans_nothing() {
        assert_eq!(of_directory(Path::new("/nowhere"), "default"), None);
        assert_eq!(default_of("Parameters:\n  Other:\n    Default: 1\n"), None);
    }
}
