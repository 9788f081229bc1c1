//! Every route by which a browser reaches the cluster, and who may ask it: the one list from which come what the proxy serves,
//! the published description (`docs/openapi.json`), and the test that asks all of them of everybody.
//!
//! A path that begins with `/v1/` and is not here is not there; a path that does not is a page, and pages hold nothing secret.

use crate::access::Explain;
use crate::arrival::{BeginArrivalPasskey, LetIn, ReadArrival, TurnAway};
use crate::asciinema::segments::{Index, Segment};
use crate::audit::{LedgerRow, ListAudit, ReadLedgerHead};
use crate::film::{
    AddComment, EventLine, Film, ListComments, ReadPreviews, ReelLine, RemoveComment, SearchLine,
    TranscriptLine,
};
use crate::live::ListLive;
use crate::lock::{AddLock, ListLocks, RemoveLock};
use crate::node::{InvitePart, ListNodes, RemoveNode};
use crate::people::{
    AddUser, ListRoles, ListUsers, ReadCluster, ReadInvitation, RemoveRole, RemoveUser, SetRole,
    SignUp,
};
use crate::recording::{ListRecordings, ReadStanding, RemoveRecording, ViewRecording};
use crate::search::SearchedLine;
use crate::share::{ListLinks, LookAtLink, MakeLink, ReadLink, RevokeLink};
use crate::web::{
    BeginNewPasskey, BeginPasskey, BeginTotp, EndWebSession, FinishNewPasskey, FinishPasskey,
    FinishTotp, Folder, ListFactors, ListWebSessions, Ping, ReadDoor, ReadMe, RemoveFactor,
    RenewRecovery, ResetFactors, ShowSecond, Uploaded, WebSignIn, WebSignOut,
};
use crate::{Call, Failure};
use Door::{Change, Open, Read};
use Field::{Choice, Flag, Name, Number, Text};
use Who::{Admin, Anybody, Member, SignedIn};
use model::role::AdminRight;
use model::role::AdminRight::{Audit, Locks, Nodes, Roles, Users};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// From where a route may be asked. Whoever asks, auth or a node decides what they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// From anywhere: nothing is changed, and nothing is shown of anybody.
    Open,
    /// To read, from the own pages.
    Read,
    /// To change something or to open a WebSocket, from the own pages, which say so in `Origin`.
    Change,
}

/// Who is let in. What they may do there is decided behind it, by their roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anybody: what is shown is the proof, such as a password or the code of a link.
    Anybody,
    /// Whoever is signed in, be it only to add the second factor that their roles demand.
    SignedIn,
    /// Whoever is signed in and has shown what their roles demand.
    Member,
    /// Of those who have this right.
    Admin(AdminRight),
}

/// What is done at a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is said that there is a proxy.
    Ping,
    /// It is said what routes there are.
    Description,
    /// A typed call is passed on to auth.
    Call,
    /// What auth tells is passed on as it comes.
    Stream,
    /// A WebSocket becomes a terminal.
    Terminal,
    /// A WebSocket becomes a live stream for asciinema-player.
    Alis,
    /// A folder of a node is listed.
    Folder,
    /// A file comes from a node.
    Download,
    /// A file goes to a node.
    Upload,
}

/// How a route is asked. GET is answered to HEAD, too, without the body (RFC 9110 §9.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
}

