//! A certificate that somebody else signed, for browsers: it is shown by its names, parts of the cluster never see it, and a new
//! one is shown without anybody being cut off.

#[path = "certificate/acme.rs"]
mod acme;

use house::asker::Asker;
use house::person::words;
use house::process::send;
use house::{Cluster, NODE, PASSWORD, assert_success, scry_path, text, wait_for};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An authority that the cluster has never heard of, and what it signs.
struct Elsewhere {
    folder: PathBuf,
}

impl Elsewhere {
    fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        let elsewhere = Self { folder };
        elsewhere.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=elsewhere",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        elsewhere
    }

    /// Signs for these names; gives chain and key.
    fn sign(&self, file: &str, names: &str, days: &str) -> (PathBuf, PathBuf) {
        let (key, request, leaf) =
            (format!("{file}.key"), format!("{file}.csr"), format!("{file}.leaf"));
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=web",
            "-addext",
            &format!("subjectAltName={names}"),
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-copy_extensions",
            "copy",
            "-days",
            days,
            "-out",
            &leaf,
        ]);
        let chain = self.folder.join(format!("{file}.pem"));
        let whole = fs::read_to_string(self.folder.join(&leaf)).unwrap() + &self.authority();
        fs::write(&chain, whole).unwrap();
        (chain, self.folder.join(key))
    }

    fn authority(&self) -> String {
        fs::read_to_string(self.folder.join("ca.pem")).unwrap()
    }

    fn openssl(&self, args: &[&str]) {
        let out = Command::new("openssl").args(args).current_dir(&self.folder).output();
        assert_success(&out.expect("openssl runs"));
    }
}

/// What a program that nobody here wrote says to the proxy, called by `name`, and trusting this authority.
fn curl(address: &str, pem: &Path, name: &str, authority: &str) -> Output {
    fs::write(pem, authority).unwrap();
    let (_, port) = address.rsplit_once(':').unwrap();
    let mut curl = Command::new("curl");
    curl.args([
        "-sS",
        "--max-time",
        "5",
        "--resolve",
        &format!("{name}:{port}:127.0.0.1"),
        "--cacert",
    ]);
    curl.arg(pem).arg(format!("https://{name}:{port}/v1/ping")).output().expect("curl runs")
}

fn cluster_authority(cluster: &Cluster) -> String {
    let status = cluster.scry_json(&["status", "--json"]);
    status["cluster"]["tls_authority"].as_str().unwrap().to_owned()
}

/// Where a proxy is told that its certificate lies.
struct Place {
    chain: PathBuf,
    key: PathBuf,
}

impl Place {
    fn at(folder: &Path) -> Self {
        Self { chain: folder.join("web.pem"), key: folder.join("web.key") }
    }

    /// Puts a certificate there, the key first: who looks in between finds two that do not fit.
    fn put(&self, (chain, key): &(PathBuf, PathBuf)) {
        for (from, to) in [(key, &self.key), (chain, &self.chain)] {
            let fresh = to.with_added_extension("fresh");
            fs::copy(from, &fresh).unwrap();
            fs::rename(&fresh, to).unwrap();
        }
    }

    fn flags(&self) -> [&str; 4] {
        let text = |path: &'_ Path| path.to_str().unwrap().to_owned().leak() as &str;
        ["--web-cert", text(&self.chain), "--web-key", text(&self.key)]
    }
}

