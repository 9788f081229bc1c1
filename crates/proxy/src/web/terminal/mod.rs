//! Terminals in browsers: a WebSocket ends here, and from here to the node runs SSH.

mod line;
mod relay;

use super::aboard::{Aboard, Stay};
use super::guard::Visitor;
use super::{Refused, Web};
use axum::extract::Request;
use axum::extract::ws::Message;
use axum::response::{IntoResponse, Response};
use link::http::{Socket, socket};
use link::ssh::client::Session;
use link::ssh::{SshError, Startup};
use link::{Place, Places};
use metrics::{counter, gauge};
use model::limit::{WEB_HELLO_MS, WEB_MESSAGE_BYTES, WEB_TERMINALS_PER_PERSON};
use model::{SeatRole, Size, UserName};
use relay::{End, Relay};
use std::sync::Arc;
use std::time::Duration;
use wire::Fault;
use wire::name::{FITS_VARIABLE, OWNER_SEAT, RETURN_VARIABLE};
use wire::web::{FromPage, TERMINAL_PROTOCOL, TerminalTo, ToPage};

/// What a browser's terminal can do; xterm.js does more than its namesake's entry says.
const TERM: &str = "xterm-256color";
/// Said to a page whose person has signed out.
const SIGNED_OUT: &str = "you have signed out";
/// How long the last message may take.
const FAREWELL: Duration = Duration::from_secs(1);

impl Web {
    /// Opens a terminal's WebSocket.
    pub(super) async fn terminal(self: &Arc<Self>, visitor: Visitor, request: Request) -> Response {
        let Some(place) = self.terminals.take(Some(visitor.address.ip())) else {
            let why = "too many terminals are open from this address: close some first";
            return Refused::new(Fault::TooMany, why).into_response();
        };
        let web = Arc::clone(self);
        socket(request, TERMINAL_PROTOCOL, WEB_MESSAGE_BYTES, move |socket| async move {
            web.serve(visitor, socket, place).await;
        })
        .await
    }

