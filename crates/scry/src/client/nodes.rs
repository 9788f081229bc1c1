//! `scry nodes`.

use super::profile::Profile;
use super::reach;
use crate::cli::{Invitation, Invite, Nodes, NodesCommand, Show};
use crate::show;
use anyhow::Result;
use comfy_table::Color;
use model::Time;
use wire::node::{InvitePart, ListNodes, Node, Part, RemoveNode};

/// Silence after which a node is shown as away, in milliseconds: three heartbeats.
const AWAY_MS: i64 = 30_000;
/// Columns of why what a node records waits there.
const WHY_COLUMNS: usize = 500;

/// Runs one of them; lists if nothing is said.
pub async fn run(nodes: &Nodes) -> Result<()> {
    match &nodes.command {
        None => ls(&nodes.show).await,
        Some(NodesCommand::Ls(show)) => ls(show).await,
        Some(NodesCommand::Invite(args)) => invite(args).await,
        Some(NodesCommand::Rm { nodes, place }) => {
            let client = reach::auth(&Profile::signed_in(place)?).await?;
            for node in nodes {
                client.call(&RemoveNode { node: node.clone() }).await?;
                show::remark(format!(
                    "Removed {node}; its certificates count no more, its recordings stay."
                ));
            }
            Ok(())
        }
    }
}

async fn invite(args: &Invite) -> Result<()> {
    let profile = Profile::signed_in(&args.show.place)?;
    let client = reach::auth(&profile).await?;
    let request = InvitePart {
        part: Part::Node,
        name: args.name.clone(),
        labels: args.labels.iter().cloned().collect(),
        life_ms: Some(i64::try_from(args.life_ms).unwrap_or(i64::MAX)),
    };
    let invited = client.call(&request).await?;
    let address = profile.address;
    let invitation = Invitation { address, pin: invited.pin, code: invited.token };
    let name = args.name.as_ref().map(|name| format!(" --node-name {name}")).unwrap_or_default();
    let command = format!("scry start --roles node{name} --join {invitation}");
    if args.show.json {
        show::json(&serde_json::json!({
            "name": args.name, "invitation": invitation.to_string(), "command": command,
            "expires": invited.expires,
        }))?;
        return Ok(());
    }
    let machine = args.name.as_ref().map_or("the machine", |name| name.as_str());
    show::remark(format!(
        "Run this on {machine}, as root for everybody's logins; it works once, until {}:",
        show::moment(invited.expires)
    ));
    show::line(command);
    if on_this_machine_only(&invitation.address) {
        show::remark(format!(
            "{} leads to the cluster on this machine only: for another one put the address there by which it is \
             reached, and tell the cluster with --public-address.",
            invitation.address
        ));
    }
    Ok(())
}

fn on_this_machine_only(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Lists the nodes the person may reach.
async fn ls(show_: &Show) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&show_.place)?).await?;
    let nodes = client.call(&ListNodes {}).await?;
    if show_.json {
        show::json(&nodes)?;
        return Ok(());
    }
    if nodes.is_empty() {
        show::remark("No node that you may reach; `scry access explain` says why.");
        return Ok(());
    }
    show::styled(listed(&nodes));
    for node in &nodes {
        if let Some(why) = &node.waits {
            let why = show::clean(why, WHY_COLUMNS);
            show::remark(format!("What {} records waits there: {why}.", node.name));
        }
    }
    Ok(())
}

/// Whether a node that was here was not heard of lately.
pub fn is_away(node: &Node, now: Time) -> bool {
    node.last_seen.is_some_and(|seen| now.0 - seen.0 >= AWAY_MS)
}

fn listed(nodes: &[Node]) -> comfy_table::Table {
    let now = show::now();
    let mut table = show::table(&["NODE", "STATE", "LOGINS", "LABELS", "VERSION"]);
    for node in nodes {
        let state = match node.last_seen {
            Some(_) if !is_away(node, now) => show::cell("here", Some(Color::Green)),
            Some(seen) => {
                show::cell(format!("away since {}", show::moment(seen)), Some(Color::Yellow))
            }
            None => show::cell("never seen", Some(Color::Yellow)),
        };
        let labels = node.labels.iter().map(|(key, value)| format!("{key}={value}"));
        table.add_row([
            show::cell(&node.name, Some(Color::Cyan)),
            state,
            show::cell(node.logins.join(", "), None),
            show::cell(labels.collect::<Vec<_>>().join(" "), None),
            show::cell(&node.version, Some(Color::DarkGrey)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_of_itself_controls_no_terminal() {
        let node = Node {
            name: "web-01".parse().unwrap(),
            labels: [("zone".to_owned(), "a\u{1b}[8m".to_owned())].into_iter().collect(),
            last_seen: None,
            version: "1.0\u{1b}]0;x\u{7}\nweb-02".to_owned(),
            logins: vec!["root\u{9b}2J".to_owned()],
            waits: None,
        };
        let text = listed(&[node]).to_string();
        for words in ["zone=a·[8m", "1.0·]0;x··web-02", "root·2J"] {
            assert!(text.contains(words), "{text} lacks {words:?}");
        }
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn an_address_that_other_machines_cannot_reach_is_noticed() {
        for (address, expected) in [
            ("127.0.0.1:4422", true),
            ("localhost:4422", true),
            ("[::1]:4422", true),
            ("scry.example.org:4422", false),
            ("10.0.0.1:4422", false),
        ] {
            assert_eq!(on_this_machine_only(address), expected, "{address}");
        }
    }
}
