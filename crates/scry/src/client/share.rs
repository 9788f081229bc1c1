//! `scry share`: letting others into one's own session by a link.

use super::join::own_session;
use super::profile::Profile;
use super::{reach, sessions};
use crate::cli::{Recipient, Share, Show, WebLink};
use crate::show;
use anyhow::{Result, bail};
use comfy_table::Color;
use model::UserName;
use wire::live::{ListLive, ListedSession};
use wire::name::SEAT_PREFIX;
use wire::share::{Link, LinkState, ListLinks, MadeLink, MakeLink, RevokeLink, Which};

/// Runs one of them; makes a link if nothing else is said.
pub async fn run(args: &Share) -> Result<()> {
    match (&args.revoke, args.list) {
        (Some(which), _) => revoke(which, &args.show).await,
        (None, true) => ls(&args.show).await,
        (None, false) => make(args).await,
    }
}

async fn make(args: &Share) -> Result<()> {
    let profile = Profile::signed_in(&args.show.place)?;
    let client = reach::auth(&profile).await?;
    let one = match &args.session {
        Some(text) => sessions::find(&client, text).await?,
        None => choose(client.call(&ListLive {}).await?, &profile.user, own_session().as_deref())?,
    };
    if one.session.user != profile.user {
        let (id, owner) = (one.session.id.short(), &one.session.user);
        bail!("session {id} is {owner}'s, and only its owner shares it");
    }
    let request = MakeLink {
        node: one.node.clone(),
        session: one.session.id,
        seat: args.seat,
        life_ms: Some(args.life_ms),
        once: args.once,
        to: match &args.to {
            Recipient::Anyone | Recipient::Guests => None,
            Recipient::User(user) => Some(user.clone()),
        },
        guests: args.to == Recipient::Guests,
    };
    let made = client.call(&request).await?;
    let ways = Ways::of(&made, &profile);
    if args.show.json {
        return Ok(show::json(&ways.with(&made)?)?);
    }
    show::remark(says(&made.link, &sessions::place(&one), &profile.cluster.name));
    show::remark("Give them one of these lines; ssh needs what `scry config` prints:");
    show::line(&ways.join);
    show::line(&ways.ssh);
    show::line(&ways.web);
    if let Some(guest) = &ways.guest {
        show::remark(
            "Who has no account needs the address, as `scry join 'ADDRESS'`; or, with plain ssh:",
        );
        guest.iter().for_each(show::line);
    }
    let number = made.link.id;
    show::remark(format!("Take it back with: scry share --revoke {number}"));
    Ok(())
}

/// The session that this terminal is in, or the only one of theirs that can be shared.
fn choose(all: Vec<ListedSession>, me: &UserName, own: Option<&str>) -> Result<ListedSession> {
    let mine = all.into_iter().filter(|one| one.session.user == *me);
    if let Some(own) = own {
        let here = mine.into_iter().find(|one| own.parse() == Ok(one.session.id));
        return match here {
            Some(one) => Ok(one),
            None => bail!(
                "the session that this terminal is in is none of {me}'s in this cluster; say which to share, as \
                 `scry sessions` lists them"
            ),
        };
    }
    let mut mine: Vec<_> = mine.filter(|one| one.session.joinable).collect();
    match mine.pop() {
        None => bail!(
            "no session of yours goes on that could be shared; `scry ssh NODE` opens one, with a terminal"
        ),
        Some(one) if mine.is_empty() => Ok(one),
        Some(one) => {
            mine.push(one);
            bail!("several sessions are yours; say which:\n{}", sessions::candidates(&mine))
        }
    }
}

/// A link in one sentence.
fn says(link: &Link, place: &str, cluster: &str) -> String {
    let who = match &link.to {
        Some(user) => user.to_string(),
        None if link.guests => "anyone, with an account or without,".to_owned(),
        None => format!("anyone who is signed in to {cluster}"),
    };
    let (often, until) = (if link.once { " once" } else { "" }, show::moment(link.expires));
    let (id, session, seat) = (link.id, link.session.short(), link.seat);
    format!(
        "Link {id} lets {who}{often} into session {session}, {place}, as {seat}, until {until}."
    )
}

/// What others may type to come by a link.
#[derive(Debug, PartialEq, Eq)]
struct Ways {
    join: String,
    /// For who has put into `~/.ssh/config` what `scry config` prints.
    ssh: String,
    /// For a browser, and for `scry join`.
    web: String,
    /// For who has neither an account nor scry: what known_hosts has to say, and the command. Only of a link for guests.
    guest: Option<[String; 2]>,
}

