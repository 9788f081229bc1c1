//! `scry recordings` and `scry play`: finding a recording, opening it from auth or from a file, exporting it.

use super::profile::Profile;
use super::reach;
use super::remote::Remote;
use crate::cli::{self, Format, Play, Recordings, RecordingsLs, Show, Where, Which};
use crate::{play, show};
use anyhow::{Context as _, Result, anyhow, bail};
use comfy_table::Color;
use link::http::CallError;
use model::limit::PAGE_ROWS;
use model::{Kind, SessionId, Tally};
use record::export::{self, Asciicast, Export, JsonLines, Ocsf, Transcript};
use record::{Corrupt, Fault as Unreadable, Recording, Source, Verdict};
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use store::file::FileSource;
use wire::Fault;
use wire::recording::{
    ListPlace, ListRecordings, Only, Phase, RecordingFacts, RemoveRecording, ViewKind,
};

/// Runs one of `scry recordings`.
pub async fn run(command: &Recordings) -> Result<()> {
    match command {
        Recordings::Ls(args) => ls(args).await,
        Recordings::Info { id, show } => info(id, show).await,
        Recordings::Export(args) => export(args).await,
        Recordings::Events(args) => events(args).await,
        Recordings::Rm { ids, yes, place } => rm(ids, *yes, place).await,
    }
}

/// `scry play`.
pub async fn play(args: &Play) -> Result<()> {
    let skip_idle_ms = args.skip_idle.then_some(2_000);
    if !(0.25..=16.0).contains(&args.speed) {
        bail!("the speed must lie between 0.25 and 16");
    }
    let how = if args.follow { ViewKind::Follow } else { ViewKind::Play };
    let source = open(&args.id, &args.place, how).await?;
    let args =
        Play { id: args.id.clone(), at: args.at.clone(), place: args.place.clone(), ..*args };
    // The player blocks on the terminal and on reading; it has a thread of its own.
    tokio::task::spawn_blocking(move || {
        let recording = Recording::open(source)?;
        let at_ms = args.at.as_deref().map(|at| position(at, recording.length_ms())).transpose()?;
        if args.print {
            let screen = record::picture_at(&recording, at_ms.unwrap_or(u64::MAX))?;
            show::line(play::as_text(&screen, false).trim_end());
            remark_damage(&recording);
            return Ok(());
        }
        let heading = recording.heading();
        let title = format!("{}: {}@{}", heading.user, heading.login, heading.node);
        let options = play::Options {
            at_ms,
            speed: args.speed,
            skip_idle_ms,
            paused: args.paused,
            follow: args.follow,
            highlight: None,
            before_live: false,
        };
        Ok(play::run(recording, options, title)?)
    })
    .await?
}

async fn events(args: &cli::Events) -> Result<()> {
    let mut sources = vec![open(&args.id, &args.place, ViewKind::Play).await?];
    if !Path::new(&args.id).is_file() {
        let client = reach::auth(&Profile::signed_in(&args.place)?).await?;
        for id in find(&client, &args.id).await?.aftermaths {
            sources.push(remote(client.clone(), id, ViewKind::Play).await?);
        }
    }
    let args = args.clone();
    let print = move || {
        let recordings: Result<Vec<_>, _> = sources.into_iter().map(Recording::open).collect();
        super::events::print(&recordings?, &args)
    };
    tokio::task::spawn_blocking(print).await?
}

/// Plays a session that goes on before somebody who is in it, paused where it has come to, until they are back in it.
pub async fn rewind(
    profile: &Profile,
    id: SessionId,
    desk: impl play::Desk + Send + 'static,
) -> Result<()> {
    let opened = remote(reach::auth(profile).await?, id, ViewKind::Follow).await;
    let source = opened.map_err(|error| match error.downcast_ref() {
        Some(CallError::Refused(failure)) if failure.fault == Fault::NotFound => {
            anyhow!("there is no recording of this session that you may see")
        }
        _ => error,
    })?;
    tokio::task::spawn_blocking(move || {
        let recording = Recording::open(source)?;
        let options = play::Options {
            at_ms: Some(recording.length_ms()),
            paused: true,
            before_live: true,
            ..play::Options::default()
        };
        Ok(play::run_at(recording, options, "q: back to now".to_owned(), desk)?)
    })
    .await?
}

