//! TCP connections as scry wants them: no delay, found out when the other end has vanished, dialed within a bound.

use model::limit::DIAL_MS;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::{TcpStream, ToSocketAddrs};

/// Silence after which the system asks whether the other end is there. Load balancers and firewalls forget a silent
/// connection after some minutes.
const IDLE: Duration = Duration::from_secs(60);
/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(15);
/// Questions without an answer until the connection is dead.
const QUESTIONS: u32 = 4;

/// Connects to `HOST:PORT`, trying each address of the host.
///
/// # Errors
/// As the system says, or `TimedOut` after [`DIAL_MS`].
pub async fn dial(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let bound = Duration::from_millis(DIAL_MS);
    let stream = tokio::time::timeout(bound, TcpStream::connect(address)).await??;
    settle(&stream);
    Ok(stream)
}

/// Turns off delays and turns on questions after silence. A system that cannot is no reason to refuse a connection.
pub fn settle(stream: &TcpStream) {
    let settled = stream.set_nodelay(true).and_then(|()| keepalive(stream));
    if let Err(error) = settled {
        tracing::debug!(%error, "a connection goes on without TCP keepalive");
    }
}

/// As what an address is counted: an IPv6 address as its /64, which one person has whole.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & (!0 << 64)).into()),
        address => address,
    }
}

fn keepalive(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, IDLE)?;
    sockopt::set_tcp_keepintvl(stream, INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, QUESTIONS)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dialed_connection_asks_after_silence() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = dial(listener.local_addr().unwrap()).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(rustix::net::sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(rustix::net::sockopt::tcp_keepidle(&stream).unwrap(), IDLE);
    }
}
