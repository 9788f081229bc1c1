//! What the kernel saw, over real sessions of `scry ssh` and `ssh`: skipped by name where it takes no program.

#[path = "kernel/aftermath.rs"]
mod aftermath;
#[path = "kernel/alone.rs"]
mod alone;
#[path = "kernel/causes.rs"]
mod causes;
#[path = "kernel/doctor.rs"]
mod doctor;
#[path = "kernel/hard.rs"]
mod hard;
#[path = "kernel/ledger.rs"]
mod ledger;
#[path = "kernel/losses.rs"]
mod losses;
#[path = "kernel/namespaces.rs"]
mod namespaces;
#[path = "kernel/ocsf.rs"]
mod ocsf;
#[path = "kernel/scope.rs"]
mod scope;

use house::{Cluster, assert_success, long, text, wait_for};
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Programs, files and connections are asked for by the role.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start_shared();
    cluster.set_options("kernel = { commands = true, files = true, network = true }");
    cluster
});

/// Whether this kernel takes the recorder; says so by the test's name if not.
fn can_see(test: &str) -> bool {
    static WHY: LazyLock<Result<(), String>> =
        LazyLock::new(|| house::kernel::can(&text(&CLUSTER.scry(&["doctor"]))));
    if let Err(why) = &*WHY {
        println!("skipped: {test}: {why}");
    }
    WHY.is_ok()
}

/// Whether a program is there; says so by the test's name if not.
fn has(test: &str, program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    if !found.status.success() {
        println!("skipped: {test}: this machine has no {program}");
    }
    found.status.success()
}

/// What the kernel saw of one session.
struct Seen(Vec<Value>);

impl Seen {
    /// Of the recording of this command, once it is stored.
    fn of(cluster: &Cluster, command: &str) -> Self {
        let id = cluster.recording_of(command)["id"].as_str().unwrap().to_owned();
        Self::of_id(cluster, &id)
    }

    fn of_id(cluster: &Cluster, id: &str) -> Self {
        let out = cluster.scry(&["recordings", "events", id, "--json"]);
        assert_success(&out);
        let all = text(&out).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Self(all)
    }

    /// The events: who, and the action with its name.
    fn did(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().map(|line| &line["entry"]["kernel"]["did"]).filter(|it| !it.is_null())
    }

    /// Actions of this kind.
    fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.did().filter(move |it| !it["action"][kind].is_null())
    }

    /// Programs as their arguments, joined by blanks.
    fn lines(&self) -> Vec<String> {
        self.all("ran").map(line).collect()
    }

    #[track_caller]
    fn ran(&self, wanted: &str) -> &Value {
        let found = self.all("ran").find(|it| line(it) == wanted);
        found.unwrap_or_else(|| panic!("{wanted:?} did not run: {:#?}", self.lines()))
    }

    #[track_caller]
    fn one(&self, kind: &str, what: &str, fits: impl Fn(&Value) -> bool) -> &Value {
        let mut of_kind = self.did().filter(|it| !it["action"][kind].is_null());
        let found = of_kind.find(|it| fits(&it["action"][kind]));
        found.unwrap_or_else(|| panic!("no {kind} that is {what} in {:#?}", self.0))
    }

    fn totals(&self) -> &Value {
        let found = self.0.iter().find_map(|line| line["entry"]["kernel"].get("totals"));
        found.expect("sums stand at the end")
    }
}