impl Method {
    /// As it stands in a request.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A parameter behind the `?`: its name, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A name, which must be given.
    Name(&'static str, &'static str),
    /// A text.
    Text(&'static str, &'static str),
    /// A number, not below 0.
    Number(&'static str, &'static str),
    /// `1`, where it holds.
    Flag(&'static str, &'static str),
    /// One of these.
    Choice(&'static str, &'static [&'static str], &'static str),
}

/// Writes the form of a type.
pub type Form = fn(&mut SchemaGenerator) -> Schema;

/// What a success answers.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// One value of JSON.
    Json(Form),
    /// Lines of JSON, as they come.
    Lines(Form),
    /// Bytes of this kind.
    Bytes(&'static str),
    /// A WebSocket of this subprotocol.
    Socket(&'static str),
}

/// A typed call that browsers may make: `POST /v1/PATH`, from the own pages.
#[derive(Debug, Clone, Copy)]
pub struct OpenCall {
    /// Last part of its path, after `/v1/`.
    pub path: &'static str,
    /// Who is let in.
    pub who: Who,
    /// The form of the request.
    pub request: Form,
    /// The form of the answer.
    pub answer: Form,
}

/// A route that is no call.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// How it is asked.
    pub method: Method,
    /// Its whole path, parameters in braces.
    pub path: &'static str,
    /// From where.
    pub door: Door,
    /// What is done.
    pub way: Way,
    /// Who is let in.
    pub who: Who,
    /// In one sentence.
    pub says: &'static str,
    /// What may stand behind the `?`.
    pub query: &'static [Field],
    /// What is answered.
    pub answer: Answer,
}

const fn open<C>(who: Who) -> OpenCall
where
    C: Call + JsonSchema,
    C::Answer: JsonSchema,
{
    let (request, answer) = (form::<C> as Form, form::<C::Answer> as Form);
    OpenCall { path: C::PATH, who, request, answer }
}

fn form<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The form of every answer that is no success.
pub const FAILURE: Form = form::<Failure>;

/// The calls that a browser may make; to any other path under `/v1/` the proxy says 404, whoever asks.
///
/// Not in it: what speaks of machines to machines (`node/…`, `join`, `renew`, `report`, `share/find`, `share/take`); `sign-in` and
/// what a terminal asks that waits to be let in, whose answer is certificates, which no browser shall hold; and `web/terminal`, which the proxy asks itself, with a key of its
/// own.
pub const OPEN: &[OpenCall] = &[
    open::<ReadInvitation>(Anybody),
    // Answers nothing but that it was done; `web/sign-in` comes behind it.
    open::<SignUp>(Anybody),
    open::<ReadCluster>(Member),
    open::<ReadDoor>(Anybody),
    open::<WebSignIn>(Anybody),
    open::<ShowSecond>(Anybody),
    open::<BeginPasskey>(Anybody),
    open::<FinishPasskey>(Anybody),
    // For a terminal that waits; the code names it, and who lets it in shows there and then who they are, cookie or not.
    open::<ReadArrival>(Anybody),
    open::<BeginArrivalPasskey>(Anybody),
    open::<LetIn>(Anybody),
    open::<TurnAway>(Anybody),
    open::<ReadMe>(SignedIn),
    open::<WebSignOut>(SignedIn),
    open::<ListWebSessions>(SignedIn),
    open::<EndWebSession>(SignedIn),
    open::<ListFactors>(SignedIn),
    open::<BeginTotp>(SignedIn),
    open::<FinishTotp>(SignedIn),
    open::<BeginNewPasskey>(SignedIn),
    open::<FinishNewPasskey>(SignedIn),
    open::<RenewRecovery>(SignedIn),
    open::<RemoveFactor>(SignedIn),
    open::<ResetFactors>(Admin(Users)),
    open::<AddUser>(Admin(Users)),
    open::<ListUsers>(Admin(Users)),
    open::<RemoveUser>(Admin(Users)),
    open::<ListRoles>(Admin(Roles)),
    open::<SetRole>(Admin(Roles)),
    open::<RemoveRole>(Admin(Roles)),
    open::<AddLock>(Admin(Locks)),
    open::<ListLocks>(Admin(Locks)),
    open::<RemoveLock>(Admin(Locks)),
    open::<ListNodes>(Member),
    // The token that it answers is for a machine, and shown to its admin as `scry nodes invite` shows it.
    open::<InvitePart>(Admin(Nodes)),
    open::<RemoveNode>(Admin(Nodes)),
    open::<Explain>(Member),
    open::<ListLive>(Member),
    open::<MakeLink>(Member),
    open::<ListLinks>(Member),
    open::<RevokeLink>(Member),
    open::<ReadLink>(Member),
    // For guests: it says where a code leads, and uses nothing up.
    open::<LookAtLink>(Anybody),
    open::<ListRecordings>(Member),
    open::<ReadStanding>(Member),
    // Its ticket opens what the player reads; the file itself (`recordings/…/bytes`) is not for browsers.
    open::<ViewRecording>(Member),
    open::<ReadPreviews>(Member),
    open::<AddComment>(Member),
    open::<ListComments>(Member),
    open::<RemoveComment>(Member),
    open::<RemoveRecording>(Member),
    open::<ListAudit>(Admin(Audit)),
    open::<ReadLedgerHead>(Admin(Audit)),
];

/// The call at this path, if browsers may make it.
#[must_use]
pub fn open_call(path: &str) -> Option<&'static OpenCall> {
    OPEN.iter().find(|call| call.path == path)
}

