//! Every bound of the system, and what happens when it is reached: **wait**, **snapshot**, **refuse**, **cut** or **gap**.

/// Columns of a terminal, least and most. Cut: clamped before the pty.
pub const COLUMNS: (u16, u16) = (2, 1024);
/// Rows of a terminal, least and most. Cut: clamped before the pty.
pub const ROWS: (u16, u16) = (1, 512);

// Recording (docs/recording.md)

/// Uncompressed bytes after which a segment is sealed.
pub const SEGMENT_BYTES: usize = 64 * 1024;
/// Age in milliseconds at which a segment with anything in it is sealed.
pub const SEGMENT_MS: u64 = 1_000;
/// Uncompressed bytes after which the next segment begins a new group (one zstd stream).
pub const GROUP_BYTES: usize = 256 * 1024;
/// Age in milliseconds after which the next segment begins a new group.
pub const GROUP_MS: u64 = 300_000;
/// Milliseconds without a segment after which the next begins a new group: a quiet session holds no compressor.
pub const GROUP_QUIET_MS: u64 = 30_000;
/// Milliseconds in which a group that is full shows a flood; the next is packed for speed. Cut: 1 MiB/s is packed well.
pub const GROUP_FLOOD_MS: u64 = 250;
/// Milliseconds between signed checkpoints, while anything was recorded.
pub const CHECKPOINT_MS: u64 = 10_000;
/// Payload of one record in a recording file, in bytes. Refuse: a file with a longer one is hostile or torn.
pub const RECORD_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that one record may decompress to. Refuse: as [`RECORD_BYTES`].
pub const RECORD_UNPACKED_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that the entries of one DATA record may decompress to; a writer makes at most [`SEGMENT_BYTES`] and one entry. Refuse: as [`RECORD_BYTES`].
pub const SEGMENT_UNPACKED_BYTES: usize = 256 * 1024;
/// Bytes of one output entry; longer reads are split.
pub const ENTRY_BYTES: usize = 32 * 1024;
/// Bytes of one exec stream that are recorded whole, unless a role says otherwise. Beyond: counts and a hash per [`ELIDED_BYTES`].
pub const EXEC_STREAM_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of an exec stream that one `elided` entry stands for, at most; up to twice as many of each stream wait in memory to
/// be hashed.
pub const ELIDED_BYTES: u64 = 1024 * 1024;
/// Milliseconds by which the screen model may trail the recorder before the lag is shown. Snapshot: keyframes come later.
pub const MODEL_LAG_MS: u64 = 2_000;
/// Different files that are told apart when they are counted for the list of recordings. Cut: it says that there are more.
pub const TALLY_FILES: usize = 10_000;
/// People besides its owner whom that list names of a recording. Cut: it says that there are more.
pub const TALLY_PEOPLE: usize = 64;

// Sessions and connections on a node

/// Milliseconds a client has to authenticate. Refuse: closed.
pub const LOGIN_GRACE_MS: u64 = 30_000;
/// Connections that may be authenticating at once. Refuse: closed before a key exchange.
pub const STARTUPS: usize = 100;
/// Connections that one address may have authenticating at once. Refuse: as [`STARTUPS`].
pub const STARTUPS_PER_ADDRESS: usize = 20;
/// Connections of guests that a proxy or a node has at once, whether their codes count or not. Refuse: as if the code did
/// not count.
pub const GUESTS: usize = 200;
/// Those from one address. Refuse: as [`GUESTS`].
pub const GUESTS_PER_ADDRESS: usize = 20;
/// Milliseconds that a guest may stay without having got anywhere. End: the connection is closed.
pub const GUEST_WAIT_MS: u64 = 60_000;
/// Sessions of one connection at once. Refuse: the channel open fails.
pub const SESSIONS_PER_CONNECTION: usize = 64;
/// As [`SESSIONS_PER_CONNECTION`], of a guest: a seat, and the line to who else is there, and both once more. What is sent
/// to sessions that were not begun is in memory, and nobody knows yet what a guest's code is worth.
pub const GUEST_SESSIONS: usize = 4;
/// Channels of any kind of one connection at once. Refuse: the channel open fails.
pub const CHANNELS_PER_CONNECTION: usize = 256;
/// Listening sockets (`-R`) of one connection. Refuse: the request fails.
pub const LISTENERS_PER_CONNECTION: usize = 32;
/// Environment variables a client may set on one session. Refuse: the request fails.
pub const ENVIRONMENT_VARIABLES: usize = 64;
/// Bytes of a host's name or a socket's path that a forward leads to, waits at or comes from. Refuse: the request fails.
pub const PLACE_BYTES: usize = 1024;
/// Bytes of a terminal's name. Refuse: the request fails.
pub const TERM_BYTES: usize = 256;
/// Bytes of one environment variable, name and value. Refuse: the request fails.
pub const ENVIRONMENT_BYTES: usize = 4096;
/// Receive window of an SSH channel, in bytes. Wait: the peer stops sending.
pub const SSH_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// Bytes that `scry ssh` reads of its connection while what it writes waits: 32 windows. Wait: both ends may then wait for
/// each other, because a node does not read while it writes.
pub const SSH_MEANWHILE_BYTES: usize = 32 * SSH_WINDOW_BYTES as usize;
/// Milliseconds of silence on an SSH connection after which the other end is asked whether it is there.
pub const SSH_BEAT_MS: u64 = 15_000;
/// Questions that may stay without an answer. Cut: when one more is due, after a minute of silence, the connection is lost.
pub const SSH_BEATS: usize = 3;
/// Output that the owner has not taken, in bytes, at which the pty is no longer read. Wait.
pub const OWNER_LAG_BYTES: usize = 128 * 1024;
/// Bytes taken from a program at once, so that neither side is woken for every few; recorded as several entries. Wait.
pub const READ_BYTES: usize = 128 * 1024;
/// Bytes that the kernel holds between a program without a terminal and the node, each way. Wait.
pub const PROGRAM_PIPE_BYTES: usize = 256 * 1024;
/// Milliseconds for which a session waits for its owner whose connection was lost, if their client can come back. End: as a
/// session whose client cannot.
pub const RETURN_MS: u64 = 60_000;
/// Milliseconds to go on reading a pty after its process ended, because background jobs may hold it open. Cut.
pub const DRAIN_MS: u64 = 500;

