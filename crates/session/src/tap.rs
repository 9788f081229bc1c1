//! Files moved through a session, read in passing: which protocol two streams speak, and what they did with it.
//!
//! Nothing is classified by its name. Two streams are sftp or scp from their first bytes on, or they are not; and once
//! they are, anything that does not parse ends it, and every byte from there on is recorded as it is.
//! The tap only looks: it changes no byte and makes nobody wait.

mod aside;
mod cursor;
mod flight;
mod framer;
mod guess;
mod scp;
mod sftp;
mod tally;

use aside::Aside;
use bytes::Bytes;
use guess::{Guess, Verdict};
use model::transfer::Protocol;
use model::{Stream, Transfer};
use scp::Scp;
use sftp::Sftp;
use std::collections::VecDeque;

/// Something for the recording, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tapped {
    /// Something that the transfer did.
    Did(Transfer),
    /// Bytes that were held back until it was clear what they are, and that are recorded as they are.
    Raw {
        /// Of which stream: [`Stream::Stdin`] from the client, [`Stream::Stdout`] from the server.
        stream: Stream,
        /// The bytes.
        bytes: Bytes,
    },
}

/// Bytes of a transfer that stand in no entry: counted and hashed, for the recording, in place of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elided {
    /// Of which stream, as in [`Tapped::Raw`].
    pub stream: Stream,
    /// How many; at most [`model::limit::ELIDED_BYTES`].
    pub bytes: u64,
    /// BLAKE3 of them.
    pub hash: [u8; 32],
}

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Side {
    fn stream(self) -> Stream {
        match self {
            Self::Client => Stream::Stdin,
            Self::Server => Stream::Stdout,
        }
    }
}

/// Bytes that the protocol does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Broken {
    /// What is wrong, for a person.
    why: &'static str,
    /// How many of the bytes that were handed over still belong to what was parsed, or are held.
    used: usize,
}

/// What is read, and what it came to.
type Out = VecDeque<Tapped>;

/// Reads both streams of one session.
///
/// For each piece of a stream, call [`Tap::from_client`] or [`Tap::from_server`], then [`Tap::elided`] and [`Tap::poll`]
/// until they are empty; then record the rest of the piece, from the returned place on, as it is.
#[derive(Debug)]
pub struct Tap {
    phase: Phase,
    out: Out,
    aside: Aside,
}

#[derive(Debug)]
enum Phase {
    Guessing(Guess),
    Sftp(Box<Sftp>),
    Scp(Box<Scp>),
    /// Neither, or not any more.
    Raw,
}

impl Default for Tap {
    fn default() -> Self {
        Self::new()
    }
}

impl Tap {
    /// A tap at the beginning of both streams.
    #[must_use]
    pub fn new() -> Self {
        Self { phase: Phase::Guessing(Guess::default()), out: Out::new(), aside: Aside::default() }
    }

    /// Takes what the client sent next. Returns how many of the bytes were taken; the rest is no transfer.
    #[must_use]
    pub fn from_client(&mut self, bytes: &[u8]) -> usize {
        self.take(Side::Client, bytes)
    }

    /// As [`Tap::from_client`], for what the server sent next.
    #[must_use]
    pub fn from_server(&mut self, bytes: &[u8]) -> usize {
        self.take(Side::Server, bytes)
    }

    /// What came of it, in order.
    pub fn poll(&mut self) -> Option<Tapped> {
        self.out.pop_front()
    }

    /// What stands in no entry of sftp: of each stream every byte from the greeting on that is no file's contents, a stretch
    /// at a time; the last when the transfer is over.
    pub fn elided(&mut self) -> Option<Elided> {
        self.aside.poll()
    }

    /// Both streams have ended. What was begun is told as unfinished, what was held back as it is.
    pub fn finish(&mut self) {
        match &mut self.phase {
            Phase::Guessing(_) => self.give_up(),
            Phase::Raw => {}
            Phase::Sftp(_) | Phase::Scp(_) => {
                let (client, server) = (self.held(Side::Client), self.held(Side::Server));
                let why = "the session ended in the middle of a message";
                match (client.is_empty(), server.is_empty()) {
                    (true, true) => self.close(),
                    (false, _) => self.stop(Side::Client, why),
                    (true, false) => self.stop(Side::Server, why),
                }
                self.raw(Side::Client, client);
                self.raw(Side::Server, server);
                self.phase = Phase::Raw;
            }
        }
    }

