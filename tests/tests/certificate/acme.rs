//! Certificates from an ACME server that nobody here wrote: Debian's `pebble`, with names that its own DNS server makes up.

use super::{Elsewhere, cluster_authority, curl};
use house::process::{Server, send};
use house::{
    CLUSTER, Cluster, NODE, PASSWORD, assert_success, free_port, scry_path, text, wait_for,
};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Programs that are killed with it.
struct Pebble {
    programs: Vec<Child>,
    management: u16,
    authority: PathBuf,
}

/// Where a server is, or will be.
struct Ports {
    acme: u16,
    management: u16,
    dns: u16,
    names: u16,
}

impl Ports {
    fn free() -> Self {
        let [acme, management, dns, names] = std::array::from_fn(|_| free_port());
        Self { acme, management, dns, names }
    }

    fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.acme)
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// Whether both programs are there; says it if not.
fn is_there(test: &str) -> bool {
    let all = ["pebble", "pebble-challtestsrv"];
    let there = all.iter().all(|program| Path::new("/usr/bin").join(program).exists());
    if !there {
        println!("skipped: {test}: this machine has no pebble (Debian's package of that name)");
    }
    there
}

impl Pebble {
    /// Starts one that has never heard of anybody. It looks at `port`; its certificates last for `life_s`, and of good requests it
    /// refuses `rejects` percent as clients must expect. Names lead to this machine, but those of `astray.example`.
    fn start(folder: &Path, ports: &Ports, port: &str, life_s: u32, rejects: u32) -> Self {
        let elsewhere = Elsewhere { folder: folder.join("pebble") };
        let (certificate, key) = elsewhere.sign("pebble", "DNS:localhost,IP:127.0.0.1", "30");
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", ports.acme),
            "managementListenAddress": format!("127.0.0.1:{}", ports.management),
            "certificate": certificate, "privateKey": key,
            "httpPort": 1, "tlsPort": port.parse::<u16>().unwrap(),
            "domainBlocklist": ["barred.example"], "certificateValidityPeriod": life_s,
        }});
        let file = folder.join("pebble.json");
        fs::write(&file, config.to_string()).unwrap();
        let run = |command: &mut Command, log: &str| {
            let log = || File::options().create(true).append(true).open(folder.join(log)).unwrap();
            command.stdin(Stdio::null()).stdout(log()).stderr(log()).spawn().expect("pebble runs")
        };
        let mut names = Command::new("pebble-challtestsrv");
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        names.args(["-dns01", &format!("127.0.0.1:{}", ports.dns)]);
        names.args(["-management", &format!("127.0.0.1:{}", ports.names)]);
        let names = run(&mut names, "names.log");
        let mut pebble = Command::new("pebble");
        pebble.arg("-config").arg(&file).args(["-dnsserver", &format!("127.0.0.1:{}", ports.dns)]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", rejects.to_string());
        let pebble = run(&mut pebble, "pebble.log");
        let authority = folder.join("pebble/ca.pem");
        let started =
            Self { programs: vec![pebble, names], management: ports.management, authority };
        wait_for("pebble's DNS server", || {
            let astray = r#"{"host":"astray.example.","addresses":["127.0.0.9"]}"#;
            let mut tell = Command::new("curl");
            tell.args(["-sS", "-f", "-d", astray]);
            let out = tell.arg(format!("http://127.0.0.1:{}/add-a", ports.names)).output();
            out.unwrap().status.success()
        });
        wait_for("pebble", || started.ask().is_some());
        started
    }

    fn ask(&self) -> Option<String> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-f", "--cacert"]).arg(&self.authority);
        let out = curl.arg(format!("https://localhost:{}/roots/0", self.management)).output();
        let out = out.unwrap();
        out.status.success().then(|| text(&out) + "\n")
    }

    /// Who signs its certificates; another with each start.
    fn root(&self) -> String {
        self.ask().expect("pebble tells its root")
    }
}

/// A cluster that exists, and that is started anew with these names.
struct Scene {
    cluster: Cluster,
    ports: Ports,
    names: &'static str,
    diagnostics: u16,
    server: Option<Server>,
}

impl Scene {
    fn new(names: &'static str) -> Self {
        let mut cluster = Cluster::start();
        assert!(cluster.stop().success());
        Elsewhere::new(cluster.folder.path(), "pebble");
        Self { cluster, ports: Ports::free(), names, diagnostics: free_port(), server: None }
    }

    fn folder(&self) -> &Path {
        self.cluster.folder.path()
    }

    fn port(&self) -> &str {
        self.cluster.address.rsplit_once(':').unwrap().1
    }

    fn pebble(&self, life_s: u32, rejects: u32) -> Pebble {
        Pebble::start(self.folder(), &self.ports, self.port(), life_s, rejects)
    }

