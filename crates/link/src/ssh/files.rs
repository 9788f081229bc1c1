//! Files on a node, over sftp: what whoever signed in may read and write there, seen and recorded by the node as any other
//! sftp is.

use super::channel::{Input, Pipe};
use super::client::Client;
use bytes::{Bytes, BytesMut};
use model::limit::{PIPE_BYTES, WANTED_MS, WEB_FILE_BYTES, WEB_FOLDER_ENTRIES, WEB_HELD_BYTES};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::fs::File;
use russh_sftp::client::{Config, RawSftpSession, SftpSession};
use russh_sftp::protocol::{FileType, OpenFlags, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// Seconds until a request is answered: where others approve each file, opening one waits for their word.
const PATIENCE_S: u64 = WANTED_MS / 1000 + 30;
/// Bytes of what a node says about why it gives no files. Cut.
const WORDS_BYTES: usize = 2 * 1024;

/// Why a file is not read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilesError {
    /// It is not there.
    #[error("{path}: there is no such file or folder")]
    NotFound {
        /// What was asked for.
        path: String,
    },
    /// The node, or the machine, does not allow it.
    #[error("{0}")]
    Denied(String),
    /// Something else is wrong; the words are the node's.
    #[error("{0}")]
    Failed(String),
}

/// What something in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a socket, a pipe.
    Other,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its length.
    pub bytes: u64,
    /// When it was changed, in seconds since 1970, if that is known.
    pub changed: Option<u32>,
}

/// One connection's files. It is cut when this and the files that it opened are dropped.
pub struct Files {
    client: Client,
    words: Arc<Mutex<String>>,
    stream: DuplexStream,
}

/// A file that is read.
pub struct Reading {
    /// Its length, if it is a plain file.
    pub bytes: Option<u64>,
    /// How much of it is still read: so much of it as there was, and of what has no length a file's most.
    left: u64,
    file: File,
    _keep: (Client, SftpSession),
}

/// A file that is written.
pub struct Writing {
    file: File,
    path: String,
    words: Arc<Mutex<String>>,
    _keep: (Client, SftpSession),
}

impl Files {
    /// Asks for them over a connection that has signed in.
    ///
    /// # Errors
    /// When the node gives none.
    pub async fn open(client: Client) -> Result<Self, FilesError> {
        let gone = |_| FilesError::Failed("the connection to the node is lost".to_owned());
        let mut session = client.session().await.map_err(gone)?;
        let words = Arc::new(Mutex::new(String::new()));
        if let Some(errors) = session.errors.take() {
            client.spawn(hear(errors, Arc::clone(&words)));
        }
        if session.subsystem("sftp").await.is_err() {
            let why = said(&words).unwrap_or_else(|| "the node gives no files here".to_owned());
            return Err(FilesError::Denied(why));
        }
        let (stream, far) = tokio::io::duplex(WEB_HELD_BYTES);
        if let Some(input) = session.output.take() {
            let pipe = Pipe { input, output: session.input.clone() };
            client.spawn(async move {
                pipe.join(far).await;
                drop(session);
            });
        }
        Ok(Self { client, words, stream })
    }

    /// Lists a folder, the home folder if `path` is empty; answers its whole path, too. At most [`WEB_FOLDER_ENTRIES`], and
    /// whether there are more.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn folder(self, path: &str) -> Result<(String, Vec<Entry>, bool), FilesError> {
        let Self { client: _keep, words, stream } = self;
        let failed = |error| why(&error, path, &words);
        let sftp = RawSftpSession::new_with_config(stream, config());
        sftp.init().await.map_err(failed)?;
        let asked = if path.is_empty() { "." } else { path };
        let real = sftp.realpath(asked).await.map_err(failed)?;
        let whole =
            real.files.into_iter().next().map_or_else(|| asked.to_owned(), |one| one.filename);
        let handle = sftp.opendir(whole.as_str()).await.map_err(failed)?.handle;
        let mut entries = Vec::new();
        while entries.len() <= WEB_FOLDER_ENTRIES {
            let some = match sftp.readdir(handle.as_str()).await {
                Ok(some) => some.files,
                Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => break,
                Err(error) => return Err(failed(error)),
            };
            let shown = some.into_iter().filter(|one| !matches!(one.filename.as_str(), "." | ".."));
            entries.extend(shown.map(|one| Entry {
                kind: match one.attrs.file_type() {
                    FileType::Dir => Kind::Folder,
                    FileType::File => Kind::File,
                    FileType::Symlink => Kind::Link,
                    FileType::Other => Kind::Other,
                },
                bytes: one.attrs.size.unwrap_or_default(),
                changed: one.attrs.mtime,
                name: one.filename,
            }));
        }
        let more = entries.len() > WEB_FOLDER_ENTRIES;
        entries.truncate(WEB_FOLDER_ENTRIES);
        Ok((whole, entries, more))
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(self, path: &str) -> Result<Reading, FilesError> {
        let Self { client, words, stream } = self;
        let failed = |error| why(&error, path, &words);
        let sftp = SftpSession::new_with_config(stream, config()).await.map_err(failed)?;
        let facts = sftp.metadata(path).await.map_err(failed)?;
        if facts.file_type() == FileType::Dir {
            return Err(FilesError::Failed(format!("{path} is a folder, not a file")));
        }
        let plain = facts.file_type() == FileType::File;
        let file = sftp.open(path).await.map_err(failed)?;
        // What the system makes up as it is read has no length.
        let bytes = facts.size.filter(|bytes| plain && *bytes > 0);
        let left = bytes.unwrap_or(WEB_FILE_BYTES);
        Ok(Reading { bytes, left, file, _keep: (client, sftp) })
    }

