//! How fast recordings are written, checked and read. Measures only when asked.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a measurement needs a clock"
)]

mod kit;

use kit::streams::{Day, TEN_HOURS, make};
use kit::{heading, join, node_key, output, seal_key, write};
use model::Seq;
use model::entry::Ending;
use record::find::Pattern;
use record::sweep::{Sweep, Wanted};
use record::{From, Recording, Verdict, verify};

/// `cargo test -p record --test speed -- --ignored --nocapture` prints what this machine does.
#[test]
#[ignore = "a measurement, not a check"]
fn how_fast_it_is() {
    let mut dice = kit::Dice(7);
    let words: Vec<String> = (0..400).map(|n| format!("w{:x}", n * 7919 % 65_521)).collect();
    let mut story = Vec::new();
    let mut raw = 0;
    while raw < 64 << 20 {
        let line: Vec<&str> = (0..12).map(|_| words[dice.below(words.len())].as_str()).collect();
        let text = format!("\x1b[3{}m{}\x1b[0m\r\n", dice.below(8), line.join(" ")).repeat(8);
        raw += text.len();
        story.push((dice.below(3) as u64, output(&text)));
    }
    let start = std::time::SystemTime::now();
    let lap = |what: &str, bytes: usize, since: std::time::SystemTime| {
        let seconds = since.elapsed().unwrap().as_secs_f64();
        println!("{what}: {:.0} MB/s, {:.1} ms", bytes as f64 / seconds / 1e6, seconds * 1e3);
    };
    let file = join(&write(&heading(1), node_key(), &story, Some(Ending::Exit { status: 0 })));
    lap("write", raw, start);
    let sealing = std::time::SystemTime::now();
    let file = kit::seal_file(file, &[], &seal_key());
    lap("seal", raw, sealing);
    println!("ratio {:.3}", file.len() as f64 / raw as f64);
    let checking = std::time::SystemTime::now();
    let keys = [seal_key().verifying_key().to_bytes()];
    assert_eq!(verify(&file, &keys, &mut |_| {}).verdict, Verdict::Complete);
    lap("verify", raw, checking);
    let recording = Recording::open(file).unwrap();
    let reading = std::time::SystemTime::now();
    let count = recording.entries(From::Ms(0)).count();
    lap("read", raw, reading);
    let seeking = std::time::SystemTime::now();
    for _ in 0..200 {
        let seq = Seq(dice.below(count) as u64 + 1);
        assert_eq!(recording.entries(From::Seq(seq)).next().unwrap().unwrap().seq, seq);
    }
    lap("200 seeks", 0, seeking);
}

/// What one search through ten hours costs, for texts that are there, that are not, and without the screen.
#[test]
#[ignore = "a measurement, not a check"]
fn how_fast_ten_hours_are_searched() {
    let made = make(1, Day::new(TEN_HOURS, 7));
    let recording = Recording::open(made.file).unwrap();
    let (payload, entries) = (made.payload as f64, made.entries);
    println!("{:.1} MB of output in {entries} entries", payload / 1e6);
    let since = std::time::SystemTime::now();
    let mut screen = record::picture::blank(&recording);
    for entry in recording.entries(From::Seq(Seq(1))) {
        record::picture::draw(&mut screen, &entry.unwrap().entry);
    }
    println!("drawn once: {:.3} s", since.elapsed().unwrap().as_secs_f64());
    let beside = Wanted { screen: false, ..Wanted::ALL };
    for (text, wanted) in [
        ("no such text anywhere", Wanted::ALL),
        ("error", Wanted::ALL),
        ("e", Wanted::ALL),
        ("no such text anywhere", beside),
    ] {
        let since = std::time::SystemTime::now();
        let pattern = Pattern::with(text, false).unwrap();
        let mut sweep = Sweep::new(recording.clone(), pattern, wanted, None).unwrap();
        let mut found = Vec::new();
        while !sweep.run(&mut found, |_| true).unwrap() {}
        let seconds = since.elapsed().unwrap().as_secs_f64();
        let (hits, speed) = (found.len(), payload / seconds / 1e6);
        println!("{text:?}, screen: {}: {seconds:.3} s, {speed:.0} MB/s, {hits}", wanted.screen);
    }
}