// Input that a process does not take (the cure of the SSH library's flow control)

/// Bytes of untaken input held in memory per channel. Wait: further bytes go to an encrypted, unlinked file.
pub const ELASTIC_MEMORY_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of untaken input per channel, memory and file together. Wait: TCP back-pressure, see [`ELASTIC_STALL_MS`].
pub const ELASTIC_CHANNEL_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes of untaken input per user on a node. Wait: as [`ELASTIC_CHANNEL_BYTES`].
pub const ELASTIC_USER_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes of untaken input per connection of a guest, who types and sends nothing. Wait: as [`ELASTIC_CHANNEL_BYTES`].
pub const ELASTIC_GUEST_BYTES: u64 = 1024 * 1024;
/// Milliseconds without any progress at the bound after which the channel (not the connection) is closed with a line saying why. Refuse.
pub const ELASTIC_STALL_MS: u64 = 30_000;
/// Milliseconds for which input that has no room in memory waits for a process that reads. Then: the file takes it.
/// The other channels of the connection may wait as long.
pub const ELASTIC_PATIENCE_MS: u64 = 30;

// Shipping and storing

/// Records shipped in one request, in bytes. Cut: the rest goes in the next.
pub const SHIP_BYTES: usize = 1024 * 1024;
/// Bytes of entries that auth has not received at which a session under `strict` waits, input and output. Wait.
pub const STRICT_LAG_BYTES: u64 = 1024 * 1024;
/// Age in milliseconds of the oldest entry that auth has not received, as [`STRICT_LAG_BYTES`]. Wait.
pub const STRICT_LAG_MS: u64 = 5_000;
/// The same age at which a session under `strict` ends.
pub const STRICT_END_MS: u64 = 30_000;
/// Bytes of one recording's records in memory while its disk takes none. Wait while auth takes them;
/// gap when it took none for [`HELD_STALL_MS`] and the reserve is used up.
pub const HELD_BYTES: u64 = 64 * 1024;
/// Milliseconds for which auth took nothing of what waits in memory, after which the reserve is used. Wait.
pub const HELD_STALL_MS: u64 = 5_000;
/// Milliseconds between two looks whether a disk that took nothing has room again.
pub const DISK_RETRY_MS: u64 = 1_000;
/// Bytes of the disk that belong to one live recording before it needs them: for what waits in memory when a gap
/// opens, one segment more, and its last records.
pub const RECORDING_RESERVE_BYTES: u64 = 192 * 1024;
/// Of these, bytes that only the record of a gap and the end may use.
pub const RECORDING_LAST_BYTES: u64 = 16 * 1024;
/// Bytes of spool on a node before new recordings are refused or, by policy, go on with gaps.
pub const SPOOL_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Bytes of a reserve file on the spool's disk, freed so that the last records of a full disk can be written.
pub const SPOOL_RESERVE_BYTES: u64 = 4 * 1024 * 1024;
/// Space of auth's disk that is kept free unless the settings say otherwise, in percent and at most in bytes. Wait: beyond
/// their reserves, nodes keep what they record until there is space again.
pub const KEEP_FREE: (u8, u64) = (5, 1024 * 1024 * 1024);
/// Percent of auth's disk that one node's recordings may take unless the settings say otherwise. Wait: as [`KEEP_FREE`].
pub const NODE_QUOTA_PERCENT: u8 = 80;
/// Bytes of recordings that are taken from each node while less than [`KEEP_FREE`] is free, unless the settings say otherwise.
pub const NODE_RESERVE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of a file that auth gives back to its full disk when the room in its database does not do; at most a sixteenth of the
/// disk.
pub const BALLAST_BYTES: u64 = 16 * 1024 * 1024;
/// Events that auth could not write and holds in memory until it can. Cut: further ones are counted, and the count is told.
pub const LEDGER_OWED: usize = 4096;
/// Denials of one person or machine, of one thing that they ask for within a minute, that stand in the ledger one by one. Cut:
/// further ones are counted, and the count is told.
pub const DENIALS_TOLD: u64 = 60;
/// Gaps of one shipment that the ledger is told one by one. Cut: further ones are told together, by what caused them.
pub const GAPS_TOLD: usize = 16;
/// Bytes of events that one node or proxy may report at once, and how many more each second. Refuse until then, and tell the
/// ledger: a node keeps [`EVENTS_BYTES`] of them meanwhile, a proxy fewer, and counts those beyond.
pub const REPORT_BYTES: (u64, u64) = (64 * 1024 * 1024, 1024 * 1024);
/// Bytes of a command in the ledger. Cut: the heading of its recording has all of it.
pub const COMMAND_TOLD: usize = 4096;

