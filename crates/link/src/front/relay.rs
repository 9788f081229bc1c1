//! How a proxy tells auth where a passed-through client comes from: one line before the client's own bytes
//! (the PROXY protocol, version 1, of HAProxy's `proxy-protocol.txt` §2.1). Believed only from addresses that are relays.

use std::net::{IpAddr, SocketAddr};

/// Longest line, its end included, by the specification.
pub(super) const LONGEST: usize = 107;
/// How the line begins.
pub(super) const BEGINS: &[u8] = b"PROXY ";

/// The line for a client at `client` that connected to `server`.
#[must_use]
pub fn relay_line(client: SocketAddr, server: SocketAddr) -> String {
    let (from, to) = (client.ip().to_canonical(), server.ip().to_canonical());
    let (family, from, to) = match (from, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) => ("TCP4", from.to_string(), to.to_string()),
        _ => ("TCP6", six(from).to_string(), six(to).to_string()),
    };
    format!("PROXY {family} {from} {to} {} {}\r\n", client.port(), server.port())
}

fn six(address: IpAddr) -> std::net::Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

/// The client's address in a line without its end; `None` if it is malformed.
pub(super) fn read_line(line: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(line).ok()?;
    let mut words = text.split(' ');
    if words.next()? != "PROXY" || !matches!(words.next()?, "TCP4" | "TCP6") {
        return None;
    }
    let ip: IpAddr = words.next()?.parse().ok()?;
    let _server: IpAddr = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    let _server_port: u16 = words.next()?.parse().ok()?;
    words.next().is_none().then(|| SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(client: &str, server: &str, line: &str) {
        let client: SocketAddr = client.parse().unwrap();
        let made = relay_line(client, server.parse().unwrap());
        assert_eq!(made, line);
        assert!(made.len() <= LONGEST);
        assert_eq!(read_line(made.trim_end().as_bytes()), Some(client));
    }

    #[test]
    fn a_relay_line_brings_the_clients_address() {
        check("192.0.2.7:4711", "10.0.0.1:443", "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n");
        check("[2001:db8::7]:1", "[::1]:2", "PROXY TCP6 2001:db8::7 ::1 1 2\r\n");
        check("192.0.2.7:4711", "[::1]:2", "PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 2\r\n");
    }

    #[test]
    fn a_malformed_relay_line_is_none() {
        for line in
            ["", "PROXY", "PROXY UNKNOWN", "PROXY TCP4 a b 1 2", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3"]
        {
            assert_eq!(read_line(line.as_bytes()), None, "{line:?}");
        }
    }
}
