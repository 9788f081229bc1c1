//! Where a file waits for a word: one at a time, each number once, and not for ever.

use model::entry::Party;
use model::limit::WANTED_MS;
use model::{Tick, Wanted};
use std::collections::BTreeMap;

/// The file of one session that waits, and what was said for it. `W` is a word of somebody who may say one: whether all of
/// them are enough is decided elsewhere, anew after each.
#[derive(Debug)]
pub struct Desk<W> {
    waits: Option<Waits<W>>,
    /// The highest number that has lain here.
    last: u32,
}

#[derive(Debug)]
struct Waits<W> {
    wanted: Wanted,
    until: Tick,
    said: BTreeMap<Party, W>,
}

/// Why a file or a word was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheard {
    /// No file with that number waits, or not any more.
    NoSuchFile,
    /// Another file waits, or one with that number has.
    NoRoom,
}

impl Unheard {
    /// For who said it, or wants it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NoSuchFile => "no file with that number waits for a word here",
            Self::NoRoom => "one file waits for a word at a time",
        }
    }
}

impl<W> Default for Desk<W> {
    fn default() -> Self {
        Self { waits: None, last: 0 }
    }
}

impl<W> Desk<W> {
    /// A file is laid here, unless one lies here already, or one with its number has: a number must not come to mean another
    /// file while somebody says a word about it.
    ///
    /// # Errors
    /// [`Unheard::NoRoom`].
    pub fn lay(&mut self, wanted: Wanted, now: Tick) -> Result<(), Unheard> {
        if self.waits.is_some() || wanted.number <= self.last {
            return Err(Unheard::NoRoom);
        }
        self.last = wanted.number;
        let (until, said) = (now.plus_ms(WANTED_MS), BTreeMap::new());
        self.waits = Some(Waits { wanted, until, said });
        Ok(())
    }

    /// The file that lies here.
    #[must_use]
    pub fn wanted(&self) -> Option<&Wanted> {
        self.waits.as_ref().map(|waits| &waits.wanted)
    }

    /// `by` says a word for file `number`; answers all that were said for it.
    ///
    /// # Errors
    /// [`Unheard`]: nothing was said.
    pub fn say(
        &mut self,
        by: Party,
        number: u32,
        word: W,
    ) -> Result<impl Iterator<Item = &W>, Unheard> {
        let waits = self.waits.as_mut().filter(|waits| waits.wanted.number == number);
        let waits = waits.ok_or(Unheard::NoSuchFile)?;
        waits.said.insert(by, word);
        Ok(waits.said.values())
    }

    /// File `number` is taken away: it was let through or refused.
    ///
    /// # Errors
    /// [`Unheard`]: it does not lie here.
    pub fn take(&mut self, number: u32) -> Result<Wanted, Unheard> {
        let is_it = |waits: &mut Waits<W>| waits.wanted.number == number;
        let waits = self.waits.take_if(is_it).ok_or(Unheard::NoSuchFile)?;
        Ok(waits.wanted)
    }

    /// `by` is there no longer, or counts no longer: what they said is not said.
    pub fn forget(&mut self, by: Party) {
        if let Some(waits) = &mut self.waits {
            waits.said.remove(&by);
        }
    }