/// A recording, wherever it is.
pub type Opened = Box<dyn record::Source + Send + Sync>;

/// Opens a file if there is one of that name, else asks auth for the recording whose id begins so.
async fn open(id: &str, place: &Where, how: ViewKind) -> Result<Opened> {
    let path = Path::new(id);
    if path.is_file() {
        return Ok(Box::new(FileSource::open(path)?));
    }
    if id.contains(['/', '.']) {
        bail!("there is no file {id}");
    }
    let client = reach::auth(&Profile::signed_in(place)?).await?;
    let facts = find(&client, id).await?;
    remote(client, facts.id, how).await
}

/// Asks auth for a recording.
async fn remote(client: reach::Auth, id: SessionId, how: ViewKind) -> Result<Opened> {
    Ok(Box::new(Remote::open(client, id, how).await?))
}

/// Copies a recording into a file, which must not be there yet.
pub async fn keep(client: &reach::Auth, id: SessionId, path: &Path) -> Result<PathBuf> {
    let source = remote(client.clone(), id, ViewKind::Export).await?;
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        write_file(source, Format::Scry, &path)?;
        Ok(path)
    })
    .await?
}

/// Writes an export into a new file, all that can be read or nothing. Answers why that is not all there was.
fn write_file(source: Opened, format: Format, path: &Path) -> Result<Option<Corrupt>> {
    let mut file = create(path)?;
    let written = write_export(source, format, &mut file);
    let written = written.and_then(|damage| Ok(file.sync_all().map(|()| damage)?));
    if written.is_err() {
        // Half an export would look like a whole one.
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Makes a file that must not be there yet. What was recorded is for who may play it, not for everybody on this machine.
fn create(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot make {}", path.display()))
}

/// The one recording whose id begins so.
pub async fn find(client: &reach::Auth, id: &str) -> Result<RecordingFacts> {
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        bail!("{id:?} is neither a file nor the beginning of a recording's id");
    }
    let request = ListRecordings { id_prefix: Some(digits), limit: 2, ..ListRecordings::default() };
    let mut found = client.call(&request).await?;
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok(one),
        (None, _) => bail!("no recording that you may see begins with {id}"),
        (Some(_), Some(_)) => bail!("several recordings begin with {id}; give more of it"),
    }
}

async fn ls(args: &RecordingsLs) -> Result<()> {
    let now = show::now();
    let Which { user, node, login, since, until } = &args.which;
    let mut request = ListRecordings {
        user: user.clone(),
        node: node.clone(),
        login: login.clone(),
        since: show::maybe_moment(since.as_deref(), now)?,
        until: show::maybe_moment(until.as_deref(), now)?,
        id_prefix: None,
        aftermath_of: None,
        live: args.live,
        only: match (args.sessions, args.connections) {
            (true, _) => Some(Only::Sessions),
            (_, true) => Some(Only::Connections),
            _ => None,
        },
        after: None,
        limit: args.limit,
    };
    let client = reach::auth(&Profile::signed_in(&args.show.place)?).await?;
    let mut rows = Vec::new();
    while request.limit > 0 {
        let page = client.call(&request).await?;
        let Some(last) = page.last() else { break };
        let place = ListPlace { started: last.started, id: last.id };
        // An auth that is older than this program knows of no next page.
        if request
            .after
            .is_some_and(|before| (before.started, before.id) <= (place.started, place.id))
        {
            break;
        }
        let (asked, came) = (request.limit.min(PAGE_ROWS), u32::try_from(page.len())?);
        request.after = Some(place);
        request.limit = request.limit.saturating_sub(came);
        rows.extend(page);
        if came < asked {
            break;
        }
    }
    if args.show.json {
        show::json(&rows)?;
    } else if rows.is_empty() {
        show::remark("No recording fits.");
    } else {
        show::styled(listed(&rows, show::width()));
    }
    show::remark_full(rows.len(), args.limit);
    Ok(())
}

/// Columns from which on there is room for what was counted.
const WIDE: u16 = 150;

