//! On which terms something is allowed: the strictest that any role asks for.

use crate::identity::Identity;
use crate::rule::{Condition, matches_labels, matching_login};
use model::kernel::Classes;
use model::role::{
    FileRule, FourEyes, Labels, OnLeave, Options, RecordWhere, RecordingPolicy, Role, RoleSet, Told,
};
use model::scope::{Scope, union};
use model::{Login, RoleName, limit};
use std::collections::BTreeSet;

/// Terms of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How sessions are recorded; `spool` if no role says.
    pub record: RecordingPolicy,
    /// Bytes of each exec stream that are recorded whole; the largest wish counts, because more is stricter.
    pub exec_stream_bytes: u64,
    /// Whether what is typed is recorded, besides that it was.
    pub record_typed: bool,
    /// Whether the contents of moved files are recorded, besides what was done.
    pub record_transfers: bool,
    /// What the kernel is to see of sessions that are recorded.
    pub kernel: Classes,
    /// Which of its files and connections are recorded: what any role wants.
    pub kernel_scope: Scope,
    /// Whether no session begins where the kernel does not see all of it.
    pub kernel_required: bool,
    /// Whether a session stands still rather than that something of it is lost.
    pub kernel_lossless: bool,
    /// What of it the ledger is told one by one: what any role asks for.
    pub kernel_ledger: BTreeSet<Told>,
    /// Longest session.
    pub session_ms: Option<u64>,
    /// Longest time without input.
    pub idle_ms: Option<u64>,
    /// Whether sessions end with the certificate that they were opened with; they do if no role says.
    pub disconnect_expired: bool,
    /// Longest life of a certificate.
    pub certificate_ms: i64,
    /// Whether a second factor must be shown at sign-in.
    pub second_factor: bool,
    /// Who must be there while anything runs: each of these demands must be met. Nobody, if there are none.
    pub four_eyes: Vec<Demand>,
}

/// What one role demands of four eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The role.
    pub role: RoleName,
    /// One of them is enough; only those that speak of this node and this login. Each wants one person or more.
    pub any_of: Vec<FourEyes>,
}

impl Demand {
    /// Its name and value among [`Terms::rows`].
    fn row(&self) -> (String, String) {
        let any_of: Vec<_> = self.any_of.iter().map(show).collect();
        (format!("four eyes, for role {}", self.role), any_of.join("; or "))
    }
}

/// A rule of four eyes in one line, such as `a second admin: 1 of admin as moderator, or it freezes`.
fn show(one: &FourEyes) -> String {
    let seats: Vec<_> = one.seats.iter().map(|seat| seat.word()).collect();
    let (who, seats) = (one.roles.join("|"), seats.join("|"));
    let confirm = match one.confirm_minutes {
        Some(minutes) => format!(", confirmed every {minutes} minutes"),
        None => String::new(),
    };
    let leave = match one.on_leave {
        OnLeave::Freeze => "it freezes",
        OnLeave::End => "it ends",
    };
    let files = match one.files {
        FileRule::Watched => "",
        FileRule::Each => "; each file is approved",
    };
    format!("{}: {} of {who} as {seats}{confirm}, or {leave}{files}", one.name, one.count)
}

impl Terms {
    /// Whether each file that is moved needs somebody's word.
    #[must_use]
    pub fn approves_files(&self) -> bool {
        self.four_eyes.iter().any(Demand::approves_files)
    }

