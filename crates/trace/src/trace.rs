//! One session's records, one behind the other, and what they come to.

use crate::address;
use crate::calls::{self, Arch, Call};
use crate::fold::Fold;
use crate::layout::{self, HEAD, Head, Pieces, Whole, kind, mark};
use crate::mounts::{placed, root};
use crate::sieve::{self, Sieve};
use crate::special::{meaning, namespaces};
use crate::text::{arguments, portions, string};
use crate::unix::{self, Sessions};
use core::net::IpAddr;
use model::Tick;
use model::kernel::{
    Action, Doer, End, KernelEvent, LeftOut, Named, Place, Program, TcpStep, Unbound,
};
use model::limit::{KERNEL_ARGUMENTS, KERNEL_ARGUMENTS_BYTES, KERNEL_PROCESSES};
use model::scope::Scope;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Bytes of arguments as text in one event; more follow in others.
const PORTION: usize = 16 * 1024;
/// The number that stands for nobody: of an audit session, of a login.
const NOBODY: u32 = u32::MAX;
/// TCP by its number (RFC 790).
const TCP: u32 = 6;

/// What comes of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traced {
    /// A process did something.
    Did(Box<KernelEvent>),
    /// So many records of what happened before are missing: they found no room, or were not understood.
    Lost(u64),
    /// From here on nothing is left out that roles do not want.
    Unbound(Unbound),
}

/// Reads one session's records.
#[derive(Debug)]
pub struct Trace {
    arch: Arch,
    /// The kernel's time at which the recording began, in nanoseconds.
    began: u64,
    lost: u64,
    thrown_away: u64,
    /// Who began whom, of the processes that are there.
    begun: BTreeMap<u32, u32>,
    /// Programs, by thread, whose arguments are not there yet.
    unfinished: BTreeMap<u32, Unfinished>,
    fold: Fold,
    sieve: Sieve,
    ready: VecDeque<Traced>,
    /// The namespace of mounts whose paths need no name in front.
    mounts: Option<u32>,
    sessions: Arc<Sessions>,
}

#[derive(Debug)]
struct Unfinished {
    event: KernelEvent,
    program: Program,
    bytes: Vec<u8>,
    next: u32,
    since: Tick,
}

impl Trace {
    /// Of a recording that began at this time of the kernel's clock (`CLOCK_BOOTTIME`, nanoseconds).
    #[must_use]
    pub fn new(arch: Arch, began: u64) -> Self {
        Self {
            arch,
            began,
            lost: 0,
            thrown_away: 0,
            begun: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            fold: Fold::default(),
            sieve: Sieve::default(),
            ready: VecDeque::new(),
            mounts: None,
            sessions: Arc::default(),
        }
    }

    /// Paths of another namespace of mounts than the one of this number say which they are of.
    #[must_use]
    pub fn in_mounts(self, mounts: Option<u32>) -> Self {
        Self { mounts, ..self }
    }

    /// Who is watched on this machine, this session among them.
    pub fn know(&mut self, sessions: Arc<Sessions>) {
        self.sessions = sessions;
    }

    /// Of what is watched only this is wanted.
    #[must_use]
    pub fn within(self, scope: Scope) -> Self {
        Self { sieve: Sieve::new(scope), ..self }
    }

    /// From here on everything is wanted, because it is not known what happened before.
    pub fn unbind(&mut self, why: Unbound) {
        self.ready.extend(self.sieve.unbind(why).map(Traced::Unbound));
    }

    /// How much was left out since this was asked last, if anything may have been.
    pub fn left_out(&mut self) -> Option<LeftOut> {
        self.sieve.left_out()
    }

    /// From here on a recording is told that began at this time of the kernel's clock.
    pub fn begin(&mut self, began: u64) {
        let before = std::mem::replace(&mut self.began, began);
        for unfinished in self.unfinished.values_mut() {
            let at = before.saturating_add(unfinished.event.at.saturating_mul(1_000_000));
            unfinished.event.at = at.saturating_sub(began) / 1_000_000;
        }
    }

    /// Gives out everything that is whole: what is told from here on belongs to what follows. Who began whom is kept, and
    /// programs whose arguments are not there yet follow.
    pub fn cut(&mut self) {
        while let Some(event) = self.fold.drain() {
            self.ready.push_back(Traced::Did(Box::new(event)));
        }
    }