/// The list as a table; `width` is that of the terminal, none where nobody reads it on one.
fn listed(rows: &[RecordingFacts], width: Option<u16>) -> comfy_table::Table {
    let counted = width.is_none_or(|width| width >= WIDE);
    let header = ["ID", "BEGAN", "LENGTH", "WHO", "WHERE", "WHAT", "RAN", "FILES", "SIZE", "STATE"];
    let kept = |name: &&str| counted || !["RAN", "FILES"].contains(name);
    let mut table = show::table(&header.into_iter().filter(kept).collect::<Vec<_>>());
    for row in rows {
        let cells = [
            show::cell(row.id.short(), Some(Color::Cyan)),
            show::cell(show::moment(row.started), None),
            show::cell(show::length(row.length_ms), None),
            show::cell(people(row), None),
            show::cell(format!("{}@{}", row.login, row.node), None),
            show::cell(what(&row.kind), None),
            show::cell(ran(row), None),
            show::cell(files(row), None),
            show::cell(show::bytes(row.bytes), None),
            state(row),
        ];
        let all = header.into_iter().zip(cells);
        table.add_row(all.filter(|(name, _)| kept(name)).map(|(_, cell)| cell));
    }
    table
}

/// Whose it is, and who came, as far as a column has room.
fn people(row: &RecordingFacts) -> String {
    let Some(tally) = row.tally.as_ref().filter(|tally| !tally.people.is_empty()) else {
        return row.user.to_string();
    };
    match tally.people.as_slice() {
        [one] => format!("{}, {}", row.user, show::clean(one.as_str(), 24)),
        all => format!("{} and {}{}", row.user, all.len(), plus(tally.more_people)),
    }
}

/// Behind a number that is the least.
fn plus(more: bool) -> &'static str {
    if more { "+" } else { "" }
}

/// How many programs ran, as far as that was counted: `–` where nobody was asked, `?` where nobody counted.
fn ran(row: &RecordingFacts) -> String {
    let Some(tally) = &row.tally else { return "?".to_owned() };
    tally.commands.map_or_else(|| "–".to_owned(), |count| count.to_string())
}

/// How many files were touched, likewise.
fn files(row: &RecordingFacts) -> String {
    let Some(tally) = &row.tally else { return "?".to_owned() };
    let number = |count| format!("{count}{}", plus(tally.more_files));
    tally.files.map_or_else(|| "–".to_owned(), number)
}

/// What was asked for, for a table.
pub fn what(kind: &Kind) -> String {
    match kind {
        Kind::Exec { command } => show::clean(command, 40),
        Kind::Connection => "connection: forwards".to_owned(),
        Kind::Aftermath { of } => format!("what {} left running", of.short()),
        other => show::clean(other.word(), 40),
    }
}

fn state(row: &RecordingFacts) -> comfy_table::Cell {
    let gaps = if row.gaps > 0 { format!(", {} gaps", row.gaps) } else { String::new() };
    match row.phase {
        Phase::Live => show::cell(format!("live{gaps}"), Some(Color::Green)),
        Phase::Interrupted => show::cell(format!("interrupted{gaps}"), Some(Color::Yellow)),
        Phase::Stored => {
            let ending = row.ending.as_deref().unwrap_or("ended");
            let is = |verdict: Verdict| row.verification == Some(verdict.to_string());
            let found = row.verification.as_ref().filter(|_| !is(Verdict::Complete));
            let colour = match found {
                Some(_) if is(Verdict::Broken) => Some(Color::Red),
                None if row.gaps == 0 => None,
                _ => Some(Color::Yellow),
            };
            let found = found.map_or_else(String::new, |found| format!(", {found}"));
            show::cell(format!("{ending}{gaps}{found}{}", goes_on(row)), colour)
        }
    }
}

/// Where what a session left running is recorded.
fn goes_on(row: &RecordingFacts) -> String {
    let ids: Vec<_> = row.aftermaths.iter().map(SessionId::short).collect();
    if ids.is_empty() { String::new() } else { format!(", goes on in {}", ids.join(", ")) }
}

