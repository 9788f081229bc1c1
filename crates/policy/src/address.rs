//! Address lists of the critical option `source-address` (PROTOCOL.certkeys): addresses and CIDR blocks, separated by commas.

use core::net::IpAddr;
use model::scope::Network;

/// Whether `client` is in the list; `None` if the list cannot be read whole, which must be treated as no.
pub(crate) fn list_holds(list: &str, client: IpAddr) -> Option<bool> {
    let client = client.to_canonical();
    let mut holds = false;
    for block in list.split(',') {
        holds |= block_holds(block, client)?;
    }
    Some(holds)
}

fn block_holds(block: &str, client: IpAddr) -> Option<bool> {
    block.parse::<Network>().ok().map(|network| network.holds(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_what_its_blocks_hold_and_an_unreadable_list_holds_nothing() {
        for (list, client, holds) in [
            ("10.0.0.1", "10.0.0.1", Some(true)),
            ("10.0.0.1", "10.0.0.2", Some(false)),
            ("10.0.0.0/8", "10.255.1.2", Some(true)),
            ("10.0.0.0/8", "11.0.0.1", Some(false)),
            ("10.0.0.0/8,192.168.0.0/16", "192.168.7.7", Some(true)),
            ("10.0.0.0/8", "::ffff:10.1.1.1", Some(true)),
            ("0.0.0.0/0", "8.8.8.8", Some(true)),
            ("0.0.0.0/0", "::1", Some(false)),
            ("::/0", "2001:db8::1", Some(true)),
            ("::/0", "1.2.3.4", Some(false)),
            ("2001:db8::/32", "2001:db8:1::9", Some(true)),
            ("2001:db8::/32", "2001:db9::9", Some(false)),
            ("2001:db8::1/128", "2001:db8::1", Some(true)),
            ("", "10.0.0.1", None),
            ("10.0.0.1,", "10.0.0.1", None),
            ("10.0.0.1, 10.0.0.2", "10.0.0.1", None),
            ("10.0.0.1/8", "10.0.0.1", None),
            ("10.0.0.0/33", "10.0.0.0", None),
            ("10.0.0.0/", "10.0.0.0", None),
            ("10.0.0.0/+8", "10.0.0.0", None),
            ("!10.0.0.1", "10.0.0.2", None),
            ("example.org", "10.0.0.1", None),
            ("10.0.0.0/99999999999", "10.0.0.0", None),
        ] {
            assert_eq!(list_holds(list, client.parse().unwrap()), holds, "{list:?} and {client}");
        }
    }
}