#[test]
fn browsers_see_the_own_certificate_by_its_names_the_cluster_sees_its_own_and_a_new_one_cuts_nobody_off()
 {
    let folder = tempfile::tempdir().unwrap();
    let [first, later] = ["first", "later"].map(|name| Elsewhere::new(folder.path(), name));
    let names = "DNS:scry.example,DNS:*.lab.example";
    let place = Place::at(folder.path());
    place.put(&first.sign("web", names, "30"));
    let mut cluster = Cluster::start_with(&place.flags());
    let own = cluster_authority(&cluster);
    let pem = cluster.path("trusted.pem");
    let address = cluster.address.clone();
    let sees = |name: &str, authority: &str| curl(&address, &pem, name, authority).status.success();
    for name in ["scry.example", "a.lab.example"] {
        assert!(sees(name, &first.authority()) && !sees(name, &own), "{name}");
    }
    for name in ["localhost", "127.0.0.1", "proxy.scry.internal"] {
        assert!(sees(name, &own) && !sees(name, &first.authority()), "{name}");
    }

    // Whoever has the cluster's pin or authority never sees it: signing in, going to a node through its tunnel, OpenSSH.
    assert_success(&cluster.scry_with_input(&["login", "--no-agent"], PASSWORD));
    let login = cluster.login.clone();
    assert_eq!(text(&cluster.scry(&["ssh", &format!("{login}@{NODE}"), "echo in"])), "in");
    assert_eq!(text(&cluster.ssh("echo in, too")), "in, too");

    // A new one of another authority, while somebody is connected who would not trust it.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let authority = first.authority();
    let mut kept = Asker::new(&address, "scry.example", b"http/1.1", &authority, None);
    let mut ping = || runtime.block_on(kept.ask("GET", "/v1/ping", &[], "")).status;
    assert_eq!(ping(), 200);
    place.put(&later.sign("web", names, "30"));
    let server = cluster.server_pid();
    let say = || send("-HUP", server);
    say();
    wait_for("the new certificate", || sees("scry.example", &later.authority()));
    assert!(!sees("scry.example", &first.authority()));
    assert_eq!(ping(), 200, "who was connected still is");

    // What cannot be used is not shown, and the log says why; nobody has to say that the files have changed.
    fs::write(&place.key, "no key").unwrap();
    wait_for("a word about it", || cluster.log().contains("stays as it was"));
    assert!(cluster.log().contains("no private key in PEM"), "{}", cluster.log());
    assert!(sees("scry.example", &later.authority()));
    place.put(&first.sign("again", names, "30"));
    say();
    wait_for("the one that can be used", || sees("scry.example", &first.authority()));
    assert!(cluster.stop().success());
}

#[test]
fn a_certificate_that_could_not_be_shown_is_refused_at_the_start_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = Elsewhere::new(folder.path(), "elsewhere");
    let good = elsewhere.sign("good", "DNS:scry.example", "30");
    let other = elsewhere.sign("other", "DNS:scry.example", "30");
    let internal = elsewhere.sign("internal", "DNS:auth.scry.internal", "30");
    let missing = (folder.path().join("nowhere.pem"), good.1.clone());
    let no_key = (good.0.clone(), folder.path().join("nowhere.key"));
    let open = folder.path().join("open.key");
    fs::copy(&good.1, &open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let check = |(chain, key): &(PathBuf, PathBuf), further: &[&str], why: &str| {
        let mut start = Command::new("timeout");
        start.arg("20").arg(scry_path()).args(["start", "--listen", "127.0.0.1:0"]);
        start.args(["--diagnostics-listen", "127.0.0.1:0", "--data-dir"]);
        start.arg(folder.path().join("data")).arg("--web-cert").arg(chain);
        if !key.as_os_str().is_empty() {
            start.arg("--web-key").arg(key);
        }
        let out = start.args(further).output().unwrap();
        let said = words(&out).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!out.status.success() && said.contains(why), "it should say {why:?}: {said}");
    };
    check(&missing, &[], "nowhere.pem");
    check(&no_key, &[], "nowhere.key: there is no such key");
    check(&(good.0.clone(), PathBuf::new()), &[], "--web-cert and --web-key go together");
    check(&(good.0.clone(), other.1), &[], "is not that of the first certificate");
    check(&(good.1.clone(), good.1.clone()), &[], "no chain of certificates in PEM");
    check(&(good.0.clone(), good.0.clone()), &[], "");
    check(&(good.0.clone(), open), &[], "0644");
    check(&internal, &[], "the cluster's own");
    check(
        &good,
        &["--public-address", "other.example:4422"],
        "people are told to come to other.example",
    );
    check(&good, &["--roles", "node"], "is for a proxy");
}
