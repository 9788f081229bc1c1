//! What a person does at a program, step by step, for tests that compare pictures.

use crate::terminal::Terminal;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One step of a person at a program: keys in tmux's words, or text.
pub enum Step {
    /// Keys.
    Keys(&'static [&'static str]),
    /// Text.
    Text(&'static str),
}

use Step::{Keys, Text};

impl Step {
    /// Does it.
    pub fn play(&self, terminal: &Terminal) {
        match self {
            Keys(keys) => keys.iter().for_each(|key| {
                terminal.keys(&[key]);
                std::thread::sleep(Duration::from_millis(40));
            }),
            Text(text) => terminal.type_text(text),
        }
    }
}

/// In `vim -u NONE -N`.
pub const VIM: &[Step] = &[
    Text("iscry records what you see\nline two: äöü 漢字 ok\n"),
    Keys(&["Escape"]),
    Text("yy20p"),
    Text(":set number\r"),
    Text(":vsplit\r"),
    Text("gg/two\r"),
    Text(":split\r"),
    Text("dd3uGo"),
    Text("the end"),
    Keys(&["Escape"]),
    Text(":syntax on\r:set hlsearch\r"),
    Keys(&["C-u"]),
    Text(":only\r"),
];

/// In a `less` of 400 lines that have their number in them.
pub const LESS: &[Step] = &[
    Keys(&["Space"]),
    Keys(&["Space"]),
    Text("/number 77\r"),
    Keys(&["b"]),
    Text("G"),
    Text("g"),
    Text("-N\r"),
    Keys(&["d"]),
    Keys(&["Down", "Down"]),
    Text("/9\\+\r"),
];

/// In `htop`.
pub const HTOP: &[Step] = &[
    Keys(&["Down"]),
    Keys(&["Down"]),
    Keys(&["F6"]),
    Keys(&["Escape"]),
    Keys(&["F5"]),
    Keys(&["PageDown"]),
    Keys(&["F2"]),
    Keys(&["Escape"]),
    Keys(&["F1"]),
    Keys(&["Escape"]),
    Keys(&["Up"]),
];

/// In a tmux without settings.
pub const TMUX: &[Step] = &[
    Text("echo first pane\r"),
    Keys(&["C-b", "%"]),
    Text("ls -la --color=always /etc | head -40\r"),
    Keys(&["C-b", "\""]),
    Text("printf '\\033[38;2;255;100;0mcolour\\033[0m\\n'\r"),
    Keys(&["C-b", "Left"]),
    Text("seq 1 60\r"),
    Keys(&["C-b", "z"]),
    Keys(&["C-b", "z"]),
    Keys(&["C-b", "c"]),
    Text("echo second window\r"),
    Keys(&["C-b", "p"]),
];

/// Starts a GNU screen without settings, but a list of windows on its last line. With xterm's description it would reset
/// DECCOLM, upon which tmux clears, unlike xterm.
pub const GNU_SCREEN: &str = "d=$(mktemp -d); \
     printf 'startup_message off\\nhardstatus alwayslastline \"on %%H: %%w\"\\n' > $d/rc; \
     TERM=tmux-256color SCREENDIR=$d screen -c $d/rc bash --norc --noprofile; rm -r $d";

/// In [`GNU_SCREEN`].
pub const SCREEN: &[Step] = &[
    Text("echo first window\r"),
    Keys(&["C-a", "S"]),
    Keys(&["C-a", "Tab"]),
    Keys(&["C-a", "c"]),
    Text("ls -la --color=always /etc | head -40\r"),
    Text("printf '\\033[1;35mcolour\\033[0m \\xe6\\xbc\\xa2\\n'\r"),
    Keys(&["C-a", "["]),
    Keys(&["C-u", "Escape"]),
    Keys(&["C-a", "|"]),
    Keys(&["C-a", "Tab"]),
    Keys(&["C-a", "n"]),
    Text("seq 1 60\r"),
    Keys(&["C-a", "Q"]),
    Keys(&["C-a", "\""]),
    Keys(&["Escape"]),
];

/// A pause of up to 0.7 s that differs from run to run, so that no moment is a chosen one.
pub fn random_pause() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos();
    let hash = blake3::hash(&clock.to_le_bytes());
    std::thread::sleep(Duration::from_millis(10 + u64::from(hash.as_bytes()[0]) * 690 / 255));
}
