//! `scry search`: moments of all recordings at which a text came up, and how to go there.

use super::profile::Profile;
use super::reach;
use super::recordings::what;
use crate::cli::{Search, SearchIn, Which};
use crate::show;
use anyhow::{Result, bail};
use comfy_table::Color;
use indicatif::{ProgressBar, ProgressStyle};
use model::{SessionId, Time};
use record::note::clean;
use serde_json::json;
use std::io::IsTerminal as _;
use wire::recording::RecordingFacts;
use wire::search::{Moment, Progress, SearchedLine, Unread, What};

/// How far back is searched if nothing is said of the time, in days.
const DAYS: i64 = 30;
/// Milliseconds before a moment at which one begins to watch.
const BEFORE_MS: u64 = 5_000;
/// Columns of a moment's text, around its match.
const TEXT_COLUMNS: usize = 100;

/// Runs it.
pub async fn run(args: &Search) -> Result<()> {
    let profile = Profile::signed_in(&args.show.place)?;
    let wish = Wish::of(args, show::now())?;
    if wish.by_default && !args.show.json {
        show::remark(format!(
            "Searching recordings of the last {DAYS} days; --since 90d or --all for older ones."
        ));
    }
    let client = reach::auth(&profile).await?;
    let mut told = Told::new(args, &profile, &wish);
    let mut after = None;
    loop {
        let mut lines = client.lines::<SearchedLine>(&wish.path(after.as_deref())).await?;
        let end = loop {
            match lines.next().await? {
                Some(SearchedLine::End(end)) => break end,
                Some(line) => told.take(line),
                None => {
                    told.bar.finish_and_clear();
                    bail!(
                        "the search was cut off: auth is stopping, or you may search there no more"
                    );
                }
            }
        };
        told.looked += end.reached.looked;
        after = end.after.filter(|_| end.more);
        if after.is_none() || told.moments >= args.limit {
            break;
        }
    }
    told.finish(after.is_some())
}

/// What is asked for.
struct Wish {
    query: String,
    since: Option<Time>,
    /// Nothing was said of the time.
    by_default: bool,
    /// What the page is told, so that its own search finds the same.
    find: String,
}

impl Wish {
    fn of(args: &Search, now: Time) -> Result<Self> {
        if args.text.is_empty() {
            bail!("search for what? Give an error text, a command, the path of a file, an address");
        }
        let Which { user, node, login, since, until } = &args.which;
        let since = show::maybe_moment(since.as_deref(), now)?;
        let until = show::maybe_moment(until.as_deref(), now)?;
        let by_default = since.is_none() && until.is_none() && !args.all;
        let since = if by_default { Some(now.plus_ms(-DAYS * 24 * 3_600_000)) } else { since };
        let mut find = format!("find={}", encoded(&args.text));
        let mut query = format!("for={}", encoded(&args.text));
        for (on, name) in [(args.case, "case"), (args.regex, "regex")] {
            if on {
                query.push_str(&format!("&{name}=1"));
                find.push_str(&format!("&{name}=1"));
            }
        }
        let what: Vec<_> = args.what.iter().map(|what| word(*what)).collect();
        for (name, value) in [
            ("what", (!what.is_empty()).then(|| what.join(","))),
            ("user", user.as_ref().map(|user| encoded(user.as_str()))),
            ("node", node.as_ref().map(|node| encoded(node.as_str()))),
            ("login", login.as_ref().map(|login| encoded(login.as_str()))),
            ("since", since.map(|time| time.0.max(0).to_string())),
            ("until", until.map(|time| time.0.max(0).to_string())),
        ] {
            query.extend(value.map(|value| format!("&{name}={value}")));
        }
        Ok(Self { query, since, by_default, find })
    }

    fn path(&self, after: Option<&str>) -> String {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        format!("/v1/search?{}{after}", self.query)
    }
}

fn word(what: SearchIn) -> &'static str {
    match what {
        SearchIn::Screen => What::Screen.word(),
        SearchIn::Commands => What::Commands.word(),
        SearchIn::Files => What::Files.word(),
        SearchIn::Connections => What::Connections.word(),
    }
}

