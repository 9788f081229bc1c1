//! Who stands beside whom: OpenSSH's server and scry's, each in a folder of its own, and the ways to reach them.

use super::group::Group;
use super::processes;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CLUSTER: &str = "home";
const NODE: &str = "box";
/// Until a node has heard of a changed role.
const HEARD: Duration = Duration::from_millis(1_000);
const PASSWORD: &str = "correct horse battery";
const ACCOUNT: &str = "scrybench";
const SSHD: &str = "/usr/sbin/sshd";
/// The same for both, so that the ciphers of a row are those it names.
pub const CIPHER: &str = "aes128-gcm@openssh.com";

/// A way to run a command on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// OpenSSH's client to OpenSSH's server over TCP.
    Sshd,
    /// The same through a jump host, which is the same server.
    SshdJump,
    /// OpenSSH's client to the node's own port over TCP: what [`Side::Sshd`] is to sshd.
    ScryPort,
    /// OpenSSH's client to scry through the proxy, as `scry config` sets it up.
    Scry,
    /// OpenSSH's client to scry through its jump host.
    ScryJump,
    /// scry's own client to scry.
    ScrySsh,
}

impl Side {
    /// All ways, the plain peer first.
    pub const ALL: [Self; 6] =
        [Self::Sshd, Self::SshdJump, Self::ScryPort, Self::Scry, Self::ScryJump, Self::ScrySsh];

    /// As the table says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::SshdJump => "sshd, ssh -J",
            Self::ScryPort => "scry, its port",
            Self::Scry => "scry",
            Self::ScryJump => "scry, ssh -J",
            Self::ScrySsh => "scry ssh",
        }
    }

    /// Whether the server is scry.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::ScryPort | Self::Scry | Self::ScryJump | Self::ScrySsh)
    }
}

/// How a command is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'a> {
    /// On a terminal.
    pub terminal: bool,
    /// With this cipher; [`CIPHER`] if none is named. scry's own client has no such wish.
    pub cipher: Option<&'a str>,
    /// Under this name on the server instead of the usual one. scry's own client has no such wish either.
    pub login: Option<&'a str>,
}

/// CPU seconds of both ends.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// The server's, with everything that it started.
    pub server: f64,
    /// The client's, with its helpers.
    pub client: f64,
}

/// Both servers, running.
pub struct Sides {
    folder: TempDir,
    login: String,
    sshd: Child,
    scry: Child,
    /// Of sshd and of scry, where the kernel counts for us.
    groups: Option<[Group; 2]>,
    client: PathBuf,
    /// The node's own port, and that of its figures.
    port: u16,
    diagnostics: u16,
    _account: Account,
}

impl Sides {
    /// Starts both. `binary` is the scry to measure.
    pub fn start(binary: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("scry-bench").tempdir()?;
        // The account below must be able to reach its home and what it is told to read.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let account = Account::make(folder.path())?;
        let login = account.name.clone();
        // A file of its own: a client that shared its pages with the server would make the server look smaller.
        let client = folder.path().join("scry-client");
        fs::copy(binary, &client).with_context(|| format!("no {}", binary.display()))?;
        let sshd = start_sshd(folder.path(), &login)?;
        let (port, diagnostics) = (free_port()?, free_port()?);
        let scry = start_scry(folder.path(), binary, &client, &login, (port, diagnostics))?;
        let groups = Group::around(sshd.id()).zip(Group::around(scry.id())).map(<[Group; 2]>::from);
        let sides = Self {
            groups,
            folder,
            login,
            sshd,
            scry,
            client,
            port,
            diagnostics,
            _account: account,
        };
        for side in Side::ALL {
            let out = sides.command(side, Wish::default(), "echo hello").output()?;
            if out.stdout != b"hello\n" {
                let told = String::from_utf8_lossy(&out.stderr).into_owned();
                bail!("{} does not work: {told}\n{}", side.name(), sides.logs());
            }
        }
        Ok(sides)
    }

    /// The folder of the run, removed at its end.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client that runs `remote`; the caller connects its streams.
    pub fn command(&self, side: Side, wish: Wish<'_>, remote: &str) -> Command {
        let cipher = wish.cipher.unwrap_or(CIPHER);
        if side == Side::ScrySsh {
            let mut command = self.scry(&["ssh", if wish.terminal { "-tt" } else { "-T" }]);
            command.arg(format!("{}@{NODE}", self.login)).arg(remote).stdin(Stdio::null());
            return command;
        }
        let mut command = Command::new("ssh");
        let config = if side.is_ours() { "scry_config" } else { "sshd_client" };
        command.arg("-F").arg(self.folder.path().join(config)).args(["-c", cipher]);
        command.arg(if wish.terminal { "-tt" } else { "-T" });
        match side {
            Side::SshdJump => drop(command.args(["-J", "bastion"])),
            Side::ScryJump => {
                command.arg("-J").arg(format!("proxy.{CLUSTER}"));
            }
            Side::ScryPort => {
                command.args(["-o", "ProxyCommand=none", "-o", "HostName=127.0.0.1"]);
                command.arg("-p").arg(self.port.to_string());
                command.arg("-o").arg(format!("HostKeyAlias={NODE}.{CLUSTER}"));
            }
            _ => {}
        }
        if let Some(login) = wish.login {
            command.args(["-l", login]);
        }
        let host = if side.is_ours() { self.host() } else { "peer".to_owned() };
        command.arg(host).arg(remote).stdin(Stdio::null());
        command.env_remove("SSH_AUTH_SOCK").env("TERM", "xterm-256color");
        command
    }

