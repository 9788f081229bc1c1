//! The viewer's own terminal as a desk: taken, painted, read, and given back.

use super::desk::{Desk, Turn};
use super::player::Player;
use super::wish::Key;
use super::{Error, Options};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{self, DisableLineWrap, EnableLineWrap, EnterAlternateScreen};
use crossterm::terminal::{LeaveAlternateScreen, SetTitle};
use crossterm::{cursor, execute};
use record::{Recording, Source};
use screen::{Canvas, Painter};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Plays until the viewer leaves.
pub fn run<S: Source>(
    recording: Recording<S>,
    options: Options,
    title: String,
) -> Result<(), Error> {
    if !io::stdout().is_terminal() {
        return Err(Error::NoTerminal);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let signals = Signals::watch(Arc::clone(&stop)).map_err(Error::Terminal)?;
    let result = {
        let _guard = Guard::enter(&title).map_err(Error::Terminal)?;
        let mut player = Player::new(recording, options, title, Console::new());
        player.play(&stop).map_err(Error::Terminal)
    };
    drop(signals);
    result
}

/// The terminal of this process, which is painted and read.
struct Console {
    painter: Painter,
}

impl Console {
    fn new() -> Self {
        let (cols, rows) = terminal::size().unwrap_or((80, 24));
        Self { painter: Painter::new(cols, rows) }
    }
}

impl Desk for Console {
    fn size(&self) -> (u16, u16) {
        self.painter.size()
    }

    fn show(&mut self, canvas: Canvas) -> io::Result<()> {
        let bytes = self.painter.paint(canvas, None);
        if bytes.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(&bytes)?;
        out.flush()
    }

    fn turn(&mut self, wait: Duration) -> io::Result<Option<Turn>> {
        if !event::poll(wait)? {
            return Ok(None);
        }
        let key = match event::read()? {
            Event::Key(key) => read_key(key),
            Event::Resize(cols, rows) => {
                self.painter.resize(cols, rows);
                None
            }
            _ => None,
        };
        Ok(Some(key.map_or(Turn::Else, Turn::Key)))
    }
}

fn read_key(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let shift = key.modifiers.contains(KeyModifiers::SHIFT);
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c' | 'd') if control => Key::Interrupt,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(ch) => Key::Char(ch),
        KeyCode::Left if shift => Key::ShiftLeft,
        KeyCode::Right if shift => Key::ShiftRight,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

/// The terminal while it is ours. Given back when this is dropped, also by a panic.
struct Guard {
    usual: Arc<PanicHook>,
    /// Shared with the panic hook, which may run on any thread.
    panic: Arc<Mutex<Option<String>>>,
}

type PanicHook = dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync;

impl Guard {
    fn enter(title: &str) -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        // A message in the middle of the picture would be lost with it, so it is kept for afterwards.
        // A panic of the terminal emulator is caught behind `screen` and goes by unseen.
        let usual: Arc<PanicHook> = std::panic::take_hook().into();
        let panic = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&panic);
        std::panic::set_hook(Box::new(move |info| {
            if let Ok(mut kept) = kept.lock() {
                *kept = Some(info.to_string());
            }
        }));
        let guard = Self { usual, panic };
        let title = SetTitle(format!("scry play {}", record::note::clean(title, 80)));
        execute!(io::stdout(), EnterAlternateScreen, DisableLineWrap, cursor::Hide, title)?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
        if std::thread::panicking() {
            let text = self.panic.lock().ok().and_then(|mut text| text.take());
            let _ = writeln!(io::stderr(), "{}", text.unwrap_or_default());
        } else {
            let usual = Arc::clone(&self.usual);
            std::panic::set_hook(Box::new(move |info| usual(info)));
        }
    }
}

fn restore() {
    // Nothing can be done about a terminal that has gone.
    let _ = execute!(io::stdout(), EnableLineWrap, LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
}

/// How long the player may take to stop; one that waits for a terminal that has gone never does.
const LEAVE: Duration = Duration::from_secs(1);

/// Asks the player to stop at SIGTERM and SIGHUP, so that the terminal is given back.
struct Signals {
    done: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Signals {
    fn watch(stop: Arc<AtomicBool>) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (done, mut gone) = tokio::sync::oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread =
            std::thread::Builder::new().name("player signals".into()).spawn(move || {
                runtime.block_on(async move {
                    let kinds = [SignalKind::terminate(), SignalKind::hangup()];
                    let [Ok(mut term), Ok(mut hangup)] = kinds.map(signal) else { return };
                    tokio::select! {
                        _ = term.recv() => {}
                        _ = hangup.recv() => {}
                        _ = &mut gone => return,
                    }
                    stop.store(true, Ordering::Relaxed);
                    if tokio::time::timeout(LEAVE, gone).await.is_err() {
                        leave_without_a_terminal();
                    }
                });
            })?;
        Ok(Self { done: Some(done), thread: Some(thread) })
    }
}

/// Reading a terminal that has gone never returns from the terminal library, which tries again for ever.
#[expect(
    clippy::disallowed_methods,
    reason = "the thread that plays cannot be reached, and there is nothing to restore"
)]
fn leave_without_a_terminal() {
    std::process::exit(129);
}

impl Drop for Signals {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}
