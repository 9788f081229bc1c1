//! Others in a session: what they cost its owner, and how soon they see what is on the screen.

use super::echo::Keyboard;
use super::figures::{Bar, Row, Samples, Value as Figure};
use super::memory::pss;
use super::sides::{Running, Side, Sides, Wish, run as output_of};
use super::{Bench, Context, log_file};
use anyhow::{Context as _, Result, bail};
use screen::Screen as Picture;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// See the module.
pub const BENCH: Bench = Bench {
    name: "sharing",
    what: "a session's owner beside others who look on, one of them stopped; first sight of who comes late",
    run,
};

const SIDE: Side = Side::ScryPort;
const OBSERVERS: usize = 20;
/// Between two keys of a person who types fast.
const PAUSE: Duration = Duration::from_millis(50);
/// Keys that are not counted.
const WARM: usize = 5;
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The last thing on a screen. Nothing else shows this letter, so a painter that leaves out what stands there already
/// leaves nothing of it out.
const MARK: &str = "@@@@@@@@@@";
/// Columns and rows of the owner's terminal: those of a client that has none of its own.
const SIZE: (u16, u16) = (80, 24);
/// When nothing more comes for so long, a screen is as it stays.
const STILL: Duration = Duration::from_millis(500);

fn run(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let rows = [echo(context, sides)?, flood(context, sides)?, late(context, sides)?];
    Ok(rows.concat())
}

/// The owner's echo, alone and with others.
fn echo(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let (mut alone, mut together) = (Samples::default(), Samples::default());
    let keys = context.reduced(20, 60);
    for round in 0..context.reduced(2, 5) {
        context.say(&format!("sharing: echo, round {}", round + 1));
        listed(sides, 0)?;
        let mut keyboard = Keyboard::open(sides, SIDE)?;
        let id = session(sides)?;
        let mut press =
            || -> Result<Vec<f64>> { Ok(keyboard.press(WARM + keys, PAUSE)?.split_off(WARM)) };
        alone.add(press()?);
        let observers =
            (0..OBSERVERS).map(|_| Client::look_on(sides, &id)).collect::<Result<Vec<_>>>()?;
        for observer in &observers {
            observer.sees("R")?;
        }
        together.add(press()?);
    }
    let what = format!("key press to echo with {OBSERVERS} who look on, 20 keys a second");
    Ok(vec![row(&what, "µs", "alone", (&together, &alone), Some(Bar::RatioAtMost(1.2)))?])
}

/// The owner's throughput, alone and with somebody who takes nothing.
fn flood(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let (times, mib) = (context.reduced(2, 8), 128);
    let log = log_file(sides.folder(), mib)?;
    let (mut alone, mut together) = (Samples::default(), Samples::default());
    let (mut grown, mut again) = (Samples::default(), Samples::default());
    for round in 0..context.reduced(1, 3) {
        context.say(&format!(
            "sharing: {} MiB beside one who is stopped, round {}",
            times * mib,
            round + 1
        ));
        alone.add(vec![Client::flood(sides, &log, times)?.pour()?]);
        let flood = Client::flood(sides, &log, times)?;
        let viewer = Client::look_on(sides, &session(sides)?)?;
        viewer.sees("R")?;
        viewer.process.signal("STOP")?;
        let before = pss(sides, SIDE)?;
        together.add(vec![flood.pour()?]);
        grown.add(vec![(pss(sides, SIDE)? - before).max(0.0) / 1024.0]);
        let began = Instant::now();
        viewer.process.signal("CONT")?;
        viewer.sees(MARK)?;
        again.add(vec![began.elapsed().as_secs_f64() * 1e3]);
    }
    let size = times * mib;
    let told = |what: &str| format!("{size} MiB on a terminal beside one who is stopped{what}");
    let least = Some(Bar::RatioAtLeast(0.95));
    Ok(vec![
        row(&told(""), "MB/s", "alone", (&together, &alone), least)?,
        bound(&told(", the server's memory grows by"), "MiB", &grown, Bar::AtMost(32.0))?,
        bound(&told(", current again after"), "ms", &again, Bar::AtMost(200.0))?,
    ])
}

