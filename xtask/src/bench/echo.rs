//! From a key press to its echo, on a terminal, through a program that reads and writes.

use super::figures::{Bar, Row, Samples, Value};
use super::sides::{Running, Side, Sides, Wish};
use super::{Bench, Context, beside};
use anyhow::Result;
use std::io::{Read as _, Write as _};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// See the module.
pub const BENCH: Bench =
    Bench { name: "echo", what: "from a key press to its echo on a terminal, through `cat`", run };

const SIDES: [Side; 6] = Side::ALL;
/// Presses that are not counted: connections and caches get warm.
const WARM: usize = 30;
/// Between two presses.
const PAUSE: Duration = Duration::from_millis(2);

fn run(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let presses = context.reduced(100, 500);
    let mut all = SIDES.map(|side| (side, Samples::default()));
    context.rounds("echo", context.reduced(3, 7), &mut all, |side| press(sides, side, presses))?;
    let median = beside("echo", "key press to echo, median", "µs", &all, Value::median, |side| {
        (side == Side::ScryPort).then_some(Bar::RatioAtMost(1.1))
    });
    let late = |samples: &Samples| Value::quantile(samples, 0.99);
    let p99 = beside("echo", "key press to echo, 99 of 100", "µs", &all, late, |_| None);
    Ok([median, p99].concat())
}

/// Microseconds of each press on a connection of its own, a person's pause between them.
fn press(sides: &Sides, side: Side, presses: usize) -> Result<Vec<f64>> {
    let mut keyboard = Keyboard::open(sides, side)?;
    let times = keyboard.press(WARM + presses, PAUSE)?;
    Ok(times.get(WARM..).unwrap_or_default().to_vec())
}

/// A session whose program gives back each key.
pub struct Keyboard {
    /// Ended with it.
    _client: Running,
    keys: ChildStdin,
    screen: ChildStdout,
}

impl Keyboard {
    /// Opens it, and waits until the program listens.
    pub fn open(sides: &Sides, side: Side) -> Result<Self> {
        let wish = Wish { terminal: true, ..Wish::default() };
        let mut command = sides.command(side, wish, "stty raw -echo; printf R; exec cat");
        let mut client = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let (keys, screen) = (client.stdin()?, client.stdout()?);
        let mut keyboard = Self { _client: client, keys, screen };
        while keyboard.read()? != b'R' {}
        Ok(keyboard)
    }

    /// Microseconds of each press, `pause` between them.
    pub fn press(&mut self, presses: usize, pause: Duration) -> Result<Vec<f64>> {
        let press = |_| {
            let began = Instant::now();
            self.keys.write_all(b"x")?;
            self.read()?;
            let took = began.elapsed();
            std::thread::sleep(pause);
            Ok(took.as_secs_f64() * 1e6)
        };
        (0..presses).map(press).collect()
    }

    fn read(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.screen.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}
