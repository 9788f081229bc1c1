//! `scry users`.

use super::profile::Profile;
use super::reach;
use crate::cli::{Invitation, Show, Users};
use crate::show;
use anyhow::Result;
use comfy_table::Color;
use model::{Login, RoleName, UserName};
use wire::people::{AddUser, ListUsers, RemoveUser};
use wire::web::ResetFactors;

/// Runs one of them.
pub async fn run(command: &Users) -> Result<()> {
    match command {
        Users::Add { user, roles, logins, show } => add(user, roles, logins, show).await,
        Users::Ls(show) => ls(show).await,
        Users::Rm { users, place } => {
            let client = reach::auth(&Profile::signed_in(place)?).await?;
            for user in users {
                client.call(&RemoveUser { user: user.clone() }).await?;
                show::remark(format!(
                    "Removed {user}; their recordings stay. Nodes go on taking a certificate they hold \
                     until it expires, at most 12 hours."
                ));
            }
            Ok(())
        }
        Users::ResetFactors { user, place } => {
            let client = reach::auth(&Profile::signed_in(place)?).await?;
            client.call(&ResetFactors { user: user.clone() }).await?;
            show::remark(format!(
                "{user} has no second factor any more, and signs in with the password alone until they \
                 add one."
            ));
            Ok(())
        }
    }
}

async fn add(user: &UserName, roles: &[RoleName], logins: &[Login], show_: &Show) -> Result<()> {
    let profile = Profile::signed_in(&show_.place)?;
    let client = reach::auth(&profile).await?;
    let roles = if roles.is_empty() { vec!["access".parse()?] } else { roles.to_vec() };
    let request = AddUser { user: user.clone(), roles, logins: logins.to_vec() };
    let added = client.call(&request).await?;
    let address = profile.address;
    let invitation = Invitation { address, pin: added.pin, code: added.code };
    if show_.json {
        show::json(&serde_json::json!({
            "user": user, "invitation": invitation.to_string(), "page": invitation.page(),
            "expires": added.expires,
        }))?;
        return Ok(());
    }
    show::remark(format!(
        "Give this to {user}; it works once, until {}:",
        show::moment(added.expires)
    ));
    show::line(format!("scry signup {invitation}"));
    show::remark(format!("Or in a browser: {}", invitation.page()));
    Ok(())
}

async fn ls(show_: &Show) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&show_.place)?).await?;
    let users = client.call(&ListUsers {}).await?;
    if show_.json {
        show::json(&users)?;
        return Ok(());
    }
    let mut table = show::table(&["USER", "ROLES", "LOGINS", "LAST SIGN-IN"]);
    for user in users {
        let seen = match user.last_sign_in {
            Some(time) => show::cell(show::moment(time), None),
            None if user.signed_up => show::cell("never", Some(Color::DarkGrey)),
            None => show::cell("invited", Some(Color::Yellow)),
        };
        table.add_row([
            show::cell(&user.user, Some(Color::Cyan)),
            show::cell(join(&user.roles), None),
            show::cell(join(&user.logins), None),
            seen,
        ]);
    }
    show::styled(table);
    Ok(())
}

fn join(names: &[impl ToString]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
