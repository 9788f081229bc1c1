//! What the player shows at a moment equals what the person saw at that moment, cell by cell.

use house::script::{HTOP, LESS, Step, TMUX, VIM, random_pause};
use house::terminal::Terminal;
use house::{Cluster, wait_for};
use record::Recording;
use screen::Screen;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::file::FileSource;

const COLS: u16 = 100;
const ROWS: u16 = 30;

/// A screen as it was seen, and when.
struct Moment {
    at: SystemTime,
    seen: String,
}

/// The screen once it has been still for a while, so that both sides speak of the same bytes.
fn still(terminal: &Terminal) -> Moment {
    let mut seen = String::new();
    let mut at = SystemTime::now();
    for _ in 0..100 {
        let before = terminal.coloured();
        at = SystemTime::now();
        std::thread::sleep(Duration::from_millis(250));
        seen = terminal.coloured();
        if seen == before {
            break;
        }
    }
    Moment { at: at + Duration::from_millis(125), seen }
}

/// Differences of one moment: (cells that show another character, cells of another look).
fn compare(moment: &Moment, picture: &Screen) -> (usize, usize) {
    let mut live = Screen::new(COLS, ROWS);
    live.feed(moment.seen.trim_end_matches('\n').replace('\n', "\r\n").as_bytes());
    let (mut characters, mut looks) = (0, 0);
    for row in 0..ROWS {
        for col in 0..COLS {
            let (a, b) = (live.cell(col, row), picture.cell(col, row));
            if a.ch != b.ch {
                characters += 1;
            } else if a.ch != ' ' && a.style != b.style {
                looks += 1;
            }
        }
    }
    (characters, looks)
}

/// Characters that may differ, over all moments of a program: the known exceptions. May only fall.
fn check(name: &str, command: &str, ready: &str, steps: &[Step], known: (usize, usize)) {
    let cluster = Cluster::start();
    let ssh = format!(
        "env TERM=xterm-256color LC_ALL=C.UTF-8 ssh -F {} -tt -o SendEnv=LC_ALL {} '{command}'",
        cluster.config().display(),
        cluster.host()
    );
    let terminal = Terminal::start(cluster.folder.path(), COLS, ROWS, &ssh);
    terminal.wait_for(ready);
    let mut moments = vec![still(&terminal)];
    for step in steps {
        step.play(&terminal);
        random_pause();
        moments.push(still(&terminal));
    }
    drop(terminal);
    wait_for("the recording", || !cluster.stored_recordings().is_empty());
    let row = cluster.recording_of(command);
    let file = cluster.export(row["id"].as_str().unwrap(), "scry");
    let recording = Recording::open(FileSource::open(&file).unwrap()).unwrap();
    let started = recording.heading().started.0;
    let (mut characters, mut looks) = (0, 0);
    for (number, moment) in moments.iter().enumerate() {
        let at = i64::try_from(moment.at.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let ms = u64::try_from(at - started).unwrap();
        let picture = record::picture_at(&recording, ms).unwrap();
        let (more, other) = compare(moment, &picture);
        if more + other > 0 {
            println!("{name}, moment {number} at {ms} ms: {more} characters, {other} looks differ");
            let shown = picture.text().join("\n");
            fs::write(std::env::temp_dir().join(format!("scry-{name}-{number}.txt")), shown)
                .unwrap();
        }
        characters += more;
        looks += other;
    }
    println!("{name}: {} moments, {characters} characters and {looks} looks differ", moments.len());
    assert!(
        characters <= known.0 && looks <= known.1,
        "{name}: more cells differ ({characters}, {looks}) than the known exceptions {known:?}"
    );
}

#[test]
fn vim_is_played_as_it_was_seen() {
    check("vim", "vim -u NONE -N", "VIM", VIM, (0, 0));
}

#[test]
fn less_is_played_as_it_was_seen() {
    check(
        "less",
        "seq -f \"this is line number %g of many\" 1 400 | less",
        "line number 1 ",
        LESS,
        (0, 0),
    );
}

#[test]
fn htop_is_played_as_it_was_seen() {
    check("htop", "htop -d 30", "Load average", HTOP, (0, 0));
}

#[test]
fn tmux_is_played_as_it_was_seen() {
    // A server of its own, which goes when its terminal does.
    let command = "tmux -L scry-$$ -f /dev/null new \\; set -g destroy-unattached on";
    check("tmux", command, "[0] 0:", TMUX, (0, 0));
}