const fn beside(
    method: Method,
    path: &'static str,
    (door, way, who): (Door, Way, Who),
    says: &'static str,
    query: &'static [Field],
    answer: Answer,
) -> Beside {
    Beside { method, path, door, way, who, says, query, answer }
}

const TICKET: Field =
    Name("ticket", "From `recordings/view`; bound to the caller and the recording.");
const BEHIND: Field =
    Text("after", "What the last line of the answer before said: goes on behind it.");
const MOST: Field =
    Number("most", "About how much is told at most; the last line says where to go on.");
const WATCHED: (Door, Way, Who) = (Read, Way::Stream, Member);
const FILES: &[Field] = &[
    Name("node", "On which node."),
    Name("login", "As whom."),
    Text("path", "Which one; the home folder without it."),
];

/// The routes that are no calls.
pub const BESIDE: &[Beside] = &[
    beside(
        Method::Get,
        "/v1/ping",
        (Open, Way::Ping, Anybody),
        "Says that there is a proxy, and its version.",
        &[],
        Answer::Json(form::<Ping>),
    ),
    beside(
        Method::Get,
        "/v1/openapi.json",
        (Open, Way::Description, Anybody),
        "This description.",
        &[],
        Answer::Json(form::<serde_json::Value>),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/film",
        WATCHED,
        "What a player must know before it shows anything.",
        &[TICKET],
        Answer::Json(form::<Film>),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/reel",
        WATCHED,
        "The exact picture at a moment, then what follows; at the end of a live recording the answer waits for more.",
        &[
            TICKET,
            Number("at", "The moment, in milliseconds since the recording began."),
            Text("after", "In place of a moment: goes on behind an answer, as its last line said."),
            Number("most", "About how many bytes of output are told."),
        ],
        Answer::Lines(form::<ReelLine>),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/segments",
        WATCHED,
        "For asciinema-player, as its `segmented` recording: what segments there are, as far as the recording reaches.",
        &[TICKET],
        Answer::Json(form::<Index>),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/segment",
        WATCHED,
        "For asciinema-player: one segment; the index has its address.",
        &[
            TICKET,
            Number("from", "Its first moment, in milliseconds since the recording began."),
            Number("to", "The first moment behind it; of the last its own last."),
            Flag("last", "Whether it is the last."),
        ],
        Answer::Json(form::<Segment>),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/alis",
        (Change, Way::Alis, Member),
        "For asciinema-player: a recording that goes on, live, as ALiS v1.",
        &[TICKET],
        Answer::Socket(crate::asciinema::alis::PROTOCOL),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/transcript",
        WATCHED,
        "What stood on the screen, as lines of text.",
        &[TICKET, Number("at", "From what stands on the screen then."), BEHIND, MOST],
        Answer::Lines(form::<TranscriptLine>),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/events",
        WATCHED,
        "What happened beside the terminal.",
        &[TICKET, Text("class", "Of these classes only, with commas between them."), BEHIND, MOST],
        Answer::Lines(form::<EventLine>),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/search",
        WATCHED,
        "Where a text came onto the screen, as it is found.",
        &[
            TICKET,
            Name("for", "The text."),
            Flag("case", "Whether capitals matter."),
            Flag("regex", "Whether the text is a regular expression."),
            BEHIND,
        ],
        Answer::Lines(form::<SearchLine>),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/cast",
        WATCHED,
        "The recording as an asciicast; needs the right to export.",
        &[TICKET, Choice("version", &["2", "3"], "Which asciicast; 2 if nothing is said.")],
        Answer::Bytes("application/x-asciicast"),
    ),
    beside(
        Method::Get,
        "/v1/recordings/{id}/text",
        WATCHED,
        "The whole transcript; needs the right to export.",
        &[TICKET],
        Answer::Bytes("text/plain"),
    ),
    beside(
        Method::Get,
        "/v1/search",
        WATCHED,
        "Where a text came onto the screen, was run, or stands in a path or an address, in all recordings that the caller may play; newest first, as it is found.",
        &[
            Name("for", "The text."),
            Flag("case", "Whether capitals matter."),
            Flag("regex", "Whether the text is a regular expression."),
            Text(
                "what",
                "Where: `screen`, `commands`, `files`, `connections`, with commas between them; everywhere without it.",
            ),
            Text("user", "In recordings of this user only."),
            Text("node", "Of this node only."),
            Text("login", "Of this account only."),
            Number("since", "Begun at or after, in milliseconds since 1970."),
            Number("until", "Begun before."),
            BEHIND,
        ],
        Answer::Lines(form::<SearchedLine>),
    ),
    beside(
        Method::Get,
        "/v1/audit/follow",
        (Read, Way::Stream, Admin(Audit)),
        "Events of the ledger, first those behind a number, then new ones as they come.",
        &[Number("after", "That number.")],
        Answer::Lines(form::<LedgerRow>),
    ),
    beside(
        Method::Get,
        "/v1/web/terminal",
        (Change, Way::Terminal, Anybody),
        "A terminal. Who may have which is decided by its first message; guests come by the code of a link.",
        &[],
        Answer::Socket(crate::web::TERMINAL_PROTOCOL),
    ),
    beside(
        Method::Get,
        "/v1/web/folder",
        (Read, Way::Folder, Member),
        "Lists a folder of a node.",
        FILES,
        Answer::Json(form::<Folder>),
    ),
    beside(
        Method::Get,
        "/v1/web/files",
        (Read, Way::Download, Member),
        "A file of a node, as an attachment.",
        FILES,
        Answer::Bytes("application/octet-stream"),
    ),
    beside(
        Method::Post,
        "/v1/web/files",
        (Change, Way::Upload, Member),
        "The body becomes the file.",
        FILES,
        Answer::Json(form::<Uploaded>),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_may_ask_is_a_call_that_exists_and_none_that_is_for_machines() {
        let calls = crate::paths();
        let mut open: Vec<_> = OPEN.iter().map(|call| call.path).collect();
        open.sort_unstable();
        open.dedup();
        assert_eq!(open.len(), OPEN.len(), "each once");
        let closed: Vec<_> = calls.into_iter().filter(|path| open_call(path).is_none()).collect();
        // Whoever makes a new call decides: it is open, or stands here.
        assert_eq!(
            closed,
            [
                "arrival/begin",
                "arrival/come-in",
                "arrival/leave",
                "node/live",
                "join",
                "renew",
                "node/heartbeat",
                "report",
                "sign-in",
                "node/progress",
                "share/find",
                "share/take",
                "web/terminal",
            ]
        );
    }

    #[test]
    fn every_stream_of_browsers_stands_in_the_page_about_streams() {
        let streams = include_str!("stream.rs");
        for route in BESIDE.iter().filter(|route| route.way == Way::Stream) {
            assert!(streams.contains(route.path), "{}", route.path);
            for field in route.query {
                let (Name(name, _)
                | Text(name, _)
                | Number(name, _)
                | Flag(name, _)
                | Choice(name, _, _)) = field;
                assert!(streams.contains(&format!("{name}=")), "{} {name}", route.path);
            }
        }
    }
}
