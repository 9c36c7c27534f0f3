//! TLS records, as far as counting round trips needs them: their types stand in the open.

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// An alert in TLS 1.3, which looks like application data: two bytes, the true type and a tag of 16. PostgreSQL's
/// shortest message is longer.
const HIDDEN_ALERT: Record = Record { kind: APPLICATION_DATA, length: 19 };
/// What opens TLS inside PostgreSQL's protocol: the client's `SSLRequest` and the server's consent.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const CONSENT: [u8; 1] = *b"S";

/// Tells which of a client's bursts wait for an answer, and what of the server's is one.
///
/// In TLS 1.3 a client goes on after its last flight of the handshake (Finished), yet the server may answer that
/// with session tickets, early or late; and it may answer the client's farewell with its own. Counted, they would
/// make the number of round trips random.
#[derive(Debug)]
pub(super) struct Waiting {
    client: Records,
    server: Records,
    server_sent_data: bool,
    client_has_finished: bool,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            client: Records::after(&SSL_REQUEST),
            server: Records::after(&CONSENT),
            server_sent_data: false,
            client_has_finished: false,
        }
    }
}

impl Waiting {
    /// Whether the client now waits for the server on account of `chunk`.
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

    /// Whether `chunk` answers a client that waits.
    pub(super) fn server_sent(&mut self, chunk: &[u8]) -> bool {
        let Some(records) = self.server.read(chunk) else { return true };
        self.server_sent_data |= records.iter().any(|record| record.kind == APPLICATION_DATA);
        let farewell = |record: &Record| record.kind == ALERT || *record == HIDDEN_ALERT;
        records.is_empty() || !records.iter().all(farewell)
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
    prelude: &'static [u8],
    state: State,
}

#[derive(Debug)]
enum State {
    /// At the very start: how much of the prelude has been seen.
    Prelude(usize),
    /// In a header, of which this much has been seen.
    Header(Vec<u8>),
    /// In a body, of which this much is to come.
    Body(usize),
    NotTls,
}

impl Records {
    fn after(prelude: &'static [u8]) -> Self {
        Self { prelude, state: State::Prelude(0) }
    }

    /// The records whose headers `chunk` completes, or `None` if this is not TLS.
    fn read(&mut self, chunk: &[u8]) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        let mut rest = chunk;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match &mut self.state {
                State::Prelude(seen) if self.prelude.get(*seen) == Some(&byte) => *seen += 1,
                State::Prelude(seen) if byte == HANDSHAKE && (*seen == 0 || *seen == self.prelude.len()) => {
                    self.state = State::Header(vec![byte]);
                }
                State::Prelude(_) | State::NotTls => {
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
        let mut waiting = Waiting::default();
        assert!(waiting.client_sent(&SSL_REQUEST));
        assert!(waiting.server_sent(&CONSENT));
        assert!(waiting.client_sent(&record(HANDSHAKE, 300)));
        assert!(waiting.server_sent(&[record(HANDSHAKE, 90), record(APPLICATION_DATA, 600)].concat()));
        assert!(
            !waiting.client_sent(&[record(CHANGE_CIPHER_SPEC, 1), record(APPLICATION_DATA, 69)].concat())
        );
        assert!(waiting.client_sent(&record(APPLICATION_DATA, 80)), "start-up");
        assert!(waiting.server_sent(&record(APPLICATION_DATA, 22)));
        assert!(!waiting.server_sent(&record(APPLICATION_DATA, 19)), "an alert");
    }

    #[test]
    fn in_tls_1_2_it_does() {
        let mut waiting = Waiting::default();
        assert!(waiting.client_sent(&record(HANDSHAKE, 300)), "TLS from the first byte");
        assert!(waiting.server_sent(&record(HANDSHAKE, 2000)));
        let flight = [record(HANDSHAKE, 40), record(CHANGE_CIPHER_SPEC, 1), record(HANDSHAKE, 40)].concat();
        assert!(waiting.client_sent(&flight));
        assert!(waiting.server_sent(&[record(CHANGE_CIPHER_SPEC, 1), record(HANDSHAKE, 40)].concat()));
        assert!(waiting.client_sent(&record(APPLICATION_DATA, 80)), "start-up");
        assert!(!waiting.server_sent(&record(ALERT, 26)));
    }

    #[test]
    fn without_tls_everything_waits_and_everything_answers() {
        let mut waiting = Waiting::default();
        for chunk in [&b"\0\0\0\x2a\0\x03\0\0user\0"[..], b"Q\0\0\0\x0dSELECT 1\0"] {
            assert!(waiting.client_sent(chunk));
        }
        assert!(waiting.server_sent(b"R\0\0\0\x08\0\0\0\0"));
    }

    proptest! {
        #[test]
        fn records_are_the_same_however_the_stream_is_cut(
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
        fn no_stream_makes_it_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut waiting = Waiting::default();
            for chunk in chunks {
                waiting.client_sent(&chunk);
                waiting.server_sent(&chunk);
            }
        }
    }
}
