//! A day in small, made of real streams: any moment looks as if it had been played from the beginning, forwards, backwards,
//! and without the index. `examples/ten_hours` measures the whole day.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use kit::Dice;
use kit::streams::{Day, STREAMS, TEN_HOURS, Timed, asciicast_gzip, make, stream};
use record::picture::{blank, draw};
use record::{Recording, Verdict, picture_at, verify};
use screen::Screen;

/// One hundredth of the day.
const PART: (u64, u64) = (TEN_HOURS.0 / 100, TEN_HOURS.1 / 100);

fn sealed() -> Vec<u8> {
    make(1, Day::new(PART, 7)).file
}

/// The screens of some moments, in their order, played from the beginning once.
fn played(recording: &Recording<Vec<u8>>, moments: &[u64]) -> Vec<Screen> {
    let story: Vec<Timed> = Day::new(PART, 7).collect();
    let screen_at = |ms: u64| {
        let mut screen = blank(recording);
        for (_, entry) in story.iter().take_while(|(at, _)| *at <= ms) {
            draw(&mut screen, entry);
        }
        screen
    };
    moments.iter().map(|ms| screen_at(*ms)).collect()
}

#[test]
fn any_second_looks_as_played_from_the_beginning_in_both_directions_with_and_without_the_index() {
    let file = sealed();
    let key = kit::seal_key().verifying_key().to_bytes();
    assert_eq!(verify(&file, &[key], &mut |_| {}).verdict, Verdict::Complete);
    let mut cut = file.clone();
    cut.truncate(file.len() - 16);
    let (whole, scanned) = (Recording::open(file).unwrap(), Recording::open(cut).unwrap());
    assert_eq!(whole.index().groups, scanned.index().groups, "made anew by reading the records");
    assert_eq!(whole.index().keyframes, scanned.index().keyframes);
    assert!(whole.index().keyframes.len() > 5, "there is something to jump to");

    let mut dice = Dice(99);
    let seconds = whole.length_ms() as usize / 1000;
    let mut moments: Vec<u64> = (0..12).map(|_| dice.below(seconds) as u64 * 1000).collect();
    moments.extend([0, whole.length_ms()]);
    moments.sort_unstable();
    let right = played(&whole, &moments);
    for recording in [&whole, &scanned] {
        let forwards = moments.iter().zip(&right);
        for (ms, right) in forwards.clone().chain(forwards.rev()) {
            let seen = picture_at(recording, *ms).unwrap();
            assert!(seen == *right, "at {ms} ms:\n{seen:?}\n{right:?}");
        }
    }
}

#[test]
fn a_mixed_session_is_at_most_a_quarter_of_what_it_showed() {
    let made = make(1, Day::new(PART, 7));
    let ratio = made.file.len() as f64 / made.payload as f64;
    let (plain, gzip) = asciicast_gzip(1, Day::new(PART, 7));
    println!(
        "{} bytes shown, {} recorded, {gzip} as asciicast and gzip",
        made.payload,
        made.file.len()
    );
    assert!(plain > made.payload, "the whole session was exported");
    assert!(ratio <= 0.26, "{ratio}");
}

#[test]
fn short_sessions_together_are_about_as_small_as_asciicast_and_gzip() {
    let (mut ours, mut theirs) = (0, 0);
    for (name, packed) in STREAMS {
        let made = make(2, stream(packed)).file.len() as u64;
        let (_, gzip) = asciicast_gzip(2, stream(packed));
        println!("{name}: {made} recorded, {gzip} as asciicast and gzip");
        (ours, theirs) = (ours + made, theirs + gzip);
    }
    let ratio = ours as f64 / theirs as f64;
    assert!(ratio <= 1.05, "{ratio}");
}
