//! Every route of auth, each with the proof that its handler takes. Nothing else is served.

use crate::auth::Auth;
use crate::bodies::Held;
use crate::error::Refusal;
use crate::gate::{Asked, Kind, Proof};
use crate::{
    access, arrivals, audit, comments, factors, film, inside, links, live, locks, machines, parts,
    passkeys, people, previews, receive, recordings, search, segments, signin, taken, terminal,
    web,
};
use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method};
use link::Peer;
use model::limit::{REQUEST_BYTES, REQUEST_BYTES_OF_NOBODY};
use std::future::Future;
use std::sync::Arc;
use wire::route::Who;
use wire::web::SET_SESSION_HEADER;
use wire::{Call, Failure, Fault};

/// A route, and the kinds of identity that are let in. What a person may do there is decided behind it.
#[derive(Debug, Clone)]
pub struct Route {
    /// How it is asked.
    pub method: Method,
    /// Its path, parameters in braces.
    pub path: String,
    /// Who is let in.
    pub accepts: &'static [Kind],
    /// Who of those in browsers, as the published list says it.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares it with the list"))]
    pub who: Option<Who>,
}

/// All routes of this service.
pub struct Routes {
    auth: Arc<Auth>,
    router: Router,
    table: Vec<Route>,
}

impl Routes {
    /// All of them. This list is the whole door to auth.
    pub fn new(auth: Arc<Auth>) -> Self {
        Self { auth, router: Router::new(), table: Vec::new() }
            .call(people::read_invitation)
            .call(people::sign_up)
            .call(signin::sign_in)
            .call(arrivals::begin)
            .call(arrivals::come_in)
            .call(arrivals::leave)
            .call(arrivals::read)
            .call(arrivals::passkey)
            .call(arrivals::let_in)
            .call(arrivals::turn_away)
            .call(people::read_cluster)
            .call(people::add_user)
            .call(people::list_users)
            .call(people::remove_user)
            .call(people::list_roles)
            .call(people::set_role)
            .call(people::remove_role)
            .call(locks::add)
            .call(locks::list)
            .call(locks::remove)
            .call(machines::join)
            .call(parts::renew)
            .call(parts::heartbeat)
            .call(parts::report)
            .call(live::report)
            .call(live::list)
            .call(links::make)
            .call(links::list)
            .call(links::revoke)
            .call(links::read)
            .call(links::look)
            .call(links::find)
            .call(links::take)
            .call(web::door)
            .call(web::sign_in)
            .call(web::second)
            .call(web::me)
            .call(web::sign_out)
            .call(web::list)
            .call(web::end)
            .call(passkeys::begin)
            .call(passkeys::finish)
            .call(passkeys::begin_new)
            .call(passkeys::finish_new)
            .call(factors::list)
            .call(factors::begin_totp)
            .call(factors::finish_totp)
            .call(factors::renew_recovery)
            .call(factors::remove)
            .call(factors::reset)
            .call(terminal::grant)
            .call(access::list_nodes)
            .call(machines::invite)
            .call(machines::remove)
            .call(access::explain)
            .call(receive::read_progress)
            .call(recordings::list)
            .call(recordings::standing)
            .call(recordings::view)
            .call(recordings::remove)
            .call(previews::read)
            .call(comments::add)
            .call(comments::list)
            .call(comments::remove)
            .call(audit::list)
            .call(audit::head)
            .stream(Method::GET, "/v1/node/news", parts::news)
            .stream(Method::GET, "/v1/proxy/nodes", machines::news)
            .stream(Method::POST, receive::SHIP, receive::ship)
            .stream(Method::GET, "/v1/recordings/{id}/bytes", recordings::bytes)
            .stream(Method::GET, "/v1/recordings/{id}/film", film::film)
            .stream(Method::GET, "/v1/recordings/{id}/reel", film::reel)
            .stream(Method::GET, "/v1/recordings/{id}/segments", segments::index)
            .stream(Method::GET, "/v1/recordings/{id}/segment", segments::segment)
            .stream(Method::GET, "/v1/recordings/{id}/transcript", inside::transcript)
            .stream(Method::GET, "/v1/recordings/{id}/events", inside::events)
            .stream(Method::GET, "/v1/recordings/{id}/search", inside::search)
            .stream(Method::GET, "/v1/recordings/{id}/cast", taken::cast)
            .stream(Method::GET, "/v1/recordings/{id}/text", taken::text)
            .stream(Method::GET, "/v1/search", search::all)
            .stream(Method::GET, "/v1/audit/follow", audit::follow)
    }

    /// The table, for the test that walks it, and the router.
    pub fn into_parts(self) -> (Vec<Route>, Router) {
        (self.table, self.router.fallback(nothing_here))
    }

    fn call<C, P, F, Fut>(self, handler: F) -> Self
    where
        C: Call,
        P: Proof,
        F: Fn(Arc<Auth>, P, C) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<C::Answer, Refusal>> + Send + 'static,
    {
        let path = format!("/v1/{}", C::PATH);
        self.add(Method::POST, path, C::PATH, move |auth, proof: P, request: Request| {
            let handler = handler.clone();
            async move {
                let asked: C = read_json(request).await?;
                Ok(axum::Json(handler(auth, proof, asked).await?).into_response())
            }
        })
    }