fn line(event: &Value) -> String {
    let all = event["action"]["ran"]["arguments"].as_array().unwrap();
    all.iter().map(|one| one.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn pid(event: &Value) -> u64 {
    event["by"]["process"].as_u64().unwrap()
}

fn parent(event: &Value) -> u64 {
    event["by"]["parent"].as_u64().unwrap()
}

/// Runs a command over `ssh`, and answers what the kernel saw of it.
fn over_ssh(command: &str) -> Seen {
    let out = CLUSTER.ssh(command);
    assert!(out.status.code().is_some(), "{out:?}");
    Seen::of(&CLUSTER, command)
}

#[test]
fn what_was_hidden_in_base64_is_seen_as_the_programs_that_it_was() {
    if !can_see("what_was_hidden_in_base64") {
        return;
    }
    let seen = over_ssh("echo aWQgLXU7IHVuYW1lIC1y | base64 -d | sh");
    let (sh, id, uname) = (seen.ran("sh"), seen.ran("id -u"), seen.ran("uname -r"));
    assert_eq!((parent(id), parent(uname)), (pid(sh), pid(sh)));
    assert_eq!(
        id["action"]["ran"]["program"],
        fs::canonicalize("/usr/bin/id").unwrap().to_str().unwrap()
    );
    seen.ran("base64 -d");
    assert_eq!(seen.totals()["lost"], 0);
}

#[test]
fn a_script_is_the_parent_of_what_it_runs() {
    if !can_see("a_script_is_the_parent") {
        return;
    }
    let script = CLUSTER.path("inner.sh");
    fs::write(&script, "#!/bin/bash\nuname -s\n(uname -m)\n").unwrap();
    assert_success(&Command::new("chmod").arg("755").arg(&script).output().unwrap());
    let seen = over_ssh(&format!("{} one 'two words'; true", script.display()));
    let own = seen.one("ran", "the script", |it| it["file"] == script.to_str().unwrap());
    assert_eq!(own["action"]["ran"]["interpreter"], "/bin/bash");
    assert_eq!(own["action"]["ran"]["arguments"][3], "two words");
    for inner in ["uname -s", "uname -m"] {
        let ancestors = [parent(seen.ran(inner))];
        let below = ancestors[0] == pid(own)
            || seen.all("ended").any(|it| pid(it) == ancestors[0] && parent(it) == pid(own));
        assert!(below, "{inner}: {:#?}", seen.0);
    }
}

#[test]
fn what_is_typed_while_nothing_is_shown_is_seen_when_it_runs() {
    if !can_see("what_is_typed_while_nothing_is_shown") {
        return;
    }
    let mut scry = CLUSTER.scry_command();
    scry.args(["ssh", "-t", &format!("{}@{}", CLUSTER.login, house::NODE), "exec bash --norc -i"]);
    scry.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let out = house::output_with(
        &mut scry,
        "stty -echo\nuname -v hidden-one\ncat /etc/hostname > /dev/null\nexit\n",
    );
    assert!(out.status.code().is_some());
    let seen = Seen::of(&CLUSTER, "exec bash --norc -i");
    for line in ["stty -echo", "uname -v hidden-one", "cat /etc/hostname"] {
        seen.ran(line);
    }
}

#[test]
fn what_python_has_a_shell_do_is_seen() {
    let test = "what_python_has_a_shell_do_is_seen";
    if !can_see(test) || !has(test, "/usr/bin/python3") {
        return;
    }
    let seen = over_ssh("/usr/bin/python3 -c 'import os; os.system(\"id -u; uname -r\")'");
    let shell = seen.ran("sh -c id -u; uname -r");
    assert_eq!(parent(seen.ran("uname -r")), pid(shell));
    assert_eq!(parent(seen.ran("id -u")), pid(shell));
}

#[test]
fn who_becomes_somebody_else_is_seen_as_both() {
    let test = "who_becomes_somebody_else";
    if !can_see(test) || !house::is_root() {
        return;
    }
    let seen = over_ssh("su -s /bin/sh nobody -c 'exec id -un'; true");
    let id = seen.ran("id -un");
    assert_eq!((&id["by"]["uid"], &id["by"]["euid"]), (&65534.into(), &65534.into()));
    seen.one("identity", "a change of the user", |it| {
        it["call"] == "setuid" && it["numbers"][0] == 65534
    });
    if has(test, "sudo") {
        let seen = over_ssh("sudo -n -u nobody /usr/bin/id -u; true");
        assert_eq!(seen.ran("/usr/bin/id -u")["by"]["uid"], 65534);
        seen.ran("sudo -n -u nobody /usr/bin/id -u");
        seen.one("identity", "a change of sudo's user", |it| {
            it["call"].as_str().is_some_and(|call| call.starts_with("setres"))
                && it["numbers"].as_array().unwrap().contains(&65534.into())
        });
    }
}

#[test]
fn a_program_that_never_had_a_file_is_seen_as_that() {
    let test = "a_program_that_never_had_a_file";
    if !can_see(test) || !has(test, "/usr/bin/python3") {
        return;
    }
    let code = "import os; f = os.memfd_create('innocent', 0); os.write(f, open('/usr/bin/id','rb').read()); \
                os.execve(f, ['[kworker/0:1]', '-u'], {})";
    let seen = over_ssh(&format!("/usr/bin/python3 -c \"{code}\""));
    let ran = &seen.ran("[kworker/0:1] -u")["action"]["ran"];
    assert_eq!((&ran["deleted"], &ran["program"]), (&true.into(), &"memfd:innocent".into()));
    seen.one("special", "the memory that it came from", |it| {
        it["call"] == "memfd_create" && it["text"] == "innocent"
    });
}

#[test]
fn two_hundred_thousand_bytes_of_arguments_stand_there_whole() {
    if !can_see("two_hundred_thousand_bytes") {
        return;
    }
    let command = "/bin/true big $(seq 1 35190); true";
    let seen = over_ssh(command);
    let ran = seen.one("ran", "the long one", |it| it["arguments"][1] == "big");
    let (bytes, kept) = (&ran["action"]["ran"]["bytes"], &ran["action"]["ran"]["kept"]);
    assert!(bytes == kept && bytes.as_u64().unwrap() > 200_021, "{bytes} {kept}");
    let mut all: Vec<String> = Vec::new();
    let pieces = seen.did().filter(|it| pid(it) == pid(ran)).filter_map(|it| {
        let more = &it["action"]["arguments"];
        let first = &it["action"]["ran"];
        let (list, goes_on) = match (first.is_null(), more.is_null()) {
            (false, _) if first["arguments"][1] == "big" => (&first["arguments"], false),
            (_, false) => (&more["arguments"], more["goes_on"] == true),
            _ => return None,
        };
        Some((list.as_array().unwrap(), goes_on))
    });
    for (list, goes_on) in pieces {
        for (place, text) in list.iter().enumerate() {
            let text = text.as_str().unwrap();
            match all.last_mut() {
                Some(last) if goes_on && place == 0 => last.push_str(text),
                _ => all.push(text.to_owned()),
            }
        }
    }
    let wanted: Vec<String> = (1..=35_190).map(|number: u32| number.to_string()).collect();
    assert_eq!(all[2..], wanted);
}

#[test]
fn what_left_the_shell_behind_is_still_the_sessions() {
    if !can_see("what_left_the_shell_behind") {
        return;
    }
    let command = "(setsid sh -c 'sleep 0.3; uname -n daemon; sleep 0.2' >/dev/null 2>&1 </dev/null &) & sleep 1";
    let seen = over_ssh(command);
    let daemon = seen.ran("uname -n daemon");
    let shell = seen.one("ran", "the daemon's shell", |it| {
        it["arguments"][0] == "sh"
            && it["arguments"][2].as_str().is_some_and(|it| it.contains("daemon"))
    });
    assert_eq!(parent(daemon), pid(shell));
    let seen = over_ssh("(setsid sleep 3 >/dev/null 2>&1 </dev/null &) & sleep 0.3; echo gone");
    assert_eq!(seen.totals()["left"], 1, "{:#?}", seen.0);
}

#[test]
fn connections_are_seen_with_what_became_of_them() {
    let test = "connections_are_seen";
    if !can_see(test) || !has(test, "/usr/bin/python3") {
        return;
    }
    let code = "import socket as s; l = s.socket(); l.bind(('127.0.0.1', 0)); l.listen(); p = l.getsockname()[1]; \
                c = s.create_connection(('127.0.0.1', p)); a, _ = l.accept(); \
                u = s.socket(s.AF_INET, s.SOCK_DGRAM); u.sendto(b'x', ('127.0.0.1', 53)); u.sendto(b'x', ('127.0.0.1', 53)); \
                r = s.socket(); r.connect_ex(('127.0.0.1', 1)); print(p)";
    let command = format!("/usr/bin/python3 -c \"{code}\"");
    let out = CLUSTER.ssh(&command);
    let port = text(&out).trim().to_owned();
    let seen = Seen::of(&CLUSTER, &command);
    let at = format!("127.0.0.1:{port}");
    seen.one("tcp", "the listener", |it| it["step"] == "listens" && it["local"] == at.as_str());
    seen.one("tcp", "connected", |it| it["step"] == "connected" && it["remote"] == at.as_str());
    seen.one("tcp", "refused", |it| it["step"] == "not_connected" && it["remote"] == "127.0.0.1:1");
    seen.one("socket", "accepted", |it| {
        it["call"].as_str().is_some_and(|it| it.starts_with("accept")) && it["local"] == at.as_str()
    });
    seen.one("socket", "sent", |it| {
        it["call"] == "sendto" && it["remote"] == "127.0.0.1:53" && it["protocol"] == 17
    });
}

#[test]
fn files_are_seen_as_the_very_files_and_what_is_only_passed_says_so() {
    if !can_see("files_are_seen") {
        return;
    }
    let folder = CLUSTER.path("files");
    fs::create_dir(&folder).unwrap();
    let at = folder.to_str().unwrap();
    let seen = over_ssh(&format!(
        "cd {at} && echo x > made && ln -s made link && cat link && mv made moved && rm moved"
    ));
    let made = seen.one("opened", "made", |it| {
        it["file"]["path"] == format!("{at}/made")
            && it["error"] == 0
            && it["flags"].as_u64().unwrap() & 0o100 != 0
    });
    assert_eq!(made["action"]["opened"]["file"]["as_passed"], false);
    let by_link = seen.all("opened").filter(|it| it["by"]["name"] == "cat");
    assert!(
        by_link
            .into_iter()
            .any(|it| it["action"]["opened"]["file"]["path"] == format!("{at}/made")),
        "{:#?}",
        seen.0
    );
    let gone = seen.one("changed", "the end of it", |it| {
        it["call"] == "unlinkat" && it["file"]["path"] == "moved"
    });
    let gone = &gone["action"]["changed"]["file"];
    assert_eq!((&gone["folder"], &gone["as_passed"]), (&at.into(), &true.into()));
}

/// Compiles a program of these tests; says by the test's name if there is no compiler, or not the libraries that it needs
/// for these flags.
fn compiled(test: &str, source: &str, flags: &[&str]) -> Option<String> {
    let at = CLUSTER.path(source.trim_end_matches(".c"));
    let mut gcc = Command::new("gcc");
    gcc.args(flags).arg("-o").arg(&at);
    gcc.arg(format!("{}/src/{source}", env!("CARGO_MANIFEST_DIR")));
    let plain = flags.iter().all(|flag| !["-m32", "-static"].contains(flag));
    match gcc.output() {
        Ok(out) if out.status.success() => Some(at.display().to_string()),
        Ok(out) if plain => panic!("{source}: {}", String::from_utf8_lossy(&out.stderr)),
        other => {
            println!("skipped: {test}: gcc {flags:?} does not compile it: {other:?}");
            None
        }
    }
}

#[test]
fn what_no_system_call_names_is_seen_where_io_uring_takes_it() {
    let test = "what_no_system_call_names";
    if !can_see(test) {
        return;
    }
    let Some(program) = compiled(test, "uring.c", &["-O1"]) else { return };
    let file = CLUSTER.path("by-uring").display().to_string();
    let command = format!("{program} {file}");
    if text(&CLUSTER.ssh(&command)) != "done" {
        return println!("skipped: {test}: this machine has no io_uring");
    }
    let seen = Seen::of(&CLUSTER, &command);
    for operation in ["OPENAT", "UNLINKAT"] {
        seen.one("uring", operation, |it| {
            it["operation"] == operation && it["file"]["path"] == file.as_str()
        });
    }
    seen.one("special", "the beginning of it", |it| it["call"] == "io_uring_setup");
}

#[test]
fn a_program_of_32_bits_is_read_by_its_own_numbers() {
    let test = "a_program_of_32_bits";
    if !can_see(test) || !cfg!(target_arch = "x86_64") {
        return;
    }
    let flags = ["-m32", "-nostdlib", "-static", "-fno-pic", "-no-pie", "-fno-stack-protector"];
    let Some(program) = compiled(test, "wide.c", &flags) else { return };
    let command = format!("{program}; echo $?");
    if text(&CLUSTER.ssh(&command)) != "0" {
        return println!("skipped: {test}: this kernel runs no 32-bit programs");
    }
    let seen = Seen::of(&CLUSTER, &command);
    let opened = seen.all("opened").find(|it| it["by"]["name"] == "wide");
    assert_eq!(opened.unwrap()["action"]["opened"]["file"]["path"], "/etc/hostname");
    for (call, port) in [("sendto", 5391), ("sendmsg", 5392), ("sendmmsg", 5393), ("sendmsg", 5394)]
    {
        seen.one("socket", "a datagram", |it| {
            it["call"] == call
                && it["remote"] == format!("127.0.0.1:{port}")
                && it["protocol"] == 17
        });
    }
    seen.one("tcp", "refused", |it| it["step"] == "not_connected" && it["remote"] == "127.0.0.1:1");
    seen.one("tcp", "a listener", |it| it["step"] == "listens");
    seen.one("socket", "a socket of this machine", |it| {
        it["call"] == "connect" && it["remote"] == "unix:/nowhere/old" && it["error"] == 2
    });
    seen.one("socket", "a port that was taken", |it| it["call"] == "bind" && it["error"] == 0);
    assert_eq!(seen.all("socket").count(), 6, "{:#?}", seen.0);
    seen.one("changed", "an owner of 16 bits", |it| {
        it["call"] == "chown" && it["file"]["path"] == "/nowhere/wide"
    });
    seen.one("identity", "a user of 16 bits", |it| it["call"] == "setuid");
}

/// Others' programs, ended with the test however that ends.
struct Beside(std::process::Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn many_sessions_at_once_each_get_their_own_and_all_of_it() {
    if !can_see("many_sessions_at_once") {
        return;
    }
    let (sessions, commands) = if long() { (50, 200) } else { (12, 40) };
    let strangers = Command::new("sh").args(["-c", "while :; do /bin/true stranger; done"]).spawn();
    let beside = Beside(strangers.unwrap());
    let command =
        |number: usize| format!("for n in $(seq 1 {commands}); do /bin/true own-{number}-$n; done");
    let mut running: Vec<_> = (0..sessions)
        .map(|number| {
            // No more may be signing in at once from one address.
            if number % 10 == 9 {
                std::thread::sleep(std::time::Duration::from_millis(700));
            }
            let mut ssh = CLUSTER.ssh_command();
            ssh.arg(CLUSTER.host()).arg(command(number)).stdin(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for ssh in &mut running {
        assert!(ssh.wait().unwrap().success());
    }
    drop(beside);
    for number in 0..sessions {
        let seen = Seen::of(&CLUSTER, &command(number));
        let own: Vec<_> =
            seen.lines().into_iter().filter(|it| it.starts_with("/bin/true")).collect();
        let wanted: Vec<_> =
            (1..=commands).map(|n| format!("/bin/true own-{number}-{n}")).collect();
        assert_eq!(own, wanted);
        assert_eq!(seen.totals()["lost"], 0);
    }
    println!("{sessions} sessions with {commands} programs each");
}

#[test]
fn without_a_word_of_the_role_programs_are_seen_and_nothing_else() {
    if !can_see("without_a_word_of_the_role") {
        return;
    }
    let cluster = Cluster::start();
    let command = "cat /etc/hostname";
    assert_success(&cluster.ssh(command));
    let seen = Seen::of(&cluster, command);
    seen.ran("cat /etc/hostname");
    assert_eq!(seen.all("opened").count() + seen.all("socket").count(), 0, "{:#?}", seen.0);
    let told = cluster.audit("session.kernel_seen");
    assert!(
        told.iter().any(|it| it["watched"] == "commands" && it["programs"].as_u64() >= Some(1)),
        "{told:#?}"
    );
    cluster.set_options("kernel = { commands = false }");
    assert_success(&cluster.ssh("cat /etc/hosts"));
    assert!(Seen::of(&cluster, "cat /etc/hosts").0.is_empty());
}

#[test]
fn a_tree_and_the_classes_are_shown_to_a_person() {
    if !can_see("a_tree_and_the_classes") {
        return;
    }
    let command = "sh -c 'uname -o tree; cat /etc/hostname >/dev/null; true'";
    assert_success(&CLUSTER.ssh(command));
    let id = CLUSTER.recording_of(command)["id"].as_str().unwrap().to_owned();
    let show =
        |flags: &[&str]| text(&CLUSTER.scry(&[&["recordings", "events", &id], flags].concat()));
    let tree = show(&["--tree", "--commands"]);
    let inner =
        tree.lines().find(|line| line.contains("uname -o tree") && line.contains("[")).unwrap();
    // Behind the time; below the shell that it is a child of.
    assert!(inner[12..].starts_with("   uname -o tree"), "{tree}");
    let (commands, files) = (show(&["--commands"]), show(&["--files"]));
    assert!(commands.contains("uname -o tree") && !commands.contains("opened"), "{commands}");
    assert!(files.contains("opened /etc/hostname") && !files.contains("uname -o tree"), "{files}");
}

/// A role that wants the kernel to see, and a node that may not ask it: it has no right to.
#[test]
fn where_the_kernel_sees_nothing_sessions_say_why_and_a_role_that_requires_it_refuses() {
    let test = "where_the_kernel_sees_nothing";
    if !house::is_root() || !has(test, "setpriv") {
        return;
    }
    let mut cluster = Cluster::start();
    let address = cluster.address.clone();
    assert!(cluster.stop().success());
    let server = cluster.server_command(&address, &[]);
    let mut without = Command::new("setpriv");
    without
        .args(["--bounding-set=-bpf,-perfmon,-sys_admin", "--inh-caps=-bpf,-perfmon,-sys_admin"]);
    without.arg(server.get_program()).args(server.get_args());
    cluster.serve_by(without).until_ready();
    wait_for("the node is back", || cluster.ssh("true").status.success());
    let command = "echo works-all-the-same";
    assert_eq!(text(&cluster.ssh(command)), "works-all-the-same");
    let seen = Seen::of(&cluster, command);
    let watch = &seen.0[0]["entry"]["kernel"]["watch"];
    assert_eq!(watch["classes"]["commands"], false, "{:#?}", seen.0);
    assert!(watch["lacks"].as_str().unwrap().contains("CAP_BPF"), "{watch}");
    cluster.set_options("kernel = { require = true }");
    wait_for("the role is known", || !cluster.ssh("true").status.success());
    let out = cluster.ssh("echo never");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        said.contains("your role wants the kernel to see") && said.contains("CAP_BPF"),
        "{said}"
    );
    assert!(out.stdout.is_empty());
    let told = cluster.audit("session.kernel_blind");
    assert!(told.iter().any(|it| it["why"].as_str().is_some_and(|why| why.contains("CAP_BPF"))));
}
