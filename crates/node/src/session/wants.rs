//! Files that others approve one by one: laid on a desk, shown to everybody here, and let through or not.

use super::Live;
use crate::clock;
use crate::news::Latest;
use host::{FileNews, Files as Mover};
use model::audit::Audited;
use model::entry::{Entry, Party, People};
use model::words::is_odd;
use model::{Login, SessionId, UserName, Wanted};
use policy::{Demand, SessionFacts, Voice};
use session::Desk;
use session::desk::Unheard;
use wire::company::Told;

/// Told to whoever asked for a file about which nobody has said a word.
const NOBODY: &str = "nobody has answered; ask for it again when somebody is there";
/// Told to who says a word that does not count.
const NO_VOICE: &str = "your seat does not count for files of this session";

/// What a session knows of files that wait for a word.
pub(super) struct Wants {
    session: SessionId,
    owner: UserName,
    login: Login,
    demands: Vec<Demand>,
    /// What decides whose word counts; as it stands when it is said.
    latest: Latest,
    desk: Desk<Voice>,
    /// The process that moves them; none where files are not approved, and when it has ended.
    mover: Option<Mover>,
}

impl Wants {
    pub fn new(session: SessionId, permit: &policy::LoginPermit, latest: Latest) -> Self {
        Self {
            session,
            owner: permit.user().clone(),
            login: permit.login().clone(),
            demands: permit.terms().four_eyes.clone(),
            latest,
            desk: Desk::default(),
            mover: None,
        }
    }

    /// Whether others must be there for anything of this session to run.
    pub fn needs_others(&self) -> bool {
        !self.demands.is_empty()
    }

    /// Listens to a process from here on.
    pub fn hear(&mut self, mover: Option<Mover>) {
        self.mover = mover;
    }

    /// What the process tells next; none when it has ended. Never where there is none. Cancel safe.
    pub async fn news(&self) -> Option<FileNews> {
        match &self.mover {
            Some(mover) => mover.next().await,
            None => std::future::pending().await,
        }
    }

    /// `by` is there no longer, or counts for something else: what they said is not said.
    pub fn forget(&mut self, by: Party) {
        self.desk.forget(by);
    }

    /// When somebody has waited for long enough.
    pub fn poll_timeout(&self) -> Option<model::Tick> {
        self.desk.poll_timeout()
    }
}

impl Live {
    /// Does what comes of something that the process told.
    pub(super) fn file_news(&mut self, news: Option<FileNews>) {
        match news {
            Some(FileNews::Wanted(wanted)) => self.file_wanted(wanted),
            Some(FileNews::Stopped { number, why }) => {
                self.file_happened(People::FileStopped { number, why: why.clone() });
                self.files.say(Audited::FileStopped { file: number, why: why.clone() });
                self.lines.push_back(format!("file {number} was stopped: {}", plain(&why)));
            }
            None => self.wants.mover = None,
        }
    }

    fn file_wanted(&mut self, wanted: Wanted) {
        let (id, number, waits) = (self.id, wanted.number, plain(&wanted.to_string()));
        if let Err(unheard) = self.wants.desk.lay(wanted.clone(), clock::tick()) {
            return self.refuse_mover(number, unheard.words());
        }
        let event = Audited::FileWanted {
            file: number,
            direction: wanted.direction.word().to_owned(),
            asked: wanted.asked.clone(),
            path: wanted.path.clone(),
            target: wanted.target.to_string(),
        };
        self.files.say(event);
        self.file_happened(People::FileWanted(Box::new(wanted)));
        self.lines.push_back(format!("{waits}: it waits for a word of who is here to approve it"));
        self.lines.push_back(format!("they say it with: scry company {id} approve {number}"));
        self.show_wanted();
    }

