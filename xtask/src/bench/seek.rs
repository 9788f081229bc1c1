//! A ten-hour recording of 220 MB: its size, and how long any second of it takes to be on the screen.

use super::examples::{example, number};
use super::figures::{Bar, Row};
use super::sides::{Sides, run};
use super::{Bench, Context};
use anyhow::Result;

/// See the module.
pub const BENCH: Bench = Bench {
    name: "seek",
    what: "a ten-hour recording: its size, any second on the screen, the index made anew",
    run: measure,
};

/// A player that has nothing but the beginning.
const REPLAY: &str = "replay from the start";

fn measure(context: &Context, _: &Sides) -> Result<Vec<Row>> {
    let percent = context.reduced(5, 100);
    context.say(&format!("seek: building and recording {percent} of 100 parts of ten hours"));
    let told = run(example("record", "ten_hours").arg(percent.to_string()))?;
    let told: serde_json::Value = serde_json::from_str(&told)?;
    let number = |pointer: &str| number(&told, pointer);
    let row = |what: &str, unit, ours: f64, theirs: Option<(&str, f64)>, bar| {
        Row::exact("seek", what, unit, ours, theirs, bar)
    };
    let start = number("/seek_ms/from_the_start")?;
    let seek = |what: &str, name: &str| {
        let median = number(&format!("/seek_ms/{name}/0"))?;
        anyhow::Ok(row(what, "ms", median, Some((REPLAY, start)), Some(Bar::AtMost(50.0))))
    };
    let gzip = ("asciicast v2, gzip", number("/asciicast_gzip_ratio")?);
    Ok(vec![
        row(
            "bytes of file per byte of output",
            "",
            number("/ratio")?,
            Some(gzip),
            Some(Bar::AtMost(0.26)),
        ),
        seek("a random second, going forwards", "forwards")?,
        seek("a random second, going backwards", "backwards")?,
        seek("the same without the trailer, forwards", "without_trailer_forwards")?,
        seek("the same without the trailer, backwards", "without_trailer_backwards")?,
        row("the index made anew by a scan, once", "ms", number("/scan_ms")?, None, None),
        row(
            "the twelve streams, real time, beside asciicast v2, gzip",
            "×",
            number("/streams_ratio")?,
            None,
            Some(Bar::AtMost(1.05)),
        ),
    ])
}
