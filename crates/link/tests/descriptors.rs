//! What the front does when the process has no descriptors left. Alone in its process, whose limit it changes.

#[cfg(test)]
#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
mod kit;

use kit::Cluster;
use link::front::Menu;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wire::name::PROXY_SERVER;

#[tokio::test]
async fn without_descriptors_clients_wait_and_are_served_once_there_are_some() {
    let cluster = Cluster::new();
    let (front, address) = kit::front(&cluster, Menu::proxy(), &[PROXY_SERVER]);
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(TcpStream::connect(address).await.unwrap());
    }
    let before = getrlimit(Resource::Nofile);
    let used = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let tight = Rlimit { current: Some(used.saturating_sub(1)), ..before };
    setrlimit(Resource::Nofile, tight).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(kit::serve_front(front));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(tasks.len(), 1, "the front lives");
    setrlimit(Resource::Nofile, before).unwrap();
    // Silent clients are taken for SSH, which this server closes.
    for client in &mut waiting {
        let mut room = [0; 1];
        let reading = client.read(&mut room);
        let end = tokio::time::timeout(Duration::from_secs(5), reading).await;
        assert!(matches!(end, Ok(Ok(0) | Err(_))), "{end:?}");
    }
}