impl Ways {
    fn of(made: &MadeLink, profile: &Profile) -> Self {
        let MadeLink { code, link } = made;
        let Profile { address, pin, cluster, .. } = profile;
        let (cluster, node) = (&cluster.name, &link.node);
        let web = WebLink { address: address.clone(), code: code.clone(), pin: pin.clone() };
        let (host, port) = profile.place();
        let known = format!("scry-{cluster}.known_hosts");
        let jump = format!(
            "ssh -o UserKnownHostsFile={known} -o HostKeyAlias=proxy.{cluster} -p {port} -W %h:%p {code}@{host}"
        );
        let command = format!(
            "ssh -t -o UserKnownHostsFile={known} -o ProxyCommand='{jump}' {code}@{node}.{cluster}"
        );
        let hosts = format!("echo '{}' > {known}", profile.known_hosts().trim_end());
        Self {
            join: format!("scry join {code}"),
            ssh: format!("ssh -t {SEAT_PREFIX}{code}@{node}.{cluster}"),
            web: web.to_string(),
            guest: link.guests.then_some([hosts, command]),
        }
    }

    /// Beside everything that is known of the link.
    fn with(&self, made: &MadeLink) -> Result<serde_json::Value> {
        let mut value = serde_json::to_value(made)?;
        if let Some(fields) = value.as_object_mut() {
            fields.insert("join".to_owned(), self.join.clone().into());
            fields.insert("ssh".to_owned(), self.ssh.clone().into());
            fields.insert("web".to_owned(), self.web.clone().into());
            if let Some([hosts, command]) = &self.guest {
                fields.insert("guest_known_hosts".to_owned(), hosts.clone().into());
                fields.insert("guest_ssh".to_owned(), command.clone().into());
            }
        }
        Ok(value)
    }
}

async fn ls(show_: &Show) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&show_.place)?).await?;
    let links = client.call(&ListLinks {}).await?;
    if show_.json {
        show::json(&links)?;
        return Ok(());
    }
    if links.is_empty() {
        show::remark("No link leads into a session of yours; `scry share` makes one.");
        return Ok(());
    }
    let mut table =
        show::table(&["LINK", "SESSION", "NODE", "AS", "FOR", "UNTIL", "USED", "STATE"]);
    for link in &links {
        let colours = [Some(Color::Cyan), None, None, None, None, None, None, colour(link.state)];
        let cells = cells(link).into_iter().zip(colours);
        table.add_row(cells.map(|(text, colour)| show::cell(text, colour)));
    }
    show::styled(table);
    Ok(())
}

/// A row of the table.
fn cells(link: &Link) -> [String; 8] {
    let anyone = if link.guests { "guests" } else { "anyone" };
    let who = link.to.as_ref().map_or(anyone, UserName::as_str).to_owned();
    [
        link.id.to_string(),
        link.session.short(),
        link.node.to_string(),
        link.seat.to_string(),
        if link.once { format!("{who}, once") } else { who },
        show::moment(link.expires),
        link.used.to_string(),
        link.state.word().to_owned(),
    ]
}

fn colour(state: LinkState) -> Option<Color> {
    Some(match state {
        LinkState::Open => Color::Green,
        LinkState::Used | LinkState::Over => Color::DarkGrey,
        LinkState::Revoked => Color::Yellow,
    })
}

async fn revoke(which: &Which, show_: &Show) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&show_.place)?).await?;
    client.call(&RevokeLink { link: which.clone() }).await?;
    if show_.json {
        show::json(&serde_json::json!({ "revoked": which }))?;
        return Ok(());
    }
    show::remark(format!("Revoked {}; who came by it leaves now.", named(which)));
    Ok(())
}

