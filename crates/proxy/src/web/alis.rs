//! A session that goes on, for asciinema-player: answers of auth's reel, asked for one after the other, as frames on a WebSocket.
//! Auth decides at each of them whether whoever reads still may; the form is [`wire::asciinema::alis`].

use super::guard::Visitor;
use super::pass::{away, place, said_of};
use super::{Refused, Web};
use axum::body::Body;
use axum::extract::Request;
use axum::extract::ws::{CloseFrame, Message};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Method, header};
use link::http::{Socket, socket, whole};
use link::ssh::Startup;
use model::limit::{ANSWER_BYTES, WEB_BEAT_MS, WEB_MESSAGE_BYTES, WEB_SILENT_MS};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{Interval, interval_at};
use wire::asciinema::alis::{Alis, Next, PROTOCOL};
use wire::{Failure, Fault};

/// The player takes it for an end, and shows the reason (any from 4000 to 4100).
const ENDED: u16 = 4000;
/// The player calls again after a while (RFC 6455 §7.4.2, 1012 and 1013 in its registry).
const RESTART: u16 = 1012;
const LATER: u16 = 1013;
/// Whoever reads has nothing to say here (RFC 6455 §7.4.1).
const SPOKE: u16 = 1008;
/// Bytes of a reason (RFC 6455 §5.5). Cut.
const REASON_BYTES: usize = 123;
/// How long the last message may take.
const FAREWELL: Duration = Duration::from_secs(1);

impl Web {
    /// Opens the stream, if auth lets whoever asks read what it is made of.
    pub(super) async fn alis(self: &Arc<Self>, visitor: Visitor, request: Request) -> Response {
        let place = match place(&self.streams, &visitor) {
            Ok(place) => place,
            Err(refused) => return refused.into_response(),
        };
        let reel = match Reel::of(&request) {
            Ok(reel) => reel,
            Err(refused) => return refused.into_response(),
        };
        let first = self.reel(&visitor, &reel, &Alis::now()).await;
        // A player is told why by the close of its WebSocket: of an answer in its place it knows nothing, and asks for ever.
        let first = match first {
            Err(refused) if !request.headers().contains_key(header::UPGRADE) => {
                return refused.into_response();
            }
            first => first,
        };
        let web = Arc::clone(self);
        socket(request, PROTOCOL, WEB_MESSAGE_BYTES, move |mut socket| async move {
            let (code, reason) = web.tell(&visitor, &reel, first, &mut socket).await;
            farewell(&mut socket, code, &reason, place).await;
        })
        .await
    }

    /// Tells until there is nothing more, or nobody to tell; answers the close.
    async fn tell(
        &self,
        visitor: &Visitor,
        reel: &Reel,
        first: Result<Bytes, Refused>,
        socket: &mut Socket,
    ) -> (u16, String) {
        let (mut alis, mut answer, mut beat) = (Alis::default(), first, Beat::new());
        loop {
            let told = match answer {
                Ok(answer) => alis.take(&answer),
                Err(refused) => return refusal(refused),
            };
            let Ok(told) = told else {
                tracing::error!("auth's answer is no reel");
                return (LATER, "auth answers what this proxy does not know".to_owned());
            };
            for frame in told.frames {
                let sent = send(socket, Message::Binary(frame.into()));
                if sent.await.is_none() {
                    return (RESTART, "this was read too slowly".to_owned());
                }
            }
            let ask = match told.next {
                Next::Ask(ask) => ask,
                Next::Over(why) => return (ENDED, why),
            };
            answer = tokio::select! {
                biased;
                () = self.stop.cancelled() => return (RESTART, "the proxy is restarting".to_owned()),
                close = beat.hear(socket) => return close,
                answer = self.reel(visitor, reel, &ask) => answer,
            };
        }
    }

    async fn reel(&self, visitor: &Visitor, reel: &Reel, ask: &str) -> Result<Bytes, Refused> {
        let path = format!("{}?ticket={}&{ask}", reel.path, reel.ticket);
        let answer = self.auth.pass(Method::GET, &path, said_of(visitor), Bytes::new()).await;
        let (head, body) = answer.map_err(|error| away(&error))?.into_parts();
        let body = whole(Body::new(body), ANSWER_BYTES, |_| Ok(()))
            .await
            .map_err(|(status, failure)| Refused { status: Some(status), failure })?;
        if head.status.is_success() {
            return Ok(body);
        }
        let failure: Result<Failure, _> = serde_json::from_slice(&body);
        Err(match failure {
            Ok(failure) => Refused { status: Some(head.status), failure },
            Err(_) => {
                Refused::new(Fault::Unavailable, "auth does not answer this proxy as it should")
            }
        })
    }
}

