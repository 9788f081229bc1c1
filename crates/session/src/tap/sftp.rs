//! SFTP version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions (its file PROTOCOL, section 4): requests,
//! their answers, and what both did.

mod request;

use super::aside::Aside;
use super::cursor::{Cursor, MALFORMED, Wrong};
use super::flight::{Asked, Block, Flight};
use super::framer::{DATA, Framer, WRITE};
use super::tally::Tally;
use super::{Broken, Out, Side, Tapped};
use model::limit::{
    SFTP_HANDLE_BYTES, TRANSFER_LOOKUPS, TRANSFER_OPEN, TRANSFER_PATH_BYTES, TRANSFER_TEXT_BYTES,
};
use model::transfer::{Access, Attributes, FileMoved, Lookups, Outcome, Transfer, text_of};
use request::{Handles, Lookup, Request};
use std::collections::BTreeMap;

/// Statuses (§7).
const OK: u32 = 0;
const EOF: u32 = 1;
/// Bytes of the text of an answer that it went well, and of the name of any text's language, which are not told.
const GOOD_BYTES: usize = 1024;

/// Both directions of one sftp session, behind the greetings.
#[derive(Debug, Default)]
pub(super) struct Sftp {
    client: Framer,
    server: Framer,
    flight: Flight<Request>,
    handles: Handles,
    open: BTreeMap<u32, Open>,
    /// What the contents of the packets under way belong to.
    written: Option<u32>,
    read: Option<u32>,
    /// Files and folders opened so far; each has its number.
    slots: u32,
    files: u32,
    lookups: Lookups,
    /// Bytes of texts that are kept.
    text: usize,
}

/// Something that has a handle.
#[derive(Debug)]
enum Open {
    File(Box<File>),
    Folder { path: String, names: u64, outcome: Outcome },
}

#[derive(Debug)]
struct File {
    number: u32,
    path: String,
    access: Vec<Access>,
    mode: Option<u32>,
    size: Option<u64>,
    read: Tally,
    written: Tally,
    outcome: Outcome,
    /// Whether the client has asked for its end.
    closing: bool,
}

/// An answer of the server.
enum Answer {
    Status {
        code: u32,
        text: String,
    },
    Handle(Vec<u8>),
    /// Contents follow.
    Data(u32),
    /// How many.
    Names(u64),
    Attributes(Attributes),
    /// The rest of it.
    Extended(Vec<u8>),
}

impl Sftp {
    /// Takes more of one stream. Every packet that is as it should be goes to `aside`, but for contents of files.
    pub fn take(
        &mut self,
        side: Side,
        bytes: &[u8],
        out: &mut Out,
        aside: &mut Aside,
    ) -> Result<(), Broken> {
        let mut rest = bytes;
        let taken = self.packets(side, &mut rest, out, aside);
        taken.map_err(|why| Broken { why, used: bytes.len() - rest.len() })
    }

    /// What of a stream was taken and not told.
    pub fn held(&mut self, side: Side) -> Vec<u8> {
        std::mem::take(&mut self.framer(side).head)
    }

    /// Tells what was begun and did not end.
    pub fn close(&mut self, out: &mut Out) {
        let asked: Vec<_> = self.flight.drain().collect();
        for asked in asked {
            if let Asked::Other(request) = asked {
                self.unanswered(request, out);
            }
        }
        for open in std::mem::take(&mut self.open).into_values() {
            closed(open, Outcome::Unanswered, out);
        }
        self.tell_lookups(1, out);
    }

