//! `scry join` and `scry watch`: coming into a session that goes on.

use super::profile::{Address, Profile};
use super::{reach, sessions, ssh};
use crate::cli::{Join, Watch, WebLink, Where};
use crate::show;
use anyhow::{Result, anyhow, bail};
use model::{SeatRole, SessionId, UserName};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use wire::live::ListedSession;
use wire::share::{CODE_PREFIX, LookAtLink, ReadLink, Shared};

/// Where a program finds the session that it runs in.
const OWN_SESSION: &str = "SCRY_SESSION";

/// The session that this program runs in, if it runs in one.
pub fn own_session() -> Option<String> {
    std::env::var(OWN_SESSION).ok()
}

/// `scry join`.
pub async fn run(args: &Join) -> Result<ExitCode> {
    if args.session.trim().starts_with("https://") {
        let link = args.session.parse::<WebLink>().map_err(|wrong| anyhow!(wrong))?;
        return by_address(link, args).await;
    }
    match wire::share::code(&args.session) {
        Some(_) if Profile::load(&args.place).is_err() => bail!(
            "you are not signed in, and a code alone does not say where its cluster is: give the whole \
             address that `scry share` shows, or sign in with `scry login`"
        ),
        Some(code) => by_link(code, args.seat, &args.place).await,
        None => enter(&args.session, args.seat.unwrap_or(SeatRole::Observer), &args.place).await,
    }
}

/// `scry watch`.
pub async fn watch(args: &Watch) -> Result<ExitCode> {
    enter(&args.session, SeatRole::Observer, &args.place).await
}

/// As somebody who is signed in there, or else as a guest.
async fn by_address(link: WebLink, args: &Join) -> Result<ExitCode> {
    let there = Profile::signed_in(&args.place).ok();
    if there.is_some_and(|profile| profile.pin.eq_ignore_ascii_case(&link.pin)) {
        return by_link(link.code, args.seat, &args.place).await;
    }
    need_terminal()?;
    let at = Address { address: link.address.clone(), pin: link.pin.clone() };
    let look = LookAtLink { code: link.code.clone(), seat: args.seat };
    let welcome = reach::stranger(&at).await?.call(&look).await?;
    not_itself(welcome.shared.session, own_session().as_deref())?;
    let called = args.name.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_default();
    let guest = UserName::guest(&called);
    let Shared { node, session, owner, seat, expires, .. } = &welcome.shared;
    show::remark(format!(
        "Joining session {} of {owner}, on {node} of {}, as {seat} and as {guest}, until {}.",
        session.short(),
        show::clean(&welcome.cluster, 128),
        show::moment(*expires)
    ));
    ssh::guest(&link, &welcome, called).await
}

async fn by_link(code: String, seat: Option<SeatRole>, place: &Where) -> Result<ExitCode> {
    need_terminal()?;
    let profile = Profile::signed_in(place)?;
    let request = ReadLink { code, seat };
    let shared = reach::auth(&profile).await?.call(&request).await?;
    not_itself(shared.session, own_session().as_deref())?;
    let Shared { node, session, owner, seat, expires, .. } = shared;
    let (short, until) = (session.short(), show::moment(expires));
    show::remark(format!(
        "Joining session {short} of {owner}, on {node}, as {seat}, until {until}."
    ));
    ssh::seat(&profile, &node, session, Some(&request.code), seat).await
}

fn need_terminal() -> Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("a session is joined on a terminal, and standard input is none");
    }
    Ok(())
}

/// It would show itself in itself, for ever.
fn not_itself(session: SessionId, own: Option<&str>) -> Result<()> {
    if own.and_then(|own| own.parse().ok()) == Some(session) {
        bail!("this terminal is in session {} itself: join it from another one", session.short());
    }
    Ok(())
}

async fn enter(text: &str, seat: SeatRole, place: &Where) -> Result<ExitCode> {
    need_terminal()?;
    let profile = Profile::signed_in(place)?;
    if wire::share::code(text).is_some() {
        bail!("this is the code of a link, and says itself as what one comes: use `scry join`");
    }
    let found = sessions::find(&reach::auth(&profile).await?, text).await;
    let one = found.map_err(|error| match text.starts_with(CODE_PREFIX) {
        true => anyhow!("this is no whole code of a link: copy all of it, or ask for another one"),
        false => error,
    })?;
    allow(&one, seat, own_session().as_deref())?;
    let id = one.session.id;
    show::remark(format!(
        "Joining session {} of {}, {}, as {seat}.",
        id.short(),
        one.session.user,
        sessions::place(&one)
    ));
    ssh::seat(&profile, &one.node, id, None, seat).await
}

/// The node decides; what is clear before is said here, in clearer words.
fn allow(one: &ListedSession, seat: SeatRole, own: Option<&str>) -> Result<()> {
    let short = one.session.id.short();
    not_itself(one.session.id, own)?;
    if one.may_join.contains(&seat) {
        return Ok(());
    }
    let seats: Vec<_> = one.may_join.iter().map(|seat| seat.word()).collect();
    match seats.as_slice() {
        [] if !one.session.joinable => bail!("session {short} cannot be joined"),
        [] => bail!("you may not join session {short}"),
        seats => {
            let seats = seats.join(" or ");
            bail!("you may not join session {short} as {seat}, but as {seats}: say --as")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sessions::tests::session;
    use super::*;

    #[test]
    fn who_may_not_join_so_is_told_how_they_may() {
        let check = |may_join: &[SeatRole], seat, said: &str| {
            let one = session(0xab, "alice", "web-01", may_join);
            let words =
                allow(&one, seat, None).map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(words, said);
        };
        use SeatRole::{Moderator, Observer, Peer};
        check(&[Observer, Peer], Observer, "");
        check(&[Observer, Peer], Peer, "");
        let other =
            "you may not join session abababab as moderator, but as observer or peer: say --as";
        check(&[Observer, Peer], Moderator, other);
        check(&[], Observer, "you may not join session abababab");
        let mut alone = session(0xab, "alice", "web-01", &[]);
        alone.session.joinable = false;
        let words = allow(&alone, Observer, None).unwrap_err().to_string();
        assert_eq!(words, "session abababab cannot be joined");
    }

    #[test]
    fn nobody_joins_the_session_that_their_terminal_is_in() {
        let one = session(0xab, "alice", "web-01", &SeatRole::ALL);
        let id = one.session.id.to_string();
        for (own, joins) in
            [(id.as_str(), false), ("", true), ("acacacac-acac-4cac-acac-acacacacacac", true)]
        {
            assert_eq!(allow(&one, SeatRole::Peer, Some(own)).is_ok(), joins, "{own}");
            assert_eq!(not_itself(one.session.id, Some(own)).is_ok(), joins, "{own}");
        }
    }
}
