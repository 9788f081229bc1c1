//! Names that both ends of a connection must agree on: ALPN protocols, TLS server names, certificate extensions.

/// ALPN: the proxy passes the connection, still encrypted, to auth.
pub const ALPN_AUTH: &[u8] = b"scry-auth";
/// ALPN: a node's tunnel; after the handshake the node is the HTTP/2 server.
pub const ALPN_TUNNEL: &[u8] = b"scry-node";
/// ALPN: HTTP/2 to the proxy itself; a client's `CONNECT NODE` is carried to that node.
pub const ALPN_HTTP2: &[u8] = b"h2";
/// ALPN: an ACME server that looks whether a name leads here (RFC 8737 §4); it says nothing but this.
pub const ALPN_ACME: &[u8] = b"acme-tls/1";

/// Domain of the names by which the parts of a cluster know each other; no other certificate may hold one below it.
pub const INTERNAL: &str = "scry.internal";
/// TLS name of every auth service.
pub const AUTH_SERVER: &str = "auth.scry.internal";
/// TLS name of every proxy.
pub const PROXY_SERVER: &str = "proxy.scry.internal";

/// SSH subsystem over which people in a session speak to its node; see [`crate::company`].
pub const COMPANY_SUBSYSTEM: &str = "scry-company";
/// Before a session's id in the SSH user name of whoever wants to join it. No account of a machine can begin like this.
pub const SEAT_PREFIX: char = '+';

/// In place of a seat, of whoever comes back to a session of their own whose connection was lost, and takes the keyboard.
pub const OWNER_SEAT: &str = "owner";
/// Variable by which a client says, with any value, that it can come back to a session that it opens or comes back to. The
/// node takes it itself; no program sees it.
pub const RETURN_VARIABLE: &str = "SCRY_RETURNS";

/// Variable by which a client says, with any value, that its terminal takes the size of what it is shown, by xterm's sequence
/// `CSI 8 ; ROWS ; COLUMNS t`: that of whoever looks on, and that of an owner while somebody else's size counts. The node
/// takes it itself; no program sees it.
pub const FITS_VARIABLE: &str = "SCRY_FITS";

/// Authority of a `CONNECT` stream that reaches a node's SSH server.
pub const NODE_SSH: &str = "ssh.scry.internal:22";

/// Header of a `CONNECT` through a tunnel, and of what a proxy asks auth for a browser: the client's address as the proxy saw it.
pub const CLIENT_ADDRESS_HEADER: &str = "scry-client-address";
/// Header of a guest's `CONNECT`: the code of the link by which they come.
pub const LINK_HEADER: &str = "scry-link";
/// Header in which both ends say [`crate::VERSION`].
pub const VERSION_HEADER: &str = "scry-version";

/// SSH certificate extension with the roles, separated by commas. Domain-suffixed as OpenSSH's PROTOCOL.certkeys asks of foreign names.
pub const ROLES_EXTENSION: &str = "roles@scry";
/// Critical option of a certificate that is for one terminal only ([`crate::web::TerminalGrant`]); no other server takes one with it.
pub const ONLY_OPTION: &str = "only@scry";
