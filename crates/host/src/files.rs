//! Files that others approve one by one: what the node hears of the process that serves them, and what it answers.

use crate::fdpass::{self, Channel};
use model::{SessionId, Wanted};
use policy::FilePermit;
use serde::{Deserialize, Serialize};
use std::io;

/// Bytes of a reason on its way to or from the process. Cut.
const WHY_BYTES: usize = 500;

/// What the process tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileNews {
    /// It has found a file, holds it open, and waits for a word about it.
    Wanted(Wanted),
    /// A file that was let through is not moved, or not to its end.
    Stopped {
        /// Its number.
        number: u32,
        /// Why, for a person.
        why: String,
    },
}

/// What the process is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    Allow { number: u32 },
    Refuse { number: u32, why: String },
}

/// The way to a process that serves files.
#[derive(Debug)]
pub struct Files {
    session: SessionId,
    control: Channel,
}

impl Files {
    pub(crate) fn new(session: SessionId, control: Channel) -> Self {
        Self { session, control }
    }

    /// The next that it tells; none when it has ended, or says what nobody understands. Cancel safe.
    pub async fn next(&self) -> Option<FileNews> {
        let message = self.control.receive().await.ok()?;
        postcard::from_bytes(&message.bytes).ok()
    }

    /// Has a file moved. The leave is used up by it.
    ///
    /// # Errors
    /// When it is leave for another session, or the process has gone.
    pub fn allow(&self, permit: FilePermit) -> io::Result<()> {
        if permit.session() != self.session {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.say(&Word::Allow { number: permit.number() })
    }

    /// Has a file not moved.
    ///
    /// # Errors
    /// When the process has gone.
    pub fn refuse(&self, number: u32, why: &str) -> io::Result<()> {
        self.say(&Word::Refuse { number, why: cut(why) })
    }

    /// It waits for one word at a time, so there is always room.
    fn say(&self, word: &Word) -> io::Result<()> {
        let bytes = postcard::to_allocvec(word).map_err(|why| io::Error::other(why.to_string()))?;
        self.control.send_now(&bytes, &[])
    }
}

/// A message as the process sends it.
pub(crate) fn message(news: &FileNews) -> io::Result<Vec<u8>> {
    let bytes = match news {
        FileNews::Stopped { number, why } => {
            postcard::to_allocvec(&FileNews::Stopped { number: *number, why: cut(why) })
        }
        FileNews::Wanted(_) => postcard::to_allocvec(news),
    };
    let bytes = bytes.map_err(|why| io::Error::other(why.to_string()))?;
    if bytes.len() > fdpass::MESSAGE_BYTES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(bytes)
}

fn cut(why: &str) -> String {
    why.chars()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= WHY_BYTES).then_some(c)
        })
        .collect()
}
