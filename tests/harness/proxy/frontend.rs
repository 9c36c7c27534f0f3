//! Parses the messages of a PostgreSQL client, as far as tests ask for them
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

/// A message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The first one of a session, with its parameters: `user`, `database`, `application_name`…
    Startup(Vec<(String, String)>),
    /// Prepares a statement; an empty name is the unnamed one.
    Parse {
        /// The statement's name.
        statement: String,
        /// Its text.
        sql: String,
    },
    /// A simple query.
    Query(String),
    /// Any other, by its type byte.
    Other(u8),
}

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// Parses what a client sends on one connection, until it is no longer the plain protocol, as after the start of TLS.
#[derive(Debug, Default)]
pub(super) struct FrontendParser {
    buffer: Vec<u8>,
    phase: Phase,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Startup,
    Session,
    Unreadable,
}

impl FrontendParser {
    /// The messages completed by `chunk`.
    pub(super) fn read(&mut self, chunk: &[u8]) -> Vec<Message> {
        self.buffer.extend_from_slice(chunk);
        std::iter::from_fn(|| self.next()).collect()
    }

    fn next(&mut self) -> Option<Message> {
        loop {
            match self.phase {
                Phase::Unreadable => {
                    self.buffer.clear();
                    return None;
                }
                Phase::Startup => {
                    let body = self.take(0)?;
                    match body.first_chunk::<4>().map(|code| u32::from_be_bytes(*code)) {
                        // The server's answer decides what follows: another startup packet, or TLS.
                        Some(SSL_REQUEST | GSS_REQUEST) => {}
                        Some(CANCEL_REQUEST) | None => self.phase = Phase::Unreadable,
                        Some(_) => {
                            self.phase = Phase::Session;
                            return Some(Message::Startup(pairs(&body[4..])));
                        }
                    }
                }
                Phase::Session => {
                    let kind = *self.buffer.first()?;
                    let body = self.take(1)?;
                    let mut words = body.split(|byte| *byte == 0).map(text);
                    let mut word = || words.next().unwrap_or_default();
                    return Some(match kind {
                        b'P' => Message::Parse { statement: word(), sql: word() },
                        b'Q' => Message::Query(word()),
                        other => Message::Other(other),
                    });
                }
            }
        }
    }

    /// Takes a whole message off the buffer: `skip` bytes, a length that counts itself, and the body returned.
    fn take(&mut self, skip: usize) -> Option<Vec<u8>> {
        /// The longest startup packet that PostgreSQL takes; a TLS record read as one is far longer.
        const MAX_STARTUP: usize = 10_000;
        let length = self.buffer.get(skip..)?.first_chunk::<4>().map(|length| u32::from_be_bytes(*length))?;
        let length = usize::try_from(length).ok()?;
        if length < 4 || (self.phase == Phase::Startup && length > MAX_STARTUP) {
            self.phase = Phase::Unreadable;
            return None;
        }
        let body = self.buffer.get(skip + 4..skip + length)?.to_vec();
        self.buffer.drain(..skip + length);
        Some(body)
    }
}

fn pairs(body: &[u8]) -> Vec<(String, String)> {
    let words: Vec<String> = body.split(|byte| *byte == 0).map(text).collect();
    words
        .chunks_exact(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .filter(|pair| !pair.0.is_empty())
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    fn session() -> Vec<u8> {
        let startup = b"\0\x03\0\0user\0tessera\0application_name\0test\0\0";
        let startup_length = u32::try_from(startup.len() + 4).unwrap().to_be_bytes();
        let parts = [
            [0, 0, 0, 8].to_vec(),
            SSL_REQUEST.to_be_bytes().to_vec(),
            startup_length.to_vec(),
            startup.to_vec(),
            typed(b'P', b"s0\0SELECT $1\0\0\0"),
            typed(b'Q', b"SELECT 2\0"),
            typed(b'X', b""),
        ];
        parts.concat()
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_the_stream_is_split(cuts in prop::collection::vec(1..20_usize, 0..40)) {
            let stream = session();
            let mut rest = &stream[..];
            let mut frontend = FrontendParser::default();
            let mut messages = Vec::new();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                messages.extend(frontend.read(chunk));
                rest = after;
            }
            messages.extend(frontend.read(rest));
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            prop_assert_eq!(messages, [
                Message::Startup(vec![pair("user", "tessera"), pair("application_name", "test")]),
                Message::Parse { statement: "s0".into(), sql: "SELECT $1".into() },
                Message::Query("SELECT 2".into()),
                Message::Other(b'X'),
            ]);
        }

        #[test]
        fn no_stream_makes_the_parser_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut frontend = FrontendParser::default();
            for chunk in chunks {
                frontend.read(&chunk);
            }
        }
    }
}