    /// `party` lets a file through, or does their share of it.
    pub(super) fn approve(&mut self, party: Party, number: u32) -> Result<(), String> {
        let words = |unheard: Unheard| unheard.words().to_owned();
        let wanted = self.wanted(number)?.clone();
        let voice = self.voice(party, number).ok_or(NO_VOICE)?;
        let user = voice.user().clone();
        let Wants { desk, demands, session, .. } = &mut self.wants;
        let said = desk.say(party, number, voice).map_err(words)?;
        let permit = policy::file(demands, *session, number, said);
        let (path, by) = (wanted.path, party.0.into());
        self.files.say_as(&user, Audited::FileApproved { file: number, path, party: by });
        self.file_happened(People::FileApproved { number, by: party });
        if let Some(permit) = permit {
            self.wants.desk.take(number).map_err(words)?;
            if let Some(Err(error)) = self.wants.mover.as_ref().map(|mover| mover.allow(permit)) {
                tracing::warn!(%error, "a file was not let through");
            }
            self.show_wanted();
        }
        Ok(())
    }

    /// `party` has a file not moved.
    pub(super) fn refuse_file(&mut self, party: Party, number: u32) -> Result<(), String> {
        self.wanted(number)?;
        let voice = self.voice(party, number).ok_or(NO_VOICE)?;
        let wanted = self.wants.desk.take(number).map_err(|it| it.words().to_owned())?;
        let why = format!("{} refused it", voice.user());
        let event = Audited::FileRefused { file: number, path: wanted.path, why: why.clone() };
        self.files.say_as(voice.user(), event);
        self.file_not_moved(number, Some(party), &why);
        Ok(())
    }

    /// Looks whether somebody has waited for long enough.
    pub(super) fn tend_wants(&mut self) {
        if let Some(wanted) = self.wants.desk.handle_timeout(clock::tick()) {
            let Wanted { number, path, .. } = wanted;
            self.files.say(Audited::FileRefused { file: number, path, why: NOBODY.to_owned() });
            self.file_not_moved(number, None, NOBODY);
        }
    }

    fn file_not_moved(&mut self, number: u32, by: Option<Party>, why: &str) {
        self.file_happened(People::FileRefused { number, by });
        self.lines.push_back(format!("file {number} is not moved: {why}"));
        self.refuse_mover(number, why);
        self.show_wanted();
    }

    fn wanted(&self, number: u32) -> Result<&Wanted, String> {
        let wanted = self.wants.desk.wanted().filter(|wanted| wanted.number == number);
        wanted.ok_or_else(|| Unheard::NoSuchFile.words().to_owned())
    }

    /// The right of `party` to say a word, as things stand at this moment.
    fn voice(&self, party: Party, number: u32) -> Option<Voice> {
        let is_here = self.table.company.who().any(|one| one.party == party && one.counts);
        let person = self.table.people.get(&party).filter(|_| is_here)?;
        let Wants { session, owner, login, demands, latest, .. } = &self.wants;
        let known = latest.borrow().clone()?;
        let facts = SessionFacts { id: *session, owner, roles: &[], login };
        let (who, seat) = (person.identity.as_ref()?, person.seat?);
        policy::voice(&known.roles, who, demands, &facts, seat, number, clock::now())
    }

    fn refuse_mover(&self, number: u32, why: &str) {
        if let Some(Err(error)) = self.wants.mover.as_ref().map(|it| it.refuse(number, why)) {
            tracing::debug!(%error, "nobody is there to be refused a file");
        }
    }

    fn show_wanted(&mut self) {
        self.table.file = self.wants.desk.wanted().cloned();
        self.table.show();
    }

    /// Records what happened, and tells everybody.
    fn file_happened(&mut self, people: People) {
        let what = plain(&self.table.words(&people));
        self.record(Entry::People(people));
        self.table.tell(Told::Happened { what });
    }
}

/// A line of text that somebody else chose, without what a terminal would obey or what would have it read otherwise than it
/// is.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_odd(c) { '\u{b7}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_write_over_what_stands_beside_it() {
        assert_eq!(plain("/srv/\u{1b}[2K\r\u{202e}txt\nü"), "/srv/\u{b7}[2K\u{b7}\u{b7}txt\u{b7}ü");
    }
}
