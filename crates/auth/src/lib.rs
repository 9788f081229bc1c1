//! The auth service: certificate authority, users, roles, recordings, the ledger. Floor 3.
//!
//! [`prepare`] opens everything and binds the port; what the other parts need to find it stands in [`Prepared`].
//! [`serve`] answers until it is told to stop.
//!
//! | module | what lives there |
//! |---|---|
//! | `routes` | the table of all routes; each takes a proof |
//! | `gate` | the proofs: who asks, and what they may |
//! | `people`, `locks`, `links`, `access`, `machines`, `parts`, `recordings`, `receive`, `audit` | the handlers |
//! | `browser`, `web`, `factors`, `passkeys`, `terminal` | people with a browser: who they are, second factors, their terminals |
//! | `arrivals`, `porch` | terminals that wait to be let in by a browser |
//! | `look`, `shelf`, `pour` | who may read a recording; those that are played, held open; long answers |
//! | `film`, `inside`, `event`, `taken`, `previews`, `comments` | what a browser's player gets: pictures, what stands in it, other formats, small pictures, what people say of it |
//! | `inflow`, `sealing` | recordings as they arrive, and on their way into the final store |
//! | `live` | the sessions that go on, as nodes tell of them |
//! | `issue`, `keys` | certificates and the keys that sign them |
//! | `ledger` | what is audited |
//! | `storage` | who may put how much on auth's disk |
//! | `signin`, `password`, `throttle`, `secret` | sign-in |

mod access;
mod arrivals;
mod audit;
mod auth;
mod bodies;
mod browser;
mod budget;
mod clock;
mod comments;
mod error;
mod event;
mod factors;
mod film;
mod gate;
mod inflow;
mod inside;
mod issue;
mod keys;
mod lately;
mod ledger;
mod links;
mod live;
mod locks;
mod look;
mod looks;
mod machines;
mod parts;
mod passkeys;
mod password;
mod people;
mod porch;
mod pour;
mod previews;
mod query;
mod receive;
mod recordings;
mod routes;
mod safe;
mod sealing;
mod search;
mod secret;
mod segments;
mod serve;
mod shelf;
mod signin;
mod steps;
mod storage;
mod taken;
mod terminal;
#[cfg(test)]
mod tests;
mod throttle;
mod web;

pub use error::Error;
pub use keys::KeysError;
pub use password::HashError;
pub use serve::{Prepared, prepare, serve};
pub use storage::{Bounds, Share};
// For the fuzz targets: what reads a stranger's words.
#[doc(hidden)]
pub use {
    event::classes, film::place, inside::pattern, issue::read_key, query::Query, search::Wish,
};

use model::{NodeName, UserName};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What auth needs to know. Parsed once, by the door.
#[derive(Debug, Clone)]
pub struct Config {
    /// Auth's own folder: keys, database, recordings. Made if it is not there.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one. Only proxies need to reach it.
    pub listen: SocketAddr,
    /// Name of the cluster; it cannot be changed later.
    pub cluster: NodeName,
    /// Who the first invitation is for, while nobody has signed up.
    pub admin: Option<UserName>,
    /// The name of a proxy that joins from another process, for whom each start makes an invitation.
    pub proxy: Option<NodeName>,
    /// Who may put how much on its disk.
    pub bounds: Bounds,
    /// Version of scry, for the ledger.
    pub version: String,
}
