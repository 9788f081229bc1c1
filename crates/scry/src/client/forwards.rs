//! `-L`, `-R` and `-D` of `scry ssh`.

use crate::cli::Ssh;
use crate::show;
use anyhow::{Context as _, Result, bail};
use link::ssh::client::Client;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Connections of one forward at once. Wait: more stay in the kernel's queue.
const CONNECTIONS: usize = 256;

/// Opens every forward that was asked for. The tasks end with `tasks`.
pub async fn start(mut client: Client, args: &Ssh, tasks: &mut JoinSet<()>) -> Result<Arc<Client>> {
    let mut targets = Vec::new();
    for spec in &args.remote {
        let spec: Spec = spec.parse()?;
        let (host, port) = spec.target.context("-R needs [ADDRESS:]PORT:HOST:PORT")?;
        let given = client
            .listen(spec.address.as_deref().unwrap_or("localhost"), spec.port.into())
            .await
            .with_context(|| format!("the node does not listen on port {}", spec.port))?;
        if spec.port == 0 {
            show::remark(format!(
                "Allocated port {given} for the remote forward to {host}:{port}."
            ));
        }
        targets.push((given, host, port));
    }
    let mut arrivals = client.take_arrivals();
    let client = Arc::new(client);
    if !targets.is_empty() {
        tasks.spawn(async move {
            let mut pipes = JoinSet::new();
            while let Some(arrival) = arrivals.recv().await {
                let target = targets.iter().find(|(port, _, _)| *port == arrival.port).cloned();
                pipes.spawn(async move {
                    let Some((_, host, port)) = target else {
                        return arrival.pipe.output.close().await;
                    };
                    match TcpStream::connect((host.as_str(), port)).await {
                        Ok(stream) => drop(arrival.pipe.join(stream).await),
                        Err(error) => {
                            show::remark(format!("scry: cannot reach {host}:{port}: {error}"));
                            arrival.pipe.output.close().await;
                        }
                    }
                });
                reap(&mut pipes).await;
            }
        });
    }
    for spec in &args.local {
        let spec: Spec = spec.parse()?;
        let target = spec.target.clone().context("-L needs [ADDRESS:]PORT:HOST:PORT")?;
        listen(&spec, Some(target), &client, tasks).await?;
    }
    for spec in &args.dynamic {
        let spec: Spec = spec.parse()?;
        listen(&spec, None, &client, tasks).await?;
    }
    Ok(client)
}

async fn listen(
    spec: &Spec,
    target: Option<(String, u16)>,
    client: &Arc<Client>,
    tasks: &mut JoinSet<()>,
) -> Result<()> {
    let address = spec.address.as_deref().unwrap_or("127.0.0.1");
    let listener = TcpListener::bind((address, spec.port))
        .await
        .with_context(|| format!("cannot listen on {address}:{}", spec.port))?;
    let client = Arc::clone(client);
    tasks.spawn(async move {
        let mut pipes = JoinSet::new();
        while let Ok((stream, origin)) = listener.accept().await {
            let (client, target) = (Arc::clone(&client), target.clone());
            pipes.spawn(async move {
                if let Err(error) = carry(&client, stream, origin, target).await {
                    show::remark(format!("scry: forward: {error:#}"));
                }
            });
            reap(&mut pipes).await;
        }
    });
    Ok(())
}

/// Forgets the pipes that have ended, and waits while there are too many.
async fn reap(pipes: &mut JoinSet<()>) {
    while pipes.try_join_next().is_some() {}
    while pipes.len() >= CONNECTIONS {
        pipes.join_next().await;
    }
}

async fn carry(
    client: &Client,
    mut stream: TcpStream,
    origin: SocketAddr,
    target: Option<(String, u16)>,
) -> Result<()> {
    let origin = (origin.ip().to_string(), u32::from(origin.port()));
    if let Some((host, port)) = target {
        let pipe = client.direct(&host, port.into(), origin).await?;
        pipe.join(stream).await;
        return Ok(());
    }
    let (host, port) = socks_request(&mut stream).await?;
    match client.direct(&host, port.into(), origin).await {
        Ok(pipe) => {
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
            pipe.join(stream).await;
            Ok(())
        }
        Err(error) => {
            stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
            Err(error.into())
        }
    }
}

/// Reads a SOCKS 5 CONNECT without authentication (RFC 1928 §3–4).
async fn socks_request(stream: &mut TcpStream) -> Result<(String, u16)> {
    let mut two = [0; 2];
    stream.read_exact(&mut two).await?;
    let [version, methods] = two;
    if version != 5 {
        bail!("only SOCKS 5 is spoken here, not version {version}");
    }
    let mut offered = vec![0; methods.into()];
    stream.read_exact(&mut offered).await?;
    if !offered.contains(&0) {
        stream.write_all(&[5, 0xff]).await?;
        bail!("the SOCKS client wants a password; none is needed here");
    }
    stream.write_all(&[5, 0]).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [_, command, _, kind] = head;
    if command != 1 {
        stream.write_all(&[5, 7, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        bail!("SOCKS command {command} is not supported");
    }
    let host = match kind {
        1 => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        4 => Ipv6Addr::from(stream.read_u128().await?).to_string(),
        3 => {
            let mut name = vec![0; stream.read_u8().await?.into()];
            stream.read_exact(&mut name).await?;
            String::from_utf8(name).context("a SOCKS host name is no text")?
        }
        _ => bail!("SOCKS address type {kind} is not supported"),
    };
    Ok((host, stream.read_u16().await?))
}

/// `[ADDRESS:]PORT[:HOST:PORT]`; addresses with colons stand in brackets.
#[derive(Debug, PartialEq, Eq)]
struct Spec {
    address: Option<String>,
    port: u16,
    target: Option<(String, u16)>,
}

impl std::str::FromStr for Spec {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || format!("{text:?} is no forward; write [ADDRESS:]PORT:HOST:PORT");
        let parts = split(text);
        let port = |part: &String| part.parse::<u16>().with_context(wrong);
        let (address, own, target) = match parts.as_slice() {
            [own] => (None, port(own)?, None),
            [address, own] => (Some(address.clone()), port(own)?, None),
            [own, host, there] => (None, port(own)?, Some((host.clone(), port(there)?))),
            [address, own, host, there] => {
                (Some(address.clone()), port(own)?, Some((host.clone(), port(there)?)))
            }
            _ => bail!(wrong()),
        };
        Ok(Self { address, port: own, target })
    }
}

/// Splits at colons outside brackets, and drops the brackets.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut inside) = (vec![String::new()], false);
    for c in text.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            ':' if !inside => parts.push(String::new()),
            other => parts.last_mut().into_iter().for_each(|part| part.push(other)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_are_read_as_ssh_reads_them() {
        let spec = |address: Option<&str>, port, target: Option<(&str, u16)>| Spec {
            address: address.map(str::to_owned),
            port,
            target: target.map(|(host, port)| (host.to_owned(), port)),
        };
        for (text, expected) in [
            ("1080", spec(None, 1080, None)),
            ("127.0.0.1:1080", spec(Some("127.0.0.1"), 1080, None)),
            ("80:db:5432", spec(None, 80, Some(("db", 5432)))),
            ("[::1]:80:[fe80::1]:22", spec(Some("::1"), 80, Some(("fe80::1", 22)))),
        ] {
            assert_eq!(text.parse::<Spec>().unwrap(), expected, "{text}");
        }
        for bad in ["", "x", "1:2:3:4:5", "80:db:http"] {
            assert!(bad.parse::<Spec>().is_err(), "{bad}");
        }
    }
}
