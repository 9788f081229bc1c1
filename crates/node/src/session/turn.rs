//! One turn of a session's loop: what happens next, and what is looked at first.

use super::streams::Heard;
use crate::company::{Typed, Visit};
use crate::verdict::Verdict;
use host::{Exit, FileNews};
use model::Seq;
use model::entry::Entry;
use screen::Screen;
use std::future::poll_fn;
use std::mem::replace;
use std::pin::pin;
use std::task::Poll;

/// What happens.
pub(super) enum Event {
    /// What was on its way to the owner is there, or never will be.
    Written(bool),
    /// The owner's terminal has another size.
    Resized,
    /// The client sent a signal.
    Signal(String),
    /// The program ended.
    Exited(Exit),
    /// The channel is gone.
    Gone,
    /// It may not go on.
    Verdict(Verdict),
    /// From the process that moves files.
    News(Option<FileNews>),
    /// The kernel has seen something.
    Seen,
    /// The hash of what is not kept of a stream is there.
    Hashed(Entry),
    /// It is time for something.
    Due,
    /// Somebody asks for something.
    Visit(Visit),
    /// What a returning owner is shown first, where it could be made.
    Picture(Option<(Seq, Box<Screen>)>),
    /// Somebody but the owner has typed.
    Typed(Typed),
    /// From the program, or from the owner.
    Heard(Heard),
    /// Something moved; look again.
    Nothing,
}

/// What happens next. At first everything else is looked at, then `bytes`; whenever it is woken `bytes` come first, because
/// to look at all the others costs a key about as much as all the rest of its way. So what is decided in the same moment, such
/// as a lock, takes effect behind that one piece.
pub(super) async fn next<T>(others: impl Future<Output = T>, bytes: impl Future<Output = T>) -> T {
    let (mut others, mut bytes) = (pin!(others), pin!(bytes));
    let mut woken = false;
    poll_fn(|cx| {
        let woken = replace(&mut woken, true);
        if woken && let event @ Poll::Ready(_) = bytes.as_mut().poll(cx) {
            return event;
        }
        match others.as_mut().poll(cx) {
            Poll::Pending if !woken => bytes.as_mut().poll(cx),
            event => event,
        }
    })
    .await
}

/// Lets go first whatever on this thread has something to do.
pub(super) async fn step_aside() {
    let mut stepped = false;
    poll_fn(|cx| match replace(&mut stepped, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::future::{pending, ready};
    use std::task::Context;

    #[test]
    fn at_first_bytes_come_last_and_when_woken_first() {
        assert_eq!(next(ready("other"), ready("bytes")).now_or_never(), Some("other"));
        assert_eq!(next(pending(), ready("bytes")).now_or_never(), Some("bytes"));
        assert_eq!(next(pending::<()>(), pending()).now_or_never(), None);
        for (others, bytes, expected) in
            [(true, true, "bytes"), (false, true, "bytes"), (true, false, "others")]
        {
            let mut next = pin!(next(second(others, "others"), second(bytes, "bytes")));
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(next.as_mut().poll(&mut cx).is_pending());
            assert_eq!(next.as_mut().poll(&mut cx), Poll::Ready(expected));
        }
    }

    /// Ready when it is asked for the second time, or never.
    async fn second(comes: bool, what: &'static str) -> &'static str {
        let mut asked = false;
        poll_fn(|_| match replace(&mut asked, true) && comes {
            true => Poll::Ready(what),
            false => Poll::Pending,
        })
        .await
    }

    #[tokio::test]
    async fn who_steps_aside_comes_behind_what_is_ready() {
        let (told, mut heard) = tokio::sync::mpsc::channel(2);
        let mut tasks = tokio::task::JoinSet::new();
        for aside in [true, false] {
            let told = told.clone();
            tasks.spawn(async move {
                if aside {
                    step_aside().await;
                }
                told.send(aside).await.unwrap();
            });
        }
        assert_eq!([heard.recv().await, heard.recv().await], [Some(false), Some(true)]);
    }
}
