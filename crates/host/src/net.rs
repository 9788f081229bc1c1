//! Sockets opened with the user's rights: the daemon's side of a connection's net helper.
//!
//! As root a node would reach what the user may not (low ports, other people's sockets), so a helper process
//! with the user's uid resolves names, dials and listens, and hands the descriptors over.

use crate::account::{self, AccountError};
use crate::accounting::Guest;
use crate::fdpass::{self, Channel, Message};
use crate::net_process::{Answer, Request, Welcome};
use crate::spawn::{self, Settings, SpawnError};
use model::Login;
use model::role::Forwarding;
use policy::{ForwardPermit, LoginPermit};
use rustix::net::{AddressFamily, SocketType, sockopt};
use serde::de::DeserializeOwned;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Milliseconds to wait for an answer: those the helper has to dial, and some for the way.
const ANSWER_MS: u64 = crate::net_process::DIAL_MS + 5_000;

/// The helper of one connection. It ends, and removes what it made, when this is dropped. Start it when the
/// connection first needs it: it is a process of its own.
#[derive(Debug)]
pub struct Net {
    /// Whose rights it has.
    login: Login,
    control: Channel,
    /// Not killed when this is dropped, so that it can clean up; tokio collects it.
    process: tokio::process::Child,
}

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum NetError {
    /// The account is not there or not ours.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// It was tried and did not work.
    #[error("{why}")]
    Refused {
        /// Why, for the person at the other end.
        why: String,
    },
    /// The permit is for something else.
    #[error("the permit is for {permit:?}, not for {wanted:?}")]
    Permit {
        /// What it is for.
        permit: Forwarding,
        /// What was tried.
        wanted: Forwarding,
    },
    /// The permit is for another account.
    #[error("the permit is for {permit}, but this helper has the rights of {own}")]
    Login {
        /// Whom it is for.
        permit: Login,
        /// Whose helper was asked.
        own: Login,
    },
    /// The helper has ended or does not answer.
    #[error("the connection's net helper has gone; connect again")]
    Gone,
    /// This machine or process is short of something.
    #[error("cannot {what}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Net {
    /// Starts the helper for the permit's login, for a connection that comes from `client`. The machine is asked as for
    /// a session whether the account may come in.
    ///
    /// # Errors
    /// When the account cannot be used or the process does not come up.
    pub async fn start(
        settings: &Settings,
        permit: &LoginPermit,
        client: Option<IpAddr>,
    ) -> Result<Self, NetError> {
        let account = account::lookup(permit.login()).await?;
        let (process, control) = spawn::start(&settings.exe, crate::NET).map_err(from_spawn)?;
        let net = Self { login: account.name.clone(), control, process };
        let guest = Guest {
            login: account.name.to_string(),
            uid: account.uid,
            client,
            services: settings.pam_services.clone(),
        };
        let rights = spawn::rights(&account);
        let welcome = Welcome { rights, guest, shell: account.shell.clone() };
        let memory = spawn::remember(&welcome).map_err(os("write down a task"))?;
        net.control.send(b"net", &[memory.as_fd()]).await.map_err(|_| NetError::Gone)?;
        let message = within(net.control.receive()).await?;
        match decode::<Answer>(&message)? {
            Answer::Done => Ok(net),
            Answer::Failed(why) => Err(NetError::Refused { why }),
            _ => Err(NetError::Gone),
        }
    }

    /// Process id of the helper, for logs; `None` once it was collected.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Connects to `host`, a name or an address, trying each of its addresses, for at most 30 s altogether.
    /// Other requests go on meanwhile.
    ///
    /// # Errors
    /// [`NetError::Refused`] with what the last address said.
    pub async fn dial(
        &self,
        permit: &ForwardPermit,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, NetError> {
        self.allow(permit, Forwarding::Local)?;
        let (_, socket) = self.ask_one(&Request::Dial { host: host.to_owned(), port }).await?;
        let stream = std::net::TcpStream::from(tcp(socket, false)?);
        let _ = stream.set_nodelay(true);
        adopt(stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)))
    }

    /// Listens on the node, with port 0 on any free port. As with sshd's `GatewayPorts no`, always on loopback
    /// and whatever address was asked for: IPv6's for `::1`, else IPv4's. Low ports need root, as the kernel says.
    /// The port is that of [`TcpListener::local_addr`].
    ///
    /// # Errors
    /// [`NetError::Refused`] with the reason.
    pub async fn listen(
        &self,
        permit: &ForwardPermit,
        address: &str,
        port: u16,
    ) -> Result<TcpListener, NetError> {
        self.allow(permit, Forwarding::Remote)?;
        let request = Request::Listen { address: address.to_owned(), port };
        let (_, socket) = self.ask_one(&request).await?;
        tcp_listener(socket)
    }

    /// Connects to a socket in the node's file system.
    ///
    /// # Errors
    /// [`NetError::Refused`] with the reason, such as that the user may not open it.
    pub async fn dial_socket(
        &self,
        permit: &ForwardPermit,
        path: &str,
    ) -> Result<UnixStream, NetError> {
        self.allow(permit, Forwarding::Local)?;
        let (_, socket) = self.ask_one(&Request::DialSocket { path: path.to_owned() }).await?;
        expect_socket(&socket, false, &[AddressFamily::UNIX])?;
        let stream = std::os::unix::net::UnixStream::from(socket);
        adopt(stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream)))
    }

    /// Listens at a path of the node, which must not be there yet. The socket goes with the helper, or with
    /// [`Net::forget_socket`].
    ///
    /// # Errors
    /// [`NetError::Refused`] with the reason.
    pub async fn listen_socket(
        &self,
        permit: &ForwardPermit,
        path: &str,
    ) -> Result<UnixListener, NetError> {
        self.allow(permit, Forwarding::Remote)?;
        let (_, socket) = self.ask_one(&Request::ListenSocket { path: path.to_owned() }).await?;
        unix_listener(socket)
    }

    /// Removes a socket that [`Net::listen_socket`] made.
    ///
    /// # Errors
    /// When the helper has gone, and with it the socket.
    pub async fn forget_socket(&self, path: &str) -> Result<(), NetError> {
        self.ask(&Request::Forget { path: path.to_owned() }).await.map(drop)
    }

    /// Lends a display on loopback (`X11UseLocalhost yes`), number 10 and up: its number, and where it waits.
    ///
    /// # Errors
    /// [`NetError::Refused`] with the reason.
    pub async fn display(
        &self,
        permit: &ForwardPermit,
    ) -> Result<(u16, Vec<TcpListener>), NetError> {
        self.allow(permit, Forwarding::X11)?;
        let (answer, sockets) = self.ask(&Request::Display).await?;
        let Answer::Display(number) = answer else { return Err(NetError::Gone) };
        let listeners: Result<Vec<_>, _> = sockets.into_iter().map(tcp_listener).collect();
        let listeners = listeners?;
        if listeners.is_empty() { Err(NetError::Gone) } else { Ok((number, listeners)) }
    }

    /// Makes a socket for a forwarded agent, reachable by the user only; the path is for `SSH_AUTH_SOCK`.
    /// Helper and socket go together.
    ///
    /// # Errors
    /// [`NetError::Refused`] with the reason.
    pub async fn agent(&self, permit: &ForwardPermit) -> Result<(UnixListener, PathBuf), NetError> {
        self.allow(permit, Forwarding::Agent)?;
        let (answer, socket) = self.ask_one(&Request::Agent).await?;
        let Answer::At(path) = answer else { return Err(NetError::Gone) };
        Ok((unix_listener(socket)?, path))
    }

    fn allow(&self, permit: &ForwardPermit, wanted: Forwarding) -> Result<(), NetError> {
        if permit.what() != wanted {
            return Err(NetError::Permit { permit: permit.what(), wanted });
        }
        if *permit.login() != self.login {
            let (permit, own) = (permit.login().clone(), self.login.clone());
            return Err(NetError::Login { permit, own });
        }
        Ok(())
    }

    /// Each request brings the socket on which it is answered, so that none waits for another.
    async fn ask(&self, request: &Request) -> Result<(Answer, Vec<OwnedFd>), NetError> {
        let bytes = postcard::to_allocvec(request).map_err(|_| NetError::Gone)?;
        if bytes.len() > fdpass::MESSAGE_BYTES {
            return Err(NetError::Refused { why: "the address is too long".to_owned() });
        }
        let (here, there) = fdpass::pair().map_err(os("make a socket"))?;
        let here = Channel::new(here).map_err(os("watch a socket"))?;
        self.control.send(&bytes, &[there.as_fd()]).await.map_err(|_| NetError::Gone)?;
        drop(there);
        let message = within(here.receive()).await?;
        let answer = decode(&message)?;
        if let Answer::Failed(why) = answer {
            return Err(NetError::Refused { why });
        }
        Ok((answer, message.descriptors))
    }

    async fn ask_one(&self, request: &Request) -> Result<(Answer, OwnedFd), NetError> {
        let (answer, sockets) = self.ask(request).await?;
        Ok((answer, sockets.into_iter().next().ok_or(NetError::Gone)?))
    }
}