/// First sight of vim's screen, in a session that has just begun and in one with a long past.
fn late(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let (times, mib) = (context.reduced(1, 2), 128);
    let log = log_file(sides.folder(), mib)?;
    let text = sides.folder().join("text");
    std::fs::write(&text, (1..=12).map(|line| format!("line {line}\n")).collect::<String>())?;
    let mut sights = [Samples::default(), Samples::default()];
    for (past, sights) in [0, times].into_iter().zip(&mut sights) {
        context.say(&format!("sharing: who comes late, after {} MiB", past * mib));
        let edit = format!("exec vim -u NONE -c 'echo \"{MARK}\"' {}", text.display());
        let owner = Client::own(sides, &pour(&log, past, &edit))?;
        owner.key()?;
        let whole = owner.screen.draw(MARK)?;
        let id = session(sides)?;
        for _ in 0..context.reduced(5, 20) {
            let viewer = Client::come_late(sides, &id)?;
            let began = Instant::now();
            let seen = viewer.screen.shows(&whole)?;
            sights.add(vec![seen.duration_since(began).as_secs_f64() * 1e3]);
        }
    }
    let [early, late] = sights;
    let what = format!("who comes late, from ssh's start to all of vim, after {} MiB", times * mib);
    let bar = Some(Bar::AtMost(100.0));
    Ok(vec![row(&what, "ms", "after nothing", (&late, &early), bar)?])
}

fn row(
    what: &str,
    unit: &'static str,
    peer: &str,
    (ours, theirs): (&Samples, &Samples),
    bar: Option<Bar>,
) -> Result<Row> {
    Ok(Row {
        bench: BENCH.name,
        what: what.to_owned(),
        unit,
        peer: peer.to_owned(),
        side: SIDE.name().to_owned(),
        ours: Figure::median(ours).context("nothing was measured")?,
        theirs: Figure::median(theirs),
        bar,
    })
}

fn bound(what: &str, unit: &'static str, ours: &Samples, bar: Bar) -> Result<Row> {
    row(what, unit, "", (ours, &Samples::default()), Some(bar))
}

/// The one session that runs.
pub fn session(sides: &Sides) -> Result<String> {
    let listed = listed(sides, 1)?;
    let id = listed.first().and_then(|one| one["id"].as_str());
    id.map(str::to_owned).context("a session without an id")
}

/// Waits until the list of running sessions has this length.
fn listed(sides: &Sides, count: usize) -> Result<Vec<Value>> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let listed = output_of(&mut sides.scry(&["sessions", "--json"]))?;
        let listed: Vec<Value> = serde_json::from_str(&listed)?;
        if listed.len() == count {
            return Ok(listed);
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("never {count} sessions at a time")
}

/// What a program prints, read by a thread that looks for a text.
struct Screen(Receiver<Vec<u8>>);

impl Screen {
    fn read(mut out: ChildStdout) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut room = vec![0; 256 * 1024];
            while let Ok(count @ 1..) = out.read(&mut room) {
                if sender.send(room[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self(receiver)
    }

    /// Waits until `text` has been printed, and answers how many bytes came.
    fn wait_for(&self, text: &str) -> Result<usize> {
        let (mut tail, mut bytes) = (Vec::new(), 0);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let got = self.0.recv_timeout(left).with_context(|| format!("never saw {text:?}"))?;
            bytes += got.len();
            tail.extend(got);
            if tail.windows(text.len()).any(|window| window == text.as_bytes()) {
                return Ok(bytes);
            }
            tail.drain(..tail.len().saturating_sub(text.len()));
        }
    }

    /// Waits until a text is on the screen and nothing more comes, and answers all of it.
    fn draw(&self, text: &str) -> Result<Picture> {
        let mut picture = Picture::new(SIZE.0, SIZE.1);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(got) = self.0.recv_timeout(STILL) {
                picture.feed(&got);
            } else if picture.text().iter().any(|row| row.contains(text)) {
                return Ok(picture);
            } else if Instant::now() > deadline {
                bail!("never saw {text:?}: {:#?}", picture.text());
            }
        }
    }

