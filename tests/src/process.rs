//! A `scry start` under test: what it prints, and until when.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// A running `scry start`, killed when dropped.
pub struct Server {
    child: Option<Child>,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Server {
    /// Starts it; standard error is appended to `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let appended = fs::File::options().create(true).append(true).open(log);
        command.env("SCRY_LOG", "info").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(appended.expect("a log file")).spawn().expect("scry starts");
        let out = child.stdout.take().expect("piped");
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self { child: Some(child), lines, log: log.to_owned() }
    }

    /// Waits for the line `ready`; answers those before it.
    pub fn until_ready(&self) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut before = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| {
                panic!("the server did not get ready: {before:#?}\nits log:\n{}", self.log());
            });
            if line.starts_with("ready") {
                return before;
            }
            before.push(line);
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that ended by itself, or by a crash point, is gone already.
            let _ = child.kill();
            child.wait().expect("it can be waited for");
        }
    }

    /// Asks it to stop, and waits for it.
    pub fn stop(&mut self) -> ExitStatus {
        let status = Command::new("kill").arg(self.pid().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()));
        self.wait(Duration::from_secs(60)).expect("it stops")
    }

    /// Waits until it ends by itself; nothing if it does not.
    pub fn wait(&mut self, most: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + most;
        let child = self.child.as_mut().expect("it runs");
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait().expect("it can be waited for") {
                self.child = None;
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The process, for who looks after it by other means.
    pub fn into_child(mut self) -> Child {
        self.child.take().expect("it runs")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
