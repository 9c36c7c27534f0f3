//! The start-up parameter `options`: routing hints for a provider's proxy, and settings for the server.

/// The parts of `options`, which are separated because a pooler accepts only the routing hints.
#[derive(Default)]
pub(super) struct Options {
    /// Hints that a provider's proxy reads and removes, such as Neon's `endpoint=…`. They are always sent.
    routing: Vec<String>,
    /// `-c name=value` and everything else, which is sent only to a server that is reached directly.
    settings: Vec<Setting>,
}

struct Setting {
    /// The setting's name; empty for anything but `-c name=value`.
    name: String,
    value: String,
    text: String,
}

/// The routing hints of Neon (<https://neon.com/docs/connect/connection-errors>) and Supabase (`reference=`).
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

    /// Removes a setting, and returns its value.
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

    /// The text that is sent; behind a pooler, only the routing hints.
    pub(super) fn to_text(&self, behind_pooler: bool) -> Option<String> {
        let settings = self.settings.iter().map(|setting| setting.text.as_str());
        let settings = settings.filter(|_| !behind_pooler);
        let words: Vec<&str> = self.routing.iter().map(String::as_str).chain(settings).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// Splits at white space that is not escaped with a backslash.
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
