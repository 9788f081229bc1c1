//! What the texts in a role match: login patterns and label conditions.

use crate::identity::Identity;
use model::Login;
use model::role::Labels;
use std::collections::BTreeMap;

/// Stands for the user's own name.
pub(crate) const USER: &str = "{user}";
/// Stands for the logins of the user's account.
pub(crate) const LOGINS: &str = "{logins}";
/// Any value, or any node.
pub(crate) const ANY: &str = "*";

/// Labels a node must carry, each with its accepted values.
pub(crate) type Condition = BTreeMap<String, Vec<String>>;

/// The first of `patterns` that stands for `login`.
pub(crate) fn matching_login<'p>(
    patterns: &'p [String],
    who: &Identity,
    login: &Login,
) -> Option<&'p str> {
    let fits = |pattern: &&String| match pattern.as_str() {
        USER => login.as_str() == who.user.as_str(),
        LOGINS => who.logins.contains(login),
        literal => literal == login.as_str(),
    };
    patterns.iter().find(fits).map(String::as_str)
}

/// Whether a node with these labels meets the condition. No condition is met by nothing:
/// a role that names no nodes reaches none.
pub(crate) fn matches_labels(condition: &Condition, labels: &Labels) -> bool {
    !condition.is_empty() && condition.iter().all(|(key, values)| accepts(key, values, labels))
}

fn accepts(key: &str, values: &[String], labels: &Labels) -> bool {
    let any = values.iter().any(|value| value == ANY);
    if key == ANY {
        return any;
    }
    labels.get(key).is_some_and(|label| any || values.contains(label))
}

/// A condition or a node's labels in one line, for traces.
pub(crate) fn show_condition(condition: &Condition) -> String {
    let show = |(key, values): (&String, &Vec<String>)| format!("{key}={}", values.join("|"));
    match condition.is_empty() {
        true => "no nodes".to_owned(),
        false => condition.iter().map(show).collect::<Vec<_>>().join(", "),
    }
}

/// A node's labels in one line, for traces.
pub(crate) fn show_labels(labels: &Labels) -> String {
    match labels.is_empty() {
        true => "no labels".to_owned(),
        false => {
            let shown: Vec<_> =
                labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            shown.join(", ")
        }
    }
}
