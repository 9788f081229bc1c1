//! Search inside: when a text came onto the screen, however briefly.

use crate::picture::{blank, draw_bytes, picture_of};
use crate::skim::Skim;
use crate::{Corrupt, From as Place, Recording, Source};
use model::Seq;
use model::entry::{Entry, Stream};
use model::limit::{EXPRESSION_CHARS, EXPRESSION_EMPTY, REGEX_BYTES};
use regex::{Regex, RegexBuilder};
use screen::Screen;
use std::collections::BTreeMap;

/// A place where a text came onto the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The entry.
    pub seq: Seq,
    /// Its time.
    pub at: u64,
    /// Bytes of its output after which the text is on the screen.
    pub within: usize,
}

/// What is on a screen, as far as a search that begins there must know.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The screen.
    pub screen: &'a Screen,
    /// The last entry that was drawn.
    pub seq: Seq,
    /// Time of the latest entry that was drawn.
    pub at: u64,
    /// Bytes of the next entry that are on the screen already.
    pub drawn: usize,
}

/// What is looked for. Capitals in it make it exact; without any, capitals do not matter.
#[derive(Debug, Clone)]
pub struct Pattern(What);

#[derive(Debug, Clone)]
enum What {
    Text { chars: Vec<char>, exact: bool, rare: usize },
    Expression(Regex),
}

/// What is no regular expression, in words for who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoExpression(pub String);