    fn take(&mut self, side: Side, bytes: &[u8]) -> usize {
        let taken = match &mut self.phase {
            Phase::Raw => return 0,
            Phase::Guessing(guess) => match guess.take(side, bytes) {
                (Verdict::NotYet, taken) => return taken,
                (Verdict::Neither, _) => {
                    self.give_up();
                    return 0;
                }
                (verdict, taken) => {
                    self.begin(verdict);
                    return taken + self.take(side, bytes.get(taken..).unwrap_or_default());
                }
            },
            Phase::Sftp(sftp) => sftp.take(side, bytes, &mut self.out, &mut self.aside),
            Phase::Scp(scp) => scp.take(side, bytes, &mut self.out),
        };
        let Err(Broken { why, used }) = taken else { return bytes.len() };
        let (client, server) = (self.held(Side::Client), self.held(Side::Server));
        self.stop(side, why);
        self.raw(Side::Client, client);
        self.raw(Side::Server, server);
        self.phase = Phase::Raw;
        used
    }

    /// It is a transfer; what was held back is its beginning.
    fn begin(&mut self, verdict: Verdict) {
        let Phase::Guessing(guess) = std::mem::replace(&mut self.phase, Phase::Raw) else { return };
        let (mut client, mut server) = guess.into_held();
        let (phase, protocol) = match verdict {
            Verdict::Sftp { client: init, server: version } => {
                self.aside.add(Side::Client, client.drain(..init.min(client.len())).as_slice());
                self.aside.add(Side::Server, server.drain(..version.min(server.len())).as_slice());
                (Phase::Sftp(Box::default()), Protocol::Sftp)
            }
            Verdict::Scp(protocol) => (Phase::Scp(Box::new(Scp::new(protocol))), protocol),
            Verdict::NotYet | Verdict::Neither => return,
        };
        self.phase = phase;
        self.out.push_back(Tapped::Did(Transfer::Began { protocol }));
        // In the order of cause and effect: a server that is ready, what the client sent, what was answered.
        let ready = if protocol == Protocol::ScpUpload { 1 } else { 0 };
        let answers = server.split_off(ready.min(server.len()));
        for (side, held) in
            [(Side::Server, server), (Side::Client, client), (Side::Server, answers)]
        {
            let used = self.take(side, &held);
            self.raw(side, held.get(used..).unwrap_or_default().to_vec());
        }
    }

    /// It is no transfer; what was held back is recorded as it is.
    fn give_up(&mut self) {
        if let Phase::Guessing(guess) = std::mem::replace(&mut self.phase, Phase::Raw) {
            let (client, server) = guess.into_held();
            self.raw(Side::Client, client);
            self.raw(Side::Server, server);
        }
    }

    fn held(&mut self, side: Side) -> Vec<u8> {
        match &mut self.phase {
            Phase::Sftp(sftp) => sftp.held(side),
            Phase::Scp(scp) => scp.held(side),
            Phase::Guessing(_) | Phase::Raw => Vec::new(),
        }
    }

    fn stop(&mut self, side: Side, why: &str) {
        self.close();
        let why = why.to_owned();
        self.out.push_back(Tapped::Did(Transfer::Unparsed { stream: side.stream(), why }));
    }

    fn close(&mut self) {
        match &mut self.phase {
            Phase::Sftp(sftp) => sftp.close(&mut self.out),
            Phase::Scp(scp) => scp.close(&mut self.out),
            Phase::Guessing(_) | Phase::Raw => {}
        }
        self.aside.close();
    }

    fn raw(&mut self, side: Side, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.out.push_back(Tapped::Raw { stream: side.stream(), bytes: bytes.into() });
        }
    }
}
