//! Messages with descriptors between the daemon and the processes it starts (SOCK_SEQPACKET, SCM_RIGHTS; unix(7)).

use crate::sys;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Longest message in bytes. Refuse: a longer one is not sent; what may be long travels in a memfd.
pub(crate) const MESSAGE_BYTES: usize = 8 * 1024;
/// Most descriptors of one message. Refuse: further ones are closed by the kernel.
const DESCRIPTORS: usize = 4;

/// One message. Without bytes: the other side is gone.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Two connected ends, both closed on exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Sends one message; with a non-blocking end it may fail with `WouldBlock`.
pub(crate) fn send(
    end: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if bytes.is_empty() || bytes.len() > MESSAGE_BYTES || descriptors.len() > DESCRIPTORS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(end, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one message; with a non-blocking end it may fail with `WouldBlock`.
pub(crate) fn receive(end: BorrowedFd<'_>) -> io::Result<Message> {
    let mut bytes = vec![0; MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(
        end,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    bytes.truncate(got.bytes);
    Ok(Message { bytes, descriptors })
}

/// The daemon's end: the same without blocking its threads.
#[derive(Debug)]
pub(crate) struct Channel(AsyncFd<OwnedFd>);

impl Channel {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(end: OwnedFd) -> io::Result<Self> {
        sys::watch(end, Interest::READABLE | Interest::WRITABLE).map(Self)
    }

    pub(crate) async fn send(
        &self,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        self.0.async_io(Interest::WRITABLE, |end| send(end.as_fd(), bytes, descriptors)).await
    }

    /// As [`Channel::send`], without waiting: an error when it would have to.
    pub(crate) fn send_now(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        send(self.0.get_ref().as_fd(), bytes, descriptors)
    }

    pub(crate) async fn receive(&self) -> io::Result<Message> {
        self.0.async_io(Interest::READABLE, |end| receive(end.as_fd())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors_and_the_end_is_an_empty_one() {
        let (here, there) = pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        send(here.as_fd(), b"one", &[file.as_fd(), file.as_fd()]).unwrap();
        send(here.as_fd(), b"two", &[]).unwrap();
        drop(here);
        let first = receive(there.as_fd()).unwrap();
        assert_eq!((first.bytes.as_slice(), first.descriptors.len()), (&b"one"[..], 2));
        let second = receive(there.as_fd()).unwrap();
        assert_eq!((second.bytes.as_slice(), second.descriptors.len()), (&b"two"[..], 0));
        assert!(receive(there.as_fd()).unwrap().bytes.is_empty());
    }

    #[test]
    fn an_empty_or_overlong_message_is_refused_before_it_is_sent() {
        let (here, _there) = pair().unwrap();
        for bytes in [Vec::new(), vec![0; MESSAGE_BYTES + 1]] {
            assert!(send(here.as_fd(), &bytes, &[]).is_err());
        }
    }
}
