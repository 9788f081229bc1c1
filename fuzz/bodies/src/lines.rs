//! Streams of JSON, one value a line, as every part of a cluster reads them of another.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use link::Peer;
use link::http::{Client, Service, serve};
use serde_json::Value;
use std::convert::Infallible;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

/// Bytes that are looked at: each of them is a piece of its own once.
const MOST: usize = 4 * 1024;

/// What was heard, and whether all of it was understood.
type Heard = (Vec<Value>, bool);

/// The body of an answer.
///
/// However it comes in pieces, each whole line is one value, in turn, up to the first that is none; a line that is cut off by
/// the end is never taken for a whole one.
pub fn lines(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MOST)];
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let expected = told(bytes);
    for size in [MOST, 1, 7] {
        let pieces = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
        assert_eq!(runtime.block_on(heard(pieces)), expected, "in pieces of {size}");
    }
}

/// What whole lines say.
fn told(bytes: &[u8]) -> Heard {
    let mut values = Vec::new();
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return (values, true) };
    for line in bytes[..end].split(|byte| *byte == b'\n') {
        let Ok(value) = serde_json::from_slice(line) else { return (values, false) };
        values.push(value);
    }
    (values, true)
}

/// Asks for the lines over a connection in memory.
async fn heard(pieces: Vec<Bytes>) -> Heard {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let answer = move || async move {
        Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)))
    };
    let service = Service::new(Router::new().route("/lines", get(answer)));
    let peer = Peer::nobody(([192, 0, 2, 7], 4711).into());
    let serving = serve(far, peer, service, CancellationToken::new());
    let hearing = async {
        let client = Client::over(near, "a fuzzer").await.expect("it speaks HTTP/2");
        let mut lines = client.lines::<Value>("/lines").await.expect("it answers");
        let mut values = Vec::new();
        loop {
            match lines.next().await {
                Ok(Some(value)) => values.push(value),
                Ok(None) => return (values, true),
                Err(_) => return (values, false),
            }
        }
    };
    tokio::select! {
        biased;
        heard = hearing => heard,
        ended = serving => panic!("the connection has ended: {ended:?}"),
    }
}