async fn info(id: &str, show_: &Show) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&show_.place)?).await?;
    let row = find(&client, id).await?;
    if show_.json {
        show::json(&row)?;
        return Ok(());
    }
    facts_of(&row).iter().for_each(show::line);
    Ok(())
}

/// All that is known of a recording, one fact a line.
fn facts_of(row: &RecordingFacts) -> Vec<String> {
    let phase = match row.phase {
        Phase::Live => "goes on",
        Phase::Interrupted => "its node has not been heard of",
        Phase::Stored => "stored",
    };
    let lines = [
        ("recording", row.id.to_string()),
        ("user", row.user.to_string()),
        ("with", told(row, with)),
        ("where", format!("{}@{}", row.login, row.node)),
        ("what", what(&row.kind)),
        ("from", row.client.clone()),
        ("began", show::moment(row.started)),
        ("length", show::length(row.length_ms)),
        ("size", show::bytes(row.bytes)),
        ("state", phase.to_owned()),
        ("ended", row.ending.clone().unwrap_or_else(|| "–".to_owned())),
        ("ran", told(row, |tally| number(tally.commands, false, "programs"))),
        ("touched", told(row, |tally| number(tally.files, tally.more_files, "files"))),
        ("gaps", row.gaps.to_string()),
        ("verified", row.verification.clone().unwrap_or_else(|| "not yet".to_owned())),
    ];
    let of = row.kind.aftermath_of().map(|of| ("of", of.to_string()));
    let goes_on = row.aftermaths.iter().map(|id| ("goes on in", id.to_string()));
    let all = lines.into_iter().chain(of).chain(goes_on);
    all.map(|(name, value)| format!("{name:10} {}", show::clean(&value, usize::MAX))).collect()
}

/// Something of what was counted, if it was.
fn told(row: &RecordingFacts, words: impl Fn(&Tally) -> String) -> String {
    let not = || "not counted: it came before that was done".to_owned();
    row.tally.as_ref().map_or_else(not, words)
}

/// Who came besides the owner.
fn with(tally: &Tally) -> String {
    let names: Vec<_> = tally.people.iter().map(|user| show::clean(user.as_str(), 80)).collect();
    match names.as_slice() {
        [] => "nobody".to_owned(),
        all if tally.more_people => format!("{} and others", all.join(", ")),
        all => all.join(", "),
    }
}

fn number(count: Option<u64>, more: bool, what: &str) -> String {
    let not = || "not known: nothing was asked to tell".to_owned();
    count.map_or_else(not, |count| format!("{count}{} {what}", if more { " or more" } else { "" }))
}

async fn rm(ids: &[String], yes: bool, place: &Where) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(place)?).await?;
    for id in ids {
        let row = find(&client, id).await?;
        if !yes && !confirm(&row)? {
            show::remark("Kept.");
            continue;
        }
        client.call(&RemoveRecording { id: row.id }).await?;
        show::remark(format!("Removed {}; its tombstone stands in the ledger.", row.id));
    }
    Ok(())
}

fn confirm(row: &RecordingFacts) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("removing cannot be undone; say --yes");
    }
    let began = show::moment(row.started);
    eprint_flush(&format!("Remove {}, {} of {began}, for ever? [y/N] ", row.id, row.user))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "yes"))
}

