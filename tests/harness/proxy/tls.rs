//! Tells round trips from the TLS records of a connection, whose types are not encrypted.

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// An alert in TLS 1.3, which looks like application data: two bytes, the true type and a tag of 16. PostgreSQL's
/// shortest message is longer.
const ENCRYPTED_ALERT: Record = Record { kind: APPLICATION_DATA, length: 19 };
/// What opens TLS inside PostgreSQL's protocol: the client's `SSLRequest` and the server's `S`, by which it agrees.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const SSL_ACCEPTED: [u8; 1] = *b"S";

/// Tells after which bursts a client waits for an answer, and which bursts of the server are answers.
///
/// In TLS 1.3 a client goes on after its last flight of the handshake (Finished), yet the server may answer that with
/// session tickets, early or late; and it may answer the client's `close_notify` alert with its own. Counted, they
/// would make the number of round trips random.
#[derive(Debug)]
pub(super) struct RoundTripDetector {
    client: Records,
    server: Records,
    server_sent_data: bool,
    client_has_finished: bool,
}

impl Default for RoundTripDetector {
    fn default() -> Self {
        Self {
            client: Records::after(&SSL_REQUEST),
            server: Records::after(&SSL_ACCEPTED),
            server_sent_data: false,
            client_has_finished: false,
        }
    }
}

impl RoundTripDetector {
    /// Takes what the client sent, and returns whether the client waits for an answer to it.
    pub(super) fn client_sent(&mut self, chunk: &[u8]) -> bool {
        let Some(records) = self.client.read(chunk) else { return true };
        let mut waits = false;
        for Record { kind, .. } in records {
            // Encrypted parts of a handshake exist in TLS 1.3 alone, where they look like application data, and
            // the server sends the first.
            let finished = kind == APPLICATION_DATA && self.server_sent_data && !self.client_has_finished;
            self.client_has_finished |= kind == APPLICATION_DATA;
            waits |= !finished && kind != CHANGE_CIPHER_SPEC;
        }
        // The request for TLS itself is answered too.
        waits || chunk == SSL_REQUEST
    }

    /// Takes what the server sent, and returns whether it is an answer.
    pub(super) fn server_sent(&mut self, chunk: &[u8]) -> bool {
        let Some(records) = self.server.read(chunk) else { return true };
        self.server_sent_data |= records.iter().any(|record| record.kind == APPLICATION_DATA);
        let is_alert = |record: &Record| record.kind == ALERT || *record == ENCRYPTED_ALERT;
        records.is_empty() || !records.iter().all(is_alert)
    }
}

/// A record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    kind: u8,
    length: u16,
}

/// Finds the records in one direction of a stream.
#[derive(Debug)]
struct Records {
    /// What may precede the first record.
    preamble: &'static [u8],
    state: State,
}

#[derive(Debug)]
enum State {
    /// At the very start: how much of the preamble has been seen.
    Preamble(usize),
    /// In a header, of which this much has been seen.
    Header(Vec<u8>),
    /// In a body, of which this much is to come.
    Body(usize),
    NotTls,
}

impl Records {
    fn after(preamble: &'static [u8]) -> Self {
        Self { preamble, state: State::Preamble(0) }
    }

    /// The records whose headers `chunk` completes, or `None` if this is not TLS.
    fn read(&mut self, chunk: &[u8]) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match &mut self.state {
                State::Preamble(seen) if self.preamble.get(*seen) == Some(&byte) => *seen += 1,
                State::Preamble(seen)
                    if byte == HANDSHAKE && (*seen == 0 || *seen == self.preamble.len()) =>
                {
                    self.state = State::Header(vec![byte]);
                }
                State::Preamble(_) | State::NotTls => {
                    self.state = State::NotTls;
                    return None;
                }
                State::Header(header) => {
                    header.push(byte);
                    if let [kind, _, _, high, low] = header[..] {
                        let length = u16::from_be_bytes([high, low]);
                        records.push(Record { kind, length });
                        self.state = State::Body(length.into());
                    }
                }
                State::Body(left @ 1..) => {
                    let skipped = (*left - 1).min(rest.len());
                    *left -= 1 + skipped;
                    rest = &rest[skipped..];
                }
                State::Body(0) => self.state = State::Header(vec![byte]),
            }
        }
        Some(records)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let body = vec![0; usize::from(length)];
        [&[kind, 3, 3], &length.to_be_bytes()[..], &body].concat()
    }

    #[test]
    fn in_tls_1_3_the_end_of_the_handshake_waits_for_nothing() {
        let mut detector = RoundTripDetector::default();
        assert!(detector.client_sent(&SSL_REQUEST));
        assert!(detector.server_sent(&SSL_ACCEPTED));
        assert!(detector.client_sent(&record(HANDSHAKE, 300)));
        assert!(detector.server_sent(&[record(HANDSHAKE, 90), record(APPLICATION_DATA, 600)].concat()));
        assert!(
            !detector.client_sent(&[record(CHANGE_CIPHER_SPEC, 1), record(APPLICATION_DATA, 69)].concat())
        );
        assert!(detector.client_sent(&record(APPLICATION_DATA, 80)), "start-up");
        assert!(detector.server_sent(&record(APPLICATION_DATA, 22)));
        assert!(!detector.server_sent(&record(APPLICATION_DATA, 19)), "an alert");
    }

    #[test]
    fn in_tls_1_2_the_end_of_the_handshake_waits_for_an_answer() {
        let mut detector = RoundTripDetector::default();
        assert!(detector.client_sent(&record(HANDSHAKE, 300)), "TLS from the first byte");
        assert!(detector.server_sent(&record(HANDSHAKE, 2000)));
        let flight = [record(HANDSHAKE, 40), record(CHANGE_CIPHER_SPEC, 1), record(HANDSHAKE, 40)].concat();
        assert!(detector.client_sent(&flight));
        assert!(detector.server_sent(&[record(CHANGE_CIPHER_SPEC, 1), record(HANDSHAKE, 40)].concat()));
        assert!(detector.client_sent(&record(APPLICATION_DATA, 80)), "start-up");
        assert!(!detector.server_sent(&record(ALERT, 26)));
    }

    #[test]
    fn without_tls_everything_waits_and_everything_answers() {
        let mut detector = RoundTripDetector::default();
        for chunk in [&b"\0\0\0\x2a\0\x03\0\0user\0"[..], b"Q\0\0\0\x0dSELECT 1\0"] {
            assert!(detector.client_sent(chunk));
        }
        assert!(detector.server_sent(b"R\0\0\0\x08\0\0\0\0"));
    }

    proptest! {
        #[test]
        fn records_are_the_same_however_the_stream_is_split(
            lengths in prop::collection::vec(0..400_u16, 1..10),
            cuts in prop::collection::vec(1..300_usize, 0..20),
        ) {
            let mut stream = SSL_REQUEST.to_vec();
            stream.extend(lengths.iter().flat_map(|length| record(HANDSHAKE, *length)));
            let mut records = Records::after(&SSL_REQUEST);
            let (mut rest, mut seen) = (&stream[..], Vec::new());
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                seen.extend(records.read(chunk).expect("it is TLS"));
                rest = after;
            }
            seen.extend(records.read(rest).expect("it is TLS"));
            prop_assert_eq!(seen.iter().map(|record| record.length).collect::<Vec<_>>(), lengths);
        }

        #[test]
        fn no_stream_makes_the_detector_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut detector = RoundTripDetector::default();
            for chunk in chunks {
                detector.client_sent(&chunk);
                detector.server_sent(&chunk);
            }
        }
    }
}
