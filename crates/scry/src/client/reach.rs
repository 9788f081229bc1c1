//! Reaching the cluster: auth through the proxy, and nodes through the proxy. One place for trust and identity.

use super::profile::{Address, Profile};
use crate::cli::WebLink;
use anyhow::{Context as _, Result};
use link::http::{Client, Dialer};
use link::tls::{Badge, TlsIdentity, Trust, client_tls};
use model::NodeName;
use wire::name::{ALPN_AUTH, ALPN_HTTP2, AUTH_SERVER, LINK_HEADER, PROXY_SERVER};

/// Auth, as a signed-in person reaches it.
pub type Auth = Client;

/// Reaches auth with nothing but the pin of its authority.
pub async fn stranger(at: &Address) -> Result<Auth> {
    let tls = client_tls(&Trust::Pin(at.pin.clone()), None, &[ALPN_AUTH])?;
    Ok(Dialer::new(at.address.clone(), AUTH_SERVER, tls).dial().await?)
}

/// Reaches auth as the person of a profile.
pub async fn auth(profile: &Profile) -> Result<Auth> {
    Ok(dialer(profile, AUTH_SERVER, ALPN_AUTH)?.dial().await?)
}

/// Opens a byte stream to a node's SSH server. `node` is its name, with or without the cluster's behind it.
pub async fn node(profile: &Profile, node: &str) -> Result<link::http::ByteStream> {
    let name = node_name(profile, node);
    let proxy = dialer(profile, PROXY_SERVER, ALPN_HTTP2)?.dial().await?;
    proxy.connect(name, &[]).await.with_context(|| format!("cannot reach the node {name}"))
}

/// As [`node`], for a guest by a link: with nothing but its pin and its code.
pub async fn node_as_guest(link: &WebLink, node: &NodeName) -> Result<link::http::ByteStream> {
    let tls = client_tls(&Trust::Pin(link.pin.clone()), None, &[ALPN_HTTP2])?;
    let proxy = Dialer::new(link.address.clone(), PROXY_SERVER, tls).dial().await?;
    let code = [(LINK_HEADER, link.code.clone())];
    let stream = proxy.connect(node.as_str(), &code).await;
    stream.with_context(|| format!("cannot reach the node {node}"))
}

/// A node's name without the cluster's.
pub fn node_name<'a>(profile: &Profile, node: &'a str) -> &'a str {
    let cluster = &profile.cluster.name;
    node.strip_suffix(cluster.as_str()).and_then(|name| name.strip_suffix('.')).unwrap_or(node)
}

fn dialer(profile: &Profile, name: &'static str, protocol: &[u8]) -> Result<Dialer> {
    let files = profile.files();
    let identity = TlsIdentity::new(
        Profile::read(&files.tls_certificate())?,
        Profile::read(&files.tls_key())?,
    );
    let trust = Trust::Authority(profile.cluster.tls_authority.clone());
    let tls = client_tls(&trust, Some(&Badge::new(&identity)?), &[protocol])?;
    Ok(Dialer::new(profile.address.clone(), name, tls))
}