    /// Waits until a screen with a row more shows all of this one, cell by cell, and answers when the last of it came.
    fn shows(&self, whole: &Picture) -> Result<Instant> {
        let (cols, rows) = SIZE;
        let mut picture = Picture::new(cols, rows + 1);
        let differ = |picture: &Picture| {
            let places = (0..rows).flat_map(|row| (0..cols).map(move |col| (col, row)));
            places.filter(|at| picture.cell(at.0, at.1) != whole.cell(at.0, at.1)).count()
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let got = self.0.recv_timeout(left).with_context(|| {
                format!("{} cells were never the owner's:\n{:#?}", differ(&picture), picture.text())
            })?;
            // What follows is no part of the time.
            let at = Instant::now();
            picture.feed(&got);
            if differ(&picture) == 0 {
                return Ok(at);
            }
        }
    }
}

/// A client of ssh, whose screen is read.
struct Client {
    process: Running,
    keys: ChildStdin,
    screen: Screen,
}

impl Client {
    fn start(mut command: Command) -> Result<Self> {
        let mut process = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let (screen, keys) = (Screen::read(process.stdout()?), process.stdin()?);
        Ok(Self { process, keys, screen })
    }

    /// Somebody comes who looks on.
    fn look_on(sides: &Sides, id: &str) -> Result<Self> {
        let login = format!("+{id}");
        let wish = Wish { terminal: true, login: Some(&login), ..Wish::default() };
        Self::start(sides.command(SIDE, wish, "observer"))
    }

    /// Somebody comes who looks on, on a terminal with a row more than the owner's: what is said to who has just come stands on
    /// that one. Answers as ssh starts.
    fn come_late(sides: &Sides, id: &str) -> Result<Self> {
        let login = format!("+{id}");
        let wish = Wish { terminal: true, login: Some(&login), ..Wish::default() };
        let ssh = sides.command(SIDE, wish, "observer");
        let words: Vec<_> =
            [ssh.get_program()].into_iter().chain(ssh.get_args()).map(quoted).collect();
        let (cols, rows) = (SIZE.0, SIZE.1 + 1);
        let line = format!("stty cols {cols} rows {rows}; printf R; exec {}", words.join(" "));
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        for (name, value) in ssh.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        let viewer = Self::start(script)?;
        viewer.sees("R")?;
        Ok(viewer)
    }

    /// The owner of the only session, whose program waits for a key before it goes on.
    fn own(sides: &Sides, remote: &str) -> Result<Self> {
        listed(sides, 0)?;
        let wish = Wish { terminal: true, ..Wish::default() };
        let owner = Self::start(sides.command(SIDE, wish, remote))?;
        owner.sees("R")?;
        Ok(owner)
    }

    /// The owner of a flood that has not begun.
    fn flood(sides: &Sides, log: &Path, times: usize) -> Result<Self> {
        Self::own(sides, &pour(log, times, &format!("echo; echo {MARK}; exec cat")))
    }

    fn key(&self) -> Result<()> {
        Ok((&self.keys).write_all(b"\n")?)
    }

    /// Waits until it has shown a text, and answers how many bytes came.
    fn sees(&self, text: &str) -> Result<usize> {
        self.screen.wait_for(text)
    }

    /// Has the program go on, and answers the megabytes a second that came up to the mark.
    #[expect(clippy::cast_precision_loss, reason = "bytes of one flood")]
    fn pour(&self) -> Result<f64> {
        let began = Instant::now();
        self.key()?;
        let bytes = self.sees(MARK)?;
        Ok(bytes as f64 / 1e6 / began.elapsed().as_secs_f64())
    }
}

/// A word as a shell reads it.
fn quoted(word: &OsStr) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"))
}

/// A program that waits for a key, shows a log so many times, and goes on as `then` says.
fn pour(log: &Path, times: usize, then: &str) -> String {
    let log = log.display();
    format!(
        "printf R; read -r go; i=0; while [ $i -lt {times} ]; do cat {log}; i=$((i+1)); done; {then}"
    )
}