// Events for the ledger, on a node until auth has them

/// Bytes of one event. Refuse: it is set aside for the operator and counted.
pub const EVENT_BYTES: usize = 512 * 1024;
/// Bytes of the events that wait. Refuse: further ones are counted, and the count is told when there is room.
pub const EVENTS_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of those among them that wait in memory because the disk takes none. Refuse: as [`EVENTS_BYTES`].
pub const EVENTS_MEMORY_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of events that auth refused and the operator finds in a file. Cut: further ones are counted only.
pub const EVENTS_ASIDE_BYTES: u64 = 16 * 1024 * 1024;

// Recordings as films: what auth tells a player in a browser

/// Buckets of a film's activity. Cut: they become twice as long.
pub const FILM_BUCKETS: usize = 600;
/// Marks of one kind on a film's time line. Cut: every second is left out, and how many is told.
pub const FILM_MARKS: usize = 500;
/// Idle stretches of a film. Cut: only those that are twice as long are told.
pub const FILM_IDLE: usize = 1000;
/// Milliseconds of the shortest idle stretch.
pub const FILM_IDLE_MS: u64 = 5_000;
/// Chapters of a film. Cut: as [`FILM_IDLE`].
pub const FILM_CHAPTERS: usize = 400;
/// Milliseconds of the shortest chapter.
pub const FILM_CHAPTER_MS: u64 = 1_000;
/// Milliseconds without a key after which somebody's typing is another burst.
pub const FILM_BURST_MS: u64 = 1_000;
/// Bursts of typing of a film. Cut: those of one person that are twice as far apart are one.
pub const FILM_BURSTS: usize = 2_000;
/// Programs that run at once of which a film knows when they began. Cut: further ones are no chapters.
pub const FILM_RUNNING: usize = 4096;
/// Bytes of a file up to which its activity is counted exactly. Cut: of longer ones packed bytes are told, and no keys.
pub const FILM_EXACT_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes of output up to which it is counted exactly, however short the file. Cut: as [`FILM_EXACT_BYTES`].
pub const FILM_EXACT_OUTPUT: u64 = 24 * 1024 * 1024;
/// Bytes of output in one answer of a reel, unless asked otherwise, and at most. Cut: the rest comes with the next.
pub const REEL_BYTES: (usize, usize) = (64 * 1024, 1024 * 1024);
/// Lines of one answer of a reel. Cut: as [`REEL_BYTES`].
pub const REEL_CUES: usize = 8192;
/// Entries that one answer passes over, told or not. Cut: as [`REEL_BYTES`].
pub const REEL_ENTRIES: usize = 65_536;
/// Milliseconds for which an answer at the end of a recording that goes on waits for more. Then: it is empty.
pub const REEL_WAIT_MS: u64 = 20_000;
/// Recordings whose films auth holds open. Cut: the one that was used longest ago is opened again when it is wanted.
pub const FILMS_OPEN: usize = 16;
/// Films that are worked on at once, and for one person. Wait.
pub const FILM_TURNS: (usize, usize) = (4, 2);
/// Recordings that are sealed and verified at once, and of one node. Wait.
pub const SEAL_TURNS: (usize, usize) = (4, 1);
/// Downloads and searches under way at once, and of one person. Refuse: 429.
pub const POURS: (usize, usize) = (32, 8);
/// Bytes of a download that are made at once. Wait: for its reader.
pub const POUR_BYTES: usize = 64 * 1024;
/// Milliseconds for which a download waits for its reader. Then: it breaks off.
pub const POUR_STALL_MS: u64 = 60_000;
/// Segments in which a recording is told to a player that nobody here wrote. Cut: neighbours become one.
pub const SEGMENTS_SHOWN: usize = 4096;
/// Bytes of output of one of them. Snapshot: it ends with the picture at its end.
pub const SEGMENT_SHOWN_BYTES: usize = 1024 * 1024;
/// Events of one of them. Snapshot: as [`SEGMENT_SHOWN_BYTES`].
pub const SEGMENT_SHOWN_EVENTS: usize = 65_536;
/// Bytes of output of a live stream (ALiS) that are asked of auth at once. Wait: further ones, until these are sent.
pub const ALIS_BYTES: usize = 64 * 1024;
/// Milliseconds by which such a stream may be behind while there is more. Snapshot: it goes on with the picture of now.
pub const ALIS_BEHIND_MS: u64 = 2_000;
/// Comments on one recording. Refuse.
pub const COMMENTS: u32 = 1000;
/// Characters of a comment. Refuse.
pub const COMMENT_CHARS: usize = 2000;
/// Recordings of which one request asks for small pictures. Refuse.
pub const PREVIEWS: usize = 50;
/// Columns and rows of a small picture. Cut.
pub const PREVIEW_SIZE: (u16, u16) = (200, 60);
/// Runs of characters that look alike in a small picture. Cut: the rest of it looks plain.
pub const PREVIEW_RUNS: usize = 2000;
/// Milliseconds after which it stands in the ledger again that somebody is shown small pictures of a recording.
pub const PREVIEW_TOLD_MS: u64 = 600_000;
/// People and recordings of which it is remembered that this stands there. Cut: told again.
pub const PREVIEWS_TOLD: usize = 10_000;
/// Lines of a transcript in one answer, unless asked otherwise, and at most. Cut: as [`REEL_BYTES`].
pub const LINES_TOLD: (usize, usize) = (500, 2000);
/// Events in one answer, unless asked otherwise, and at most. Cut: as [`REEL_BYTES`].
pub const EVENTS_TOLD: (usize, usize) = (1000, 5000);
/// Records that one answer looks at for them. Cut: as [`REEL_BYTES`].
pub const GLANCES: usize = 100_000;
/// Characters that are searched for. Refuse.
pub const SEARCH_CHARS: usize = 200;
/// Bytes that one regular expression may take when it is compiled, and again while it runs. Refuse.
pub const REGEX_BYTES: usize = 1 << 20;
/// Characters of a line, wrapped or not, in which an expression is looked for: sixteen rows of the widest screen. Cut.
pub const EXPRESSION_CHARS: usize = 16 * 1024;
/// Places of a line where an expression fits nothing at all (`a*`), each passed over. Cut: behind them the line has no match.
pub const EXPRESSION_EMPTY: usize = 1000;
/// Hits of one search. Cut: the next begins behind the last.
pub const HITS: usize = 1000;
/// Milliseconds that one search takes. Cut: as [`HITS`].
pub const SEARCH_MS: u64 = 20_000;
/// Hits of a search through all recordings in one recording. Cut: it is told that there are more, and where the search inside
/// it goes on.
pub const HITS_OF_ONE: usize = 25;
/// Hits of one request of a search through all recordings. Cut: the next goes on behind the last.
pub const HITS_OF_ALL: usize = 500;
/// Recordings that one request of such a search looks at. Cut: as [`HITS_OF_ALL`].
pub const SEARCHED: usize = 10_000;
/// Characters of a hit's text in it. Cut: what is around the match is told.
pub const HIT_CHARS: usize = 400;
/// Milliseconds after which a search through all recordings asks anew who it is that searches; at once when anything changed.
pub const SEARCH_TRUST_MS: u64 = 1_000;
/// Bytes of output that are drawn to come from a kept picture to a moment that auth is asked for; pictures stand every quarter
/// of a MiB. Refuse: it is said that the picture before is too far away, and the moments before it can be played.
pub const WALK_BYTES: u64 = 256 * 1024 * 1024;
/// Work of that drawing, in cells that are touched: one or two seconds. Refuse: as [`WALK_BYTES`].
pub const WALK_WORK: u64 = 1 << 30;
/// Work of drawing one entry for a search or a transcript, in cells that are touched: a second, where an entry of the usual
/// kind takes a millisecond. Cut: a transcript says how many bytes it leaves out; a search says that it cannot go on.
pub const ENTRY_WORK: u64 = 1 << 29;
/// Bytes of a line of a transcript in pieces. Cut: the rest is a line of its own.
pub const LINE_BYTES: usize = 16 * 1024;
/// Bytes of output that are read for one piece of a transcript. Cut: the rest comes with the next.
pub const LINES_BYTES: usize = 1024 * 1024;

