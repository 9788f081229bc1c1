//! The room as a whole, on loopback: trust, identities, the front, calls, streams and tunnels.

#[cfg(test)]
mod kit;

use bytes::Bytes;
use kit::{
    Cluster, Say, bytes_of, hash, node, one_arrival, port, serving, tunnel_port, user, who, within,
};
use link::front::{Arrival, Menu};
use link::http::{CallError, Channel, Client, Dialer, Trouble};
use link::tls::{Badge, PeerIdentity, Trust, client_tls};
use link::tunnel::{Knocks, Tunnel, Tunnels};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::Fault;
use wire::name::{ALPN_AUTH, ALPN_HTTP2, ALPN_TUNNEL, AUTH_SERVER, PROXY_SERVER};

#[tokio::test]
async fn a_client_with_the_right_pin_gets_in_and_learns_the_authority() {
    let cluster = Cluster::new();
    let (server, _tasks) = serving(&cluster).await;
    let tls = client_tls(&Trust::Pin(cluster.pin()), None, &[ALPN_HTTP2]).unwrap();
    assert!(tls.authority().is_none());
    let dialer = Dialer::new(server.to_string(), PROXY_SERVER, tls);
    let client = dialer.dial().await.unwrap();
    let answer = client.call(&Say { text: "who".to_owned() }).await.unwrap();
    assert_eq!(answer.text, "nobody");
    let learnt = dialer.authority().unwrap().to_owned();
    assert_eq!(link::tls::pin_of(&learnt).unwrap(), cluster.pin());
    assert_eq!(who(&cluster, Trust::Authority(learnt), None).await.unwrap(), "nobody");
}

#[tokio::test]
async fn a_stranger_is_refused_by_pin_and_by_authority_with_words_that_help() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    for trust in [Trust::Pin(other.pin()), Trust::Authority(other.authority())] {
        let error = who(&cluster, trust, None).await.unwrap_err();
        let CallError::Unreachable { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(**source, Trouble::Stranger(_)), "{source:?}");
        assert!(source.to_string().contains("not of the cluster this machine trusts"), "{source}");
    }
}

#[tokio::test]
async fn another_server_of_the_same_cluster_is_not_taken_for_a_proxy() {
    let cluster = Cluster::new();
    let (server, _tasks) = serving(&cluster).await;
    for trust in [Trust::Pin(cluster.pin()), Trust::Authority(cluster.authority())] {
        let tls = client_tls(&trust, None, &[ALPN_HTTP2]).unwrap();
        let error = Dialer::new(server.to_string(), AUTH_SERVER, tls).dial().await.unwrap_err();
        assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
    }
}

#[test]
fn a_pin_that_is_none_is_refused() {
    for pin in ["", "abc", &"g".repeat(64)] {
        assert!(client_tls(&Trust::Pin(pin.to_owned()), None, &[]).is_err());
    }
}

#[tokio::test]
async fn the_server_reads_who_the_client_is_from_its_certificate() {
    let cluster = Cluster::new();
    for (identity, text) in [
        (user("alice"), "user alice"),
        (PeerIdentity::Node(node("web-01")), "node web-01"),
        (PeerIdentity::Proxy(node("p1")), "proxy p1"),
    ] {
        let said = who(&cluster, Trust::Authority(cluster.authority()), Some(&identity)).await;
        assert_eq!(said.unwrap(), text);
    }
}

#[tokio::test]
async fn a_certificate_of_another_cluster_or_of_the_past_is_turned_away() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let strange = other.badge(&user("alice"), &[]);
    let old = cluster.badge_until(&user("alice"), &[], -60_000);
    for badge in [strange, old] {
        let (server, _tasks) = serving(&cluster).await;
        let tls = client_tls(&Trust::Authority(cluster.authority()), Some(&badge), &[ALPN_HTTP2]);
        let dialer = Dialer::new(server.to_string(), PROXY_SERVER, tls.unwrap());
        let error = async { dialer.dial().await?.call(&Say { text: "who".to_owned() }).await };
        let error = error.await.unwrap_err();
        let CallError::Unreachable { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(**source, Trouble::Turned(_)), "{source:?}");
        assert!(source.to_string().contains("sign in again"));
    }
}

