//! OCSF: what the kernel saw, in the Open Cybersecurity Schema Framework's words (schema 1.3.0, <https://schema.ocsf.io>).
//!
//! | of the kernel | class | activity |
//! |---|---|---|
//! | programs, how they ended, changes of user | Process Activity 1007 | Launch, Terminate, Set User ID |
//! | files | File System Activity 1001 | Open, Create, Delete, Rename, …, by the system call |
//! | connections | Network Activity 4001 | Open, Fail, Listen, Traffic |
//! | what reaches beyond a process, io_uring | Kernel Activity 1003 | Invoke |
//! | what is missing, what was watched, sums, signs of tampering | Base Event 0 | Other |
//!
//! The person is `actor.user`, with the account of the machine as its `account`; `actor.process` is who did it, of a
//! program that began its parent. What has no place in the schema stands in `unmapped`.

use super::{Export, damage_words, gap_words};
use crate::Corrupt;
use model::entry::{Entry, Gap, Stamped};
use model::kernel::{
    Action, Doer, End, Kernel, KernelEvent, Named, Neighbour, Program, TcpStep, line_of,
};
use model::{Heading, Seq};
use serde_json::{Map, Value, json};

/// Version of the schema.
const SCHEMA: &str = "1.3.0";
/// What stands where the schema demands a name and there is none.
const UNKNOWN: &str = "unknown";
/// Activity of everything that the schema has no word for.
const OTHER: u64 = 99;

/// Makes OCSF events, one a line, of what the kernel saw and of what is missing of that. Other entries become nothing.
#[derive(Debug)]
pub struct Ocsf {
    heading: Heading,
    version: &'static str,
    /// The last entry, and when it was.
    last: (Seq, u64),
}

impl Ocsf {
    /// For the recording with this heading, by the program of this version.
    #[must_use]
    pub fn new(heading: &Heading, version: &'static str) -> Self {
        Self { heading: heading.clone(), version, last: (Seq(0), 0) }
    }

    /// An event of a class: what all have in common, and `more`.
    fn event(&self, class: Class, at: u64, seq: Seq, more: Value) -> Value {
        let Heading { id, node, user, login, client, started, cluster, .. } = &self.heading;
        let time = started.plus_ms(i64::try_from(at).unwrap_or(i64::MAX)).0;
        let mut event = json!({
            "class_uid": class.uid,
            "class_name": class.name,
            "category_uid": class.uid / 1000,
            "activity_id": class.activity,
            "type_uid": class.uid * 100 + class.activity,
            "severity_id": 1,
            "time": time,
            "metadata": {
                "version": SCHEMA,
                // By this profile each class has `actor` and `device`.
                "profiles": ["host"],
                "product": { "name": "scry", "vendor_name": "scry", "version": self.version },
                "correlation_uid": id,
                "uid": format!("{id}:{seq}"),
                "sequence": seq,
            },
            "device": { "hostname": node, "type_id": 1, "domain": cluster },
            "actor": {
                "user": { "name": user, "account": { "name": login, "type_id": 9 } },
                "session": { "uid": id, "is_remote": true, "created_time": started },
            },
        });
        if !client.is_empty() {
            put(&mut event, &["unmapped", "client"], json!(client));
        }
        merge(&mut event, more);
        event
    }

    fn did(&self, seq: Seq, event: &KernelEvent) -> Value {
        let KernelEvent { at, by, action, times } = event;
        let (class, more) = class_of(by, action);
        let mut all = self.event(class, *at, seq, more);
        if *times > 1 {
            put(&mut all, &["count"], json!(times));
        }
        put(&mut all, &["message"], json!(event.to_string()));
        // Who began a program is who began this process; everything else the process did itself.
        let acted = match action {
            Action::Ran(_) | Action::NotRan { .. } => json!({ "pid": by.parent }),
            _ => doer(by),
        };
        put(&mut all, &["actor", "process"], acted);
        if by.uid != by.euid {
            put(&mut all, &["unmapped", "euid"], json!(by.euid));
        }
        if by.stray {
            put(&mut all, &["unmapped", "only_by_audit_session"], json!(true));
        }
        if let Some(audit) = by.audit {
            put(&mut all, &["unmapped", "audit_session"], json!(audit));
        }
        all
    }