impl Pattern {
    /// `None` for nothing.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        Self::with(text, text.chars().any(char::is_uppercase))
    }

    /// As said, whether capitals matter. `None` for nothing.
    #[must_use]
    pub fn with(text: &str, exact: bool) -> Option<Self> {
        let chars: Vec<char> = text.chars().map(|ch| fold(ch, exact)).collect();
        let rare = (0..chars.len()).max_by_key(|at| chars.get(*at).map_or(0, |ch| rarity(*ch)))?;
        Some(Self(What::Text { chars, exact, rare }))
    }

    /// A regular expression; as said, whether capitals matter. It takes bounded memory. In a line it is looked for in the first
    /// [`EXPRESSION_CHARS`] characters, because it may go to the end of them from each of them.
    ///
    /// # Errors
    /// [`NoExpression`].
    pub fn expression(text: &str, exact: bool) -> Result<Self, NoExpression> {
        let mut builder = RegexBuilder::new(text);
        builder.case_insensitive(!exact).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES);
        builder.build().map(|built| Self(What::Expression(built))).map_err(|error| {
            NoExpression(match error {
                regex::Error::CompiledTooBig(_) => "it is too large: ask for less at once".into(),
                // Its last line says what is wrong; those before it draw where.
                error => {
                    let words = error.to_string();
                    words.lines().last().unwrap_or_default().trim_start_matches("error: ").into()
                }
            })
        })
    }

    /// Places (column, row) on the screen that belong to a match.
    #[must_use]
    pub fn places(&self, screen: &Screen) -> Vec<(u16, u16)> {
        let mut places = Vec::new();
        for line in lines(screen) {
            for (start, end) in self.found(&line, usize::MAX) {
                let found = line.iter().take(end).skip(start);
                places.extend(found.map(|at| (at.col, at.row)));
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether there is a match on the screen.
    #[must_use]
    pub fn is_on(&self, screen: &Screen) -> bool {
        lines(screen).iter().any(|line| !self.found(line, 1).is_empty())
    }

    /// What passes over lines without a match, if there is such a thing for it.
    pub(crate) fn skim(&self) -> Option<Skim> {
        match &self.0 {
            What::Text { chars, exact, .. } => Skim::of(&chars.iter().collect::<String>(), *exact),
            What::Expression(_) => None,
        }
    }

    /// Where the first match stands in a text: its first character, from 0, and the one behind its last.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<(u32, u32)> {
        let line: Vec<At> = text.chars().map(|ch| At { ch, col: 0, row: 0 }).collect();
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.found(&line, 1).pop().map(|(start, end)| (place(start), place(end)))
    }

    /// The lines with a match.
    pub(crate) fn matches(&self, screen: &Screen) -> Vec<Match> {
        let of = |line: Vec<At>| {
            let (start, end) = self.found(&line, 1).pop()?;
            let shape = line.iter().map(|at| if at.ch.is_ascii_digit() { '0' } else { at.ch });
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            Some(Match {
                shape: shape.collect(),
                row: line.first().map_or(0, |at| at.row),
                text: line.iter().map(|at| at.ch).collect(),
                from: place(start),
                to: place(end),
            })
        };
        let mut matches = Vec::new();
        let (mut row, rows) = (0, screen.size().1);
        while row < rows {
            let last = last_row(screen, row);
            if (row..=last).any(|row| self.may_touch(screen, row)) {
                matches.extend(of(line(screen, row, last)));
            }
            row = last.saturating_add(1);
        }
        matches
    }

    /// Whether a match can stand in a row, wholly or in part: a look that costs far less than to be sure. Of a text it is whether
    /// its rarest character stands there between its neighbours, as far as those are in this row.
    fn may_touch(&self, screen: &Screen, row: u16) -> bool {
        let What::Text { chars, exact, rare } = &self.0 else { return true };
        let Some(wanted) = chars.get(*rare) else { return true };
        let before = rare.checked_sub(1).and_then(|at| chars.get(at));
        let behind = chars.get(rare + 1);
        let (mut last, mut open) = (None, false);
        for ch in screen.chars(row) {
            let ch = fold(ch, *exact);
            if open && behind == Some(&ch) {
                return true;
            }
            open = ch == *wanted && (last.is_none() || before.is_none() || last.as_ref() == before);
            if open && behind.is_none() {
                return true;
            }
            last = Some(ch);
        }
        open
    }

    /// The first `most` matches in a line, each with the place behind its last character. An expression that fits nothing at
    /// all does not count.
    fn found(&self, line: &[At], most: usize) -> Vec<(usize, usize)> {
        match &self.0 {
            What::Text { chars, exact, .. } => {
                let same = |(at, ch): (&At, &char)| fold(at.ch, *exact) == *ch;
                let starts = line.windows(chars.len()).enumerate().filter_map(|(start, window)| {
                    let fits = window.iter().zip(chars).all(same);
                    fits.then_some((start, start.saturating_add(chars.len())))
                });
                starts.take(most).collect()
            }
            What::Expression(expression) => {
                let text: String = line.iter().take(EXPRESSION_CHARS).map(|at| at.ch).collect();
                let place =
                    |byte: usize| text.get(..byte).map_or(0, |before| before.chars().count());
                let mut empty = 0;
                let found = expression.find_iter(&text).take_while(|found| {
                    empty += usize::from(found.is_empty());
                    empty <= EXPRESSION_EMPTY
                });
                let found = found.filter(|found| !found.is_empty());
                found.take(most).map(|found| (place(found.start()), place(found.end()))).collect()
            }
        }
    }
}

/// The lines with a match that were on the screen at the last look: each one's shape, and its row.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<(String, u16)>);

impl Seen {
    /// Whether there was none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is on a screen where a search begins.
    pub(crate) fn on(pattern: &Pattern, screen: &Screen) -> Self {
        let mut seen = Self::default();
        seen.news(pattern.matches(screen));
        seen
    }

    /// Those that were not there before, from the top. A counter that counts is no new one; of lines that look alike the
    /// lowest ones are the new ones. A line that is typed on, or edited at its end, is told as one that goes on.
    pub(crate) fn news(&mut self, matches: Vec<Match>) -> Vec<(Match, News)> {
        let now = matches.iter().map(|one| (one.shape.clone(), one.row)).collect();
        let mut left: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        for (shape, row) in std::mem::replace(&mut self.0, now) {
            left.entry(shape).or_default().push(row);
        }
        let mut rest = matches;
        rest.retain(|one| left.get_mut(&one.shape).and_then(Vec::pop).is_none());
        let tell = |one: Match| {
            let before =
                |(shape, rows): (&String, &Vec<u16>)| rows.contains(&one.row) && one.goes_on(shape);
            let news = if left.iter().any(before) { News::GoesOn } else { News::Came };
            (one, news)
        };
        rest.into_iter().map(tell).collect()
    }
}

/// What is new about a line with a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Came,
    GoesOn,
}

