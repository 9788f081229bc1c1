//! The net helper with real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a failure is the result"
)]

mod common;
use common::*;

use host::{Net, NetError};
use model::role::Forwarding::{Agent, Local, Remote, X11};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn net() -> Net {
    Net::start(&settings(), &permit(&own()), None).await.unwrap()
}

#[tokio::test]
async fn a_dial_by_name_reaches_a_listener_and_carries_bytes_both_ways() {
    let net = net().await;
    let listener = net.listen(&forward(Remote), "localhost", 0).await.unwrap();
    let address = listener.local_addr().unwrap();
    assert!(address.ip().is_loopback() && address.port() != 0, "{address}");
    let echo = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    };
    let ask = async {
        let mut stream = net.dial(&forward(Local), "localhost", address.port()).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    };
    assert_eq!(tokio::join!(echo, ask).1, b"hello");
}

#[tokio::test]
async fn a_listener_is_on_loopback_whatever_was_asked_for() {
    let net = net().await;
    for address in ["", "localhost", "127.0.0.1", "0.0.0.0", "*", "::", "192.0.2.1", "::1"] {
        match net.listen(&forward(Remote), address, 0).await {
            Ok(listener) => {
                assert!(listener.local_addr().unwrap().ip().is_loopback(), "{address:?}")
            }
            Err(error) => {
                assert_eq!(address, "::1", "{error}");
                skip("a_listener_is_on_loopback (::1)", &error.to_string());
            }
        }
    }
}

async fn check_refused(host: &str, port: u16, wanted: &str) {
    let error = net().await.dial(&forward(Local), host, port).await.unwrap_err();
    let NetError::Refused { why } = &error else { panic!("{error:?}") };
    assert!(why.contains(host) && why.contains(wanted), "{why}");
}

#[tokio::test]
async fn a_dial_that_fails_says_where_to_and_why() {
    check_refused("127.0.0.1", 1, "Connection refused").await;
    check_refused("no-such-host.invalid", 80, "").await;
    check_refused("", 80, "cannot connect").await;
    check_refused("a b\0c", 80, "cannot connect").await;
    let long = net().await.dial(&forward(Local), &"x".repeat(100_000), 80).await.unwrap_err();
    assert!(long.to_string().contains("too long"), "{long}");
}

#[tokio::test]
async fn a_taken_port_is_refused_in_words() {
    let net = net().await;
    let first = net.listen(&forward(Remote), "", 0).await.unwrap();
    let port = first.local_addr().unwrap().port();
    let error = net.listen(&forward(Remote), "", port).await.unwrap_err();
    assert!(error.to_string().contains(&format!("port {port}: Address already in use")), "{error}");
}

#[tokio::test]
async fn a_slow_dial_makes_no_other_request_wait() {
    let net = net().await;
    // A listener whose queue is full answers no further connection.
    let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let target = full.local_addr().unwrap();
    let fill: Vec<_> = (0..3)
        .map(|_| std::net::TcpStream::connect_timeout(&target, Duration::from_millis(300)))
        .collect();
    assert!(fill.iter().any(Result::is_err), "the queue is full");
    let permit = forward(Local);
    let slow = net.dial(&permit, "127.0.0.1", target.port());
    let quick = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let began = Instant::now();
        for _ in 0..20 {
            net.listen(&forward(Remote), "", 0).await.unwrap();
        }
        began.elapsed()
    };
    tokio::select! {
        result = slow => panic!("the slow one came first: {result:?}"),
        took = quick => assert!(took < Duration::from_secs(2), "{took:?}"),
    }
}

