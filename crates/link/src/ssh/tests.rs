//! Server, client and jump host against each other, and against OpenSSH where it is installed.

mod openssh;
mod requests;

use super::buffer::{Buffers, Memory};
use super::client::{self, Client, Proof, SignIn};
use super::server::{
    Admission, Asked, Connection, Guests, Lost, Place, Refusal, Refused, Server, Session, Wish,
};
use super::{Pipe, Startups};
use crate::duplex::BoxDuplex;
use bytes::Bytes;
use model::{Size, limit};
use russh::keys::ssh_key::certificate::{Builder, CertType, Certificate};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{PrivateKey, PublicKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const MIB: usize = 1024 * 1024;

pub(super) fn key(seed: u8) -> PrivateKey {
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(KeypairData::Ed25519(pair), "").unwrap()
}

pub(super) fn certify(
    authority: &PrivateKey,
    subject: &PublicKey,
    kind: CertType,
    name: &str,
) -> Certificate {
    let mut builder =
        Builder::new(vec![7; 16], subject.key_data().clone(), 1_000_000_000, 4_000_000_000)
            .unwrap();
    builder.cert_type(kind).unwrap();
    builder.key_id(name).unwrap();
    builder.valid_principal(name).unwrap();
    builder.sign(authority).unwrap()
}

/// Everything two ends need: 1 user authority, 2 host authority, 3 host key, 4 user key.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) buffers: Arc<dyn Buffers>,
}

impl World {
    pub(super) fn new(buffers: impl Buffers + 'static) -> Self {
        let host = key(3);
        let certificate = certify(&key(2), host.public_key(), CertType::Host, "node-1");
        Self { server: Server::new(host, certificate), buffers: Arc::new(buffers) }
    }

    pub(super) fn gate(&self) -> super::server::Gate<()> {
        let buffers = Arc::clone(&self.buffers);
        let authority = key(1).public_key().key_data().clone();
        let admission = move || Admission {
            holder: (),
            buffers: Arc::clone(&buffers),
            agent: true,
            x11: true,
            sessions: limit::SESSIONS_PER_CONNECTION,
            variable: |name| name == "LANG",
            subsystems: &["sftp"],
        };
        let to_guests = admission.clone();
        super::server::Gate {
            certificate: Box::new(move |login, certificate| {
                let fits = *certificate.signature_key() == authority
                    && certificate.valid_principals().iter().any(|name| name == login);
                fits.then(&admission)
            }),
            guests: Guests {
                is_one: |login| login.starts_with("code-"),
                asks: Some("Name: "),
                admit: Box::new(move |login, name| {
                    (login == "code-7" && name == "zoe").then(&to_guests)
                }),
            },
        }
    }

    async fn pair(&self) -> (Connection<()>, Client) {
        let (near, far) = tokio::io::duplex(256 * 1024);
        self.pair_over(near, far).await
    }

    async fn pair_over(&self, near: DuplexStream, far: DuplexStream) -> (Connection<()>, Client) {
        let startup = Startups::default().take(None).unwrap();
        let accepting = self.server.accept(Box::new(near), self.gate(), startup);
        let buffers = Memory { most: 64 * MIB, ..Memory::patient() };
        let connecting = connect(Box::new(far), "alice", buffers);
        let (accepted, connected) = tokio::join!(accepting, connecting);
        (accepted.unwrap(), connected.unwrap())
    }
}

async fn connect(
    stream: BoxDuplex,
    login: &str,
    buffers: impl Buffers + 'static,
) -> Result<Client, super::SshError> {
    connect_with(stream, login, certificate(), buffers).await
}

async fn connect_with(
    stream: BoxDuplex,
    login: &str,
    proof: Proof,
    buffers: impl Buffers + 'static,
) -> Result<Client, super::SshError> {
    let settings = client::Settings {
        host: Box::new(|certificate| {
            let right = certificate.signature_key() == key(2).public_key().key_data();
            if right { Ok(()) } else { Err("another authority signed it".to_owned()) }
        }),
        buffers: Arc::new(buffers),
        agent: None,
        compress: false,
    };
    client::connect(stream, settings, SignIn { login: login.to_owned(), proof }).await
}

