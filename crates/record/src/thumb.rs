//! A small picture of a recording, to be known again by.

use crate::picture::{Drawn, drawn_after, drawn_at, picture_of};
use crate::{Corrupt, Recording, Source};
use model::Seq;
use model::limit::{PREVIEW_RUNS, PREVIEW_SIZE};
pub use screen::{Colour, Style};

use screen::Screen;

/// A small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumb {
    /// The moment.
    pub at: u64,
    /// Columns and rows of the whole screen.
    pub size: (u16, u16),
    /// Its rows as runs of characters that look alike, without what is blank at their ends.
    pub lines: Vec<Vec<(String, Style)>>,
}

/// Of now.
///
/// # Errors
/// The recording is damaged.
pub fn latest<S: Source>(recording: &Recording<S>) -> Result<Thumb, Corrupt> {
    let at = recording.length_ms();
    let Drawn { screen, .. } = drawn_at(recording, at)?;
    Ok(Thumb::of(&screen, at))
}

/// Of the middle of what happened, which is not the middle of the time. A screen that was kept is taken if there is one:
/// nothing has to be drawn then.
///
/// # Errors
/// The recording is damaged there.
pub fn middle<S: Source>(recording: &Recording<S>) -> Result<Thumb, Corrupt> {
    let half = Seq(recording.last_seq().0 / 2);
    if let Some(frame) = recording.keyframe_before(half)? {
        return Ok(Thumb::of(&picture_of(&frame), frame.at));
    }
    let Drawn { screen, at, .. } = drawn_after(recording, half)?;
    Ok(Thumb::of(&screen, at))
}

impl Thumb {
    fn of(screen: &Screen, at: u64) -> Self {
        let size = screen.size();
        let mut runs = 0;
        let mut lines: Vec<_> =
            (0..size.1.min(PREVIEW_SIZE.1)).map(|row| line(screen, row, &mut runs)).collect();
        let used = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        lines.truncate(used);
        Self { at, size, lines }
    }
}

fn line(screen: &Screen, row: u16, runs: &mut usize) -> Vec<(String, Style)> {
    let mut line: Vec<(String, Style)> = Vec::new();
    let mut col = 0;
    for cell in screen.row(row).filter(|cell| cell.width > 0) {
        col += u16::from(cell.width);
        if col > PREVIEW_SIZE.0 {
            break;
        }
        let style = if *runs < PREVIEW_RUNS { cell.style } else { Style::PLAIN };
        match line.last_mut() {
            Some((text, same)) if *same == style => text.push(cell.ch),
            _ => {
                *runs += 1;
                line.push((cell.ch.to_string(), style));
            }
        }
    }
    // Blank is what shows nothing, whatever it looks like; a coloured bar does.
    let shows = |style: &Style| style.bg != Colour::Default || style.inverse || style.underline;
    if let Some((text, style)) = line.last_mut()
        && !shows(style)
    {
        text.truncate(text.trim_end().len());
        if text.is_empty() {
            line.pop();
        }
    }
    line
}