    async fn serve(&self, visitor: Visitor, mut socket: Socket, _place: Startup) {
        gauge!("scry_proxy_terminals").increment(1.0);
        let end = match self.begin(&visitor, &mut socket).await {
            Ok(begun) => self.relay(begun, &mut socket).await,
            Err(refused) => End::refused(refused),
        };
        gauge!("scry_proxy_terminals").decrement(1.0);
        counter!("scry_proxy_terminals_total", "outcome" => end.outcome()).increment(1);
        if let Some(last) = end.last() {
            let farewell = async {
                if send(&mut socket, &last).await.is_ok() {
                    let _ = socket.send(Message::Close(None)).await;
                }
            };
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
    }

    /// From the first message to a session that runs.
    async fn begin(&self, visitor: &Visitor, socket: &mut Socket) -> Result<Begun, Refused> {
        let first = tokio::time::timeout(Duration::from_millis(WEB_HELLO_MS), socket.recv());
        let text = match first.await {
            Ok(Some(Ok(Message::Text(text)))) => text,
            _ => return Err(malformed("the page did not say in time what it wants to open")),
        };
        let hello = serde_json::from_str(&text).map_err(|error| malformed(&error.to_string()))?;
        let (to, guest, (cols, rows)) = match hello {
            FromPage::Open { node, login, cols, rows } => {
                (TerminalTo::Login { node, login }, None, (cols, rows))
            }
            FromPage::Attach { node, session, cols, rows } => {
                (TerminalTo::Attach { node, session }, None, (cols, rows))
            }
            FromPage::Join { node, session, seat, cols, rows } => {
                (TerminalTo::Join { node, session, seat }, None, (cols, rows))
            }
            FromPage::Link { code, name, cols, rows } => {
                (TerminalTo::Link { code }, name, (cols, rows))
            }
            _ => return Err(malformed("the first message opens a terminal")),
        };
        let own = matches!(to, TerminalTo::Login { .. } | TerminalTo::Attach { .. });
        let back = matches!(to, TerminalTo::Attach { .. });
        let aboard = match (to, guest) {
            (TerminalTo::Link { code }, Some(name)) => {
                let code = wire::share::code(&code)
                    .ok_or_else(|| malformed("this is no whole code of a link: copy all of it"))?;
                self.aboard_as_guest(visitor, &code, name).await?
            }
            (to, _) => self.aboard(visitor, to).await?,
        };
        let place = self.people.take(aboard.user.clone()).map_err(|_| {
            let why = "you have too many terminals open: close some first";
            Refused::new(Fault::TooMany, why)
        })?;
        let size = Size::clamped(cols.into(), rows.into());
        let word = match (own, back) {
            (true, true) => Some(OWNER_SEAT),
            (true, false) => None,
            (false, _) => Some(aboard.seat.unwrap_or(SeatRole::Observer).word()),
        };
        let session = start(&aboard, size, own, word).await.map_err(|error| match error {
            SshError::Request { .. } if back => {
                let why = "the session is over, or can not be come back to any more";
                Refused::new(Fault::NotFound, why)
            }
            error => Refused::new(Fault::Unavailable, error.to_string()),
        })?;
        Ok(Begun { aboard, session, size, _place: place })
    }

    async fn relay(&self, begun: Begun, socket: &mut Socket) -> End {
        let Begun { mut aboard, session, size, _place } = begun;
        let mut stay = aboard.stay.take();
        let shut = crate::reception::shut(self.roles.clone(), &aboard.who, &aboard.node);
        let relay = Relay::new(&aboard, session, size);
        let end = tokio::select! {
            end = relay.run(socket) => end,
            () = shut => End::over("this was locked".to_owned()),
            // As if the page had left: nobody comes back to it by the same web session.
            () = Stay::over_of(&mut stay) => End::over(SIGNED_OUT.to_owned()),
            () = self.stop.cancelled() => End::again("the proxy is restarting"),
        };
        if end.is_final() {
            aboard.client.end().await;
        }
        end
    }
}

/// A session that runs, and everything that it needs.
struct Begun {
    aboard: Aboard,
    session: Session,
    size: Size,
    _place: Place<UserName>,
}

/// Asks for a terminal and what is to run in it: the login shell, or the word for a seat.
async fn start(
    aboard: &Aboard,
    size: Size,
    own: bool,
    word: Option<&str>,
) -> Result<Session, SshError> {
    let mut session = aboard.client.session().await?;
    for (name, value) in [("LANG", "C.UTF-8"), ("COLORTERM", "truecolor")] {
        session.variable(name, value).await?;
    }
    session.variable(FITS_VARIABLE, "1").await?;
    if own {
        session.variable(RETURN_VARIABLE, "1").await?;
    }
    session.pty(TERM, size, &[]).await?;
    match word {
        None => session.shell().await?,
        Some(word) => session.exec(word).await?,
    }
    Ok(session)
}

fn malformed(why: &str) -> Refused {
    Refused::new(Fault::Malformed, why)
}

async fn send(socket: &mut Socket, message: &ToPage) -> Result<(), axum::Error> {
    let text = serde_json::to_string(message).map_err(axum::Error::new)?;
    socket.send(Message::Text(text.into())).await
}

/// How many terminals each person has open.
pub(super) fn people() -> Places<UserName> {
    Places::new(usize::MAX, WEB_TERMINALS_PER_PERSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_asks_again_where_what_is_in_the_way_may_pass_and_nowhere_else() {
        let refused = |fault| End::refused(Refused::new(fault, "because"));
        for (end, again) in [
            (refused(Fault::Unavailable), true),
            (refused(Fault::Denied), false),
            (refused(Fault::NotFound), false),
            (refused(Fault::TooMany), false),
            (refused(Fault::Unauthenticated), false),
            (End::again("because"), true),
            (End::over("because".to_owned()), false),
        ] {
            let closed = ToPage::Closed { why: "because".to_owned(), again };
            assert_eq!(end.last(), Some(closed), "{end:?}");
        }
        assert_eq!(End::Lost.last(), None);
    }
}