fn certificate() -> Proof {
    let user = key(4);
    let certificate = certify(&key(1), user.public_key(), CertType::User, "alice");
    Proof::Certificate(Arc::new(user), Box::new(certificate))
}

/// Serves like a small node: `echo` gives back, `stall` takes nothing, `flood N` writes N bytes, and gives back what comes
/// behind them if there is one more word; else the words come back.
pub(super) async fn serve(mut connection: Connection<()>) {
    let mut sessions = JoinSet::new();
    while let Some(asked) = connection.next().await {
        match asked {
            Asked::Session(session) => {
                sessions.spawn(run(session));
            }
            Asked::Direct(direct) if direct.to.to_string().starts_with("nowhere:") => {
                direct.reject(Refusal::Unreachable).await;
            }
            Asked::Direct(direct) => {
                let pipe = direct.accept().await;
                sessions.spawn(echo(pipe.input, pipe.output));
            }
            Asked::Listen(listen) => {
                let (mut at, opener) = (listen.at.clone(), connection.opener());
                if let Place::Port { port, .. } = &mut at {
                    *port = 4242;
                }
                assert!(listen.grant(4242));
                sessions.spawn(async move {
                    let origin = ("192.0.2.7".to_owned(), 9);
                    let pipe = opener.forwarded(&at, origin).await.unwrap();
                    pipe.output.write(Bytes::from_static(b"hello")).await.unwrap();
                    pipe.output.close().await;
                });
            }
            Asked::Unlisten(_) | Asked::Refused(_) => {}
        }
    }
}

async fn echo(mut input: super::Input, output: super::Output) {
    while let Ok(Some(bytes)) = input.pull().await {
        if output.write(bytes).await.is_err() {
            return;
        }
    }
    let _ = output.eof().await;
    let _ = output.exit_status(0).await;
    output.close().await;
}

async fn run(mut session: Session) {
    let output = session.output.clone();
    let command = match &session.wish {
        Wish::Exec(command) => String::from_utf8_lossy(command).into_owned(),
        other => format!("{other:?}"),
    };
    if command == "echo" {
        return echo(session.input, output).await;
    }
    if command == "stall" {
        output.gone().await;
        return;
    }
    if let Some(flood) = command.strip_prefix("flood ") {
        let (count, echoes) =
            flood.split_once(' ').map_or((flood, false), |(count, _)| (count, true));
        let mut left: usize = count.parse().unwrap();
        let piece = Bytes::from(vec![b'x'; 32 * 1024]);
        while left > 0 {
            let now = left.min(piece.len());
            if output.write(piece.slice(..now)).await.is_err() {
                return;
            }
            left -= now;
        }
        if echoes {
            return echo(session.input, output).await;
        }
    } else if command == "signal" {
        let name = session.signals.recv().await.unwrap();
        output.exit_signal(&name, false, "as asked").await.unwrap();
        output.close().await;
        return;
    } else if command == "resize" {
        session.sizes.changed().await.unwrap();
        let size = *session.sizes.borrow();
        output.write(Bytes::from(size.to_string())).await.unwrap();
    } else {
        let said =
            format!("{command} {:?} {:?}", session.pty.map(|pty| pty.term), session.environment);
        output.write(Bytes::from(said)).await.unwrap();
        output.write_error(Bytes::from_static(b"and errors")).await.unwrap();
    }
    let _ = output.eof().await;
    let _ = output.exit_status(7).await;
    output.close().await;
}

async fn text(input: &mut super::Input) -> String {
    let mut all = Vec::new();
    while let Some(bytes) = input.pull().await.unwrap() {
        all.extend_from_slice(&bytes);
    }
    String::from_utf8(all).unwrap()
}

async fn within<T>(seconds: u64, what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(seconds), work).await;
    done.unwrap_or_else(|_| panic!("{what} took more than {seconds} s"))
}

