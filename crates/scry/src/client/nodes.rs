//! `scry nodes`.

use super::profile::Profile;
use super::reach;
use crate::cli::Show;
use crate::show;
use anyhow::Result;
use comfy_table::Color;
use wire::node::ListNodes;

/// Silence after which a node is shown as away, in milliseconds: three heartbeats.
const AWAY_MS: i64 = 30_000;

/// Lists the nodes the person may reach.
pub async fn run(show_: &Show) -> Result<()> {
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
    let now = show::now();
    let mut table = show::table(&["NODE", "STATE", "LOGINS", "LABELS", "VERSION"]);
    for node in nodes {
        let state = match node.last_seen {
            Some(seen) if now.0 - seen.0 < AWAY_MS => show::cell("here", Some(Color::Green)),
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
    show::line(table);
    Ok(())
}
