//! `scry login --browser`: the terminal waits until its person has shown in a browser who they are, and has its answer from there.
//!
//! The answer comes in one of two ways. A browser that was opened here is given an address with a port of this machine, and its
//! page says the answer there by itself (RFC 8252 §7.3). In any other browser the page shows the answer, and it is typed here.

use super::profile::{Address, Profile};
use super::{login, opener, reach};
use crate::show;
use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use link::http::CallError;
use model::UserName;
use serde::Deserialize;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;
use store::keys::ClientDir;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wire::Fault;
use wire::arrival::{Arrive, Arrived, ComeIn, Leave, PAGE_PATH};
use wire::people::Credentials;

/// How long a page that has told its answer may take to hear what became of it, in milliseconds.
const GOODBYE_MS: u64 = 1000;
/// How long auth may take to hear that a terminal leaves, in milliseconds: nobody waits longer for the end of a command.
const LEAVE_MS: u64 = 2000;

/// Who wants to be signed in, and how.
pub struct Wish {
    /// Who.
    pub user: UserName,
    /// Wished life of the certificates.
    pub life_ms: Option<u64>,
    /// Whether a browser may be opened here.
    pub open: bool,
    /// Whether programs read what is printed.
    pub json: bool,
}

/// Signs in, keeping what is needed under `home`.
pub async fn sign_in(at: &Address, wish: &Wish, home: &ClientDir) -> Result<Profile> {
    let (keys, tls_request) = login::make_keys()?;
    let arrive = Arrive {
        user: wish.user.clone(),
        ssh_key: keys.ssh_public.clone(),
        tls_request,
        wanted_ms: wish.life_ms.and_then(|ms| i64::try_from(ms).ok()),
        machine: login::machine(),
    };
    let arrived = reach::stranger(at).await?.call(&arrive).await?;
    // From here on auth is to hear of it, whenever it comes.
    let cancelled = signal(SignalKind::interrupt()).context("cannot wait for ctrl-c")?;
    let page = format!("https://{}{PAGE_PATH}#{}", at.address, arrived.code);
    let (said, heard) = mpsc::channel(1);
    let ear = Ear::open(&page, said).await;
    let browser = match &ear {
        Some(ear) if wish.open => opener::open(&format!("{page}.{}.{}", ear.port, ear.state)),
        _ => None,
    };
    tell(wish, &page, &arrived, browser.is_some())?;
    let stop = CancellationToken::new();
    let mut waiting = Waiting { at, wish, arrived: &arrived, heard, browser, cancelled };
    let serve = ear.map(|ear| ear.serve(stop.clone()));
    let serve = async {
        if let Some(serve) = serve {
            serve.await;
        }
    };
    let answered = async {
        let answered = waiting.answered().await;
        stop.cancel();
        answered
    };
    let (got, ()) = tokio::join!(answered, serve);
    let got = got?;
    if got.user != wish.user {
        bail!("certificates came for {}, not for {}; they are not kept", got.user, wish.user);
    }
    Profile::save(home, at, &keys, got)
}

fn tell(wish: &Wish, page: &str, arrived: &Arrived, opened: bool) -> Result<()> {
    if wish.json {
        let value = serde_json::json!({
            "open": page, "code": arrived.code, "key": arrived.key, "expires": arrived.expires,
        });
        show::line(show::compact(&value)?);
        return Ok(());
    }
    let left = u64::try_from(arrived.expires.0.saturating_sub(show::now().0)).unwrap_or(0);
    show::remark(format!("To sign in here as {}, open in a browser:\n\n    {page}\n", wish.user));
    let (code, key) = (show::clean(&arrived.code, 80), show::clean(&arrived.key, 80));
    show::remark(format!("code      {code}\nkey       {key}"));
    show::remark(format!(
        "until     {} ({} left)\n",
        show::moment(arrived.expires),
        show::length(left)
    ));
    show::remark(match opened {
        true => {
            "A browser opens here, and tells this terminal by itself.\n\
                 If it cannot, type what the page shows. Ctrl-c ends this."
        }
        false => "Type what the page shows when it knows you. Ctrl-c ends this.",
    });
    Ok(())
}