    /// scry's client as the signed-in person.
    pub fn scry(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.client);
        command.env("SCRY_HOME", self.folder.path().join("client")).env_remove("SSH_AUTH_SOCK");
        command.env("TERM", "xterm-256color").args(args);
        command
    }

    /// Has scry take a role, written in TOML, and waits until its node has heard of it.
    pub fn set_role(&self, role: &str) -> Result<()> {
        let path = self.folder().join("role.toml");
        fs::write(&path, role)?;
        run(self.scry(&["roles", "set"]).arg(&path))?;
        std::thread::sleep(HEARD);
        Ok(())
    }

    /// scry's node, as settings of ssh name it.
    pub fn host(&self) -> String {
        format!("{NODE}.{CLUSTER}")
    }

    /// A figure that scry itself shows, if it does.
    pub fn figure(&self, name: &str) -> Result<Option<f64>> {
        let mut page = TcpStream::connect(("127.0.0.1", self.diagnostics))?;
        page.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        page.read_to_string(&mut text)?;
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(found)
    }

    /// Process id of a side's server.
    pub fn server(&self, side: Side) -> u32 {
        if side.is_ours() { self.scry.id() } else { self.sshd.id() }
    }

    /// The program of a side's server, as `/proc/PID/exe` names it.
    pub fn exe(&self, side: Side) -> Result<PathBuf> {
        fs::read_link(format!("/proc/{}/exe", self.server(side))).context("a server has gone")
    }

    /// Runs `work` and gives the CPU seconds that were spent on it: of the side's server and its children, and of the
    /// clients that `work` waited for, their helpers included.
    pub fn cpu<T>(&self, side: Side, work: impl FnOnce() -> Result<T>) -> Result<(T, Cpu)> {
        let server = self.server(side);
        let processes = processes::count(server);
        let before = (self.server_seconds(side)?, processes::own_children_seconds());
        let done = work()?;
        processes::wait_for_quiet(server, processes);
        let server = self.server_seconds(side)? - before.0;
        Ok((done, Cpu { server, client: processes::own_children_seconds() - before.1 }))
    }

    fn server_seconds(&self, side: Side) -> Result<f64> {
        match &self.groups {
            Some([sshd, scry]) => if side.is_ours() { scry } else { sshd }.seconds(),
            None => Ok(processes::cpu_seconds(self.server(side))),
        }
    }

    /// The servers' last words.
    fn logs(&self) -> String {
        ["sshd.log", "scry.log"]
            .map(|name| {
                let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                format!("{name}:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"))
            })
            .join("\n")
    }
}

