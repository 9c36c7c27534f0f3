//! The connection budget of a deployment: how many containers it lets run at once, as the files of a directory say.

use std::path::Path;

/// How many containers may run at once, and which option or file says so.
#[derive(Debug, PartialEq)]
pub(super) struct ConnectionBudget {
    /// Without a number, no function has reserved concurrency.
    pub(super) containers: Option<u32>,
    pub(super) origin: String,
}

/// The template's parameter for the sum of all functions' reserved concurrency.
const PARAMETER: &str = "ConnectionBudget";

/// The budget that `sam deploy --config-env ENVIRONMENT` would deploy from `directory`: what `samconfig.toml` says,
/// else the default of `template.yaml`.
pub(super) fn from_directory(directory: &Path, environment: &str) -> Option<ConnectionBudget> {
    let read = |name| std::fs::read_to_string(directory.join(name)).ok();
    // A configuration of something else than this template says nothing.
    let default = default_in_template(&read("template.yaml")?)?;
    let (value, origin) =
        match read("samconfig.toml").and_then(|text| override_in_samconfig(&text, environment)) {
            Some(value) => (value, format!("{PARAMETER} of [{environment}] in samconfig.toml")),
            None => (default, format!("{PARAMETER}'s default in template.yaml")),
        };
    match value.as_str() {
        "none" => Some(ConnectionBudget { containers: None, origin }),
        number => number.parse().ok().map(|number| ConnectionBudget { containers: Some(number), origin }),
    }
}

/// The parameter's default in a template. The template is written by hand, a parameter's name two spaces deep: for one
/// word of it, no parser of YAML with CloudFormation's tags is worth its weight.
fn default_in_template(template: &str) -> Option<String> {
    let mut lines = template.lines().skip_while(|line| line.trim_end() != format!("  {PARAMETER}:"));
    lines.next()?;
    let mut of_parameter = lines.take_while(|line| line.starts_with("   "));
    of_parameter.find_map(|line| line.trim().strip_prefix("Default:")).map(unquoted_value)
}

/// The parameter's value for an environment of a samconfig.toml. SAM takes `parameter_overrides` as a list or as one
/// string, with bare or quoted values, and so does this.
fn override_in_samconfig(configuration: &str, environment: &str) -> Option<String> {
    let of_environment = format!("[{environment}.");
    let mut is_of_environment = false;
    for line in configuration.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        if line.starts_with('[') {
            is_of_environment = line.starts_with(&of_environment);
        } else if let (true, Some((_, value))) = (is_of_environment, line.split_once("ConnectionBudget=")) {
            return Some(unquoted_value(value));
        }
    }
    None
}

/// The value at the beginning of `text`, without the quotes around it.
fn unquoted_value(text: &str) -> String {
    text.trim_start_matches([' ', '"', '\'', '\\']).chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_of_the_shipped_template_is_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let budget = |environment| from_directory(&root, environment).unwrap();
        assert_eq!(budget("default").containers, None);
        let prod = budget("prod");
        assert_eq!(prod.containers, Some(50));
        assert_eq!(prod.origin, "ConnectionBudget of [prod] in samconfig.toml");
        let other = budget("elsewhere");
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
            assert_eq!(override_in_samconfig(&text, "a").as_deref(), Some("200"), "{line}");
            assert_eq!(override_in_samconfig(&text, "b").as_deref(), Some("none"), "{line}");
            assert_eq!(override_in_samconfig(&text, "c"), None, "{line}");
        }
    }

    #[test]
    fn a_directory_without_the_template_has_no_budget() {
        assert_eq!(from_directory(Path::new("/nowhere"), "default"), None);
        assert_eq!(default_in_template("Parameters:\n  Other:\n    Default: 1\n"), None);
    }
}
