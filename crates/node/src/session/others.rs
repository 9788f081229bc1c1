//! Other people in the session: what its loop does with what they ask, and what becomes of it.

use super::Live;
use super::owner::NOT_BACK;
use crate::clock;
use crate::company::{Person, Seated, Sit, Speaker, Typed, Vain, Visit};
use crate::keyframes::Model;
use crate::recorder::Recorder;
use crate::stage::Stage;
use host::Signals;
use model::audit::Audited;
use model::entry::{Entry, Party, People};
use model::limit::{RETURN_MS, SAID_BYTES};
use model::{SeatRole, Size};
use session::company::{Adopted, Change, Comer, EndCause, Refused, Silent, Standing};
use std::sync::Arc;
use std::time::Duration;
use wire::company::{Ask, Told};

/// Milliseconds between two looks for processes of a frozen session that somebody has moved or let go on.
const LOOK_AGAIN_MS: u64 = 1_000;
/// How long the end of what a session showed may take to be drawn.
const LAST_DRAWN: Duration = Duration::from_secs(1);
/// Told to an owner whose terminal stands still, or goes on.
const GOES_ON: &str = "the session goes on";
/// What nobody but the owner may do with the terminal's size.
const ADOPT: &str = "say whose size counts";
/// Why what somebody sent on their line was not done.
const NO_REQUEST: &str = "what was sent is no request";

impl Live {
    /// Does what somebody asks. What changes by it is looked at by [`Live::tend_company`].
    pub(super) fn visited(&mut self, visit: Visit) {
        match visit {
            Visit::Sit(sit) => self.seat(*sit),
            Visit::Leave { party, why } => {
                if let Some(why) = why {
                    let what = format!("{} had to leave: {why}", self.table.name(party));
                    self.table.tell(Told::Happened { what });
                }
                self.table.company.leave(party, clock::tick());
            }
            // Nobody waits for somebody to come back in vain.
            Visit::Return(back) => drop(back.answer.send(Err(NOT_BACK.to_owned()))),
            Visit::Recount { party, counts } => {
                self.table.company.recount(party, counts, clock::tick());
                self.wants.forget(party);
            }
            Visit::Heard { party } => self.table.company.heard(party, clock::tick()),
            Visit::Resized { party, size } => self.table.resized(party, size),
            Visit::Ask { by, ask, answer } => {
                let told = match self.asked(&by, ask) {
                    Ok(told) => told,
                    Err(why) => Told::Refused { why },
                };
                // Whoever asked may have gone.
                let _ = answer.send(told);
            }
            Visit::Vain { by, sent } => {
                let Some(party) = self.table.party(&by) else { return };
                match (sent, self.table.company.may_type(party)) {
                    (Vain::Request, _) => self.refuse_to(party, NO_REQUEST),
                    (Vain::Keys, Err(silent)) => self.refuse_to(party, silent.words()),
                    // Of whoever may type they are a slip.
                    (Vain::Keys, Ok(())) => {}
                }
            }
        }
    }

    fn seat(&mut self, sit: Sit) {
        let Sit { permit, comer, counts, from, identity, size, answer } = sit;
        let seated = self.take_seat((&permit, comer), counts, from, (identity, size));
        if let Err(Ok(Seated { party, .. })) = answer.send(seated) {
            self.table.company.leave(party, clock::tick());
        }
    }

    fn take_seat(
        &mut self,
        (permit, comer): (&policy::SeatPermit, Comer),
        counts: Vec<(usize, usize)>,
        from: String,
        (identity, size): (policy::Identity, Size),
    ) -> Result<Seated, String> {
        let (user, seat) = (permit.user().clone(), permit.seat());
        let stage = self.stage()?;
        let mut theirs = self.table.people.iter().filter(|(_, person)| person.user == user);
        let again = theirs.find(|(_, person)| person.seat.is_some()).map(|(party, _)| *party);
        let (company, now) = (&mut self.table.company, clock::tick());
        let entered = company.enter(comer, seat, counts, again, now);
        let party = entered.map_err(|full| full.words().to_owned())?;
        self.table.sit(party, seat, from, identity, size);
        Ok(Seated { party, stage, told: self.table.listen() })
    }

    /// The stage, which begins with the first who looks on.
    pub(super) fn stage(&mut self) -> Result<Arc<Stage>, String> {
        if let Some(stage) = &self.stage {
            return Ok(Arc::clone(stage));
        }
        let Some(recorder) = &mut self.recorder else {
            return Err("this session is not recorded, so there is nothing to look at".to_owned());
        };
        let stage = Stage::new(self.size, recorder.picture(), recorder.drawing.clone());
        self.spawn(Arc::clone(&stage).draw());
        self.stage = Some(Arc::clone(&stage));
        Ok(stage)
    }

