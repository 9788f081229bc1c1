//! `cargo xtask simulate`: the simulations with seeds that nobody has run, for as long as one likes.

use crate::lanes;
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Programs of tests, and the tests that are simulations.
const SIMULATIONS: [(&str, &str); 4] = [
    (
        "crates/session: session",
        "the_owner_gets_every_byte_in_order_and_the_program_waits_for_them",
    ),
    (
        "crates/session: session",
        "nothing_passes_without_right_and_quorum_and_every_change_is_told_once",
    ),
    (
        "crates/node: node",
        "whatever_a_viewer_sees_is_the_recording_at_one_moment_and_in_the_end_at_the_last",
    ),
    ("crates/record: custody", "what_got_a_number_is_at_auth_in_the_spool_or_in_a_counted_gap"),
];
/// Seeds of each that are run at once.
const SEEDS: u64 = 2_000;
/// Between two lines that say how far it is.
const TELL: Duration = Duration::from_secs(60);

/// Simulates for so many hours, on every processor, from a seed on that nobody has run. Ends at the first that fails.
pub fn run(root: &Path, args: &[String]) -> Result<()> {
    let hours: f64 = match args {
        [] => 24.0,
        [flag, hours] if flag == "--hours" => hours.parse().context("--hours takes a number")?,
        _ => bail!("`cargo xtask simulate` knows one flag, --hours N; a day if it is not given"),
    };
    let built = lanes::build(root)?;
    let programs = SIMULATIONS.map(|(program, test)| Some((built.path(program)?, test)));
    let programs: Option<Vec<_>> = programs.into_iter().collect();
    let programs = programs.context("a program with simulations was not built")?;
    let first = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() << 24;
    let (began, length) = (Instant::now(), Duration::try_from_secs_f64(hours * 3_600.0)?);
    println!("simulating for {hours} hours from seed {first} on");
    let (next, done, failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let work = || -> Result<()> {
        while began.elapsed() < length && !failed.load(Ordering::Relaxed) {
            let from = first + next.fetch_add(SEEDS, Ordering::Relaxed);
            for (path, test) in &programs {
                let mut program = Command::new(path);
                program.args([test, "--nocapture"]).stdin(Stdio::null());
                let Output { status, stdout, stderr } =
                    program.env("SCRY_TEST_SEEDS", format!("{from}+{SEEDS}")).output()?;
                let said = String::from_utf8_lossy(&stdout);
                // One that is no longer there would pass.
                if !status.success() || !said.contains("1 passed") {
                    failed.store(true, Ordering::Relaxed);
                    bail!("{test} failed:\n{said}{}", String::from_utf8_lossy(&stderr));
                }
                done.fetch_add(SEEDS, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(work)).collect();
        let mut told = began;
        while lanes.iter().any(|lane| !lane.is_finished()) {
            std::thread::sleep(Duration::from_millis(200));
            if told.elapsed() >= TELL {
                told = Instant::now();
                let minutes = began.elapsed().as_secs() / 60;
                println!("{} seeds in {minutes} min", done.load(Ordering::Relaxed));
            }
        }
        lanes
            .into_iter()
            .try_for_each(|lane| lane.join().unwrap_or_else(|_| bail!("a lane fell over")))
    })?;
    println!("{} seeds, none failed", done.load(Ordering::Relaxed));
    Ok(())
}