async fn within(answer: impl Future<Output = io::Result<Message>>) -> Result<Message, NetError> {
    match tokio::time::timeout(Duration::from_millis(ANSWER_MS), answer).await {
        Ok(Ok(message)) if !message.bytes.is_empty() => Ok(message),
        _ => Err(NetError::Gone),
    }
}

fn decode<T: DeserializeOwned>(message: &Message) -> Result<T, NetError> {
    postcard::from_bytes(&message.bytes).map_err(|_| NetError::Gone)
}

/// What a helper says, read and written again; `None` if it says nonsense: for the fuzz target.
#[doc(hidden)]
pub fn rehearse(said: &[u8]) -> Option<Vec<u8>> {
    let message = Message { bytes: said.to_vec(), descriptors: Vec::new() };
    postcard::to_allocvec(&decode::<Answer>(&message).ok()?).ok()
}

fn tcp_listener(socket: OwnedFd) -> Result<TcpListener, NetError> {
    let listener = std::net::TcpListener::from(tcp(socket, true)?);
    adopt(listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)))
}

fn unix_listener(socket: OwnedFd) -> Result<UnixListener, NetError> {
    expect_socket(&socket, true, &[AddressFamily::UNIX])?;
    let listener = std::os::unix::net::UnixListener::from(socket);
    adopt(listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener)))
}

