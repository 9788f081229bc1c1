//! A `scry start` under test: what it prints, and until when.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Sends a signal: `-STOP` as if its machine hung, `-CONT` to let it go on.
#[track_caller]
pub fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {signal} {pid}");
}

/// One figure of a process's memory in KiB, by the kernel's name (proc(5), `status`): `VmRSS` or `VmHWM`.
#[track_caller]
pub fn memory_kib(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let mut words = text.lines().map(str::split_whitespace);
    let figure =
        words.find_map(|mut it| (it.next()?.strip_suffix(':') == Some(name)).then(|| it.next())?);
    figure.and_then(|figure| figure.parse().ok()).expect("a figure")
}

/// A running `scry start`, killed when dropped.
pub struct Server {
    child: Option<Child>,
    /// Behind a lock, for clusters that many tests share.
    lines: Mutex<Receiver<String>>,
    log: PathBuf,
}

impl Server {
    /// Starts it; standard error is appended to `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let appended = fs::File::options().create(true).append(true).open(log);
        command.env("SCRY_LOG", "info,node=debug").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(appended.expect("a log file")).spawn().expect("scry starts");
        let out = child.stdout.take().expect("piped");
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self { child: Some(child), lines: Mutex::new(lines), log: log.to_owned() }
    }

    /// Waits for the line `ready`; answers those before it.
    #[track_caller]
    pub fn until_ready(&self) -> Vec<String> {
        match self.ready_or_ended() {
            Ok(before) => before,
            Err(before) => {
                panic!("the server did not get ready: {before:#?}\nits log:\n{}", self.log())
            }
        }
    }

    /// Waits for the line `ready`, or for the end; answers the lines before it.
    ///
    /// # Errors
    /// The same lines, if it ended before it was ready, or was not ready after a minute.
    pub fn ready_or_ended(&self) -> Result<Vec<String>, Vec<String>> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut before = Vec::new();
        let lines = self.lines.lock().expect("nobody panicked with it");
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) if line.starts_with("ready") => return Ok(before),
                Ok(line) => before.push(line),
                Err(_) => return Err(before),
            }
        }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_none_or(|child| child.try_wait().expect("it can be waited for").is_some())
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
        send("-TERM", self.pid());
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
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
