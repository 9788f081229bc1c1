//! The program's streams and the client's input, waited for together.

use bytes::{Buf as _, Bytes};
use futures_util::FutureExt as _;
use host::{Io, Pty, PtyOutput, Reader, Writer};
use link::ssh::Input;
use model::{Size, Stream};
use std::collections::VecDeque;

/// Something that came.
pub(super) enum Heard {
    /// From the program.
    Output(Stream, Bytes),
    /// From the client.
    Input(Bytes),
    /// Something moved or ended; look again.
    Nothing,
}

/// Ends of the program.
enum Ends {
    /// The output until its end. The terminal itself is held beyond it: to let it go hangs up, and a program that has let
    /// go of its own side may still be at work.
    Pty(Pty, Option<PtyOutput>),
    Pipes {
        stdin: Option<Writer>,
        stdout: Option<Reader>,
        stderr: Option<Reader>,
    },
}

/// The program's streams, and input on its way to it.
pub(super) struct Streams {
    ends: Ends,
    /// Input that the program has not taken yet, and what comes behind it.
    giving: Bytes,
    behind: VecDeque<Bytes>,
    input_ended: bool,
    /// The input broke off; the program must not take it for a good end.
    input_broken: bool,
}

impl Streams {
    pub fn new(io: Io) -> Self {
        let ends = match io {
            Io::Pty(pty) => {
                let output = pty.output();
                Ends::Pty(pty, Some(output))
            }
            Io::Pipes { stdin, stdout, stderr } => {
                Ends::Pipes { stdin: Some(stdin), stdout: Some(stdout), stderr: Some(stderr) }
            }
        };
        let (giving, behind) = (Bytes::new(), VecDeque::new());
        Self { ends, giving, behind, input_ended: false, input_broken: false }
    }

    /// Waits for the next thing that happens. Cancel safe: nothing is read and lost.
    pub async fn hear(
        &mut self,
        input: &mut Input,
        may_read: bool,
        may_give: bool,
        is_there: bool,
    ) -> Heard {
        if self.giving.is_empty() {
            self.giving = self.behind.pop_front().unwrap_or_default();
        }
        let giving = !self.giving.is_empty();
        let wants_input =
            !giving && !self.input_ended && !self.input_broken && may_give && is_there;
        match &mut self.ends {
            Ends::Pty(pty, output) => {
                let is_open = output.is_some();
                tokio::select! {
                    read = read_pty(output.as_mut()), if may_read && is_open => match read {
                        Some(bytes) => Heard::Output(Stream::Pty, bytes),
                        None => { *output = None; Heard::Nothing }
                    },
                    taken = write_pty(pty, &self.giving), if giving && may_give && is_open => {
                        took(&mut self.giving, taken)
                    }
                    pulled = input.pull(), if wants_input => {
                        pull(pulled, &mut self.input_ended, &mut self.input_broken)
                    }
                    () = std::future::pending() => Heard::Nothing,
                }
            }
            Ends::Pipes { stdin, stdout, stderr } => {
                let discard = giving && stdin.is_none();
                if discard {
                    self.giving = Bytes::new();
                    return Heard::Nothing;
                }
                tokio::select! {
                    read = read_pipe(stdout.as_ref()), if may_read && stdout.is_some() => match read {
                        Some(bytes) => Heard::Output(Stream::Stdout, bytes),
                        None => { *stdout = None; Heard::Nothing }
                    },
                    read = read_pipe(stderr.as_ref()), if may_read && stderr.is_some() => match read {
                        Some(bytes) => Heard::Output(Stream::Stderr, bytes),
                        None => { *stderr = None; Heard::Nothing }
                    },
                    taken = write_pipe(stdin.as_ref(), &self.giving), if giving && may_give => {
                        if taken.is_none() {
                            // The program has closed its input; what comes is taken and dropped, as by sshd.
                            *stdin = None;
                        }
                        took(&mut self.giving, taken)
                    }
                    pulled = input.pull(), if wants_input => {
                        let heard = pull(pulled, &mut self.input_ended, &mut self.input_broken);
                        if self.input_ended {
                            *stdin = None;
                        }
                        heard
                    }
                    () = std::future::pending() => Heard::Nothing,
                }
            }
        }
    }

