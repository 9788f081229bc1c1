//! Byte streams beside the calls: paths, parameters and rules.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/node/ship/{id}?after=N` | whole records of a recording, in order, the first being number N+1 | [`crate::recording::Progress`] once they are fsynced |
//! | `GET /v1/node/news` | – | lines of [`crate::node::News`] |
//! | `GET /v1/proxy/nodes` | – | lines of [`crate::node::ProxyNews`] |
//! | `GET /v1/recordings/{id}/bytes?ticket=T&from=A&most=B` | – | bytes A.. of the file as it stands, at most B of them; header `scry-total` is its length now, `scry-live` is `1` while it goes on. From its end, while live, the answer waits up to 1 s for more |
//! | `GET /v1/recordings/{id}/film?ticket=T` | – | [`crate::film::Film`] |
//! | `GET /v1/recordings/{id}/reel?ticket=T&at=MS&most=B` | – | lines of [`crate::film::ReelLine`]: the picture at that moment, then what follows, until about B bytes of output |
//! | `GET /v1/recordings/{id}/reel?ticket=T&after=A&most=B` | – | the same without the picture, behind A ([`crate::film::End::after`]). At the end, while live, the answer waits up to 20 s for more |
//! | `GET /v1/recordings/{id}/segments?ticket=T` | – | [`crate::asciinema::segments::Index`] |
//! | `GET /v1/recordings/{id}/segment?ticket=T&from=MS&to=MS&last=1` | – | [`crate::asciinema::segments::Segment`]: the picture before the first moment, then what follows up to the other; `last=1` for the one that reaches to the end |
//! | `GET /v1/recordings/{id}/alis?ticket=T`, of a proxy only | – | a WebSocket of [`crate::asciinema::alis`]: what reels tell, one after the other |
//! | `GET /v1/recordings/{id}/transcript?ticket=T&after=A&most=N` | – | lines of [`crate::film::TranscriptLine`] behind A, about N of them; with `at=MS` those that stand on the screen then, and what follows. At the end, while live, the answer waits as that of a reel |
//! | `GET /v1/recordings/{id}/events?ticket=T&after=A&class=C,C&most=N` | – | lines of [`crate::film::EventLine`] of these classes, all if none is named; waits in the same way |
//! | `GET /v1/recordings/{id}/search?ticket=T&for=TEXT&case=1&regex=1&after=A` | – | lines of [`crate::film::SearchLine`] as they are found; TEXT is percent-encoded, `case=1` where capitals matter, `regex=1` where TEXT is a regular expression (crate `regex`) |
//! | `GET /v1/recordings/{id}/cast?ticket=T&version=V` | – | an asciicast, version 2 or 3; needs the right to export |
//! | `GET /v1/recordings/{id}/text?ticket=T` | – | the transcript; needs the right to export |
//! | `GET /v1/search?for=TEXT&case=1&regex=1&what=W,W&user=U&node=N&login=L&since=MS&until=MS&after=A` | – | lines of [`crate::search::SearchedLine`] as they are found, in all recordings that the caller may play and that meet the conditions ([`crate::recording::ListRecordings`]); TEXT as in a search inside one; W are [`crate::search::What`], all if none is named; A is [`crate::search::SearchedEnd::after`] |
//! | `GET /v1/audit/follow?after=N` | – | lines of [`crate::audit::LedgerRow`], first those after N, then new ones |

/// Header with the length of the file now.
pub const TOTAL_HEADER: &str = "scry-total";
/// Header that says whether the recording goes on.
pub const LIVE_HEADER: &str = "scry-live";
