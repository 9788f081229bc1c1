//! Second factors: adding, showing, losing them.

use super::authenticator::Authenticator;
use super::browsers::ledger;
use super::house::{House, Node, PASSWORD, Person, fault, refused, ssh_key, user};
use super::surf::Surf;
use crate::clock;
use crate::throttle::FAILURES_PER_ADDRESS;
use model::FactorKind;
use model::limit::{RECOVERY_CODES, SIGN_IN_FAILURES};
use totp_rs::{Builder, Secret};
use wire::node::{ListNodes, Part};
use wire::people::{SetRole, SignIn};
use wire::web::{
    BeginNewPasskey, BeginPasskey, BeginTotp, Enrolled, Entered, FinishNewPasskey, FinishPasskey,
    FinishTotp, ListFactors, ReadDoor, ReadMe, RemoveFactor, RenewRecovery, ResetFactors,
    ShowSecond, Shown, Wants, WebSignIn, WebSignOut,
};
use wire::{Failure, Fault};

/// Alice, and a proxy for browsers.
struct Scene {
    house: House,
    admin: Person,
    proxy: Node,
}

impl Scene {
    async fn new() -> Self {
        let house = House::start().await;
        let admin = house.admin().await;
        let role = r#"{"name":"guarded","options":{"second_factor":true}}"#;
        let role = serde_json::from_str(role).unwrap();
        admin.client.call(&SetRole { role }).await.unwrap();
        house.person(&admin, "alice", &["access"]).await;
        let proxy = house.join(Part::Proxy, "front").await;
        Self { house, admin, proxy }
    }

    async fn surf(&self) -> Surf {
        Surf::behind(&self.house, Some(&self.proxy.badge)).await
    }

    /// With the password alone; what is wanted besides.
    async fn wants(&self, surf: &mut Surf) -> Wants {
        let call = WebSignIn { user: user("alice"), password: PASSWORD.into() };
        match surf.call(&call).await.unwrap() {
            Entered::Wants(wants) => wants,
            Entered::SignedIn(me) => panic!("{me:?}"),
        }
    }

    /// With the command line.
    async fn sign_in(&self, second: Option<Shown>) -> Result<(), Failure> {
        let call = SignIn {
            user: user("alice"),
            password: PASSWORD.into(),
            ssh_key: ssh_key(7).public_key().to_openssh().unwrap(),
            tls_request: link::tls::KeyRequest::make().unwrap().request,
            wanted_ms: None,
            second,
        };
        match self.house.client(None).await.call(&call).await {
            Ok(_) => Ok(()),
            Err(link::http::CallError::Refused(failure)) => Err(failure),
            Err(other) => panic!("{other}"),
        }
    }

    async fn methods(&self) -> Vec<String> {
        let signed_in = ledger(&self.admin, "user.sign_in").await.into_iter();
        let alices = signed_in.filter(|event| event["user"] == "alice");
        alices.filter_map(|event| Some(event["method"].as_str()?.to_owned())).collect()
    }
}

/// An app on a phone.
pub(super) struct App {
    secret: String,
    /// The time step in which it was added (RFC 6238 §4.2).
    added: i64,
}

const STEP_SECONDS: i64 = 30;

impl App {
    fn scan(secret: &str) -> Self {
        Self { secret: secret.into(), added: clock::now().seconds() / STEP_SECONDS }
    }

    /// What it shows so many steps after it was added. The same whenever it is asked for: a test can take longer than
    /// a step.
    pub(super) fn code(&self, steps: i64) -> String {
        let secret = Secret::try_from_base32(&self.secret).unwrap();
        let app = Builder::new().with_secret(secret).build().unwrap();
        app.generate(u64::try_from((self.added + steps) * STEP_SECONDS).unwrap()).to_string()
    }
}

/// Adds an app, with the code of the step before, so that the step's own still counts.
pub(super) async fn add_app(surf: &mut Surf) -> (App, Enrolled) {
    // Not where a step ends: the code of the one before the last is refused.
    while clock::now().seconds() % STEP_SECONDS >= STEP_SECONDS - 5 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let asked = surf.call(&BeginTotp {}).await.unwrap();
    let app = App::scan(&asked.secret);
    let finish = FinishTotp { ticket: asked.ticket, code: app.code(-1), name: "Phone".into() };
    let enrolled = surf.call(&finish).await.unwrap();
    // It was done already.
    assert_eq!(surf.refused(&finish).await.0, Fault::Unauthenticated);
    (app, enrolled)
}

