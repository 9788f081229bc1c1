//! The recorder of one session: does what its custody (`record::Custody`) asks for, with the spool's file and the shipper.

use crate::clock;
use crate::drawing::Drawing;
use crate::keyframes::Model;
use crate::serve::Post;
use crate::ship::Received;
use model::entry::{Ending, Entry};
use model::role::RecordingPolicy;
use model::{Heading, Seq, SessionId, Tick};
use record::{Act, Bounds, Cause, Custody, Holdings, Keyframe, Notice, Room, Stance, Why};
use std::collections::VecDeque;
use std::time::Duration;
use store::spool::{SpoolError, SpoolFile};
use tokio::sync::{oneshot, watch};

/// Takes entries.
pub(crate) struct Recorder {
    id: SessionId,
    custody: Custody,
    /// None where even an empty one could not be made: everything goes to auth directly.
    file: Option<SpoolFile>,
    written: watch::Sender<Holdings>,
    received: watch::Receiver<Received>,
    notices: VecDeque<Notice>,
    /// The screen, for keyframes; sessions without a terminal have none.
    pub model: Option<Model>,
    /// Turns at drawing what was recorded.
    pub drawing: Drawing,
    /// Since when a keyframe is wanted.
    wanted: Option<Tick>,
    /// The kernel's time at which the recording began.
    pub began: u64,
}

impl Recorder {
    /// Begins a recording in the spool and has it shipped. Unless the role is strict, a disk without room is no error:
    /// the recording is then shipped from memory.
    pub async fn begin(
        post: &Post,
        heading: &Heading,
        policy: RecordingPolicy,
    ) -> Result<Self, SpoolError> {
        let strict = policy == RecordingPolicy::Strict;
        let (file, disk) = match placed(post, heading) {
            (file, None) => (file, Ok(())),
            (_, Some(error)) if strict || matches!(error, SpoolError::Exists { .. }) => {
                if let Err(error) = post.spool.remove(heading.id) {
                    tracing::debug!(id = %heading.id, %error, "an empty recording stays");
                }
                return Err(error);
            }
            (file, Some(error)) => (file, Err(refusal(heading.id, &error))),
        };
        let key = post.standing.signing.clone();
        let began = host::kernel::clock();
        let mut custody = Custody::begin(heading, key, strict, disk, Bounds::USUAL, clock::tick());
        let (id, mut file, mut notices) = (heading.id, file, VecDeque::new());
        obey(&mut custody, id, file.as_mut(), &mut notices);
        // Auth never knows of a recording of which a machine that loses its power here knows nothing: who else would
        // say that it has ended?
        if let Some(Err(error)) = file.as_ref().map(SpoolFile::sync) {
            tracing::error!(%id, error = model::words(&error), "a heading may not outlast the power");
        }
        let model = heading.size.zip(file.as_ref());
        let model = model.map(|(size, file)| Model::new(size, file.source(), post.drawing.clone()));
        let (written, watched) = watch::channel(Holdings::default());
        let received = post.ship(heading.id, watched).await;
        written.send_replace(custody.holdings());
        let (drawing, wanted) = (post.drawing.clone(), None);
        Ok(Self { id, custody, file, written, received, notices, model, drawing, wanted, began })
    }

    /// Takes an entry. What it returns is its place; nobody may see it before.
    pub fn take(&mut self, entry: Entry) -> Seq {
        let seq = self.custody.take(entry, clock::tick());
        self.act();
        seq
    }