    /// Takes a record of this session. One that is none is passed over.
    pub fn handle(&mut self, record: &[u8], now: Tick) {
        if self.read(Whole(record), now).is_none() {
            // Counted as lost: it was sent, and nothing of it will be shown.
            self.lose(1);
        }
    }

    /// The kernel says that so many records of this session found no room so far.
    pub fn lost(&mut self, so_far: u64) {
        if let Some(more) = so_far.checked_sub(self.lost).filter(|more| *more > 0) {
            self.lost = so_far;
            self.lose(more);
        }
    }

    /// So many records of this session were thrown away on the way here so far.
    pub fn thrown_away(&mut self, so_far: u64) {
        if let Some(more) = so_far.checked_sub(self.thrown_away).filter(|more| *more > 0) {
            self.thrown_away = so_far;
            self.lose(more);
        }
    }

    fn lose(&mut self, more: u64) {
        self.ready.push_back(Traced::Lost(more));
        self.unbind(Unbound::Lost);
    }

    /// What has come of it, in order.
    pub fn poll(&mut self) -> Option<Traced> {
        self.ready
            .pop_front()
            .or_else(|| self.fold.poll().map(|event| Traced::Did(Box::new(event))))
    }

    /// When [`Trace::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        let arguments = self.unfinished.values().map(|it| it.since.plus_ms(ARGUMENTS_MS)).min();
        [arguments, self.fold.poll_timeout()].into_iter().flatten().min()
    }

    /// Gives out what waited long enough.
    pub fn handle_timeout(&mut self, now: Tick) {
        let due = |it: &Unfinished| now >= it.since.plus_ms(ARGUMENTS_MS);
        let over: Vec<u32> =
            self.unfinished.iter().filter(|(_, it)| due(it)).map(|(thread, _)| *thread).collect();
        for thread in over {
            self.finish_program(thread, now);
        }
        self.fold.handle_timeout(now);
    }

    /// Gives out everything; no record comes any more.
    pub fn finish(&mut self, now: Tick) {
        let threads: Vec<u32> = self.unfinished.keys().copied().collect();
        for thread in threads {
            self.finish_program(thread, now);
        }
        self.cut();
    }

    fn read(&mut self, whole: Whole<'_>, now: Tick) -> Option<()> {
        let head = Head::read(whole)?;
        self.lost(head.lost);
        if head.kind == kind::ARGUMENTS {
            return self.more_arguments(&head, whole, now);
        }
        self.finish_program(head.thread, now);
        let action = match head.kind {
            kind::EXEC => return self.exec(&head, whole, now),
            kind::FORK => {
                let (child, made) = (whole.u32(HEAD)?, whole.u32(HEAD + 4)?);
                if self.begun.len() < KERNEL_PROCESSES {
                    self.begun.insert(child, head.process);
                }
                if made == 0 {
                    return Some(());
                }
                let numbers = vec![made.into(), child.into()];
                let text = namespaces(made.into());
                Action::Special { call: "clone".to_owned(), text, numbers, error: 0 }
            }
            kind::EXIT => ended(&head, whole)?,
            kind::TCP => tcp(whole)?,
            kind::URING => self.uring(whole)?,
            kind::NOT_RUN..=kind::SPECIAL => match self.called(&head, whole)? {
                Some(action) => action,
                None => return Some(()),
            },
            _ => return None,
        };
        if let Some(why) = self.sieve.look(head.process, &action) {
            self.ready.push_back(Traced::Unbound(why));
        }
        let peer = if head.kind == kind::SOCKET { peer(whole) } else { None };
        if !self.sieve.passes(&action, !head.has(mark::PATH_CUT), peer) {
            return Some(());
        }
        let event = self.event(&head, action);
        if head.kind == kind::EXIT {
            self.begun.remove(&head.process);
        }
        self.fold.push(event, now);
        Some(())
    }

    fn event(&self, head: &Head, action: Action) -> KernelEvent {
        let by = Doer {
            process: head.process,
            parent: self.begun.get(&head.process).copied().unwrap_or(head.parent),
            uid: head.uid,
            euid: head.euid,
            audit: Some(head.audit).filter(|audit| *audit != NOBODY),
            name: string(&head.name),
            stray: head.has(mark::BY_AUDIT),
        };
        KernelEvent { at: head.at.saturating_sub(self.began) / 1_000_000, by, action, times: 1 }
    }

    fn exec(&mut self, head: &Head, whole: Whole<'_>, now: Tick) -> Option<()> {
        let given = usize::try_from(whole.u32(80)?).ok()?;
        let mut pieces = Pieces::behind(whole, 128);
        let (file, interpreter) = (pieces.next(116)?, pieces.next(118)?);
        let (program, folder) = (pieces.next(120)?, pieces.next(122)?);
        // At the end, over what had no room there.
        let begin = whole.0.len().checked_sub(given).filter(|begin| *begin >= 128)?;
        let bytes = whole.bytes(begin, given)?.to_vec();
        let total = whole.u32(76)?;
        let program = Program {
            file: string(file),
            interpreter: string(interpreter),
            program: placed(program, whole.u32(124)?, self.mounts),
            place: Place { device: whole.u32(112)?, inode: whole.u64(104)? },
            deleted: head.has(mark::DELETED),
            folder: placed(folder, whole.u32(72)?, self.mounts),
            arguments: Vec::new(),
            bytes: total,
            kept: 0,
            unreadable: head.has(mark::ARGUMENTS_UNREADABLE),
            gid: (whole.u32(84)?, whole.u32(88)?),
            login: Some(whole.u32(92)?).filter(|login| *login != NOBODY),
            capabilities: whole.u64(96)?,
        };
        let nothing = Action::Arguments { arguments: Vec::new(), goes_on: false };
        let event = self.event(head, nothing);
        if self.unfinished.len() >= KERNEL_ARGUMENTS
            && let Some(thread) = self.unfinished.keys().next().copied()
        {
            self.finish_program(thread, now);
        }
        let unfinished = Unfinished { event, program, bytes, next: 0, since: now };
        self.unfinished.insert(head.thread, unfinished);
        self.settle(head.thread, now);
        Some(())
    }

    fn more_arguments(&mut self, head: &Head, whole: Whole<'_>, now: Tick) -> Option<()> {
        let (index, length) = (whole.u32(HEAD)?, usize::try_from(whole.u32(HEAD + 4)?).ok()?);
        let bytes = whole.bytes(HEAD + 8, length)?;
        let Some(unfinished) = self.unfinished.get_mut(&head.thread) else {
            // The program itself was lost, and counted; so is what belongs to it.
            return Some(());
        };
        if index != unfinished.next {
            self.finish_program(head.thread, now);
            return Some(());
        }
        unfinished.next += 1;
        unfinished.program.unreadable |= head.has(mark::ARGUMENTS_UNREADABLE);
        unfinished.bytes.extend_from_slice(bytes);
        self.settle(head.thread, now);
        Some(())
    }

    /// Gives a program out if all of its arguments are there that ever will be.
    fn settle(&mut self, thread: u32, now: Tick) {
        let whole = self.unfinished.get(&thread).is_some_and(|it| {
            let have = it.bytes.len();
            have >= KERNEL_ARGUMENTS_BYTES || have >= usize::try_from(it.program.bytes).unwrap_or(0)
        });
        if whole {
            self.finish_program(thread, now);
        }
    }

    fn finish_program(&mut self, thread: u32, now: Tick) {
        let Some(Unfinished { event, mut program, bytes, .. }) = self.unfinished.remove(&thread)
        else {
            return;
        };
        program.kept = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(program.bytes);
        let mut all = portions(arguments(&bytes), PORTION).into_iter();
        program.arguments = all.next().map(|(first, _)| first).unwrap_or_default();
        let more = all.map(|(arguments, goes_on)| Action::Arguments { arguments, goes_on });
        let first = KernelEvent { action: Action::Ran(Box::new(program)), ..event.clone() };
        self.fold.push(first, now);
        for action in more {
            self.fold.push(KernelEvent { action, ..event.clone() }, now);
        }
    }

    /// What a system call did; nothing for one that says the same as another record.
    fn called(&self, head: &Head, whole: Whole<'_>) -> Option<Option<Action>> {
        let call = Called::read(self.arch, head, whole)?;
        let (mounts, mounts2) = (whole.u32(144)?, whole.u32(148)?);
        let file = || match call.resolved.is_empty() {
            true => self.passed(call.text, call.folder, mounts),
            false => {
                let path = placed(call.resolved, mounts, self.mounts);
                Named { path, ..Named::default() }
            }
        };
        let name = call.call.name.to_owned();
        let error = call.error;
        Some(Some(match head.kind {
            kind::NOT_RUN => {
                let first = portions(arguments(call.text2), PORTION).into_iter().next();
                let arguments = first.map(|(first, _)| first).unwrap_or_default();
                Action::NotRan { file: file(), arguments, error }
            }
            kind::OPEN => {
                let place = Place { device: whole.u32(132)?, inode: whole.u64(136)? };
                let place = (place != Place::default()).then_some(place);
                Action::Opened { file: file(), flags: call.flags(), place, error }
            }
            kind::CHANGE => {
                let other = (!call.text2.is_empty())
                    .then(|| self.passed(call.text2, call.folder2, mounts2));
                let numbers = call.numbers();
                let mut file = file();
                if name == "chroot" && error == 0 && call.text.starts_with(b"/") {
                    // The process's root, which it is by now.
                    let root = std::mem::take(&mut file.folder);
                    let path = if root.is_empty() { "/".to_owned() } else { root };
                    file = Named { path, ..Named::default() };
                }
                Action::Changed { call: name, file, other, numbers, error }
            }
            kind::SOCKET => match self.socket(&call, whole)? {
                Some(action) => action,
                None => return Some(None),
            },
            kind::IDENTITY => {
                let numbers = call.first_numbers();
                Action::Identity { call: name, numbers, error }
            }
            _ => {
                let (mut text, numbers) = (string(call.text), call.first_numbers());
                if call.call.shape.text == 0 {
                    text = meaning(&name, &numbers);
                }
                Action::Special { call: name, text, numbers, error }
            }
        }))
    }

    /// A path as a process passed it, and where that begins.
    fn passed(&self, text: &[u8], folder: &[u8], mounts: u32) -> Named {
        let folder = match text.first() {
            Some(b'/') => root(folder, mounts, self.mounts),
            _ => placed(folder, mounts, self.mounts),
        };
        Named { path: string(text), folder, as_passed: true }
    }

    /// What a call did with a socket; nothing for one that says the same as another record.
    fn socket(&self, call: &Called<'_>, whole: Whole<'_>) -> Option<Option<Action>> {
        let (family, protocol) = (whole.u32(144)?, whole.u32(148)?);
        let local = address::end(family, whole.bytes(152, 16)?, whole.u16(184)?);
        let other = address::end(family, whole.bytes(168, 16)?, whole.u16(186)?);
        if protocol == TCP && told_by_state(call) {
            return Some(None);
        }
        // What was passed is where it went, also where the socket forgets it again.
        let remote = if call.address.is_empty() { other } else { address::passed(call.address) };
        let (name, error) = (call.call.name, call.error);
        let (local, remote) = match family {
            unix::UNIX => {
                let resolved = placed(call.resolved, whole.u32(132)?, self.mounts);
                let own = layout::owner(whole.0)?;
                let both = (resolved.as_str(), remote.as_str());
                if let Some(met) = unix::met((name, error), both, whole, own, &self.sessions) {
                    return Some(Some(met));
                }
                unix::names(name, &resolved, remote)
            }
            _ => (local, remote),
        };
        Some(Some(Action::Socket { call: name.to_owned(), protocol, local, remote, error }))
    }

    fn uring(&self, whole: Whole<'_>) -> Option<Action> {
        /// Under way (errno(3)): what comes of it is not known here.
        const EINPROGRESS: i32 = 115;
        let mut pieces = Pieces::behind(whole, 200);
        let (_, address) = (pieces.next(188)?, pieces.next(190)?);
        let (text, folder) = (pieces.next(192)?, pieces.next(194)?);
        let text2 = pieces.next(196)?;
        let operation = calls::operation(whole.u32(128)?);
        let remote = address::passed(address);
        if remote.starts_with("unix") {
            let (call, local) = (format!("io_uring {operation}"), String::new());
            return Some(Action::Socket { call, protocol: 0, local, remote, error: EINPROGRESS });
        }
        let mounts = whole.u32(144)?;
        // The kernel's own copies, which the process cannot change any more; but what they led to is not known.
        let named = |text: &[u8], folder: &[u8]| self.passed(text, folder, mounts);
        let file = (!text.is_empty()).then(|| named(text, folder));
        let other = (!text2.is_empty()).then(|| named(text2, &[]));
        Some(Action::Uring { operation, file, other })
    }
}

