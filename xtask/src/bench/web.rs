//! A terminal in a browser: from a key press to its echo beside `scry ssh` in the same run, and what a flood does to the page.

use super::echo::Keyboard;
use super::examples::{example, in_browser, number};
use super::figures::{Bar, Row, Samples};
use super::sides::{Side, Sides};
use super::{Bench, Context};
use anyhow::{Context as _, Result};
use std::time::Duration;

/// See the module.
pub const BENCH: Bench = Bench {
    name: "web",
    what: "a terminal in Chromium: key press to echo beside `scry ssh`, 200 MB of output",
    run: measure,
};

/// Between two presses, in both.
const PAUSE: Duration = Duration::from_millis(60);
/// Milliseconds that a page may take longer than `scry ssh`.
const LONGER: f64 = 5.0;

fn measure(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let (presses, mib) = (context.reduced(50, 300), context.reduced(20, 200));
    context.say("web: a terminal in a browser");
    let mut page = example("house", "web");
    page.args([presses, mib].map(|count| count.to_string()));
    let told = in_browser(page.arg(PAUSE.as_millis().to_string()))?;
    context.say("web: the same in scry ssh");
    let mut samples = Samples::default();
    let mut keyboard = Keyboard::open(sides, Side::ScrySsh)?;
    samples.add(keyboard.press(presses, PAUSE)?.iter().map(|us| us / 1e3).collect());
    let ssh = samples.quantile(0.5).context("nobody pressed a key")?;
    let beside = Some(("scry ssh", ssh));
    let row = |what: &str, unit, pointer: &str, theirs, bar| {
        anyhow::Ok(Row::exact("web", what, unit, number(&told, pointer)?, theirs, bar))
    };
    let echo = Some(Bar::AtMost(ssh + LONGER));
    Ok(vec![
        row("key press to parsed echo, median", "ms", "/echo_ms/0", beside, echo)?,
        row("key press to parsed echo, 99 of 100", "ms", "/echo_ms/1", None, None)?,
        row(
            "from parsed to painted, 99 of 100",
            "ms",
            "/paint_ms/1",
            None,
            Some(Bar::AtMost(17.0)),
        )?,
        row("a flood on the terminal", "MB/s", "/flood/mb_per_s", None, None)?,
        row(
            "between two frames in the flood, 99 of 100",
            "ms",
            "/flood/frame_ms/1",
            None,
            Some(Bar::AtMost(100.0)),
        )?,
        row("between two frames in the flood, at most", "ms", "/flood/frame_ms/2", None, None)?,
        row("a key in the flood to the end of it", "ms", "/flood/stop_ms", None, None)?,
        row("what the server grows by", "MiB", "/flood/grown_mib", None, Some(Bar::AtMost(64.0)))?,
    ])
}