/// What a page has said, and where it hears what became of it.
struct Said {
    /// The answer; none if the terminal is turned away.
    answer: Option<String>,
    became: oneshot::Sender<bool>,
}

/// A terminal that waits for its answer.
struct Waiting<'w> {
    at: &'w Address,
    wish: &'w Wish,
    arrived: &'w Arrived,
    heard: mpsc::Receiver<Said>,
    browser: Option<opener::Opening>,
    /// Ctrl-c.
    cancelled: Signal,
}

impl Waiting<'_> {
    /// Waits for an answer that counts.
    async fn answered(&mut self) -> Result<Credentials> {
        let mut typed = typed_lines();
        let left = self.arrived.expires.0.saturating_sub(show::now().0);
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        let over = tokio::time::sleep(left);
        tokio::pin!(over);
        let (mut types, mut hears) = (true, true);
        self.prompt();
        loop {
            let trouble = async {
                match &mut self.browser {
                    Some(opening) => opening.failed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                said = self.heard.recv(), if hears => {
                    let Some(said) = said else { hears = false; continue };
                    self.end_line();
                    let became = self.take(said.answer.as_deref()).await;
                    let _ = said.became.send(matches!(became, Ok(Some(_))));
                    if let Some(got) = became? {
                        return Ok(got);
                    }
                }
                line = typed.recv(), if types => {
                    let Some(line) = line else {
                        types = false;
                        if self.browser.is_none() {
                            self.leave().await;
                            bail!("nobody can type here what the page shows, and no browser was opened");
                        }
                        continue;
                    };
                    if !line.trim().is_empty() && let Some(got) = self.take(Some(&line)).await? {
                        return Ok(got);
                    }
                    self.prompt();
                }
                why = trouble => {
                    self.browser = None;
                    self.end_line();
                    show::remark(format!("{why}: open the address yourself."));
                    self.prompt();
                }
                () = &mut over => {
                    self.end_line();
                    bail!("nobody let this terminal in in time; use `scry login --browser` again");
                }
                _ = self.cancelled.recv() => {
                    self.end_line();
                    self.leave().await;
                    bail!("cancelled; nothing was changed");
                }
            }
        }
    }

    /// Shows an answer to auth; nothing if another one may do.
    async fn take(&self, answer: Option<&str>) -> Result<Option<Credentials>> {
        let Some(answer) = answer else { bail!("this terminal was turned away in the browser") };
        let (ticket, answer) = (self.arrived.ticket.clone(), answer.trim().to_owned());
        let auth = reach::stranger(self.at).await?;
        match auth.call(&ComeIn { ticket, answer }).await {
            Ok(got) => Ok(Some(got)),
            Err(CallError::Refused(failure))
                if matches!(failure.fault, Fault::Malformed | Fault::Conflict) =>
            {
                show::remark(login::sentence(&failure.message));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells auth that nobody waits here any more. What it does not hear it knows when the time is over.
    async fn leave(&self) {
        let leaving = async {
            let ticket = self.arrived.ticket.clone();
            reach::stranger(self.at).await?.call(&Leave { ticket }).await?;
            anyhow::Ok(())
        };
        let _ = tokio::time::timeout(Duration::from_millis(LEAVE_MS), leaving).await;
    }

    fn prompt(&self) {
        if self.asks() {
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "Answer from the page: ").and_then(|()| out.flush());
        }
    }

    /// Leaves the line of the prompt.
    fn end_line(&self) {
        if self.asks() {
            show::remark("");
        }
    }

    fn asks(&self) -> bool {
        !self.wish.json && std::io::stdin().is_terminal()
    }
}

/// What is typed, by lines. The thread that reads does not keep the command when it is done.
fn typed_lines() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receive
}

/// Listens on this machine for what the page says.
struct Ear {
    listener: TcpListener,
    port: u16,
    /// By which the page is known: it stands behind the `#` of the address that is opened here, and nowhere else.
    state: String,
    /// Where the page goes on.
    page: String,
    said: mpsc::Sender<Said>,
}

/// What the listening end knows.
struct Known {
    host: String,
    state: String,
    page: String,
    said: mpsc::Sender<Said>,
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    state: String,
    #[serde(default)]
    answer: String,
}

impl Ear {
    /// Where this cannot be, answers are typed.
    async fn open(page: &str, said: mpsc::Sender<Said>) -> Option<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.ok()?;
        let port = listener.local_addr().ok()?.port();
        let state = blake3::Hash::from_bytes(rand::random()).to_hex().to_string();
        let page = page.split('#').next().unwrap_or_default().to_owned();
        Some(Self { listener, port, state, page, said })
    }

    /// Serves until it is told to stop, and then until the page has heard what became of it.
    async fn serve(self, stop: CancellationToken) {
        let host = format!("127.0.0.1:{}", self.port);
        let known = Known { host, state: self.state, page: self.page, said: self.said };
        let router = Router::new().route("/", get(hear)).with_state(Arc::new(known));
        let stopped = stop.clone();
        let serving = axum::serve(self.listener, router)
            .with_graceful_shutdown(async move { stopped.cancelled().await });
        let goodbye = async {
            stop.cancelled().await;
            tokio::time::sleep(Duration::from_millis(GOODBYE_MS)).await;
        };
        tokio::select! {
            _ = serving.into_future() => {}
            () = goodbye => {}
        }
    }
}

