//! A recording at auth, read in pieces over the network as if it were a file.

use super::reach;
use anyhow::{Result, bail};
use model::SessionId;
use record::{Source, SourceError};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::runtime::Handle;
use wire::recording::{ViewKind, ViewRecording};
use wire::stream;

/// Bytes fetched at once; a seek needs one or two.
const PIECE: u64 = 256 * 1024;
/// Pieces kept.
const KEPT: usize = 16;

/// A recording at auth. Reading blocks, so it belongs on a thread of its own.
pub struct Remote {
    client: reach::Auth,
    runtime: Handle,
    path: String,
    total: AtomicU64,
    live: AtomicBool,
    /// Behind a lock because a source is read through a shared reference.
    pieces: Mutex<VecDeque<(u64, Vec<u8>)>>,
}

impl Remote {
    /// Asks for leave to look at it, which is audited. What says of itself that it is another recording is refused.
    pub async fn open(client: reach::Auth, id: SessionId, how: ViewKind) -> Result<Self> {
        let view = client.call(&ViewRecording { id, how }).await?;
        let path = format!("/v1/recordings/{id}/bytes?ticket={}", view.ticket);
        let mut remote = Self {
            client,
            runtime: Handle::current(),
            path,
            total: AtomicU64::new(view.facts.bytes),
            live: AtomicBool::new(true),
            pieces: Mutex::new(VecDeque::new()),
        };
        let mut front = remote.front().await?;
        if let Some(found) = record::named(&front).filter(|found| *found != id) {
            bail!(
                "auth gave the recording {found} for {id}: one was put in the place of the other"
            );
        }
        front.truncate(PIECE as usize);
        remote.pieces = Mutex::new(VecDeque::from([(0, front)]));
        Ok(remote)
    }

    /// The file's beginning, to the end of its first record if it has one.
    async fn front(&self) -> Result<Vec<u8>> {
        let mut front = Vec::new();
        loop {
            let more = self.fetch(front.len() as u64, PIECE).await?;
            front.extend_from_slice(&more);
            if more.is_empty() || !matches!(record::split(&front), Ok(None)) {
                return Ok(front);
            }
        }
    }

    async fn fetch(&self, from: u64, most: u64) -> Result<Vec<u8>> {
        let path = format!("{}&from={from}&most={most}", self.path);
        let (headers, bytes) = self.client.get_bytes(&path, PIECE as usize).await?;
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(total) = header(stream::TOTAL_HEADER).and_then(|text| text.parse().ok()) {
            self.total.store(total, Ordering::Relaxed);
        }
        self.live.store(header(stream::LIVE_HEADER) == Some("1"), Ordering::Relaxed);
        Ok(bytes.to_vec())
    }

    /// Bytes kept of the piece that begins at `from`, fetched if there are none or it may have grown.
    fn piece(&self, from: u64, needed: usize) -> Result<Vec<u8>, SourceError> {
        let kept = self.pieces.lock().map_err(|_| failed("a reader panicked"))?;
        let held = kept.iter().find(|(at, _)| *at == from).map(|(_, bytes)| bytes.clone());
        drop(kept);
        let mut bytes = held.unwrap_or_default();
        let full = bytes.len() as u64 == PIECE;
        let may_grow = bytes.is_empty() || self.live.load(Ordering::Relaxed);
        if bytes.len() >= needed || full || !may_grow {
            return Ok(bytes);
        }
        // One byte that is known already: asked for nothing but news, auth would wait for some.
        let known = bytes.len().saturating_sub(1);
        let fetched = self.runtime.block_on(self.fetch(from + known as u64, PIECE - known as u64));
        bytes.truncate(known);
        bytes.extend(fetched.map_err(|error| failed(format!("{error:#}")))?);
        let mut kept = self.pieces.lock().map_err(|_| failed("a reader panicked"))?;
        kept.retain(|(at, _)| *at != from);
        kept.push_front((from, bytes.clone()));
        kept.truncate(KEPT);
        Ok(bytes)
    }
}

impl Source for Remote {
    fn len(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, SourceError> {
        let mut out = Vec::new();
        while out.len() < most {
            let at = offset + out.len() as u64;
            let start = at - at % PIECE;
            let from = usize::try_from(at - start).unwrap_or(usize::MAX);
            let piece = self.piece(start, from + (most - out.len()).min(PIECE as usize - from))?;
            let Some(rest) = piece.get(from..).filter(|rest| !rest.is_empty()) else { break };
            let take = rest.len().min(most - out.len());
            out.extend_from_slice(rest.get(..take).unwrap_or_default());
        }
        Ok(out)
    }
}

fn failed(why: impl Into<String>) -> SourceError {
    SourceError(why.into())
}