/// A line with a match.
pub(crate) struct Match {
    /// The line, digits alike.
    pub shape: String,
    /// The row in which it begins.
    pub row: u16,
    pub text: String,
    /// The first character of the first match, and the one behind its last.
    pub from: u32,
    pub to: u32,
}

impl Match {
    /// Whether one of the two lines is the other with more at its end.
    fn goes_on(&self, shape: &str) -> bool {
        self.shape.starts_with(shape) || shape.starts_with(&self.shape)
    }
}

/// A character and where it stands.
struct At {
    ch: char,
    col: u16,
    row: u16,
}

fn fold(ch: char, exact: bool) -> char {
    match (exact, ch.is_ascii()) {
        (true, _) => ch,
        (false, true) => ch.to_ascii_lowercase(),
        (false, false) => ch.to_lowercase().next().unwrap_or(ch),
    }
}

/// How rare a character is in what terminals show, roughly.
fn rarity(ch: char) -> usize {
    let common = " etaoinsrlhdcumpgfbyw0.-/_1v:k2,=x34jq5678z9";
    common.chars().position(|known| known == ch).unwrap_or(common.len())
}

/// The lines of a screen, wrapped ones joined.
fn lines(screen: &Screen) -> Vec<Vec<At>> {
    let (mut lines, mut row) = (Vec::new(), 0);
    while row < screen.size().1 {
        let last = last_row(screen, row);
        lines.push(line(screen, row, last));
        row = last.saturating_add(1);
    }
    lines
}

/// The last row of the line that begins in this one.
fn last_row(screen: &Screen, row: u16) -> u16 {
    let last = screen.size().1.saturating_sub(1);
    (row..last).find(|row| !screen.wraps(*row)).unwrap_or(last)
}

/// The line in these rows, without what is blank at its end.
fn line(screen: &Screen, first: u16, last: u16) -> Vec<At> {
    let mut line: Vec<At> = Vec::new();
    for row in first..=last {
        let cells = (0u16..).zip(screen.row(row)).filter(|(_, cell)| cell.width > 0);
        line.extend(cells.map(|(col, cell)| At { ch: cell.ch, col, row }));
    }
    if !screen.wraps(last) {
        let used = line.iter().rposition(|at| at.ch != ' ').map_or(0, |last| last + 1);
        line.truncate(used);
    }
    line
}

/// A search that goes on bit by bit.
pub struct Hunt {
    pattern: Pattern,
    way: Way,
}

enum Way {
    /// From a screen on, forwards.
    On { walk: Box<Walk> },
    /// Backwards: from the start of each part of the recording to `before`.
    Back { before: Seq, done: bool },
}

struct Walk {
    screen: Screen,
    seen: Seen,
    seq: Seq,
    at: u64,
    /// Bytes of the next entry that are drawn already.
    drawn: usize,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Call again; it has come to this time.
    Working(u64),
    /// Found.
    Found(Hit),
    /// There is nothing in this direction.
    Nothing,
}

impl Hunt {
    /// Forwards from what is shown.
    #[must_use]
    pub fn on(pattern: Pattern, from: Shown<'_>) -> Self {
        let (cols, rows) = from.screen.size();
        let mut screen = Screen::new(cols, rows);
        screen.feed(&from.screen.dump());
        let seen = Seen::on(&pattern, &screen);
        let Shown { seq, at, drawn, .. } = from;
        let walk = Walk { screen, seen, seq, at, drawn };
        Self { pattern, way: Way::On { walk: Box::new(walk) } }
    }

    /// What is looked for.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Backwards from the entry `before`, which is left out.
    #[must_use]
    pub fn back(pattern: Pattern, before: Seq) -> Self {
        Self { pattern, way: Way::Back { before, done: false } }
    }

