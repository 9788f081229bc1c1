//! Signing up, signing in, users, roles.

use crate::web::Shown;
use crate::{Done, call};
use model::role::Role;
use model::{Login, RoleName, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Takes up an invitation and sets the password. Needs no identity; the code is the proof.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SignUp {
    /// Secret of the invitation.
    pub code: String,
    /// The new password.
    pub password: String,
}

/// Who may take up an invitation, so that a client can greet them before asking for a password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReadInvitation {
    /// Secret of the invitation.
    pub code: String,
}

/// An invitation, to the person who holds it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Invitation {
    /// Cluster it is for.
    pub cluster: String,
    /// Whom it is for.
    pub user: UserName,
    /// Last moment to take it up.
    pub expires: Time,
}

/// Signs in. Needs no identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignIn {
    /// Who.
    pub user: UserName,
    /// The password.
    pub password: String,
    /// The client's SSH public key, OpenSSH format (`ssh-ed25519 AAAA…`).
    pub ssh_key: String,
    /// PKCS#10 request for the TLS certificate, PEM; its subject is ignored.
    pub tls_request: String,
    /// Wished life of the certificates in milliseconds; roles may give less.
    #[serde(default)]
    pub wanted_ms: Option<i64>,
    /// A second factor, where one is wanted ([`crate::Fault::SecondFactor`]); never a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Shown>,
}

/// What a signed-in client holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// Who.
    pub user: UserName,
    /// SSH user certificate, OpenSSH format, one line.
    pub ssh_certificate: String,
    /// TLS client certificate chain, PEM.
    pub tls_certificate: String,
    /// Last moment of both.
    pub expires: Time,
    /// The cluster as it stands.
    pub cluster: ClusterFacts,
}

/// What everybody in a cluster may know of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ClusterFacts {
    /// Its name; also the domain of its nodes in generated SSH settings.
    pub name: String,
    /// TLS authority certificates, PEM.
    pub tls_authority: String,
    /// User authority keys, OpenSSH format.
    pub user_authority: Vec<String>,
    /// Host authority keys, OpenSSH format.
    pub host_authority: Vec<String>,
    /// Keys that certify recording signers and sign receipts, `scry-seal:` and base64; newest first.
    pub seal_keys: Vec<String>,
    /// Keys that sign the ledger's head, `scry-ledger:` and base64; newest first.
    pub ledger_keys: Vec<String>,
}

/// Facts of the cluster; needs an identity of any kind.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReadCluster {}

/// Makes an invitation. Needs the right over users.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddUser {
    /// Name of the new user; one who exists already gets a new invitation, to set a new password.
    pub user: UserName,
    /// Roles of the new user.
    pub roles: Vec<RoleName>,
    /// Accounts on machines, for roles that allow `{logins}`.
    #[serde(default)]
    pub logins: Vec<Login>,
}

/// The invitation that was made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddedUser {
    /// Its secret; shown once, never stored in clear.
    pub code: String,
    /// Pin of the TLS authority: SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    pub pin: String,
    /// Last moment to take it up.
    pub expires: Time,
}

/// Lists users. Needs the right over users.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListUsers {}

/// A user in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Who.
    pub user: UserName,
    /// With which roles.
    pub roles: Vec<RoleName>,
    /// Accounts on machines, for roles that allow `{logins}`.
    pub logins: Vec<Login>,
    /// Whether a password was set.
    pub signed_up: bool,
    /// Last sign-in.
    pub last_sign_in: Option<Time>,
}

/// Removes a user. Needs the right over users. The last admin cannot be removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemoveUser {
    /// Who.
    pub user: UserName,
}

/// Lists roles. Needs the right over roles.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListRoles {}

/// Makes or replaces a role. Needs the right over roles.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SetRole {
    /// The role.
    pub role: Role,
}

/// Removes a role. Needs the right over roles. `admin` cannot be removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemoveRole {
    /// Which.
    pub role: RoleName,
}

call! {
    SignUp, "sign-up", Done;
    ReadInvitation, "invitation", Invitation;
    SignIn, "sign-in", Credentials;
    ReadCluster, "cluster", ClusterFacts;
    AddUser, "users/add", AddedUser;
    ListUsers, "users/list", Vec<User>;
    RemoveUser, "users/remove", Done;
    ListRoles, "roles/list", Vec<Role>;
    SetRole, "roles/set", Done;
    RemoveRole, "roles/remove", Done;
}
