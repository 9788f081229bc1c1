//! Before anything runs: the session's place on the node's list, and whom it waits for.

use super::finish::Watch;
use super::{Live, gone, refuse};
use crate::alarm::Alarm;
use crate::company::heard;
use crate::connection::{Caller, place};
use crate::lives::Running;
use crate::serve::Post;
use crate::verdict::Verdict;
use bytes::Bytes;
use link::ssh::server::Session;
use model::audit::Audited;
use model::entry::{Ending, Entry, People};
use model::role::SeatRole;
use model::{Kind, SessionId};
use policy::LoginPermit;
use session::company::{Alternative, Demand};
use std::sync::OnceLock;

/// What a person types who has waited long enough: Ctrl-C and Ctrl-D.
const GIVE_UP: [u8; 2] = [3, 4];
const MINUTE_MS: u64 = 60_000;

/// A demand as the company keeps it.
pub(super) fn demand(demand: &policy::Demand) -> Demand {
    let alternative = |one: &model::role::FourEyes| Alternative {
        name: one.name.clone(),
        count: one.count,
        on_leave: one.on_leave,
        confirm_ms: one.confirm_minutes.map(|minutes| u64::from(minutes) * MINUTE_MS),
        beat: true,
    };
    Demand { any_of: demand.any_of.iter().map(alternative).collect() }
}

impl Live {
    /// Puts the session on the node's list: from here on others can come.
    pub(super) fn enter(
        &mut self,
        post: &Post,
        id: SessionId,
        caller: &Caller,
        permit: &LoginPermit,
        kind: &Kind,
    ) {
        let asked_for = permit.terms().four_eyes.iter().flat_map(|demand| &demand.any_of);
        let asked_for = asked_for.flat_map(|one| &one.seats).max();
        self.asked_for = asked_for.copied().unwrap_or(SeatRole::Moderator);
        let place = post.lives.enter(Running {
            id,
            connection: caller.id,
            owner: permit.user().clone(),
            roles: permit.roles().to_vec(),
            login: permit.login().clone(),
            demands: permit.terms().four_eyes.clone(),
            joinable: self.recorder.is_some(),
            kind: kind.clone(),
            since: crate::clock::now(),
            client: place(caller.client),
            foreground: OnceLock::new(),
            doors: self.table.doors(),
            company: self.table.shown(),
        });
        self.table.keep(place);
    }

    /// Waits until everybody is there whom the owner's roles ask for. Fails with how it ended before anything ran.
    pub(super) async fn wait(
        &mut self,
        session: &mut Session,
        watch: &mut Watch<'_>,
    ) -> Result<(), Ending> {
        let output = session.output.clone();
        let needs = self.table.needs();
        if !needs.is_empty() {
            if self.recorder.is_none() {
                let why = "a session that needs a second person must be recorded, and your role does not record";
                refuse(&output, why).await;
                return Err(Ending::NotStarted { why: why.to_owned() });
            }
            let why = format!("it needs {needs}");
            let line = format!(
                "scry: this session waits: {why}\r\nscry: they come with: scry join {} --as {}\r\n",
                self.id, self.asked_for
            );
            let _ = output.write_error(Bytes::from(line)).await;
            self.files.say(Audited::SessionWaits { why: why.clone() });
            self.table.why = Some(why.clone());
            self.record(Entry::People(People::Waits { why }));
            self.table.show();
        }
        let mut reads = self.pty;
        let mut alarm = Alarm::new();
        loop {
            if let Some(words) = self.tend_company(None).await.or_else(|| self.must_end()?.said) {
                refuse(&output, &words).await;
                return Err(Ending::NotStarted { why: words });
            }
            if self.passes() {
                break;
            }
            alarm.set(self.poll_timeout(None));
            let (visits, _) = self.table.ears();
            tokio::select! {
                () = output.gone() => return Err(gone(&output)),
                verdict = watch.verdict() => {
                    if output.is_gone() {
                        return Err(gone(&output));
                    }
                    if let Verdict::Rule { said, .. } = &verdict {
                        refuse(&output, said).await;
                    }
                    return Err(Ending::NotStarted { why: verdict.why().to_owned() });
                }
                visit = heard(visits) => self.visited(visit),
                () = alarm.rings() => self.handle_timeout(),
                () = super::keyframe(&mut self.recorder) => {}
                typed = session.input.pull(), if reads => match typed {
                    Ok(Some(bytes)) if bytes.iter().any(|byte| GIVE_UP.contains(byte)) => {
                        let why = "given up before anybody came";
                        refuse(&output, why).await;
                        return Err(Ending::NotStarted { why: why.to_owned() });
                    }
                    Ok(Some(_)) => {}
                    // Nothing more is typed here; what ends the session is its channel.
                    Ok(None) | Err(_) => reads = false,
                },
            }
        }
        if !needs.is_empty() {
            let _ = output.write_error(Bytes::from_static(b"scry: the session begins\r\n")).await;
        }
        Ok(())
    }
}
