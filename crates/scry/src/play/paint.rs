//! What the player shows: the recorded screen, letter-boxed or panned, and the status line below it.

use super::mind::Mind;
use super::outline::Outline;
use super::wish::{Clock, Listed, Overlay};
use model::{Tick, Time};
use record::find::Pattern;
use record::note::{NoteKind, time};
use screen::{BAR, Canvas, Cell, Colour, Screen, Style};

/// Everything that is shown.
pub struct Scene<'a> {
    /// The recorded screen.
    pub screen: &'a Screen,
    /// The player.
    pub mind: &'a Mind,
    /// The moment.
    pub now: Tick,
    /// Whose session it is.
    pub title: &'a str,
    /// When it began.
    pub started: Time,
    /// Gaps: from, to, in milliseconds.
    pub gaps: &'a [(u64, u64)],
    /// The lists, as far as they were read.
    pub outline: &'a Outline,
    /// Who of several typed just now.
    pub types: Option<&'a str>,
    /// How far the lists were read, while they still are.
    pub reading: Option<u64>,
    /// How far a search has come.
    pub searched: Option<u64>,
}

const KEYS: [(&str, &str); 17] = [
    ("space p", "play, pause"),
    ("← → h l", "5 seconds"),
    ("⇧← ⇧→ PgUp PgDn", "60 seconds"),
    (", .", "one entry back, on"),
    ("0 … 9", "to 0 … 90 percent"),
    ("g G", "to the start, to the end"),
    ("1:30 G", "to a time"),
    ("[ ]", "previous, next marker"),
    ("C c", "previous, next program that ran"),
    ("E e", "previous, next file or connection seen"),
    ("m M", "list of markers and programs, of files"),
    ("/ n N", "search, next, previous"),
    ("< > ⌫", "slower, faster, normal"),
    ("i", "skip idle time"),
    ("f", "follow what goes on"),
    ("t", "elapsed, remaining, wall clock"),
    ("q", "quit"),
];

/// Draws it all.
pub fn paint(scene: &Scene<'_>, size: (u16, u16)) -> Canvas {
    let (cols, rows) = size;
    let mut canvas = Canvas::new(cols, rows);
    if cols == 0 || rows == 0 {
        return canvas;
    }
    let view = (cols, rows - 1);
    picture(scene, view, &mut canvas);
    match scene.mind.overlay() {
        Some(Overlay::Help) => help(view, &mut canvas),
        Some(Overlay::List(of, chosen)) => list(scene, (of, chosen), view, &mut canvas),
        None => {}
    }
    status(scene, rows - 1, &mut canvas);
    canvas
}

fn picture(scene: &Scene<'_>, view: (u16, u16), canvas: &mut Canvas) {
    let pattern = scene.mind.search().and_then(Pattern::new);
    let found = pattern.map(|pattern| pattern.places(scene.screen)).unwrap_or_default();
    canvas.show(scene.screen, view, |col, row, cell| {
        if found.binary_search(&(col, row)).is_ok() {
            cell.style.fg = Colour::Indexed(16);
            cell.style.bg = Colour::Indexed(220);
            cell.style.inverse = false;
            cell.style.faint = false;
        }
    });
    if scene.mind.overlay().is_some() {
        canvas.cursor = None;
    }
}

/// A box in the middle, as large as fits; gives the first column and row inside, and the size inside.
fn window(
    wanted: (u16, u16),
    view: (u16, u16),
    title: &str,
    canvas: &mut Canvas,
) -> Option<((u16, u16), (u16, u16))> {
    let cols = wanted.0.saturating_add(4).min(view.0);
    let rows = wanted.1.saturating_add(2).min(view.1);
    if cols < 6 || rows < 3 {
        return None;
    }
    let (left, top) = ((view.0 - cols) / 2, (view.1 - rows) / 2);
    for row in top..top + rows {
        canvas.text(left, row, left + cols, &" ".repeat(cols.into()), Style::PLAIN);
    }
    canvas.frame((left, top), (cols, rows));
    canvas.text(
        left + 2,
        top,
        left + cols - 2,
        &format!(" {title} "),
        Style { bold: true, ..Style::PLAIN },
    );
    Some(((left + 2, top + 1), (cols - 4, rows - 2)))
}