fn tcp(socket: OwnedFd, listening: bool) -> Result<OwnedFd, NetError> {
    expect_socket(&socket, listening, &[AddressFamily::INET, AddressFamily::INET6])?;
    Ok(socket)
}

/// The helper has the user's rights, so what it sends is looked at before it is used.
fn expect_socket(
    socket: &OwnedFd,
    listening: bool,
    families: &[AddressFamily],
) -> Result<(), NetError> {
    let fits = sockopt::socket_type(socket).is_ok_and(|kind| kind == SocketType::STREAM)
        && sockopt::socket_domain(socket).is_ok_and(|family| families.contains(&family))
        && sockopt::socket_acceptconn(socket).is_ok_and(|is| is == listening);
    if fits { Ok(()) } else { Err(NetError::Gone) }
}

fn adopt<T>(result: io::Result<T>) -> Result<T, NetError> {
    result.map_err(os("take over a socket"))
}

fn os(what: &'static str) -> impl FnOnce(io::Error) -> NetError {
    move |source| NetError::Os { what, source }
}

fn from_spawn(error: SpawnError) -> NetError {
    match error {
        SpawnError::Account(error) => NetError::Account(error),
        SpawnError::NotStarted { why } | SpawnError::Refused { why } => NetError::Refused { why },
        SpawnError::Os { what, source } => NetError::Os { what, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: [AddressFamily; 2] = [AddressFamily::INET, AddressFamily::INET6];

    fn check(socket: impl Into<OwnedFd>, listening: bool, fits: bool) {
        assert_eq!(expect_socket(&socket.into(), listening, &TCP).is_ok(), fits);
    }

    #[test]
    fn only_the_kind_of_socket_that_was_asked_for_is_taken_from_the_helper() {
        let listener = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        check(listener(), true, true);
        check(listener(), false, false);
        let there = listener();
        check(std::net::TcpStream::connect(there.local_addr().unwrap()).unwrap(), false, true);
        check(std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), false, false);
        check(std::os::unix::net::UnixStream::pair().unwrap().0, false, false);
        check(std::fs::File::open("/dev/null").unwrap(), false, false);
        check(rustix::pipe::pipe().unwrap().0, false, false);
    }
}
