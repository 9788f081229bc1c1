//! A TCP relay that a test can cut: with a reset, as when a machine dies, or in silence, as when a cable is pulled.

use crate::Cluster;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

/// What the relay does with bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Passes them on.
    Whole = 0,
    /// Takes nothing and says nothing; what is on its way waits, as in a router's queue.
    Silent = 1,
    /// Breaks connections, and takes no new one.
    Broken = 2,
}

/// A relay between two parts.
pub struct Relay {
    /// Where it listens.
    pub address: String,
    state: Arc<AtomicU8>,
}

impl Relay {
    /// Passes connections on to `target`.
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(AtomicU8::new(Line::Whole as u8));
        let (kept, target) = (Arc::clone(&state), target.to_owned());
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if kept.load(Ordering::Relaxed) == Line::Broken as u8 {
                    continue;
                }
                let (state, target) = (Arc::clone(&kept), target.clone());
                thread::spawn(move || carry(&near, &target, &state));
            }
        });
        Self { address, state }
    }

    /// Copies a client folder of the test's; the copy reaches the cluster this way. The admin's is called `client`.
    pub fn folder(&self, cluster: &Cluster, name: &str) -> PathBuf {
        let port = self.address.rsplit_once(':').map_or("", |(_, port)| port);
        let (from, to) = (cluster.path(name), cluster.path(&format!("{name}-by-{port}")));
        let copy =
            "cp -r \"$0\" \"$1\" && find \"$1\" -name '*.json' -exec sed -i \"s/$2/$3/\" {} +";
        let mut copied = Command::new("sh");
        copied.args(["-c", copy]).args([&from, &to]).args([&cluster.address, &self.address]);
        assert!(copied.status().is_ok_and(|status| status.success()), "{} copies", from.display());
        to
    }

    /// Changes the line.
    pub fn set(&self, line: Line) {
        self.state.store(line as u8, Ordering::Relaxed);
    }
}

fn carry(near: &TcpStream, target: &str, state: &AtomicU8) {
    while state.load(Ordering::Relaxed) == Line::Silent as u8 {
        thread::sleep(Duration::from_millis(20));
    }
    let Ok(far) = TcpStream::connect(target) else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| copy(near, &far, state));
        copy(&far, near, state);
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, state: &AtomicU8) {
    let mut room = [0; 16 * 1024];
    let _ = from.set_read_timeout(Some(Duration::from_millis(50)));
    loop {
        match state.load(Ordering::Relaxed) {
            0 => {}
            1 => {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            _ => {
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                return;
            }
        }
        match from.read(&mut room) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(n) => {
                // Silence may have begun while this was read: then it waits here, and is not lost, as with TCP.
                while state.load(Ordering::Relaxed) == Line::Silent as u8 {
                    thread::sleep(Duration::from_millis(20));
                }
                if to.write_all(&room[..n]).is_err() {
                    let _ = from.shutdown(Shutdown::Both);
                    return;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => {
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}
