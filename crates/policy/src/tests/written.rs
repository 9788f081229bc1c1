//! What is found in roles that people write.

use crate::{default_roles, validate_role};
use model::limit::KERNEL_SCOPE;
use model::role::Role;

#[test]
fn the_roles_of_a_fresh_cluster_have_no_fault() {
    for role in default_roles().roles.values() {
        assert_eq!(validate_role(role), Ok(()), "{}", role.name);
    }
}

#[test]
fn what_a_person_mistypes_in_a_role_is_found_and_named() {
    for (text, want) in [
        (
            "allow = { logins = ['{usr}'], nodes = { '*' = ['*'] } }",
            "allow.logins: \"{usr}\" is no placeholder; `{user}` and `{logins}` are, and stand alone",
        ),
        (
            "deny.logins = ['{user}x']",
            "deny.logins: \"{user}x\" is no placeholder; `{user}` and `{logins}` are, and stand alone",
        ),
        (
            "allow = { logins = [''], nodes = { '*' = ['*'] } }",
            "allow.logins: \"\" is no login: a login may not be empty",
        ),
        (
            "deny.logins = ['root,admin']",
            "deny.logins: \"root,admin\" is no login: a login may not hold ',': letters, digits and . _ - $, beginning with a letter, digit or _",
        ),
        (
            "deny.logins = ['*']",
            "deny.logins: \"*\" holds a `*`, which stands only alone and for anything",
        ),
        (
            "allow.nodes = { env = ['pro*'] }",
            "allow.nodes: \"pro*\" holds a `*`, which stands only alone and for anything",
        ),
        (
            "allow.nodes = { env = [] }",
            "allow.nodes: the label \"env\" accepts no value; `[\"*\"]` accepts any",
        ),
        ("deny.nodes = { '' = ['x'] }", "deny.nodes: a label must have a name"),
        (
            "allow.nodes = { '*' = ['prod'] }",
            "allow.nodes: `\"*\" = [\"*\"]` means every node; it takes no other values and no other labels beside it",
        ),
        (
            "allow.nodes = { '*' = ['*'], env = ['prod'] }",
            "allow.nodes: `\"*\" = [\"*\"]` means every node; it takes no other values and no other labels beside it",
        ),
        (
            "allow.recordings = { play = { nodes = { env = [] } } }",
            "allow.recordings: the label \"env\" accepts no value; `[\"*\"]` accepts any",
        ),
        (
            "options.record_where = [{ logins = ['{me}'], record = 'off' }]",
            "options.record_where.logins: \"{me}\" is no placeholder; `{user}` and `{logins}` are, and stand alone",
        ),
        (
            "options.idle_minutes = 0",
            "options.idle_minutes must be at least 1; leave it out for no limit of this role",
        ),
        (
            "options.certificate_minutes = 0",
            "options.certificate_minutes must be at least 1; leave it out for no limit of this role",
        ),
        (
            "allow.join = [{ seats = ['peer'] }]",
            "allow.join.roles names no role; `[\"*\"]` is anybody",
        ),
        (
            "allow.join = [{ roles = ['*'] }]",
            "allow.join.seats names no seat; observer, peer and moderator are seats",
        ),
        (
            "allow.join = [{ roles = ['dev', 'Ops'], seats = ['peer'] }]",
            "allow.join.roles: \"Ops\" is no role: a role name may not hold 'O': small letters, digits and dashes, beginning with a letter",
        ),
        (
            "allow.join = [{ roles = ['*'], seats = ['peer'], nodes = { env = [] } }]",
            "allow.join.nodes: the label \"env\" accepts no value; `[\"*\"]` accepts any",
        ),
        (
            "options.four_eyes = [{ roles = ['ops'] }]",
            "options.four_eyes.name: \"\" is no name; it is one line of plain text, of 500 bytes at most",
        ),
        (
            "options.four_eyes = [{ name = \"a\\u001B[2J\", roles = ['ops'] }]",
            "options.four_eyes.name: \"a\\u{1b}[2J\" is no name; it is one line of plain text, of 500 bytes at most",
        ),
        (
            "options.four_eyes = [{ name = 'x' }]",
            "options.four_eyes.roles names no role; `[\"*\"]` is anybody",
        ),
        (
            "options.four_eyes = [{ name = 'x', roles = ['ops*'] }]",
            "options.four_eyes.roles: \"ops*\" is no role: a role name may not hold '*': small letters, digits and dashes, beginning with a letter",
        ),
        (
            "options.four_eyes = [{ name = 'x', roles = ['ops'], seats = [] }]",
            "options.four_eyes.seats names no seat; observer, peer and moderator are seats",
        ),
        (
            "options.four_eyes = [{ name = 'x', roles = ['ops'], logins = ['{usr}'] }]",
            "options.four_eyes.logins: \"{usr}\" is no placeholder; `{user}` and `{logins}` are, and stand alone",
        ),
        (
            "options.four_eyes = [{ name = 'x', roles = ['ops'], nodes = { '' = ['x'] } }]",
            "options.four_eyes.nodes: a label must have a name",
        ),
        (
            "options.four_eyes = [{ name = 'x', roles = ['ops'], count = 0 }]",
            "options.four_eyes.count must be at least 1; leave it out for 1",
        ),
        (
            "options.four_eyes = [{ name = 'x', roles = ['ops'], confirm_minutes = 0 }]",
            "options.four_eyes.confirm_minutes must be at least 1; leave it out for presence that is never asked for",
        ),
        (
            "allow.logins = ['root']",
            "allow.logins without allow.nodes reaches nothing; add `nodes = { \"*\" = [\"*\"] }` for every node",
        ),
    ] {
        let role: Role = toml::from_str(&format!("name = 'r'\n{text}")).unwrap();
        let got = validate_role(&role).map_err(|fault| fault.to_string());
        assert_eq!(got, Err(want.to_owned()), "{text}");
    }
}

#[test]
fn filters_of_what_the_kernel_sees_are_read_and_bounded() {
    let read = |kernel: &str| {
        toml::from_str::<Role>(&format!("name = 'r'\noptions.kernel = {{ {kernel} }}"))
    };
    let good = "files = { under = ['/etc', '/srv'], except = ['/srv/cache'] }, network = { to = ['10.0.0.0/8', '::1'] }";
    assert_eq!(validate_role(&read(good).unwrap()), Ok(()));
    for (bad, want) in [
        ("files = { under = ['etc'] }", "a folder begins with a slash"),
        ("files = { under = ['/etc/'] }", "no slash at its end"),
        ("files = { over = ['/etc'] }", "unknown field `over`"),
        ("files = 'yes'", "true, false, or a table that says which"),
        ("network = { to = ['10.0.0.1/8'] }", "no bits behind its length"),
        ("network = { to = ['web-01'] }", "a network is an address"),
    ] {
        let error = read(bad).unwrap_err().to_string();
        assert!(error.contains(want), "{bad}: {error}");
    }
    let many = |count: usize| {
        read(&format!("files = {{ except = [{}] }}", vec!["'/x'"; count].join(", ")))
    };
    assert_eq!(validate_role(&many(KERNEL_SCOPE).unwrap()), Ok(()));
    let fault = validate_role(&many(KERNEL_SCOPE + 1).unwrap()).unwrap_err().to_string();
    assert_eq!(fault, "options.kernel.files: a filter names at most 256");
}
