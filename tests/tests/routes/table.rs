//! The table as it is kept: what is alike stands in one row, so that a person can read all of it.

use super::things::Things;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use wire::route::{BESIDE, OPEN, Who, open_call};

/// Every method that HTTP names (RFC 9110 §9.3, RFC 5789).
pub const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// A way to write a path.
pub struct Suffix {
    pub name: &'static str,
    pub change: fn(&str) -> String,
}

/// The second one is what stands behind the `?`; the walk adds it.
pub const SUFFIXES: [Suffix; 11] = [
    Suffix { name: "as is", change: str::to_owned },
    Suffix { name: "?x=1", change: str::to_owned },
    Suffix { name: "/", change: |path| format!("{path}/") },
    Suffix { name: "/..", change: |path| format!("{path}/..") },
    Suffix { name: "/%2e%2e", change: |path| format!("{path}/%2e%2e") },
    Suffix { name: ";x", change: |path| format!("{path};x") },
    Suffix { name: ".json", change: |path| format!("{path}.json") },
    Suffix { name: "inner //", change: |path| path.replacen("/v1/", "/v1//", 1) },
    Suffix { name: "CASE", change: |path| path.to_uppercase().replacen("/V1/", "/v1/", 1) },
    Suffix { name: "%-encoded", change: encoded },
    Suffix { name: "outer //", change: |path| format!("/{path}") },
];

/// The first letter behind `/v1/` in its other spelling.
fn encoded(path: &str) -> String {
    let (before, rest) = path.split_at(if path.starts_with("/v1/") { 4 } else { 1 });
    let (first, rest) = rest.split_at(1);
    format!("{before}%{:02x}{rest}", first.as_bytes()[0])
}

/// A route, and how it is asked for something of alice's.
pub struct Target {
    pub name: &'static str,
    /// None of what is no route.
    pub who: Option<Who>,
    pub path: String,
    pub query: String,
    /// The first and the second time.
    pub bodies: [String; 2],
}

/// All routes; where there are two on one path, once.
pub fn targets(things: &Things<'_>) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for route in BESIDE {
        if targets.iter().any(|target| target.name == route.path) {
            continue;
        }
        let (path, query) =
            (route.path.replace("{id}", &things.stored[0]), things.query(route.path));
        let bodies = ["bytes".to_owned(), "bytes".to_owned()];
        targets.push(Target { name: route.path, who: Some(route.who), path, query, bodies });
    }
    for call in OPEN {
        let path = format!("/v1/{}", call.path);
        let bodies = [0, 1].map(|time| things.body(call.path, time).to_string());
        let name: &'static str = path.clone().leak();
        targets.push(Target { name, who: Some(call.who), path, query: String::new(), bodies });
    }
    // Paths that are no route of browsers, and what could be taken for one of somebody's.
    for (name, path) in [
        ("/v1", "/v1".to_owned()),
        ("/v1/recordings/{id}/bytes", format!("/v1/recordings/{}/bytes", things.stored[0])),
        ("/v1/recordings/../film", "/v1/recordings/../film".to_owned()),
        ("/v1/recordings/%2e%2e/film", "/v1/recordings/%2e%2e/film".to_owned()),
        ("/v1/recordings/.%2f{id}/film", format!("/v1/recordings/.%2f{}/film", things.stored[0])),
        ("/v1/web/../users/list", "/v1/web/../users/list".to_owned()),
        ("/metrics", "/metrics".to_owned()),
    ] {
        let query = if name.contains("recordings") {
            format!("ticket={}", things.ticket)
        } else {
            String::new()
        };
        let bodies = ["{}".to_owned(), "{}".to_owned()];
        targets.push(Target { name, who: None, path, query, bodies });
    }
    for path in wire::paths().into_iter().filter(|path| open_call(path).is_none()) {
        if path == "web/terminal" {
            continue;
        }
        let path = format!("/v1/{path}");
        let name: &'static str = path.clone().leak();
        let bodies = ["{}".to_owned(), "{}".to_owned()];
        targets.push(Target { name, who: None, path, query: String::new(), bodies });
    }
    targets
}

/// What became of everything, a column for each who asked.
pub struct Cells {
    names: Vec<&'static str>,
    columns: Vec<Vec<String>>,
}

impl Cells {
    pub fn of(names: impl Iterator<Item = &'static str>) -> Self {
        let names: Vec<_> = names.collect();
        let columns = vec![Vec::new(); names.len()];
        Self { names, columns }
    }

    pub fn fill(&mut self, number: usize, column: Vec<String>) {
        self.columns[number] = column;
    }

    pub fn add(&mut self, name: &'static str, column: Vec<String>) {
        self.names.push(name);
        self.columns.push(column);
    }