    /// Something that is no event of a process.
    fn beside(&self, seq: Seq, at: u64, activity: &str, severity: u64, message: &str) -> Value {
        let class = Class { uid: 0, name: "Base Event", activity: OTHER };
        let more =
            json!({ "activity_name": activity, "severity_id": severity, "message": message });
        self.event(class, at, seq, more)
    }

    fn gap(&self, seq: Seq, at: u64, gap: &Gap) -> Value {
        let mut all = self.beside(seq, at, "Gap", 3, &gap_words(gap));
        put(&mut all, &["unmapped", "gap"], json!(gap));
        all
    }
}

impl Export for Ocsf {
    fn begin(&mut self) -> String {
        String::new()
    }

    fn push(&mut self, stamped: &Stamped) -> String {
        let Stamped { seq, at, entry } = stamped;
        self.last = (*seq, *at);
        let event = match entry {
            Entry::Kernel(Kernel::Did(event)) => self.did(*seq, event),
            Entry::Kernel(kernel @ Kernel::Watch(watch)) => {
                let severity = if watch.lacks.is_empty() { 1 } else { 2 };
                self.beside(*seq, *at, "Watch", severity, &kernel.words())
            }
            Entry::Kernel(kernel @ Kernel::Totals(totals)) => {
                let mut all = self.beside(*seq, *at, "Totals", 1, &kernel.words());
                put(&mut all, &["unmapped", "totals"], json!(totals));
                all
            }
            Entry::Kernel(kernel @ (Kernel::Scope(_) | Kernel::Unbound(_))) => {
                self.beside(*seq, *at, "Watch", 1, &kernel.words())
            }
            Entry::Kernel(kernel @ Kernel::LeftOut(left_out)) => {
                let mut all = self.beside(*seq, *at, "Left Out", 1, &kernel.words());
                put(&mut all, &["unmapped", "left_out"], json!(left_out));
                all
            }
            Entry::Kernel(kernel @ Kernel::Tampering(tampering)) => {
                let mut all = self.beside(*seq, tampering.at, "Tampering", 4, &kernel.words());
                put(&mut all, &["unmapped", "tampering"], json!(tampering));
                all
            }
            // Of whatever cause: an event of the kernel may have been in it.
            Entry::Gap(gap) => self.gap(*seq, *at, gap),
            _ => return String::new(),
        };
        format!("{event}\n")
    }

    fn damaged(&mut self, why: &Corrupt) -> String {
        let (seq, at) = self.last;
        format!("{}\n", self.beside(seq, at, "Damage", 4, &damage_words(why)))
    }

    fn finish(&mut self) -> String {
        String::new()
    }
}

/// A class of events, and what was done.
#[derive(Debug, Clone, Copy)]
struct Class {
    uid: u64,
    name: &'static str,
    activity: u64,
}

const fn process(activity: u64) -> Class {
    Class { uid: 1007, name: "Process Activity", activity }
}

const fn file_system(activity: u64) -> Class {
    Class { uid: 1001, name: "File System Activity", activity }
}

const fn network(activity: u64) -> Class {
    Class { uid: 4001, name: "Network Activity", activity }
}

const INVOKED: Class = Class { uid: 1003, name: "Kernel Activity", activity: 4 };

