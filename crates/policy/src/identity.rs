//! Who asks: a person as a verified certificate or auth's own tables know them.

use crate::only::Only;
use model::{Login, RoleName, Time, UserName};
use std::collections::BTreeSet;

/// A person whose word was checked: by [`crate::read_certificate`] and its kin, or by auth against its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub(crate) user: UserName,
    pub(crate) roles: BTreeSet<RoleName>,
    /// What `{logins}` stands for.
    pub(crate) logins: BTreeSet<Login>,
    pub(crate) expires: Time,
    pub(crate) certificate: Option<Paper>,
}

/// What a certificate adds to a person: bounds that hold whatever the roles say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paper {
    pub(crate) serial: u64,
    pub(crate) principals: BTreeSet<Login>,
    /// The login that the connection was opened with; none if it was opened to join a session.
    pub(crate) login: Option<Login>,
    pub(crate) permits_pty: bool,
    pub(crate) permits_ports: bool,
    pub(crate) permits_agent: bool,
    pub(crate) permits_x11: bool,
    /// The one thing that it is for, if it is for one thing.
    pub(crate) only: Option<Only>,
}

impl Identity {
    /// A person as auth's tables know them, for auth's own calls and for [`crate::explain`].
    /// The caller has checked who it is; `expires` is the last moment of the certificate that they showed
    /// (or would be given).
    #[must_use]
    pub fn of_account(
        user: UserName,
        roles: impl IntoIterator<Item = RoleName>,
        logins: impl IntoIterator<Item = Login>,
        expires: Time,
    ) -> Self {
        let (roles, logins) = (roles.into_iter().collect(), logins.into_iter().collect());
        Self { user, roles, logins, expires, certificate: None }
    }

    /// Somebody without an account, who calls themselves so: all they may do is to sit where a link lets them. Nothing of
    /// them is checked, because nothing follows from it. `expires` is a bound beside the link's own.
    #[must_use]
    pub fn guest(called: &str, expires: Time) -> Self {
        Self::of_account(UserName::guest(called), [], [], expires)
    }

    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// Roles, whether they exist or not.
    #[must_use]
    pub fn roles(&self) -> &BTreeSet<RoleName> {
        &self.roles
    }

    /// The logins of the account, which `{logins}` stands for.
    #[must_use]
    pub fn logins(&self) -> &BTreeSet<Login> {
        &self.logins
    }

    /// First moment at which it no longer counts.
    #[must_use]
    pub fn expires(&self) -> Time {
        self.expires
    }

    /// Serial number of the certificate; 0 without one.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.certificate.as_ref().map_or(0, |paper| paper.serial)
    }

    /// The login that the connection was opened with; none without a certificate, nor with one that was
    /// read for a seat.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.certificate.as_ref().and_then(|paper| paper.login.as_ref())
    }

    /// The one thing that the certificate is for, if it is for one thing only: a terminal in a browser.
    #[must_use]
    pub fn only(&self) -> Option<&Only> {
        self.certificate.as_ref().and_then(|paper| paper.only.as_ref())
    }

    /// Whether the certificate permits a terminal (`permit-pty`, PROTOCOL.certkeys); yes without one.
    #[must_use]
    pub fn permits_pty(&self) -> bool {
        self.certificate.as_ref().is_none_or(|paper| paper.permits_pty)
    }
}
