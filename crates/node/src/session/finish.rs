//! The end of a session: what brings it about, what the person and the record are told, and whether its processes go too.

use crate::connection::Caller;
use crate::news::Latest;
use crate::serve::Post;
use crate::verdict::{Ear, Verdict};
use host::Ended;
use model::SessionId;
use model::entry::Ending;
use session::End;
use std::sync::Arc;

/// How a session ends.
pub(super) struct Finish {
    pub ending: Ending,
    /// What the person is told beside the exit status.
    pub said: Option<String>,
    /// Whether it is ended by rule, so that every process of it goes too (ruling 11).
    pub by_rule: bool,
    /// Whether it is ended because its owner is lost, so that what they left running is left, as at a logout.
    pub lost: bool,
}

impl Finish {
    pub fn of(verdict: &Verdict) -> Self {
        Self {
            ending: Ending::Stopped { why: verdict.why().to_owned() },
            said: verdict.said().map(str::to_owned),
            by_rule: matches!(verdict, Verdict::Rule { .. }),
            lost: false,
        }
    }

    /// By the hub.
    pub fn due(end: End) -> Self {
        let words = end.words().to_owned();
        match end {
            End::Lost => {
                let ending = Ending::Stopped { why: words };
                Self { ending, said: None, by_rule: false, lost: true }
            }
            End::TooLong | End::Idle | End::Expired => Self::rule(words),
        }
    }

    /// By a rule whose words are for everybody.
    pub fn rule(words: String) -> Self {
        Self::of(&Verdict::Rule { said: words.clone(), why: words })
    }

    /// By the people in it, or for want of them.
    pub fn over(why: String) -> Self {
        Self::of(&Verdict::Rule { said: format!("the session is over: {why}"), why })
    }

    /// Says in the record how many processes were there to be ended.
    pub fn ended(&mut self, ended: Ended) {
        if let Ending::Stopped { why } = &mut self.ending {
            why.push_str(&ended_words(ended));
        }
    }
}

impl From<Ending> for Finish {
    fn from(ending: Ending) -> Self {
        let said = match &ending {
            Ending::Stopped { why } => Some(why.clone()),
            _ => None,
        };
        Self { ending, said, by_rule: false, lost: false }
    }
}

/// Whether a session may go on: by its connection, and by itself whenever something was changed that decides.
pub(super) struct Watch<'p> {
    post: &'p Post,
    caller: &'p Caller,
    id: SessionId,
    connection: Ear,
    /// That the connection is gone ends nothing any more.
    outlives: bool,
    latest: Latest,
}

impl<'p> Watch<'p> {
    pub fn new(post: &'p Post, caller: &'p Caller, id: SessionId, connection: Ear) -> Self {
        let mut latest = post.latest.clone();
        // What was changed between the permit and this moment is looked at first.
        latest.mark_changed();
        Self { post, caller, id, connection, outlives: false, latest }
    }

    /// From here on the session outlives the connection that it was opened over.
    pub fn outlive(&mut self) {
        self.outlives = true;
    }

    /// Completes when it may not. Cancel safe.
    pub async fn verdict(&mut self) -> Verdict {
        loop {
            tokio::select! {
                verdict = over(&mut self.connection, self.outlives) => {
                    return Verdict::clone(&verdict);
                }
                Ok(()) = self.latest.changed() => {
                    if let Err(denial) = self.caller.goes_on(self.post, Some(self.id)) {
                        return denial.into();
                    }
                }
            }
        }
    }
}

async fn over(connection: &mut Ear, outlives: bool) -> Arc<Verdict> {
    if outlives { connection.heard_beyond().await } else { connection.heard().await }
}

pub(crate) fn ended_words(ended: Ended) -> String {
    let mut words = match ended.processes {
        0 => String::new(),
        1 => "; 1 process was ended".to_owned(),
        many => format!("; {many} processes were ended"),
    };
    if ended.left > 0 {
        words.push_str(&format!(", of which {} hang in the kernel", ended.left));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_by_rule_takes_its_processes_along_and_says_how_many() {
        let said = |processes, left| {
            let mut finish = Finish::rule("too long".to_owned());
            finish.ended(Ended { processes, left });
            assert!(finish.by_rule && finish.said.as_deref() == Some("too long"));
            match finish.ending {
                Ending::Stopped { why } => why,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(said(0, 0), "too long");
        assert_eq!(said(1, 0), "too long; 1 process was ended");
        assert_eq!(said(3, 1), "too long; 3 processes were ended, of which 1 hang in the kernel");
    }

    #[test]
    fn a_connection_that_is_gone_and_a_node_that_stops_leave_what_runs() {
        for verdict in [Verdict::Gone, Verdict::Stopping] {
            assert!(!Finish::of(&verdict).by_rule, "{verdict:?}");
        }
        assert!(Finish::due(End::Idle).by_rule);
        let lost = Finish::due(End::Lost);
        assert!(lost.lost && !lost.by_rule && lost.said.is_none());
        assert!(!Finish::from(Ending::Disconnected).by_rule);
    }
}