    /// Names and values, for people.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let record = match self.record {
            RecordingPolicy::Off => "off",
            RecordingPolicy::Spool => "spool",
            RecordingPolicy::Strict => "strict",
        };
        let minutes = |ms: Option<u64>| match ms {
            Some(ms) => format!("{} minutes", ms / MINUTE_MS),
            None => "no limit".to_owned(),
        };
        let typed = if self.record_typed { "who, when and what" } else { "who and when" };
        let transfers = match self.record_transfers {
            true => "what was done, and the contents",
            false => "what was done, and hashes of the contents",
        };
        let some = match self.kernel_scope.is_all() {
            true => String::new(),
            false => format!(" (of these: {})", self.kernel_scope),
        };
        let kernel = match self.kernel_required {
            true => format!("{}{some}; or no session", self.kernel),
            false => format!("{}{some}, where it can", self.kernel),
        };
        let lossless = if self.kernel_lossless { "; and nothing is lost" } else { "" };
        let told: Vec<_> = self.kernel_ledger.iter().map(|told| told.word()).collect();
        let told = match told.is_empty() {
            true => String::new(),
            false => format!("; the ledger is told of {}", told.join(", ")),
        };
        let kernel = format!("{kernel}{lossless}{told}");
        let expired = if self.disconnect_expired { "end" } else { "go on" };
        let certificate = u64::try_from(self.certificate_ms).unwrap_or(0);
        let rows = [
            ("recording", record.to_owned()),
            ("exec streams kept whole", format!("{} bytes", self.exec_stream_bytes)),
            ("what is typed", typed.to_owned()),
            ("files by sftp and scp", transfers.to_owned()),
            ("what the kernel sees", kernel),
            ("longest session", minutes(self.session_ms)),
            ("longest without input", minutes(self.idle_ms)),
            ("sessions when the certificate expires", expired.to_owned()),
            ("life of certificates", minutes(Some(certificate))),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let second = ("second factor".to_owned(), "at each sign-in".to_owned());
        let second = self.second_factor.then_some(second);
        rows.into_iter().chain(second).chain(self.four_eyes.iter().map(Demand::row)).collect()
    }
}

const MINUTE_MS: u64 = 60_000;

/// The strictest terms of a person's roles on a node with these labels, as this login; of all their roles if no node
/// is meant.
pub(crate) fn terms(roles: &RoleSet, who: &Identity, place: Option<(&Labels, &Login)>) -> Terms {
    let held = who.roles.iter().filter_map(|name| roles.roles.get(name));
    let counts = held.filter(|role| {
        let named = &role.allow.nodes;
        named.is_empty() || place.is_none_or(|(labels, _)| matches_labels(named, labels))
    });
    let demands = counts.clone().filter_map(|role| demand(role, who, place)).collect();
    let options = counts.map(|role| &role.options);
    let special = options.clone().flat_map(|options| &options.record_where);
    let special = special
        .filter(|RecordWhere { nodes, logins, .. }| applies(nodes, logins, who, place))
        .map(|it| it.record)
        .max();
    Terms { four_eyes: demands, ..strictest(options, special) }
}

/// What a role demands of four eyes in this place, if anything.
fn demand(role: &Role, who: &Identity, place: Option<(&Labels, &Login)>) -> Option<Demand> {
    let here = |one: &&FourEyes| applies(&one.nodes, &one.logins, who, place);
    // Nobody is no second pair of eyes, whatever a role that was never checked says.
    let strict = |one: &FourEyes| FourEyes { count: one.count.max(1), ..one.clone() };
    let any_of: Vec<_> = role.options.four_eyes.iter().filter(here).map(strict).collect();
    (!any_of.is_empty()).then(|| Demand { role: role.name.clone(), any_of })
}

/// Whether what is said of some nodes or logins is said of this place.
fn applies(
    nodes: &Condition,
    logins: &[String],
    who: &Identity,
    place: Option<(&Labels, &Login)>,
) -> bool {
    let Some((labels, login)) = place else { return false };
    let node = nodes.is_empty() || matches_labels(nodes, labels);
    node && (logins.is_empty() || matching_login(logins, who, login).is_some())
}