/// To which class something belongs, and what it says there.
fn class_of(by: &Doer, action: &Action) -> (Class, Value) {
    match action {
        Action::Ran(program) => (process(1), with_status(launched(by, program), 0)),
        Action::Arguments { arguments, goes_on } => {
            let more = json!({
                "activity_name": "Arguments",
                "process": doer(by),
                "unmapped": { "arguments": arguments, "goes_on": goes_on },
            });
            (process(OTHER), more)
        }
        Action::NotRan { file, arguments, error } => {
            let mut tried = doer(by);
            put(&mut tried, &["cmd_line"], json!(line_of(arguments)));
            put(&mut tried, &["file"], file_of(file));
            (process(1), with_status(json!({ "process": tried }), *error))
        }
        Action::Ended { end, ms } => {
            let mut more = json!({ "process": doer(by), "unmapped": { "lifetime_ms": ms } });
            match end {
                End::Status(status) => put(&mut more, &["exit_code"], json!(status)),
                End::Signal(signal) => put(&mut more, &["unmapped", "signal"], json!(signal)),
            }
            (process(2), more)
        }
        Action::Opened { file, flags, place, error } => {
            let mut opened = file_of(file);
            if let Some(place) = place {
                put(&mut opened, &["uid"], json!(format!("{}:{}", place.device, place.inode)));
            }
            let more = json!({ "file": opened, "access_mask": flags });
            (file_system(14), with_status(more, *error))
        }
        Action::Changed { call, file, other, numbers, error } => {
            let mut more = json!({ "file": file_of(file) });
            if let Some(other) = other {
                put(&mut more, &["file_result"], file_of(other));
            }
            put(&mut more, &["unmapped", "call"], json!(call));
            put(&mut more, &["unmapped", "numbers"], json!(numbers));
            let activity = change(call);
            if activity == OTHER {
                put(&mut more, &["activity_name"], json!(call));
            }
            (file_system(activity), with_status(more, *error))
        }
        Action::Tcp { step, local, remote } => tcp(*step, local, remote),
        Action::Socket { call, protocol, local, remote, error } => {
            socket(call, *protocol, local, remote, *error)
        }
        Action::Met { call, socket, other } => met(call, socket, other),
        Action::Identity { call, numbers, error } => {
            let more = json!({
                "process": doer(by),
                "unmapped": { "call": call, "numbers": numbers },
            });
            (process(5), with_status(more, *error))
        }
        Action::Special { call, text, numbers, error } => {
            let more = json!({
                "kernel": { "name": call, "type_id": 2 },
                "unmapped": { "text": text, "numbers": numbers },
            });
            (INVOKED, with_status(more, *error))
        }
        Action::Uring { operation, file, other } => {
            let named = |file: &Option<Named>| file.as_ref().map(ToString::to_string);
            let more = json!({
                "kernel": { "name": format!("io_uring {operation}"), "type_id": 2 },
                "unmapped": { "file": named(file), "other": named(other) },
            });
            (INVOKED, more)
        }
    }
}

/// What a system call that takes a path does to it.
fn change(call: &str) -> u64 {
    let call = call.trim_end_matches("32").trim_end_matches("64");
    match call {
        "mkdir" | "mkdirat" | "mknod" | "mknodat" | "link" | "linkat" | "symlink" | "symlinkat" => {
            1
        }
        "truncate" | "ftruncate" => 3,
        "unlink" | "unlinkat" | "rmdir" => 4,
        "rename" | "renameat" | "renameat2" => 5,
        "chmod" | "fchmod" | "fchmodat" | "fchmodat2" | "chown" | "fchown" | "lchown"
        | "fchownat" => 7,
        "mount" | "move_mount" => 12,
        "umount2" => 13,
        _ => OTHER,
    }
}

fn tcp(step: TcpStep, local: &str, remote: &str) -> (Class, Value) {
    let (activity, status, direction) = match step {
        TcpStep::Connected => (1, 1, 2),
        TcpStep::NotConnected => (4, 2, 2),
        TcpStep::Listens => (7, 1, 0),
    };
    let mut more = json!({
        "status_id": status,
        "connection_info": { "protocol_num": 6, "protocol_name": "tcp", "direction_id": direction },
    });
    if step == TcpStep::Listens {
        put(&mut more, &["dst_endpoint"], endpoint(local));
    } else {
        put(&mut more, &["src_endpoint"], endpoint(local));
        put(&mut more, &["dst_endpoint"], endpoint(remote));
    }
    (network(activity), more)
}

fn socket(call: &str, protocol: u32, local: &str, remote: &str, error: i32) -> (Class, Value) {
    let (activity, direction) = match call {
        "connect" if error == 0 || error == 115 => (1, 2),
        "connect" => (4, 2),
        "accept" | "accept4" if error == 0 => (1, 1),
        "accept" | "accept4" => (4, 1),
        "listen" => (7, 0),
        "sendto" | "sendmsg" | "sendmmsg" => (6, 2),
        _ => (OTHER, 0),
    };
    let mut more = json!({
        "connection_info": { "direction_id": direction, "protocol_num": number_of(protocol) },
        "unmapped": { "call": call },
    });
    if activity == OTHER {
        put(&mut more, &["activity_name"], json!(call));
    }
    // Who comes in is the source.
    let (source, goal) = match direction {
        1 => (remote, local),
        2 => (local, remote),
        _ => ("", local),
    };
    if !source.is_empty() {
        put(&mut more, &["src_endpoint"], endpoint(source));
    }
    put(&mut more, &["dst_endpoint"], endpoint(goal));
    (network(activity), with_status(more, error))
}