/// Takes an answer from the page that was opened, and from no other: any page can make a browser ask here.
async fn hear(
    State(known): State<Arc<Known>>,
    Query(words): Query<Words>,
    headers: HeaderMap,
) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_known = blake3::hash(words.state.as_bytes()) == blake3::hash(known.state.as_bytes());
    if host != Some(known.host.as_str()) || !is_known {
        return StatusCode::NOT_FOUND.into_response();
    }
    let answer = Some(words.answer).filter(|answer| !answer.is_empty());
    let away = answer.is_none();
    let (became, told) = oneshot::channel();
    if known.said.send(Said { answer, became }).await.is_err() {
        return StatusCode::GONE.into_response();
    }
    let place = match (told.await, away) {
        (Ok(true), _) => "done",
        (_, true) => "away",
        (_, false) => "failed",
    };
    let to = format!("{}#{place}", known.page);
    (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, to), (header::REFERRER_POLICY, "no-referrer".into())],
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    /// What is heard of a page that says this, and what it is answered.
    async fn check(host: &str, state: &str, answer: &str, expected: (u16, &str, Option<&str>)) {
        let (said, mut heard) = mpsc::channel(1);
        let known = Known {
            host: "127.0.0.1:5000".into(),
            state: "right".into(),
            page: "https://scry.example.org:4422/login".into(),
            said,
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        let words = Words { state: state.into(), answer: answer.into() };
        let hearing = hear(State(Arc::new(known)), Query(words), headers);
        let taking = async {
            let said = heard.recv().await?;
            let _ = said.became.send(said.answer.as_deref() == Some("abcd-efgh"));
            Some(said.answer.unwrap_or_default())
        };
        let (answered, taken) = tokio::join!(hearing, taking);
        let to = answered.headers().get(header::LOCATION).map(|to| to.to_str().unwrap());
        let to = to.map_or("", |to| to.rsplit_once('#').unwrap().1);
        assert_eq!((answered.status().as_u16(), to, taken.as_deref()), expected, "{host} {state}");
    }

    #[tokio::test]
    async fn an_answer_is_heard_from_the_page_that_was_opened_and_from_no_other() {
        let own = "127.0.0.1:5000";
        check(own, "right", "abcd-efgh", (303, "done", Some("abcd-efgh"))).await;
        check(own, "right", "other", (303, "failed", Some("other"))).await;
        check(own, "right", "", (303, "away", Some(""))).await;
        for state in ["", "wrong", "righ", "right2"] {
            check(own, state, "abcd-efgh", (404, "", None)).await;
        }
        // A name that somebody else lets point here (DNS rebinding), and another port.
        for host in ["evil.example:5000", "localhost:5000", "127.0.0.1:5001", "127.0.0.1"] {
            check(host, "right", "abcd-efgh", (404, "", None)).await;
        }
    }
}
