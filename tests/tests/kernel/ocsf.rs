//! What goes to other systems: each line of a real session's export has the shape that OCSF 1.3.0 publishes
//! (<https://schema.ocsf.io/1.3.0>, by hand: attributes of classes and objects, which are required, and their types).

use super::{CLUSTER, can_see, has};
use house::text;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// What an attribute must be.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Number,
    /// One of these.
    One(&'static [i64]),
    Bool,
    Texts,
    Object(&'static [Attribute]),
    /// Whatever is in it.
    Any,
}
use Type::{Any, Bool, Number, Object, One, Text, Texts};

/// Its name, whether it is required, and its type.
type Attribute = (&'static str, bool, Type);

const PRODUCT: &[Attribute] =
    &[("name", true, Text), ("vendor_name", true, Text), ("version", false, Text)];
const METADATA: &[Attribute] = &[
    ("version", true, Text),
    ("product", true, Object(PRODUCT)),
    ("profiles", true, Texts),
    ("correlation_uid", false, Text),
    ("uid", false, Text),
    ("sequence", false, Number),
];
const DEVICE: &[Attribute] = &[
    ("type_id", true, One(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 99])),
    ("hostname", true, Text),
    ("domain", false, Text),
];
/// 9 is an account of Linux.
const ACCOUNT: &[Attribute] = &[("name", true, Text), ("type_id", false, One(&[0, 9, 99]))];
const USER: &[Attribute] =
    &[("name", false, Text), ("uid", false, Text), ("account", false, Object(ACCOUNT))];
const SESSION: &[Attribute] =
    &[("uid", false, Text), ("is_remote", false, Bool), ("created_time", false, Number)];
const FILE: &[Attribute] = &[
    ("name", true, Text),
    ("type_id", true, One(&[0, 1, 2, 3, 4, 5, 6, 7, 99])),
    ("path", false, Text),
    ("uid", false, Text),
    ("desc", false, Text),
];
const PARENT: &[Attribute] = &[("pid", true, Number)];
const PROCESS: &[Attribute] = &[
    ("pid", true, Number),
    ("name", false, Text),
    ("cmd_line", false, Text),
    ("user", false, Object(USER)),
    ("file", false, Object(FILE)),
    ("parent_process", false, Object(PARENT)),
];
const ACTOR: &[Attribute] = &[
    ("user", true, Object(USER)),
    ("session", false, Object(SESSION)),
    ("process", false, Object(PROCESS)),
];
const CONNECTION: &[Attribute] = &[
    ("direction_id", true, One(&[0, 1, 2, 3, 99])),
    ("protocol_num", false, Number),
    ("protocol_name", false, Text),
];
const ENDPOINT: &[Attribute] =
    &[("ip", false, Text), ("name", false, Text), ("port", false, Number)];
const KERNEL: &[Attribute] = &[("name", true, Text), ("type_id", true, One(&[0, 1, 2, 3, 99]))];

/// Of every event; `actor` and `device` by the profile `host`.
const EVERY: &[Attribute] = &[
    ("activity_id", true, Number),
    ("activity_name", false, Text),
    ("category_uid", true, Number),
    ("class_uid", true, Number),
    ("class_name", false, Text),
    ("type_uid", true, Number),
    ("severity_id", true, One(&[0, 1, 2, 3, 4, 5, 6, 99])),
    ("time", true, Number),
    ("metadata", true, Object(METADATA)),
    ("device", true, Object(DEVICE)),
    ("actor", true, Object(ACTOR)),
    ("count", false, Number),
    ("message", false, Text),
    ("status_id", false, One(&[0, 1, 2, 99])),
    ("status_code", false, Text),
    ("unmapped", false, Any),
];

/// A class: its number, name, activities besides 0 and 99, and attributes of its own.
type Class = (i64, &'static str, std::ops::RangeInclusive<i64>, &'static [Attribute]);

const CLASSES: &[Class] = &[
    (0, "Base Event", 99..=99, &[]),
    (
        1001,
        "File System Activity",
        1..=14,
        &[
            ("file", true, Object(FILE)),
            ("file_result", false, Object(FILE)),
            ("access_mask", false, Number),
        ],
    ),
    (1003, "Kernel Activity", 1..=4, &[("kernel", true, Object(KERNEL))]),
    (
        1007,
        "Process Activity",
        1..=5,
        &[("process", true, Object(PROCESS)), ("exit_code", false, Number)],
    ),
    (
        4001,
        "Network Activity",
        1..=7,
        &[
            ("connection_info", false, Object(CONNECTION)),
            ("src_endpoint", false, Object(ENDPOINT)),
            ("dst_endpoint", true, Object(ENDPOINT)),
        ],
    ),
];

/// What is wrong with an object, each with its place.
fn faults(value: &Value, attributes: &[&[Attribute]], place: &str) -> Vec<String> {
    let Some(fields) = value.as_object() else { return vec![format!("{place} is no object")] };
    let all: Vec<_> = attributes.iter().flat_map(|some| some.iter()).collect();
    let mut faults = Vec::new();
    for (name, required, _) in &all {
        if *required && !fields.contains_key(*name) {
            faults.push(format!("{place} lacks {name}"));
        }
    }
    for (name, value) in fields {
        let place = format!("{place}.{name}");
        let Some((.., form)) = all.iter().find(|(known, ..)| known == name) else {
            faults.push(format!("{place} is not in the schema"));
            continue;
        };
        let fits = match form {
            Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Number => value.is_i64() || value.is_u64(),
            One(values) => value.as_i64().is_some_and(|value| values.contains(&value)),
            Bool => value.is_boolean(),
            Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            Any => true,
            Object(inner) => {
                faults.extend(faults_of_object(value, inner, &place));
                true
            }
        };
        if !fits {
            faults.push(format!("{place} is {value}"));
        }
    }
    faults
}

fn faults_of_object(value: &Value, inner: &[Attribute], place: &str) -> Vec<String> {
    let mut found = faults(value, &[inner], place);
    // Of an endpoint at least one of these must be known.
    if place.ends_with("_endpoint") && value["ip"].is_null() && value["name"].is_null() {
        found.push(format!("{place} says nothing"));
    }
    found
}

fn faults_of_event(event: &Value) -> Vec<String> {
    let number = |name: &str| event[name].as_i64().unwrap_or(-1);
    let (class, activity) = (number("class_uid"), number("activity_id"));
    let Some((_, name, activities, own)) = CLASSES.iter().find(|it| it.0 == class) else {
        return vec![format!("there is no class {class}")];
    };
    let mut found = faults(event, &[EVERY, own], "event");
    for (right, what) in [
        (event["class_name"] == *name, "its class's name"),
        (activity == 99 || activities.contains(&activity), "its activity"),
        // An activity that the schema has no word for has one of its own.
        (activity != 99 || event["activity_name"].is_string(), "its activity's name"),
        (number("category_uid") == class / 1000, "its category"),
        (number("type_uid") == class * 100 + activity, "its type"),
        (event["metadata"]["version"] == "1.3.0", "its version"),
        (number("time") > 1_700_000_000_000, "its time, in milliseconds"),
    ] {
        if !right {
            found.push(format!("{what} is wrong"));
        }
    }
    found
}

#[test]
fn every_line_of_a_sessions_export_has_the_shape_that_ocsf_publishes() {
    let test = "every_line_of_a_sessions_export";
    if !can_see(test) || !has(test, "/usr/bin/python3") || !house::is_root() {
        return;
    }
    let folder = CLUSTER.path("ocsf").display().to_string();
    fs::create_dir(&folder).unwrap();
    let code = "import os, socket as s, ctypes\n\
        l = s.socket(); l.bind(('127.0.0.1', 0)); l.listen(); c = s.create_connection(l.getsockname()); l.accept()\n\
        s.socket(s.AF_INET6).connect_ex(('::1', 1)); s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))\n\
        u = s.socket(s.AF_UNIX); u.bind('own.sock'); u.listen(); v = s.socket(s.AF_UNIX); v.connect('own.sock'); u.accept()\n\
        s.socket(s.AF_UNIX).connect_ex('none.sock'); ctypes.CDLL(None).ptrace(16, 2**30, 0, 0); os.memfd_create('x')\n\
        open('a', 'w'); os.chmod('a', 0o600); os.truncate('a', 5); os.link('a', 'b'); os.rename('a', 'c'); os.unlink('b')\n\
        os.mkdir('d'); os.rmdir('d'); os.open('/', 0)\n\
        if os.fork() == 0: os.chroot('.'); os.setuid(65534); os.kill(os.getpid(), 9)\n\
        os.wait()\n\
        try: os.execv('/nowhere/none', ['none', 'x'])\n\
        except OSError: pass";
    let command = format!(
        "cd {folder} && /usr/bin/python3 -c \"{code}\"; unshare -m sh -c 'mount -t tmpfs none {folder} && umount {folder}'; \
         true"
    );
    let out = CLUSTER.ssh(&command);
    assert_eq!(text(&out), "", "{out:?}");
    let id = CLUSTER.recording_of(&command)["id"].as_str().unwrap().to_owned();
    let export = fs::read_to_string(CLUSTER.export(&id, "ocsf")).unwrap();
    let (mut kinds, mut count) = (BTreeSet::new(), 0);
    for line in export.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(faults_of_event(&event), Vec::<String>::new(), "{event:#}");
        kinds.insert(event["type_uid"].as_i64().unwrap());
        count += 1;
    }
    println!("{count} events of {} types", kinds.len());
    // Launch, terminate, set user; create, update, delete, rename, set security, mount, unmount, open, chroot; system
    // calls; open, fail, traffic, listen, bind; what was watched and the sums.
    let wanted = [
        100_701, 100_702, 100_705, 100_101, 100_103, 100_104, 100_105, 100_107, 100_112, 100_113,
        100_114, 100_199, 100_304, 400_101, 400_104, 400_106, 400_107, 400_199, 99,
    ];
    let missing: Vec<_> = wanted.iter().filter(|kind| !kinds.contains(*kind)).collect();
    assert!(missing.is_empty(), "{missing:?} of {kinds:?}");
}