/// Milliseconds for which arguments are waited for: they lie directly behind each other, unless some were lost.
const ARGUMENTS_MS: u64 = 200;

/// `struct call`, of a call that the table has.
struct Called<'a> {
    call: &'static Call,
    arguments: [u64; 6],
    error: i32,
    resolved: &'a [u8],
    address: &'a [u8],
    text: &'a [u8],
    folder: &'a [u8],
    text2: &'a [u8],
    folder2: &'a [u8],
}

impl<'a> Called<'a> {
    fn read(arch: Arch, head: &Head, whole: Whole<'a>) -> Option<Self> {
        let call = calls::find(arch, head.has(mark::COMPAT), whole.u32(128)?)?;
        let result = whole.u64(HEAD)?.cast_signed();
        let mut arguments = [0; 6];
        for (place, argument) in arguments.iter_mut().enumerate() {
            *argument = whole.u64(HEAD + 8 + 8 * place)?;
        }
        let mut pieces = Pieces::behind(whole, 200);
        Some(Self {
            call,
            arguments,
            error: error_of(result),
            resolved: pieces.next(188)?,
            address: pieces.next(190)?,
            text: pieces.next(192)?,
            folder: pieces.next(194)?,
            text2: pieces.next(196)?,
            folder2: pieces.next(198)?,
        })
    }

