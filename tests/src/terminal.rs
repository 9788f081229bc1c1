//! A real terminal for tests: a tmux server of its own, driven by keys and read cell by cell.

use crate::seen::Seen;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What tmux is asked of a picture before the picture itself; the rest of the line are [`Seen::keys`].
const FACTS: &str = "#{pane_width} #{pane_height} #{cursor_x} #{cursor_y} #{cursor_flag} \
    cursor:#{keypad_cursor_flag} pad:#{keypad_flag} mouse:#{mouse_standard_flag}#{mouse_button_flag}#{mouse_all_flag} \
    sgr:#{mouse_sgr_flag}";

/// A tmux with one window; gone when dropped.
pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// Starts `command` in a window of this size.
    pub fn start(folder: &Path, cols: u16, rows: u16, command: &str) -> Self {
        Self::set(folder, (cols, rows), command, "")
    }

    /// With options that stand before the program begins, for that may end before they could be set.
    fn set(folder: &Path, (cols, rows): (u16, u16), command: &str, options: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let socket = folder.join(format!("tmux-{number}.sock")).display().to_string();
        let file = folder.join(format!("tmux-{number}.conf"));
        std::fs::write(&file, format!("set-option -g status off\n{options}\n")).expect("a file");
        let terminal = Self { socket };
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let out = terminal.tmux(&[
            "-f",
            &file.display().to_string(),
            "new-session",
            "-d",
            "-x",
            &cols,
            "-y",
            &rows,
            command,
        ]);
        crate::assert_success(&out);
        terminal
    }

    /// Runs a program in a window of this size. The window stays when the program has ended.
    pub fn run(folder: &Path, size: (u16, u16), command: &Command) -> Self {
        let command = format!("exec {}", line(command));
        Self::set(folder, size, &command, "set-option -g remain-on-exit on")
    }

    /// Process id of the program in it.
    pub fn pid(&self) -> u32 {
        self.fact("#{pane_pid}").parse().expect("a process id")
    }

    /// Whether the program in it has ended; only of [`Terminal::run`].
    pub fn has_ended(&self) -> bool {
        // The exit status does not always get as far as tmux tells it.
        self.fact("#{pane_dead}") == "1"
    }

    /// Waits until the program in it has ended, and gives all that was shown; only of [`Terminal::run`].
    #[track_caller]
    pub fn wait_for_end(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.all());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.all()
    }

    /// Gives the window another size.
    pub fn resize(&self, (cols, rows): (u16, u16)) {
        let (cols, rows) = (cols.to_string(), rows.to_string());
        crate::assert_success(&self.tmux(&["resize-window", "-x", &cols, "-y", &rows]));
    }

    /// What it shows at this moment, with colours and the cursor.
    pub fn seen(&self) -> Seen {
        let out =
            self.tmux(&["display-message", "-p", FACTS, ";", "capture-pane", "-p", "-e", "-N"]);
        crate::assert_success(&out);
        Seen::read(&String::from_utf8_lossy(&out.stdout))
    }

    fn fact(&self, format: &str) -> String {
        let out = self.tmux(&["display-message", "-p", format]);
        crate::assert_success(&out);
        crate::text(&out)
    }

    /// Types keys, in tmux's words: `Enter`, `C-c`, `Escape`.
    pub fn keys(&self, keys: &[&str]) {
        let mut args = vec!["send-keys"];
        args.extend(keys);
        crate::assert_success(&self.tmux(&args));
    }

    /// Types text as it is.
    pub fn type_text(&self, text: &str) {
        crate::assert_success(&self.tmux(&["send-keys", "-l", "--", text]));
    }

    /// What is on the screen: one string a row, without trailing blanks.
    pub fn screen(&self) -> Vec<String> {
        let out = self.tmux(&["capture-pane", "-p", "-N"]);
        crate::assert_success(&out);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// All that was ever shown outside a full-screen program, without tmux's own word at the end of [`Terminal::run`].
    pub fn all(&self) -> String {
        let out = self.tmux(&["capture-pane", "-p", "-J", "-S", "-"]);
        crate::assert_success(&out);
        let text = crate::text(&out);
        let own = text.lines().map(str::trim_end).filter(|row| !row.starts_with("Pane is dead"));
        own.collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    /// What is on the screen, as text with colours in escape sequences.
    pub fn coloured(&self) -> String {
        let out = self.tmux(&["capture-pane", "-p", "-e", "-N"]);
        crate::assert_success(&out);
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Whether the text is on the screen.
    pub fn shows(&self, text: &str) -> bool {
        self.screen().iter().any(|row| row.contains(text))
    }

    /// Waits until the text is on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        crate::wait_for(&format!("{text:?} on the screen"), || self.shows(text));
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command
            .args(["-S", &self.socket])
            .args(args)
            .env("TERM", "xterm-256color")
            .env_remove("TMUX");
        command.output().expect("tmux runs")
    }
}

/// The command as a shell reads it, with the variables that were set for it.
fn line(command: &Command) -> String {
    let (mut taken, mut set) = (Vec::new(), Vec::new());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => set.push(format!("{}={}", quoted(name), quoted(value))),
            None => taken.push(format!("-u {}", quoted(name))),
        }
    }
    let mut words = vec!["env".to_owned()];
    words.extend(taken.into_iter().chain(set));
    words.push(quoted(command.get_program()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_str().expect("plain words");
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}
