//! The line on which people in a session speak to its node, as any program could: the subsystem `scry-company` by plain ssh.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// Longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody's line; closed when dropped.
pub struct Line {
    child: Child,
    told: Receiver<Value>,
}

impl Line {
    /// Opens it. `ssh` is a person's, `seat` is what [`crate::sharing::Owner::seat`] gives.
    pub fn open(mut ssh: Command, seat: &str) -> Self {
        ssh.args(["-s", seat, "scry-company"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = ssh.spawn().expect("ssh runs");
        let out = child.stdout.take().expect("piped");
        let (send, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let told = serde_json::from_str(&line);
                let told = told.unwrap_or_else(|error| panic!("{error}: no JSON line: {line}"));
                if send.send(told).is_err() {
                    return;
                }
            }
        });
        Self { child, told }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        let input = self.child.stdin.as_mut().expect("piped");
        input.write_all(bytes).and_then(|()| input.flush()).expect("ssh takes them");
    }

    /// Asks, and gives the answer; what is told meanwhile is passed over.
    #[track_caller]
    pub fn ask(&mut self, ask: Value) -> Value {
        self.send(format!("{ask}\n").as_bytes());
        let is_answer = |told: &Value| told["told"] == "done" || told["told"] == "refused";
        self.wait_for(&format!("an answer to {ask}"), is_answer)
    }

    /// Asks for what must be done.
    #[track_caller]
    pub fn must(&mut self, ask: Value) {
        let answer = self.ask(ask.clone());
        assert_eq!(answer["told"], "done", "{ask}: {answer}");
    }

    /// Waits until something is told; what is told before is passed over.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut before = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok(told) if fits(&told) => return told,
                Ok(told) => before.push(told),
                Err(why) => panic!("waited in vain for {what} ({why}): {before:#?}"),
            }
        }
    }

    /// Waits until the list of people is such a one, and gives it.
    #[track_caller]
    pub fn wait_for_people(&mut self, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let people = |told: &Value| told["people"].as_array().cloned().unwrap_or_default();
        let told = self.wait_for(what, |told| told["told"] == "company" && fits(&people(told)));
        people(&told)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
