//! On which terms something is allowed: the strictest that any role asks for.

use crate::identity::Identity;
use crate::rule::{matches_labels, matching_login};
use model::role::{Labels, Options, RecordWhere, RecordingPolicy, RoleSet};
use model::{Login, limit};

/// Terms of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How sessions are recorded; `spool` if no role says.
    pub record: RecordingPolicy,
    /// Bytes of each exec stream that are recorded whole; the largest wish counts, because more is stricter.
    pub exec_stream_bytes: u64,
    /// Whether what is typed is recorded, besides that it was.
    pub record_typed: bool,
    /// Whether the contents of moved files are recorded, besides what was done.
    pub record_transfers: bool,
    /// Longest session.
    pub session_ms: Option<u64>,
    /// Longest time without input.
    pub idle_ms: Option<u64>,
    /// Whether sessions end with the certificate that they were opened with; they do if no role says.
    pub disconnect_expired: bool,
    /// Longest life of a certificate.
    pub certificate_ms: i64,
}

impl Terms {
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
        let expired = if self.disconnect_expired { "end" } else { "go on" };
        let certificate = u64::try_from(self.certificate_ms).unwrap_or(0);
        [
            ("recording", record.to_owned()),
            ("exec streams kept whole", format!("{} bytes", self.exec_stream_bytes)),
            ("what is typed", typed.to_owned()),
            ("files by sftp and scp", transfers.to_owned()),
            ("longest session", minutes(self.session_ms)),
            ("longest without input", minutes(self.idle_ms)),
            ("sessions when the certificate expires", expired.to_owned()),
            ("life of certificates", minutes(Some(certificate))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
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
    let options = counts.map(|role| &role.options);
    let special = options.clone().flat_map(|options| &options.record_where);
    let special = special.filter(|special| applies(special, who, place)).map(|it| it.record).max();
    strictest(options, special)
}

/// Whether what is said of some nodes or logins is said of this place.
fn applies(special: &RecordWhere, who: &Identity, place: Option<(&Labels, &Login)>) -> bool {
    let Some((labels, login)) = place else { return false };
    let node = special.nodes.is_empty() || matches_labels(&special.nodes, labels);
    let login = special.logins.is_empty() || matching_login(&special.logins, who, login).is_some();
    node && login
}

/// The strictest of all options; `special` is what is said of this place beside them.
fn strictest<'r>(
    all: impl Iterator<Item = &'r Options> + Clone,
    special: Option<RecordingPolicy>,
) -> Terms {
    let ms = |minutes: u32| u64::from(minutes) * MINUTE_MS;
    let least = |wish: fn(&Options) -> Option<u32>| all.clone().filter_map(wish).min().map(ms);
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
        record_typed: all.clone().any(|o| o.record_typed == Some(true)),
        record_transfers: all.clone().any(|o| o.record_transfers == Some(true)),
        session_ms: least(|o| o.session_minutes),
        idle_ms: least(|o| o.idle_minutes),
        disconnect_expired: all.clone().filter_map(|o| o.disconnect_expired).max().unwrap_or(true),
        certificate_ms: certificate_ms
            .map_or(limit::USER_CERTIFICATE_MS, |ms| ms.min(limit::USER_CERTIFICATE_MS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        };
        let got = strictest([&loose, &tight].into_iter(), None);
        let want = Terms {
            record: RecordingPolicy::Strict,
            exec_stream_bytes: u64::MAX,
            record_typed: true,
            record_transfers: true,
            session_ms: Some(30 * 60_000),
            idle_ms: Some(10 * 60_000),
            disconnect_expired: true,
            certificate_ms: 5 * 60_000,
        };
        assert_eq!(got, want);
        assert_eq!(
            strictest([&loose].into_iter(), None).certificate_ms,
            limit::USER_CERTIFICATE_MS
        );
        assert_eq!(strictest([&loose].into_iter(), None).record, RecordingPolicy::Off);
        assert!(!strictest([&loose].into_iter(), None).disconnect_expired);
        assert!(strictest(core::iter::empty(), None).disconnect_expired);
        assert_eq!(strictest(core::iter::empty(), None).record, RecordingPolicy::Spool);
    }
}
