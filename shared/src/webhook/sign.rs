//! Signs forwarded events as in [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks).

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::source::Source;

/// Makes the value of `webhook-signature` for a message: one signature for each of the source's signing secrets.
///
/// These are its `forwardSecret`, or else its own HMAC secrets. The key of a secret of another scheme than Standard
/// Webhooks is its text, as it is for its sender. A receiver whose library expects base64 is given `whsec_` and the
/// base64 of that text.
#[must_use]
pub fn signatures(source: &Source, id: &str, at: Timestamp, body: &[u8]) -> String {
    let head = format!("{id}.{}.", at.as_second());
    let sign = |key: &[u8]| {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        let mac = mac.chain_update(head.as_bytes()).chain_update(body).finalize();
        format!("v1,{}", BASE64_STANDARD.encode(mac.into_bytes()))
    };
    source.signing_keys().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::signature::verify;
    use crate::webhook::source::Sources;
    use http::HeaderMap;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn source(fields: &str) -> Sources {
        Sources::parse(&format!(r#"{{"s":{{{fields},"forwardUrl":"https://a.example"}}}}"#)).unwrap()
    }

    fn signed(fields: &str) -> String {
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let sources = source(fields);
        signatures(sources.get("s").unwrap(), "msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#)
    }

    #[test]
    fn the_published_test_vector_is_signed_as_published() {
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed(&format!(r#""scheme":"standard","secrets":["{KEY}"]"#)), expected);
        let own = format!(r#""scheme":"github","secrets":["another secret"],"forwardSecret":"{KEY}""#);
        assert_eq!(signed(&own), expected, "the forward secret comes before the source's own");
    }

    #[test]
    fn every_active_secret_signs_and_verify_accepts_each() {
        let old = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let both = signed(&format!(r#""scheme":"standard","secrets":["{KEY}","{old}"]"#));
        assert_eq!(both.split(' ').count(), 2);
        let receiver = source(&format!(r#""scheme":"standard","secrets":["{old}"]"#));
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
        headers.insert("webhook-timestamp", "1614265330".parse().unwrap());
        headers.insert("webhook-signature", both.parse().unwrap());
        let now = Timestamp::from_second(1_614_265_331).unwrap();
        verify(receiver.get("s").unwrap(), &headers, br#"{"test": 2432232314}"#, now).unwrap();
    }

    #[test]
    fn forwarding_without_a_secret_to_sign_with_is_refused() {
        let public = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
        let json = |more: &str| {
            format!(
                r#"{{"s":{{"scheme":"standard","secrets":["{public}"],"forwardUrl":"https://a.example"{more}}}}}"#
            )
        };
        let error = Sources::parse(&json("")).unwrap_err().to_string();
        assert!(error.contains("field `forwardSecret`: is needed"), "{error}");
        Sources::parse(&json(&format!(r#","forwardSecret":"{KEY}""#))).unwrap();
        for wrong in ["whsec_c2hvcnQ=", public] {
            let error =
                Sources::parse(&json(&format!(r#","forwardSecret":"{wrong}""#))).unwrap_err().to_string();
            assert!(error.contains("secret to sign with") && !error.contains(wrong), "{error}");
        }
    }
}
