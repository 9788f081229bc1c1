//! Files to and from a browser: sftp to the node, as the person, over a connection of its own.

use super::aboard::{Aboard, Stay};
use super::guard::Visitor;
use super::{Refused, Web};
use axum::body::Body;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::{HeaderValue, Uri, header};
use link::ssh::Startup;
use link::ssh::files::{Entry, Files, FilesError, Kind};
use model::limit::{WEB_FILE_BYTES, WEB_STALL_MS};
use model::{Login, NodeName, Time};
use serde::Deserialize;
use std::time::Duration;
use wire::Fault;
use wire::web::{EntryKind, Folder, FolderEntry, TerminalTo, Uploaded};

const STALL: Duration = Duration::from_millis(WEB_STALL_MS);

/// Which file, or folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    node: NodeName,
    login: Login,
    #[serde(default)]
    path: String,
}

impl Web {
    /// Lists a folder.
    pub(super) async fn folder(&self, visitor: &Visitor, uri: &Uri) -> Result<Response, Refused> {
        let Moving { place, taken: _taken, files, .. } = self.files(visitor, uri).await?;
        let (path, mut entries, more) = files.folder(&place.path).await.map_err(refused)?;
        entries.sort_by(|a, b| {
            (a.kind != Kind::Folder, &a.name).cmp(&(b.kind != Kind::Folder, &b.name))
        });
        let entries = entries.into_iter().map(told).collect();
        Ok(axum::Json(Folder { path, entries, more }).into_response())
    }

    /// Gives a file, piece by piece as the browser takes it.
    pub(super) async fn download(&self, visitor: &Visitor, uri: &Uri) -> Result<Response, Refused> {
        let Moving { place, taken, files, stay } = self.files(visitor, uri).await?;
        let reading = files.read(named(&place)?).await.map_err(refused)?;
        let bytes = reading.bytes;
        let open = Some((reading, taken, stay));
        let pieces = futures_util::stream::unfold(open, async |open| {
            let (mut reading, taken, mut stay) = open?;
            let read = tokio::select! {
                biased;
                () = Stay::over_of(&mut stay) => return Some((Err(signed_out()), None)),
                read = tokio::time::timeout(STALL, reading.next()) => read,
            };
            let read = read.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
            read.transpose().map(|piece| (piece, Some((reading, taken, stay))))
        });
        let mut answer = Response::new(Body::from_stream(pieces));
        let headers = answer.headers_mut();
        let kind = HeaderValue::from_static("application/octet-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(bytes) = bytes {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
        }
        let name = place.path.rsplit('/').next().unwrap_or_default();
        if let Ok(attached) = HeaderValue::from_str(&attachment(name)) {
            headers.insert(header::CONTENT_DISPOSITION, attached);
        }
        Ok(answer)
    }

    /// Takes a file, piece by piece as the node takes it. What was written stays when the browser breaks off.
    pub(super) async fn upload(
        &self,
        visitor: &Visitor,
        uri: &Uri,
        body: Body,
    ) -> Result<Response, Refused> {
        let Moving { place, taken: _taken, files, mut stay } = self.files(visitor, uri).await?;
        let mut file = files.write(named(&place)?).await.map_err(refused)?;
        let (mut pieces, mut bytes) = (body.into_data_stream(), 0_u64);
        loop {
            let next = tokio::select! {
                biased;
                () = Stay::over_of(&mut stay) => {
                    return Err(Refused::new(Fault::Unauthenticated, signed_out().to_string()));
                }
                next = tokio::time::timeout(STALL, pieces.next()) => next,
            };
            let piece = match next {
                Ok(Some(Ok(piece))) => piece,
                Ok(None) => break,
                Ok(Some(Err(_))) | Err(_) => {
                    let why = format!("the upload broke off after {bytes} bytes");
                    return Err(Refused::new(Fault::Malformed, why));
                }
            };
            bytes = bytes.saturating_add(piece.len() as u64);
            if bytes > WEB_FILE_BYTES {
                let why = format!("a file has at most {WEB_FILE_BYTES} bytes here; use sftp");
                return Err(Refused::with(http::StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            file.write(&piece).await.map_err(refused)?;
        }
        let path = file.finish().await.map_err(refused)?;
        Ok(axum::Json(Uploaded { path, bytes }).into_response())
    }

    /// What was asked for, a place to do it, and the way to it.
    async fn files(&self, visitor: &Visitor, uri: &Uri) -> Result<Moving, Refused> {
        let Query(place) = Query::<Place>::try_from_uri(uri).map_err(|error| {
            Refused::new(
                Fault::Malformed,
                format!("say node, login and path: {}", error.body_text()),
            )
        })?;
        let taken = self.transfers.take(Some(visitor.address.ip())).ok_or_else(|| {
            let why = "too many files are moved from this address at once: wait for some";
            Refused::new(Fault::TooMany, why)
        })?;
        let to = TerminalTo::Login { node: place.node.clone(), login: place.login.clone() };
        let Aboard { client, stay, .. } = self.aboard(visitor, to).await?;
        let files = Files::open(client).await.map_err(refused)?;
        Ok(Moving { place, taken, files, stay })
    }
}

/// A file or folder under way.
struct Moving {
    place: Place,
    taken: Startup,
    files: Files,
    stay: Option<Stay>,
}

fn signed_out() -> std::io::Error {
    std::io::Error::other("you have signed out")
}

fn named(place: &Place) -> Result<&str, Refused> {
    match place.path.as_str() {
        "" => Err(Refused::new(Fault::Malformed, "say which file: path is empty")),
        path => Ok(path),
    }
}

fn refused(error: FilesError) -> Refused {
    let fault = match error {
        FilesError::NotFound { .. } => Fault::NotFound,
        FilesError::Denied(_) => Fault::Denied,
        FilesError::Failed(_) => Fault::Conflict,
    };
    Refused::new(fault, error.to_string())
}

fn told(entry: Entry) -> FolderEntry {
    let kind = match entry.kind {
        Kind::File => EntryKind::File,
        Kind::Folder => EntryKind::Folder,
        Kind::Link => EntryKind::Link,
        Kind::Other => EntryKind::Other,
    };
    let changed = entry.changed.map(|seconds| Time(i64::from(seconds) * 1000));
    FolderEntry { name: entry.name, kind, bytes: entry.bytes, changed }
}

/// A file's name for the browser to keep it under (RFC 6266, RFC 8187).
fn attachment(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_letters_is_written_into_the_header_and_nothing_else() {
        let check = |name: &str, expected: &str| {
            assert_eq!(attachment(name), format!("attachment; filename*=UTF-8''{expected}"));
        };
        check("notes-1.txt", "notes-1.txt");
        check("größe.txt", "gr%C3%B6%C3%9Fe.txt");
        check("a\"; filename=\"b\r\nx: y", "a%22%3B%20filename%3D%22b%0D%0Ax%3A%20y");
    }
}