impl Drop for Sides {
    fn drop(&mut self) {
        for child in [&mut self.sshd, &mut self.scry] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The account that is logged in to. Root makes one of its own with a plain shell and an empty home, so that nobody's
/// settings are measured, and removes it; anybody else uses their own.
struct Account {
    name: String,
    made: bool,
}

impl Account {
    fn make(folder: &Path) -> Result<Self> {
        let own = run(Command::new("id").arg("-un"))?.trim().to_owned();
        if own != "root" {
            return Ok(Self { name: own, made: false });
        }
        // One that a killed run left behind points to a home that is gone.
        let _ = Command::new("userdel").arg(ACCOUNT).stderr(Stdio::null()).status();
        let home = folder.join("home");
        let plain = ["--system", "--shell", "/bin/sh", "--password", "*", "--create-home"];
        run(Command::new("useradd").args(plain).arg("--home-dir").arg(home).arg(ACCOUNT))?;
        Ok(Self { name: ACCOUNT.to_owned(), made: true })
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.made {
            let _ = Command::new("userdel").arg(ACCOUNT).stderr(Stdio::null()).status();
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Debian's sshd with Debian's settings, but its own port and keys. Like scry's node it shows a host certificate and takes
/// a user certificate.
fn start_sshd(folder: &Path, login: &str) -> Result<Child> {
    let dir = folder.join("sshd");
    fs::create_dir(&dir)?;
    let path = |name: &str| dir.join(name).display().to_string();
    for name in ["user_ca", "host_ca", "host", "user"] {
        let keygen = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"];
        run(Command::new("ssh-keygen").args(keygen).arg(path(name)))?;
    }
    let sign = ["-q", "-I", "bench", "-V", "+1d", "-s"];
    let host = ["-h", "-n", "peer,bastion"];
    run(Command::new("ssh-keygen")
        .args(sign)
        .arg(path("host_ca"))
        .args(host)
        .arg(path("host.pub")))?;
    let user = ["-n", login];
    run(Command::new("ssh-keygen")
        .args(sign)
        .arg(path("user_ca"))
        .args(user)
        .arg(path("user.pub")))?;
    let port = free_port()?;
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nLogLevel ERROR\n\
         HostKey {host}\nHostCertificate {host}-cert.pub\nTrustedUserCAKeys {ca}.pub\n\
         PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         UsePAM yes\nX11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_*\n\
         MaxStartups 1000\nSubsystem sftp /usr/lib/openssh/sftp-server\n",
        host = path("host"),
        ca = path("user_ca"),
    );
    fs::write(dir.join("sshd_config"), config)?;
    let authority = fs::read_to_string(dir.join("host_ca.pub"))?;
    fs::write(dir.join("known_hosts"), format!("@cert-authority peer,bastion {authority}"))?;
    let client = format!(
        "Host peer bastion\n    HostName 127.0.0.1\n    Port {port}\n    User {login}\n\
         \u{20}   IdentityFile {user}\n    CertificateFile {user}-cert.pub\n    IdentitiesOnly yes\n\
         \u{20}   UserKnownHostsFile {known}\n    GlobalKnownHostsFile /dev/null\n\
         \u{20}   BatchMode yes\n    LogLevel ERROR\n    Ciphers {CIPHER}\n\
         Host peer\n    HostKeyAlias peer\nHost bastion\n    HostKeyAlias bastion\n",
        user = path("user"),
        known = path("known_hosts"),
    );
    fs::write(folder.join("sshd_client"), client)?;
    // sshd wants to be started by its full path, and a place that Debian makes at boot.
    fs::create_dir_all("/run/sshd")?;
    let log = fs::File::create(folder.join("sshd.log"))?;
    let mut child = Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .context("cannot start sshd")?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if child.try_wait()?.is_some() || Instant::now() > deadline {
            let _ = child.kill();
            let why = fs::read_to_string(folder.join("sshd.log")).unwrap_or_default();
            bail!("sshd does not start: {why}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}

/// `scry start` with its defaults and a port of the node's own, a signed-up person, and OpenSSH's settings for it.
fn start_scry(
    folder: &Path,
    binary: &Path,
    client: &Path,
    login: &str,
    (port, diagnostics): (u16, u16),
) -> Result<Child> {
    let mut child = Command::new(binary)
        .args(["start", "--listen", "127.0.0.1:0"])
        .args(["--diagnostics-listen", &format!("127.0.0.1:{diagnostics}")])
        .args(["--ssh-listen", &format!("127.0.0.1:{port}")])
        .args(["--cluster", CLUSTER, "--node-name", NODE, "--admin", login, "--data-dir"])
        .arg(folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(folder.join("scry.log"))?)
        .spawn()
        .context("cannot start scry")?;
    let invited = invitation(&mut child).and_then(|invitation| {
        let as_admin = || {
            let mut command = Command::new(client);
            command.env("SCRY_HOME", folder.join("client"));
            command
        };
        let config = sign_up(as_admin, &invitation)?;
        let user = format!(
            "\nHost *.{CLUSTER}\n    User {login}\n    BatchMode yes\n    LogLevel ERROR\n"
        );
        fs::write(folder.join("scry_config"), config + &user)?;
        Ok(())
    });
    if let Err(error) = invited {
        let _ = child.kill();
        let _ = child.wait();
        let log = fs::read_to_string(folder.join("scry.log")).unwrap_or_default();
        return Err(error.context(log));
    }
    Ok(child)
}

/// Reads what the first start prints up to `ready`.
fn invitation(child: &mut Child) -> Result<String> {
    let out = child.stdout.take().context("piped")?;
    let mut found = None;
    for line in BufReader::new(out).lines() {
        let line = line?;
        if let Some(word) = line.split_whitespace().find(|word| word.starts_with("scry://")) {
            found = Some(word.to_owned());
        }
        if line.starts_with("ready") {
            break;
        }
    }
    found.context("scry start printed no invitation")
}

/// Signs somebody up by an invitation, with the client that `client` makes; answers their settings of ssh.
pub fn sign_up(client: impl Fn() -> Command, invitation: &str) -> Result<String> {
    let mut signup = client();
    signup.args(["signup", invitation]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut signup = signup.spawn()?;
    writeln!(signup.stdin.take().context("piped")?, "{PASSWORD}")?;
    if !signup.wait()?.success() {
        bail!("scry signup failed");
    }
    run(client().arg("config"))
}

/// A program that is ended when this is dropped.
pub struct Running(Child);

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<Self> {
        command.spawn().map(Self).with_context(|| format!("cannot run {command:?}"))
    }

    /// Its input, which was asked to be piped.
    pub fn stdin(&mut self) -> Result<ChildStdin> {
        self.0.stdin.take().context("its input is no pipe")
    }

    /// Its output, likewise.
    pub fn stdout(&mut self) -> Result<ChildStdout> {
        self.0.stdout.take().context("its output is no pipe")
    }

    /// Sends it the signal of this name.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.0.id().to_string();
        run(Command::new("kill").args([&format!("-{name}"), &pid])).map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end and gives what it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let out = command.stdin(Stdio::null()).output();
    let out = out.with_context(|| format!("cannot run {command:?}"))?;
    if !out.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
