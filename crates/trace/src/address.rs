//! Addresses of sockets as text.

use crate::layout::Whole;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use model::transfer::text_of;

const UNIX: u32 = 1;
const INET: u32 = 2;
const INET6: u32 = 10;

/// An end of a socket, of which the kernel gave 16 bytes of address; empty for other families and for no address.
pub(crate) fn end(family: u32, address: &[u8], port: u16) -> String {
    let whole = Whole(address);
    let at: Option<SocketAddr> = match family {
        INET => whole.bytes(0, 4).and_then(v4).map(|ip| (ip, port).into()),
        INET6 => whole.bytes(0, 16).and_then(v6).map(|ip| (ip, port).into()),
        _ => None,
    };
    at.filter(|at| port != 0 || !at.ip().is_unspecified())
        .map(|at| at.to_string())
        .unwrap_or_default()
}

fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

fn v6(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

/// A `sockaddr` that a process passed.
pub(crate) fn passed(bytes: &[u8]) -> String {
    let whole = Whole(bytes);
    let Some(family) = whole.u16(0) else { return String::new() };
    let port = || whole.u16(2).map(u16::from_be);
    let text = match family.into() {
        INET => {
            whole.bytes(4, 4).and_then(v4).zip(port()).map(|at| SocketAddr::from(at).to_string())
        }
        INET6 => {
            whole.bytes(8, 16).and_then(v6).zip(port()).map(|at| SocketAddr::from(at).to_string())
        }
        UNIX => Some(unix(bytes.get(2..).unwrap_or_default())),
        family => Some(format!("family {family}")),
    };
    text.unwrap_or_default()
}

/// A path, or a name behind `@`, as unix(7) has them.
fn unix(path: &[u8]) -> String {
    match path.split_first() {
        None => "unix".to_owned(),
        Some((0, name)) => format!("unix:@{}", text_of(name)),
        Some(_) => format!("unix:{}", crate::text::string(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_text() {
        let v4 = [2, 0, 0, 53, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut v6 = vec![10, 0, 0x1f, 0x90, 0, 0, 0, 0];
        v6.extend_from_slice(&Ipv6Addr::LOCALHOST.octets());
        for (bytes, text) in [
            (&v4[..], "127.0.0.1:53"),
            (&v6, "[::1]:8080"),
            (b"\x01\0/run/x\0junk", "unix:/run/x"),
            (b"\x01\0\0name", "unix:@name"),
            (b"\x01\0", "unix"),
            (b"\x10\0", "family 16"),
            (b"\x02\0\0", ""),
            (b"\x02", ""),
        ] {
            assert_eq!(passed(bytes), text);
        }
        assert_eq!(end(2, &[10, 0, 0, 1], 22), "10.0.0.1:22");
        assert_eq!(end(2, &[0; 16], 0), "");
        assert_eq!(end(10, &[0; 4], 22), "");
        assert_eq!(end(10, &[0; 16], 22), "[::]:22");
        assert_eq!(end(1, &[0; 16], 22), "");
    }
}
