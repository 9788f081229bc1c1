//! Who may do what, until when. Floor 1: pure. Only here can a permit be made, and every refusal is a [`Denial`] value.
//!
//! One core (`judge`) collects what every role says; decisions and explanations are two views of it, so they cannot differ.

mod certificate;
mod denial;
mod host;
mod identity;
mod judge;
mod permit;
mod plan;
mod rights;
mod roles;

pub use certificate::read_certificate;
pub use denial::Denial;
pub use host::read_host_certificate;
pub use identity::Identity;
pub use judge::{Says, Step, Trace, explain, forward, login, logins_on};
pub use permit::{AdminPermit, ForwardPermit, LoginPermit, RecordingPermit, Terms};
pub use plan::{CertificatePlan, plan_host_certificate, plan_user_certificate};
pub use rights::{Visible, admin, recording, visible};
pub use roles::{RoleFault, default_roles, validate_role};

#[cfg(test)]
mod tests;
