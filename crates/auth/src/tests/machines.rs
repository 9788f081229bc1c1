//! Machines: invited once under one name, gone for good when removed.

use super::house::{House, fault, part_keys, refused};
use link::http::Client;
use link::tls::{Badge, KeyRequest, TlsIdentity};
use model::limit::{JOIN_TOKEN_MS, LABELS};
use model::role::Labels;
use wire::Fault;
use wire::audit::ListAudit;
use wire::node::{
    Heartbeat, InvitePart, Join, ListNodes, Part, PartKeys, ProxyNews, RemoveNode, Renew,
};

fn labels(all: &[(&str, &str)]) -> Labels {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn invite(name: Option<&str>) -> InvitePart {
    InvitePart {
        part: Part::Node,
        name: name.map(|name| name.parse().unwrap()),
        labels: labels(&[("env", "prod")]),
        life_ms: None,
    }
}

fn remove(name: &str) -> RemoveNode {
    RemoveNode { node: name.parse().unwrap() }
}

fn asks(token: &str, keys: &PartKeys, name: &str) -> Join {
    let keys = PartKeys { name: name.parse().unwrap(), ..keys.clone() };
    Join { token: token.to_owned(), keys }
}

async fn joined(house: &House, join: &Join, request: &KeyRequest) -> Client {
    let credentials = house.client(None).await.call(join).await.unwrap();
    let identity = TlsIdentity::new(credentials.tls_certificate, request.key.as_str());
    house.client(Some(&Badge::new(&identity).unwrap())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_lets_one_machine_in_under_the_name_it_is_for() {
    let house = House::start().await;
    let admin = house.admin().await;
    let invited = admin.client.call(&invite(Some("web-01"))).await.unwrap();
    assert!(invited.token.starts_with("node-"), "{}", invited.token);
    assert_eq!(invited.pin, house.pin);
    let nobody = house.client(None).await;
    let (keys, request) = part_keys(Part::Node, "web-01");

    let (fault, words) = refused(&nobody, &asks(&invited.token, &keys, "db-01")).await;
    assert_eq!(fault, Fault::Denied);
    assert!(words.contains("--node-name web-01"), "{words}");
    let (proxy, _) = part_keys(Part::Proxy, "web-01");
    let as_proxy = Join { token: invited.token.clone(), keys: proxy };
    assert_eq!(refused(&nobody, &as_proxy).await.0, Fault::Denied);

    // Nothing was used up by those. The machine's answer may be lost, so it may ask again; another may not.
    let join = asks(&invited.token, &keys, "web-01");
    let web = joined(&house, &join, &request).await;
    let credentials = nobody.call(&join).await.unwrap();
    assert_eq!(credentials.labels, labels(&[("env", "prod")]));
    let (others, _) = part_keys(Part::Node, "web-01");
    let (fault, words) = refused(&nobody, &asks(&invited.token, &others, "web-01")).await;
    assert_eq!(fault, Fault::Denied);
    assert!(words.contains("make a new one with `scry nodes invite`"), "{words}");

    // What the admin said of it is not the machine's to change; what it adds is.
    let lie = labels(&[("env", "test"), ("disk", "ssd")]);
    let beat = Heartbeat { labels: lie, version: "1".into(), sessions: 0 };
    web.call(&beat).await.unwrap();
    let nodes = admin.client.call(&ListNodes {}).await.unwrap();
    let web_01 = nodes.iter().find(|node| node.name.as_str() == "web-01").unwrap();
    assert_eq!(web_01.labels, labels(&[("env", "prod"), ("disk", "ssd")]));
    let rows = admin.client.call(&ListAudit::default()).await.unwrap();
    let invites: Vec<_> = rows.iter().filter(|row| row.code == "S2010I").collect();
    assert_eq!(invites.len(), 1);
    assert!(!invites[0].event.contains(&invited.token), "no secrets");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_counts_for_one_name_and_not_for_a_machine_that_was_removed() {
    let house = House::start().await;
    let admin = house.admin().await;
    let invited = admin.client.call(&invite(None)).await.unwrap();
    let nobody = house.client(None).await;
    let (keys, _) = part_keys(Part::Node, "web-01");
    let longer = asks(&invited.token, &keys, "web-01.lab");
    assert_eq!(refused(&nobody, &longer).await.0, Fault::Malformed, "it is web-01 to clients");
    let join = asks(&invited.token, &keys, "web-02");
    nobody.call(&join).await.unwrap();
    nobody.call(&join).await.unwrap();
    assert_eq!(refused(&nobody, &asks(&invited.token, &keys, "web-03")).await.0, Fault::Denied);
    admin.client.call(&remove("web-02")).await.unwrap();
    assert_eq!(refused(&nobody, &join).await.0, Fault::Denied, "it was removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_cannot_take_the_name_of_another() {
    let house = House::start().await;
    let admin = house.admin().await;
    house.node("web-01").await;
    let (fault, words) = refused(&admin.client, &invite(Some("web-01"))).await;
    assert_eq!(fault, Fault::Conflict);
    assert!(words.contains("scry nodes rm web-01"), "{words}");
    let invited = admin.client.call(&invite(None)).await.unwrap();
    let nobody = house.client(None).await;
    let (keys, _) = part_keys(Part::Node, "web-01");
    let (fault, words) = refused(&nobody, &asks(&invited.token, &keys, "web-01")).await;
    assert_eq!(fault, Fault::Conflict);
    assert!(words.contains("--node-name"), "{words}");
    nobody.call(&asks(&invited.token, &keys, "web-02")).await.unwrap();

    // Two invitations of one name, and both machines come at once.
    let first = admin.client.call(&invite(Some("db-01"))).await.unwrap();
    let second = admin.client.call(&invite(Some("db-01"))).await.unwrap();
    let ask = async |token: &str| {
        let (keys, _) = part_keys(Part::Node, "db-01");
        house.client(None).await.call(&asks(token, &keys, "db-01")).await
    };
    let (one, two) = tokio::join!(ask(&first.token), ask(&second.token));
    let refused = match (one, two) {
        (Ok(_), refused) | (refused, Ok(_)) => refused,
        both => panic!("{both:?}"),
    };
    assert_eq!(super::house::fault(refused), Fault::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_nodes_certificates_count_no_more_also_when_another_has_its_name() {
    let house = House::start().await;
    let admin = house.admin().await;
    let old = house.node("web-01").await;
    let beat = Heartbeat { labels: Labels::new(), version: "1".into(), sessions: 0 };
    let (keys, _) = part_keys(Part::Node, "web-01");
    let renew = Renew { keys };
    old.client.call(&beat).await.unwrap();
    let proxy = house.join(Part::Proxy, "p1").await.client;
    let mut told = proxy.lines::<ProxyNews>("/v1/proxy/nodes").await.unwrap();
    let first = told.next().await.unwrap().unwrap().nodes.unwrap();
    assert_eq!(first.len(), 1);

    admin.client.call(&remove("web-01")).await.unwrap();
    assert_eq!(refused(&admin.client, &remove("web-01")).await.0, Fault::NotFound);
    assert_eq!(told.next().await.unwrap().unwrap().nodes, Some([].into()), "proxies hear of it");
    let (fault, words) = refused(&old.client, &beat).await;
    assert_eq!(fault, Fault::Denied);
    assert!(words.contains("scry nodes invite"), "{words}");
    assert_eq!(refused(&old.client, &renew).await.0, Fault::Denied);

    let invited = admin.client.call(&invite(Some("web-01"))).await.unwrap();
    let (keys, request) = part_keys(Part::Node, "web-01");
    let new = joined(&house, &asks(&invited.token, &keys, "web-01"), &request).await;
    new.call(&beat).await.unwrap();
    assert_eq!(refused(&old.client, &beat).await.0, Fault::Denied, "the name is another's");
    assert_eq!(refused(&old.client, &renew).await.0, Fault::Denied);
    let second = told.next().await.unwrap().unwrap().nodes.unwrap();
    assert!(second.keys().eq(first.keys()) && !second.values().eq(first.values()), "another key");

    let rows = admin.client.call(&ListAudit::default()).await.unwrap();
    let removed: Vec<_> = rows.iter().filter(|row| row.code == "S2011I").collect();
    assert_eq!(removed.len(), 1);
    assert!(removed[0].event.contains("\"removed\":\"web-01\""), "{}", removed[0].event);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_in_an_invitation_is_refused() {
    let house = House::start().await;
    let admin = house.admin().await;
    let with = |change: fn(&mut InvitePart)| {
        let mut call = invite(None);
        change(&mut call);
        call
    };
    for call in [
        with(|call| call.part = Part::Proxy),
        with(|call| call.life_ms = Some(0)),
        with(|call| call.life_ms = Some(-1)),
        with(|call| call.life_ms = Some(JOIN_TOKEN_MS.1 + 1)),
        with(|call| call.labels = labels(&[("a\nb", "")])),
        with(|call| call.labels = (0..=LABELS.0).map(|n| (n.to_string(), String::new())).collect()),
    ] {
        assert_eq!(fault(admin.client.call(&call).await), Fault::Malformed, "{call:?}");
    }
    let brief = with(|call| call.life_ms = Some(1));
    let invited = admin.client.call(&brief).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let (keys, _) = part_keys(Part::Node, "late");
    let (fault, words) =
        refused(&house.client(None).await, &asks(&invited.token, &keys, "late")).await;
    assert_eq!(fault, Fault::Denied);
    assert!(words.contains("expired"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_let_in_by_who_starts_auth_and_replaces_the_one_before() {
    let mut house = House::with(|config| config.proxy = "proxy".parse().ok()).await;
    for _ in 0..2 {
        let code = house.proxy_code.clone().unwrap();
        assert_eq!(Part::of_token(&code), Some(Part::Proxy));
        let ask = async |token: &str, name: &str| {
            let (keys, _) = part_keys(Part::Proxy, name);
            house.client(None).await.call(&asks(token, &keys, name)).await
        };
        assert_eq!(fault(ask(&code, "other").await), Fault::Denied);
        ask(&code, "proxy").await.unwrap();
        assert_eq!(fault(ask(&code, "proxy").await), Fault::Denied, "it counts once");
        house = house.restart().await;
    }
}