    /// Starts the cluster, whose log begins anew.
    fn start(&mut self) {
        let log = self.cluster.path("server.log");
        let _ = fs::remove_file(&log);
        let mut start = Command::new(scry_path());
        start.args(["start", "--listen", &self.cluster.address, "--cluster", CLUSTER]);
        start.args(["--diagnostics-listen", &format!("127.0.0.1:{}", self.diagnostics)]);
        start.args(["--node-name", NODE, "--admin", &self.cluster.login, "--data-dir"]);
        start.arg(self.cluster.path("data")).args(["--web-acme", self.names]);
        start.args(["--web-acme-agree-tos", "--web-acme-contact", "admin@scry.example"]);
        start.args(["--web-acme-directory", &self.ports.directory(), "--web-acme-ca"]);
        start.arg(self.cluster.path("pebble/ca.pem"));
        let server = Server::start(start, &log);
        server.until_ready();
        self.server = Some(server);
    }

    fn stop(&mut self) {
        assert!(self.server.as_mut().unwrap().stop().success());
    }

    /// Asks to try again at once.
    fn again(&self) {
        send("-HUP", self.server.as_ref().unwrap().pid());
    }

    /// Until the log says it.
    fn told(&self, words: &str) {
        wait_for(words, || self.cluster.log().contains(words));
    }

    /// Until a browser that trusts this root finds the name.
    fn trusted(&self, name: &str, root: &str) {
        wait_for(&format!("a certificate for {name}"), || self.is_trusted(name, root));
    }

    fn is_trusted(&self, name: &str, root: &str) -> bool {
        let pem = self.cluster.path("trusted.pem");
        curl(&self.cluster.address, &pem, name, root).status.success()
    }

    /// Number and signer of what is shown for a name.
    fn shown(&self, name: &str) -> String {
        let shake = format!(
            "openssl s_client -connect {} -servername {name} </dev/null 2>/dev/null | openssl x509 -noout -serial -issuer",
            self.cluster.address
        );
        text(&Command::new("sh").args(["-c", &shake]).output().unwrap())
    }

    /// What a stranger gets who asks as an ACME server does.
    fn refused(&self, name: &str) {
        let mut shake = Command::new("openssl");
        shake.args(["s_client", "-connect", &self.cluster.address, "-alpn", "acme-tls/1"]);
        let out = shake.args(["-servername", name]).stdin(Stdio::null()).output().unwrap();
        let said = format!("{}{}", text(&out), String::from_utf8_lossy(&out.stderr));
        assert!(!out.status.success() && said.contains("alert"), "{name}: {said}");
        assert!(!said.contains("BEGIN CERTIFICATE"), "{name}: {said}");
    }

    fn metrics(&self) -> String {
        let address = format!("http://127.0.0.1:{}/metrics", self.diagnostics);
        let out = Command::new("curl").args(["-sS", &address]).output().unwrap();
        assert_success(&out);
        text(&out)
    }

    fn kept(&self, file: &str) -> PathBuf {
        self.cluster.path("data/proxy/acme").join(file)
    }
}

const KEPT: &str = "name-scry.example.json";

