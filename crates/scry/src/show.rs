//! What people read: tables, times, sizes, progress; and JSON for scripts.

use comfy_table::presets;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use model::Time;
use model::words::is_odd;
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};

/// Prints a line to standard output, whoever its words are from: nothing in it does something to the terminal.
pub fn line(text: impl std::fmt::Display) {
    styled(harmless(&text.to_string()));
}

/// Prints a line to standard output as it is. For what has colours of our own: foreign words in it are [`clean`] already.
/// A closed pipe is no error: the reader has seen enough.
pub fn styled(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    // Nothing sensible can be done about a reader that has gone.
    let _ = writeln!(out, "{text}");
}

/// Prints a remark for the person, to standard error, as harmless as [`line`].
pub fn remark(text: impl std::fmt::Display) {
    styled_remark(harmless(&text.to_string()));
}

/// Remarks that a list is as long as it may be, if it is.
pub fn remark_full(rows: usize, limit: u32) {
    if u32::try_from(rows).is_ok_and(|rows| rows >= limit) {
        remark(format!("The newest {limit} are listed; --limit shows more, if there are more."));
    }
}

/// As [`styled`], to standard error.
pub fn styled_remark(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Text of several lines, fit for a terminal: as [`clean`], but ends of lines and tabs stay.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if is_odd(c) && !matches!(c, '\n' | '\t') { '·' } else { c }).collect()
}

/// Prints pretty JSON.
pub fn json(value: &impl Serialize) -> Result<(), serde_json::Error> {
    styled(escaped(&serde_json::to_string_pretty(value)?));
    Ok(())
}

/// JSON in one line.
pub fn compact(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(escaped(&serde_json::to_string(value)?))
}

/// JSON may hold the second set of control characters, and what turns a line, as they are; terminals obey them.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        // All of them have at most four digits. Outside of texts JSON has none but the ends of lines.
        match is_odd(c) && c != '\n' {
            true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => text.push(c),
        }
    }
    text
}

/// A table with a header line and nothing that is not needed.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|name| Cell::new(name).fg(Color::DarkGrey)));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// A cell, coloured only where a person looks at it; its text is one line, and [`clean`].
pub fn cell(text: impl ToString, colour: Option<Color>) -> Cell {
    let cell = Cell::new(clean(&text.to_string(), usize::MAX));
    match colour {
        Some(colour) if std::io::stdout().is_terminal() => cell.fg(colour),
        _ => cell,
    }
}

/// Columns of the terminal that standard output is; none if it is none, and whoever reads takes lines of any length.
pub fn width() -> Option<u16> {
    let terminal = std::io::stdout().is_terminal();
    terminal.then(|| crossterm::terminal::size().map_or(80, |(columns, _)| columns))
}

/// Text, coloured only where a person looks at it.
pub fn coloured(text: impl std::fmt::Display, colour: Color) -> String {
    let number = match colour {
        Color::Cyan => 36,
        Color::Yellow => 33,
        _ => 90,
    };
    match std::io::stdout().is_terminal() {
        true => format!("\x1b[{number}m{text}\x1b[0m"),
        false => text.to_string(),
    }
}

/// A moment in this machine's time zone, as `2026-11-23 14:05:09`.
pub fn moment(time: Time) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(
        |_| "?".to_owned(),
        |stamp| stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%F %T").to_string(),
    )
}

/// A length of time, as `0:07`, `12:30`, `1:02:03`.
pub fn length(ms: u64) -> String {
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

/// A size, as `812 B`, `1.4 MiB`.
pub fn bytes(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units.get(unit).unwrap_or(&"TiB"))
}

/// A progress bar over bytes on standard error, shown only to people and only when it takes a while.
pub fn progress(total: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() || total < 4 * 1024 * 1024 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total).with_message(what);
    if let Ok(style) = ProgressStyle::with_template(
        "{msg:12} {wide_bar:.cyan/dim} {bytes:>10} of {total_bytes} {eta:>4}",
    ) {
        bar.set_style(style);
    }
    bar
}

/// Text from elsewhere, fit for a terminal: nothing that does something to what stands around it, at most `most` columns wide.
pub fn clean(text: &str, most: usize) -> String {
    let mut out: String =
        text.chars().take(most).map(|c| if is_odd(c) { '·' } else { c }).collect();
    if text.chars().count() > most {
        out.pop();
        out.push('…');
    }
    out
}

/// A moment as a person writes it: a span back from `now` (2h, 7d), a day, or a day and time in this zone.
pub fn parse_moment(text: &str, now: Time) -> Result<Time, String> {
    if let Ok(back) = crate::cli::span(text) {
        return Ok(now.plus_ms(-i64::try_from(back).unwrap_or(i64::MAX)));
    }
    let zone = jiff::tz::TimeZone::system();
    let stamp = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| {
            text.parse::<jiff::civil::DateTime>()?.to_zoned(zone.clone()).map(|z| z.timestamp())
        })
        .or_else(|_| text.parse::<jiff::civil::Date>()?.to_zoned(zone).map(|z| z.timestamp()));
    stamp
        .map(|stamp| Time(stamp.as_millisecond()))
        .map_err(|_| format!("{text:?} is no time; say 2h, 7d, 2026-11-23 or 2026-11-23T14:00"))
}

/// As [`parse_moment`], if one was said.
pub fn maybe_moment(text: Option<&str>, now: Time) -> anyhow::Result<Option<Time>> {
    text.map(|text| parse_moment(text, now)).transpose().map_err(anyhow::Error::msg)
}

/// The wall clock.
pub fn now() -> Time {
    Time(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_lengths_are_short() {
        for (n, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB")] {
            assert_eq!(bytes(n), text);
        }
        for (ms, text) in [(0, "0:00"), (61_000, "1:01"), (3_723_000, "1:02:03")] {
            assert_eq!(length(ms), text);
        }
    }

    /// Words of somebody who takes hold of a terminal, and what is left of them.
    const HOSTILE: &str = "a\u{1b}[2J\u{9b}1m\u{7f}\u{202e}\r\n\tb";

    #[test]
    fn a_line_holds_nothing_that_a_terminal_obeys() {
        assert_eq!(harmless(HOSTILE), "a·[2J·1m···\n\tb");
        let mut rows = table(&["ONE"]);
        rows.add_row([cell(HOSTILE, None)]);
        let shown = rows.to_string();
        assert!(shown.contains("a·[2J·1m·····b"), "{shown}");
    }

    #[test]
    fn json_holds_nothing_that_a_terminal_obeys_and_means_the_same() {
        let value = serde_json::json!({ "text": HOSTILE });
        let text = compact(&value).unwrap();
        assert!(!text.chars().any(is_odd), "{text}");
        assert!(text.contains("\\u009b1m\\u007f\\u202e"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        let pretty = escaped(&serde_json::to_string_pretty(&value).unwrap());
        assert!(pretty.contains("\n  \"text\": ") && !pretty.contains('\u{9b}'), "{pretty}");
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now = Time(1_000_000_000_000);
        assert_eq!(parse_moment("1h", now), Ok(Time(999_996_400_000)));
        assert!(parse_moment("2026-11-23", now).is_ok());
        assert!(parse_moment("2026-11-23T14:00", now).is_ok());
        assert!(parse_moment("2026-11-23T14:00:00Z", now).is_ok());
        assert!(parse_moment("yesterday-ish", now).is_err());
    }
}