    /// Arguments from this one on, counted from 0.
    fn from(&self, first: usize, count: usize) -> Vec<u64> {
        self.arguments.iter().skip(first).take(count).copied().collect()
    }

    fn first_numbers(&self) -> Vec<u64> {
        self.from(0, 3)
    }

    /// Modes, owners, sizes: what stands behind the path, of calls where that says something.
    fn numbers(&self) -> Vec<u64> {
        let behind = usize::from(self.call.shape.text.max(1));
        let name = self.call.name;
        let count = if name.contains("chown") || name.contains("mknod") {
            2
        } else {
            usize::from(["chmod", "truncate", "mkdir"].iter().any(|one| name.contains(one)))
        };
        self.from(behind, count)
    }

    /// Flags of open(2), which stand where the call has them.
    fn flags(&self) -> u32 {
        /// What creat(2) stands for: to write, made, emptied.
        const CREAT: u64 = 0o1101;
        let [_, second, third, .., last] = self.arguments;
        let flags = match self.call.name {
            "creat" => CREAT,
            "open" => second,
            "openat2" => last,
            _ => third,
        };
        u32::try_from(flags & u64::from(u32::MAX)).unwrap_or(0)
    }
}

/// A result's number of errno(3). A call that is to be begun anew was interrupted.
fn error_of(result: i64) -> i32 {
    const EINTR: i64 = 4;
    match result {
        -516..=-512 => EINTR as i32,
        -4095..=-1 => i32::try_from(-result).unwrap_or(i32::MAX),
        _ => 0,
    }
}

