//! Who asks: a person whose certificate was read here, or whose account auth has just looked up.

use model::{Login, RoleName, Time, UserName};

/// A person with roles and logins. Private fields: made by [`crate::read_certificate`] or [`Identity::of_account`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub(crate) user: UserName,
    pub(crate) roles: Vec<RoleName>,
    pub(crate) logins: Logins,
    pub(crate) serial: u64,
    pub(crate) expires: Time,
}

/// Where the accounts that a person may use come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Logins {
    /// Principals of a certificate: a login must be among them, whatever the roles say.
    Certified(Vec<Login>),
    /// Logins of an account: they stand for `{logins}` in roles.
    Account(Vec<Login>),
}

impl Identity {
    /// The identity of an account as it stands in auth's tables at this moment.
    /// Only auth may call it, with what it has just read; `expires` is the end of the TLS certificate used.
    #[must_use]
    pub fn of_account(
        user: UserName,
        roles: Vec<RoleName>,
        logins: Vec<Login>,
        expires: Time,
    ) -> Self {
        Self { user, roles, logins: Logins::Account(logins), serial: 0, expires }
    }

    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// With which roles.
    #[must_use]
    pub fn roles(&self) -> &[RoleName] {
        &self.roles
    }

    /// Principals of the certificate, or logins of the account.
    #[must_use]
    pub fn logins(&self) -> &[Login] {
        match &self.logins {
            Logins::Certified(logins) | Logins::Account(logins) => logins,
        }
    }

    /// Serial number of the SSH certificate; 0 for an account.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Last moment of the certificate.
    #[must_use]
    pub fn expires(&self) -> Time {
        self.expires
    }
}
