//! `scry audit`: reading the ledger, following it, and proving that nothing was taken from it.

use super::profile::Profile;
use super::reach;
use crate::cli::{Audit, AuditLs, Show};
use crate::show;
use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use comfy_table::Color;
use std::process::ExitCode;
use wire::audit::{LedgerHead, LedgerRow, ListAudit, ReadLedgerHead};

/// Runs one of them.
pub async fn run(command: &Audit) -> Result<ExitCode> {
    match command {
        Audit::Ls(args) => ls(args).await?,
        Audit::Follow(show) => follow(show).await?,
        Audit::Verify { since, show } => return verify(since.as_deref(), show).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn ls(args: &AuditLs) -> Result<()> {
    let mut request = ListAudit {
        since: show::maybe_moment(args.since.as_deref(), show::now())?,
        user: args.user.clone(),
        node: args.node.clone(),
        session: args.session,
        word: args.event.clone(),
        limit: args.limit,
        newest_first: true,
        ..ListAudit::default()
    };
    let client = reach::auth(&Profile::signed_in(&args.show.place)?).await?;
    let mut rows = Vec::new();
    // A page may be shorter than what is asked for.
    while request.limit > 0 {
        let page = client.call(&request).await?;
        let Some(last) = page.last() else { break };
        // An auth that is older than this program knows of no next page.
        if request.before.is_some_and(|before| before <= last.number) {
            break;
        }
        request.before = Some(last.number);
        request.limit = request.limit.saturating_sub(u32::try_from(page.len())?);
        rows.extend(page);
    }
    rows.reverse();
    if args.show.json {
        let events: Vec<_> = rows.iter().map(event_json).collect::<Result<_>>()?;
        show::json(&events)?;
    } else {
        let mut table = show::table(&["NO", "TIME", "CODE", "EVENT", "WHO", "WHERE", "DETAILS"]);
        for row in &rows {
            table.add_row(cells(row));
        }
        show::styled(table);
    }
    show::remark_full(rows.len(), args.limit);
    Ok(())
}

async fn follow(show_: &Show) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&show_.place)?).await?;
    let head = client.call(&ReadLedgerHead {}).await?;
    let path = format!("/v1/audit/follow?after={}", head.number);
    let mut rows = client.lines::<LedgerRow>(&path).await?;
    while let Some(row) = rows.next().await? {
        if show_.json {
            show::line(show::compact(&event_json(&row)?)?);
            continue;
        }
        let words: Vec<_> =
            words(&row).into_iter().skip(1).filter(|word| !word.is_empty()).collect();
        show::line(words.join("  "));
    }
    bail!("auth closed the stream");
}

