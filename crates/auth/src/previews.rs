//! Small pictures of recordings. To look at one is to read, so that each stands in the ledger.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::Member;
use crate::lately::Lately;
use crate::look::{Look, Needs};
use crate::recordings::Presence;
use model::audit::Audited;
use model::limit::PREVIEWS;
use model::{SessionId, UserName};
use record::thumb::{Colour, Style, Thumb, latest, middle};
use std::sync::Arc;
use wire::film::{Paint, Preview, ReadPreviews, Run};
use wire::node::LookedAt;

pub async fn read(
    auth: Arc<Auth>,
    by: Member,
    call: ReadPreviews,
) -> Result<Vec<Preview>, Refusal> {
    if call.ids.len() > PREVIEWS {
        return Err(Refusal::malformed(format!("at most {PREVIEWS} pictures at once")));
    }
    let mut looks = Vec::new();
    for id in call.ids {
        match Look::with_right(&auth, by.clone(), id, Needs::Play).await {
            Ok(look) => looks.push(look),
            // Whoever asked for a whole list gets the rest of it.
            Err(refusal) => by.asked.audit(&auth, &refusal).await,
        }
    }
    let presence = Presence::read(&auth).await?;
    let news = audit(&auth, &by, &looks).await?;
    for look in looks.iter().filter(|look| news.contains(&look.row().id)) {
        if presence.is_live(look.row()) {
            auth.looks.tell(look.row(), &by.name, LookedAt::Preview);
        }
    }
    let mut previews = Vec::new();
    for look in looks {
        let live = presence.is_live(look.row());
        let thumb = auth.shelf.glance(&auth, &look, move |recording| match live {
            true => latest(recording),
            false => middle(recording),
        });
        // Of one that is damaged there is no picture.
        if let Ok(Ok(thumb)) = thumb.await {
            previews.push(preview(look.row().id, live, thumb));
        }
    }
    Ok(previews)
}

/// Before anything is shown. Answers of which ones it was told.
async fn audit(auth: &Auth, by: &Member, looks: &[Look]) -> Result<Vec<SessionId>, Refusal> {
    let now = clock::tick();
    let is_new = |id: &SessionId| auth.previewed.is_new(&(by.name.clone(), *id), now);
    let news: Vec<_> = looks.iter().map(|look| look.row().id).filter(is_new).collect();
    if news.is_empty() {
        return Ok(news);
    }
    let recordings = news.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    auth.ledger.write(&[by.asked.event(Audited::RecordingsPreviewed { recordings })]).await?;
    auth.previewed.note(news.iter().map(|id| (by.name.clone(), *id)), now);
    Ok(news)
}

/// Of whom and what it stands in the ledger that they are shown pictures of it.
pub type Previewed = Lately<(UserName, SessionId)>;

fn preview(id: SessionId, live: bool, thumb: Thumb) -> Preview {
    let Thumb { at, size: (cols, rows), lines } = thumb;
    let lines = lines.into_iter().map(|line| line.into_iter().map(run).collect());
    Preview { id, at, live, cols, rows, lines: lines.collect() }
}

fn run((text, style): (String, Style)) -> Run {
    let Style { fg, bg, bold, faint, italic, underline, inverse, .. } = style;
    Run { text, fg: paint(fg), bg: paint(bg), bold, faint, italic, underline, inverse }
}

fn paint(colour: Colour) -> Option<Paint> {
    match colour {
        Colour::Default => None,
        Colour::Indexed(number) => Some(Paint::Indexed(number)),
        Colour::Rgb(red, green, blue) => Some(Paint::Rgb(red, green, blue)),
    }
}
