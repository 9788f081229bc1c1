//! What can stand in the ledger. Codes are stable: a meaning never changes its code.

mod event;
pub mod form;

use crate::role::Labels;
use crate::{LinkId, LockId, NodeName, RoleName, SessionId, Time, UserName};
pub use event::AuditEvent;
use form::{EventForm, FieldForm, Formed};
use serde::{Deserialize, Serialize};

macro_rules! audited {
    ($( $(#[doc = $doc:literal])* $name:ident $code:literal $word:literal {
        $( $(#[doc = $fdoc:literal])* $(#[serde($($serde:tt)*)])? $field:ident : $type:ty ),* $(,)?
    } )*) => {
        /// What happened. `event` is its word, [`Audited::code`] its stable code.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "event")]
        pub enum Audited {
            $( $(#[doc = $doc])* #[serde(rename = $word)] $name {
                $( $(#[doc = $fdoc])* $(#[serde($($serde)*)])? $field: $type ),*
            } ),*
        }

        impl Audited {
            /// Every event with its fields, for the published schema.
            pub const EVENTS: &'static [EventForm] = &[$( EventForm {
                code: $code,
                word: $word,
                says: &[$($doc),*],
                fields: &[$( FieldForm {
                    name: stringify!($field),
                    says: &[$($fdoc),*],
                    form: <$type as Formed>::FORM,
                } ),*],
            } ),*];

            /// The stable code: `S`, four digits, and `I`nformation or `W`arning.
            #[must_use]
            pub fn code(&self) -> &'static str {
                match self { $( Self::$name { .. } => $code ),* }
            }

            /// The event's word, such as `session.start`.
            #[must_use]
            pub fn word(&self) -> &'static str {
                match self { $( Self::$name { .. } => $word ),* }
            }
        }
    };
}