/// Whose reel it is, and the ticket for it.
struct Reel {
    path: String,
    ticket: String,
}

impl Reel {
    fn of(request: &Request) -> Result<Self, Refused> {
        let uri = request.uri();
        let recording = uri.path().strip_suffix("/alis").unwrap_or_default();
        let pairs = uri.query().unwrap_or_default().split('&');
        let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
        let ticket = pairs.find(|(name, _)| *name == "ticket").map_or("", |(_, ticket)| ticket);
        // What is no ticket must not become something else in auth's address.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !ticket.bytes().all(plain) {
            return Err(Refused::new(Fault::Malformed, "this is no ticket of `recordings/view`"));
        }
        Ok(Self { path: format!("{recording}/reel"), ticket: ticket.to_owned() })
    }
}

/// Whether somebody is there who reads.
struct Beat {
    ticks: Interval,
    /// Since when an answer to a ping is missing.
    asked: Option<Instant>,
}

impl Beat {
    fn new() -> Self {
        let every = Duration::from_millis(WEB_BEAT_MS);
        Self { ticks: interval_at((Instant::now() + every).into(), every), asked: None }
    }

    /// Hears whoever reads, until they leave, are silent, or speak. Nothing is lost if it is cancelled.
    async fn hear(&mut self, socket: &mut Socket) -> (u16, String) {
        let left = || (RESTART, String::new());
        loop {
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.asked = None,
                    Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                        return (SPOKE, "nothing is said to this stream".to_owned());
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return left(),
                },
                _ = self.ticks.tick() => {
                    let since = *self.asked.get_or_insert_with(Instant::now);
                    let silent = since.elapsed() > Duration::from_millis(WEB_SILENT_MS);
                    if silent || send(socket, Message::Ping(Bytes::new())).await.is_none() {
                        return left();
                    }
                }
            }
        }
    }
}

/// What a refusal closes with: where it may pass, the player shall come back.
fn refusal(refused: Refused) -> (u16, String) {
    let code = match refused.failure.fault {
        Fault::Unavailable | Fault::TooMany | Fault::Internal => LATER,
        _ => ENDED,
    };
    (code, refused.failure.message)
}

/// `None` when the page is gone, or its connection stands still.
async fn send(socket: &mut Socket, message: Message) -> Option<()> {
    let bound = Duration::from_millis(WEB_SILENT_MS);
    tokio::time::timeout(bound, socket.send(message)).await.ok()?.ok()
}

/// The last message; its place is free behind it.
async fn farewell(socket: &mut Socket, code: u16, reason: &str, _place: Startup) {
    let cut = reason.floor_char_boundary(REASON_BYTES);
    let reason = reason.get(..cut).unwrap_or_default();
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let _ = tokio::time::timeout(FAREWELL, socket.send(close)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_goes_to_auth_as_it_is_and_nothing_else_does() {
        let check = |uri: &str, expected: Option<(&str, &str)>| {
            let request = http::Request::builder().uri(uri).body(Body::empty()).unwrap();
            let reel = Reel::of(&request).ok().map(|reel| (reel.path, reel.ticket));
            let expected = expected.map(|(path, ticket)| (path.to_owned(), ticket.to_owned()));
            assert_eq!(reel, expected, "{uri}");
        };
        check("/v1/recordings/7/alis?ticket=aZ-_9", Some(("/v1/recordings/7/reel", "aZ-_9")));
        check("/v1/recordings/7/alis?at=0&ticket=a&ticket=b", Some(("/v1/recordings/7/reel", "a")));
        check("/v1/recordings/7/alis", Some(("/v1/recordings/7/reel", "")));
        for odd in ["a%26after=0", "a;b", "a/../b", "%00", "a+b"] {
            check(&format!("/v1/recordings/7/alis?ticket={odd}"), None);
        }
    }

    #[test]
    fn what_may_pass_calls_the_player_back_and_what_stays_does_not() {
        let check = |fault, expected| assert_eq!(refusal(Refused::new(fault, "why")).0, expected);
        check(Fault::Denied, ENDED);
        check(Fault::NotFound, ENDED);
        check(Fault::Unauthenticated, ENDED);
        check(Fault::Unavailable, LATER);
        check(Fault::TooMany, LATER);
    }
}