    fn framer(&mut self, side: Side) -> &mut Framer {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn packets(
        &mut self,
        side: Side,
        rest: &mut &[u8],
        out: &mut Out,
        aside: &mut Aside,
    ) -> Result<(), Wrong> {
        loop {
            let left = self.framer(side).left;
            if left > 0 {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let (piece, behind) = rest.split_at(most);
                self.contents(side, piece)?;
                self.framer(side).left = left - piece.len() as u64;
                *rest = behind;
                if rest.is_empty() {
                    return Ok(());
                }
            }
            if !self.framer(side).fill(rest)? {
                return Ok(());
            }
            let mut head = std::mem::take(&mut self.framer(side).head);
            let done = match side {
                Side::Client => self.request(&head),
                Side::Server => self.answer(&head, out),
            };
            let left = match done {
                Ok(left) => {
                    aside.add(side, &head);
                    head.clear();
                    left
                }
                Err(why) => {
                    self.framer(side).head = head;
                    return Err(why);
                }
            };
            let framer = self.framer(side);
            (framer.head, framer.left) = (head, left);
        }
    }

    fn contents(&mut self, side: Side, piece: &[u8]) -> Result<(), Wrong> {
        let slot = if side == Side::Client { self.written } else { self.read };
        let Some(Open::File(file)) = slot.and_then(|slot| self.open.get_mut(&slot)) else {
            return Err("contents of a file that is not open");
        };
        let tally = if side == Side::Client { &mut file.written } else { &mut file.read };
        tally.add(piece);
        Ok(())
    }

    fn file(&mut self, slot: u32) -> Result<&mut File, Wrong> {
        match self.open.get_mut(&slot) {
            Some(Open::File(file)) => Ok(file),
            _ => Err("a request for a file that is not open"),
        }
    }

    /// Takes a packet of the client. Returns how many bytes of contents follow.
    fn request(&mut self, head: &[u8]) -> Result<u64, Wrong> {
        let (length, kind, id, mut rest) = front(head)?;
        if kind == WRITE {
            let slot = self.handles.find(rest.string()?)?;
            let (from, bytes) = (rest.long()?, rest.number()?);
            // Length is that of everything behind itself.
            if u64::from(length) != (head.len() as u64 - 4).saturating_add(bytes.into()) {
                return Err(MALFORMED);
            }
            if self.file(slot)?.closing {
                return Err("contents of a file that is being closed");
            }
            self.flight.send(id, Asked::Block(Block { slot, write: true, from, bytes }))?;
            self.file(slot)?.written.begin(from);
            self.written = Some(slot);
            return Ok(bytes.into());
        }
        let asked = request::read(kind, &mut rest, &self.handles, &|slot| self.path_of(slot))?;
        rest.end()?;
        match &asked {
            Asked::Block(block) => drop(self.file(block.slot)?),
            Asked::Other(Request::Close { slot }) => {
                if let Some(Open::File(file)) = self.open.get_mut(slot) {
                    file.closing = true;
                }
            }
            Asked::Other(request) => self.keep_text(request.text())?,
        }
        self.flight.send(id, asked)?;
        Ok(0)
    }

    fn path_of(&self, slot: u32) -> String {
        match self.open.get(&slot) {
            Some(Open::File(file)) => file.path.clone(),
            Some(Open::Folder { path, .. }) => path.clone(),
            None => String::new(),
        }
    }

    fn keep_text(&mut self, bytes: usize) -> Result<(), Wrong> {
        let text = self.text.saturating_add(bytes);
        if text > TRANSFER_TEXT_BYTES {
            return Err("too many paths at once");
        }
        self.text = text;
        Ok(())
    }

    /// Takes a packet of the server. Returns how many bytes of contents follow.
    fn answer(&mut self, head: &[u8], out: &mut Out) -> Result<u64, Wrong> {
        let (length, kind, id, mut rest) = front(head)?;
        let answer = read_answer(kind, &mut rest)?;
        if let Answer::Data(bytes) = answer
            && u64::from(length) != u64::from(bytes).saturating_add(9)
        {
            return Err(MALFORMED);
        }
        rest.end()?;
        match self.flight.answer(id)? {
            Asked::Block(block) => self.block_answered(block, answer),
            Asked::Other(request) => {
                self.text = self.text.saturating_sub(request.text());
                self.answered(request, answer, out)?;
                self.tell_lookups(TRANSFER_LOOKUPS, out);
                Ok(0)
            }
        }
    }

    fn block_answered(&mut self, block: Block, answer: Answer) -> Result<u64, Wrong> {
        let file = self.file(block.slot)?;
        match answer {
            Answer::Data(bytes) if !block.write && bytes <= block.bytes => {
                file.read.begin(block.from);
                self.read = Some(block.slot);
                Ok(bytes.into())
            }
            Answer::Status { code: EOF, .. } if !block.write => {
                if file.read.is_whole_to(block.from) {
                    file.size = Some(block.from);
                }
                Ok(0)
            }
            Answer::Status { code: OK, .. } if block.write => Ok(0),
            Answer::Status { code, text } if code != OK => {
                if file.outcome == Outcome::Ok {
                    file.outcome = Outcome::Failed { code, text };
                }
                Ok(0)
            }
            _ => Err(UNFIT),
        }
    }

    fn answered(&mut self, request: Request, answer: Answer, out: &mut Out) -> Result<(), Wrong> {
        match (request, answer) {
            (Request::Open { path, access, mode }, Answer::Handle(handle)) => {
                self.opened(path, access, mode, &handle, out)
            }
            (Request::OpenFolder { path }, Answer::Handle(handle)) => {
                let (names, outcome) = (0, Outcome::Ok);
                self.keep_text(path.len())?;
                self.add(&handle, Open::Folder { path, names, outcome })
            }
            (Request::Open { path, access, .. }, Answer::Status { code, text }) if code != OK => {
                let outcome = Outcome::Failed { code, text };
                did(out, Transfer::NotOpened { path, access, outcome });
                Ok(())
            }
            (Request::OpenFolder { path }, Answer::Status { code, text }) if code != OK => {
                let (access, outcome) = (Vec::new(), Outcome::Failed { code, text });
                did(out, Transfer::NotOpened { path, access, outcome });
                Ok(())
            }
            (Request::Close { slot }, Answer::Status { code, text }) => {
                self.handles.remove(slot);
                let open = self.open.remove(&slot).ok_or(UNFIT)?;
                self.text = self.text.saturating_sub(open.path().len());
                closed(open, outcome(code, text), out);
                Ok(())
            }
            (Request::ReadFolder { slot }, answer) => self.names(slot, answer),
            (Request::Lookup(lookup), answer) => self.looked_up(&lookup, answer),
            (Request::Change(change), Answer::Status { code, text }) => {
                did(out, Transfer::Changed { change, outcome: outcome(code, text) });
                Ok(())
            }
            _ => Err(UNFIT),
        }
    }

    fn opened(
        &mut self,
        path: String,
        access: Vec<Access>,
        mode: Option<u32>,
        handle: &[u8],
        out: &mut Out,
    ) -> Result<(), Wrong> {
        self.keep_text(path.len())?;
        let number = self.files.saturating_add(1);
        let file = File {
            number,
            path: path.clone(),
            access: access.clone(),
            mode,
            size: None,
            read: Tally::default(),
            written: Tally::default(),
            outcome: Outcome::Ok,
            closing: false,
        };
        self.add(handle, Open::File(Box::new(file)))?;
        self.files = number;
        did(out, Transfer::Opened { file: number, path, access, mode });
        Ok(())
    }

    fn add(&mut self, handle: &[u8], open: Open) -> Result<(), Wrong> {
        if self.open.len() >= TRANSFER_OPEN {
            return Err("too many open files");
        }
        self.slots = self.slots.checked_add(1).ok_or("too many files")?;
        self.handles.add(handle, self.slots)?;
        self.open.insert(self.slots, open);
        Ok(())
    }

    fn names(&mut self, slot: u32, answer: Answer) -> Result<(), Wrong> {
        let Some(Open::Folder { names, outcome, .. }) = self.open.get_mut(&slot) else {
            return Err("a request for a folder that is not open");
        };
        match answer {
            Answer::Names(count) => *names = names.saturating_add(count),
            Answer::Status { code: EOF, .. } => {}
            Answer::Status { code, text } if code != OK => {
                if *outcome == Outcome::Ok {
                    *outcome = Outcome::Failed { code, text };
                }
            }
            _ => return Err(UNFIT),
        }
        Ok(())
    }

    fn looked_up(&mut self, lookup: &Lookup, answer: Answer) -> Result<(), Wrong> {
        let mut failed = false;
        match (lookup, answer) {
            (Lookup::Sync, Answer::Status { code, .. }) => failed = code != OK,
            (_, Answer::Status { code, .. }) if code != OK => failed = true,
            (Lookup::Stat { slot }, Answer::Attributes(attributes)) => {
                if let Some(Open::File(file)) = slot.and_then(|slot| self.open.get_mut(&slot)) {
                    file.size = attributes.size.or(file.size);
                }
            }
            (Lookup::Names, Answer::Names(1)) => {}
            // What the answers of these extensions look like (PROTOCOL §4.5, §4.8, §4.12).
            (Lookup::Space, Answer::Extended(body)) if body.len() == 88 => {}
            (Lookup::Limits, Answer::Extended(body)) if body.len() == 32 => {}
            (Lookup::Users, Answer::Extended(body)) => {
                let mut body = Cursor(&body);
                body.string()?;
                body.string()?;
                body.end()?;
            }
            _ => return Err(UNFIT),
        }
        self.count(lookup, failed);
        Ok(())
    }

    fn count(&mut self, lookup: &Lookup, failed: bool) {
        let count = match lookup {
            Lookup::Stat { .. } => &mut self.lookups.stat,
            Lookup::Names => &mut self.lookups.names,
            Lookup::Space | Lookup::Limits | Lookup::Users | Lookup::Sync => {
                &mut self.lookups.other
            }
        };
        *count = count.saturating_add(1);
        self.lookups.failed = self.lookups.failed.saturating_add(failed.into());
    }

    fn tell_lookups(&mut self, at: u64, out: &mut Out) {
        if self.lookups.total() >= at {
            did(out, Transfer::Lookups(std::mem::take(&mut self.lookups)));
        }
    }

    fn unanswered(&mut self, request: Request, out: &mut Out) {
        let outcome = Outcome::Unanswered;
        match request {
            Request::Open { path, access, .. } => {
                did(out, Transfer::NotOpened { path, access, outcome });
            }
            Request::OpenFolder { path } => {
                did(out, Transfer::NotOpened { path, access: Vec::new(), outcome });
            }
            Request::Change(change) => did(out, Transfer::Changed { change, outcome }),
            Request::Lookup(lookup) => self.count(&lookup, true),
            // What was open is told as unfinished.
            Request::Close { .. } | Request::ReadFolder { .. } => {}
        }
    }
}

impl Open {
    fn path(&self) -> &str {
        match self {
            Self::File(file) => &file.path,
            Self::Folder { path, .. } => path,
        }
    }
}

/// What is said of an answer that is none to what was asked.
const UNFIT: &str = "an answer that does not fit its request";

fn closed(open: Open, last: Outcome, out: &mut Out) {
    let first = |so_far: Outcome| if so_far == Outcome::Ok { last.clone() } else { so_far };
    match open {
        Open::Folder { path, names, outcome } => {
            did(out, Transfer::Listed { path, names, outcome: first(outcome) });
        }
        Open::File(file) => {
            let (mut read, mut written) = (file.read.moved(), file.written.moved());
            if read.is_none() && written.is_none() {
                // Nothing is something to say of a file that was opened to be moved.
                match file.access.contains(&Access::Write) {
                    true => written = Some(file.written.moved_or_nothing()),
                    false => read = Some(file.read.moved_or_nothing()),
                }
            }
            let moved = FileMoved {
                file: file.number,
                path: file.path,
                access: file.access,
                size: file.size,
                mode: file.mode,
                times: None,
                read,
                written,
                outcome: first(file.outcome),
            };
            did(out, Transfer::Closed(Box::new(moved)));
        }
    }
}

fn outcome(code: u32, text: String) -> Outcome {
    if code == OK { Outcome::Ok } else { Outcome::Failed { code, text } }
}

/// Length, type and number of a packet, and what stands behind them.
fn front(head: &[u8]) -> Result<(u32, u8, u32, Cursor<'_>), Wrong> {
    let mut cursor = Cursor(head);
    let length = cursor.number()?;
    let (kind, rest) = cursor.0.split_first().ok_or(MALFORMED)?;
    let mut cursor = Cursor(rest);
    let id = cursor.number()?;
    Ok((length, *kind, id, cursor))
}

fn read_answer(kind: u8, rest: &mut Cursor<'_>) -> Result<Answer, Wrong> {
    Ok(match kind {
        // Old servers send the number alone.
        101 => {
            let code = rest.number()?;
            let mut text = String::new();
            if rest.end().is_err() {
                let most = if code > EOF { TRANSFER_PATH_BYTES } else { GOOD_BYTES };
                text = text_of(rest.short(most)?);
                rest.short(GOOD_BYTES)?;
            }
            Answer::Status { code, text }
        }
        102 => {
            let handle = rest.string()?;
            if handle.len() > SFTP_HANDLE_BYTES {
                return Err("a handle that is too long");
            }
            Answer::Handle(handle.to_vec())
        }
        DATA => Answer::Data(rest.number()?),
        104 => {
            let count = rest.number()?;
            for _ in 0..count {
                rest.short(TRANSFER_PATH_BYTES)?;
                rest.short(TRANSFER_PATH_BYTES)?;
                rest.attributes()?;
            }
            Answer::Names(count.into())
        }
        105 => Answer::Attributes(rest.attributes()?),
        201 => {
            let body = std::mem::take(&mut rest.0);
            Answer::Extended(body.to_vec())
        }
        _ => return Err("an answer that sftp does not know"),
    })
}

fn did(out: &mut Out, transfer: Transfer) {
    out.push_back(Tapped::Did(transfer));
}