    /// The table: routes that are answered alike in one paragraph, in it the suffixes, and in those the methods.
    pub fn written(&self, targets: &[Target]) -> String {
        let per_target = SUFFIXES.len() * METHODS.len();
        let rows = |number: usize| -> Vec<Vec<Vec<&str>>> {
            let row = |suffix: usize, method: usize| {
                let at = number * per_target + suffix * METHODS.len() + method;
                self.columns.iter().map(|column| column[at].as_str()).collect()
            };
            let suffix = |suffix| (0..METHODS.len()).map(|method| row(suffix, method)).collect();
            (0..SUFFIXES.len()).map(suffix).collect()
        };
        let all = targets.iter().enumerate().map(|(number, target)| (target, rows(number)));
        let mut text = BEGINNING.to_owned();
        for (targets, by_suffix) in alike(all) {
            text.push('\n');
            for target in targets {
                let _ = writeln!(text, "{} ({})", target.name, words(target.who));
            }
            let _ = writeln!(text, "{:58}{}", "", cells(self.names.iter().copied()));
            let by_suffix = SUFFIXES.iter().map(|suffix| suffix.name).zip(by_suffix);
            for (suffixes, by_method) in alike(by_suffix) {
                let _ = writeln!(text, "  {}", suffixes.join("  "));
                for (methods, row) in alike(METHODS.into_iter().zip(by_method)) {
                    let methods = match methods.len() == METHODS.len() {
                        true => "every method".to_owned(),
                        false => methods.join(" "),
                    };
                    let _ = writeln!(text, "    {methods:54}{}", cells(row.into_iter()));
                }
            }
        }
        text
    }
}

/// Puts together what has the same value, in the order in which it comes first.
fn alike<N, V: PartialEq>(all: impl IntoIterator<Item = (N, V)>) -> Vec<(Vec<N>, V)> {
    let mut groups: Vec<(Vec<N>, V)> = Vec::new();
    for (name, value) in all {
        match groups.iter_mut().find(|(_, known)| *known == value) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], value)),
        }
    }
    groups
}

fn words(who: Option<Who>) -> String {
    match who {
        None => "no route".to_owned(),
        Some(Who::Anybody) => "anybody".to_owned(),
        Some(Who::SignedIn) => "signed in".to_owned(),
        Some(Who::Member) => "member".to_owned(),
        Some(Who::Admin(right)) => format!("right over {right:?}").to_lowercase(),
    }
}

const BEGINNING: &str = "\
What everybody is answered who asks a proxy for something of alice's, who has every right. A row stands for all that is
answered alike: paths written in these ways, asked by these methods. The cells are statuses; `[]` is a list of nothing, and
`page` one of the pages, which hold nothing of anybody's.

nobody   is not signed in, on a page of the proxy
forger   says to the proxy what only proxies say to auth: that alice is signed in here
guest    has the code of a link into alice's session, and shows it wherever something can be shown
bob      is signed in, and his role allows him his own recordings
ended    has a cookie of alice's who has signed out
locked   is an admin on whom a lock is
removed  was an admin, and the account is removed
foreign  a page of another site, in alice's browser
unsaid   something in alice's browser that does not say which page it is
person   alice with the certificate of her `scry`, and her cookie
machine  a node's certificate, and alice's cookie
alice    alice
";

fn cells<'a>(row: impl Iterator<Item = &'a str>) -> String {
    let line: String = row.map(|cell| format!("{cell:8}")).collect();
    line.trim_end().to_owned()
}

/// The part about terminals: a row a message, alice last.
pub fn beside(others: Vec<(String, Vec<String>)>, alices: Vec<(String, Vec<String>)>) -> String {
    let mut text = "\nWebSockets: what comes of a terminal's first message; then of what is sent by who came by the link for guests; of a live stream\n".to_owned();
    let alices: BTreeMap<_, _> = alices.into_iter().collect();
    for (name, row) in others {
        let alice = alices[&name].first().map(String::as_str);
        let row = row.iter().map(String::as_str).chain(alice);
        let _ = writeln!(text, "    {name:54}{}", cells(row));
    }
    text
}

/// Everything that auth knows, and how it is asked for something of alice's.
pub fn at_auth(things: &Things<'_>) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for path in wire::paths() {
        let body = match open_call(path) {
            Some(_) => things.body(path, 0).to_string(),
            None => "{}".to_owned(),
        };
        all.push((format!("/v1/{path}"), format!("/v1/{path}"), body));
    }
    // What is no call stands in the page about streams.
    for line in include_str!("../../../crates/wire/src/stream.rs").lines() {
        let Some((_, rest)) = line.split_once("| `") else { continue };
        let Some((_, name)) = rest.split('`').next().and_then(|route| route.split_once(' ')) else {
            continue;
        };
        let name = name.split('?').next().unwrap_or(name);
        // An answer that does not end says nothing more here than who may have it.
        if all.iter().any(|(known, _, _)| known == name)
            || ["/v1/node/news", "/v1/proxy/nodes"].contains(&name)
        {
            continue;
        }
        let path = format!(
            "{}?ticket={}&at=0&for=a",
            name.replace("{id}", &things.stored[0]),
            things.ticket
        );
        all.push((name.to_owned(), path, "{}".to_owned()));
    }
    all
}

/// The part about auth itself.
pub fn of_auth(names: &[&str], rows: &[(String, Vec<String>)]) -> String {
    let wide = |row: &mut dyn Iterator<Item = &str>| -> String {
        let line: String = row.map(|cell| format!("{cell:14}")).collect();
        line.trim_end().to_owned()
    };
    let mut text = "\nAuth itself, through the same port; who forges says beside their certificate what only proxies may say\n".to_owned();
    let _ = writeln!(text, "{:58}{}", "", wide(&mut names.iter().copied()));
    for (name, row) in rows {
        let _ = writeln!(text, "    {name:54}{}", wide(&mut row.iter().map(String::as_str)));
    }
    text
}