/// The strictest of all options; `special` is what is said of this place beside them.
fn strictest<'r>(
    all: impl Iterator<Item = &'r Options> + Clone,
    special: Option<RecordingPolicy>,
) -> Terms {
    let ms = |minutes: u32| u64::from(minutes) * MINUTE_MS;
    let least = |wish: fn(&Options) -> Option<u32>| all.clone().filter_map(wish).min().map(ms);
    let any = |wish: fn(&Options) -> Option<bool>| all.clone().any(|o| wish(o) == Some(true));
    let ledger: BTreeSet<Told> =
        all.clone().flat_map(|o| o.kernel.ledger.iter().copied()).collect();
    let tells = |one: &[Told]| one.iter().any(|one| ledger.contains(one));
    // What the ledger is told of is watched: all of it, unless a role says which.
    let files = union(all.clone().filter_map(|o| o.kernel.files.as_ref()))
        .or_else(|| tells(&[Told::Changes]).then(Vec::new));
    // System calls that are neither of files nor of connections are seen along with one of them.
    let network = union(all.clone().filter_map(|o| o.kernel.network.as_ref())).or_else(|| {
        let beside = files.is_none() && tells(&[Told::Identity, Told::Reach]);
        (beside || tells(&[Told::Connections])).then(Vec::new)
    });
    let programs = tells(&[Told::Programs]);
    let certificate_ms = least(|o| o.certificate_minutes).and_then(|ms| i64::try_from(ms).ok());
    Terms {
        record: all
            .clone()
            .filter_map(|o| o.record)
            .chain(special)
            .max()
            .unwrap_or(RecordingPolicy::Spool),
        exec_stream_bytes: all
            .clone()
            .filter_map(|o| o.exec_stream_bytes)
            .max()
            .unwrap_or(limit::EXEC_STREAM_BYTES),
        record_typed: any(|o| o.record_typed),
        record_transfers: any(|o| o.record_transfers),
        kernel: Classes {
            commands: programs
                || all.clone().filter_map(|o| o.kernel.commands).max().unwrap_or(true),
            files: files.is_some(),
            network: network.is_some(),
        },
        kernel_scope: Scope {
            files: files.unwrap_or_default(),
            network: network.unwrap_or_default(),
        }
        .bounded(),
        kernel_required: any(|o| o.kernel.require),
        kernel_lossless: any(|o| o.kernel.lossless),
        kernel_ledger: ledger,
        session_ms: least(|o| o.session_minutes),
        idle_ms: least(|o| o.idle_minutes),
        disconnect_expired: all.clone().filter_map(|o| o.disconnect_expired).max().unwrap_or(true),
        certificate_ms: certificate_ms
            .map_or(limit::USER_CERTIFICATE_MS, |ms| ms.min(limit::USER_CERTIFICATE_MS)),
        second_factor: any(|o| o.second_factor),
        four_eyes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::role::KernelOptions;
    use model::scope::{FileFilter, Wish};

    #[test]
    fn the_strictest_wish_of_each_kind_counts() {
        let loose = Options {
            record: Some(RecordingPolicy::Off),
            record_where: Vec::new(),
            exec_stream_bytes: Some(1),
            record_typed: Some(false),
            record_transfers: Some(false),
            certificate_minutes: Some(100_000),
            session_minutes: Some(60),
            idle_minutes: None,
            disconnect_expired: Some(false),
            second_factor: Some(false),
            kernel: KernelOptions { commands: Some(false), ..KernelOptions::default() },
            four_eyes: Vec::new(),
        };
        let tight = Options {
            record: Some(RecordingPolicy::Strict),
            record_where: Vec::new(),
            exec_stream_bytes: Some(u64::MAX),
            record_typed: Some(true),
            record_transfers: Some(true),
            certificate_minutes: Some(5),
            session_minutes: Some(30),
            idle_minutes: Some(10),
            disconnect_expired: Some(true),
            second_factor: Some(true),
            kernel: KernelOptions {
                commands: Some(true),
                files: Some(Wish::Said(true)),
                network: None,
                require: Some(true),
                lossless: Some(true),
                ledger: vec![Told::Changes],
            },
            four_eyes: Vec::new(),
        };
        let got = strictest([&loose, &tight].into_iter(), None);
        let want = Terms {
            record: RecordingPolicy::Strict,
            exec_stream_bytes: u64::MAX,
            record_typed: true,
            record_transfers: true,
            kernel: Classes { commands: true, files: true, network: false },
            kernel_scope: Scope::ALL,
            kernel_required: true,
            kernel_lossless: true,
            kernel_ledger: BTreeSet::from([Told::Changes]),
            session_ms: Some(30 * 60_000),
            idle_ms: Some(10 * 60_000),
            disconnect_expired: true,
            certificate_ms: 5 * 60_000,
            second_factor: true,
            four_eyes: Vec::new(),
        };
        assert_eq!(got, want);
        assert_eq!(
            strictest([&loose].into_iter(), None).certificate_ms,
            limit::USER_CERTIFICATE_MS
        );
        assert_eq!(strictest([&loose].into_iter(), None).record, RecordingPolicy::Off);
        assert!(!strictest([&loose].into_iter(), None).disconnect_expired);
        assert!(strictest(core::iter::empty(), None).disconnect_expired);
        assert!(!strictest(core::iter::empty(), None).second_factor);
        assert_eq!(strictest(core::iter::empty(), None).record, RecordingPolicy::Spool);
        assert_eq!(strictest([&loose].into_iter(), None).kernel, Classes::NONE);
        let commands = Classes { commands: true, ..Classes::NONE };
        assert_eq!(strictest(core::iter::empty(), None).kernel, commands);
    }

    #[test]
    fn a_role_can_only_add_to_what_is_recorded_of_what_the_kernel_sees() {
        let role = |files: Option<Wish<FileFilter>>| Options {
            kernel: KernelOptions { files, ..KernelOptions::default() },
            ..Options::default()
        };
        let under = |folder: &str| {
            let filter =
                FileFilter { under: vec![folder.parse().unwrap()], ..FileFilter::default() };
            role(Some(Wish::Only(filter)))
        };
        let check = |roles: &[&Options], wanted: &str| {
            let terms = strictest(roles.iter().copied(), None);
            assert_eq!(format!("{} ({})", terms.kernel, terms.kernel_scope), wanted);
        };
        let (silent, none, all) =
            (role(None), role(Some(Wish::Said(false))), role(Some(Wish::Said(true))));
        let (etc, srv) = (under("/etc"), under("/srv"));
        check(&[&silent, &none], "commands ()");
        check(&[&etc, &none, &silent], "commands, files (files under /etc)");
        check(&[&srv, &etc, &srv], "commands, files (files under /etc, and also under /srv)");
        check(&[&etc, &all], "commands, files ()");
    }

    #[test]
    fn what_the_ledger_is_told_of_is_watched() {
        let role = |ledger: &[Told], commands: Option<bool>| Options {
            kernel: KernelOptions { commands, ledger: ledger.to_vec(), ..KernelOptions::default() },
            ..Options::default()
        };
        let check = |roles: &[&Options], watched: &str, told: &[Told]| {
            let terms = strictest(roles.iter().copied(), None);
            assert_eq!(terms.kernel.to_string(), watched);
            assert_eq!(terms.kernel_ledger.iter().copied().collect::<Vec<_>>(), told);
        };
        let (programs, silent) = (role(&[Told::Programs], Some(false)), role(&[], Some(false)));
        check(&[&silent], "nothing", &[]);
        check(&[&silent, &programs], "commands", &[Told::Programs]);
        let (changes, reach) = (role(&[Told::Changes], None), role(&[Told::Reach], None));
        check(&[&changes], "commands, files", &[Told::Changes]);
        check(&[&reach], "commands, network", &[Told::Reach]);
        check(&[&reach, &changes], "commands, files", &[Told::Reach, Told::Changes]);
        let all = role(&Told::ALL, None);
        check(&[&all, &silent], "commands, files, network", &Told::ALL);
        // Which files is a role's to say, also where the ledger is told of them.
        let some = FileFilter { under: vec!["/etc".parse().unwrap()], ..FileFilter::default() };
        let mut filtered = changes.clone();
        filtered.kernel.files = Some(Wish::Only(some));
        let scope = |roles: &[&Options]| strictest(roles.iter().copied(), None).kernel_scope;
        assert_eq!(scope(&[&filtered]).to_string(), "files under /etc");
        assert_eq!(scope(&[&changes]), Scope::ALL);
    }
}