fn help(view: (u16, u16), canvas: &mut Canvas) {
    let wanted = (48, u16::try_from(KEYS.len()).unwrap_or(u16::MAX));
    let Some(((col, row), (cols, rows))) = window(wanted, view, "keys", canvas) else { return };
    let key_cols = if cols < 36 { 10 } else { 17 };
    for (row, (keys, meaning)) in (row..row + rows).zip(KEYS) {
        canvas.text(col, row, col + key_cols - 1, keys, Style { bold: true, ..Style::PLAIN });
        canvas.text(col + key_cols, row, col + cols, meaning, Style::PLAIN);
    }
}

fn list(scene: &Scene<'_>, (of, chosen): (Listed, usize), view: (u16, u16), canvas: &mut Canvas) {
    let notes = scene.outline.notes(of);
    let count = u16::try_from(notes.len().max(1)).unwrap_or(u16::MAX);
    let title = match (scene.reading, of, scene.outline.left_out(of)) {
        (Some(at), ..) => format!("reading, {} so far", time(at)),
        (None, Listed::Notes, 0) => "markers, people, gaps".to_owned(),
        (None, Listed::Seen, 0) => "files and connections".to_owned(),
        (None, _, more) => format!("the first {}; {more} more are not listed", notes.len()),
    };
    let Some(((col, row), (cols, rows))) = window((76, count), view, &title, canvas) else {
        return;
    };
    if notes.is_empty() && scene.reading.is_none() {
        canvas.text(col, row, col + cols, "there are none in this recording", Style::PLAIN);
    }
    let first = (chosen + 1).saturating_sub(rows.into());
    for (row, (n, note)) in (row..row + rows).zip(notes.iter().enumerate().skip(first)) {
        let line = format!("{:>8} {} {}", time(note.at), note.sign(), note.text);
        let line = format!("{line:width$}", width = usize::from(cols));
        let style = Style { inverse: n == chosen, ..note_style(note.kind, Style::PLAIN) };
        canvas.text(col, row, col + cols, &line, style);
    }
}

fn note_style(kind: NoteKind, style: Style) -> Style {
    match kind {
        NoteKind::Gap => Style { fg: Colour::Indexed(203), ..style },
        NoteKind::Mark => Style { fg: Colour::Indexed(222), ..style },
        NoteKind::People
        | NoteKind::Said
        | NoteKind::Keyboard
        | NoteKind::Frozen
        | NoteKind::Size
        | NoteKind::Forward
        | NoteKind::File
        | NoteKind::Command
        | NoteKind::Seen
        | NoteKind::End => style,
    }
}

fn status(scene: &Scene<'_>, row: u16, canvas: &mut Canvas) {
    let mind = scene.mind;
    let cols = canvas.size().0;
    canvas.text(0, row, cols, &" ".repeat(cols.into()), BAR);
    let strong = Style { bold: true, ..BAR };
    if let Some(text) = mind.prompt() {
        let text: Vec<char> = format!("/{text}").chars().collect();
        let from = (text.len() + 1).saturating_sub(cols.into());
        let text: String = text.into_iter().skip(from).collect();
        let end = canvas.text(0, row, cols, &text, strong);
        canvas.cursor = Some((end.min(cols - 1), row));
        return;
    }
    let position = mind.position(scene.now);
    let mut col = canvas.text(0, row, cols, &format!(" {} ", sign(mind)), strong);
    col = canvas.text(col, row, cols, &clock(scene, position, cols < 60), BAR);
    let middle = message(scene);
    let mut tail = state(mind);
    tail.extend(scene.types.map(|who| format!("{who} types")));
    if cols >= 60 && !scene.title.is_empty() {
        tail.push(scene.title.to_owned());
    }
    let tail = if tail.is_empty() { String::new() } else { format!(" {} ", tail.join(" · ")) };
    // The bar keeps a quarter of the line; what is longer is cut.
    let least = col.saturating_add(cols / 4).min(cols);
    let width = u16::try_from(tail.chars().count()).unwrap_or(u16::MAX);
    let mut tail_col = cols.saturating_sub(width).max(least);
    if let Some(text) = middle {
        let alarm = text.starts_with("GAP") || text.starts_with("damaged");
        let style = if alarm { Style { fg: Colour::Indexed(203), ..strong } } else { strong };
        let wanted = col.saturating_add(u16::try_from(text.chars().count()).unwrap_or(u16::MAX));
        if wanted.saturating_add(2) > tail_col {
            tail_col = cols;
        }
        canvas.text(col + 1, row, tail_col, &text, style);
    } else {
        bar(scene, position, (col + 1, tail_col.saturating_sub(1)), row, canvas);
    }
    canvas.text(tail_col, row, cols, &tail, BAR);
}