#[test]
fn a_line_of_another_shape_is_found_out() {
    let right: Value = serde_json::json!({
        "class_uid": 1003, "class_name": "Kernel Activity", "category_uid": 1, "activity_id": 4, "type_uid": 100_304,
        "severity_id": 1, "time": 1_800_000_000_000_i64, "kernel": { "name": "bpf", "type_id": 2 },
        "metadata": { "version": "1.3.0", "profiles": ["host"], "product": { "name": "a", "vendor_name": "b" } },
        "device": { "type_id": 1, "hostname": "box" }, "actor": { "user": { "name": "alice" } },
    });
    assert_eq!(faults_of_event(&right), Vec::<String>::new());
    for (pointer, value) in [
        ("/class_uid", 1002.into()),
        ("/type_uid", 100_303.into()),
        ("/activity_id", 5.into()),
        ("/category_uid", 4.into()),
        ("/severity_id", 7.into()),
        ("/time", 1_800_000_000.into()),
        ("/kernel/name", "".into()),
        ("/kernel/type_id", "2".into()),
        ("/device/type_id", 20.into()),
        ("/metadata/product", serde_json::json!({ "name": "a" })),
        ("/kernel", serde_json::json!({ "name": "a", "type_id": 2, "more": 1 })),
    ] {
        let mut wrong = right.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(!faults_of_event(&wrong).is_empty(), "{pointer} of {wrong}");
    }
}
