//! The `options` parameter: routing hints of providers, and settings for the server.

/// `options`, sorted by what may become of it.
#[derive(Default)]
pub(super) struct Options {
    /// Hints that a proxy reads and takes out, e.g. Neon's `endpoint=…`; safe, and needed, everywhere.
    routing: Vec<String>,
    /// `-c name=value` settings and anything else, for a server that is reached directly.
    settings: Vec<Setting>,
}

struct Setting {
    /// Empty for what is not `-c name=value`.
    name: String,
    value: String,
    text: String,
}

/// Neon: <https://neon.com/docs/connect/connection-errors>; Supabase: `reference=`.
const ROUTING: [&str; 3] = ["endpoint=", "project=", "reference="];

impl Options {
    pub(super) fn parse(text: &str) -> Self {
        let mut options = Self::default();
        let mut tokens = split(text).into_iter();
        while let Some(token) = tokens.next() {
            if ROUTING.iter().any(|hint| token.starts_with(hint)) {
                options.routing.push(escape(&token));
                continue;
            }
            let assignment = match token.strip_prefix("--").or_else(|| token.strip_prefix("-c")) {
                Some("") => tokens.next().unwrap_or_default(),
                Some(rest) => rest.to_owned(),
                None => String::new(),
            };
            let (name, value) = assignment.split_once('=').unwrap_or_default();
            let text =
                if assignment.is_empty() { escape(&token) } else { format!("-c {}", escape(&assignment)) };
            options.settings.push(Setting { name: name.to_owned(), value: value.to_owned(), text });
        }
        options
    }

    /// Takes a setting out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.settings.iter().position(|setting| setting.name == name)?;
        Some(self.settings.remove(at).value)
    }

    /// The value of a setting.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|setting| setting.name == name).map(|setting| setting.value.as_str())
    }

    pub(super) fn has_settings(&self) -> bool {
        !self.settings.is_empty()
    }

    /// The text for the server; behind a pooler only the routing hints.
    pub(super) fn to_text(&self, behind_pooler: bool) -> Option<String> {
        let settings = self.settings.iter().map(|setting| setting.text.as_str());
        let settings = settings.filter(|_| !behind_pooler);
        let words: Vec<&str> = self.routing.iter().map(String::as_str).chain(settings).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// At white space, where a backslash keeps the next character in the word.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn escape(word: &str) -> String {
    let mut escaped = String::with_capacity(word.len());
    for c in word.chars() {
        if c == '\\' || c.is_whitespace() {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
