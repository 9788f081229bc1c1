//! A whole proxy on loopback, between a fake auth and a fake node.

#[cfg(test)]
mod kit;
#[cfg(test)]
#[path = "loopback/web.rs"]
mod web;

use kit::{
    GOOD, Jump, certify, found, found_caller, house, house_with, jump, key, line, node, refused,
    user,
};
use link::http::CallError;
use link::ssh::ssh_key::LineEnding;
use link::ssh::ssh_key::certificate::CertType;
use link::tls::PeerIdentity;
use model::LockTarget;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::Fault;
use wire::name::{ALPN_AUTH, ALPN_TUNNEL, AUTH_SERVER, PROXY_SERVER};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_reaches_a_node_by_each_of_its_names() {
    let mut house = house().await;
    house.node("web-01").await;
    let client = house.client(Some(&user("alice"))).await;
    for name in ["web-01", "web-01:22", "web-01.test.example", "WEB-01.test.example:22"] {
        let (hello, mut stream) = match name {
            "WEB-01.test.example:22" => {
                let mut stream = client.connect(name, &[]).await.unwrap();
                (line(&mut stream).await, stream)
            }
            _ => house.connect(&client, name).await.unwrap(),
        };
        assert!(hello.starts_with("127.0.0.1:"), "the node learns where the client is: {hello}");
        stream.write_all(b"all of it").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).await.unwrap();
        assert_eq!(back, "all of it", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: prints how fast the whole chain carries"]
async fn how_fast_a_stream_to_a_node_and_back_is() {
    let mut house = house().await;
    house.node("web-01").await;
    let client = house.client(Some(&user("alice"))).await;
    let (_, stream) = house.connect(&client, "web-01").await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let total = 512 << 20;
    let began = Instant::now();
    let writing = async {
        let block = vec![7; 64 * 1024];
        for _ in 0..total / block.len() {
            write.write_all(&block).await.unwrap();
        }
        write.shutdown().await.unwrap();
    };
    let mut sink = tokio::io::sink();
    let ((), back) = tokio::join!(writing, tokio::io::copy(&mut read, &mut sink));
    assert_eq!(back.unwrap(), total as u64);
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.0} MB/s each way at once", total as f64 / 1e6 / seconds);
    let (_, mut stream) = house.connect(&client, "web-01").await.unwrap();
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        stream.write_all(b"x").await.unwrap();
        stream.read_u8().await.unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    println!("echo of one byte: median {:?}, worst {:?}", times[100], times[199]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_says_why_and_denials_reach_the_ledger() {
    let mut house = house().await;
    house.node("web-01").await;
    let alice = house.client(Some(&user("alice"))).await;
    let (fault, text) = refused(house.connect(&alice, "db-01").await);
    assert_eq!(fault, Fault::NotFound);
    assert!(text.contains("no node named db-01 is connected"), "{text}");
    let (fault, text) = refused(house.connect(&alice, "db_01").await);
    assert_eq!(fault, Fault::Malformed);
    assert!(text.contains("cannot be a node"), "{text}");
    let nobody = house.client(None).await;
    let (fault, text) = refused(house.connect(&nobody, "web-01").await);
    assert_eq!((fault, text.as_str()), (Fault::Unauthenticated, "sign in first: run `scry login`"));
    let other = house.client(Some(&PeerIdentity::Node(node("web-02")))).await;
    let (fault, text) = refused(house.connect(&other, "web-01").await);
    assert_eq!(fault, Fault::Denied);
    assert!(text.contains("only people may connect to nodes"), "{text}");
    let cluster = Arc::clone(&house.cluster);
    let denials =
        found("two denials", || Some(cluster.denials()).filter(|all| all.len() >= 2)).await;
    assert_eq!(
        denials,
        [
            "connect to \"web-01\": no certificate was shown",
            "connect to \"web-01\": only people may connect to nodes; this is node web-02",
        ]
    );
}

/// One of each kind; a new kind does not compile here until it has its place in the tests of the doors.
fn everybody() -> Vec<PeerIdentity> {
    let all = vec![
        PeerIdentity::Nobody,
        user("alice"),
        PeerIdentity::Node(node("web-02")),
        PeerIdentity::Proxy(node("p2")),
    ];
    for one in &all {
        match one {
            PeerIdentity::Nobody
            | PeerIdentity::User(_)
            | PeerIdentity::Node(_)
            | PeerIdentity::Proxy(_) => {}
        }
    }
    all
}

/// The doors of the one port: calls for auth pass through unread, so auth's own table decides about them; the SSH door has
/// its tests below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_door_lets_in_its_own_kind_and_every_other_stands_in_the_ledger() {
    let mut house = house().await;
    house.node("web-01").await;
    let mut expected = Vec::new();
    for identity in everybody() {
        let badge = Some(&identity).filter(|identity| **identity != PeerIdentity::Nobody);
        let connected = house.connect(&house.client(badge).await, "web-01").await;
        match &identity {
            PeerIdentity::User(_) => assert!(connected.is_ok(), "{identity} to a node"),
            PeerIdentity::Nobody => {
                assert_eq!(refused(connected).0, Fault::Unauthenticated);
                expected.push("connect to \"web-01\": no certificate was shown".to_owned());
            }
            PeerIdentity::Node(_) | PeerIdentity::Proxy(_) => {
                assert_eq!(refused(connected).0, Fault::Denied);
                expected.push(format!(
                    "connect to \"web-01\": only people may connect to nodes; this is {identity}"
                ));
            }
        }
        // A tunnel is a node's; that one with an unknown key has none either is tested beside this.
        if !matches!(identity, PeerIdentity::Node(_)) {
            let dialer = house.dialer(badge, ALPN_TUNNEL, PROXY_SERVER);
            let mut stream = dialer.dial_tls().await.unwrap();
            let end = stream.read(&mut [0; 64]).await;
            assert!(matches!(end, Ok(0) | Err(_)), "{identity} has a tunnel: {end:?}");
            expected.push(format!("open a node's tunnel: {identity} is no node"));
        }
    }
    let cluster = Arc::clone(&house.cluster);
    let all = expected.len();
    let denials =
        found("the denials", || Some(cluster.denials()).filter(|told| told.len() >= all)).await;
    assert_eq!(denials, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_may_ask_whether_there_is_a_proxy() {
    let house = house().await;
    let (_, body) = house.client(None).await.get_bytes("/v1/ping", 1000).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("\"part\":\"proxy\""), "{body:?}");
    let (fault, _) = refused(house.client(None).await.get_bytes("/v1/other", 1000).await);
    assert_eq!(fault, Fault::NotFound);
    let dialer = house.dialer(None, b"http/1.1", PROXY_SERVER);
    let mut old = dialer.dial_tls().await.unwrap();
    old.write_all(b"GET /v1/ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut told = String::new();
    let _ = old.read_to_string(&mut told).await;
    assert!(told.starts_with("HTTP/1.1 200") && told.contains("proxy"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_for_auth_pass_through_and_auth_sees_the_client_itself() {
    let house = house().await;
    let alice = user("alice");
    let through = house.dialer(Some(&alice), ALPN_AUTH, AUTH_SERVER).dial().await.unwrap();
    let facts = found_caller(&house, &through).await;
    assert_eq!(facts, alice);
    let stranger = house.dialer(Some(&alice), ALPN_AUTH, PROXY_SERVER).dial().await.unwrap_err();
    assert!(matches!(stranger, CallError::Unreachable { .. }), "auth is not the proxy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_cannot_pose_as_a_node() {
    let house = house().await;
    let mallory = house.dialer(Some(&user("mallory")), ALPN_TUNNEL, PROXY_SERVER);
    let mut stream = mallory.dial_tls().await.unwrap();
    let end = stream.read(&mut [0; 64]).await;
    assert!(matches!(end, Ok(0) | Err(_)), "closed without a word: {end:?}");
    let cluster = Arc::clone(&house.cluster);
    let denials = found("a denial", || Some(cluster.denials()).filter(|all| !all.is_empty())).await;
    assert_eq!(denials, ["open a node's tunnel: user mallory is no node"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_removed_loses_its_tunnel_and_every_stream_in_it() {
    let mut house = house().await;
    house.node("web-01").await;
    let client = house.client(Some(&user("alice"))).await;
    let (_, mut stream) = house.connect(&client, "web-01").await.unwrap();
    stream.write_all(b"still here\n").await.unwrap();
    assert_eq!(kit::line(&mut stream).await, "still here");
    house.cluster.nodes.send_modify(|nodes| drop(nodes.remove(&node("web-01"))));
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0; 8])).await;
    assert!(matches!(end, Ok(Ok(0) | Err(_))), "the stream ends: {end:?}");
    let refused = refused(client.connect("web-01", &[]).await);
    assert_eq!(refused.0, Fault::NotFound, "{}", refused.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_or_what_is_locked_is_not_carried_and_what_a_node_does_not_end_is_cut() {
    let mut house = house().await;
    house.node("web-01").await;
    let client = house.client(Some(&user("alice"))).await;
    let jumper = jump(&house, "whoever", GOOD).await.unwrap();
    for (kind, name) in [("user", "alice"), ("node", "web-01")] {
        // The fake node knows of no locks, as one that was taken over.
        let (_, mut stream) = house.connect(&client, "web-01").await.unwrap();
        house.cluster.lock(LockTarget::from_parts(kind, name).unwrap());
        let (mut fault, mut text) = (Fault::Internal, String::new());
        for _ in 0..200 {
            match client.connect("web-01", &[]).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                refusal => {
                    (fault, text) = refused(refusal);
                    break;
                }
            }
        }
        assert_eq!(fault, Fault::Denied, "{text}");
        assert!(text.contains("lock 1") && !text.contains("laptop"), "{text}");
        assert!(jumper.direct("web-01", 22, ("127.0.0.1".to_owned(), 1)).await.is_err());
        let end = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0; 8])).await;
        assert!(matches!(end, Ok(Ok(0) | Err(_))), "the stream ends: {end:?}");
        house.cluster.roles.send_modify(|set| set.locks.clear());
        for _ in 0..200 {
            if client.connect("web-01", &[]).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let denials = house.cluster.denials().into_iter();
    assert!(denials.filter(|text| text.contains("lost laptop")).count() >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_had_a_nodes_name_before_cannot_take_its_tunnel() {
    let house = house().await;
    let name = PeerIdentity::Node(node("web-01"));
    // The second badge is of the machine that has the name now; the first still has a good certificate.
    let old = house.dialer(Some(&name), ALPN_TUNNEL, PROXY_SERVER);
    drop(house.cluster.badge(&name, &[]));
    let mut stream = old.dial_tls().await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0; 64])).await;
    assert!(matches!(end, Ok(Ok(0) | Err(_))), "closed: {end:?}");
    let cluster = Arc::clone(&house.cluster);
    let denials = found("a denial", || Some(cluster.denials()).filter(|all| !all.is_empty())).await;
    assert!(denials[0].contains("auth does not count web-01 with this key"), "{denials:?}");
}

#[tokio::test]
async fn a_wrong_token_does_not_join_and_is_told_so() {
    let house = house().await;
    let keys = proxy::Keys::make().unwrap();
    let (auth, trust, name) = (house.auth.to_string(), house.cluster.pin(), node("p2"));
    let error =
        proxy::join(&auth, &trust, "guess", &name, &kit::web_names(), &keys).await.unwrap_err();
    assert_eq!(error.to_string(), "auth did not let this proxy join");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "this join token is not known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_past_half_their_life_are_renewed_shown_and_kept() {
    let house = house_with(3_600_000, 600_000).await;
    let cluster = Arc::clone(&house.cluster);
    let kept = found("a renewal", || cluster.kept.lock().unwrap().first().cloned()).await;
    let stream = house.dialer(None, wire::name::ALPN_HTTP2, PROXY_SERVER).dial_tls().await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap().first().unwrap().clone();
    let peer = link::Peer::of_certificate(&shown, house.proxy).unwrap();
    assert_eq!(peer.expires.map(|at| at.seconds()), Some(kept.expires.seconds()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jump_host_leads_to_nodes_and_nowhere_else() {
    let mut house = house().await;
    house.node("web-01").await;
    let alice = house.client(Some(&user("alice"))).await;
    house.connect(&alice, "web-01").await.unwrap();
    let jumper = jump(&house, "whoever", GOOD).await.unwrap();
    for name in ["web-01", "web-01.test.example"] {
        let pipe = jumper.direct(name, 22, ("127.0.0.1".to_owned(), 1)).await.unwrap();
        let (mut near, far) = tokio::io::duplex(4096);
        house.tasks.spawn(async move {
            pipe.join(Box::new(far)).await;
        });
        assert!(line(&mut near).await.starts_with("127.0.0.1:"));
        near.write_all(b"through the jump host").await.unwrap();
        near.shutdown().await.unwrap();
        let mut back = String::new();
        near.read_to_string(&mut back).await.unwrap();
        assert_eq!(back, "through the jump host");
    }
    for name in ["db-01", "127.0.0.1", "169.254.169.254", "localhost", "a b", ""] {
        let outcome = jumper.direct(name, 22, ("127.0.0.1".to_owned(), 1)).await;
        assert!(outcome.is_err(), "{name}");
    }
    assert!(jumper.session().await.is_err(), "no sessions on the proxy");
    assert!(jumper.listen("127.0.0.1", 0).await.is_err(), "no listening on the proxy");
    let no_node = |name: &str| {
        format!(
            "reach another machine through the jump host: {name:?} is no node of the cluster; \
             the jump host reaches nodes only"
        )
    };
    let foreign = ["db-01", "127.0.0.1", "169.254.169.254", "localhost", "a b", ""].map(no_node);
    let others = [
        "a session channel: no sessions are opened here".to_owned(),
        "to listen at 127.0.0.1:0: the jump host listens nowhere".to_owned(),
    ];
    let cluster = Arc::clone(&house.cluster);
    found("the denials", || {
        let expected = foreign.iter().chain(&others).all(|one| cluster.denials().contains(one));
        expected.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_does_not_count_does_not_sign_in_to_the_jump_host() {
    let house = house().await;
    let bad = [
        Jump { authority: 9, ..GOOD },
        Jump { authority: 2, ..GOOD },
        Jump { life: -60, ..GOOD },
        Jump { principal: "not,a,login", ..GOOD },
    ];
    for certificate in bad {
        assert!(jump(&house, "alice", certificate).await.is_err());
    }
    let cluster = Arc::clone(&house.cluster);
    let found = found("denials", || Some(cluster.denials()).filter(|all| all.len() >= 7)).await;
    // The one that has expired never reaches the judge; the ledger hears of its connection all the same.
    let (refused, denied): (Vec<_>, Vec<_>) =
        found.iter().partition(|text| *text == "connection.refused");
    assert_eq!((refused.len(), denied.len()), (4, 3), "{found:?}");
    assert!(denied.iter().all(|text| text.starts_with("use the jump host: ")), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssh_gets_through_the_jump_host() {
    if !std::path::Path::new("/usr/bin/ssh").exists() {
        eprintln!("skipped: there is no /usr/bin/ssh");
        return;
    }
    let mut house = house().await;
    house.node("web-01").await;
    let alice = house.client(Some(&user("alice"))).await;
    house.connect(&alice, "web-01").await.unwrap();
    let dir = std::env::temp_dir().join(format!("scry-proxy-jump-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let own = key(4);
    let certificate =
        certify(&house.cluster.users, own.public_key(), CertType::User, &["alice"], 3600);
    let id = write("id", &own.to_openssh(LineEnding::LF).unwrap());
    write("id-cert.pub", &certificate.to_openssh().unwrap());
    let authority = house.cluster.hosts.public_key().to_openssh().unwrap();
    let known = write("known", &format!("@cert-authority * {authority}\n"));
    let mut ssh = tokio::process::Command::new("/usr/bin/ssh");
    ssh.args(["-F", "/dev/null", "-i", &id, "-W", "web-01:22", "-l", "somebody"])
        .args([
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .args(["-o", &format!("UserKnownHostsFile={known}"), "-p", &house.proxy.port().to_string()])
        .arg("127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = ssh.spawn().unwrap();
    let (mut write, mut read) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    assert!(line(&mut read).await.starts_with("127.0.0.1:"));
    let sent = vec![b'x'; 3 << 20];
    let writing = async {
        write.write_all(&sent).await.unwrap();
        drop(write);
    };
    let mut back = Vec::new();
    let ((), read) = tokio::join!(writing, read.read_to_end(&mut back));
    read.unwrap();
    assert_eq!(back.len(), sent.len());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_proxy_lets_pipes_end_and_cuts_those_that_do_not() {
    for ends_by_itself in [true, false] {
        let mut house = house().await;
        house.node("web-01").await;
        let client = house.client(Some(&user("alice"))).await;
        let (_, mut stream) = house.connect(&client, "web-01").await.unwrap();
        let began = Instant::now();
        house.stop.cancel();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(TcpStream::connect(house.proxy).await.is_err(), "nothing further is accepted");
        stream.write_all(b"still open").await.unwrap();
        let mut heard = [0; 10];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"still open");
        if ends_by_itself {
            drop(stream);
            drop(client);
        }
        house.tasks.spawn(async {});
        let serving = async {
            while TcpStream::connect(house.proxy).await.is_ok() {}
            // The fake auth and the node never end; the proxy is the only task that does, besides the empty one.
            house.tasks.join_next().await;
            house.tasks.join_next().await;
        };
        tokio::time::timeout(Duration::from_secs(9), serving).await.expect("it stops in time");
        let bound = Duration::from_millis(model::limit::SHUTDOWN_MS);
        assert_eq!(began.elapsed() < bound, ends_by_itself, "{:?}", began.elapsed());
    }
}