    /// When [`Recorder::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Tick> {
        self.custody.poll_timeout()
    }

    /// Seals what is due, and looks again at a disk that took nothing.
    pub fn handle_timeout(&mut self) {
        self.custody.handle_timeout(clock::tick());
        self.act();
    }

    /// Whether input and output must wait.
    pub fn holds(&self) -> bool {
        self.custody.stance(clock::tick()) != Stance::GoOn
    }

    /// Why the session must end because of its recording, if it must.
    pub fn failed(&self) -> Option<String> {
        match self.custody.stance(clock::tick()) {
            Stance::End(why) => Some(ends(why).to_owned()),
            Stance::GoOn | Stance::Hold => None,
        }
    }

    /// What the person and the ledger should know, each once.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Begins to make a keyframe, if one is wanted and none is being made.
    pub fn tend_model(&mut self) {
        if let (Some(model), Some(seq)) = (&mut self.model, self.custody.wants_keyframe()) {
            model.begin(Some(seq));
        }
    }

    /// The screen with everything that was taken before; `None` without a terminal or a model of it.
    pub fn picture(&mut self) -> Option<oneshot::Receiver<Keyframe>> {
        // What nothing sealed yet stands in no file.
        self.custody.flush(clock::tick());
        self.act();
        self.model.as_mut().map(Model::ask)
    }

    /// Completes when a keyframe was made, which is taken, or auth has received more. Cancel safe.
    pub async fn news(&mut self) {
        let made = async {
            match &mut self.model {
                Some(model) => model.made().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            keyframe = made => if let Some(keyframe) = keyframe {
                self.custody.keyframe(keyframe, clock::tick());
            },
            changed = self.received.changed() => {
                if changed.is_err() {
                    // The shipper ended; only the node's end does that before the recording's.
                    std::future::pending::<()>().await;
                }
            }
        }
        self.act();
    }

    /// Ends the recording. What finds no room on the disk is shipped from memory.
    pub fn end(mut self, ending: Ending) {
        // None is made any more. One that is still wanted counts by how long it was: a model that never got there would else
        // not be seen at all.
        self.model = None;
        if let Some(since) = self.wanted.take() {
            lagged(since);
        }
        self.custody.end(ending, clock::tick());
        self.act();
        if self.custody.held_bytes() > 0 {
            tracing::warn!(id = %self.id, "a recording's end finds no room in the spool; it is shipped from memory");
        }
        if let Some(file) = &mut self.file
            && let Err(error) = file.finish()
        {
            tracing::warn!(id = %self.id, %error, "a recording could not be synced");
        }
    }

    /// How far the model is behind the session: from when a keyframe is wanted to when it is there.
    fn time_keyframes(&mut self) {
        if self.model.is_none() {
            return;
        }
        if self.custody.wants_keyframe().is_some() {
            self.wanted.get_or_insert_with(clock::tick);
        } else if let Some(since) = self.wanted.take() {
            lagged(since);
        }
    }

    /// Does what custody asks for, and tells the shipper.
    fn act(&mut self) {
        let received = self.received.borrow_and_update().records;
        self.custody.received(received, clock::tick());
        let moved = obey(&mut self.custody, self.id, self.file.as_mut(), &mut self.notices);
        self.time_keyframes();
        if moved || self.custody.held_bytes() > 0 {
            self.written.send_replace(self.custody.holdings());
        }
    }
}

/// Does the same for a recording of an earlier run, which has no session: answers where its records are.
pub(crate) fn settle(custody: &mut Custody, file: &mut SpoolFile) -> Holdings {
    obey(custody, file.id(), Some(file), &mut VecDeque::new());
    custody.holdings()
}

/// Notes how long a keyframe that was wanted since then has been waited for.
fn lagged(since: Tick) {
    let lag = Duration::from_millis(clock::tick().since(since));
    metrics::histogram!("scry_keyframe_seconds").record(lag);
}

/// Does what custody asks for; whether it asked for anything.
fn obey(
    custody: &mut Custody,
    id: SessionId,
    mut file: Option<&mut SpoolFile>,
    notices: &mut VecDeque<Notice>,
) -> bool {
    let mut moved = false;
    while let Some(act) = custody.poll() {
        moved = true;
        match act {
            Act::Append { bytes, room } => {
                let result = append(id, file.as_deref_mut(), &bytes, room);
                custody.appended(result, clock::tick());
            }
            Act::Probe => custody.probed(probe(file.as_deref_mut()), clock::tick()),
            Act::Tell(notice) => notices.push_back(notice),
        }
    }
    moved
}

