//! What somebody waits for who opens a ten-hour recording of 220 MB in a browser: the first picture, any moment. Beside it the
//! stock asciinema-player with the same recording.

use super::examples::{example, in_browser, number};
use super::figures::{Bar, Row};
use super::sides::{Sides, run};
use super::{Bench, Context};
use anyhow::Result;

/// See the module.
pub const BENCH: Bench = Bench {
    name: "player",
    what: "a ten-hour recording in Chromium: opened, any second, bytes sent; beside asciinema-player",
    run: measure,
};

const PEER: &str = "asciinema-player";

fn measure(context: &Context, _: &Sides) -> Result<Vec<Row>> {
    let percent = context.reduced(5, 100).to_string();
    context.say(&format!("player: building and recording {percent} of 100 parts of ten hours"));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("day.rec");
    run(example("record", "ten_hours").arg(&percent).arg(&file))?;
    let told = in_browser(example("house", "player").arg(&file))?;
    let number = |pointer: &str| number(&told, pointer);
    let row = |what: &str, pointer: &str, theirs: &str, most: Option<f64>| {
        let theirs = number(theirs).ok().map(|value| (PEER, value));
        let bar = most.map(Bar::AtMost);
        anyhow::Ok(Row::exact("player", what, "ms", number(pointer)?, theirs, bar))
    };
    let sent = |pointer: &str| anyhow::Ok(number(pointer)? / number("/payload")?);
    let share = Row::exact(
        "player",
        "bytes sent for 50 jumps, per byte of output",
        "",
        sent("/ours/sent")?,
        sent("/asciinema/sent").ok().map(|value| (PEER, value)),
        Some(Bar::AtMost(0.05)),
    );
    Ok(vec![
        row(
            "from the list to its first picture",
            "/ours/opened_ms/0",
            "/asciinema/ready_ms",
            Some(300.0),
        )?,
        row(
            "from an empty page to its first picture",
            "/ours/cold_ms/0",
            "/asciinema/ready_ms",
            None,
        )?,
        Row::exact(
            "player",
            "the list of recordings, first paint, nothing in the browser's store",
            "ms",
            number("/ours/paint_ms/0")?,
            None,
            Some(Bar::AtMost(500.0)),
        ),
        row("a random second, median", "/ours/seek_ms/0", "/asciinema/seek_ms/0", Some(60.0))?,
        row(
            "a random second, 95th percentile",
            "/ours/seek_ms/1",
            "/asciinema/seek_ms/1",
            Some(200.0),
        )?,
        share,
    ])
}
