//! What a client says first on the one port.

use bytes::BytesMut;
use link::front::{Greeting, HELLO_BYTES, Menu, Spoken};
use std::net::SocketAddr;

/// The answer, where a relay says that the client is, and what is left for whoever serves it. A refusal by its alert.
type Seen = (Result<Option<Spoken>, Vec<u8>>, Option<SocketAddr>, Vec<u8>);

/// The first bytes of a connection, at a proxy and at auth.
///
/// However they come in pieces, the answer is the same, no more is asked for than is allowed, and what is served later
/// is what was sent, but for a relay's line.
pub fn front(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(HELLO_BYTES - 1)];
    for menu in [Menu::proxy(), Menu::auth(vec![[192, 0, 2, 1].into()])] {
        let whole = look(&menu, bytes, bytes.len().max(1));
        for size in [1, 2, 7, 100] {
            assert_eq!(look(&menu, bytes, size), whole, "in pieces of {size}");
        }
        let (_, said, left) = whole;
        assert!(bytes.ends_with(&left) && (menu.relay_lines || left == bytes));
        assert!(said.is_none() || bytes.starts_with(b"PROXY "));
    }
}

fn look(menu: &Menu, bytes: &[u8], size: usize) -> Seen {
    let (mut greeting, mut held) = (Greeting::new(menu), BytesMut::new());
    let mut answer = greeting.look(&mut held);
    let mut rest = bytes;
    while let Ok(None) = answer
        && !rest.is_empty()
    {
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        held.extend_from_slice(piece);
        (answer, rest) = (greeting.look(&mut held), behind);
    }
    held.extend_from_slice(rest);
    (answer.map_err(|refused| refused.alert), greeting.relayed(), held.to_vec())
}