fn eprint_flush(text: &str) -> Result<()> {
    let mut out = std::io::stderr().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

async fn export(args: &cli::Export) -> Result<()> {
    let source = open(&args.id, &args.place, ViewKind::Export).await?;
    let (format, output, id) = (args.format, args.output.clone(), args.id.clone());
    tokio::task::spawn_blocking(move || {
        let path = output.unwrap_or_else(|| default_path(&id, format));
        let damage = if path == Path::new("-") {
            write_export(source, format, &mut std::io::stdout().lock())?
        } else {
            let damage = write_file(source, format, &path)?;
            show::remark(format!("Wrote {}.", path.display()));
            damage
        };
        damage.map_or(Ok(()), |why| Err(in_part(why)))
    })
    .await?
}

fn default_path(id: &str, format: Format) -> PathBuf {
    let stem =
        Path::new(id).file_stem().map_or_else(|| id.to_owned(), |s| s.to_string_lossy().into());
    let suffix = match format {
        Format::Scry => "scry",
        Format::Cast | Format::Cast2 => "cast",
        Format::Text => "txt",
        Format::Jsonl | Format::Ocsf => "jsonl",
    };
    PathBuf::from(format!("{stem}.{suffix}"))
}

/// Answers why what was written is not all there was, if it is not.
fn write_export(source: Opened, format: Format, out: &mut dyn Write) -> Result<Option<Corrupt>> {
    let total = source.len();
    let bar = show::progress(total, "exporting");
    if format == Format::Scry {
        let mut at = 0;
        while at < total {
            let piece = source.read_at(at, 1 << 20)?;
            if piece.is_empty() {
                bail!("the recording is shorter than it said");
            }
            out.write_all(&piece)?;
            at += piece.len() as u64;
            bar.set_position(at);
        }
        bar.finish_and_clear();
        return Ok(None);
    }
    let recording = Recording::open(source)?;
    let heading = recording.heading();
    let mut exporter: Box<dyn Export> = match format {
        Format::Cast2 => Box::new(Asciicast::v2(heading)),
        Format::Cast => Box::new(Asciicast::v3(heading)),
        Format::Text => Box::new(Transcript::new(heading)),
        Format::Ocsf => Box::new(Ocsf::new(heading, env!("CARGO_PKG_VERSION"))),
        Format::Jsonl | Format::Scry => Box::new(JsonLines::new(heading)),
    };
    let damage =
        export::export(&recording, &mut *exporter, |piece| out.write_all(piece.as_bytes()))?;
    bar.finish_and_clear();
    match damage {
        // It can be read another time.
        Some(why @ Corrupt { what: Unreadable::Source(_), .. }) => Err(in_part(why)),
        Some(why) => Ok(Some(why)),
        None => {
            remark_open(&recording);
            Ok(None)
        }
    }
}

/// Why not all of a recording was read.
pub fn in_part(why: Corrupt) -> anyhow::Error {
    match why.what {
        // That says nothing about the recording.
        Unreadable::Source(_) => why.into(),
        _ => anyhow!("this is not all of the recording, which is damaged: {why}"),
    }
}

/// Remarks from where on a recording cannot be read, if it is so.
fn remark_damage<S: Source>(recording: &Recording<S>) {
    if let Some(why) = recording.damage() {
        let from = show::length(recording.length_ms());
        show::remark(format!("The recording is damaged: behind {from} nothing can be read: {why}"));
    }
}

/// Remarks that a recording has no end, if it is so.
pub fn remark_open<S: Source>(recording: &Recording<S>) {
    if recording.ending().is_none() && recording.damage().is_none() {
        show::remark(
            "The recording has no end: it goes on, or what came behind this was never received.",
        );
    }
}

/// A place in a recording as a person writes it, in milliseconds.
fn position(text: &str, length_ms: u64) -> Result<u64> {
    let wrong = || format!("{text:?} is no place; say 90, 1:30, 1:02:03 or 50%");
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.parse().with_context(wrong)?;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..=100 percent of a length far below 2^52 ms"
        )]
        return Ok((length_ms as f64 * percent.clamp(0.0, 100.0) / 100.0) as u64);
    }
    let mut ms: u64 = 0;
    for part in text.split(':') {
        let part: f64 = part.parse().with_context(wrong)?;
        if !(0.0..1e9).contains(&part) {
            bail!(wrong());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        let part_ms = (part * 1000.0) as u64;
        ms = ms.saturating_mul(60).saturating_add(part_ms);
    }
    Ok(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Time;

    fn facts(tally: Option<Tally>) -> RecordingFacts {
        RecordingFacts {
            id: SessionId::from_random([1; 16]),
            user: "alice".parse().unwrap(),
            login: "root".parse().unwrap(),
            node: "web-01".parse().unwrap(),
            kind: Kind::Shell,
            client: String::new(),
            started: Time(0),
            length_ms: 0,
            bytes: 0,
            phase: Phase::Stored,
            ending: None,
            gaps: 0,
            tally,
            verification: None,
            aftermaths: Vec::new(),
        }
    }

    /// Some fields of the only row, by their names.
    fn check(tally: Option<Tally>, who: &str, ran: &str, files: &str) {
        let text = listed(&[facts(tally)], None).to_string();
        let (header, row) = text.split_once('\n').unwrap();
        let field = |from: &str, to: &str| {
            let (from, to) = (header.find(from).unwrap(), header.find(to).unwrap());
            row.chars().skip(from).take(to - from).collect::<String>().trim().to_owned()
        };
        assert_eq!(field("WHO", "WHERE"), who, "{text}");
        assert_eq!(field("RAN", "FILES"), ran, "{text}");
        assert_eq!(field("FILES", "SIZE"), files, "{text}");
    }

    #[test]
    fn the_list_says_what_verification_found_unless_all_is_well() {
        let state = |verdict: Option<Verdict>| {
            let verification = verdict.map(|verdict| verdict.to_string());
            let ending = Some("exit 0".to_owned());
            state(&RecordingFacts { verification, ending, ..facts(None) }).content()
        };
        assert_eq!(state(None), "exit 0");
        assert_eq!(state(Some(Verdict::Complete)), "exit 0");
        assert_eq!(state(Some(Verdict::Broken)), "exit 0, broken");
        assert_eq!(state(Some(Verdict::NotProven)), "exit 0, not proven");
    }

    #[test]
    fn the_list_says_what_was_counted_and_what_was_not() {
        let people = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let tally = |commands, files, names| {
            let people = people(names);
            Tally { commands, files, people, ..Tally::default() }
        };
        check(None, "alice", "?", "?");
        check(Some(tally(None, None, &[])), "alice", "–", "–");
        check(Some(tally(Some(0), Some(37), &["guest:Zoe"])), "alice, guest:Zoe", "0", "37");
        let many = Tally { more_files: true, ..tally(Some(1), Some(10_000), &["bob", "carol"]) };
        check(Some(many), "alice and 2", "1", "10000+");
        let most = Tally { more_people: true, ..tally(None, None, &["bob", "carol"]) };
        check(Some(most), "alice and 2+", "–", "–");
    }

    #[test]
    fn words_of_nodes_and_of_auth_are_shown_in_their_line_and_control_nothing() {
        let row = RecordingFacts {
            kind: Kind::Subsystem { name: "sftp\u{1b}[2J".to_owned() },
            client: "192.0.2.1\u{9b}2J".to_owned(),
            ending: Some("exit 0\nverified   complete".to_owned()),
            verification: Some("broken\u{1b}[8m".to_owned()),
            ..facts(None)
        };
        let mut table = listed(std::slice::from_ref(&row), None);
        let table = table.set_width(300).to_string();
        assert!(table.contains("sftp·[2J"), "{table}");
        assert!(table.contains("exit 0·verified   complete"), "{table}");
        assert_eq!(table.lines().count(), 2, "{table}");
        let lines = facts_of(&row);
        for line in [
            "what       sftp·[2J",
            "from       192.0.2.1·2J",
            "ended      exit 0·verified   complete",
            "verified   broken·[8m",
        ] {
            assert!(lines.iter().any(|one| one == line), "{lines:?} lacks {line:?}");
        }
    }

    #[test]
    fn a_file_that_is_made_is_its_owners_and_none_that_is_there_is_written() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.scry");
        create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(create(&path).unwrap_err().to_string().starts_with("cannot make "));
    }

    #[test]
    fn counts_have_columns_only_where_they_fit() {
        for (width, there) in [(None, true), (Some(WIDE), true), (Some(WIDE - 1), false)] {
            let text = listed(&[facts(None)], width).to_string();
            assert_eq!(text.contains("RAN"), there, "{width:?}: {text}");
            assert!(text.contains("STATE"), "{width:?}: {text}");
        }
    }

    #[test]
    fn a_place_is_read_as_people_write_it() {
        for (text, ms) in [("90", 90_000), ("1:30", 90_000), ("1:02:03", 3_723_000), ("50%", 5_000)]
        {
            assert_eq!(position(text, 10_000).unwrap(), ms, "{text}");
        }
        for bad in ["", "x", "-5", "1:xx", "1e300"] {
            assert!(position(bad, 10_000).is_err(), "{bad}");
        }
    }
}