// Requests

/// Body of one JSON request to auth, in bytes. Refuse: 413.
pub const REQUEST_BYTES: usize = 1024 * 1024;
/// Body of one JSON request of a peer without a certificate, in bytes. Refuse: 413.
pub const REQUEST_BYTES_OF_NOBODY: usize = 64 * 1024;
/// Milliseconds in which the body of one JSON request must arrive. Refuse: 400.
pub const REQUEST_MS: u64 = 30_000;
/// Rows of one page of a list. Cut: the next page begins after the last row.
pub const PAGE_ROWS: u32 = 1000;
/// Bytes of events behind which a page of the ledger ends; the last event may stick out. Cut: the next page begins after
/// the last row.
pub const LEDGER_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Recordings that are named of those that are not whole. Cut: the newest are named, all are counted.
pub const AMISS_LISTED: usize = 200;
/// Passwords hashed at once (19 MiB each). Wait.
pub const PASSWORD_HASHES: usize = 4;
/// Password, in bytes, least and most. Refuse.
pub const PASSWORD_BYTES: (usize, usize) = (10, 1024);
/// Failed sign-ins of one user within [`SIGN_IN_WINDOW_MS`]. Refuse: 429 until the window has passed.
pub const SIGN_IN_FAILURES: u32 = 10;
/// Window in which failed sign-ins are counted, in milliseconds.
pub const SIGN_IN_WINDOW_MS: i64 = 5 * 60 * 1000;
/// Streams of one HTTP/2 connection. Wait.
pub const STREAMS_PER_TUNNEL: u32 = 1000;
/// Streams of one HTTP/2 connection whose peer has shown no certificate. Wait.
pub const STREAMS_OF_NOBODY: u32 = 16;
/// Receive window of one HTTP/2 stream, in bytes. Wait.
pub const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// Connections that one port holds at once. Refuse: closed before a byte is read.
pub const CONNECTIONS: usize = 8192;
/// Connections that one address holds on one port at once. Refuse: as [`CONNECTIONS`]. Here and wherever addresses are counted
/// an IPv6 address stands for its /64, which one machine has whole.
pub const CONNECTIONS_PER_ADDRESS: usize = 1024;
/// Connections of one port that are not past their TLS handshake. Wait: further ones stay in the kernel's queue.
pub const HANDSHAKES: usize = 512;
/// Connections of one address that are not past their TLS handshake. Refuse: closed before a byte is read.
pub const HANDSHAKES_PER_ADDRESS: usize = 128;
/// Milliseconds from accept to the end of the TLS handshake. Refuse: closed.
pub const HANDSHAKE_MS: u64 = 10_000;
/// Milliseconds from the handshake to the first request. Refuse: closed.
pub const FIRST_REQUEST_MS: u64 = 30_000;
/// Milliseconds to reach another part: name, TCP, TLS and HTTP/2 together. Refuse: reported as unreachable.
pub const DIAL_MS: u64 = 10_000;
/// Milliseconds until a call must be answered. Refuse: reported as unreachable.
pub const CALL_MS: u64 = 60_000;
/// Longest pause between two tries to reach another part, in milliseconds.
pub const REDIAL_MS: u64 = 10_000;
/// Body of one JSON answer, and one line of a stream of them, in bytes. Refuse: reported as not understood.
pub const ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// One line of what a node tells a session's company, in bytes. Refuse: reported as not understood.
pub const COMPANY_BYTES: usize = 1024 * 1024;
/// Streams of a tunnel that were accepted and not yet taken by the node. Wait: further ones stay unanswered.
pub const KNOCKS: usize = 64;
/// Bytes copied at once in each direction of a pipe. Wait.
pub const PIPE_BYTES: usize = 64 * 1024;
/// Milliseconds a dropped stream is read to its end, so that what was written before reaches the peer. Cut.
pub const LINGER_MS: u64 = 5_000;
/// Bytes that are thrown away while a dropped stream is read to its end. Cut.
pub const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// Milliseconds to wait for a client's first bytes before the port speaks SSH first.
pub const SILENT_CLIENT_MS: u64 = 300;
/// Milliseconds a service has to stop before its tasks are aborted and named.
pub const SHUTDOWN_MS: u64 = 5_000;