/// Percent-encoded (RFC 3986 §2.1), all but what never needs it.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// What was told, and is shown as it comes.
struct Told<'a> {
    args: &'a Search,
    wish: &'a Wish,
    address: &'a str,
    bar: ProgressBar,
    recording: Option<RecordingFacts>,
    moments: u64,
    recordings: u64,
    looked: u64,
    unread: Vec<Unread>,
    /// Recordings of which not all moments were told.
    more_in: Vec<SessionId>,
    json: Vec<serde_json::Value>,
}

impl<'a> Told<'a> {
    fn new(args: &'a Search, profile: &'a Profile, wish: &'a Wish) -> Self {
        let seen = std::io::stderr().is_terminal() && !args.show.json;
        let bar = if seen { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{wide_bar:.cyan/dim} {pos} of {len} {msg}")
        {
            bar.set_style(style);
        }
        Self {
            args,
            wish,
            address: &profile.address,
            bar,
            recording: None,
            moments: 0,
            recordings: 0,
            looked: 0,
            unread: Vec::new(),
            more_in: Vec::new(),
            json: Vec::new(),
        }
    }

    fn take(&mut self, line: SearchedLine) {
        match line {
            SearchedLine::Recording(facts) => {
                if self.recording.as_ref().is_none_or(|known| known.id != facts.id) {
                    self.recordings += 1;
                    self.say(&heading(&facts));
                }
                self.recording = Some(*facts);
            }
            SearchedLine::Hit(hit) => self.hit(&hit),
            SearchedLine::More(more) => {
                let id = more.id.short();
                self.say(&format!(
                    "    there is more in it: scry play {id}, and / to find on; what ran: scry recordings events {id}"
                ));
                self.more_in.push(more.id);
            }
            SearchedLine::Unread(unread) => self.unread.push(unread),
            SearchedLine::Reached(Progress { looked, of, started }) => {
                self.bar.set_length(self.looked + of);
                self.bar.set_position(self.looked + looked);
                let began = started.map(show::moment).unwrap_or_default();
                self.bar.set_message(format!("recordings, {began}"));
            }
            SearchedLine::End(_) => {}
        }
    }

    fn hit(&mut self, hit: &Moment) {
        self.moments += 1;
        let at = hit.at.saturating_sub(BEFORE_MS);
        let play = format!("scry play {} --at {}", hit.id.short(), show::length(at));
        let (address, find) = (self.address, &self.wish.find);
        let side = if hit.what == What::Screen { "" } else { "&side=events" };
        let link = format!("https://{address}/recordings/{}?t={}&{find}{side}", hit.id, at / 1000);
        if self.args.show.json {
            self.json.push(json!({
                "recording": self.recording, "moment": hit, "play": play, "link": link,
            }));
            return;
        }
        let time = show::length(hit.at);
        let kind = if hit.did.is_empty() { hit.what.word() } else { hit.did.as_str() };
        let kind = clean(kind, 24);
        let failed = if hit.failed { " (failed)" } else { "" };
        self.say(&format!("    {time:>7}  {kind}{failed}: {}", marked(hit)));
        self.say(&dim(&format!("             {play}    {link}")));
    }

    /// Shows a line that has colours; foreign words in it are clean.
    fn say(&self, line: &str) {
        if !self.args.show.json {
            self.bar.suspend(|| show::styled(line));
        }
    }

    fn finish(self, more: bool) -> Result<()> {
        self.bar.finish_and_clear();
        let Self { moments, recordings, looked, unread, more_in, json, wish, .. } = self;
        if self.args.show.json {
            let since = wish.since;
            return Ok(show::json(&json!({
                "moments": json, "unread": unread, "more": more, "more_in": more_in, "since": since, "looked": looked,
            }))?);
        }
        for one in &unread {
            let began = show::moment(one.started);
            show::remark(format!(
                "Not read{}: {} of {}, {}, {began}: {}",
                if one.at > 0 {
                    format!(" from {} on", show::length(one.at))
                } else {
                    String::new()
                },
                one.id.short(),
                one.user,
                one.node,
                clean(&one.why, 200),
            ));
        }
        if moments == 0 {
            show::remark(format!("Nothing was found in {}.", many(looked, "recording")));
        } else {
            let (moments, recordings) = (many(moments, "moment"), many(recordings, "recording"));
            show::remark(format!("{moments} in {recordings}; {} searched.", looked));
        }
        if more {
            show::remark(
                "There is more: a higher --limit tells it, --until TIME goes on further back.",
            );
        }
        Ok(())
    }
}

fn heading(facts: &RecordingFacts) -> String {
    let RecordingFacts { id, user, login, node, kind, started, length_ms, .. } = facts;
    let id = show::coloured(id.short(), Color::Cyan);
    let (began, length, what) = (show::moment(*started), show::length(*length_ms), what(kind));
    format!("{id}  {user}  {login}@{node}  {began}  {length}  {what}")
}

/// The text of a moment around its match, which stands out on a terminal.
fn marked(hit: &Moment) -> String {
    let all: Vec<char> = clean(&hit.text, usize::MAX).chars().collect();
    let (from, to) = (hit.from as usize, (hit.to as usize).min(all.len()));
    let begin = if all.len() <= TEXT_COLUMNS { 0 } else { from.saturating_sub(TEXT_COLUMNS / 4) };
    let end = all.len().min(begin + TEXT_COLUMNS).max(to.min(begin + TEXT_COLUMNS));
    let part = |from: usize, to: usize| -> String { all.iter().take(to).skip(from).collect() };
    let before = if begin > 0 { "…" } else { "" };
    let behind = if end < all.len() { "…" } else { "" };
    let (from, to) = (from.clamp(begin, end), to.clamp(begin, end));
    let found = show::coloured(part(from, to), Color::Yellow);
    format!("{before}{}{found}{}{behind}", part(begin, from), part(to, end))
}

fn dim(text: &str) -> String {
    show::coloured(text, Color::DarkGrey)
}

fn many(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;
    use model::{Seq, SessionId};

    const NOW: Time = Time(1_790_000_000_000);

    fn asked(words: &[&str]) -> Result<String> {
        let words = ["scry", "search"].iter().chain(words);
        let Command::Search(args) = Cli::try_parse_from(words)?.command else { panic!() };
        Ok(Wish::of(&args, NOW)?.path(None))
    }

    #[test]
    fn what_is_asked_for_is_the_last_thirty_days_unless_something_is_said_of_the_time() {
        let month = NOW.0 - 30 * 24 * 3_600_000;
        for (words, expected) in [
            (&["no such"][..], format!("/v1/search?for=no%20such&since={month}")),
            (&["--all", "a&b=ü"], "/v1/search?for=a%26b%3D%C3%BC".into()),
            (&["x", "--since", "2h"], format!("/v1/search?for=x&since={}", NOW.0 - 7_200_000)),
            (&["x", "--until", "2h"], format!("/v1/search?for=x&until={}", NOW.0 - 7_200_000)),
            (
                &["x", "--all", "--case", "--regex", "--what", "files,commands", "-u", "bob"],
                "/v1/search?for=x&case=1&regex=1&what=files,commands&user=bob".into(),
            ),
            (&["--all", "-f"], "/v1/search?for=-f".into()),
        ] {
            assert_eq!(asked(words).unwrap(), expected);
        }
        for wrong in [
            &["x", "--since", "then"][..],
            &[""],
            &["x", "--what", "all"],
            &[],
            &["x", "--limit", "0"],
        ] {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_text_of_a_moment_is_cut_around_its_match_and_controls_nothing() {
        let check = |text: &str, from: u32, to: u32, expected: &str| {
            let hit = Moment {
                id: SessionId::from_random([1; 16]),
                at: 0,
                seq: Seq(1),
                what: What::Screen,
                did: String::new(),
                failed: false,
                text: text.to_owned(),
                from,
                to,
            };
            assert_eq!(marked(&hit), expected);
        };
        check("a needle here", 2, 8, "a needle here");
        check("\u{1b}[2J needle", 5, 11, "·[2J needle");
        let long = format!("{}needle{}", "x".repeat(200), "y".repeat(200));
        check(&long, 200, 206, &format!("…{}needle{}…", "x".repeat(25), "y".repeat(69)));
        check("short", 90, 99, "short");
    }
}
