//! `scry roles`.

use super::profile::Profile;
use super::reach;
use crate::cli::{Roles, Show, Where};
use crate::show;
use anyhow::{Context as _, Result};
use model::role::Role;
use std::io::Read as _;
use std::path::Path;
use wire::people::{ListRoles, RemoveRole, SetRole};

/// Runs one of them.
pub async fn run(command: &Roles) -> Result<()> {
    match command {
        Roles::Ls(show) => ls(show).await,
        Roles::Print { role, show } => {
            let roles = all(&show.place).await?;
            let found = roles.into_iter().find(|one| one.name == *role);
            let found = found.with_context(|| format!("there is no role {role}"))?;
            if show.json {
                show::json(&found)?;
            } else {
                show::line(toml::to_string_pretty(&found)?);
            }
            Ok(())
        }
        Roles::Set { file, place } => {
            let role = read(file)?;
            let client = reach::auth(&Profile::signed_in(place)?).await?;
            client.call(&SetRole { role: role.clone() }).await?;
            show::remark(format!("Role {} is set; open sessions are decided again.", role.name));
            Ok(())
        }
        Roles::Rm { role, place } => {
            let client = reach::auth(&Profile::signed_in(place)?).await?;
            client.call(&RemoveRole { role: role.clone() }).await?;
            show::remark(format!("Removed role {role}."));
            Ok(())
        }
    }
}

async fn ls(show_: &Show) -> Result<()> {
    let roles = all(&show_.place).await?;
    if show_.json {
        show::json(&roles)?;
        return Ok(());
    }
    let mut table = show::table(&["ROLE", "LOGINS", "NODES", "DESCRIPTION"]);
    for role in roles {
        let nodes =
            role.allow.nodes.iter().map(|(key, values)| format!("{key}={}", values.join("|")));
        table.add_row([
            show::cell(&role.name, Some(comfy_table::Color::Cyan)),
            show::cell(role.allow.logins.join(", "), None),
            show::cell(nodes.collect::<Vec<_>>().join(", "), None),
            show::cell(&role.description, None),
        ]);
    }
    show::styled(table);
    Ok(())
}

async fn all(place: &Where) -> Result<Vec<Role>> {
    let client = reach::auth(&Profile::signed_in(place)?).await?;
    Ok(client.call(&ListRoles {}).await?)
}

/// Reads a role from a file, or from standard input.
pub(super) fn read(file: &Path) -> Result<Role> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    toml::from_str(&text).with_context(|| format!("{} is no role", file.display()))
}
