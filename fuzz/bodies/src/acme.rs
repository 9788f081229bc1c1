//! What an ACME server answers, which nobody here wrote: a whole conversation over TLS, as a proxy has it that wants an
//! account.

use link::acme::{Registered, Server, Trouble};
use link::tls::{Authority, Badge, KeyRequest, PeerIdentity, TlsIdentity, server_config};
use model::Time;
use model::limit::{ACME_ASKED_MOST_MS, ACME_TOLD_CHARS};
use serde_json::Value;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;

/// Where the server is.
const HERE: &str = "127.0.0.1";
/// What stands for the server's port in an answer.
const PORT: &[u8] = b"PORT";

/// A server's end of TLS, and who signed for it.
struct Stand {
    authority: String,
    acceptor: TlsAcceptor,
}

static STAND: LazyLock<Stand> = LazyLock::new(|| {
    // To the end of 2099.
    let (from, until) = (Time(0), Time(4_102_444_800_000));
    let authority = Authority::create("a fuzzer", from, until).expect("a key can be made");
    let KeyRequest { key, request } = KeyRequest::make().expect("as before");
    let chain = authority.sign(&request, &PeerIdentity::Nobody, &[HERE], [7; 16], from, until);
    let badge = Badge::new(&TlsIdentity { chain: chain.expect("it can be signed"), key });
    let tls = server_config(&badge.expect("they fit"), authority.certificate(), &[]);
    let acceptor = TlsAcceptor::from(tls.expect("it can be shown"));
    Stand { authority: authority.certificate().to_owned(), acceptor }
});

/// Answers in HTTP/1.1, one to each request, with a zero between them; `PORT` stands for where the server is.
///
/// Whatever it answers, what people are told of it is short and moves no cursor, and for no more than a day a server is
/// believed that it wants to be left alone. Who gets an account asks with it where they asked before.
pub fn acme(bytes: &[u8]) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind((HERE, 0)).await.expect("a port");
        let port = listener.local_addr().expect("a port has an address").port().to_string();
        let directory = format!("https://{HERE}:{port}/dir");
        let server = Server::new(&directory, Some(STAND.authority.as_str())).expect("an authority");
        let answers: Vec<_> =
            bytes.split(|byte| *byte == 0).map(|answer| placed(answer, &port)).collect();
        let told = tokio::select! {
            biased;
            told = server.register(None) => told,
            () = serve(&listener, answers) => unreachable!("it serves for ever"),
        };
        match told {
            Ok(made) => account(&made, &directory),
            Err(trouble) => inert(&trouble),
        }
    });
}

fn account(made: &Registered, directory: &str) {
    let kept: Value = serde_json::from_str(&made.credentials).expect("what is kept is JSON");
    assert_eq!(kept["directory"], directory, "another server is asked with it");
    assert!(kept["id"].is_string(), "an account without a name");
}

fn inert(trouble: &Trouble) {
    let words = trouble.to_string();
    assert!(!words.is_empty() && !words.contains(char::is_control), "{words:?}");
    assert!(words.chars().count() <= 4 * ACME_TOLD_CHARS, "{} characters", words.len());
    let most = Duration::from_millis(ACME_ASKED_MOST_MS.unsigned_abs());
    assert!(trouble.wait().is_none_or(|wait| wait <= most), "{:?}", trouble.wait());
}

/// An answer with the port where it belongs.
fn placed(mut answer: &[u8], port: &str) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(at) = answer.windows(PORT.len()).position(|word| word == PORT) {
        whole.extend_from_slice(&answer[..at]);
        whole.extend_from_slice(port.as_bytes());
        answer = &answer[at + PORT.len()..];
    }
    whole.extend_from_slice(answer);
    whole
}

/// Answers one request a connection; with nothing when there are no more answers.
async fn serve(listener: &TcpListener, answers: Vec<Vec<u8>>) {
    let mut answers = answers.into_iter();
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let Ok(mut stream) = STAND.acceptor.accept(tcp).await else { continue };
        take(&mut stream).await;
        let _ = stream.write_all(&answers.next().unwrap_or_default()).await;
        let _ = stream.shutdown().await;
    }
}

/// Takes a request to its end: a connection that is closed before loses what was answered.
async fn take(stream: &mut (impl AsyncRead + Unpin)) {
    let (mut asked, mut room) = (Vec::new(), [0; 4096]);
    while !is_whole(&asked) {
        match stream.read(&mut room).await {
            Ok(0) | Err(_) => return,
            Ok(count) => asked.extend_from_slice(&room[..count]),
        }
    }
}

fn is_whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0)
}
