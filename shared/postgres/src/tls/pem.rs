//! Reads PEM files with many certificates, and the subject of each, without OpenSSL, which takes 50 to 120 µs to parse
//! one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a PEM text, each with its BEGIN and END line; comments between them are skipped.
pub(super) fn certificates(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(BEGIN).filter_map(move |(begin, _)| {
        let end = begin + text[begin..].find(END)?;
        Some(&text[begin..end + END.len()])
    })
}

/// The subject of a PEM certificate, as the DER content of its `Name`
/// ([RFC 5280, 4.1](https://www.rfc-editor.org/rfc/rfc5280#section-4.1)).
pub(super) fn subject(certificate: &str) -> Option<Vec<u8>> {
    let base64 = certificate.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let base64: Vec<u8> = base64.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(base64).ok()?;
    let mut certificate = Der(Der(&der).next_of(SEQUENCE)?);
    let mut to_be_signed = Der(certificate.next_of(SEQUENCE)?);
    if to_be_signed.0.first() == Some(&EXPLICIT_VERSION) {
        to_be_signed.next()?;
    }
    let [_serial, _algorithm, _issuer, _validity] = [(); 4].map(|()| to_be_signed.next());
    to_be_signed.next_of(SEQUENCE).map(<[u8]>::to_vec)
}

/// The number by which OpenSSL finds a certificate in a hashed directory: the first four bytes, in little-endian order,
/// of the SHA-1 of the subject in canonical form (<https://docs.openssl.org/3.6/man1/openssl-rehash/>,
/// `X509_NAME_hash_ex`).
pub(super) fn subject_hash(subject: &[u8]) -> Option<u32> {
    let mut canonical = Vec::with_capacity(subject.len());
    let mut relative_names = Der(subject);
    while !relative_names.0.is_empty() {
        let mut attributes = Der(relative_names.next_of(SET)?);
        let mut set = Vec::new();
        while !attributes.0.is_empty() {
            let mut attribute = Der(attributes.next_of(SEQUENCE)?);
            let mut content = encode(OBJECT_IDENTIFIER, attribute.next_of(OBJECT_IDENTIFIER)?);
            let (tag, value) = attribute.next()?;
            content.extend(canonical_value(tag, value)?);
            set.push(encode(SEQUENCE, &content));
        }
        set.sort();
        canonical.extend(encode(SET, &set.concat()));
    }
    let digest = Sha1::digest(&canonical);
    Some(u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

/// Converts a text to UTF-8 and lower case (of ASCII letters), and trims and collapses white space. A value of any
/// other type is not changed.
fn canonical_value(tag: u8, value: &[u8]) -> Option<Vec<u8>> {
    let text = match tag {
        UTF8_STRING => String::from_utf8(value.to_vec()).ok()?,
        PRINTABLE_STRING | T61_STRING | IA5_STRING | VISIBLE_STRING => {
            value.iter().copied().map(char::from).collect()
        }
        BMP_STRING => {
            let units: Vec<u16> =
                value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()?
        }
        UNIVERSAL_STRING => return None,
        other => return Some(encode(other, value)),
    };
    let words: Vec<&str> = text.split(is_c_space).filter(|word| !word.is_empty()).collect();
    Some(encode(UTF8_STRING, words.join(" ").to_ascii_lowercase().as_bytes()))
}

/// White space by C's `isspace`, which includes the vertical tab.
fn is_c_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const T61_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const EXPLICIT_VERSION: u8 = 0xa0;

/// What is left of a sequence of DER values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn next_of(&mut self, expected: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == expected).map(|(_, value)| value)
    }
}

fn encode(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    match value.len() {
        length @ 0..=0x7f => encoded.extend(u8::try_from(length)),
        length => {
            let digits = length.to_be_bytes();
            let digits = &digits[digits.iter().take_while(|&&digit| digit == 0).count()..];
            encoded.extend(u8::try_from(0x80 + digits.len()));
            encoded.extend(digits);
        }
    }
    encoded.extend(value);
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(parts: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let part = |(oid, tag, value): &(&[u8], u8, &[u8])| {
            let attribute = [encode(OBJECT_IDENTIFIER, oid), encode(*tag, value)].concat();
            encode(SET, &encode(SEQUENCE, &attribute))
        };
        parts.iter().flat_map(part).collect()
    }

    #[test]
    fn subjects_are_named_as_openssl_names_them() {
        let (country, locality, organization) = (&[0x55, 4, 6][..], &[0x55, 4, 7][..], &[0x55, 4, 10][..]);
        let (unit, common_name) = (&[0x55, 4, 11][..], &[0x55, 4, 3][..]);
        let isrg_x1 = name(&[
            (country, PRINTABLE_STRING, b"US"),
            (organization, PRINTABLE_STRING, b"Internet Security Research Group"),
            (common_name, PRINTABLE_STRING, b"ISRG Root X1"),
        ]);
        let amazon_1 = name(&[
            (country, PRINTABLE_STRING, b"US"),
            (organization, PRINTABLE_STRING, b"Amazon"),
            (common_name, PRINTABLE_STRING, b"Amazon Root CA 1"),
        ]);
        let arany = name(&[
            (country, PRINTABLE_STRING, b"HU"),
            (locality, UTF8_STRING, b"Budapest"),
            (organization, UTF8_STRING, "NetLock Kft.".as_bytes()),
            (unit, UTF8_STRING, "Tanúsítványkiadók (Certification Services)".as_bytes()),
            (common_name, UTF8_STRING, "NetLock Arany (Class Gold) Főtanúsítvány".as_bytes()),
        ]);
        assert_eq!(subject_hash(&isrg_x1), Some(0x4042_bcee));
        assert_eq!(subject_hash(&amazon_1), Some(0xce5e_74ef));
        assert_eq!(subject_hash(&arany), Some(0x988a_38cb));
    }

    #[test]
    fn spelling_of_a_subject_does_not_matter_where_openssl_says_so() {
        let common_name = &[0x55, 4, 3][..];
        let plain = subject_hash(&name(&[(common_name, PRINTABLE_STRING, b"a b")]));
        for (tag, value) in [
            (UTF8_STRING, &b" A\t  B "[..]),
            (IA5_STRING, b"a\x0bb"),
            (T61_STRING, b"A B"),
            (BMP_STRING, b"\0a\0 \0b"),
        ] {
            assert_eq!(subject_hash(&name(&[(common_name, tag, value)])), plain, "{tag:#x}");
        }
        assert_ne!(subject_hash(&name(&[(common_name, PRINTABLE_STRING, b"ab")])), plain);
    }

    #[test]
    fn certificates_are_cut_out_of_their_comments() {
        let one = format!("{BEGIN}\nAAAA\n{END}");
        let text = format!("# First\n{one}\n\n# Second\n{one}{BEGIN}\nopen");
        assert_eq!(certificates(&text).collect::<Vec<_>>(), [&one, &one]);
        assert_eq!(certificates("no certificate").count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = subject_hash(&bytes);
            let _ = subject(&format!("{BEGIN}\n{}\n{END}", STANDARD.encode(&bytes)));
        }
    }
}
