//! Ids that survive print: short, without look-alikes, compared without case.

use std::fmt;

/// Crockford's base32 alphabet: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The id of a code, as it was given or generated.
///
/// Two ids are the same when their [`key`](Self::key)s are: `hello`, `HELLO` and `HE110` are one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortId(String);

impl ShortId {
    /// Characters of a generated id: 35 bits, so that there are 34 thousand million of them.
    pub const GENERATED_LENGTH: usize = 7;
    /// The rule for an id, as it is told to a caller who broke it.
    pub const RULE: &'static str = "must have 3 to 64 characters of A-Z, a-z, 0-9, - and _";

    /// Takes 3 to 64 characters of `A-Z a-z 0-9 - _`; `None` if the text is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (3..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        fits.then(|| Self(text.to_owned()))
    }

    /// Makes a random id, which another code may have already.
    #[must_use]
    pub fn generate() -> Self {
        let mut random = [0_u8; Self::GENERATED_LENGTH];
        getrandom::fill(&mut random).expect("the operating system has randomness");
        Self(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
    }

    /// The id in the spelling in which it was given, which is the one that people see.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that ids are compared in: upper case, O as 0, I and L as 1.
    #[must_use]
    pub fn key(&self) -> String {
        self.0
            .chars()
            .map(|c| match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            })
            .collect()
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn look_alikes_are_one_id() {
        let key = |text| ShortId::parse(text).unwrap().key();
        for same in ["HELLO", "hello", "HE110", "heLl0", "HEIIO"] {
            assert_eq!(key(same), "HE110", "{same}");
        }
        assert_ne!(key("a-b"), key("a_b"));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "ab", "a b", "a/b", "a.b", "äbc", "abc\0", "abc\n", "%41bc", &"a".repeat(65)] {
            assert_eq!(ShortId::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_generated_id_is_its_own_key(_ in 0..1000) {
            let id = ShortId::generate();
            prop_assert_eq!(id.as_str().len(), ShortId::GENERATED_LENGTH);
            prop_assert_eq!(id.key(), id.as_str());
            prop_assert!(ShortId::parse(id.as_str()).is_some());
        }

        #[test]
        fn parsing_never_panics_and_keys_are_stable(text in any::<String>()) {
            if let Some(id) = ShortId::parse(&text) {
                prop_assert_eq!(ShortId::parse(&id.key()).unwrap().key(), id.key());
            }
        }
    }
}