    /// Searches on while `more` says so. A part between two keyframes is the least that is done.
    ///
    /// # Errors
    /// The recording is damaged here.
    pub fn run<S: Source>(
        &mut self,
        recording: &Recording<S>,
        mut more: impl FnMut() -> bool,
    ) -> Result<Outcome, Corrupt> {
        match &mut self.way {
            Way::On { walk } => {
                let mut found = None;
                walk.along(recording, &self.pattern, |hit, _| {
                    found = hit;
                    hit.is_none() && more()
                })?;
                Ok(match found {
                    Some(hit) => Outcome::Found(hit),
                    None if walk.seq >= recording.last_seq() => Outcome::Nothing,
                    None => Outcome::Working(walk.at),
                })
            }
            Way::Back { before, done } => {
                while !*done {
                    let (mut walk, start) = Walk::before(recording, &self.pattern, *before)?;
                    let mut last = None;
                    let limit = *before;
                    walk.along(recording, &self.pattern, |hit, next| {
                        last = hit.filter(|hit| hit.seq < limit).or(last);
                        next.next() < limit
                    })?;
                    if let Some(hit) = last {
                        return Ok(Outcome::Found(hit));
                    }
                    *done = start.0 == 0;
                    *before = start.next();
                    if !more() {
                        return Ok(Outcome::Working(walk.at));
                    }
                }
                Ok(Outcome::Nothing)
            }
        }
    }
}

impl Walk {
    /// From the last keyframe before an entry, or the beginning.
    fn before<S: Source>(
        recording: &Recording<S>,
        pattern: &Pattern,
        before: Seq,
    ) -> Result<(Self, Seq), Corrupt> {
        let earlier = Seq(before.0.saturating_sub(2));
        let frame = match before.0 {
            0..=2 => None,
            _ => recording.keyframe_before(earlier)?,
        };
        let (screen, seq, at) = match frame {
            Some(frame) => (picture_of(&frame), frame.seq, frame.at),
            None => (blank(recording), Seq(0), 0),
        };
        let seen = Seen::on(pattern, &screen);
        Ok((Self { screen, seen, seq, at, drawn: 0 }, seq))
    }

    /// Draws on, entry by entry, while `go_on` says so; it gets the hit of the entry, if there is one.
    fn along<S: Source>(
        &mut self,
        recording: &Recording<S>,
        pattern: &Pattern,
        mut go_on: impl FnMut(Option<Hit>, Seq) -> bool,
    ) -> Result<(), Corrupt> {
        for next in recording.entries(Place::Seq(self.seq.next())) {
            let next = next?;
            self.seq = next.seq;
            self.at = self.at.max(next.at);
            let within = match &next.entry {
                Entry::Output { stream, bytes } => {
                    let drawn = std::mem::take(&mut self.drawn).min(bytes.len());
                    let rest = bytes.get(drawn..).unwrap_or_default();
                    self.draw(pattern, *stream, rest).map(|within| drawn + within)
                }
                Entry::Resize(size) => {
                    // Lines wrapped anew are no new text.
                    self.screen.resize(size.cols(), size.rows());
                    self.seen = Seen::on(pattern, &self.screen);
                    None
                }
                _ => None,
            };
            let hit = within.map(|within| Hit { seq: self.seq, at: self.at, within });
            if !go_on(hit, self.seq) {
                break;
            }
        }
        Ok(())
    }

    /// Draws output in parts that cannot scroll a line through the whole screen; the first hit counts.
    fn draw(&mut self, pattern: &Pattern, stream: Stream, bytes: &[u8]) -> Option<usize> {
        if stream == Stream::Stdin {
            return None;
        }
        let most = usize::from(self.screen.size().1 / 2).max(1);
        let mut found = None;
        let mut from = 0;
        while let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) {
            let length = part(rest, most, self.screen.size().0);
            draw_bytes(&mut self.screen, stream, rest.get(..length).unwrap_or(rest));
            from += length;
            let news = self.seen.news(pattern.matches(&self.screen));
            if found.is_none() && news.iter().any(|(_, news)| *news == News::Came) {
                found = Some(from);
            }
        }
        found
    }
}