fn second(wants: &Wants, shown: Shown) -> ShowSecond {
    ShowSecond { ticket: wants.ticket.clone(), shown }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_database_does_not_have_the_secret_of_an_app_and_one_kept_in_clear_is_sealed() {
    let scene = Scene::new().await;
    let mut surf = scene.surf().await;
    surf.sign_in("alice").await;
    let waits = surf.call(&BeginTotp {}).await.unwrap().secret;
    let (app, enrolled) = add_app(&mut surf).await;
    let path = scene.house.dir.path().join("auth/scry.db");
    let tells = |secret: &str| {
        ["scry.db", "scry.db-wal"].iter().any(|name| {
            let bytes = std::fs::read(path.with_file_name(name)).unwrap_or_default();
            bytes.windows(secret.len()).any(|part| part == secret.as_bytes())
        })
    };
    assert!(!tells(&app.secret) && !tells(&waits));
    // As an earlier scry kept it.
    let tables = store::tables::Tables::open(&path).await.unwrap();
    tables.put_totp_secret(enrolled.factor.id, &app.secret).await.unwrap();
    let kept = async || tables.totp_secrets().await.unwrap().remove(0).2;
    assert_eq!(kept().await, app.secret);
    let Scene { house, .. } = scene;
    let house = house.restart().await;
    assert!(kept().await.starts_with("v1:"));
    let proxy = house.join(Part::Proxy, "front").await;
    let mut surf = Surf::behind(&house, Some(&proxy.badge)).await;
    let call = WebSignIn { user: user("alice"), password: PASSWORD.into() };
    let Entered::Wants(wants) = surf.call(&call).await.unwrap() else { panic!("no second factor") };
    surf.call(&second(&wants, Shown::Totp(app.code(0)))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_added_and_from_then_on_each_of_its_codes_counts_once() {
    let scene = Scene::new().await;
    let mut surf = scene.surf().await;
    surf.sign_in("alice").await;
    let asked = surf.call(&BeginTotp {}).await.unwrap();
    assert!(asked.uri.starts_with("otpauth://totp/lab:alice?"), "{}", asked.uri);
    let wrong = FinishTotp { ticket: asked.ticket, code: "abcdef".into(), name: String::new() };
    assert_eq!(surf.refused(&wrong).await.0, Fault::Malformed);
    let (app, enrolled) = add_app(&mut surf).await;
    assert_eq!((enrolled.factor.kind, enrolled.factor.name.as_str()), (FactorKind::Totp, "Phone"));
    assert_eq!(enrolled.recovery.len(), RECOVERY_CODES);
    let listed = surf.call(&ListFactors {}).await.unwrap();
    assert_eq!((listed.factors.len(), listed.recovery_left), (1, 10));
    assert_eq!(surf.call(&ReadMe {}).await.unwrap().factors, [FactorKind::Totp]);
    // The password alone signs nobody in any more.
    let mut other = scene.surf().await;
    let wants = scene.wants(&mut other).await;
    assert_eq!((&*wants.factors, wants.passkey.as_ref()), (&[FactorKind::Totp][..], None));
    assert_eq!(other.set, None);
    assert_eq!(other.refused(&ReadMe {}).await.0, Fault::Unauthenticated);
    for shown in [
        Shown::Totp("000000".into()),
        Shown::Totp(app.code(-1)),
        Shown::Recovery("0000-0000-0000-0000".into()),
        Shown::Passkey(serde_json::json!({})),
    ] {
        let (fault, words) = other.refused(&second(&wants, shown)).await;
        assert!(matches!(fault, Fault::Unauthenticated | Fault::Malformed), "{words}");
    }
    let wants = scene.wants(&mut other).await;
    let code = app.code(0);
    let me = other.call(&second(&wants, Shown::Totp(code.clone()))).await.unwrap();
    assert_eq!((me.user.as_str(), me.must_enrol), ("alice", false));
    // Neither the ticket nor the code counts again.
    let mut third = scene.surf().await;
    let again = second(&wants, Shown::Totp(app.code(1)));
    assert_eq!(third.refused(&again).await.0, Fault::Unauthenticated);
    let wants = scene.wants(&mut third).await;
    let again = second(&wants, Shown::Totp(code.clone()));
    assert_eq!(third.refused(&again).await.0, Fault::Unauthenticated);
    // So it is with the command line.
    let failure = scene.sign_in(None).await.unwrap_err();
    assert_eq!(failure.fault, Fault::SecondFactor);
    assert!(failure.message.contains("six digits"), "{}", failure.message);
    let used = scene.sign_in(Some(Shown::Totp(code))).await.unwrap_err();
    assert_eq!(used.fault, Fault::Unauthenticated);
    scene.sign_in(Some(Shown::Totp(app.code(1)))).await.unwrap();
    let code = Shown::Recovery(enrolled.recovery[0].to_ascii_uppercase());
    scene.sign_in(Some(code.clone())).await.unwrap();
    assert_eq!(scene.sign_in(Some(code)).await.unwrap_err().fault, Fault::Unauthenticated);
    let methods = scene.methods().await;
    let methods: Vec<_> = methods.iter().skip(2).map(String::as_str).collect();
    assert_eq!(methods, ["password and totp", "password and totp", "password and recovery"]);
    let used = ledger(&scene.admin, "factor.recovery_use").await;
    assert_eq!((used.len(), &used[0]["left"]), (1, &9.into()));
    let added = ledger(&scene.admin, "factor.add").await;
    assert_eq!((&added[0]["kind"], &added[0]["via"]), (&"totp".into(), &"front".into()));
    let text = format!("{:?}", ledger(&scene.admin, "").await);
    assert!(!text.contains(&app.secret) && !text.contains(&enrolled.recovery[0]), "no secrets");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_with_one_code_are_one() {
    let scene = Scene::new().await;
    let mut surf = scene.surf().await;
    surf.sign_in("alice").await;
    let (app, _) = add_app(&mut surf).await;
    let code = app.code(0);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut surf = scene.surf().await;
        let wants = scene.wants(&mut surf).await;
        let call = second(&wants, Shown::Totp(code.clone()));
        tasks.spawn(async move { surf.call(&call).await.is_ok() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|entered| *entered).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_not_guessed() {
    let scene = Scene::new().await;
    let mut surf = scene.surf().await;
    surf.sign_in("alice").await;
    let (app, _) = add_app(&mut surf).await;
    let mut thief = scene.surf().await;
    let wants = scene.wants(&mut thief).await;
    let mut tries = 1;
    loop {
        let (fault, _) = thief.refused(&second(&wants, Shown::Totp("000000".into()))).await;
        if fault == Fault::TooMany {
            break;
        }
        assert_eq!(fault, Fault::Unauthenticated);
        tries += 1;
    }
    assert_eq!(tries, SIGN_IN_FAILURES);
    let right = Shown::Totp(app.code(0));
    assert_eq!(thief.refused(&second(&wants, right)).await.0, Fault::TooMany);
    assert_eq!(ledger(&scene.admin, "user.sign_in_throttled").await.len(), 1);
    let failed = ledger(&scene.admin, "user.sign_in_failed").await;
    assert!(failed.iter().any(|event| event["why"] == "the code of the app is wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_must_have_a_second_factor_and_has_none_may_only_add_one() {
    let scene = Scene::new().await;
    let again = super::house::add("alice", &["access", "guarded"]);
    scene.admin.client.call(&again).await.unwrap();
    let failure = scene.sign_in(None).await.unwrap_err();
    assert_eq!(failure.fault, Fault::Denied);
    assert!(failure.message.contains("browser"), "{}", failure.message);
    let mut surf = scene.surf().await;
    assert!(surf.sign_in("alice").await.must_enrol);
    let (fault, words) = surf.refused(&ListNodes {}).await;
    assert_eq!(fault, Fault::Denied);
    assert!(words.contains("second factor"), "{words}");
    let key = ssh_key(9).public_key().to_openssh().unwrap();
    let to = wire::web::TerminalTo::Link { code: "share-x".into() };
    let terminal = wire::web::GrantTerminal { ssh_key: key, to };
    assert_eq!(surf.refused(&terminal).await.0, Fault::Denied);
    let why = "a role demands a second factor, and none was shown in this web session";
    let denied = ledger(&scene.admin, "access.denied").await;
    let told = denied.iter().filter(|event| event["why"] == why).count();
    assert_eq!(told, 1, "not of each request: {denied:#?}");
    assert!(surf.call(&ListFactors {}).await.unwrap().demanded);
    let (app, enrolled) = add_app(&mut surf).await;
    assert!(!surf.call(&ReadMe {}).await.unwrap().must_enrol);
    surf.call(&ListNodes {}).await.unwrap();
    scene.sign_in(Some(Shown::Totp(app.code(0)))).await.unwrap();
    // The last one stays.
    let remove = RemoveFactor { id: enrolled.factor.id };
    assert_eq!(surf.refused(&remove).await.0, Fault::Conflict);
    // A lost phone is an admin's matter.
    let reset = ResetFactors { user: user("alice") };
    assert_eq!(surf.refused(&reset).await.0, Fault::Denied);
    scene.admin.client.call(&reset).await.unwrap();
    assert_eq!(surf.refused(&ReadMe {}).await.0, Fault::Unauthenticated);
    let event = ledger(&scene.admin, "factor.reset").await.pop().unwrap();
    assert_eq!((&event["whose"], &event["count"]), (&"alice".into(), &1.into()));
    let code = Shown::Recovery(enrolled.recovery[0].clone());
    assert_eq!(scene.sign_in(Some(code)).await.unwrap_err().fault, Fault::Denied);
    assert!(surf.sign_in("alice").await.must_enrol);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_has_is_changed_only_where_it_was_shown() {
    let scene = Scene::new().await;
    let (mut old, mut surf) = (scene.surf().await, scene.surf().await);
    old.sign_in("alice").await;
    surf.sign_in("alice").await;
    let (_, enrolled) = add_app(&mut surf).await;
    let remove = RemoveFactor { id: enrolled.factor.id };
    assert_eq!(old.refused(&remove).await.0, Fault::Denied);
    assert_eq!(old.refused(&BeginTotp {}).await.0, Fault::Denied);
    assert_eq!(old.refused(&RenewRecovery {}).await.0, Fault::Denied);
    let denied = ledger(&scene.admin, "access.denied").await;
    let changes = denied.iter().filter(|event| event["action"] == "change second factors");
    assert_eq!(changes.count(), 3, "{denied:#?}");
    let codes = surf.call(&RenewRecovery {}).await.unwrap().recovery;
    let earlier = Shown::Recovery(enrolled.recovery[0].clone());
    assert_eq!(scene.sign_in(Some(earlier)).await.unwrap_err().fault, Fault::Unauthenticated);
    scene.sign_in(Some(Shown::Recovery(codes[0].clone()))).await.unwrap();
    // Nobody removes another's.
    let mut admin = scene.surf().await;
    admin.sign_in("root-admin").await;
    assert_eq!(admin.refused(&remove).await.0, Fault::NotFound);
    surf.call(&remove).await.unwrap();
    scene.sign_in(None).await.unwrap();
    let left = surf.call(&ListFactors {}).await.unwrap();
    assert_eq!((left.factors.len(), left.recovery_left), (0, 0));
    // By certificate none of this is done, so that a stolen laptop does not take it away.
    let (fault, _) = refused(&scene.admin.client, &BeginTotp {}).await;
    assert_eq!(fault, Fault::Denied);
}

/// Adds a passkey.
async fn add_passkey(surf: &mut Surf, key: &mut Authenticator) -> Result<Enrolled, Failure> {
    let asked = surf.call(&BeginNewPasskey {}).await?;
    let passkey = key.make(&asked.passkey);
    surf.call(&FinishNewPasskey { ticket: asked.ticket, passkey, name: String::new() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_signs_in_alone_and_as_a_second_factor() {
    let scene = Scene::new().await;
    let mut surf = scene.surf().await;
    surf.sign_in("alice").await;
    let mut key = Authenticator::new(1);
    let enrolled = add_passkey(&mut surf, &mut key).await.unwrap();
    assert_eq!(enrolled.factor.kind, FactorKind::Passkey);
    assert_eq!(enrolled.recovery.len(), RECOVERY_CODES);
    let twice = add_passkey(&mut surf, &mut key).await.unwrap_err();
    assert_eq!(twice.fault, Fault::Conflict, "{}", twice.message);
    surf.call(&WebSignOut { everywhere: true }).await.unwrap();
    // Without a name and without a password.
    let asked = surf.call(&BeginPasskey {}).await.unwrap();
    assert_eq!(asked.passkey["rpId"], "scry.example.org");
    let finish = FinishPasskey { passkey: key.show(&asked.passkey), ticket: asked.ticket };
    let me = surf.call(&finish).await.unwrap();
    assert_eq!((me.user.as_str(), &*me.factors), ("alice", &[FactorKind::Passkey][..]));
    assert_eq!(surf.refused(&finish).await.0, Fault::Unauthenticated, "an answer counts once");
    // Behind the password.
    let wants = scene.wants(&mut surf).await;
    let shown = Shown::Passkey(key.show(wants.passkey.as_ref().unwrap()));
    surf.call(&second(&wants, shown.clone())).await.unwrap();
    assert_eq!(surf.refused(&second(&wants, shown)).await.0, Fault::Unauthenticated);
    // With the command line a recovery code stands in for it.
    let failure = scene.sign_in(None).await.unwrap_err();
    assert!(failure.message.contains("recovery code"), "{}", failure.message);
    scene.sign_in(Some(Shown::Recovery(enrolled.recovery[3].clone()))).await.unwrap();
    let methods = scene.methods().await;
    let methods: Vec<_> = methods.iter().skip(2).map(String::as_str).collect();
    assert_eq!(methods, ["passkey", "password and passkey", "password and recovery"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_of_strangers_do_not_keep_a_passkey_out() {
    let scene = Scene::new().await;
    let mut surf = scene.surf().await;
    surf.sign_in("alice").await;
    let mut key = Authenticator::new(1);
    add_passkey(&mut surf, &mut key).await.unwrap();
    surf.call(&WebSignOut { everywhere: true }).await.unwrap();
    let mut stranger = scene.surf().await;
    stranger.address = Some("198.51.100.1".into());
    let wrong = WebSignIn { user: user("alice"), password: "a wrong password".into() };
    for _ in 0..SIGN_IN_FAILURES {
        assert_eq!(stranger.refused(&wrong).await.0, Fault::Unauthenticated);
    }
    // Passwords for this name wait, wherever they come from.
    let right = WebSignIn { user: user("alice"), password: PASSWORD.into() };
    for surf in [&mut stranger, &mut surf] {
        assert_eq!(surf.refused(&right).await.0, Fault::TooMany);
    }
    let asked = surf.call(&BeginPasskey {}).await.unwrap();
    let finish = FinishPasskey { passkey: key.show(&asked.passkey), ticket: asked.ticket };
    assert_eq!(surf.call(&finish).await.unwrap().user, user("alice"));
    // She is in, and earlier failures count no more.
    scene.wants(&mut surf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passkeys_that_do_not_count_are_counted_by_address_and_not_by_name() {
    let scene = Scene::new().await;
    let mut surf = scene.surf().await;
    surf.sign_in("alice").await;
    let mut key = Authenticator::new(1);
    add_passkey(&mut surf, &mut key).await.unwrap();
    let flags = std::mem::replace(&mut key.flags, 1);
    for _ in 0..FAILURES_PER_ADDRESS {
        let asked = surf.call(&BeginPasskey {}).await.unwrap();
        let call = FinishPasskey { passkey: key.show(&asked.passkey), ticket: asked.ticket };
        assert_eq!(surf.refused(&call).await.0, Fault::Unauthenticated);
    }
    assert_eq!(surf.refused(&BeginPasskey {}).await.0, Fault::TooMany);
    let throttled = ledger(&scene.admin, "user.sign_in_throttled").await;
    assert_eq!((throttled.len(), &throttled[0]["of"]), (1, &"address".into()));
    // From elsewhere she comes in, by passkey and by password.
    key.flags = flags;
    surf.address = Some("198.51.100.1".into());
    let asked = surf.call(&BeginPasskey {}).await.unwrap();
    let call = FinishPasskey { passkey: key.show(&asked.passkey), ticket: asked.ticket };
    assert_eq!(surf.call(&call).await.unwrap().user, user("alice"));
    scene.wants(&mut surf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_with_something_wrong_lets_nobody_in() {
    let scene = Scene::new().await;
    let mut surf = scene.surf().await;
    surf.sign_in("alice").await;
    let mut key = Authenticator::new(1);
    add_passkey(&mut surf, &mut key).await.unwrap();
    let mut unverified = Authenticator::new(2);
    unverified.flags = 1;
    assert_eq!(add_passkey(&mut surf, &mut unverified).await.unwrap_err().fault, Fault::Malformed);
    let mut elsewhere = Authenticator::new(3);
    elsewhere.origin = "https://evil.example.org".into();
    assert_eq!(add_passkey(&mut surf, &mut elsewhere).await.unwrap_err().fault, Fault::Malformed);
    type Spoil = fn(&mut Authenticator);
    let spoils: [(&str, Spoil); 4] = [
        ("another page asked", |key| key.origin = "https://evil.example.org".into()),
        ("nobody was asked who they are", |key| key.flags = 1),
        ("nobody was there", |key| key.flags = 0),
        ("it counts backwards", |key| key.counter = 0),
    ];
    for (what, spoil) in spoils {
        let (flags, counter, origin) = (key.flags, key.counter, key.origin.clone());
        let asked = surf.call(&BeginPasskey {}).await.unwrap();
        spoil(&mut key);
        let call = FinishPasskey { passkey: key.show(&asked.passkey), ticket: asked.ticket };
        let (fault, words) = surf.refused(&call).await;
        assert_eq!(fault, Fault::Unauthenticated, "{what}: {words}");
        (key.flags, key.counter, key.origin) = (flags, counter, origin);
    }
    // Another's key under this one's number; an answer to another question; no passkey at all.
    let mut forged = Authenticator::new(1);
    let asked = surf.call(&BeginPasskey {}).await.unwrap();
    let other = surf.call(&BeginPasskey {}).await.unwrap();
    let answer = key.show(&asked.passkey);
    let mut handle = forged.show(&asked.passkey);
    handle["response"]["userHandle"] = answer["response"]["userHandle"].clone();
    for (ticket, passkey) in
        [(asked.ticket, handle), (other.ticket, answer), ("0".repeat(64), serde_json::json!({}))]
    {
        let call = FinishPasskey { ticket, passkey };
        assert_eq!(surf.refused(&call).await.0, Fault::Unauthenticated);
    }
    // Nor at another address, nor where there can be none.
    surf.origin = Some("https://other.example.org".into());
    let asked = surf.call(&BeginPasskey {}).await.unwrap();
    let call = FinishPasskey { passkey: key.show(&asked.passkey), ticket: asked.ticket };
    assert_eq!(surf.refused(&call).await.0, Fault::Unauthenticated);
    assert_eq!(scene.wants(&mut surf).await.passkey, None, "none is bound to this address");
    for (origin, word) in [
        (Some("https://192.0.2.7:7000"), "host name"),
        (Some("https://[2001:db8::7]"), "host name"),
        (Some("http://scry.example.org"), "https"),
        (Some("nonsense"), "does not say"),
        (None, "does not say"),
    ] {
        surf.origin = origin.map(str::to_owned);
        let why = surf.call(&ReadDoor {}).await.unwrap().no_passkeys.unwrap();
        assert!(why.contains(word), "{origin:?}: {why}");
        assert_eq!(surf.refused(&BeginPasskey {}).await, (Fault::Conflict, why));
    }
    let failed = ledger(&scene.admin, "user.sign_in_failed").await;
    let whys: Vec<_> = failed.iter().filter_map(|event| event["why"].as_str()).collect();
    assert!(whys.contains(&"the passkey was shown to another address"), "{whys:?}");
    let _ = fault::<()>;
}