    /// Opens a file to write it anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn write(self, path: &str) -> Result<Writing, FilesError> {
        let Self { client, words, stream } = self;
        let failed = |error| why(&error, path, &words);
        let sftp = SftpSession::new_with_config(stream, config()).await.map_err(failed)?;
        let whole = sftp.canonicalize(path).await.unwrap_or_else(|_| path.to_owned());
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        let file = sftp.open_with_flags(path, flags).await.map_err(failed)?;
        Ok(Writing { file, path: whole, words, _keep: (client, sftp) })
    }
}

impl Reading {
    /// The next piece; none at the end.
    ///
    /// Whoever knows the length does not come back for the end: the file is closed before the last piece is given, so that the
    /// node sees that all of it was read.
    ///
    /// # Errors
    /// When it cannot be read any further.
    pub async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut room = BytesMut::with_capacity(PIPE_BYTES);
        let read = (&mut self.file).take(self.left).read_buf(&mut room).await?;
        self.left = if read == 0 { 0 } else { self.left.saturating_sub(read as u64) };
        if self.left == 0 {
            // It was read; that it cannot be closed is no fault of what was.
            let _ = self.file.shutdown().await;
        }
        Ok((read > 0).then(|| room.freeze()))
    }
}

impl Writing {
    /// Appends bytes.
    ///
    /// # Errors
    /// When the node does not take them.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| broken(&error, &self.words))
    }

    /// Closes the file: everything is written, or an error says so. Answers its whole path.
    ///
    /// # Errors
    /// When something was not written.
    pub async fn finish(mut self) -> Result<String, FilesError> {
        match self.file.shutdown().await {
            Ok(()) => Ok(self.path),
            Err(error) => Err(broken(&error, &self.words)),
        }
    }
}

fn config() -> Config {
    Config { request_timeout_secs: PATIENCE_S, ..Config::default() }
}

/// Keeps what the node says beside the protocol.
async fn hear(mut errors: Input, words: Arc<Mutex<String>>) {
    while let Ok(Some(bytes)) = errors.pull().await {
        let text = String::from_utf8_lossy(&bytes);
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() < WORDS_BYTES {
            words.extend(text.chars().filter(|c| !c.is_control() || *c == '\n').take(WORDS_BYTES));
        }
    }
}

/// The last line of it.
fn said(words: &Mutex<String>) -> Option<String> {
    let words = words.lock().unwrap_or_else(PoisonError::into_inner);
    let line = words.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.trim_start_matches("scry: ").to_owned())
}

fn why(error: &SftpError, path: &str, words: &Mutex<String>) -> FilesError {
    match error {
        SftpError::Status(status) => match status.status_code {
            StatusCode::NoSuchFile => FilesError::NotFound { path: path.to_owned() },
            StatusCode::PermissionDenied => {
                // The system says no more than this; a node that refuses by a role says why.
                let plain = status.error_message.trim();
                let plain = plain.is_empty() || plain.eq_ignore_ascii_case("permission denied");
                let own = (!plain).then(|| status.error_message.clone());
                let text = own.unwrap_or_else(|| format!("{path}: the machine does not allow it"));
                FilesError::Denied(text)
            }
            _ => FilesError::Failed(format!("{path}: {}", status.error_message)),
        },
        error => match said(words) {
            Some(words) => FilesError::Denied(words),
            None => FilesError::Failed(format!("{path}: {error}")),
        },
    }
}

fn broken(error: &std::io::Error, words: &Mutex<String>) -> FilesError {
    match said(words) {
        Some(words) => FilesError::Denied(words),
        None => FilesError::Failed(error.to_string()),
    }
}