    /// Those who look on see the end of it, if that is drawn soon.
    pub(super) async fn last_look(&mut self, model: Option<Model>) {
        let Some(stage) = &self.stage else { return };
        let mut drawn = stage.drawn();
        let settled = async { while !stage.is_settled() && drawn.changed().await.is_ok() {} };
        // What the stage may still wait for.
        let model = async {
            match model {
                Some(mut model) => loop {
                    model.made().await;
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = settled => {}
            () = model => {}
            () = tokio::time::sleep(LAST_DRAWN) => {}
        }
    }

    /// Shows on the stage what the recorder took.
    pub(super) fn perform(&mut self, seq: model::Seq, entry: Entry) {
        let Some(stage) = &self.stage else { return };
        if stage.is_lost() {
            let base = self.recorder.as_mut().and_then(Recorder::picture);
            stage.begin_anew(base);
        } else {
            stage.offer(seq, entry);
        }
    }

    fn asked(&mut self, by: &Speaker, ask: Ask) -> Result<Told, String> {
        let now = clock::tick();
        self.table.company.handle_timeout(now);
        let stranger = || "you are not in this session".to_owned();
        let party = self.table.party(by).ok_or_else(stranger)?;
        let company = &mut self.table.company;
        let (action, done) = match ask {
            Ask::Who {} => return Ok(Told::Company(self.table.seen())),
            Ask::Say { text } => return self.say(party, text).map(|()| Told::Done {}),
            Ask::Approve { number } => return self.approve(party, number).map(|()| Told::Done {}),
            Ask::Refuse { number } => {
                return self.refuse_file(party, number).map(|()| Told::Done {});
            }
            Ask::Confirm {} => {
                company.confirm(party, now);
                return Ok(Told::Done {});
            }
            Ask::HandOver { to } => ("hand over the keyboard", company.hand_over(party, to)),
            Ask::TakeBack {} => ("take the keyboard back", company.take_back(party)),
            Ask::Together {} => ("let all type", company.together(party)),
            Ask::Adopt { party: whom } => (ADOPT, company.adopt(party, whom)),
            Ask::OwnSize {} => (ADOPT, company.adopt(party, Party::OWNER)),
            Ask::ShowOut { party: whom } => ("show somebody out", company.show_out(party, whom)),
            Ask::Freeze {} => ("freeze", company.freeze(party)),
            Ask::Thaw {} => ("thaw", company.thaw(party)),
            Ask::End {} => ("end a session", company.end(party)),
        };
        match done {
            Ok(()) => Ok(Told::Done {}),
            Err(refused) => {
                if refused == Refused::NotAllowed {
                    self.denied(party, action);
                }
                Err(refused.words().to_owned())
            }
        }
    }

    /// Somebody asked for what their seat has no right to: the ledger hears of it once for each thing.
    fn denied(&mut self, party: Party, action: &'static str) {
        self.tell_once(party, action, |person| {
            let seat = person.seat.map_or("the owner", SeatRole::word);
            let why = format!("{seat}, person {} of the session, may not", party.0);
            Audited::Denied { action: action.to_owned(), why }
        });
    }

    /// Tells the ledger something of somebody, if it has not heard of `what` before.
    fn tell_once(
        &mut self,
        party: Party,
        what: &'static str,
        event: impl FnOnce(&Person) -> Audited,
    ) {
        if let Some(person) = self.table.people.get_mut(&party)
            && person.denied.insert(what)
        {
            self.files.say_as(&person.user, event(person));
        }
    }

    fn say(&mut self, party: Party, text: String) -> Result<(), String> {
        if text.len() > SAID_BYTES {
            return Err(format!("at most {SAID_BYTES} bytes are said at once"));
        }
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        if let Some(user) = self.table.people.get(&party).map(|person| person.user.clone()) {
            self.record(Entry::People(People::Said { party, text: text.clone() }));
            self.table.tell(Told::Said { party, user, text });
        }
        Ok(())
    }

    /// Whether what somebody typed may reach the program at this moment.
    pub(super) fn hears(&mut self, typed: &Typed) -> bool {
        let Typed { party, .. } = typed;
        let now = clock::tick();
        self.table.company.handle_timeout(now);
        let Err(silent) = self.table.company.may_type(*party) else { return true };
        if silent == Silent::Lost {
            // Nobody did wrong who had the right until the line was cut.
            return false;
        }
        self.refuse_to(*party, silent.words());
        false
    }

    /// Tells the ledger what somebody tried who may not; once for each reason.
    fn refuse_to(&mut self, party: Party, why: &'static str) {
        self.tell_once(party, why, |_| Audited::SeatInputRefused {
            party: party.0.into(),
            why: why.to_owned(),
        });
    }

    /// Acts on what changed among the people. Answers why the session must end, if it must.
    pub(super) async fn tend_company(&mut self, signals: Option<&Signals>) -> Option<String> {
        let now = clock::tick();
        self.table.company.handle_timeout(now);
        if let Some(signals) = signals
            && self.is_frozen()
            && self.look_again.is_some_and(|at| at <= now)
            && let Err(error) = self.stand_still(signals).await
        {
            return Some(error);
        }
        let mut changed = false;
        while let Some(change) = self.table.company.poll() {
            changed = true;
            let ends = self.changed(change, signals).await;
            if ends.is_some() {
                self.table.show();
                return ends;
            }
        }
        if changed {
            self.table.show();
            self.repaint();
        }
        None
    }

    async fn changed(&mut self, change: Change, signals: Option<&Signals>) -> Option<String> {
        match change {
            Change::Came(party) => {
                if let Some(seated) = self.table.seated(party) {
                    self.happened(seated);
                }
            }
            Change::Went { party, shown_out_by } => {
                if let Some(by) = shown_out_by {
                    self.happened(People::ShownOut { party, by });
                }
                self.happened(People::Left { party });
                self.wants.forget(party);
                self.table.people.remove(&party);
            }
            Change::Keyboard { held } => {
                self.happened(People::Keyboard { held });
                let held = held.map(|party| party.0.into());
                self.files.say(Audited::KeyboardMoved { held });
            }
            Change::Size { of } => {
                let party = of.map_or(Party::OWNER, Adopted::party);
                self.happened(People::SizeOf { party });
                self.files.say(Audited::SizeAdopted { party: party.0.into() });
            }
            // One that waited for nobody has nothing to tell.
            Change::Begin => {
                if self.table.why.take().is_some() {
                    self.happened(People::GoesOn);
                    self.files.say(Audited::SessionGoesOn {});
                }
            }
            Change::Freeze { by } => return self.freeze(by, signals).await,
            Change::Thaw { .. } => {
                self.look_again = None;
                if let Some(signals) = signals
                    && let Err(error) = signals.thaw().await
                {
                    return Some(format!("the session's processes cannot be thawed: {error}"));
                }
                self.table.why = None;
                self.happened(People::GoesOn);
                self.files.say(Audited::SessionGoesOn {});
                self.lines.push_back(GOES_ON.to_owned());
            }
            Change::End { why } => return Some(self.ended(why)),
            Change::OwnerLost => {
                self.happened(People::OwnerLost);
                self.files.say(Audited::OwnerLost { ms: RETURN_MS });
            }
            // Who comes back says so themselves, with where they are.
            Change::OwnerBack => {}
            Change::Ask { party, by } => {
                self.table.tell(Told::Confirm { party, ms: by.since(clock::tick()) });
            }
            Change::Absent(party) => {
                self.wants.forget(party);
                let what = format!("{} does not answer and does not count", self.table.name(party));
                self.table.tell(Told::Happened { what });
            }
            Change::Back(party) => {
                let what = format!("{} counts again", self.table.name(party));
                self.table.tell(Told::Happened { what });
            }
        }
        None
    }

    /// Records what happened among the people, and tells them.
    pub(super) fn happened(&mut self, people: People) {
        let what = self.table.words(&people);
        self.record(Entry::People(people));
        self.table.tell(Told::Happened { what });
    }

    async fn freeze(&mut self, by: Option<Party>, signals: Option<&Signals>) -> Option<String> {
        let why = match by {
            Some(party) => format!("{} has frozen this session", self.table.name(party)),
            None => format!("the session is frozen: it needs {}", self.table.needs()),
        };
        if let Some(signals) = signals
            && let Err(error) = self.stand_still(signals).await
        {
            // Ruling 12: where it cannot be had, the session ends and says why.
            return Some(format!("{why}; {error}"));
        }
        self.table.why = Some(why.clone());
        self.happened(People::Frozen { why: why.clone() });
        self.files.say(Audited::SessionFrozen { why: why.clone() });
        self.lines.push_back(why);
        None
    }

    /// Has its processes stand still, and tells of those that had left its control group.
    async fn stand_still(&mut self, signals: &Signals) -> Result<(), String> {
        let frozen = signals.freeze().await;
        let frozen = frozen.map_err(|error| format!("its processes cannot be frozen: {error}"))?;
        for host::Outside { pid, name, uid } in frozen.outside {
            self.happened(People::Outside { pid, name: name.clone(), uid });
            self.files.say(Audited::ProcessOutside { pid, name, uid });
        }
        self.look_again = Some(clock::tick().plus_ms(LOOK_AGAIN_MS));
        Ok(())
    }

    /// Why the session is over, for everybody in it.
    fn ended(&self, why: EndCause) -> String {
        let by = match why {
            EndCause::Ended { by } if by != Party::OWNER => format!(" ({})", self.table.name(by)),
            _ => String::new(),
        };
        format!("{}{by}", why.words())
    }

    /// Whether the company lets bytes pass in either direction.
    pub(super) fn passes(&self) -> bool {
        self.table.company.passes()
    }

    /// Whether bytes may pass at this moment: the company lets them, the recorder takes them, and the session is not over.
    pub(super) fn may_pass(&self) -> bool {
        let held = self.recorder.as_ref().is_some_and(Recorder::holds);
        self.passes() && !held && !self.hub.is_over()
    }

    /// Whether its processes stand still.
    pub(super) fn is_frozen(&self) -> bool {
        self.table.company.standing() == Standing::Frozen
    }
}