    /// When [`Desk::handle_timeout`] has something to decide.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        self.waits.as_ref().map(|waits| waits.until)
    }

    /// The file whose time is over; it is taken away.
    pub fn handle_timeout(&mut self, now: Tick) -> Option<Wanted> {
        self.waits.take_if(|waits| waits.until <= now).map(|waits| waits.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::wanted::{Direction, Target};
    use proptest::prelude::*;

    fn wanted(number: u32) -> Wanted {
        let (asked, path) = ("a".to_owned(), "/a".to_owned());
        let target = Target::New { device: 1, inode: 2 };
        Wanted { number, direction: Direction::Upload, asked, path, target }
    }

    /// Does each of these and answers what came of it: `lay N`, `say WHO N`, `take N`, `forget WHO`, `at MS`.
    fn check(steps: &str) -> String {
        let mut desk: Desk<u16> = Desk::default();
        let (mut now, mut came) = (Tick(0), Vec::new());
        for step in steps.split(", ") {
            let (verb, rest) = step.split_once(' ').unwrap();
            let numbers: Vec<u64> = rest.split(' ').map(|one| one.parse().unwrap()).collect();
            let number = |at: usize| u32::try_from(numbers[at]).unwrap();
            let party = |at: usize| Party(u16::try_from(numbers[at]).unwrap());
            came.push(match verb {
                "lay" => desk.lay(wanted(number(0)), now).map_or("no".into(), |()| "ok".into()),
                "say" => match desk.say(party(0), number(1), party(0).0) {
                    Ok(said) => said.map(u16::to_string).collect::<Vec<_>>().join("+"),
                    Err(why) => format!("{why:?}"),
                },
                "take" => match desk.take(number(0)) {
                    Ok(wanted) => wanted.number.to_string(),
                    Err(why) => format!("{why:?}"),
                },
                "forget" => {
                    desk.forget(party(0));
                    "ok".into()
                }
                _ => {
                    now = Tick(numbers[0]);
                    let over = desk.handle_timeout(now);
                    assert!(desk.poll_timeout().is_none_or(|at| at > now));
                    over.map_or("-".into(), |wanted| format!("over {}", wanted.number))
                }
            });
        }
        came.join(", ")
    }

    #[test]
    fn words_are_heard_for_the_file_that_waits_and_no_other() {
        for (steps, came) in [
            ("say 1 1", "NoSuchFile"),
            ("lay 1, say 1 1, take 1", "ok, 1, 1"),
            ("lay 1, say 1 2, say 1 0, take 2", "ok, NoSuchFile, NoSuchFile, NoSuchFile"),
            ("lay 1, take 1, say 1 1, take 1", "ok, 1, NoSuchFile, NoSuchFile"),
            ("lay 1, say 1 1, say 1 1, say 2 1", "ok, 1, 1, 1+2"),
            ("lay 1, say 1 1, take 1, lay 2, say 2 2", "ok, 1, 1, ok, 2"),
            ("lay 1, say 1 1, say 2 1, forget 1, say 3 1", "ok, 1, 1+2, ok, 2+3"),
        ] {
            assert_eq!(check(steps), came, "{steps}");
        }
    }

    #[test]
    fn one_file_waits_at_a_time_and_no_number_comes_twice() {
        for (steps, came) in [
            ("lay 1, lay 2, take 1", "ok, no, 1"),
            ("lay 1, take 1, lay 1", "ok, 1, no"),
            ("lay 5, take 5, lay 4, lay 6", "ok, 5, no, ok"),
            ("lay 0", "no"),
        ] {
            assert_eq!(check(steps), came, "{steps}");
        }
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (last, late) = (WANTED_MS - 1, WANTED_MS);
        let steps = format!("lay 1, at {last}, say 1 1, at {late}, say 1 1, lay 2, at {late}");
        assert_eq!(check(&steps), "ok, -, 1, over 1, NoSuchFile, ok, -");
    }

    proptest! {
        /// Beside a plain model: a list of everything that happened, looked through anew for each answer.
        #[test]
        fn a_word_is_heard_once_for_the_file_it_is_about_whatever_comes_in_between(
            acts in proptest::collection::vec((0u8..5, 1u32..6, 1u16..4, 0u64..WANTED_MS / 2), 0..60),
        ) {
            let mut desk: Desk<u16> = Desk::default();
            let (mut waits, mut seen, mut now) = (None::<(u32, u64)>, 0, 0);
            let mut said: Vec<(u32, u16)> = Vec::new();
            for (act, number, who, ms) in acts {
                let is_it = waits.is_some_and(|(it, _)| it == number);
                match act {
                    0 => {
                        let has_room = waits.is_none() && number > seen;
                        prop_assert_eq!(desk.lay(wanted(number), Tick(now)).is_ok(), has_room);
                        if has_room {
                            (waits, seen) = (Some((number, now)), number);
                        }
                    }
                    1 => {
                        let heard = desk.say(Party(who), number, who);
                        let heard = heard.map(|all| all.copied().collect::<Vec<_>>()).ok();
                        said.retain(|one| *one != (number, who));
                        if is_it {
                            said.push((number, who));
                        }
                        let of_it = said.iter().filter(|(it, _)| *it == number);
                        let mut all: Vec<_> = of_it.map(|(_, who)| *who).collect();
                        all.sort_unstable();
                        prop_assert_eq!(heard, is_it.then_some(all));
                    }
                    2 => {
                        prop_assert_eq!(desk.take(number).is_ok(), is_it);
                        waits = waits.filter(|_| !is_it);
                    }
                    3 => {
                        desk.forget(Party(who));
                        said.retain(|(_, by)| *by != who);
                    }
                    _ => {
                        now += ms;
                        let over = waits.filter(|(_, since)| since + WANTED_MS <= now);
                        let told = desk.handle_timeout(Tick(now)).map(|wanted| wanted.number);
                        prop_assert_eq!(told, over.map(|(number, _)| number));
                        waits = waits.filter(|_| over.is_none());
                    }
                }
                prop_assert_eq!(desk.wanted().map(|it| it.number), waits.map(|(it, _)| it));
            }
        }
    }
}
