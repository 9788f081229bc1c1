//! `scry company`: who is in a session, and what people in it say and ask.

use super::profile::Profile;
use super::{reach, sessions, ssh};
use crate::cli::{Company as Args, CompanyCommand};
use crate::show;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use comfy_table::Color;
use link::LineBuffer;
use link::ssh::client::Session;
use link::ssh::{Input, Output};
use model::SeatRole;
use model::entry::Party;
use model::limit::COMPANY_BYTES;
use std::process::ExitCode;
use wire::company::{Ask, Company, State, Told};

/// `scry company`.
pub async fn run(args: &Args) -> Result<ExitCode> {
    let profile = Profile::signed_in(&args.show.place)?;
    let one = sessions::find(&reach::auth(&profile).await?, &args.session).await?;
    let (_client, session) = ssh::company(&profile, &one.node, one.session.id).await?;
    let (mut line, company) = Line::open(session).await?;
    let ask = match &args.command {
        None => {
            print(&company, args.show.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(CompanyCommand::Follow) => {
            print(&company, args.show.json)?;
            return follow(line, args.show.json).await;
        }
        Some(CompanyCommand::Say { text }) => Ask::Say { text: text.join(" ") },
        Some(CompanyCommand::HandOver { person }) => Ask::HandOver { to: find(&company, person)? },
        Some(CompanyCommand::TakeBack) => Ask::TakeBack {},
        Some(CompanyCommand::Together) => Ask::Together {},
        Some(CompanyCommand::Adopt { person }) => Ask::Adopt { party: find(&company, person)? },
        Some(CompanyCommand::OwnSize) => Ask::OwnSize {},
        Some(CompanyCommand::ShowOut { person }) => Ask::ShowOut { party: find(&company, person)? },
        Some(CompanyCommand::Freeze) => Ask::Freeze {},
        Some(CompanyCommand::Thaw) => Ask::Thaw {},
        Some(CompanyCommand::End) => Ask::End {},
        Some(CompanyCommand::Approve { number }) => Ask::Approve { number: *number },
        Some(CompanyCommand::Refuse { number }) => Ask::Refuse { number: *number },
    };
    match line.ask(&ask).await? {
        Told::Refused { why } => bail!(show::clean(&why, 500)),
        _ => show::remark("Done."),
    }
    Ok(ExitCode::SUCCESS)
}

/// The line to a session's node.
pub(super) struct Line {
    _session: Session,
    from: Input,
    to: Output,
    held: LineBuffer,
}

impl Line {
    /// Opens it over a channel; answers also how things stand. The channel's connection must live as long.
    pub async fn open(mut session: Session) -> Result<(Self, Company)> {
        let from = session.output.take().context("a fresh session has its output")?;
        let to = session.input.clone();
        let held = LineBuffer::new(COMPANY_BYTES);
        let mut line = Self { _session: session, from, to, held };
        match line.next().await? {
            Some(Told::Company(company)) => Ok((line, company)),
            _ => bail!(
                "the session is over, or you are not in it: only who is there, and its owner, speaks in it"
            ),
        }
    }

    /// The next line; `None` when the session is over. Nothing is lost if it is cancelled.
    pub async fn next(&mut self) -> Result<Option<Told>> {
        loop {
            const OTHERWISE: &str = "the node speaks otherwise";
            if let Some(line) = self.held.take().context(OTHERWISE)? {
                return Ok(Some(serde_json::from_slice(&line).context(OTHERWISE)?));
            }
            match self.from.pull().await? {
                Some(bytes) => self.held.push(&bytes),
                None => return Ok(None),
            }
        }
    }

    /// Asks for something; the answer is one of the next lines.
    pub async fn send(&mut self, ask: &Ask) -> Result<()> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        self.to.write(Bytes::from(line)).await?;
        Ok(())
    }

    /// Asks for something; what happens meanwhile is passed over.
    async fn ask(&mut self, ask: &Ask) -> Result<Told> {
        self.send(ask).await?;
        while let Some(told) = self.next().await? {
            if matches!(told, Told::Done {} | Told::Refused { .. }) {
                return Ok(told);
            }
        }
        // What ends the session ends the line, too.
        Ok(Told::Done {})
    }
}

async fn follow(mut line: Line, json: bool) -> Result<ExitCode> {
    while let Some(told) = line.next().await? {
        if json {
            show::line(show::compact(&told)?);
            continue;
        }
        match told {
            Told::Said { user, text, .. } => {
                show::line(format!("{user}: {}", show::clean(&text, 500)))
            }
            Told::Happened { what } => show::line(show::clean(&what, 500)),
            Told::Over { why } => {
                show::line(format!("the session is over: {}", show::clean(&why, 500)))
            }
            Told::Confirm { party, ms } => {
                show::line(format!(
                    "person {} is asked to confirm within {} s",
                    party.0,
                    ms / 1000
                ));
            }
            Told::Company(_) | Told::Done {} | Told::Refused { .. } => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(company: &Company, json: bool) -> Result<()> {
    if json {
        return Ok(show::json(company)?);
    }
    let mut table = show::table(&["PERSON", "USER", "AS", "SINCE", "KEYBOARD"]);
    for one in &company.people {
        table.add_row([
            show::cell(one.party.0, Some(Color::Cyan)),
            show::cell(&one.user, None),
            show::cell(one.seat.map_or("owner", SeatRole::word), None),
            show::cell(show::moment(one.since), None),
            show::cell(if one.types { "types" } else { "" }, Some(Color::Green)),
        ]);
    }
    show::styled(table);
    let sized = company.people.iter().find(|one| Some(one.party) == company.size_of);
    if let Some(one) = sized {
        show::remark(format!(
            "The terminal has the size of {} (person {}).",
            one.user, one.party.0
        ));
    }
    if let Some(wanted) = &company.file {
        let words = show::clean(&wanted.to_string(), 10_000);
        show::remark(format!("A file waits to be approved or refused: {words}"));
    }
    if company.state != State::Running {
        let why = company.why.as_deref().unwrap_or_default();
        show::remark(format!("The session is {}: {}", company.state.word(), show::clean(why, 300)));
    }
    Ok(())
}

/// Who is meant by a number or a name.
fn find(company: &Company, person: &str) -> Result<Party> {
    if let Ok(number) = person.parse::<u16>() {
        return Ok(Party(number));
    }
    let mut named = company.people.iter().filter(|one| one.user.as_str() == person);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one.party),
        (Some(_), Some(_)) => {
            bail!("{person} is there more than once: say the number that `scry company` shows")
        }
        (None, _) => bail!("{person} is not in this session"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Time;
    use wire::company::Present;

    #[test]
    fn somebody_is_meant_by_a_number_or_by_a_name_that_only_one_has() {
        let present = |party, user: &str| Present {
            party: Party(party),
            user: user.parse().unwrap(),
            seat: None,
            since: Time(0),
            types: true,
        };
        let people = vec![present(0, "alice"), present(1, "bob"), present(2, "bob")];
        let state = State::Running;
        let (session, why, keyboard, size_of, file) = (None, None, None, None, None);
        let company = Company { session, state, why, keyboard, size_of, people, file };
        assert_eq!(find(&company, "alice").unwrap(), Party(0));
        assert_eq!(find(&company, "2").unwrap(), Party(2));
        assert!(find(&company, "bob").unwrap_err().to_string().contains("more than once"));
        assert!(find(&company, "carol").unwrap_err().to_string().contains("not in this session"));
    }
}