fn ended(head: &Head, whole: Whole<'_>) -> Option<Action> {
    let [status, signal] = {
        let code = whole.u32(HEAD)?.to_le_bytes();
        [code.get(1).copied()?, code.first()? & 0x7f]
    };
    let end = if signal == 0 { End::Status(status) } else { End::Signal(signal) };
    let ms = head.at.saturating_sub(whole.u64(HEAD + 8)?) / 1_000_000;
    Some(Action::Ended { end, ms })
}

fn tcp(whole: Whole<'_>) -> Option<Action> {
    const ESTABLISHED: u32 = 1;
    const LISTEN: u32 = 10;
    let (to, family) = (whole.u32(76)?, whole.u32(80)?);
    let step = match to {
        ESTABLISHED => TcpStep::Connected,
        LISTEN => TcpStep::Listens,
        _ => TcpStep::NotConnected,
    };
    let local = address::end(family, whole.bytes(88, 16)?, whole.u16(84)?);
    let remote = address::end(family, whole.bytes(104, 16)?, whole.u16(86)?);
    Some(Action::Tcp { step, local, remote })
}

/// Whether a TCP socket's own state says what became of this call: it was begun, or it came to nothing on the way.
fn told_by_state(call: &Called<'_>) -> bool {
    /// Interrupted, reset, timed out, refused, unreachable, under way (errno(3)).
    const ON_THE_WAY: [i32; 7] = [0, 4, 104, 110, 111, 113, 115];
    match call.call.name {
        "connect" => ON_THE_WAY.contains(&call.error),
        "listen" => call.error == 0,
        _ => false,
    }
}

/// The other end that a socket itself has.
fn peer(whole: Whole<'_>) -> Option<IpAddr> {
    sieve::peer(whole.u32(144)?, whole.bytes(168, 16)?, whole.u16(186)?)
}

#[cfg(test)]
mod tests;