/// Bytes at the beginning that fill at most so many lines.
pub(crate) fn part(bytes: &[u8], lines: usize, cols: u16) -> usize {
    let most = bytes.len().min(lines.saturating_mul(cols.into()));
    let breaks = bytes.iter().take(most).enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| at + 1).nth(lines.saturating_sub(1)).unwrap_or(most).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(pattern: &str, bytes: &str) -> Vec<(u16, u16)> {
        let mut screen = Screen::new(10, 3);
        screen.feed(bytes.as_bytes());
        Pattern::new(pattern).unwrap().places(&screen)
    }

    #[test]
    fn capitals_matter_only_when_there_are_any() {
        assert_eq!(places("ab", "AB ab"), [(0, 0), (1, 0), (3, 0), (4, 0)]);
        assert_eq!(places("Ab", "AB Ab"), [(3, 0), (4, 0)]);
        assert_eq!(places("é", "É"), [(0, 0)]);
        assert!(Pattern::new("").is_none());
    }

    #[test]
    fn a_wrapped_line_is_one_and_wide_characters_count_once() {
        assert_eq!(places("xy", "123456789xy"), [(0, 1), (9, 0)]);
        assert_eq!(places("本語", "日本語"), [(2, 0), (4, 0)]);
        assert_eq!(places("9 a", "123456789\r\na"), []);
    }

    #[test]
    fn an_expression_is_found_in_whole_lines_and_says_what_is_wrong_with_it() {
        let check = |text: &str, exact, bytes: &str, expected: &[(u16, u16)]| {
            let mut screen = Screen::new(10, 3);
            screen.feed(bytes.as_bytes());
            let pattern = Pattern::expression(text, exact).unwrap();
            assert_eq!(pattern.places(&screen), expected, "{text}");
            assert_eq!(pattern.is_on(&screen), !expected.is_empty(), "{text}");
        };
        check("a.c", true, "abc aXc", &[(0, 0), (1, 0), (2, 0), (4, 0), (5, 0), (6, 0)]);
        check("^B+$", false, "a\r\nbb", &[(0, 1), (1, 1)]);
        check("^B+$", true, "a\r\nbb", &[]);
        check("9x", true, "123456789x", &[(8, 0), (9, 0)]);
        check("本.", true, "日本語", &[(2, 0), (4, 0)]);
        check("z*", true, "abc", &[]);
        let wrong = |text: &str| Pattern::expression(text, true).unwrap_err().0;
        assert!(wrong("a(").contains("unclosed group"), "{}", wrong("a("));
        assert!(wrong("((a{99}){99}){99}").contains("too large"));
    }

    #[test]
    fn an_expression_that_looks_at_all_of_an_endless_line_from_everywhere_comes_to_an_end() {
        let mut screen = Screen::new(1024, 512);
        screen.feed(b"a");
        (0..128).for_each(|_| screen.feed(b"\x1b[4095b"));
        assert!(lines(&screen)[0].len() > 500_000);
        for (text, fits) in [("(?:.*X)?", false), (r"(?:.*X)?\b", false), ("(?:.*X)?a{2}", true)] {
            let pattern = Pattern::expression(text, true).unwrap();
            assert_eq!(pattern.is_on(&screen), fits, "{text}");
            let places = pattern.places(&screen).len();
            assert_eq!(places, if fits { EXPRESSION_CHARS } else { 0 }, "{text}");
        }
        let late = format!("{}X", "a".repeat(EXPRESSION_CHARS - 1));
        let pattern = Pattern::expression("X", true).unwrap();
        assert!(pattern.find(&late).is_some());
        assert!(pattern.find(&format!("a{late}")).is_none());
    }

    #[test]
    fn parts_end_at_line_breaks() {
        assert_eq!(part(b"a\nb\nc\n", 2, 80), 4);
        assert_eq!(part(b"abcdef", 2, 80), 6);
        assert_eq!(part(&[b'x'; 500], 2, 80), 160);
    }
}