// A certificate for browsers that an ACME server signs (RFC 8555)

/// Names for which a proxy asks; each has a certificate of its own. Refuse: at the start.
pub const ACME_NAMES: usize = 32;
/// Bytes of one answer of the server. Refuse: reported as not understood.
pub const ACME_ANSWER_BYTES: usize = 256 * 1024;
/// Milliseconds until the server must have answered one request. Refuse: reported as unreachable.
pub const ACME_CALL_MS: u64 = 30_000;
/// Milliseconds in which it must have looked at a name, and again in which it must have signed. Refuse: tried again later.
pub const ACME_LOOK_MS: u64 = 60_000;
/// Milliseconds until the second try when the server had no part in the failure of the first, and when it had: it counts
/// those (Let's Encrypt takes five an hour for one name). Wait: twice as long each time.
pub const ACME_AGAIN_MS: (i64, i64) = (5_000, 2 * 60 * 1000);
/// Longest of these pauses, in milliseconds.
pub const ACME_AGAIN_MOST_MS: i64 = 60 * 60 * 1000;
/// Longest pause in milliseconds that a server is believed when it asks for one.
pub const ACME_ASKED_MOST_MS: i64 = 24 * 3600 * 1000;
/// Characters of what a server says that are told. Cut.
pub const ACME_TOLD_CHARS: usize = 500;

// Browsers