#[tokio::test]
async fn a_session_is_handed_over_whole_and_answers_with_streams_and_status() {
    let (connection, client) = World::new(Memory::default()).pair().await;
    assert_eq!(
        (connection.login.as_str(), connection.version.starts_with("SSH-2.0-scry")),
        ("alice", true)
    );
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut session = client.session().await.unwrap();
    session.pty("xterm", Size::clamped(100, 30), &[(53, 1)]).await.unwrap();
    session.variable("LANG", "C").await.unwrap();
    session.variable("LD_PRELOAD", "/evil").await.unwrap();
    session.exec("words").await.unwrap();
    let mut output = session.output.take().unwrap();
    let mut errors = session.errors.take().unwrap();
    assert_eq!(text(&mut output).await, r#"words Some("xterm") [("LANG", "C")]"#);
    assert_eq!(text(&mut errors).await, "and errors");
    assert_eq!(session.exit().await, Some(client::RemoteExit::Status(7)));
    let again = session.exec("second").await;
    assert!(again.is_err(), "a second command on one channel is refused");
}

#[tokio::test]
async fn sizes_and_signals_reach_the_program() {
    let (connection, client) = World::new(Memory::default()).pair().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut session = client.session().await.unwrap();
    session.pty("xterm", Size::default(), &[]).await.unwrap();
    session.exec("resize").await.unwrap();
    session.control().resize(Size::clamped(132, 43)).await.unwrap();
    assert_eq!(text(session.output.as_mut().unwrap()).await, "132×43");
    let mut session = client.session().await.unwrap();
    session.exec("signal").await.unwrap();
    session.control().signal("USR1").await.unwrap();
    let message = "as asked".to_owned();
    let expected = client::RemoteExit::Signal { name: "USR1".to_owned(), core: false, message };
    assert_eq!(session.exit().await, Some(expected));
}

#[tokio::test]
async fn a_client_of_which_nothing_is_heard_any_more_is_silent_and_one_that_ends_is_not() {
    const BEAT: Duration = Duration::from_millis(50);
    for cut in [true, false] {
        let mut world = World::new(Memory::default());
        world.server = world.server.with_beat(BEAT);
        let ((near, mut left), (mut right, far)) =
            (tokio::io::duplex(65536), tokio::io::duplex(65536));
        let (silent, mut line) = (CancellationToken::new(), JoinSet::new());
        let is_silent = silent.clone();
        line.spawn(async move {
            let carrying = tokio::io::copy_bidirectional(&mut left, &mut right);
            if is_silent.run_until_cancelled(carrying).await.is_none() {
                // Neither end is told.
                std::future::pending::<()>().await;
            }
        });
        let (connection, client) = world.pair_over(near, far).await;
        let opener = connection.opener();
        let beats = u32::try_from(model::limit::SSH_BEATS).unwrap() + 1;
        // As long as both ends are there, they may say nothing.
        tokio::time::sleep(3 * beats * BEAT).await;
        assert!(!opener.is_closed());
        let began = std::time::Instant::now();
        if cut {
            silent.cancel();
        } else {
            client.end().await;
        }
        let lost = within(5, "the end", opener.lost()).await;
        // Whether the end was read before a question found nobody to take it is chance.
        assert_eq!(lost == Some(Lost::Silent), cut, "{lost:?}");
        // One question may have been on its way.
        assert!(!cut || began.elapsed() >= (beats - 2) * BEAT, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn only_the_right_certificate_for_the_right_login_signs_in() {
    let world = World::new(Memory::default());
    let (near, far) = tokio::io::duplex(65536);
    let startup = Startups::default().take(None).unwrap();
    let (accepted, refused) = tokio::join!(
        world.server.accept(Box::new(near), world.gate(), startup),
        connect(Box::new(far), "root", Memory::default())
    );
    assert!(matches!(refused, Err(super::SshError::Refused { login }) if login == "root"));
    let nobody = accepted.err().unwrap();
    assert!(matches!(nobody.error, super::SshError::Ended), "{nobody:?}");
    assert_eq!((nobody.tried.login.as_deref(), nobody.tried.certificates), (Some("root"), 1));
}

#[tokio::test]
async fn unknown_subsystems_are_refused_and_known_ones_are_not() {
    let (connection, client) = World::new(Memory::default()).pair().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    assert!(client.session().await.unwrap().subsystem("netconf").await.is_err());
    assert!(client.session().await.unwrap().subsystem("sftp").await.is_ok());
}

#[tokio::test]
async fn more_sessions_than_the_limit_are_refused_until_one_ends() {
    let (connection, client) = World::new(Memory::default()).pair().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut open = Vec::new();
    while let Ok(mut session) = client.session().await {
        session.exec("stall").await.unwrap();
        open.push(session);
    }
    assert_eq!(open.len(), model::limit::SESSIONS_PER_CONNECTION);
    open.pop().unwrap().input.close().await;
    let mut tries = 0;
    while client.session().await.is_err() {
        tries += 1;
        assert!(tries < 100, "a place was not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn forwards_go_both_ways_and_unreachable_ones_say_so() {
    let (connection, mut client) = World::new(Memory::default()).pair().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let origin = || ("127.0.0.1".to_owned(), 1);
    assert!(client.direct("nowhere", 1, origin()).await.is_err());
    let Pipe { mut input, output } = client.direct("somewhere", 1, origin()).await.unwrap();
    output.write(Bytes::from_static(b"there and back")).await.unwrap();
    output.eof().await.unwrap();
    assert_eq!(text(&mut input).await, "there and back");
    assert_eq!(client.listen("localhost", 0).await.unwrap(), 4242);
    let mut arrival = client.arrival().await.unwrap();
    assert_eq!((arrival.address.as_str(), arrival.origin.0.as_str()), ("localhost", "192.0.2.7"));
    assert_eq!(text(&mut arrival.pipe.input).await, "hello");
}

/// russh puts whatever comes on a channel into a queue of the channel's, and its loop waits where that is full.
#[tokio::test]
async fn a_session_takes_any_number_of_messages_of_every_kind() {
    const MANY: usize = 3 * super::terms::CHANNEL_MESSAGES;
    let (connection, client) = World::new(Memory::default()).pair().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut session = client.session().await.unwrap();
    let (size, control) = (Size::clamped(90, 30), session.control());
    // What is taken once is granted once.
    let mut granted = [0; 5];
    let asking = async {
        // Each kind by itself: one that is left lying would be taken with the next of another.
        for _ in 0..MANY {
            session.variable("LANG", "C").await.unwrap();
        }
        for _ in 0..MANY {
            granted[0] += usize::from(session.pty("xterm", size, &[]).await.is_ok());
        }
        for _ in 0..MANY {
            granted[1] += usize::from(session.agent().await.is_ok());
        }
        for _ in 0..MANY {
            let half = session.input.client_half().unwrap();
            half.request_x11(false, false, "MIT-MAGIC-COOKIE-1", "00", 0).await.unwrap();
        }
        for _ in 0..MANY {
            granted[2] += usize::from(session.subsystem("netconf").await.is_ok());
        }
        // Enough for the client to widen the window that often.
        let flood = MANY * super::terms::WINDOW_BYTES as usize / 2;
        session.exec(format!("flood {flood} echo")).await.unwrap();
        let (mut output, mut left) = (session.output.take().unwrap(), flood);
        while left > 0 {
            left -= output.pull().await.unwrap().unwrap().len();
        }
        for _ in 0..MANY {
            granted[3] += usize::from(session.exec("again").await.is_ok());
        }
        for _ in 0..MANY {
            granted[4] += usize::from(session.shell().await.is_ok());
        }
        for _ in 0..MANY {
            control.resize(size).await.unwrap();
        }
        for _ in 0..MANY {
            control.signal("USR1").await.unwrap();
        }
        let half = session.input.client_half().unwrap();
        for _ in 0..MANY {
            half.extended_data_bytes(1, Bytes::from_static(b"?")).await.unwrap();
        }
        for _ in 0..MANY {
            session.input.write(Bytes::from_static(b"!")).await.unwrap();
        }
        session.input.eof().await.unwrap();
        assert_eq!(text(&mut output).await, "!".repeat(MANY));
        assert_eq!(session.exit().await, Some(client::RemoteExit::Status(0)));
    };
    within(60, "all of it", asking).await;
    assert_eq!(granted, [1, MANY, 0, 0, 0]);
}

/// As `ssh node cat < big`, with a client that writes everything before it reads anything back.
#[tokio::test]
async fn a_program_that_gives_back_what_it_is_given_does_not_deadlock() {
    let (connection, client) =
        World::new(Memory { most: 64 * MIB, ..Memory::default() }).pair().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut session = client.session().await.unwrap();
    session.exec("echo").await.unwrap();
    let input = session.input.clone();
    let total = 48 * MIB;
    let writing = async {
        let piece = Bytes::from(vec![7; 64 * 1024]);
        for _ in 0..total / piece.len() {
            input.write(piece.clone()).await.unwrap();
        }
        input.eof().await.unwrap();
    };
    within(60, "writing without reading", writing).await;
    let mut output = session.output.take().unwrap();
    let mut got = 0;
    while let Some(bytes) = output.pull().await.unwrap() {
        got += bytes.len();
    }
    assert_eq!(got, total);
}

/// russh writes and does not read meanwhile: two of them, each with more to say than the way between them holds, would wait
/// for each other.
#[tokio::test]
async fn much_both_ways_over_a_way_that_holds_little_does_not_deadlock() {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let (connection, client) = World::new(Memory::default()).pair_over(near, far).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut session = client.session().await.unwrap();
    session.exec("echo").await.unwrap();
    let (input, mut output) = (session.input.clone(), session.output.take().unwrap());
    let total = 16 * MIB;
    let writing = async {
        let piece = Bytes::from(vec![7; 64 * 1024]);
        for _ in 0..total / piece.len() {
            input.write(piece.clone()).await.unwrap();
        }
        input.eof().await.unwrap();
    };
    let reading = async {
        let mut got = 0;
        while let Some(bytes) = output.pull().await.unwrap() {
            got += bytes.len();
        }
        got
    };
    let ((), got) = within(20, "both ways", async { tokio::join!(writing, reading) }).await;
    assert_eq!(got, total);
}

#[tokio::test]
async fn a_session_stays_usable_while_another_takes_no_input() {
    let (connection, client) =
        World::new(Memory { most: 32 * MIB, ..Memory::default() }).pair().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut stalled = client.session().await.unwrap();
    stalled.exec("stall").await.unwrap();
    let (input, sent) = (stalled.input.clone(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&sent);
    tasks.spawn(async move {
        let piece = Bytes::from(vec![7; 32 * 1024]);
        while counted.load(Ordering::Relaxed) < 24 * MIB as u64 {
            input.write(piece.clone()).await.unwrap();
            counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    });
    let usable = async {
        for _ in 0..50 {
            let mut session = client.session().await.unwrap();
            session.exec("words").await.unwrap();
            assert!(text(session.output.as_mut().unwrap()).await.starts_with("words"));
        }
    };
    within(20, "fifty sessions beside a stalled one", usable).await;
}

#[tokio::test]
async fn a_stalled_channel_is_closed_with_a_line_and_the_connection_lives() {
    let short = Memory { most: MIB, stall: Some(Duration::from_millis(300)) };
    let (connection, client) = World::new(short).pair().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut stalled = client.session().await.unwrap();
    stalled.exec("stall").await.unwrap();
    let input = stalled.input.clone();
    tasks.spawn(async move {
        let piece = Bytes::from(vec![7; 32 * 1024]);
        while input.write(piece.clone()).await.is_ok() {}
    });
    let line = within(20, "closing it", text(stalled.errors.as_mut().unwrap())).await;
    assert!(line.starts_with("scry: nothing was read for"), "{line}");
    let mut session = client.session().await.unwrap();
    session.exec("words").await.unwrap();
    assert!(text(session.output.as_mut().unwrap()).await.starts_with("words"));
}

/// russh's loop waits for room for what comes on a channel, and sends nothing meanwhile.
#[tokio::test]
async fn a_channel_that_is_full_can_be_closed_once_nobody_reads_it() {
    let (mut connection, client) = World::new(Memory { most: MIB, stall: None }).pair().await;
    let mut session = client.session().await.unwrap();
    let (asked, granted) = tokio::join!(connection.next(), session.shell());
    granted.unwrap();
    let Some(Asked::Session(Session { input, output, .. })) = asked else { panic!("{asked:?}") };
    let (piece, typing) = (Bytes::from(vec![7; 32 * 1024]), session.input.clone());
    let typed = piece.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { while typing.write(typed.clone()).await.is_ok() {} });
    let mut shown = session.output.take().unwrap();
    tasks.spawn(async move { while let Ok(Some(_)) = shown.pull().await {} });
    let moment = Duration::from_millis(300);
    while tokio::time::timeout(moment, output.write(piece.clone())).await.is_ok() {}
    assert!(tokio::time::timeout(moment, output.close()).await.is_err());
    drop(input);
    within(5, "closing it", output.close()).await;
    within(5, "the client's end", session.input.gone()).await;
}

/// `scry ssh node cat big | (sleep; cat)`: the client neither grows without end nor holds other channels up.
#[tokio::test]
async fn a_client_that_reads_slowly_keeps_its_other_channels_usable() {
    let world = World::new(Memory::default());
    let (near, far) = tokio::io::duplex(256 * 1024);
    let startup = Startups::default().take(None).unwrap();
    let buffers = Memory { most: 16 * MIB, ..Memory::default() };
    let (connection, client) = tokio::join!(
        world.server.accept(Box::new(near), world.gate(), startup),
        connect(Box::new(far), "alice", buffers)
    );
    let client = client.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection.unwrap()));
    let mut slow = client.session().await.unwrap();
    slow.exec(format!("flood {}", 12 * MIB)).await.unwrap();
    let mut session = client.session().await.unwrap();
    session.exec("words").await.unwrap();
    let words = within(20, "a word", text(session.output.as_mut().unwrap())).await;
    assert!(words.starts_with("words"));
    assert_eq!(text(slow.output.as_mut().unwrap()).await.len(), 12 * MIB);
    assert_eq!(slow.exit().await, Some(client::RemoteExit::Status(7)));
}

#[tokio::test]
async fn a_connection_that_is_dropped_ends_its_channels() {
    let (connection, client) = World::new(Memory::default()).pair().await;
    let closed = connection.closed();
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut session = client.session().await.unwrap();
    session.exec("stall").await.unwrap();
    drop((client, session));
    within(5, "the end of the server's side", closed.cancelled()).await;
    within(5, "the end of the serving task", tasks.join_next()).await;
}

#[tokio::test]
async fn who_never_signs_in_is_cut_and_gives_the_place_back() {
    let world = World::new(Memory::default());
    let (near, _silent) = tokio::io::duplex(65536);
    let startups = Startups::default();
    let startup = startups.take(None).unwrap();
    let server = world.server.clone().with_grace(50);
    let error = server.accept(Box::new(near), world.gate(), startup).await.err().unwrap();
    assert!(matches!(error.error, super::SshError::LoginGrace { .. }), "{error}");
}

#[tokio::test]
async fn a_guest_answers_a_question_and_shows_nothing_else() {
    for (login, proof, comes) in [
        ("code-7", Proof::Answer("zoe".to_owned()), true),
        ("code-7", Proof::Answer("yan".to_owned()), false),
        ("code-8", Proof::Answer("zoe".to_owned()), false),
        ("code-7", certificate(), false),
        // Nobody else is asked anything.
        ("alice", Proof::Answer("zoe".to_owned()), false),
    ] {
        let world = World::new(Memory::default());
        let (near, far) = tokio::io::duplex(65536);
        let startup = Startups::default().take(None).unwrap();
        let accepting = world.server.accept(Box::new(near), world.gate(), startup);
        let connecting = connect_with(Box::new(far), login, proof, Memory::default());
        let (accepted, came) = tokio::join!(accepting, async { connecting.await.is_ok() });
        assert_eq!((accepted.is_ok(), came), (comes, comes), "{login}");
    }
}

#[tokio::test]
async fn a_guest_of_the_jump_host_may_not_stay_without_having_reached_anything() {
    for (node, stays) in [(None, false), (Some("node-2"), false), (Some("node-1"), true)] {
        let world = World::new(Memory::default());
        let (near, far) = tokio::io::duplex(65536);
        let startup = Startups::default().take(None).unwrap();
        let server = world.server.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let guests = super::jump::JumpGuests {
                is_one: |login| login.starts_with("code-"),
                admit: Box::new(|code| Some(code.to_owned())),
                wait: Duration::from_millis(300),
            };
            let gates: (super::jump::JumpGate<String>, _) = (Box::new(|_, _| None), guests);
            let (held, holding) = tokio::io::duplex(64);
            let held = std::sync::Mutex::new(Some(held));
            let dial = move |_: Arc<String>, node: String| {
                let stream = held.lock().unwrap().take_if(|_| node == "node-1");
                async move { Ok(Box::new(stream.ok_or(Refusal::Prohibited)?) as BoxDuplex) }
            };
            let how = (dial, |_: &String, _: Refused| {});
            let stop = tokio_util::sync::CancellationToken::new();
            let served = super::jump::serve(&server, Box::new(near), startup, gates, how, stop);
            served.await.unwrap();
            drop(holding);
        });
        let none = Proof::Answer(String::new());
        let client = connect_with(Box::new(far), "code-7", none, Memory::default()).await.unwrap();
        let mut pipe = None;
        if let Some(node) = node {
            pipe = client.direct(node, 22, ("127.0.0.1".to_owned(), 1)).await.ok();
        }
        assert_eq!(pipe.is_some(), stays, "{node:?}");
        let wait = if stays { 600 } else { 5_000 };
        let wait = Duration::from_millis(wait);
        let ended = tokio::time::timeout(wait, tasks.join_next()).await.is_ok();
        assert_eq!(ended, !stays, "{node:?}");
    }
}

#[tokio::test]
async fn the_jump_host_reaches_nodes_and_nothing_else() {
    let world = World::new(Memory::default());
    let (near, far) = tokio::io::duplex(65536);
    let server = world.server.clone();
    let startup = Startups::default().take(None).unwrap();
    let (heard, mut refusals) = tokio::sync::mpsc::channel(8);
    let mut tasks = JoinSet::new();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let stop = shutdown.clone();
    tasks.spawn(async move {
        let gate: super::jump::JumpGate<String> =
            Box::new(|login, _| (login == "alice").then(|| login.to_owned()));
        let guests = super::jump::JumpGuests {
            is_one: |_| false,
            admit: Box::new(|_| None),
            wait: Duration::ZERO,
        };
        let gates = (gate, guests);
        let dial = |who: Arc<String>, node: String| async move {
            if node != "node-1" {
                return Err(Refusal::Unreachable);
            }
            let (near, mut far) = tokio::io::duplex(64);
            let greeting = format!("{node} for {who}");
            tokio::io::AsyncWriteExt::write_all(&mut far, greeting.as_bytes()).await.unwrap();
            Ok(Box::new(near) as BoxDuplex)
        };
        let refused = move |who: &String, refused: Refused| {
            heard.try_send(format!("{who}: {}", refused.what)).unwrap();
        };
        let how = (dial, refused);
        super::jump::serve(&server, Box::new(near), startup, gates, how, stop).await.unwrap();
    });
    let client = connect(Box::new(far), "alice", Memory::default()).await.unwrap();
    let origin = || ("127.0.0.1".to_owned(), 1);
    let mut pipe = client.direct("node-1", 22, origin()).await.unwrap();
    assert_eq!(text(&mut pipe.input).await, "node-1 for alice");
    assert!(client.direct("127.0.0.1", 22, origin()).await.is_err());
    assert!(client.session().await.is_err());
    assert!(client.listen("", 0).await.is_err());
    assert_eq!(refusals.recv().await.as_deref(), Some("alice: a session channel"));
    assert_eq!(refusals.recv().await.as_deref(), Some("alice: to listen at :0"));
    shutdown.cancel();
    within(5, "stopping", tasks.join_next()).await;
}

/// russh forgets a channel that this side closed first only with its connection; what is left of it must be small.
#[tokio::test]
async fn a_thousand_sessions_one_after_another_leave_little_behind() {
    fn resident() -> u64 {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }
    let (connection, client) = World::new(Memory::default()).pair().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(connection));
    let mut before = 0;
    for round in 0..1200 {
        if round == 200 {
            before = resident();
        }
        let mut session = client.session().await.unwrap();
        session.exec("words").await.unwrap();
        assert!(text(session.output.as_mut().unwrap()).await.starts_with("words"));
        assert_eq!(session.exit().await, Some(client::RemoteExit::Status(7)));
    }
    let each = resident().saturating_sub(before) / 1000;
    println!("{each} bytes stay of each closed session, client and server together");
    assert!(each < 64 * 1024, "{each} bytes each");
}
