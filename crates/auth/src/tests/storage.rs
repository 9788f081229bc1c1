//! Who may put how much on auth's disk, as nodes and people meet it.

use super::house::{House, Node, Tape};
use crate::Share;
use link::http::CallError;
use wire::Fault;
use wire::node::ListNodes;
use wire::recording::{Progress, ReadProgress, RemoveRecording};

/// More than one recording, and less than two.
const QUOTA: u64 = 6000;

async fn ship(node: &Node, tape: &Tape) -> Result<Progress, CallError> {
    let path = format!("/v1/node/ship/{}?after=0", tape.id);
    node.client.post_bytes(&path, tape.all().into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_at_its_quota_is_told_so_and_goes_on_when_something_was_removed() {
    let house = House::with(|config| config.bounds.node_quota = Share::Bytes(QUOTA)).await;
    let admin = house.admin().await;
    let bob = house.person(&admin, "bob", &["access"]).await;
    let (web, db) = (house.node("web-01").await, house.node("db-01").await);
    let (one, two) = (web.tape(1, "bob"), web.tape(2, "bob"));
    let length = one.all().len() as u64;
    assert!(QUOTA / 2 < length && length < QUOTA * 3 / 4, "{length}");
    assert!(ship(&web, &one).await.unwrap().stored);

    let Err(CallError::Refused(refusal)) = ship(&web, &two).await else { panic!("it was taken") };
    assert_eq!(refusal.fault, Fault::Unavailable);
    assert!(refusal.message.contains("--node-quota"), "{refusal:?}");
    // Nothing of it was taken; what was taken before is answered as ever.
    let progress = web.client.call(&ReadProgress { id: two.id }).await.unwrap();
    assert!(progress.receipt.is_none() && !progress.stored);
    assert!(ship(&web, &one).await.unwrap().stored);
    assert!(ship(&db, &db.tape(3, "bob")).await.unwrap().stored, "another node is let in");

    // Who administers nodes sees why; who reaches them only does not.
    let waits = async |client: &link::http::Client| {
        let nodes = client.call(&ListNodes {}).await.unwrap();
        let waits: Vec<_> =
            nodes.into_iter().filter_map(|node| Some((node.name, node.waits?))).collect();
        waits
    };
    let seen = waits(&admin.client).await;
    assert!(seen.len() == 1 && seen[0].0 == web.name && seen[0].1.contains("--node-quota"));
    assert!(waits(&bob.client).await.is_empty());

    admin.client.call(&RemoveRecording { id: one.id }).await.unwrap();
    assert!(ship(&web, &two).await.unwrap().stored);
    assert!(waits(&admin.client).await.is_empty());
}
