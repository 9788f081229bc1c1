//! Two viewers side by side on one stage, each with a terminal at the other end of a connection.

use super::Viewer;
use crate::clock;
use crate::company::{Seated, Table};
use crate::drawing::Drawing;
use crate::lives::Running;
use crate::stage::Stage;
use crate::view::Window;
use bytes::Bytes;
use link::ssh::buffer::Memory;
use link::ssh::client::{self, Client, Proof, SignIn};
use link::ssh::server::{Admission, Asked, Connection, Gate, Guests, Server, Session};
use link::ssh::ssh_key::certificate::{Builder, CertType};
use link::ssh::ssh_key::private::{Ed25519Keypair, KeypairData, PrivateKey};
use link::ssh::{Input, Startups};
use model::entry::{Entry, Party};
use model::limit::PICTURE_MS;
use model::role::SeatRole;
use model::{ConnectionId, Kind, Seq, SessionId, Size, Stream, UserName};
use screen::Screen;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest until a picture is seen, on a busy machine; less than a note stands, whose end has everything painted anew.
const SOON: Duration = Duration::from_secs(3);
const PICTURES: u64 = 10;

fn key(seed: u8) -> PrivateKey {
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(KeypairData::Ed25519(pair), "").unwrap()
}

fn server() -> Server {
    let (authority, host) = (key(1), key(2));
    let subject = host.public_key().key_data().clone();
    let mut builder = Builder::new(vec![7; 16], subject, 1_000_000_000, 4_000_000_000).unwrap();
    builder.cert_type(CertType::Host).unwrap();
    builder.key_id("node-1").unwrap();
    builder.valid_principal("node-1").unwrap();
    let certificate = builder.sign(&authority).unwrap();
    Server::new(host, certificate)
}

/// Lets everybody in, for one session.
fn gate() -> Gate<()> {
    Gate {
        certificate: Box::new(|_, _| None),
        guests: Guests {
            is_one: |_| true,
            asks: None,
            admit: Box::new(|_, _| {
                Some(Admission {
                    holder: (),
                    buffers: Arc::new(Memory::default()),
                    agent: false,
                    x11: false,
                    sessions: 1,
                    variable: |_| false,
                    subsystems: &[],
                })
            }),
        },
    }
}

/// A viewer's terminal.
struct Terminal {
    screen: Screen,
    output: Input,
    // Whichever is dropped ends the view.
    _ends: (Connection<()>, Client, client::Session),
}

impl Terminal {
    /// It, and its channel as the node has it.
    async fn open(size: Size) -> (Self, Session) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (server, startup) = (server(), Startups::default().take(None).unwrap());
        let accepting = server.accept(Box::new(near), gate(), startup);
        let settings = client::Settings {
            host: Box::new(|_| Ok(())),
            buffers: Arc::new(Memory::patient()),
            agent: None,
            compress: false,
        };
        let sign_in = SignIn { login: "zoe".to_owned(), proof: Proof::Answer(String::new()) };
        let connecting = client::connect(Box::new(far), settings, sign_in);
        let (accepted, connected) = tokio::join!(accepting, connecting);
        let (mut connection, client) = (accepted.unwrap(), connected.unwrap());
        let mut channel = client.session().await.unwrap();
        channel.shell().await.unwrap();
        let Some(Asked::Session(session)) = connection.next().await else {
            panic!("no session was asked for");
        };
        let (screen, output) =
            (Screen::new(size.cols(), size.rows()), channel.output.take().unwrap());
        (Self { screen, output, _ends: (connection, client, channel) }, session)
    }

    /// Waits until this is its first row.
    async fn wait_for(&mut self, text: &str) {
        let shows = async {
            while self.screen.row_text(0) != text {
                let bytes = self.output.pull().await.unwrap().expect("the view goes on");
                self.screen.feed(&bytes);
            }
        };
        let shown = tokio::time::timeout(SOON, shows).await;
        assert!(shown.is_ok(), "{text:?} is not seen, but {:?}", self.screen.row_text(0));
    }
}

/// A session that goes on.
fn running(table: &Table, id: SessionId, owner: UserName) -> Running {
    Running {
        id,
        connection: ConnectionId::from_random([8; 16]),
        owner,
        roles: Vec::new(),
        login: "root".parse().unwrap(),
        demands: Vec::new(),
        joinable: true,
        kind: Kind::Shell,
        since: clock::now(),
        client: String::new(),
        foreground: OnceLock::new(),
        doors: table.doors(),
        company: table.shown(),
    }
}

/// Another looks at the screen, until the sender is dropped.
fn look_long(stage: &Arc<Stage>) -> (mpsc::Sender<()>, thread::JoinHandle<()>) {
    let (begin, begun) = mpsc::channel();
    let (over, is_over) = mpsc::channel();
    let stage = Arc::clone(stage);
    let looking = thread::spawn(move || {
        stage.look(|_| {
            begin.send(()).unwrap();
            let _ = is_over.recv();
        });
    });
    begun.recv().unwrap();
    (over, looking)
}

#[tokio::test]
async fn two_who_find_the_screen_in_anothers_hands_look_again_and_see_the_newest_picture() {
    let size = Size::clamped(40, 6);
    let (id, owner) = (SessionId::from_random([7; 16]), "bob".parse::<UserName>().unwrap());
    let company = session::Company::new(Vec::new(), clock::tick());
    let table = Table::new(id, company, owner.clone());
    let running = running(&table, id, owner);
    let stage = Stage::new(size, None, Drawing::new());
    let (mut terminals, mut views) = (Vec::new(), JoinSet::new());
    for party in [Party(1), Party(2)] {
        let (terminal, session) = Terminal::open(size).await;
        let seated = Seated { party, stage: Arc::clone(&stage), told: table.listen() };
        let window = Window { size, fits: false };
        let viewer = Viewer::new(&running, SeatRole::Observer, seated, window);
        views.spawn(async move {
            let (stop, (_end, ended)) = (CancellationToken::new(), oneshot::channel());
            viewer.run(session, &stop, ended).await
        });
        terminals.push(terminal);
    }
    let mut drawn = stage.drawn();
    let drawing = Arc::clone(&stage).draw();
    tokio::pin!(drawing);
    for number in 1..=PICTURES {
        let text = format!("picture {number}");
        let bytes = Bytes::from(format!("\x1b[2J\x1b[H{text}"));
        stage.offer(Seq(number), Entry::Output { stream: Stream::Pty, bytes });
        // Drawn by this task: on its thread no viewer takes a turn between the picture and who holds it.
        tokio::select! {
            biased;
            () = &mut drawing => panic!("the session goes on"),
            changed = drawn.changed() => changed.unwrap(),
        }
        let (over, looking) = look_long(&stage);
        // Nothing tells that somebody looked in vain.
        tokio::time::sleep(Duration::from_millis(4 * PICTURE_MS)).await;
        drop(over);
        looking.join().unwrap();
        for terminal in &mut terminals {
            terminal.wait_for(&text).await;
        }
    }
}
