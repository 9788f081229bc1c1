//! What goes out to the owner, a piece at a time.

use super::Live;
use bytes::Bytes;
use futures_util::FutureExt as _;
use link::ssh::Output;
use model::Stream;
use std::pin::Pin;

/// Most bytes handed to the owner's channel at once.
const PIECE_BYTES: usize = 32 * 1024;

/// A write to the owner's channel that is under way.
pub(super) type Writing = Pin<Box<dyn Future<Output = bool> + Send>>;

impl Live {
    /// Begins what the owner gets next. What the channel takes at once is not waited for: each turn of the session's loop
    /// costs about as much as a write. Answers whether there was any.
    pub(super) fn write(&mut self, writing: &mut Option<Writing>, output: &Output) -> bool {
        let mut some = false;
        while writing.is_none()
            && let Some(mut next) = self.next_write(output)
        {
            *writing = match next.as_mut().now_or_never() {
                Some(true) => {
                    some = true;
                    None
                }
                Some(false) => Some(Box::pin(std::future::ready(false))),
                None => Some(next),
            };
        }
        some
    }

    /// The owner's next piece, on its way into the channel.
    pub(super) fn next_write(&mut self, output: &Output) -> Option<Writing> {
        if self.hub.is_lost() {
            return None;
        }
        if let Some(line) = self.next_line() {
            let (output, line) = (output.clone(), Bytes::from(format!("\r\nscry: {line}\r\n")));
            return Some(Box::pin(async move { output.write_error(line).await.is_ok() }));
        }
        if let Some(picture) = self.next_picture(output) {
            return picture;
        }
        if !self.passes() {
            return None;
        }
        let (stream, bytes) = self.hub.read(PIECE_BYTES)?;
        let output = output.clone();
        Some(Box::pin(async move {
            let written = match stream {
                Stream::Stderr => output.write_error(bytes).await,
                _ => output.write(bytes).await,
            };
            written.is_ok()
        }))
    }
}

/// Completes when it is there, or never will be; not while there is none. Cancel safe.
pub(super) async fn written(writing: &mut Option<Writing>) -> bool {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}