    fn stream<P, F, Fut>(self, method: Method, path: &'static str, handler: F) -> Self
    where
        P: Proof,
        F: Fn(Arc<Auth>, P, Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        self.add(method, path.to_owned(), path, handler)
    }

    fn add<P, F, Fut>(
        mut self,
        method: Method,
        path: String,
        name: &'static str,
        handler: F,
    ) -> Self
    where
        P: Proof,
        F: Fn(Arc<Auth>, P, Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        let auth = Arc::clone(&self.auth);
        let service = move |request: Request| {
            let (auth, handler) = (Arc::clone(&auth), handler.clone());
            async move { answer(auth, name, request, handler).await }
        };
        let service: MethodRouter = match method {
            Method::GET => get(service),
            _ => post(service),
        };
        self.table.push(Route { method, path: path.clone(), accepts: P::ACCEPTS, who: P::WHO });
        self.router = self.router.route(&path, service);
        self
    }
}

/// Runs a request to its end even if its connection breaks: a caller who hangs up must not be able to stop it between
/// what it changes and what it audits, nor between a file and its row.
async fn answer<P, F, Fut>(
    auth: Arc<Auth>,
    route: &'static str,
    request: Request,
    handler: F,
) -> Response
where
    P: Proof,
    F: FnOnce(Arc<Auth>, P, Request) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
{
    let work = auth.work.clone();
    match work.spawn(decide(auth, route, request, handler)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(route, %error, "a request failed unexpectedly");
            Refusal::new(Fault::Internal, "auth could not do this; its log says why")
                .into_response()
        }
    }
}

/// Proof, so that strangers' bodies are not read; the body; proof again, because it may have been long on its way and what
/// somebody may do is decided when they have said what they want; then the handler. A refusal is audited if a rule was missing.
async fn decide<P, F, Fut>(
    auth: Arc<Auth>,
    route: &'static str,
    request: Request,
    handler: F,
) -> Response
where
    P: Proof,
    F: FnOnce(Arc<Auth>, P, Request) -> Fut,
    Fut: Future<Output = Result<Response, Refusal>>,
{
    let Some(peer) = request.extensions().get::<Peer>().cloned() else {
        return Refusal::new(Fault::Unauthenticated, "sign in first").into_response();
    };
    let mut held = match auth.bodies.none_yet(&peer, route) {
        Ok(held) => held,
        Err(Failure { fault, message }) => return Refusal::new(fault, message).into_response(),
    };
    let mut asked = Asked::new(peer, route);
    let proven = match asked.look_behind(&auth, request.headers()).await {
        Ok(()) => P::prove(&auth, asked.clone()).await,
        Err(refusal) => Err(refusal),
    };
    let proven = match proven {
        Ok(proof) if request.body().is_end_stream() => Ok((proof, request)),
        Ok(_) => whole::<P>(&auth, &asked, request, &mut held).await,
        Err(refusal) => Err(refusal),
    };
    let answered = match proven {
        Ok((proof, request)) => handler(Arc::clone(&auth), proof, request).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = answered_with(&auth, &asked, answered).await;
    if response.body().size_hint().exact().is_none() {
        let (auth, asked) = (Arc::clone(&auth), asked.clone());
        response = response.map(|body| while_let_in(body, auth, asked));
    }
    if let Some(set) = asked.set_session()
        && let Ok(value) = HeaderValue::from_str(&set.to_string())
    {
        response.headers_mut().insert(SET_SESSION_HEADER, value);
    }
    response
}

/// The request with all of its body there, and the proof as things stand then.
async fn whole<P: Proof>(
    auth: &Auth,
    asked: &Asked,
    request: Request,
    held: &mut Held<'_>,
) -> Result<(P, Request), Refusal> {
    let (head, body) = request.into_parts();
    let body = link::http::whole(body, most(asked), |more| held.grow(more)).await;
    let body = body.map_err(|(_, failure)| Refusal::new(failure.fault, failure.message))?;
    Ok((P::prove(auth, asked.clone()).await?, Request::from_parts(head, Body::from(body))))
}

/// Bytes of a request's body, at most. Behind this nothing bounds it again.
fn most(asked: &Asked) -> usize {
    match asked.kind() {
        Kind::Nobody => REQUEST_BYTES_OF_NOBODY,
        Kind::Node if asked.route() == receive::SHIP => receive::BODY_BYTES,
        Kind::Node | Kind::Person | Kind::Proxy => REQUEST_BYTES,
    }
}

/// A long answer, which breaks off when whoever asked for it is let in no more.
fn while_let_in(body: Body, auth: Arc<Auth>, asked: Asked) -> Body {
    let shut_out = Box::pin(async move { asked.shut_out(&auth).await });
    let parts = stream::unfold(Some((body.into_data_stream(), shut_out)), |open| async move {
        let (mut parts, mut shut_out) = open?;
        tokio::select! {
            biased;
            () = &mut shut_out => {
                let why = std::io::Error::other("whoever asked for this is let in no more");
                Some((Err(axum::Error::new(why)), None))
            }
            part = parts.next() => Some((part?, Some((parts, shut_out)))),
        }
    });
    Body::from_stream(parts)
}

async fn answered_with(
    auth: &Auth,
    asked: &Asked,
    answered: Result<Response, Refusal>,
) -> Response {
    match answered {
        Ok(response) => response,
        Err(refusal) => {
            if refusal.met_full_disk() {
                // Whoever tries again finds the ballast's space.
                auth.storage.ballast.free();
                auth.storage.changed.notify_one();
            }
            asked.audit(auth, &refusal).await;
            tracing::debug!(route = asked.route(), fault = ?refusal.fault(), "refused");
            refusal.into_response()
        }
    }
}

async fn read_json<C: Call>(request: Request) -> Result<C, Refusal> {
    let body = body_of(request).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Refusal::malformed(format!("the request cannot be read: {error}")))
}

/// The body of a request that a handler was given: all of it is there, and `most` has bounded it.
pub async fn body_of(request: Request) -> Result<bytes::Bytes, Refusal> {
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    body.map_err(|_| Refusal::malformed("the request broke off"))
}

async fn nothing_here() -> Response {
    Refusal::not_found("request: this scry does not know it; is the client newer?").into_response()
}
