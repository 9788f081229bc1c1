//! `scry access explain`.

use super::profile::Profile;
use super::{reach, roles};
use crate::cli::Access;
use crate::show;
use anyhow::Result;
use comfy_table::Color;
use wire::access::{Explain, Says, Seat};

/// Shows the decision with its whole reasoning.
pub async fn run(command: &Access) -> Result<()> {
    let Access::Explain { user, target, join, of, with_role, show: show_ } = command;
    let login = match &target.login {
        Some(login) => login.clone(),
        None => user.as_str().parse()?,
    };
    let role = with_role.as_deref().map(roles::read).transpose()?.map(Box::new);
    let seat = join.zip(of.clone()).map(|(seat, owner)| Seat { seat, owner });
    let client = reach::auth(&Profile::signed_in(&show_.place)?).await?;
    let (who, node) = (user.clone(), target.node.clone());
    let request = Explain { user: who, login: login.clone(), node, join: seat, role };
    let answer = client.call(&request).await?;
    if show_.json {
        show::json(&answer)?;
        return Ok(());
    }
    let mut table = show::table(&["RULE", "SAYS", "WHY"]);
    for step in answer.steps {
        let (word, colour) = match step.says {
            Says::Allow => ("allow", Color::Green),
            Says::Deny => ("deny", Color::Red),
            Says::Nothing => ("–", Color::DarkGrey),
        };
        table.add_row([
            show::cell(step.rule, None),
            show::cell(word, Some(colour)),
            show::cell(step.why, None),
        ]);
    }
    show::styled(table);
    let clean = |text: &str| show::clean(text, usize::MAX);
    let verdict = if answer.allowed { "allowed" } else { "denied" };
    let because = clean(&answer.because);
    show::line(format!("\n{user} as {login} on {}: {verdict}: {because}", target.node));
    for (name, value) in answer.terms {
        show::line(format!("  {}: {}", clean(&name), clean(&value)));
    }
    Ok(())
}