#[tokio::test]
async fn a_renewed_badge_is_shown_from_the_next_handshake_on() {
    let cluster = Cluster::new();
    let badge = cluster.badge(&user("alice"), &[]);
    let (server, _tasks) = serving(&cluster).await;
    let trust = Trust::Authority(cluster.authority());
    let tls = client_tls(&trust, Some(&badge), &[ALPN_HTTP2]).unwrap();
    let channel = Channel::new(Dialer::new(server.to_string(), PROXY_SERVER, tls));
    let ask = || async { channel.call(&Say { text: "who".to_owned() }).await.unwrap().text };
    assert_eq!(ask().await, "user alice");
    badge.replace(&cluster.identity(&user("bob"), &[], 3_600_000)).unwrap();
    assert_eq!(ask().await, "user alice", "an open connection keeps what it has");
    channel.renew().await;
    assert_eq!(ask().await, "user bob");
}

#[tokio::test]
async fn a_chain_with_the_wrong_key_is_no_badge() {
    let cluster = Cluster::new();
    let mut identity = cluster.identity(&user("alice"), &[], 1000);
    identity.key = cluster.identity(&user("bob"), &[], 1000).key;
    assert!(Badge::new(&identity).is_err());
}

#[tokio::test]
async fn calls_fail_with_the_fault_and_the_words_of_the_service() {
    let cluster = Cluster::new();
    let (client, _tasks) = kit::client(&cluster, &user("alice")).await;
    let refused = |outcome: Result<kit::Said, CallError>| match outcome.unwrap_err() {
        CallError::Refused(failure) => failure,
        other => panic!("{other:?}"),
    };
    let denied = refused(client.call(&Say { text: "deny me".to_owned() }).await);
    assert_eq!((denied.fault, denied.message.as_str()), (Fault::Denied, "no rule allows it"));
    let missing = refused(client.post_bytes("/v1/nothing", Bytes::new()).await);
    assert_eq!(missing.fault, Fault::NotFound);
    let garbage = refused(client.post_bytes("/v1/say", Bytes::from_static(b"{\"te")).await);
    assert_eq!(garbage.fault, Fault::Malformed);
    let huge = Bytes::from(vec![b' '; model::limit::REQUEST_BYTES + 1]);
    let huge = refused(client.post_bytes("/v1/say", huge).await);
    assert!(huge.message.contains("longer than"), "{}", huge.message);
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_held_shorter() {
    let cluster = Cluster::new();
    let (server, _tasks) = serving(&cluster).await;
    let tls = client_tls(&Trust::Pin(cluster.pin()), None, &[ALPN_HTTP2]).unwrap();
    let client = Dialer::new(server.to_string(), PROXY_SERVER, tls).dial().await.unwrap();
    let text = "x".repeat(model::limit::REQUEST_BYTES_OF_NOBODY);
    let error = client.call(&Say { text }).await.unwrap_err();
    assert!(error.to_string().contains("longer than 65536 bytes"), "{error}");
    let mut floods = Vec::new();
    for _ in 0..model::limit::STREAMS_OF_NOBODY {
        floods.push(client.connect("flood", &[]).await.unwrap());
    }
    let one_more = client.connect("flood", &[]);
    let waits = tokio::time::timeout(Duration::from_millis(200), one_more).await;
    assert!(waits.is_err(), "one stream more waits until another has ended");
    drop(floods);
    within(client.connect("echo", &[])).await.unwrap();
}

#[tokio::test]
async fn bytes_and_lines_are_read_within_their_bounds() {
    let cluster = Cluster::new();
    let (client, _tasks) = kit::client(&cluster, &user("alice")).await;
    let (headers, bytes) = client.get_bytes("/v1/bytes", 1 << 20).await.unwrap();
    assert_eq!(headers.get("scry-total").unwrap(), "300000");
    assert_eq!(bytes.len(), 300_000);
    let error = client.get_bytes("/v1/bytes", 1000).await.unwrap_err();
    assert!(error.to_string().contains("longer than 1000 bytes"), "{error}");
    let mut lines = client.lines::<kit::Said>("/v1/lines").await.unwrap();
    let mut heard = Vec::new();
    while let Some(said) = lines.next().await.unwrap() {
        heard.push(said.text);
    }
    assert_eq!(heard, ["one", "two", "three"]);
}

#[tokio::test]
async fn nobody_there_is_said_in_words() {
    let cluster = Cluster::new();
    let tls = client_tls(&Trust::Authority(cluster.authority()), None, &[ALPN_HTTP2]).unwrap();
    let address = format!("127.0.0.1:{}", port().await);
    let error = Dialer::new(&address, PROXY_SERVER, tls).dial().await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach {address}"));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("no connection:"), "{source}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_go_both_ways_with_their_tail() {
    let cluster = Cluster::new();
    let (client, _tasks) = kit::client(&cluster, &user("alice")).await;
    let sent = bytes_of(50 << 20);
    let wanted = hash(&sent);
    let stream = client.connect("echo", &[]).await.unwrap();
    drop(client);
    let (mut read, mut write) = tokio::io::split(stream);
    let writing = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let reading = async {
        let mut back = Vec::new();
        read.read_to_end(&mut back).await.unwrap();
        back
    };
    let ((), back) = tokio::join!(writing, reading);
    assert_eq!((back.len(), hash(&back)), (sent.len(), wanted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_before_a_drop_arrives() {
    let cluster = Cluster::new();
    let (client, _tasks) = kit::client(&cluster, &user("alice")).await;
    for length in [1, 70_000, 1_500_000] {
        let mut stream = client.connect("count", &[]).await.unwrap();
        stream.write_all(&bytes_of(length)).await.unwrap();
        drop(stream);
        let mut heard = 0;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let said = client.call(&Say { text: "counted".to_owned() }).await.unwrap();
            heard = said.text.parse().unwrap();
            if heard == length {
                break;
            }
        }
        assert_eq!(heard, length, "written, then dropped without a shutdown");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stall_block_nobody_else() {
    let cluster = Cluster::new();
    let (client, _tasks) = kit::client(&cluster, &user("alice")).await;
    let mut stalled = Vec::new();
    for _ in 0..24 {
        stalled.push(client.connect("flood", &[]).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let mut stream = client.connect("echo", &[]).await.unwrap();
    let sent = bytes_of(5 << 20);
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let writing = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let bound = Duration::from_secs(10);
    let both = async { tokio::join!(writing, read.read_to_end(&mut back)).1.unwrap() };
    tokio::time::timeout(bound, both).await.expect("24 stalled streams block this one");
    assert_eq!(hash(&back), hash(&sent));
    client.call(&Say { text: "who".to_owned() }).await.unwrap();
    assert!(began.elapsed() < bound);
    drop(stalled);
}

#[tokio::test]
async fn a_connection_for_auth_passes_untouched_and_auth_learns_the_clients_address() {
    let cluster = Cluster::new();
    let (mut front, proxy) = kit::front(&cluster, Menu::proxy(), &[PROXY_SERVER]);
    let relays = vec!["127.0.0.1".parse().unwrap()];
    let (auth_front, auth) = kit::front(&cluster, Menu::auth(relays), &[AUTH_SERVER]);
    let mut tasks = JoinSet::new();
    tasks.spawn(kit::serve_front(auth_front));
    let seen = tasks.spawn(async move {
        let Arrival::Auth(raw) = one_arrival(&mut front).await else { panic!("not for auth") };
        let mut upstream = TcpStream::connect(auth).await.unwrap();
        let line = link::front::relay_line("192.0.2.9:4711".parse().unwrap(), proxy);
        upstream.write_all(line.as_bytes()).await.unwrap();
        link::pipe(raw, upstream).await.unwrap();
    });
    let badge = cluster.badge(&user("alice"), &[]);
    let tls = client_tls(&Trust::Pin(cluster.pin()), Some(&badge), &[ALPN_AUTH]).unwrap();
    let client = Dialer::new(proxy.to_string(), AUTH_SERVER, tls).dial().await.unwrap();
    for (asked, wanted) in [("who", "user alice"), ("where", "192.0.2.9:4711")] {
        let answer = client.call(&Say { text: asked.to_owned() }).await.unwrap();
        assert_eq!(answer.text, wanted);
    }
    assert!(!seen.is_finished());
}

#[tokio::test]
async fn a_relay_line_is_not_believed_from_an_address_that_is_no_relay() {
    let cluster = Cluster::new();
    let (front, auth) = kit::front(&cluster, Menu::auth(Vec::new()), &[AUTH_SERVER]);
    let mut tasks = JoinSet::new();
    tasks.spawn(kit::serve_front(front));
    let relay = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = relay.local_addr().unwrap();
    relay.set_nonblocking(true).unwrap();
    let relay = tokio::net::TcpListener::from_std(relay).unwrap();
    tasks.spawn(async move {
        let (client, _) = relay.accept().await.unwrap();
        let mut upstream = TcpStream::connect(auth).await.unwrap();
        upstream.write_all(b"PROXY TCP4 192.0.2.9 192.0.2.1 1 2\r\n").await.unwrap();
        link::pipe(client, upstream).await.unwrap();
    });
    let tls = client_tls(&Trust::Pin(cluster.pin()), None, &[ALPN_AUTH]).unwrap();
    let client = Dialer::new(address.to_string(), AUTH_SERVER, tls).dial().await.unwrap();
    let said = client.call(&Say { text: "where".to_owned() }).await.unwrap();
    assert!(said.text.starts_with("127.0.0.1:"), "{}", said.text);
}

#[tokio::test]
async fn ssh_is_known_by_its_line_and_by_silence() {
    let cluster = Cluster::new();
    let (mut front, address) = kit::front(&cluster, Menu::proxy(), &[PROXY_SERVER]);
    let mut talker = TcpStream::connect(address).await.unwrap();
    talker.write_all(b"SSH-2.0-Test\r\n").await.unwrap();
    let Arrival::Ssh(mut raw) = one_arrival(&mut front).await else { panic!("not SSH") };
    let mut line = [0; 14];
    raw.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"SSH-2.0-Test\r\n", "its first bytes are still there");

    let began = Instant::now();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let Arrival::Ssh(mut raw) = one_arrival(&mut front).await else { panic!("not SSH") };
    assert!(began.elapsed() >= Duration::from_millis(model::limit::SILENT_CLIENT_MS));
    raw.write_all(b"SSH-2.0-Server\r\n").await.unwrap();
    let mut heard = [0; 16];
    silent.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"SSH-2.0-Server\r\n");
}

#[tokio::test]
async fn hostile_greetings_end_without_an_arrival_and_the_port_goes_on() {
    let cluster = Cluster::new();
    let (front, address) = kit::front(&cluster, Menu::proxy(), &[PROXY_SERVER]);
    let mut tasks = JoinSet::new();
    tasks.spawn(kit::serve_front(front));
    let mut endless = vec![0x16, 3, 1, 0x40, 0];
    endless.extend_from_slice(&[1; 64 * 1024]);
    for greeting in [
        &b"\0\0\0\0"[..],
        b"SSX-2.0-",
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff",
        &endless,
        b"",
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let _ = client.write_all(greeting).await;
        let _ = client.shutdown().await;
        let _ = client.read_to_end(&mut Vec::new()).await;
    }
    let mut browser = TcpStream::connect(address).await.unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut told = String::new();
    browser.read_to_string(&mut told).await.unwrap();
    assert!(told.contains("400") && told.ends_with("use https:// instead.\n"), "{told:?}");
    let said = {
        let tls = client_tls(&Trust::Pin(cluster.pin()), None, &[ALPN_HTTP2]).unwrap();
        let client = Dialer::new(address.to_string(), PROXY_SERVER, tls).dial().await.unwrap();
        client.call(&Say { text: "who".to_owned() }).await.unwrap()
    };
    assert_eq!(said.text, "nobody");
}

#[tokio::test]
async fn one_address_cannot_take_all_the_handshakes() {
    let cluster = Cluster::new();
    let (front, address) = kit::front(&cluster, Menu::proxy(), &[PROXY_SERVER]);
    let mut tasks = JoinSet::new();
    tasks.spawn(kit::serve_front(front));
    let mut slow = Vec::new();
    for _ in 0..model::limit::HANDSHAKES_PER_ADDRESS + 10 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&[0x16]).await.unwrap();
        slow.push(client);
    }
    let mut closed = 0;
    for client in &mut slow {
        let reading = client.read_u8();
        if tokio::time::timeout(Duration::from_millis(20), reading).await.is_ok() {
            closed += 1;
        }
    }
    assert_eq!(closed, 10, "those beyond the bound, and only they, were closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_reached_through_its_tunnel_and_comes_back_after_the_proxy_does() {
    let cluster = Cluster::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let badge = cluster.badge(&PeerIdentity::Node(node("web-01")), &[]);
    let trust = Trust::Authority(cluster.authority());
    let tls = client_tls(&trust, Some(&badge), &[ALPN_TUNNEL]).unwrap();
    let mut knocks = Knocks::new();
    let tunnel = Tunnel::new(Dialer::new(address.to_string(), PROXY_SERVER, tls), &knocks);
    let mut up = tunnel.up();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let running = tasks.spawn(tunnel.run(stop.clone()));

    let client: SocketAddr = "192.0.2.9:4711".parse().unwrap();
    let mut listener = Some(listener);
    for round in 0..2 {
        let tunnels = Tunnels::default();
        assert!(tunnels.open(&node("web-01"), client).await.is_err(), "not connected yet");
        let bound = match listener.take() {
            Some(listener) => listener,
            None => {
                within(async {
                    loop {
                        match std::net::TcpListener::bind(address) {
                            Ok(listener) => break listener,
                            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                        }
                    }
                })
                .await
            }
        };
        let mut proxy = JoinSet::new();
        proxy.spawn(tunnel_port(cluster.clone(), tunnels.clone(), bound));
        within(up.wait_for(|up| *up)).await.unwrap();
        let opened = within(async {
            loop {
                match tunnels.open(&node("web-01"), client).await {
                    Ok(stream) => break stream,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        let (mut near, knock) = tokio::join!(opened, within(knocks.next()));
        assert_eq!(knock.client, Some(client));
        assert_eq!(knock.proxy, Some(node("front")), "by the certificate that it showed");
        let mut far = knock.open().unwrap();
        near.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        within(far.read_exact(&mut heard)).await.unwrap();
        assert_eq!(&heard, b"ping", "round {round}");
        let missing = tunnels.open(&node("web-02"), client).await.unwrap_err();
        assert!(missing.to_string().contains("no node named web-02"), "{missing}");
        proxy.shutdown().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(tunnels.nodes().is_empty(), "a tunnel that nobody holds is forgotten");
        drop(near);
        let rest = within(far.read(&mut heard)).await;
        assert!(matches!(rest, Ok(0) | Err(_)), "the stream ends: {rest:?}");
        drop(far);
        within(up.wait_for(|up| !*up)).await.unwrap();
    }
    stop.cancel();
    within(async {
        while !running.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await
        }
    })
    .await;
}

#[tokio::test]
async fn the_newest_tunnel_is_used_and_dead_ones_are_forgotten() {
    let tunnels = Tunnels::default();
    let name = node("web-01");
    let mut tasks = JoinSet::new();
    let mut ends = Vec::new();
    for mark in ["old", "new"] {
        let (near, far) = tokio::io::duplex(1 << 20);
        let node_side = tasks.spawn(kit::marked(far, mark));
        let (tunnels, name) = (tunnels.clone(), name.clone());
        tasks.spawn(async move {
            let _ = tunnels.hold(&name, near, CancellationToken::new()).await;
        });
        ends.push(node_side);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let client: SocketAddr = "192.0.2.9:1".parse().unwrap();
    for (mark, kill) in [("new", 1), ("old", 0)] {
        let mut heard = String::new();
        let mut stream = tunnels.open(&name, client).await.unwrap();
        stream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, mark);
        ends[kill].abort();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(tunnels.open(&name, client).await.is_err());
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(tunnels.nodes().is_empty());
}

#[tokio::test]
async fn a_channel_dials_again_when_its_connection_is_gone() {
    let cluster = Cluster::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tls = client_tls(&Trust::Pin(cluster.pin()), None, &[ALPN_HTTP2]).unwrap();
    let channel = Channel::new(Dialer::new(address.to_string(), PROXY_SERVER, tls));
    let mut bound = Some(listener);
    for _ in 0..2 {
        let listener =
            bound.take().unwrap_or_else(|| std::net::TcpListener::bind(address).unwrap());
        let (front, _) = kit::front_on(&cluster, Menu::proxy(), &[PROXY_SERVER], listener);
        let mut server = JoinSet::new();
        server.spawn(kit::serve_front(front));
        let answer = channel.call(&Say { text: "who".to_owned() }).await.unwrap();
        assert_eq!(answer.text, "nobody");
        server.shutdown().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = channel.call(&Say { text: "who".to_owned() }).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_does_not_speak_http2_is_named_as_such() {
    let (near, mut far) = tokio::io::duplex(4096);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        far.write_all(b"220 mail.example.org ESMTP ready for anything you have to say\r\n")
            .await
            .unwrap();
        let _ = far.read_to_end(&mut Vec::new()).await;
    });
    let outcome =
        async { Client::over(near, "mail:25").await?.call(&Say { text: "who".to_owned() }).await };
    let error = within(outcome).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot reach mail:25");
}

#[tokio::test]
async fn a_peer_that_answers_nothing_is_given_up_within_half_a_minute() {
    let (near, _far) = tokio::io::duplex(1 << 20);
    let client = Client::over(near, "the silence").await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!client.is_closed());
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(client.is_closed(), "PING went unanswered");
}