audited! {
    /// An auth service began to serve.
    Started "S0001I" "auth.start" {
        /// Version of scry.
        version: String,
    }
    /// A person signed in.
    SignIn "S1000I" "user.sign_in" {
        /// How, such as `password`, `password and totp`, or `passkey`.
        method: String,
    }
    /// A sign-in was refused.
    SignInFailed "S1000W" "user.sign_in_failed" {
        /// Why.
        why: String,
    }
    /// An invitation was made.
    Invited "S1001I" "user.invite" {
        /// For whom.
        invited: UserName,
        /// With which roles.
        roles: Vec<RoleName>,
    }
    /// An invitation was taken up and a password set.
    SignedUp "S1002I" "user.sign_up" {}
    /// A user was removed.
    UserRemoved "S1003I" "user.remove" {
        /// Who.
        removed: UserName,
    }
    /// A role was made or changed.
    RoleSet "S1010I" "role.set" {
        /// Which.
        role: RoleName,
    }
    /// A role was removed.
    RoleRemoved "S1011I" "role.remove" {
        /// Which.
        role: RoleName,
    }
    /// Something was locked.
    Locked "S1020I" "lock.create" {
        /// Number of the lock.
        lock: LockId,
        /// What, such as `user alice`.
        target: String,
        /// Why, in the admin's words.
        reason: String,
        /// First moment at which it no longer counts; none if it is to be lifted by hand.
        #[serde(default, skip_serializing_if = "Option::is_none")] expires: Option<Time>,
    }
    /// A lock was lifted.
    Unlocked "S1021I" "lock.remove" {
        /// Number of the lock.
        lock: LockId,
        /// What it was on.
        target: String,
    }
    /// A lock's time was over.
    LockExpired "S1022I" "lock.expire" {
        /// Number of the lock.
        lock: LockId,
        /// What it was on.
        target: String,
    }
    /// A certificate was signed.
    CertificateIssued "S2000I" "certificate.issue" {
        /// `user`, `host`, `tls`, `signer`, or `terminal`: a user's for one terminal in a browser.
        kind: String,
        /// Serial number of an SSH certificate.
        serial: u64,
        /// Its principals.
        principals: Vec<String>,
        /// Last moment of its life.
        expires: Time,
    }
    /// A node joined the cluster.
    NodeJoined "S2001I" "node.join" {}
    /// A connection to a node was let in.
    Connected "S3000I" "connection.open" {
        /// Serial number of the certificate.
        serial: u64,
        /// The client's version line.
        version: String,
    }
    /// A connection ended.
    Disconnected "S3001I" "connection.close" {
        /// How long it was open.
        ms: u64,
        /// Why it was ended, if the client did not end it.
        #[serde(default, skip_serializing_if = "Option::is_none")] why: Option<String>,
    }
    /// A session began.
    SessionStarted "S3010I" "session.start" {
        /// `shell`, `exec` or the subsystem's name.
        kind: String,
        /// Columns and rows, with a terminal.
        #[serde(default, skip_serializing_if = "Option::is_none")] size: Option<String>,
        /// `strict`, `spool` or `off`.
        recording: String,
    }
    /// A command was run.
    Exec "S3011I" "session.exec" {
        /// As the client sent it, up to 4 KiB; its recording has all of it.
        command: String,
    }
    /// A session ended.
    SessionEnded "S3012I" "session.end" {
        /// Exit status, if it exited.
        #[serde(default, skip_serializing_if = "Option::is_none")] status: Option<u32>,
        /// Signal, disconnection or other reason, if not.
        #[serde(default, skip_serializing_if = "Option::is_none")] why: Option<String>,
        /// How long it lasted.
        ms: u64,
        /// Bytes of output.
        output: u64,
        /// Bytes of input.
        input: u64,
    }
    /// Something was lost from a recording.
    GapRecorded "S3013W" "session.gap" {
        /// Why.
        cause: String,
        /// Bytes, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")] bytes: Option<u64>,
        /// How many gaps are told together, where they were more than can be told one by one.
        #[serde(default, skip_serializing_if = "Option::is_none")] gaps: Option<u64>,
    }
    /// A recording could not be made as its policy asks.
    RecordingFailed "S3014W" "session.recording_failed" {
        /// Why.
        why: String,
    }
    /// What kept a recording from being made as its policy asks is over.
    RecordingResumed "S3015I" "session.recording_resumed" {
        /// What is over, and what was lost.
        what: String,
    }
    /// A forward was opened.
    ForwardOpened "S3020I" "forward.open" {
        /// `local` or `remote`.
        direction: String,
        /// Where to.
        target: String,
    }
    /// A forward was closed.
    ForwardClosed "S3021I" "forward.close" {
        /// `local` or `remote`.
        direction: String,
        /// Where to.
        target: String,
        /// Bytes from the client.
        sent: u64,
        /// Bytes to the client.
        received: u64,
    }
    /// Somebody came to a session: of somebody else, or from a second place to their own.
    SeatTaken "S3030I" "seat.taken" {
        /// Number within the recording.
        party: u32,
        /// As what: `observer`, `peer`, `moderator`.
        seat: String,
        /// Whose session it is.
        owner: UserName,
    }
    /// Whoever came to a session has left it.
    SeatLeft "S3031I" "seat.left" {
        /// Number within the recording.
        party: u32,
        /// Why they had to, or how they were lost, if they did not want to.
        #[serde(default, skip_serializing_if = "Option::is_none")] why: Option<String>,
    }
    /// Somebody tried to type, or asked for something, who may not; told once for each seat and reason.
    SeatInputRefused "S3032W" "seat.input_refused" {
        /// Number within the recording.
        party: u32,
        /// Why they may not, as they were told.
        why: String,
    }
    /// The keyboard went from hand to hand.
    KeyboardMoved "S3033I" "seat.keyboard" {
        /// Number of the only one who may type; none where all may who may at all.
        #[serde(default, skip_serializing_if = "Option::is_none")] held: Option<u32>,
    }
    /// The owner of a session had its terminal take the size of somebody else's, or it has their own again.
    SizeAdopted "S3034I" "seat.size" {
        /// Number of whose size it has; 0 is the owner.
        party: u32,
    }
    /// A session waits for somebody before anything runs in it.
    SessionWaits "S3040I" "session.waits" {
        /// For whom.
        why: String,
    }
    /// A session's processes stand still, and nothing passes.
    SessionFrozen "S3041W" "session.frozen" {
        /// Why.
        why: String,
    }
    /// A session that waited or stood still goes on.
    SessionGoesOn "S3042I" "session.goes_on" {}
    /// A process had left its session's control group when that was frozen; it was stopped by itself.
    ProcessOutside "S3043W" "session.process_outside" {
        /// Its number.
        pid: u32,
        /// Its name.
        name: String,
        /// The user id that it ran with.
        uid: u32,
    }
    /// Somebody wants to move a file that others must approve.
    FileWanted "S3044I" "file.want" {
        /// Number within the session.
        file: u32,
        /// `download` or `upload`.
        direction: String,
        /// The path as it was asked for.
        asked: String,
        /// Where that leads, links followed.
        path: String,
        /// What is there: size, inode, device, hash; or in which folder it will be new.
        target: String,
    }
    /// Somebody approved that one file be moved, once.
    FileApproved "S3045I" "file.approve" {
        /// Number within the session.
        file: u32,
        /// Where the path leads.
        path: String,
        /// Number of who approved it, within the recording.
        party: u32,
    }
    /// A wanted file is not moved.
    FileRefused "S3046W" "file.refuse" {
        /// Number within the session.
        file: u32,
        /// Where the path leads.
        path: String,
        /// Why.
        why: String,
    }
    /// A file was approved, and was not moved, or not to its end, nevertheless.
    FileStopped "S3047W" "file.stop" {
        /// Number within the session.
        file: u32,
        /// Why: it was changed, something else came there, or its time was over.
        why: String,
    }
    /// The connection of a session's owner was lost; it waits for them.
    OwnerLost "S3048W" "session.owner_lost" {
        /// For how long.
        ms: u64,
    }
    /// A session's owner came back to it, or goes on with it from another place.
    OwnerBack "S3049I" "session.owner_back" {}
    /// A link was made that lets others into one's own session.
    LinkMade "S3050I" "share.create" {
        /// Number of the link.
        link: LinkId,
        /// As what it lets in: `observer`, `peer`, `moderator`.
        seat: String,
        /// The only one who may use it; anyone with an account if none.
        #[serde(default, skip_serializing_if = "Option::is_none")] recipient: Option<UserName>,
        /// Whether people who have no account may use it, too.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")] guests: bool,
        /// Whether it counts once only.
        once: bool,
        /// First moment at which it no longer counts.
        expires: Time,
    }
    /// Somebody used a link to come into a session.
    LinkUsed "S3051I" "share.use" {
        /// Number of the link.
        link: LinkId,
        /// As what: `observer`, `peer`, `moderator`.
        seat: String,
        /// Whose session it is.
        owner: UserName,
    }
    /// A link was shown that does not count, or not for whoever showed it.
    LinkRefused "S3052W" "share.refuse" {
        /// Number of the link, if there is one with this code.
        #[serde(default, skip_serializing_if = "Option::is_none")] link: Option<LinkId>,
        /// Why.
        why: String,
    }
    /// A link was revoked; whoever had come by it had to leave.
    LinkRevoked "S3053I" "share.revoke" {
        /// Number of the link.
        link: LinkId,
        /// Whose session it is.
        owner: UserName,
    }
    /// A request was denied.
    Denied "S4000W" "access.denied" {
        /// What was asked for.
        action: String,
        /// Which rule is missing or forbids it, in full.
        why: String,
    }
    /// Somebody was denied more within a minute than the ledger takes one by one.
    DenialsNotListed "S4001W" "access.denials_not_listed" {
        /// What was asked for.
        route: String,
        /// How many have no event of their own.
        count: u64,
    }
    /// A recording is whole and in the final store.
    RecordingStored "S5000I" "recording.stored" {
        /// Bytes.
        bytes: u64,
        /// Result of verification, as `scry verify` words it.
        verification: String,
    }
    /// Somebody looked at a recording.
    RecordingViewed "S5001I" "recording.view" {
        /// `play`, `export`, `follow`, or `search`: a search found something in it.
        how: String,
    }
    /// A recording was removed; this is its tombstone.
    RecordingRemoved "S5002I" "recording.remove" {
        /// Whose it was.
        owner: UserName,
        /// BLAKE3 of the file, in hexadecimal.
        hash: String,
    }
    /// Events could not be reported and were dropped.
    EventsLost "S5004W" "audit.events_lost" {
        /// How many.
        count: u64,
    }
    /// Auth refused events for what they are; whoever reported them keeps them in a file.
    EventsRefused "S5005W" "audit.events_refused" {
        /// How many.
        count: u64,
        /// Auth's words.
        why: String,
    }
    /// Less of auth's disk is free than is to be kept free: of each node only its reserve is taken.
    StorageLow "S5100W" "storage.low" {
        /// Bytes that are free.
        free: u64,
        /// Bytes that are to be kept free.
        keep_free: u64,
    }
    /// As good as nothing of auth's disk is free: nothing is taken from nodes.
    StorageFull "S5101W" "storage.full" {
        /// Bytes that are free.
        free: u64,
    }
    /// There is enough space on auth's disk again.
    StorageBack "S5102I" "storage.back" {
        /// Bytes that are free.
        free: u64,
    }
    /// A node's recordings take as much of auth's disk as one node's may: no more is taken from it.
    NodeOverQuota "S5103W" "storage.node_over_quota" {
        /// Bytes that they take.
        used: u64,
        /// Bytes that they may.
        quota: u64,
    }
    /// Someone tried to alter what is recorded.
    Tampering "S5003W" "recording.tampering" {
        /// What was wrong.
        why: String,
    }
    /// A machine was invited: a join token was made.
    PartInvited "S2010I" "node.invite" {
        /// `node` or `proxy`.
        part: String,
        /// The one name it may join with, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")] name: Option<NodeName>,
        /// Labels it gets.
        labels: Labels,
        /// Last moment the token counts.
        expires: Time,
    }
    /// A node was removed; its certificates count no more.
    NodeRemoved "S2011I" "node.remove" {
        /// Which.
        removed: NodeName,
    }
    /// A socket on the node waits for connections that go to the client.
    ForwardListening "S3022I" "forward.listen" {
        /// `agent`, `remote` or `x11`.
        direction: String,
        /// `address:port`, or the path of a socket.
        at: String,
    }
    /// That socket was closed.
    ForwardStopped "S3023I" "forward.stop" {
        /// `agent`, `remote` or `x11`.
        direction: String,
        /// As in `forward.listen`.
        at: String,
    }
    /// A forward that was allowed could not be opened.
    ForwardFailed "S3024W" "forward.failed" {
        /// `agent`, `local`, `remote` or `x11`.
        direction: String,
        /// Where to, or where it was to wait.
        target: String,
        /// Why.
        why: String,
    }
    /// A forward reaches the node's own port 22: what is done over it is recorded by nobody.
    ForwardAround "S3025W" "forward.around_recorder" {
        /// Where to.
        target: String,
    }
    /// The machine lets this account in no more, whatever the roles allow: PAM, an expired or locked account, nologin.
    AccountRefused "S3026W" "account.refused" {
        /// Why, in the machine's words.
        why: String,
    }
    /// A client asked for a variable that may not be set.
    VariableRefused "S3027W" "session.variable_refused" {
        /// Its name.
        name: String,
    }
    /// A file was moved by sftp or scp. One that was both read and written is two events.
    Transferred "S3060I" "session.transfer" {
        /// As the protocol named it.
        path: String,
        /// `read` or `written`, as the node sees it.
        direction: String,
        /// How many bytes.
        bytes: u64,
        /// BLAKE3 of them in hexadecimal, if they came in order.
        #[serde(default, skip_serializing_if = "Option::is_none")] hash: Option<String>,
        /// `ok`, `not finished`, or why it failed.
        result: String,
    }
    /// Something was changed, or was to be changed, by sftp or scp.
    FileChanged "S3061I" "session.file_change" {
        /// What was done, such as `remove` or `rename`.
        change: String,
        /// To what.
        path: String,
        /// The other path, where there are two.
        #[serde(default, skip_serializing_if = "Option::is_none")] to: Option<String>,
        /// `ok`, `not finished`, or why it failed.
        result: String,
    }
    /// A file or folder could not be opened by sftp or scp.
    NotOpened "S3062W" "session.not_opened" {
        /// As the protocol named it.
        path: String,
        /// `read`, `write`, `read and write` or `list`.
        access: String,
        /// Why.
        result: String,
    }
    /// A session did more with files than the ledger takes; its recording has all of it.
    TransfersNotListed "S3063W" "session.transfers_not_listed" {
        /// Transfers, changes and refusals without an event of their own.
        count: u64,
        /// Bytes moved by them.
        bytes: u64,
    }
    /// A session began as a transfer and went on as something else, which is recorded as it is.
    TransferUnparsed "S3064W" "session.transfer_unparsed" {
        /// `stdin` or `stdout`.
        stream: String,
        /// What was wrong.
        why: String,
    }
    /// An auth service stopped in good order; without this event before the next `auth.start` it was killed.
    Stopped "S0002I" "auth.stop" {}
    /// Sign-ins are refused without a look at the password until some time has passed; those in between are not listed.
    SignInThrottled "S1004W" "user.sign_in_throttled" {
        /// `user` or `address`: whose failures are too many.
        of: String,
        /// How long, from the first failure on.
        minutes: u64,
    }
    /// A code was shown that is no invitation, or none any more.
    InvitationRefused "S1005W" "user.invitation_refused" {
        /// Why.
        why: String,
    }
    /// A node began to serve.
    NodeStarted "S2003I" "node.start" {
        /// Version of scry.
        version: String,
    }
    /// A node stopped in good order; without this event before the next `node.start` it was killed.
    NodeStopped "S2004I" "node.stop" {}
    /// A connection ended before anybody was let in.
    ConnectionRefused "S3002W" "connection.refused" {
        /// Why.
        why: String,
        /// The account that was asked for last, as the client wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")] asked_for: Option<String>,
        /// What was offered, in words.
        tried: Vec<String>,
    }
    /// More strangers were refused within a minute than the ledger takes.
    RefusalsNotListed "S3003W" "connection.refusals_not_listed" {
        /// How many have no event of their own.
        count: u64,
    }
    /// A client asked for something that is never granted, or was not granted then.
    RequestRefused "S3028W" "connection.request_refused" {
        /// The request or channel, by its name in the protocol.
        request: String,
        /// Why.
        why: String,
    }
    /// A connection asked for more that is refused than the ledger takes.
    RequestsNotListed "S3029W" "connection.requests_not_listed" {
        /// How many have no event of their own.
        count: u64,
    }
    /// What the kernel saw of a session; its recording has all of it.
    KernelSeen "S3070I" "session.kernel_seen" {
        /// What was watched, in words.
        watched: String,
        /// Programs that ran.
        programs: u64,
        /// Files that were opened or changed.
        files: u64,
        /// Connections and what else was done with sockets.
        connections: u64,
        /// Processes that go on behind the end of the recording.
        left: u64,
        /// Events of files and connections that roles left out of the recording.
        #[serde(default)]
        left_out: u64,
        /// Events that the ledger was told one by one (`session.kernel_event`), as a role has it.
        #[serde(default)]
        told: u64,
        /// And those that were too many for that: they stand in the recording only.
        #[serde(default)]
        untold: u64,
    }
    /// Something that the kernel saw of a session, where a role has the ledger told of its kind. So many a minute are; the
    /// rest is a count in `session.kernel_seen`.
    KernelDid "S3077I" "session.kernel_event" {
        /// Its kind, by the role's word: `programs`, `identity`, `reach`, `changes` or `connections`.
        kind: String,
        /// The process, as the machine counts.
        process: u64,
        /// Who began it.
        parent: u64,
        /// Its user.
        uid: u64,
        /// With whose rights it ran.
        euid: u64,
        /// What it did, in the words of `scry recordings events`; as much of it as the ledger takes.
        what: String,
        /// How often, from then on.
        count: u64,
    }
    /// Not everything that the kernel saw of a session is in its recording.
    KernelLost "S3071W" "session.kernel_lost" {
        /// Records that found no room; each stands in a gap of the recording.
        lost: u64,
        /// Processes that were too many for the kernel's table: what they ran is known by their audit session only.
        beyond: u64,
        /// Times that the kernel skipped the recorder on that machine in the meantime.
        skipped: u64,
    }
    /// Somebody meddled with what tells a session's processes from others.
    KernelTampering "S3073W" "session.kernel_tampering" {
        /// Which process, and what it shows.
        what: String,
    }
    /// A session has ended and left processes running: what they do from here on is recorded as its aftermath.
    AftermathBegan "S3074I" "session.aftermath_begin" {
        /// The recording of it.
        recording: SessionId,
        /// How many processes those are.
        processes: u64,
        /// Milliseconds for which they ran unwatched before, because the node was not there; 0 if they did not.
        unwatched_ms: u64,
    }
    /// The aftermath of a session is over, or is watched no more.
    AftermathEnded "S3075I" "session.aftermath_end" {
        /// The recording of it.
        recording: SessionId,
        /// Why.
        why: String,
        /// How long it was, in milliseconds.
        ms: u64,
        /// Processes that go on unwatched.
        left: u64,
    }
    /// What a session has left running is not watched from here on, because of a bound or a failure.
    AftermathUnwatched "S3076W" "session.aftermath_unwatched" {
        /// How many processes those are.
        processes: u64,
        /// Why.
        why: String,
        /// Whether they were ended for it, because the role wants nothing to run that the kernel does not see, or records
        /// strictly.
        ended: bool,
    }
    /// A session was refused because the kernel does not see what the role wants to be seen.
    KernelBlind "S3072W" "session.kernel_blind" {
        /// Why it does not.
        why: String,
    }
    /// Somebody signed out in a browser, or ended other web sessions of theirs.
    SignedOut "S1006I" "user.sign_out" {
        /// How many web sessions ended by it.
        count: u64,
    }
    /// Somebody showed in a browser who they are, for a terminal that waits to be signed in: `scry login --browser`. The terminal is
    /// in when it shows the answer that their page was given.
    ArrivalLetIn "S1007I" "user.terminal_let_in" {
        /// How, such as `passkey`, `password` or `password and totp`.
        method: String,
        /// Address of the terminal.
        from: String,
        /// What the terminal calls its machine: its own word.
        machine: String,
        /// Fingerprint of the SSH key that is certified when it is in.
        key: String,
    }
    /// A terminal that waits to be signed in was turned away in a browser, by somebody who was shown its code: it is not theirs.
    ArrivalTurnedAway "S1007W" "user.terminal_turned_away" {
        /// Whom it asked for.
        whose: UserName,
        /// Address of the terminal.
        from: String,
        /// What the terminal calls its machine: its own word.
        machine: String,
        /// Fingerprint of its SSH key.
        key: String,
    }
    /// A second factor was added.
    FactorAdded "S1030I" "factor.add" {
        /// `totp` or `passkey`.
        kind: String,
        /// What its owner calls it.
        name: String,
    }
    /// A second factor was removed by its owner.
    FactorRemoved "S1031I" "factor.remove" {
        /// `totp` or `passkey`.
        kind: String,
        /// What its owner calls it.
        name: String,
    }
    /// All second factors of somebody were taken away by an admin, and their web sessions ended.
    FactorsReset "S1032W" "factor.reset" {
        /// Whose.
        whose: UserName,
        /// How many there were.
        count: u64,
    }
    /// Somebody signed in with a recovery code in place of a second factor.
    RecoveryUsed "S1033W" "factor.recovery_use" {
        /// How many codes they have left.
        left: u64,
    }
    /// Somebody was given new recovery codes; earlier ones count no more.
    RecoveryRenewed "S1034I" "factor.recovery_renew" {}
    /// Somebody was shown a list in which recordings of others stand.
    RecordingsListed "S5006I" "recording.list" {
        /// How many recordings were listed.
        count: u64,
        /// How many of them are others'.
        others: u64,
    }
    /// Somebody remarked something on a moment of a recording.
    CommentAdded "S5008I" "recording.comment" {
        /// The remark's number.
        comment: u64,
        /// The moment, in milliseconds since the recording began.
        at: u64,
        /// What it says.
        text: String,
    }
    /// A remark was removed.
    CommentRemoved "S5009I" "recording.comment_removed" {
        /// Its number.
        comment: u64,
        /// Whose it was.
        author: UserName,
    }
    /// Somebody searches through all recordings that they may play.
    RecordingsSearched "S5010I" "recording.search" {
        /// For what.
        text: String,
        /// How, and where: what is searched, and the conditions on the recordings.
        conditions: String,
        /// How many recordings that is, in this answer.
        count: u64,
        /// How many of them are others'.
        others: u64,
    }
    /// Somebody is shown small pictures of recordings. Said once in ten minutes, however often they are shown.
    RecordingsPreviewed "S5007I" "recording.preview" {
        /// Which recordings, separated by spaces.
        recordings: String,
    }
}

#[cfg(test)]
mod tests;