/// Recomputes the whole chain, checks the head's signature, that each row's code is its event's, and that a head kept
/// earlier lies on the chain.
async fn verify(since: Option<&str>, show_: &Show) -> Result<ExitCode> {
    let kept = since.map(parse_head).transpose()?;
    let profile = Profile::signed_in(&show_.place)?;
    let client = reach::auth(&profile).await?;
    let head = client.call(&ReadLedgerHead {}).await?;
    check_signature(&head, &profile.cluster.ledger_keys)?;
    let bar = show::progress(head.number.saturating_mul(400), "verifying");
    let (mut number, mut hash) = (0, [0; 32]);
    let mut kept_seen = kept.is_none();
    while number < head.number {
        let request = ListAudit { after: Some(number), limit: 1000, ..ListAudit::default() };
        let rows = client.call(&request).await?;
        if rows.is_empty() {
            return broken(show_, number + 1, "the row is missing");
        }
        for row in rows {
            if row.number != number + 1 {
                return broken(show_, number + 1, "the row is missing");
            }
            hash = store::tables::chain(&hash, row.number, &row.event);
            number = row.number;
            if row.hash != hex(&hash) {
                return broken(show_, number, "the row was changed: its hash does not fit");
            }
            if !code_fits(&row) {
                return broken(show_, number, "the row was changed: its code is not its event's");
            }
            if let Some((at, expected)) = kept.filter(|(at, _)| *at == number) {
                if expected != hash {
                    return broken(show_, at, "it differs from the head that was kept");
                }
                kept_seen = true;
            }
            if number == head.number && hash != head.hash {
                return broken(show_, number, "the signed head does not fit the chain");
            }
        }
        bar.set_position(number.saturating_mul(400));
    }
    bar.finish_and_clear();
    if !kept_seen {
        return broken(show_, number, "the ledger ends before the head that was kept");
    }
    let text = format!("{}:{}", head.number, hex(&head.hash));
    if show_.json {
        show::json(&serde_json::json!({ "whole": true, "events": head.number, "head": text }))?;
    } else {
        show::line(format!("whole: {} events, head signed by the ledger key", head.number));
        show::line(format!("keep this to prove it later: {text}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the code, which the chain does not cover, is that of the event. Auth gives no more of what stands beside it.
fn code_fits(row: &LedgerRow) -> bool {
    store::tables::LedgerRow::code_of(&row.event).is_none_or(|code| code == row.code)
}

fn broken(show_: &Show, number: u64, why: &str) -> Result<ExitCode> {
    if show_.json {
        show::json(&serde_json::json!({ "whole": false, "event": number, "why": why }))?;
    } else {
        show::line(format!("BROKEN at event {number}: {why}"));
    }
    Ok(ExitCode::FAILURE)
}

fn check_signature(head: &LedgerHead, known: &[String]) -> Result<()> {
    let key = format!("scry-ledger:{}", base64::engine::general_purpose::STANDARD.encode(head.key));
    if !known.contains(&key) {
        bail!("the ledger's head is signed by a key that this client does not know; sign in again");
    }
    let statement = LedgerHead::statement(head.number, &head.hash, head.time);
    let signature = ed25519_dalek::Signature::from_bytes(&head.signature.into());
    ed25519_dalek::VerifyingKey::from_bytes(&head.key)
        .and_then(|key| key.verify_strict(&statement, &signature))
        .context("the signature of the ledger's head does not hold")
}

fn parse_head(text: &str) -> Result<(u64, [u8; 32])> {
    let wrong =
        || format!("{text:?} is no head; it is NUMBER:HASH as `scry audit verify` printed it");
    let (number, hash) = text.split_once(':').with_context(wrong)?;
    let hash = blake3::Hash::from_hex(hash).with_context(wrong)?;
    Ok((number.parse().with_context(wrong)?, *hash.as_bytes()))
}

fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// The event with its number and code, as one flat object.
fn event_json(row: &LedgerRow) -> Result<serde_json::Value> {
    let mut event: serde_json::Value = serde_json::from_str(&row.event)?;
    if let Some(object) = event.as_object_mut() {
        object.insert("number".into(), row.number.into());
        object.insert("code".into(), row.code.clone().into());
    }
    Ok(event)
}

fn cells(row: &LedgerRow) -> Vec<comfy_table::Cell> {
    let warning = row.code.ends_with('W');
    let colour = if warning { Color::Yellow } else { Color::Reset };
    words(row).into_iter().map(|word| show::cell(word, Some(colour))).collect()
}

/// Number, time, code, event, who, where, details.
fn words(row: &LedgerRow) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_str(&row.event).unwrap_or_default();
    let clean = |text: &str| show::clean(text, usize::MAX);
    let text = |name: &str| clean(value.get(name).and_then(|v| v.as_str()).unwrap_or_default());
    let place = match (text("login"), text("node")) {
        (login, node) if !login.is_empty() => format!("{login}@{node}"),
        (_, node) => node,
    };
    let time = value.get("time").and_then(serde_json::Value::as_i64).unwrap_or_default();
    let known = ["time", "event", "user", "node", "login", "connection"];
    let details = value.as_object().into_iter().flatten();
    let details =
        details.filter(|(name, _)| !known.contains(&name.as_str())).map(|(name, value)| {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let most = if name == "session" { 8 } else { 60 };
            format!("{}={}", clean(name), show::clean(&shown, most))
        });
    vec![
        row.number.to_string(),
        show::moment(model::Time(time)),
        clean(&row.code),
        text("event"),
        text("user"),
        place,
        details.collect::<Vec<_>>().join(" "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_that_controls_nothing() {
        let event = r#"{"time":1,"event":"e\u001b[2J\n","user":"u\u009b","node":"n\r","k\u001b":"v\u001b"}"#;
        let (code, hash) = ("S\u{1b}".to_owned(), String::new());
        let words = words(&LedgerRow { number: 1, event: event.to_owned(), code, hash });
        let [_, _, told @ ..] = words.as_slice() else { panic!("{words:?}") };
        assert_eq!(told, ["S·", "e·[2J·", "u·", "n·", "k·=v·"]);
    }

    #[test]
    fn a_code_that_is_not_the_events_is_seen_and_one_nobody_here_knows_passes() {
        let exec = r#"{"time":1,"event":"session.exec","command":"ls"}"#;
        let newer = r#"{"time":1,"event":"session.newer"}"#;
        for (event, code, fits) in
            [(exec, "S3011I", true), (exec, "S3011W", false), (newer, "S9999I", true)]
        {
            let (event, code) = (event.to_owned(), code.to_owned());
            let row = LedgerRow { number: 1, event, code, hash: String::new() };
            assert_eq!(code_fits(&row), fits, "{row:?}");
        }
    }
}
