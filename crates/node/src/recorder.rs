//! The recorder of one session: gives every entry its Seq, hands sealed records to the spool, and says when it cannot go on.

use crate::clock;
use crate::keyframes::Model;
use crate::serve::Post;
use crate::ship::{Received, Written};
use model::entry::{Ending, Entry};
use model::role::RecordingPolicy;
use model::{Heading, Seq, Tick};
use record::{Sealed, Writer};
use std::collections::VecDeque;
use store::spool::{SpoolError, SpoolFile};
use tokio::sync::watch;

/// Under `strict`: bytes that auth has not received, at which input and output wait.
const STRICT_BYTES: u64 = 1024 * 1024;
/// Under `strict`: age of what auth has not received, at which input and output wait, in milliseconds.
const STRICT_WAIT_MS: u64 = 5_000;
/// Under `strict`: age at which the session ends, in milliseconds.
const STRICT_END_MS: u64 = 30_000;

/// Takes entries.
pub(crate) struct Recorder {
    writer: Writer,
    file: SpoolFile,
    written: watch::Sender<Written>,
    received: watch::Receiver<Received>,
    strict: bool,
    /// What was sealed and auth has not received: where each record ends in the file, and when it was sealed.
    unreceived: VecDeque<(u64, Tick)>,
    failed: Option<String>,
    /// The screen, for keyframes; sessions without a terminal have none.
    pub model: Option<Model>,
}

impl Recorder {
    /// Begins a recording in the spool and has it shipped.
    pub async fn begin(
        post: &Post,
        heading: &Heading,
        policy: RecordingPolicy,
    ) -> Result<Self, SpoolError> {
        let file = post.spool.create(heading.id)?;
        let writer = Writer::begin(heading, post.standing.signing.clone(), clock::tick());
        let (written, watched) = watch::channel(Written::default());
        let model = heading.size.map(|size| Model::new(size, file.source()));
        let received = post.ship(heading.id, watched).await;
        let mut recorder = Self {
            writer,
            file,
            written,
            received,
            strict: policy == RecordingPolicy::Strict,
            unreceived: VecDeque::new(),
            failed: None,
            model,
        };
        recorder.drain();
        Ok(recorder)
    }

    /// Takes an entry. What it returns is its place; nobody may see it before.
    pub fn take(&mut self, entry: Entry) -> Seq {
        let seq = self.writer.handle(entry, clock::tick());
        self.drain();
        seq
    }

    /// When [`Recorder::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Tick> {
        let strict = self.unreceived.front().filter(|_| self.strict);
        let waits = strict.map(|(_, since)| {
            let now = clock::tick();
            let next = [STRICT_WAIT_MS, STRICT_END_MS].map(|ms| since.plus_ms(ms));
            next.into_iter().find(|at| *at > now).unwrap_or(now.plus_ms(STRICT_WAIT_MS))
        });
        [self.writer.poll_timeout(), waits].into_iter().flatten().min()
    }

    /// Seals what is due.
    pub fn handle_timeout(&mut self) {
        self.writer.handle_timeout(clock::tick());
        self.drain();
    }

    /// Whether input and output must wait for auth.
    pub fn holds(&self) -> bool {
        let lag = self.written.borrow().bytes.saturating_sub(self.received.borrow().bytes);
        self.strict && (lag > STRICT_BYTES || self.unreceived_ms() > STRICT_WAIT_MS)
    }

    /// Why the session must end because of its recording, if it must.
    pub fn failed(&self) -> Option<String> {
        if let Some(why) = &self.failed {
            return Some(format!("the session cannot be recorded any more: {why}"));
        }
        if self.strict && self.unreceived_ms() > STRICT_END_MS {
            return Some(
                "auth did not receive the recording for 30 s, and your role is strict".to_owned(),
            );
        }
        None
    }

    /// Begins to make a keyframe, if one is wanted and none is being made.
    pub fn tend_model(&mut self) {
        if let (Some(model), Some(seq)) = (&mut self.model, self.writer.wants_keyframe()) {
            model.begin(seq);
        }
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
                self.writer.keyframe(keyframe, clock::tick());
                self.drain();
            },
            changed = self.received.changed() => {
                if changed.is_err() {
                    // The shipper ended; only the node's end does that before the recording's.
                    std::future::pending::<()>().await;
                }
                self.note_received();
            }
        }
    }

    /// Ends the recording; the last records may use the spool's reserve.
    pub fn end(mut self, ending: Ending) {
        self.writer.end(ending, clock::tick());
        while let Some(sealed) = self.writer.poll() {
            if let Err(error) = self.file.append_last(&sealed.bytes) {
                tracing::error!(id = %self.file.id(), %error, "a recording's end cannot be written; the next start closes it");
                return;
            }
        }
        if let Err(error) = self.file.sync() {
            tracing::warn!(id = %self.file.id(), %error, "a recording could not be synced");
        }
        self.written.send_replace(Written { bytes: self.file.len(), ended: true });
    }

    fn drain(&mut self) {
        while let Some(Sealed { bytes, .. }) = self.writer.poll() {
            if self.failed.is_some() {
                continue;
            }
            if let Err(error) = self.file.append(&bytes) {
                tracing::error!(id = %self.file.id(), %error, "a recording cannot be written");
                metrics::counter!("scry_recorder_failures_total").increment(1);
                self.failed = Some(error.to_string());
                continue;
            }
            metrics::counter!("scry_recorded_bytes_total").increment(bytes.len() as u64);
            self.written.send_replace(Written { bytes: self.file.len(), ended: false });
            if self.strict {
                self.unreceived.push_back((self.file.len(), clock::tick()));
            }
        }
        self.note_received();
    }

    fn note_received(&mut self) {
        let received = self.received.borrow().bytes;
        while self.unreceived.front().is_some_and(|(end, _)| *end <= received) {
            self.unreceived.pop_front();
        }
    }

    fn unreceived_ms(&self) -> u64 {
        self.unreceived.front().map_or(0, |(_, since)| clock::tick().since(*since))
    }
}