/// Two processes of one machine, of which one is none of the session's.
fn met(call: &str, socket: &Named, other: &Neighbour) -> (Class, Value) {
    let Neighbour { process, name, euid, session } = other;
    let direction = if call == "connect" { 2 } else { 1 };
    let more = json!({
        "status_id": 1,
        "connection_info": { "direction_id": direction, "protocol_num": number_of(0) },
        "dst_endpoint": { "name": format!("unix:{}", socket.path) },
        "unmapped": {
            "call": call,
            "as_passed": socket.as_passed,
            "other": { "pid": process, "name": name, "euid": euid, "session": session },
        },
    });
    (network(1), more)
}

/// A protocol by its number; -1 is what the schema has for those that IANA gave none, such as unix sockets.
fn number_of(protocol: u32) -> i64 {
    if protocol == 0 { -1 } else { protocol.into() }
}

/// `address:port`, or the path of a unix socket.
fn endpoint(address: &str) -> Value {
    let parsed = address.parse::<core::net::SocketAddr>();
    match parsed {
        Ok(address) => json!({ "ip": address.ip().to_string(), "port": address.port() }),
        Err(_) if address.is_empty() => json!({ "name": UNKNOWN }),
        Err(_) => json!({ "name": address }),
    }
}

fn launched(by: &Doer, program: &Program) -> Value {
    let mut began = doer(by);
    put(&mut began, &["cmd_line"], json!(program.line()));
    put(&mut began, &["parent_process"], json!({ "pid": by.parent }));
    let place = format!("{}:{}", program.place.device, program.place.inode);
    let mut file = json!({ "name": name_of(program.name()), "type_id": 1, "uid": place });
    // Where folders were moved meanwhile it is not known.
    if !program.program.is_empty() {
        put(&mut file, &["path"], json!(program.program));
    }
    put(&mut began, &["file"], file);
    json!({
        "process": began,
        "unmapped": {
            "asked_for": program.file,
            "interpreter": program.interpreter,
            "working_directory": program.folder,
            "file_is_deleted": program.deleted,
            "argument_bytes": program.bytes,
            "argument_bytes_kept": program.kept,
            "gid": program.gid.0,
            "egid": program.gid.1,
            "login_uid": program.login,
            "capabilities": format!("{:x}", program.capabilities),
        },
    })
}

fn doer(by: &Doer) -> Value {
    json!({ "pid": by.process, "name": by.name, "user": { "uid": by.uid.to_string() } })
}

/// A path as somebody passed it may be another file's by now.
fn file_of(file: &Named) -> Value {
    let path = file.whole();
    let mut value = json!({ "name": name_of(&path), "path": path, "type_id": 0 });
    if file.as_passed {
        put(&mut value, &["desc"], json!("as passed by the process"));
    }
    value
}

fn name_of(path: &str) -> &str {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    match (name.is_empty(), path.is_empty()) {
        (false, _) => name,
        (true, true) => UNKNOWN,
        (true, false) => path,
    }
}

/// Whether it went well, by its number of errno(3).
fn with_status(mut more: Value, error: i32) -> Value {
    put(&mut more, &["status_id"], json!(if error == 0 { 1 } else { 2 }));
    if error != 0 {
        put(&mut more, &["status_code"], json!(error.to_string()));
    }
    more
}

/// Puts a value at a path of keys, making objects on the way.
fn put(value: &mut Value, path: &[&str], wanted: Value) {
    let Some((first, rest)) = path.split_first() else {
        *value = wanted;
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(fields) = value {
        put(fields.entry(*first).or_insert(Value::Null), rest, wanted);
    }
}

/// Adds the fields of one object to another, objects within objects likewise.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