/// Calls of browsers that a proxy passes on at once. Refuse: 429.
pub const WEB_CALLS: usize = 512;
/// Those from one address. Refuse: as [`WEB_CALLS`].
pub const WEB_CALLS_PER_ADDRESS: usize = 64;
/// Streams that a proxy passes on to browsers at once, such as recordings and the ledger. Refuse: as [`WEB_CALLS`].
pub const WEB_STREAMS: usize = 900;
/// Those to one address. Refuse: as [`WEB_CALLS`].
pub const WEB_STREAMS_PER_ADDRESS: usize = 200;
/// Terminals of browsers that a proxy carries at once. Refuse: with words on the page.
pub const WEB_TERMINALS: usize = 1000;
/// Those to one address, behind which a whole office may be. Refuse: as [`WEB_TERMINALS`].
pub const WEB_TERMINALS_PER_ADDRESS: usize = 200;
/// Those of one person. Refuse: as [`WEB_TERMINALS`].
pub const WEB_TERMINALS_PER_PERSON: usize = 32;
/// Milliseconds from a terminal's WebSocket to the message that says what it opens. Refuse: closed.
pub const WEB_HELLO_MS: u64 = 10_000;
/// Bytes of one message of a terminal's page. Refuse: closed; the session can be come back to.
pub const WEB_MESSAGE_BYTES: usize = 64 * 1024;
/// Bytes typed in a browser that the session has not taken. Refuse: as [`WEB_MESSAGE_BYTES`].
pub const WEB_TYPED_BYTES: usize = 8 * 1024 * 1024;
/// Messages of what was typed that wait. Refuse: as [`WEB_MESSAGE_BYTES`].
pub const WEB_TYPED_PIECES: usize = 1024;
/// Bytes of output that a page was sent and has not read. Wait: the node, and the program with it.
pub const WEB_AHEAD_BYTES: u64 = 512 * 1024;
/// Bytes of one stream from a node that wait in a proxy for a page. Wait: as [`WEB_AHEAD_BYTES`].
pub const WEB_HELD_BYTES: usize = 256 * 1024;
/// Milliseconds between two signs of life that are asked of a page.
pub const WEB_BEAT_MS: u64 = 15_000;
/// Silence of a page in milliseconds, or stillness of its connection, after which it counts as gone. Cut.
pub const WEB_SILENT_MS: u64 = 45_000;
/// Files that a proxy moves for browsers, and folders that it lists, at once. Refuse: 429.
pub const WEB_FILES: usize = 200;
/// Those of one address. Refuse: as [`WEB_FILES`].
pub const WEB_FILES_PER_ADDRESS: usize = 20;
/// Bytes of one file that is moved through a browser. Refuse: 413, or cut for one that has no length.
pub const WEB_FILE_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// Entries of a folder that a browser is shown. Cut.
pub const WEB_FOLDER_ENTRIES: usize = 10_000;
/// Milliseconds without a byte after which a file that a browser moves is broken off. Cut.
pub const WEB_STALL_MS: u64 = 60_000;
/// Bytes of a web session's secret, as it stands in the cookie. Refuse: as if there was none.
pub const WEB_SECRET_BYTES: usize = 128;
/// Bytes of what a browser calls itself. Cut.
pub const BROWSER_BYTES: usize = 256;
/// Web sessions of one person. Cut: the one that was used longest ago ends.
pub const WEB_SESSIONS: u32 = 50;
/// Web sessions that ended before their time, as they are told to those who look after what is open. Cut: they ask.
pub const WEB_ENDED: usize = 1024;
/// Looks at sessions that go on, as nodes are told of them. Cut: a node that falls so far behind misses the oldest.
pub const LOOKS: usize = 1024;
/// Milliseconds between two notes of when a web session was used.
pub const WEB_SEEN_MS: i64 = 60_000;
/// Milliseconds from the password to the second factor. Refuse: sign in anew.
pub const SECOND_FACTOR_MS: i64 = 5 * 60 * 1000;
/// Milliseconds to add a second factor, from its beginning to its end. Refuse: begin anew.
pub const ENROL_MS: i64 = 15 * 60 * 1000;
/// Sign-ins and new factors at once that have begun and wait for their second half. Cut: the oldest does not count any more.
pub const BEGUN: u32 = 10_000;
/// Milliseconds that a terminal waits to be let in by a browser. Refuse: begin anew.
pub const ARRIVAL_MS: i64 = 5 * 60 * 1000;
/// Terminals at once that wait to be let in, of all people and of one address (an IPv6 address is its /64). Refuse: 429 until
/// some have expired.
pub const ARRIVALS: (usize, usize) = (1000, 32);
/// Bytes of the keys that such a terminal sends. Refuse.
pub const ARRIVAL_BYTES: usize = 8 * 1024;
/// Bytes of what such a terminal calls its machine. Cut.
pub const ARRIVAL_HOST_BYTES: usize = 64;
/// Answers that a terminal shows and that do not fit. Cut: with the last one it is turned away.
pub const ARRIVAL_ANSWERS: u32 = 3;
/// Second factors of one person. Refuse: remove one first.
pub const FACTORS: u32 = 20;
/// Bytes of a second factor's name. Cut.
pub const FACTOR_NAME_BYTES: usize = 64;
/// Recovery codes of one person.
pub const RECOVERY_CODES: usize = 10;
/// Milliseconds within which a terminal's certificate must be shown to its node. Refuse: it has expired.
pub const GRANT_MS: i64 = 60_000;

// Lifetimes

/// Life of a user certificate, in milliseconds, unless a role says less.
pub const USER_CERTIFICATE_MS: i64 = 12 * 3600 * 1000;
/// Life of an invitation, in milliseconds.
pub const INVITATION_MS: i64 = 24 * 3600 * 1000;
/// Life of a machine's invitation, in milliseconds, unless its maker says otherwise; and at most. Refuse.
pub const JOIN_TOKEN_MS: (i64, i64) = (3600 * 1000, 30 * 24 * 3600 * 1000);
/// Invitations of machines that wait at once. Refuse.
pub const JOIN_TOKENS: u32 = 1000;
/// Labels of one node, and bytes of one label or value. Refuse.
pub const LABELS: (usize, usize) = (64, 256);
/// Life of a node's certificates, in milliseconds; renewed at half of it.
pub const NODE_CERTIFICATE_MS: i64 = 30 * 24 * 3600 * 1000;
/// Principals of one SSH certificate; OpenSSH reads no more (`SSHKEY_CERT_MAX_PRINCIPALS`). Refuse.
pub const CERTIFICATE_PRINCIPALS: usize = 256;
/// Roles, or logins of the account, in one SSH certificate. Refuse.
pub const CERTIFICATE_NAMES: usize = 128;
/// Bytes of the roles, or of the logins, in one SSH certificate. Refuse.
pub const CERTIFICATE_NAMES_BYTES: usize = 8192;
/// Locks at once. Refuse: lift some first.
pub const LOCKS: u32 = 1000;
/// Bytes of a lock's reason. Refuse.
pub const LOCK_REASON_BYTES: usize = 500;
/// How long what became of a changed or removed account is told beside the roles, in milliseconds: no certificate from
/// before lives longer, and no node that comes back was away longer without joining anew.
pub const CORRECTION_MS: i64 = NODE_CERTIFICATE_MS;
/// Clock difference that is forgiven when certificates are issued, in milliseconds.
pub const CLOCK_SKEW_MS: i64 = 60 * 1000;
/// How long a node accepts new sessions on the policy it has while auth is away, in milliseconds.
pub const AUTH_AWAY_MS: u64 = 10 * 60 * 1000;

