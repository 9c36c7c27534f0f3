//! Why a variable cannot be used.

/// A variable is missing or wrong. Names the variable and what is wrong with it, and never shows its value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The variable, or each of those that are named, is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// The variable is set to something that cannot be used.
    #[error("{variable}: {problem}")]
    Malformed {
        /// The variable's name.
        variable: &'static str,
        /// What is wrong with its value, without the value itself.
        problem: String,
    },
}

impl ConfigError {
    /// Makes the error of a `variable` that is set to something that cannot be used because of `problem`.
    pub fn malformed(variable: &'static str, problem: impl std::fmt::Display) -> Self {
        Self::Malformed { variable, problem: problem.to_string() }
    }
}

impl From<tessera_postgres::ConfigError> for ConfigError {
    fn from(error: tessera_postgres::ConfigError) -> Self {
        Self::Malformed { variable: error.variable, problem: error.problem }
    }
}