#[tokio::test]
async fn an_agent_socket_is_the_users_alone_and_goes_with_its_connection() {
    let net = net().await;
    let (listener, path) = net.agent(&forward(Agent)).await.unwrap();
    let socket = std::fs::symlink_metadata(&path).unwrap();
    let directory = std::fs::symlink_metadata(path.parent().unwrap()).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    assert_eq!(directory.permissions().mode() & 0o7777, 0o700);
    assert_eq!(socket.uid(), rustix::process::geteuid().as_raw());
    let (accepted, connected) =
        tokio::join!(listener.accept(), tokio::net::UnixStream::connect(&path));
    assert!(accepted.is_ok() && connected.is_ok());
    drop(net);
    let gone = async {
        while path.parent().unwrap().exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("removed in time");
}

/// Waits until the helper has cleaned up behind itself.
async fn gone(net: Net) {
    let pid = net.pid().unwrap();
    drop(net);
    wait_for("end of the helper", || matches!(state(pid), 'Z')).await;
}

/// What becomes of another file named `agent` when `swap` puts it, or the folder that it lies in, where the socket was.
async fn check_swapped(swap: fn(&Path, &Path)) {
    let net = net().await;
    let (_listener, socket) = net.agent(&forward(Agent)).await.unwrap();
    let folder = socket.parent().unwrap().to_owned();
    let other = tempfile::tempdir().unwrap();
    let precious = other.path().join("agent");
    std::fs::write(&precious, "precious").unwrap();
    swap(&socket, other.path());
    gone(net).await;
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    assert!(folder.symlink_metadata().is_ok(), "what the user has put there stays");
    std::fs::remove_file(&folder).or_else(|_| std::fs::remove_dir_all(&folder)).unwrap();
}

#[tokio::test]
async fn what_was_put_in_the_place_of_an_agent_socket_or_its_folder_is_left_alone() {
    check_swapped(|socket, other| {
        std::fs::remove_file(socket).unwrap();
        symlink(other.join("agent"), socket).unwrap();
    })
    .await;
    check_swapped(|socket, other| {
        std::fs::remove_file(socket).unwrap();
        std::fs::copy(other.join("agent"), socket).unwrap();
    })
    .await;
    check_swapped(|socket, other| {
        std::fs::remove_dir_all(socket.parent().unwrap()).unwrap();
        symlink(other, socket.parent().unwrap()).unwrap();
    })
    .await;
    check_swapped(|socket, _| {
        let folder = socket.parent().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        std::fs::create_dir(folder).unwrap();
        // The user's own, such as that of an agent on this machine.
        std::os::unix::net::UnixListener::bind(socket).unwrap();
    })
    .await;
}

#[tokio::test]
async fn agent_sockets_of_one_connection_are_counted() {
    let net = net().await;
    let mut kept = Vec::new();
    let error = loop {
        match net.agent(&forward(Agent)).await {
            Ok(made) => kept.push(made),
            Err(error) => break error,
        }
    };
    assert_eq!(kept.len(), 4);
    assert!(error.to_string().contains("at most 4"), "{error}");
}

#[tokio::test]
async fn a_permit_for_one_thing_opens_no_other() {
    let net = net().await;
    assert!(matches!(
        net.dial(&forward(Remote), "127.0.0.1", 1).await,
        Err(NetError::Permit { .. })
    ));
    assert!(matches!(net.listen(&forward(Local), "", 0).await, Err(NetError::Permit { .. })));
    assert!(matches!(net.agent(&forward(Local)).await, Err(NetError::Permit { .. })));
    let others = net.agent(&forward_as("somebody-else", Agent)).await;
    assert!(matches!(others, Err(NetError::Login { .. })));
}

#[tokio::test]
async fn a_helper_that_does_not_come_up_is_an_error_and_not_a_hang() {
    let broken = host::Settings { exe: "/bin/true".into(), ..settings() };
    let permit = permit(&own());
    let started =
        tokio::time::timeout(PATIENCE, Net::start(&broken, &permit, None)).await.expect("in time");
    assert!(matches!(started, Err(NetError::Gone)));
}

#[tokio::test]
async fn a_helper_that_was_killed_is_an_error_that_says_what_to_do() {
    let net = net().await;
    let pid = rustix::process::Pid::from_raw(net.pid().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let error = net.listen(&forward(Remote), "", 0).await.unwrap_err();
    assert!(error.to_string().contains("connect again"), "{error}");
}

#[tokio::test]
async fn sockets_are_dialled_and_listened_at_and_go_with_the_helper() {
    let net = net().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let text = path.to_str().unwrap();
    let listener = net.listen_socket(&forward(Remote), text).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    let permit = forward(Local);
    let (accepted, dialled) = tokio::join!(listener.accept(), net.dial_socket(&permit, text));
    let ((mut there, _), mut here) = (accepted.unwrap(), dialled.unwrap());
    here.write_all(b"hello").await.unwrap();
    let mut bytes = [0; 5];
    there.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    let again = net.listen_socket(&forward(Remote), text).await.unwrap_err().to_string();
    assert!(again.contains("Address already in use"), "{again}");
    net.forget_socket(text).await.unwrap();
    assert!(!path.exists());
    let _listener = net.listen_socket(&forward(Remote), text).await.unwrap();
    drop(net);
    let gone = async {
        while path.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("removed in time");
}

#[tokio::test]
async fn a_socket_that_somebody_else_put_there_meanwhile_is_left_alone() {
    let net = net().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let text = path.to_str().unwrap();
    let _listener = net.listen_socket(&forward(Remote), text).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "another's").unwrap();
    net.forget_socket(text).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "another's");
}

#[tokio::test]
async fn hostile_paths_of_sockets_are_refused_in_words() {
    let net = net().await;
    let long = format!("/{}", "x".repeat(200));
    for (path, words) in [
        ("relative", "must begin with /"),
        ("", "must begin with /"),
        ("\0abstract", "must begin with /"),
        ("/a\0b", ""),
        (long.as_str(), ""),
        ("/no/such/folder/s", "No such file"),
    ] {
        let dialled = net.dial_socket(&forward(Local), path).await.unwrap_err();
        let NetError::Refused { why } = &dialled else { panic!("{path:?}: {dialled:?}") };
        assert!(why.contains(words), "{path:?}: {why}");
        let listened = net.listen_socket(&forward(Remote), path).await.unwrap_err();
        assert!(matches!(listened, NetError::Refused { .. }), "{path:?}: {listened:?}");
    }
    let wrong = net.dial_socket(&forward(Remote), "/x").await;
    assert!(matches!(wrong, Err(NetError::Permit { .. })));
    let wrong = net.listen_socket(&forward(Local), "/x").await;
    assert!(matches!(wrong, Err(NetError::Permit { .. })));
}

#[tokio::test]
async fn a_display_waits_on_every_loopback_and_a_half_taken_number_is_passed_over() {
    let net = net().await;
    let (number, listeners) = net.display(&forward(X11)).await.unwrap();
    assert!(number >= 10);
    for listener in &listeners {
        let address = listener.local_addr().unwrap();
        assert!(address.ip().is_loopback() && address.port() == 6000 + number, "{address}");
    }
    // Somebody who holds only the other family's port would be reached by programs that prefer it.
    let Some(squatted) = (number + 1..number + 50).find_map(|number| {
        let four = std::net::TcpListener::bind(("127.0.0.1", 6000 + number));
        drop(four.ok()?);
        Some((number, std::net::TcpListener::bind(("::1", 6000 + number)).ok()?))
    }) else {
        return skip("a_half_taken_number", "this machine has no IPv6 loopback");
    };
    for _ in 0..3 {
        let (next, _) = net.display(&forward(X11)).await.unwrap();
        assert_ne!(next, squatted.0);
    }
    assert!(matches!(net.display(&forward(Local)).await, Err(NetError::Permit { .. })));
}