/// A file for the recording, with its reserve, as far as the disk and the user's share of the spool give them.
fn placed(post: &Post, heading: &Heading) -> (Option<SpoolFile>, Option<SpoolError>) {
    match post.spool.create(heading.id, &heading.user) {
        Ok(mut file) => {
            let lacks = file.make_room().err();
            (Some(file), lacks)
        }
        Err(error) => (None, Some(error)),
    }
}

fn append(
    id: SessionId,
    file: Option<&mut SpoolFile>,
    bytes: &[u8],
    room: Room,
) -> Result<(), Cause> {
    let file = file.ok_or(Cause::Full)?;
    let done = match room {
        Room::Free => file.append(bytes),
        Room::Reserve => file.append_reserved(bytes),
        Room::Last => file.append_last(bytes),
    };
    done.map_err(|error| refusal(id, &error))?;
    metrics::counter!("scry_recorded_bytes_total").increment(bytes.len() as u64);
    Ok(())
}

fn probe(file: Option<&mut SpoolFile>) -> Result<(), Cause> {
    file.ok_or(Cause::Full)?.make_room().map_err(|error| cause(&error))
}

fn refusal(id: SessionId, error: &SpoolError) -> Cause {
    tracing::error!(%id, error = model::words(error), "a recording cannot be written");
    metrics::counter!("scry_recorder_failures_total").increment(1);
    cause(error)
}

fn cause(error: &SpoolError) -> Cause {
    if error.is_full() { Cause::Full } else { Cause::Failed }
}

/// Why a session ends, for its person.
fn ends(why: Why) -> &'static str {
    match why {
        Why::Disk(Cause::Full) => {
            "the session cannot be recorded any more: this machine's disk is full, and your role records strictly"
        }
        Why::Disk(Cause::Failed) => {
            "the session cannot be recorded any more: this machine's disk failed, and your role records strictly"
        }
        Why::NotReceived => {
            "auth did not receive the recording for 30 s, and your role records strictly"
        }
    }
}

/// A notice for the ledger: what failed, or else what is over.
pub(crate) fn audited(notice: &Notice) -> model::audit::Audited {
    use model::audit::Audited::{RecordingFailed, RecordingResumed};
    let failed = |why: &str| RecordingFailed { why: why.to_owned() };
    let over = |what: String| RecordingResumed { what };
    match notice {
        Notice::Refused(Cause::Full) => {
            failed("the node's disk is full; what is recorded goes to auth directly")
        }
        Notice::Refused(Cause::Failed) => {
            failed("the node's disk failed; what is recorded goes to auth directly")
        }
        Notice::GapOpened(_) => failed(
            "the node's disk takes nothing and auth does not answer; what happens is counted only",
        ),
        Notice::Back => over("the node's disk takes recordings again".to_owned()),
        Notice::GapClosed(gap) => {
            let (entries, bytes) = (gap.entries.unwrap_or(0), gap.bytes.unwrap_or(0));
            let ms = gap.ms;
            over(format!("recorded again; a gap of {entries} entries, {bytes} bytes, {ms} ms"))
        }
    }
}

/// A notice for the person whose session it is; nothing of what is over.
pub(crate) fn line(notice: &Notice) -> Option<&'static str> {
    match notice {
        Notice::Refused(Cause::Full) => Some(
            "this machine's disk is full; the session goes on and is recorded over the network",
        ),
        Notice::Refused(Cause::Failed) => {
            Some("this machine's disk failed; the session goes on and is recorded over the network")
        }
        Notice::GapOpened(_) => Some(
            "nothing takes the recording at this time; what you do is counted, and the gap stands in the recording",
        ),
        Notice::Back | Notice::GapClosed(_) => None,
    }
}