// File transfers, read in passing

/// Bytes of a packet of sftp that are not a file's contents. Cut: the streams are not parsed any more and recorded as they are.
pub const SFTP_PACKET_BYTES: usize = 256 * 1024;
/// Bytes of a handle of sftp (draft-ietf-secsh-filexfer-02 §6.2). Cut: as [`SFTP_PACKET_BYTES`].
pub const SFTP_HANDLE_BYTES: usize = 256;
/// Files and folders that one session holds open. Cut: as [`SFTP_PACKET_BYTES`].
pub const TRANSFER_OPEN: usize = 1024;
/// Requests of sftp without an answer, neighbouring reads or writes counted as one. Cut: as [`SFTP_PACKET_BYTES`].
pub const TRANSFER_REQUESTS: usize = 4096;
/// Bytes of paths and texts in requests without an answer and of open files. Cut: as [`SFTP_PACKET_BYTES`].
pub const TRANSFER_TEXT_BYTES: usize = 1024 * 1024;
/// Bytes of one path of a transfer, folders and name together, and of one message. Cut: as [`SFTP_PACKET_BYTES`].
pub const TRANSFER_PATH_BYTES: usize = 4096;
/// Bytes of an unknown extension's request that stand in the entry. Cut: as [`SFTP_PACKET_BYTES`].
pub const TRANSFER_EXTENSION_BYTES: usize = 1024;
/// Folders that one scp transfer is inside of. Cut: as [`SFTP_PACKET_BYTES`].
pub const TRANSFER_DEPTH: usize = 256;
/// Bytes of one stream held back from the recording until it is clear what they are. Cut: as [`SFTP_PACKET_BYTES`].
pub const TRANSFER_HELD_BYTES: usize = 64 * 1024;
/// Stretches listed of a file that was not moved in order. Cut: further pieces are counted.
pub const TRANSFER_EXTENTS: usize = 16;
/// Lookups of a transfer after which their number is recorded.
pub const TRANSFER_LOOKUPS: u64 = 1000;
/// Events of finished transfers and changes that one session puts into the ledger. Cut: the rest is counted in one event at its end; the recording has all.
pub const TRANSFER_EVENTS: u32 = 1000;

// Files that others approve one by one

/// Bytes of a download that are read, hashed and kept before anybody is asked, so that exactly they are moved. Beyond: the file
/// is moved as it lies there, without a hash, and stops when its size or its time of change is another.
pub const WANTED_KEPT_BYTES: u64 = 16 * 1024 * 1024;
/// Milliseconds that a wanted file waits for a word. Refuse: nobody has answered.
pub const WANTED_MS: u64 = 5 * 60 * 1000;
/// Milliseconds without a byte after which an approval is over. Refuse: the file must be asked for again.
pub const APPROVED_MS: u64 = 60_000;
/// Approved files and listed folders that one session holds open. Refuse: close some first.
pub const APPROVED_OPEN: usize = 8;
/// Bytes of both paths of a wanted file, as text. Refuse: nobody could read what they approve.
pub const WANTED_PATH_BYTES: usize = 6 * 1024;

// What the kernel sees of sessions (`bpf/`)