    /// Whether nothing waits before what is given next.
    pub fn takes(&self) -> bool {
        self.giving.is_empty() && self.behind.is_empty()
    }

    /// Pieces that wait behind the one that is given.
    pub fn waiting(&self) -> usize {
        self.behind.len()
    }

    /// Gives input to the program: `now`, as far as it takes it; the rest is written by [`Streams::hear`].
    pub fn give(&mut self, bytes: Bytes, now: bool) {
        if !now || !self.takes() {
            self.behind.push_back(bytes);
            return;
        }
        self.giving = bytes;
        let taken = match &self.ends {
            Ends::Pty(pty, Some(_)) => write_pty(pty, &self.giving).now_or_never(),
            Ends::Pipes { stdin: Some(stdin), .. } => {
                write_pipe(Some(stdin), &self.giving).now_or_never()
            }
            Ends::Pty(_, None) | Ends::Pipes { stdin: None, .. } => None,
        };
        // A failure is met once more, and dealt with, where one waits.
        if let Some(Some(count)) = taken {
            self.giving.advance(count.min(self.giving.len()));
        }
    }

    /// Whether the program can write nothing any more.
    pub fn ended(&self) -> bool {
        match &self.ends {
            Ends::Pty(_, output) => output.is_none(),
            Ends::Pipes { stdout, stderr, .. } => stdout.is_none() && stderr.is_none(),
        }
    }

    /// The program has ended and reads nothing any more.
    pub fn close_input(&mut self) {
        self.giving = Bytes::new();
        self.behind.clear();
        if let Ends::Pipes { stdin, .. } = &mut self.ends {
            *stdin = None;
        }
    }

    /// What is typed comes over another channel from here on.
    pub fn begin_input(&mut self) {
        (self.input_ended, self.input_broken) = (false, false);
    }

    /// Sets the terminal's size.
    pub fn resize(&self, size: Size) {
        if let Ends::Pty(pty, _) = &self.ends
            && let Err(error) = pty.resize(size)
        {
            tracing::debug!(%error, "a terminal could not be resized");
        }
    }

    /// Whether what is typed at this moment is not shown, as at a password prompt.
    pub fn echo_off(&self) -> bool {
        matches!(&self.ends, Ends::Pty(pty, _) if pty.echo_off())
    }
}

fn pull(
    pulled: Result<Option<Bytes>, link::ssh::buffer::BufferError>,
    ended: &mut bool,
    broken: &mut bool,
) -> Heard {
    match pulled {
        Ok(Some(bytes)) => Heard::Input(bytes),
        Ok(None) => {
            *ended = true;
            Heard::Nothing
        }
        Err(error) => {
            // The channel is being closed, and the session ends with it.
            tracing::debug!(%error, "a session's input broke off");
            *broken = true;
            Heard::Nothing
        }
    }
}

fn took(giving: &mut Bytes, taken: Option<usize>) -> Heard {
    match taken {
        Some(count) => giving.advance(count.min(giving.len())),
        None => giving.clear(),
    }
    Heard::Nothing
}

async fn read_pty(output: Option<&mut PtyOutput>) -> Option<Bytes> {
    output?.read().await.ok().filter(|bytes| !bytes.is_empty())
}

async fn write_pty(pty: &Pty, bytes: &[u8]) -> Option<usize> {
    pty.write(bytes).await.ok()
}

async fn read_pipe(pipe: Option<&Reader>) -> Option<Bytes> {
    pipe?.read().await.ok().filter(|bytes| !bytes.is_empty())
}

async fn write_pipe(pipe: Option<&Writer>, bytes: &[u8]) -> Option<usize> {
    pipe?.write(bytes).await.ok()
}
