//! Terminals that a browser signs in: who may let which in, by what, and what everybody else gets by trying.

use super::authenticator::Authenticator;
use super::browsers::ledger;
use super::factors::add_app;
use super::house::{House, Node, PASSWORD, Person, fault, refused, ssh_key, user};
use super::surf::{HERE, Surf};
use link::http::Client;
use model::LockTarget;
use model::limit::{ARRIVAL_ANSWERS, ARRIVAL_BYTES, ARRIVALS};
use wire::Fault;
use wire::arrival::{
    Arrive, Arrived, BeginArrivalPasskey, ComeIn, Leave, LetIn, LetInAnswer, Proof, ReadArrival,
    TurnAway,
};
use wire::lock::AddLock;
use wire::node::{ListNodes, Part};
use wire::people::{Credentials, RemoveUser, SetRole};
use wire::web::{BeginNewPasskey, BeginPasskey, FinishNewPasskey, FinishPasskey, Shown};

/// Alice has a passkey, bob a password; and there is a proxy for browsers.
struct Scene {
    house: House,
    admin: Person,
    proxy: Node,
    passkey: Authenticator,
}

impl Scene {
    async fn new() -> Self {
        let house = House::start().await;
        let admin = house.admin().await;
        for name in ["alice", "bob"] {
            house.person(&admin, name, &["access"]).await;
        }
        let proxy = house.join(Part::Proxy, "front").await;
        let mut scene = Self { house, admin, proxy, passkey: Authenticator::new(1) };
        let mut surf = scene.surf().await;
        surf.sign_in("alice").await;
        let asked = surf.call(&BeginNewPasskey {}).await.unwrap();
        let passkey = scene.passkey.make(&asked.passkey);
        let finish = FinishNewPasskey { ticket: asked.ticket, passkey, name: String::new() };
        surf.call(&finish).await.unwrap();
        scene
    }

    async fn surf(&self) -> Surf {
        Surf::behind(&self.house, Some(&self.proxy.badge)).await
    }

    async fn terminal(&self) -> Client {
        self.house.client(None).await
    }

    async fn arrives(&self, name: &str) -> Arrived {
        self.terminal().await.call(&arrive(name)).await.unwrap()
    }

    /// What the page gives who lets that terminal in with alice's passkey.
    async fn by_passkey(&mut self, surf: &mut Surf, code: &str) -> Result<String, (Fault, String)> {
        let begin = BeginArrivalPasskey { code: code.into() };
        let asked = surf.call(&begin).await.map_err(|failure| (failure.fault, failure.message))?;
        let passkey = self.passkey.show(&asked.passkey);
        let by = Proof::Passkey { ticket: asked.ticket, passkey };
        match surf.call(&LetIn { code: code.into(), by }).await {
            Ok(LetInAnswer::Answer(answer)) => Ok(answer),
            Ok(wants) => panic!("{wants:?}"),
            Err(failure) => Err((failure.fault, failure.message)),
        }
    }

    async fn come_in(&self, arrived: &Arrived, answer: &str) -> Result<Credentials, Fault> {
        let call = ComeIn { ticket: arrived.ticket.clone(), answer: answer.into() };
        match self.terminal().await.call(&call).await {
            Ok(got) => Ok(got),
            Err(link::http::CallError::Refused(failure)) => Err(failure.fault),
            Err(other) => panic!("{other}"),
        }
    }
}

fn arrive(name: &str) -> Arrive {
    Arrive {
        user: user(name),
        ssh_key: ssh_key(7).public_key().to_openssh().unwrap(),
        tls_request: link::tls::KeyRequest::make().unwrap().request,
        wanted_ms: None,
        machine: "laptop".into(),
    }
}