#[test]
fn a_proxy_gets_its_certificate_by_itself_keeps_it_and_says_why_it_has_none() {
    if !is_there("a_proxy_gets_its_certificate_by_itself_keeps_it_and_says_why_it_has_none") {
        return;
    }
    let mut scene = Scene::new("scry.example,astray.example");
    scene.start();
    // Nobody is there to ask: everything works, and browsers see what they saw before.
    scene.told("is not reached");
    assert!(scene.shown("scry.example").contains("scry TLS authority"));
    assert!(
        scene.metrics().contains("scry_proxy_acme_certificate_expires{name=\"scry.example\"} 0")
    );
    scene.refused("scry.example");

    // Pebble refuses one request of ten for its nonce, as any server may.
    let mut pebble = scene.pebble(90 * 24 * 3600, 10);
    let root = pebble.root();
    scene.again();
    scene.trusted("scry.example", &root);
    scene.told("the ACME server has not seen this proxy's answer at port 443 of the name");
    assert!(scene.shown("astray.example").contains("scry TLS authority"));
    for name in ["scry.example", "astray.example", "other.example"] {
        scene.refused(name);
    }
    let metrics = scene.metrics();
    assert!(metrics.contains("scry_proxy_acme_orders_total{outcome=\"given\"} 1"), "{metrics}");
    assert!(metrics.contains("scry_proxy_acme_orders_total{outcome=\"failed\"}"), "{metrics}");
    assert!(!metrics.contains("certificate_expires{name=\"scry.example\"} 0"), "{metrics}");

    // Who has the cluster's pin or authority never sees it.
    let own = cluster_authority(&scene.cluster);
    assert!(scene.is_trusted("localhost", &own) && !scene.is_trusted("localhost", &root));
    assert_success(&scene.cluster.scry_with_input(&["login", "--no-agent"], PASSWORD));
    let host = format!("{}@{NODE}", scene.cluster.login);
    assert_eq!(text(&scene.cluster.scry(&["ssh", &host, "echo in"])), "in");
    assert_eq!(text(&scene.cluster.ssh("echo in, too")), "in, too");

    // What was given is kept for the owner alone, and shown after a restart without anybody being asked.
    for file in ["account.json", KEPT] {
        let mode = fs::metadata(scene.kept(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(fs::metadata(scene.kept("")).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!scene.kept("name-astray.example.json").exists());
    let shown = scene.shown("scry.example");
    drop(pebble);
    scene.stop();
    scene.start();
    assert_eq!(scene.shown("scry.example"), shown);
    scene.told("is not reached");
    assert!(
        !scene.cluster.log().contains("asked for name=\"scry.example\""),
        "{}",
        scene.cluster.log()
    );

    // What is broken is asked for anew, from a server that has forgotten the account.
    scene.stop();
    fs::write(scene.kept(KEPT), "{\"directory\":\"garbage").unwrap();
    pebble = scene.pebble(90 * 24 * 3600, 0);
    scene.start();
    scene.trusted("scry.example", &pebble.root());
    let log = scene.cluster.log();
    assert!(log.contains("cannot be used; another certificate is asked for"), "{log}");
    assert!(log.contains("does not know the account of this proxy"), "{log}");

    // An account that others could have read is given up, and so is a certificate for somebody else.
    scene.stop();
    let account = scene.kept("account.json");
    fs::set_permissions(&account, fs::Permissions::from_mode(0o644)).unwrap();
    let kept = fs::read_to_string(scene.kept(KEPT)).unwrap();
    let other = Elsewhere { folder: scene.folder().join("pebble") }.sign(
        "other",
        "DNS:other.example",
        "30",
    );
    let mut kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    kept["chain"] = fs::read_to_string(other.0).unwrap().into();
    kept["key"] = fs::read_to_string(other.1).unwrap().into();
    fs::write(scene.kept(KEPT), kept.to_string()).unwrap();
    scene.start();
    scene.trusted("scry.example", &pebble.root());
    let log = scene.cluster.log();
    assert!(log.contains("it is for other.example, not for scry.example"), "{log}");
    assert!(log.contains("(mode 0644)"), "{log}");
    assert!(log.contains("another account is made"), "{log}");
    assert_eq!(fs::metadata(&account).unwrap().permissions().mode() & 0o777, 0o600);
    scene.stop();
}

#[test]
fn a_certificate_is_renewed_before_it_ends_and_stays_when_it_cannot_be() {
    if !is_there("a_certificate_is_renewed_before_it_ends_and_stays_when_it_cannot_be") {
        return;
    }
    let mut scene = Scene::new("scry.example,barred.example");
    let pebble = scene.pebble(15, 0);
    scene.start();
    let root = pebble.root();
    scene.trusted("scry.example", &root);
    scene.told("it does not sign for this name at all: take it out of --web-acme");
    let first = scene.shown("scry.example");
    wait_for("another certificate", || scene.shown("scry.example") != first);
    let second = scene.shown("scry.example");
    assert!(scene.is_trusted("scry.example", &root), "nobody saw it end");
    drop(pebble);
    scene.told("the certificate for browsers could not be renewed");
    assert_eq!(scene.shown("scry.example"), second);
    scene.stop();
}

#[test]
fn names_that_make_no_sense_are_refused_at_the_start_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = Elsewhere::new(folder.path(), "elsewhere");
    let (chain, key) = elsewhere.sign("good", "DNS:scry.example,DNS:*.lab.example", "30");
    let [chain, key] = [&chain, &key].map(|path| path.to_str().unwrap());
    let check = |further: &[&str], why: &str| {
        let mut start = Command::new("timeout");
        start.arg("20").arg(scry_path()).args(["start", "--listen", "127.0.0.1:0"]);
        start.args(["--diagnostics-listen", "127.0.0.1:0", "--data-dir"]);
        let out = start.arg(folder.path().join("data")).args(further).output().unwrap();
        let said = house::person::words(&out);
        // Long errors are drawn with a frame.
        let said = said.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!out.status.success() && said.contains(why), "it should say {why:?}: {said}");
    };
    let agreed = ["--web-acme-agree-tos", "--web-acme"];
    let with =
        |name: &'static str, further: &[&'static str]| [&agreed[..], &[name], further].concat();
    check(&["--web-acme", "scry.example"], "letsencrypt.org/repository");
    check(&with("*.scry.example", &[]), "it has a star");
    check(&with("proxy.scry.internal", &[]), "the cluster's own");
    check(&with("scry.example", &["--roles", "node"]), "is for a proxy");
    check(&with("scry.example", &["--web-acme-directory", "http://ca.lan/dir"]), "https://");
    check(&with("scry.example", &["--web-acme-contact", "nobody"]), "one address of mail");
    check(&with("scry.example", &["--web-acme-ca", "/nowhere.pem"]), "/nowhere.pem");
    check(&with("scry.example", &["--web-acme-ca", "/etc/hostname"]), "no certificate");
    let public = ["--public-address", "other.example:443"];
    check(&with("scry.example", &public), "people are told to come to other.example");
    check(&["--web-acme-contact", "a@b.example"], "which names nobody");
    let both = ["--web-cert", chain, "--web-key", key];
    for name in ["scry.example", "a.lab.example"] {
        check(&[&with(name, &[])[..], &both].concat(), "leave one out");
    }
}