/// Bytes of the ring in which the kernel hands over what it saw, of all sessions of a node. Gap: what finds no room is
/// counted, by session. The kernel holds it as memory that is never swapped; the tables below take about 12 MiB more.
pub const KERNEL_RING_BYTES: u32 = 8 * 1024 * 1024;
/// Sessions that are watched at once. Refuse: further ones are not watched, and say so; those that must be do not begin.
pub const KERNEL_SESSIONS: u32 = 1024;
/// Sessions of one user that run at once on one node. Refuse: further ones do not begin. They leave places in the kernel's
/// table to others.
pub const SESSIONS_OF_ONE: usize = 256;
/// Sessions that are over and whose places are still known: what others' processes had to do with them is read a little later,
/// by each session's recorder in its time. Cut: behind that it is not told whose session the other's was.
pub const KERNEL_ENDED: usize = 256;
/// Processes of one session in the kernel's table, so that none fills it for the others. Cut: further ones are known by
/// their audit session only, from when they become another program, and are counted.
pub const KERNEL_SESSION_PROCESSES: u32 = 4096;
/// Processes of all sessions in it. Cut: as [`KERNEL_SESSION_PROCESSES`].
pub const KERNEL_TABLE: u32 = 65_536;
/// Bytes of records of one session that its recorder has not taken. Gap: further ones are counted.
pub const KERNEL_WAITING_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of these at which a session stands still whose role wants nothing lost, until a quarter of it is left. Wait.
pub const KERNEL_HOLD_BYTES: usize = 512 * 1024;
/// Bytes of records handed to a session's recorder at once.
pub const KERNEL_BATCH_BYTES: usize = 64 * 1024;
/// Milliseconds for which records gather before they are taken out of the ring. Wait.
pub const KERNEL_GATHER_MS: u64 = 20;
/// Processes of one session whose beginner is remembered. Cut: of others the parent of the moment is told.
pub const KERNEL_PROCESSES: usize = 2 * KERNEL_SESSION_PROCESSES as usize;
/// Signs of tampering of each kind that one session's recording tells. Cut: more stand in its events only.
pub const KERNEL_SIGNS: usize = 16;
/// Events of one session that the ledger is told one by one in a minute, where a role asks for that. Cut: further ones stand
/// in the recording only, and their count in the ledger.
pub const KERNEL_TOLD: u32 = 120;
/// Characters of such an event. Cut.
pub const KERNEL_TOLD_CHARS: usize = 1024;
/// Folders, and networks, that the filters of one role name, and those of all roles of one person together. Refuse: a role
/// with more is not saved. Of roles that come to more all is recorded.
pub const KERNEL_SCOPE: usize = 256;
/// Bytes of such a folder. Refuse: the role cannot be read.
pub const KERNEL_FOLDER_BYTES: usize = 1024;
/// Programs of one session whose arguments are gathered at once. Cut: the oldest keeps those that it has.
pub const KERNEL_ARGUMENTS: usize = 64;
/// Bytes of one program's arguments. Cut: the entry says how many there were.
pub const KERNEL_ARGUMENTS_BYTES: usize = 17 * 16 * 1024;
/// Aftermaths that one node records at once, and how many of them of one user: they leave most places in the kernel's table
/// to sessions that begin. Gap: what a further session leaves running is not watched, as the ledger says; where the role
/// wants nothing to run that the kernel does not see, it is ended.
pub const AFTERMATHS: (usize, usize) = (256, 64);
/// Bytes of the kernel's records that one aftermath takes. Gap: what comes then is counted, and the count stands at its end.
pub const AFTERMATH_BYTES: u64 = 256 * 1024 * 1024;
/// Milliseconds that an aftermath lasts at most. Gap: what runs then still is treated like that of one too many.
pub const AFTERMATH_MS: u64 = 30 * 24 * 3600 * 1000;
/// Milliseconds that the end of a recording waits for processes that are about to end with their session. Cut: what goes on
/// then is its aftermath.
pub const AFTERMATH_GRACE_MS: u64 = 250;

// Sharing

/// People in one session besides its owner. Refuse: nobody more may enter.
pub const SEATS: usize = 64;
/// Of those, seats for moderators and for people who must be there. Refuse: nobody else may enter.
pub const SEATS_KEPT: usize = 8;
/// Times that one person, or all guests of one link together, come to one session. Refuse: they come to it no more. Numbers of
/// who was there are never used twice, and there are 65,535: it takes 64 such to use all of them up.
pub const COMINGS: u16 = 1_024;
/// Milliseconds that somebody has to confirm that they are there, once they were asked. Then they do not count.
pub const CONFIRM_GRACE_MS: u64 = 15_000;
/// Milliseconds without a beat after which somebody who is watched does not count.
pub const SILENT_MS: u64 = 3_000;

/// Bytes of a session's output that its stage has not drawn yet. Snapshot: it begins anew with the screen as it then is.
pub const STAGE_BYTES: usize = 8 * 1024 * 1024;
/// Things that people in a session have asked and its loop has not taken. Wait: whoever asks.
pub const VISITS: usize = 32;
/// Things told to somebody in a session that they have not read. Cut: the oldest; they are told how things stand anew.
pub const TOLD: usize = 64;
/// Bytes of something said in a session. Refuse.
pub const SAID_BYTES: usize = 2 * 1024;
/// Milliseconds from one size of a session's terminal to the next: a window that is drawn larger tells many. Wait; the last
/// one counts.
pub const RESIZE_MS: u64 = 20;
/// Milliseconds between two pictures for one viewer. Wait.
pub const PICTURE_MS: u64 = 16;
/// Life of a link into a session, in milliseconds, unless its maker says otherwise; and at most. Refuse.
pub const LINK_MS: (i64, i64) = (3600 * 1000, 24 * 3600 * 1000);
/// Links that count or were revoked before their time, of all people and of one owner. Refuse: until some have expired.
pub const LINKS: (u32, u32) = (1000, 50);
/// How long it is known of a link that it has expired, in milliseconds. Cut: then it is unknown.
pub const LINK_KEPT_MS: i64 = 24 * 3600 * 1000;

// The list of the sessions that go on, at auth

/// Sessions of one node in it. Cut: the others run, and are not listed.
pub const LIVE_SESSIONS: usize = 1000;
/// People of one session in it: all that fit in, and its owner. Cut: the others are in the session, and are not listed.
pub const LIVE_PEOPLE: usize = SEATS + 1;
/// Bytes of one text in it: a command, a program, an address. Cut.
pub const LIVE_TEXT_BYTES: usize = 256;
/// Sessions of one answer. Cut: one's own come first, then the newest.
pub const LIVE_LISTED: usize = 5000;
/// Silence in milliseconds after which nothing counts that a node said of its sessions: three reports.
pub const LIVE_SILENT_MS: u64 = 30_000;
