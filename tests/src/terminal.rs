//! A real terminal for tests: a tmux server of its own, driven by keys and read cell by cell.

use std::path::Path;
use std::process::{Command, Output};

/// A tmux with one window; gone when dropped.
pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// Starts `command` in a window of this size.
    pub fn start(folder: &Path, cols: u16, rows: u16, command: &str) -> Self {
        let socket = folder.join("tmux.sock").display().to_string();
        let terminal = Self { socket };
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let out = terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &cols,
            "-y",
            &rows,
            command,
        ]);
        crate::assert_success(&out);
        crate::assert_success(&terminal.tmux(&["set-option", "-g", "status", "off"]));
        crate::assert_success(&terminal.tmux(&["resize-window", "-x", &cols, "-y", &rows]));
        terminal
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

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}