fn sign(mind: &Mind) -> &'static str {
    if mind.is_following() {
        "●"
    } else if mind.is_playing() {
        "▶"
    } else if mind.is_at_end() {
        "■"
    } else {
        "‖"
    }
}

fn clock(scene: &Scene<'_>, position: u64, short: bool) -> String {
    let length = scene.mind.length();
    let gap = if short { "/" } else { " / " };
    match scene.mind.clock() {
        Clock::Elapsed => format!("{}{gap}{}", time(position), time(length)),
        Clock::Remaining => {
            format!("-{}{gap}{}", time(length.saturating_sub(position)), time(length))
        }
        Clock::Wall => {
            let at = scene.started.plus_ms(i64::try_from(position).unwrap_or(i64::MAX));
            let format = if short { "%H:%M:%S" } else { "%F %H:%M:%S" };
            jiff::Timestamp::from_millisecond(at.0).map_or_else(
                |_| "?".to_owned(),
                |at| at.to_zoned(jiff::tz::TimeZone::system()).strftime(format).to_string(),
            )
        }
    }
}

fn message(scene: &Scene<'_>) -> Option<String> {
    let mind = scene.mind;
    if let (true, Some(at)) = (mind.is_searching(), scene.searched) {
        return Some(format!("searching {} … Esc stops", time(at)));
    }
    if let Some(digits) = mind.digits() {
        return Some(format!("to {digits}? press G"));
    }
    mind.message().map(ToOwned::to_owned)
}

fn state(mind: &Mind) -> Vec<String> {
    let mut words = Vec::new();
    if mind.is_following() {
        words.push("live".to_owned());
    }
    if (mind.speed() - 1.0).abs() > f64::EPSILON {
        words.push(format!("{}×", mind.speed()));
    }
    if mind.skip_idle_ms().is_some() {
        words.push("idle cut".to_owned());
    }
    words
}

fn bar(scene: &Scene<'_>, position: u64, (from, to): (u16, u16), row: u16, canvas: &mut Canvas) {
    let Some(width) = to.checked_sub(from).filter(|width| *width >= 4) else { return };
    let length = scene.mind.length().max(1);
    let place = |ms: u64| {
        let place = ms.min(length).saturating_mul(u64::from(width - 1)) / length;
        from + u16::try_from(place).unwrap_or(0)
    };
    let mut put = |col, ch, fg| {
        let style = Style { fg: Colour::Indexed(fg), ..BAR };
        canvas.set(col, row, Cell { ch, width: 1, style });
    };
    for col in from..to {
        put(
            col,
            if col <= place(position) { '━' } else { '─' },
            if col <= place(position) { 75 } else { 244 },
        );
    }
    for note in scene.outline.notes(Listed::Notes).iter().filter(|note| note.kind == NoteKind::Mark)
    {
        put(place(note.at), '◆', 222);
    }
    for (start, end) in scene.gaps {
        for col in place(*start)..=place(*end) {
            put(col, '×', 203);
        }
    }
    put(place(position), '●', 255);
}