/// A link without its code.
fn named(which: &Which) -> String {
    match which {
        Which::Number(number) => format!("link {number}"),
        Which::Code(_) => "the link".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sessions::tests::session;
    use super::*;
    use model::{LinkId, SeatRole, Time};

    fn user(name: &str) -> UserName {
        name.parse().unwrap()
    }

    fn made(to: Option<&str>, once: bool) -> MadeLink {
        let one = session(0xab, "alice", "web-01", &[]);
        let link = Link {
            id: LinkId(7),
            node: one.node,
            session: one.session.id,
            owner: user("alice"),
            seat: SeatRole::Peer,
            by: user("alice"),
            to: to.map(user),
            guests: false,
            once,
            created: Time(1_790_000_000_000),
            expires: Time(1_790_003_600_000),
            used: 2,
            state: LinkState::Open,
        };
        MadeLink { code: "share-0123456789abcdefghjkmnpqrs".to_owned(), link }
    }

    #[test]
    fn the_session_of_this_terminal_is_shared_or_the_only_one_there_is() {
        let some = || {
            vec![
                session(0xab, "alice", "web-01", &[]),
                session(0xac, "alice", "db-01", &[]),
                session(0x12, "bob", "web-01", &SeatRole::ALL),
                session(0x13, "carol", "web-01", &SeatRole::ALL),
                session(0x14, "carol", "web-01", &SeatRole::ALL),
            ]
        };
        let id = |number: u8| session(number, "x", "x", &[]).session.id;
        let own = |number: u8| id(number).to_string();
        let mut all = some();
        all[4].session.joinable = false;
        for (me, own, expected) in [
            ("bob", None, Ok(0x12)),
            ("carol", None, Ok(0x13)),
            ("alice", Some(own(0xac)), Ok(0xac)),
            ("alice", None, Err("several sessions are yours")),
            ("dave", None, Err("no session of yours")),
            ("bob", Some(own(0xab)), Err("none of bob's")),
            ("alice", Some(own(0xff)), Err("none of alice's")),
            ("alice", Some("nonsense".to_owned()), Err("none of alice's")),
        ] {
            let chosen = choose(all.clone(), &user(me), own.as_deref());
            match (chosen, expected) {
                (Ok(one), Ok(number)) => assert_eq!(one.session.id, id(number), "{me}"),
                (Err(error), Err(words)) => {
                    assert!(error.to_string().contains(words), "{me}: {error}");
                }
                (got, expected) => panic!("{me}: {got:?}, not {expected:?}"),
            }
        }
        let words = choose(some(), &user("alice"), None).unwrap_err().to_string();
        assert!(words.contains("abababab") && words.contains("acacacac"), "{words}");
        assert!(!words.contains("bob"), "{words}");
    }

    #[test]
    fn a_link_is_given_as_a_command_of_scry_one_of_ssh_and_an_address() {
        let mut made = made(None, false);
        let (code, pin) = (made.code.clone(), "0f".repeat(32));
        let profile = Profile {
            address: "scry.example.com:4422".to_owned(),
            user: user("alice"),
            pin: pin.clone(),
            expires: Time(0),
            cluster: wire::people::ClusterFacts {
                name: "lab".to_owned(),
                tls_authority: String::new(),
                user_authority: Vec::new(),
                host_authority: vec!["ssh-ed25519 AAAA\n".to_owned()],
                seal_keys: Vec::new(),
                ledger_keys: Vec::new(),
            },
            folder: std::path::PathBuf::new(),
        };
        let ways = Ways::of(&made, &profile);
        assert_eq!(ways.join, format!("scry join {code}"));
        assert_eq!(ways.ssh, format!("ssh -t +{code}@web-01.lab"));
        assert_eq!(ways.web, format!("https://scry.example.com:4422/join#{code}.{pin}"));
        assert_eq!(ways.guest, None);
        made.link.guests = true;
        let [hosts, command] = Ways::of(&made, &profile).guest.unwrap();
        assert_eq!(hosts, "echo '@cert-authority *.lab ssh-ed25519 AAAA' > scry-lab.known_hosts");
        assert_eq!(
            command,
            format!(
                "ssh -t -o UserKnownHostsFile=scry-lab.known_hosts -o ProxyCommand='ssh -o \
                 UserKnownHostsFile=scry-lab.known_hosts -o HostKeyAlias=proxy.lab -p 4422 -W %h:%p \
                 {code}@scry.example.com' {code}@web-01.lab"
            )
        );
        let value = ways.with(&made).unwrap();
        for (field, expected) in [
            ("code", code.clone()),
            ("join", ways.join),
            ("ssh", ways.ssh),
            ("node", "web-01".to_owned()),
            ("seat", "peer".to_owned()),
        ] {
            assert_eq!(value[field], expected, "{field}");
        }
    }

    #[test]
    fn a_link_is_said_in_one_sentence_and_in_a_row() {
        for (to, once, sentence, whom) in [
            (
                None,
                false,
                "Link 7 lets anyone who is signed in to lab into session abababab",
                "anyone",
            ),
            (Some("bob"), true, "Link 7 lets bob once into session abababab", "bob, once"),
        ] {
            let made = made(to, once);
            let said = says(&made.link, "root@web-01", "lab");
            assert!(said.starts_with(sentence), "{said}");
            assert!(said.contains(", root@web-01, as peer, until "), "{said}");
            let row = cells(&made.link);
            assert_eq!([&row[0], &row[1], &row[2], &row[3]], ["7", "abababab", "web-01", "peer"]);
            assert_eq!([&row[4], &row[6], &row[7]], [whom, "2", "open"]);
        }
        assert!(!named(&Which::Code(made(None, false).code)).contains("share-"));
    }
}