fn with_password(arrived: &Arrived) -> LetIn {
    LetIn { code: arrived.code.clone(), by: Proof::Password(PASSWORD.into()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_in_a_browser_signs_a_terminal_in_once() {
    let mut scene = Scene::new().await;
    let arrived = scene.arrives("alice").await;
    let mut surf = scene.surf().await;
    // However the code is typed.
    let code = arrived.code.to_uppercase().replace('-', " ");
    let seen = surf.call(&ReadArrival { code }).await.unwrap();
    assert_eq!((seen.code.as_str(), seen.user.as_str()), (arrived.code.as_str(), "alice"));
    assert_eq!((seen.machine.as_str(), seen.address.as_str()), ("laptop", "127.0.0.1"));
    assert!(!seen.near && seen.no_passkeys.is_none(), "{seen:?}");
    let fingerprint = ssh_key(7).fingerprint(ssh_key::HashAlg::Sha256).to_string();
    assert_eq!((&seen.key, &arrived.key), (&fingerprint, &fingerprint));
    assert_eq!(scene.come_in(&arrived, "").await.unwrap_err(), Fault::Conflict, "not yet");

    let answer = scene.by_passkey(&mut surf, &arrived.code).await.unwrap();
    assert_eq!(surf.set, None, "the browser itself is not signed in by it");
    assert_eq!(scene.by_passkey(&mut surf, &arrived.code).await.unwrap_err().0, Fault::Conflict);
    let loud = answer.to_uppercase().replace('-', "");
    let got = scene.come_in(&arrived, &loud).await.unwrap();
    // The key that was shown is the one that is certified.
    let certificate = ssh_key::Certificate::from_openssh(&got.ssh_certificate).unwrap();
    let certified = certificate.public_key().fingerprint(ssh_key::HashAlg::Sha256).to_string();
    assert_eq!((got.user.as_str(), certified), ("alice", fingerprint));
    assert_eq!(scene.come_in(&arrived, &answer).await.unwrap_err(), Fault::Unauthenticated);

    let let_in = ledger(&scene.admin, "user.terminal_let_in").await.pop().unwrap();
    assert_eq!(
        (&let_in["user"], &let_in["address"], &let_in["via"], &let_in["from"], &let_in["method"]),
        (&"alice".into(), &HERE.into(), &"front".into(), &"127.0.0.1".into(), &"passkey".into())
    );
    let signed_in = ledger(&scene.admin, "user.sign_in").await.pop().unwrap();
    assert_eq!(
        (&signed_in["user"], &signed_in["address"], &signed_in["method"]),
        (&"alice".into(), &"127.0.0.1".into(), &"passkey in a browser".into())
    );
    // The code is nothing any more.
    assert_eq!(surf.refused(&ReadArrival { code: arrived.code.clone() }).await.0, Fault::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_and_an_apps_code_sign_a_terminal_in_and_each_code_counts_once() {
    let scene = Scene::new().await;
    let mut surf = scene.surf().await;
    let arrived = scene.arrives("bob").await;
    let LetInAnswer::Answer(answer) = surf.call(&with_password(&arrived)).await.unwrap() else {
        panic!("bob has no second factor")
    };
    assert_eq!(scene.come_in(&arrived, &answer).await.unwrap().user, user("bob"));
    surf.sign_in("bob").await;
    let (app, _) = add_app(&mut surf).await;

    // Being signed in in this very browser, with the factor just shown, is nothing here.
    let (one, other) = (scene.arrives("bob").await, scene.arrives("bob").await);
    let LetInAnswer::Wants(wants) = surf.call(&with_password(&one)).await.unwrap() else {
        panic!("no second factor is asked for")
    };
    let second = |arrived: &Arrived, shown: Shown| {
        let by = Proof::Second { ticket: wants.ticket.clone(), shown };
        LetIn { code: arrived.code.clone(), by }
    };
    let right = Shown::Totp(app.code(0));
    let wrong = Shown::Totp("abcdef".into());
    assert_eq!(surf.refused(&second(&one, wrong)).await.0, Fault::Unauthenticated);
    // What was begun for one terminal is nothing for another.
    assert_eq!(surf.refused(&second(&other, right.clone())).await.0, Fault::Unauthenticated);
    let let_in = surf.call(&second(&one, right.clone())).await.unwrap();
    assert!(matches!(let_in, LetInAnswer::Answer(_)));
    let LetInAnswer::Wants(wants) = surf.call(&with_password(&other)).await.unwrap() else {
        panic!("no second factor is asked for")
    };
    let by = Proof::Second { ticket: wants.ticket, shown: right };
    let used = LetIn { code: other.code.clone(), by };
    assert_eq!(surf.refused(&used).await.0, Fault::Unauthenticated, "it was used");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_lets_a_terminal_in_that_asks_for_somebody_else() {
    let mut scene = Scene::new().await;
    let arrived = scene.arrives("bob").await;
    // Alice's passkey, in a browser where bob is signed in: what was shown counts, and nothing that was before.
    let mut surf = scene.surf().await;
    surf.sign_in("bob").await;
    let (fault, words) = scene.by_passkey(&mut surf, &arrived.code).await.unwrap_err();
    assert_eq!(fault, Fault::Denied);
    assert_eq!(words, "this terminal asks for bob, and you are alice");
    assert_eq!(scene.come_in(&arrived, "").await.unwrap_err(), Fault::Conflict, "it still waits");
    let failed = ledger(&scene.admin, "user.sign_in_failed").await.pop().unwrap();
    assert_eq!(
        (&failed["user"], &failed["why"]),
        (&"alice".into(), &"they would let a terminal in that asks for bob".into())
    );
    // A password is that of whom the terminal asks for, and of nobody else.
    let by = Proof::Password("another's password".into());
    let call = LetIn { code: arrived.code.clone(), by };
    assert_eq!(surf.refused(&call).await.0, Fault::Unauthenticated);
    // Somebody who does not exist sounds the same as somebody whose password is wrong.
    let nobody = scene.arrives("nobody-at-all").await;
    let seen = surf.call(&ReadArrival { code: nobody.code.clone() }).await.unwrap();
    assert_eq!(seen.user, user("nobody-at-all"));
    let wrong = surf.refused(&with_password(&nobody)).await;
    let by = Proof::Password("another's password".into());
    assert_eq!(wrong, surf.refused(&LetIn { code: arrived.code.clone(), by }).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_was_shown_for_something_else_lets_no_terminal_in() {
    let mut scene = Scene::new().await;
    let (one, other) = (scene.arrives("alice").await, scene.arrives("alice").await);
    let mut surf = scene.surf().await;
    surf.cookie = None;
    // Asked for a sign-in, and for another terminal.
    let sign_in = surf.call(&BeginPasskey {}).await.unwrap();
    let begin = BeginArrivalPasskey { code: other.code.clone() };
    let elsewhere = surf.call(&begin).await.unwrap();
    for asked in [&sign_in, &elsewhere] {
        let passkey = scene.passkey.show(&asked.passkey);
        let by = Proof::Passkey { ticket: asked.ticket.clone(), passkey };
        let call = LetIn { code: one.code.clone(), by };
        assert_eq!(surf.refused(&call).await.0, Fault::Unauthenticated);
    }
    // And what was asked for a terminal signs no browser in.
    let passkey = scene.passkey.show(&elsewhere.passkey);
    let finish = FinishPasskey { ticket: elsewhere.ticket.clone(), passkey: passkey.clone() };
    assert_eq!(surf.refused(&finish).await.0, Fault::Unauthenticated);
    // At another address, and without asking who it is.
    let asked = surf.call(&BeginArrivalPasskey { code: one.code.clone() }).await.unwrap();
    let passkey = scene.passkey.show(&asked.passkey);
    let by = Proof::Passkey { ticket: asked.ticket, passkey };
    let origin = surf.origin.replace("https://evil.example.org:7000".into());
    let call = LetIn { code: one.code.clone(), by };
    assert_eq!(surf.refused(&call).await.0, Fault::Unauthenticated);
    surf.origin = origin;
    let flags = std::mem::replace(&mut scene.passkey.flags, 1);
    let (fault, _) = scene.by_passkey(&mut surf, &one.code).await.unwrap_err();
    assert_eq!(fault, Fault::Unauthenticated);
    scene.passkey.flags = flags;
    assert!(scene.by_passkey(&mut surf, &one.code).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_another_the_address_of_their_own_terminal_gets_nothing_by_their_passkey() {
    let mut scene = Scene::new().await;
    // The attacker's terminal asks for alice, and alice is made to let it in.
    let arrived = scene.arrives("alice").await;
    let mut alices = scene.surf().await;
    let answer = scene.by_passkey(&mut alices, &arrived.code).await.unwrap();
    // Without the answer, which alice alone was shown, there is nothing to be had, and it is not guessed.
    for n in 1..=ARRIVAL_ANSWERS {
        let fault = scene.come_in(&arrived, "aaaa-aaaa").await.unwrap_err();
        let last = n == ARRIVAL_ANSWERS;
        assert_eq!(fault, if last { Fault::Unauthenticated } else { Fault::Malformed });
    }
    assert_eq!(scene.come_in(&arrived, &answer).await.unwrap_err(), Fault::Unauthenticated);
    let failed = ledger(&scene.admin, "user.sign_in_failed").await;
    let words =
        |event: &&serde_json::Value| event["why"].as_str().unwrap().starts_with("an answer");
    let tries: Vec<_> = failed.iter().filter(words).collect();
    assert_eq!(tries.len(), ARRIVAL_ANSWERS as usize);
    assert!(tries.iter().all(|event| event["user"] == "alice"), "{tries:?}");
    // Another terminal has no use for the answer either.
    let (one, other) = (scene.arrives("alice").await, scene.arrives("alice").await);
    let answer = scene.by_passkey(&mut alices, &one.code).await.unwrap();
    assert_eq!(scene.come_in(&other, &answer).await.unwrap_err(), Fault::Conflict);
    // Alice has second thoughts: it is turned away, and the ledger knows which it was.
    alices.call(&TurnAway { code: one.code.clone() }).await.unwrap();
    assert_eq!(scene.come_in(&one, &answer).await.unwrap_err(), Fault::Unauthenticated);
    let away = ledger(&scene.admin, "user.terminal_turned_away").await.pop().unwrap();
    assert_eq!(
        (&away["whose"], &away["address"], &away["from"], &away["machine"]),
        (&"alice".into(), &HERE.into(), &"127.0.0.1".into(), &"laptop".into())
    );
    assert!(away.get("user").is_none(), "who turned it away is not known: {away}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_sign_in_lets_no_terminal_in_and_a_lock_counts_to_the_last_moment() {
    let mut scene = Scene::new().await;
    let mut surf = scene.surf().await;
    let before = scene.arrives("alice").await;
    let answer = scene.by_passkey(&mut surf, &before.code).await.unwrap();
    let after = scene.arrives("alice").await;
    let lock = AddLock {
        target: LockTarget::User(user("alice")),
        reason: model::lock::Reason::default(),
        life_ms: None,
        force: false,
    };
    scene.admin.client.call(&lock).await.unwrap();
    assert_eq!(scene.come_in(&before, &answer).await.unwrap_err(), Fault::Denied);
    let (fault, _) = scene.by_passkey(&mut surf, &after.code).await.unwrap_err();
    assert_eq!(fault, Fault::Denied);
    let failed = ledger(&scene.admin, "user.sign_in_failed").await;
    assert_eq!(failed.iter().filter(|event| event["user"] == "alice").count(), 2);

    // A role that came meanwhile demands a second factor.
    let bobs = scene.arrives("bob").await;
    let LetInAnswer::Answer(answer) = surf.call(&with_password(&bobs)).await.unwrap() else {
        panic!("bob has no second factor")
    };
    let late = scene.arrives("bob").await;
    let role = r#"{"name":"access","options":{"second_factor":true}}"#;
    let role = serde_json::from_str(role).unwrap();
    scene.admin.client.call(&SetRole { role }).await.unwrap();
    assert_eq!(scene.come_in(&bobs, &answer).await.unwrap_err(), Fault::Denied);
    let (fault, words) = surf.refused(&with_password(&late)).await;
    assert_eq!(fault, Fault::Denied);
    assert!(words.contains("you have none yet"), "{words}");

    // An account that was removed, or made anew, meanwhile.
    let role = serde_json::from_str(r#"{"name":"access"}"#).unwrap();
    scene.admin.client.call(&SetRole { role }).await.unwrap();
    let gone = scene.arrives("bob").await;
    let LetInAnswer::Answer(answer) = surf.call(&with_password(&gone)).await.unwrap() else {
        panic!("bob has no second factor")
    };
    scene.admin.client.call(&RemoveUser { user: user("bob") }).await.unwrap();
    scene.house.person(&scene.admin, "bob", &["access"]).await;
    assert_eq!(scene.come_in(&gone, &answer).await.unwrap_err(), Fault::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_of_terminals_are_not_guessed_and_places_are_few() {
    let scene = Scene::new().await;
    let terminal = scene.terminal().await;
    let mut all = Vec::new();
    for _ in 0..ARRIVALS.1 {
        all.push(terminal.call(&arrive("alice")).await.unwrap());
    }
    assert_eq!(refused(&terminal, &arrive("alice")).await.0, Fault::TooMany);
    // Whoever leaves gives the place back; another's ticket is nobody's.
    terminal.call(&Leave { ticket: all[0].code.clone() }).await.unwrap();
    assert_eq!(refused(&terminal, &arrive("alice")).await.0, Fault::TooMany);
    terminal.call(&Leave { ticket: all[0].ticket.clone() }).await.unwrap();
    terminal.call(&arrive("alice")).await.unwrap();
    let long = Arrive { tls_request: "x".repeat(ARRIVAL_BYTES), ..arrive("alice") };
    assert_eq!(refused(&terminal, &long).await.0, Fault::Malformed);
    let odd = Arrive { ssh_key: "ssh-rsa AAAA".into(), ..arrive("alice") };
    assert_eq!(refused(&terminal, &odd).await.0, Fault::Malformed);

    // Not asked in a browser, and by none that no proxy speaks for.
    let code = all[1].code.clone();
    assert_eq!(refused(&terminal, &ReadArrival { code: code.clone() }).await.0, Fault::Denied);
    assert_eq!(refused(&terminal, &with_password(&all[1])).await.0, Fault::Denied);
    assert_eq!(refused(&terminal, &TurnAway { code: code.clone() }).await.0, Fault::Denied);
    let signed_in = &scene.admin.client;
    assert_eq!(refused(signed_in, &with_password(&all[1])).await.0, Fault::Denied);
    assert!(signed_in.call(&ListNodes {}).await.is_ok());

    let mut surf = scene.surf().await;
    let mut tries = 0;
    let throttled = loop {
        let (fault, _) = surf.refused(&ReadArrival { code: "aaaa-aaaa".into() }).await;
        if fault != Fault::NotFound {
            break fault;
        }
        tries += 1;
        assert!(tries < 100, "nobody stops this");
    };
    assert_eq!((tries, throttled), (50, Fault::TooMany));
    let right = ReadArrival { code: code.clone() };
    assert_eq!(surf.refused(&right).await.0, Fault::TooMany, "nor a right one");
    assert_eq!(surf.refused(&TurnAway { code: code.clone() }).await.0, Fault::TooMany);
    assert_eq!(surf.refused(&BeginArrivalPasskey { code }).await.0, Fault::TooMany);
    assert_eq!(surf.refused(&BeginPasskey {}).await.0, Fault::TooMany);
    assert_eq!(surf.refused(&arrive("alice")).await.0, Fault::TooMany);
    let come_in = ComeIn { ticket: all[1].ticket.clone(), answer: "none".into() };
    assert_eq!(surf.refused(&come_in).await.0, Fault::TooMany);
    assert_eq!(ledger(&scene.admin, "user.sign_in_throttled").await.len(), 1);
    let failed = ledger(&scene.admin, "user.sign_in_failed").await;
    assert_eq!(failed.len(), 50);
    assert_eq!(
        fault(terminal.call(&ComeIn { ticket: "none".into(), answer: "none".into() }).await),
        Fault::Unauthenticated
    );
}
