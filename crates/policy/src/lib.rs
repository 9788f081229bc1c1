//! Who may do what, until when. Floor 1: certificates are read and planned here, and only here can a permit be made.
//!
//! One core (`judge`) answers every question; the typed doors ([`login`], [`forward`], [`join`], [`recording`],
//! [`admin`]) turn its answer into a permit or a [`Denial`], and [`explain`] shows the same answer with its trace.
//!
//! The rules of the core:
//! - What no role allows is denied. What one role forbids, no other role can allow.
//! - A lock beats every role. It shuts a person, everybody who holds a role, an account, a machine, or one session,
//!   until it is lifted or its time is over, and it counts for what runs as for what is asked for.
//! - What auth changed in an account after a certificate was signed counts, and not what stands in the certificate.
//! - A role that is named in a certificate and does not exist allows nothing, forbids nothing, and stands in the trace.
//! - A login must be a principal of the certificate *and* be allowed by a role that matches the node's labels.
//! - `deny.logins` forbids a login everywhere and `deny.nodes` forbids a node to every login; neither waits for the other.
//!   They speak of reaching machines: recordings made there are a matter of `allow.recordings` alone.
//! - A forward needs everything that the login of its connection needs, decided again, and the forward besides.
//! - A running session is joined by a rule that names a role of its owner, as a seat that stands in the rule; one's own
//!   without a rule, but never as its moderator. No login is needed and none is lent; what one role forbids stays
//!   forbidden: a node, a seat, and typing as a login.
//! - To a session of one's own, and to no other, one comes back as to a new login there: principal, roles and locks as then.
//! - A certificate that was signed for one terminal counts on its node for that one login, or for that one session, and must be
//!   shown within a minute, through the tunnel of the proxy that it was signed for. It forwards nothing, and nothing is asked of auth with it.
//! - A link gives the one seat in the one session that it was made for, to whom it was taken for, until it expires or is
//!   revoked, and as long as the session's owner may share it: a role of the owner's that counts on the node names the seat
//!   in `allow.share`. It gives what `allow.join` lacks and lifts nothing that is forbidden.
//! - A seat lives no longer than its certificate, and a lock on the owner or on one of the owner's roles shuts it too.
//! - What a session has left running at its end runs on whatever becomes of certificates and roles, until a lock shuts it.
//! - Four eyes: each role of the owner that demands somebody must be content; inside a role any one demand is enough.
//!   Who counts holds the role as things stand, and is not the owner.
//! - Terms: the strictest of all roles of the person, except roles that name nodes and do not match this one.

mod address;
mod certificate;
mod denial;
mod door;
mod identity;
mod judge;
mod lock;
mod only;
mod overview;
mod plan;
mod rule;
mod seat;
mod standard;
mod terms;
mod voice;

pub use certificate::{
    CertificateFault, HostIdentity, LOGINS_EXTENSION, ROLES_EXTENSION, carried, read_certificate,
    read_certificate_for_seat, read_host_certificate,
};
pub use denial::{Action, Denial, LinkFault, Why};
pub use door::{
    AdminPermit, ForwardPermit, LoginPermit, Readable, RecordingPermit, Trace, admin, enter,
    explain, forward, forward_goes_on, go_on, login, logins_on, reach, readable, recording,
};
pub use identity::Identity;
pub use judge::{Says, Step};
pub use lock::runs_on;
pub use only::{ONLY_OPTION, Only, Purpose, TerminalTo, plan_terminal_certificate};
pub use overview::{Overview, overview};
pub use plan::{
    CertificatePlan, PlanFault, builder, certificate_ms, demands_second_factor, login_names,
    plan_host_certificate, plan_user_certificate,
};
pub use seat::{
    Grant, ReturnPermit, SeatPermit, SessionFacts, SharePermit, come_back, counts_for,
    explain_join, join, seat_goes_on, seats, share, speak,
};
pub use standard::{RoleFault, default_roles, validate_role};
pub use terms::{Demand, Terms};
pub use voice::{FilePermit, Voice, file, voice};

#[cfg(test)]
mod tests;
