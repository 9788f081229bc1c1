//! The pages: the front end as `cargo xtask web` built it, in this binary; without it, one that says what to run.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use rust_embed::RustEmbed;
use std::borrow::Cow;
use wire::share::{JOIN_PATH, JOIN_PLAIN_PATH};

/// The front end; empty when it was not built.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// The one page of the front end, which shows what the path says.
const PAGE: &str = "index.html";
/// Folder of the files whose names change with their contents.
const HASHED: &str = "assets/";
/// How to come into a session without the front end. The code is behind the `#`, so nothing can be used up here.
const JOIN: &str = concat!(include_str!("plain.html"), include_str!("join.html"));
/// What to run.
const MISSING: &str = concat!(include_str!("plain.html"), include_str!("missing.html"));

/// Of the front end: it loads nothing from elsewhere, no script stands in it, and none makes markup of texts. xterm and the
/// accessible widgets set styles on elements.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types svelte-trusted-html";
/// Of the plain pages: they load nothing at all.
const PLAIN_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// A file of the front end.
struct File {
    bytes: Bytes,
    hash: [u8; 32],
}

/// What is at a path outside `/v1/`.
pub(super) fn answer(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let find = |name: &str| {
        let file = Dist::get(name)?;
        let bytes = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Some(File { bytes, hash: file.metadata.sha256_hash() })
    };
    let mut answer = match *method {
        Method::GET | Method::HEAD => page(uri.path(), headers, find),
        _ => {
            let text = "pages are asked for with GET\n";
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", text);
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
    };
    if method == Method::HEAD {
        *answer.body_mut() = Body::empty();
    }
    guarded(answer)
}

fn page(path: &str, headers: &HeaderMap, find: impl Fn(&str) -> Option<File>) -> Response {
    let Some(page) = find(PAGE) else {
        return match path {
            JOIN_PATH | JOIN_PLAIN_PATH => html(StatusCode::OK, JOIN),
            _ => html(StatusCode::SERVICE_UNAVAILABLE, MISSING),
        };
    };
    if path == JOIN_PLAIN_PATH {
        return html(StatusCode::OK, JOIN);
    }
    let name = path.trim_start_matches('/');
    let file = match name {
        PAGE => None,
        name => find(name),
    };
    match file {
        Some(file) if name.starts_with(HASHED) => {
            let kept = "public, max-age=31536000, immutable";
            served(name, file, kept, headers, find)
        }
        Some(file) => served(name, file, "no-cache", headers, find),
        // An older page asks for a script that is gone: it must not get a page in its place.
        None if name.starts_with(HASHED) => {
            plain(StatusCode::NOT_FOUND, "text/plain", "there is no such file any more\n")
        }
        None => served(PAGE, page, "no-store", headers, find),
    }
}

/// A file, packed if the browser takes that and it was packed when it was built.
fn served(
    name: &str,
    file: File,
    kept: &'static str,
    headers: &HeaderMap,
    find: impl Fn(&str) -> Option<File>,
) -> Response {
    let tag = tag(&file.hash);
    let held = headers.get(header::IF_NONE_MATCH).and_then(|held| held.to_str().ok());
    let fresh = held.is_some_and(|held| held.split(',').any(|held| held.trim() == tag));
    let packed = [("br", "br"), ("gzip", "gz")].into_iter().find_map(|(coding, ending)| {
        let file = takes(headers, coding).then(|| find(&format!("{name}.{ending}")))??;
        Some((coding, file.bytes))
    });
    let (coding, bytes) = match packed {
        Some((coding, bytes)) => (Some(coding), bytes),
        None => (None, file.bytes),
    };
    let fresh = fresh && kept != "no-store";
    let mut answer = match fresh {
        true => Response::new(Body::empty()),
        false => Response::new(Body::from(bytes)),
    };
    if fresh {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(name)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

fn tag(hash: &[u8; 32]) -> String {
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// Whether a browser takes a coding (RFC 9110 §12.5.3).
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    let lines =
        headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse().ok());
        name.trim().eq_ignore_ascii_case(coding) && weight.unwrap_or(1.0_f32) > 0.0
    })
}

/// What a file is, by its name.
fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn html(status: StatusCode, text: &'static str) -> Response {
    plain(status, "text/html; charset=utf-8", text)
}

fn plain(status: StatusCode, kind: &'static str, text: &'static str) -> Response {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PLAIN_POLICY));
    answer
}

/// Adds what holds for every page.
fn guarded(mut answer: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (super::CROSS_ORIGIN_RESOURCE, "same-origin"),
        // A page can be called by a link into a session, or an invitation.
        (HeaderName::from_static("x-robots-tag"), "noindex"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=()",
        ),
    ];
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const BUILT: &[(&str, &str)] = &[
        ("index.html", "<html>"),
        ("index.html.br", "packed page"),
        ("favicon.svg", "<svg>"),
        ("assets/main-1a2b.js", "code"),
        ("assets/main-1a2b.js.br", "packed"),
        ("assets/main-1a2b.js.gz", "zipped"),
    ];

    fn ask(built: &[(&str, &str)], path: &str, headers: &[(HeaderName, &str)]) -> Response {
        let files: BTreeMap<_, _> = built.iter().copied().collect();
        let find = |name: &str| {
            let text = *files.get(name)?;
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            Some(File { bytes, hash: [u8::try_from(text.len()).unwrap(); 32] })
        };
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        page(path, &headers.collect(), find)
    }

    async fn text(answer: Response) -> String {
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn header(answer: &Response, name: HeaderName) -> &str {
        answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn without_a_front_end_every_page_says_what_to_run_and_a_link_how_to_come() {
        for (path, status, words) in [
            ("/", 503, "cargo xtask web"),
            ("/nodes/web-01", 503, "cargo xtask web"),
            ("/assets/main-1a2b.js", 503, "cargo xtask web"),
            ("/join", 200, "scry join"),
            ("/join/plain", 200, "scry join"),
        ] {
            let answer = ask(&[], path, &[]);
            assert_eq!(answer.status(), status, "{path}");
            assert!(
                header(&answer, header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'")
            );
            assert_eq!(header(&answer, header::CACHE_CONTROL), "no-store");
            assert!(text(answer).await.contains(words), "{path}");
        }
    }

    #[tokio::test]
    async fn every_path_is_the_page_but_files_and_the_way_in_without_it() {
        for (path, kept, body) in [
            ("/", "no-store", "<html>"),
            ("/index.html", "no-store", "<html>"),
            ("/join", "no-store", "<html>"),
            ("/recordings/7?t=3", "no-store", "<html>"),
            ("/../etc/passwd", "no-store", "<html>"),
            ("/favicon.svg", "no-cache", "<svg>"),
            ("/assets/main-1a2b.js", "public, max-age=31536000, immutable", "code"),
        ] {
            let answer = ask(BUILT, path, &[]);
            assert_eq!(answer.status(), 200, "{path}");
            assert_eq!(header(&answer, header::CACHE_CONTROL), kept, "{path}");
            assert_eq!(text(answer).await, body, "{path}");
        }
        assert!(text(ask(BUILT, "/join/plain", &[])).await.contains("scry join"));
        let gone = ask(BUILT, "/assets/main-0000.js", &[]);
        assert_eq!(
            (gone.status(), header(&gone, header::CACHE_CONTROL)),
            (StatusCode::NOT_FOUND, "no-store")
        );
    }

    #[tokio::test]
    async fn a_file_comes_packed_as_the_browser_takes_it() {
        for (accepts, coding, body) in [
            ("gzip, deflate, br", "br", "packed"),
            ("gzip, br;q=0", "gzip", "zipped"),
            ("BR", "br", "packed"),
            ("identity", "", "code"),
            ("", "", "code"),
        ] {
            let answer = ask(BUILT, "/assets/main-1a2b.js", &[(header::ACCEPT_ENCODING, accepts)]);
            assert_eq!(header(&answer, header::CONTENT_ENCODING), coding, "{accepts}");
            assert_eq!(header(&answer, header::VARY), "accept-encoding");
            assert!(header(&answer, header::CONTENT_TYPE).starts_with("text/javascript"));
            assert_eq!(text(answer).await, body, "{accepts}");
        }
        let page = ask(BUILT, "/nodes", &[(header::ACCEPT_ENCODING, "br")]);
        assert_eq!(text(page).await, "packed page");
    }

    #[tokio::test]
    async fn a_file_that_the_browser_holds_is_not_sent_again_and_the_page_always_is() {
        let first = ask(BUILT, "/favicon.svg", &[]);
        let tag = header(&first, header::ETAG).to_owned();
        let again = ask(BUILT, "/favicon.svg", &[(header::IF_NONE_MATCH, &tag)]);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let first = ask(BUILT, "/", &[]);
        let tag = header(&first, header::ETAG).to_owned();
        assert_eq!(ask(BUILT, "/", &[(header::IF_NONE_MATCH, &tag)]).status(), StatusCode::OK);
    }

    #[test]
    fn what_pages_may_do_is_this_word_for_word() {
        let built = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
            connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
            frame-ancestors 'none'; require-trusted-types-for 'script'; \
            trusted-types svelte-trusted-html";
        let plain = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
            form-action 'none'; frame-ancestors 'none'";
        for (files, path, policy) in [
            (BUILT, "/", built),
            (BUILT, "/nodes", built),
            (BUILT, "/favicon.svg", built),
            (BUILT, "/assets/main-1a2b.js", built),
            (BUILT, "/assets/main-0000.js", plain),
            (BUILT, "/join/plain", plain),
            (&[], "/", plain),
            (&[], "/join", plain),
        ] {
            let answer = ask(files, path, &[]);
            assert_eq!(header(&answer, header::CONTENT_SECURITY_POLICY), policy, "{path}");
        }
    }

    #[test]
    fn every_page_is_guarded_and_none_is_posted_to() {
        let uri = Uri::from_static("/");
        for method in [Method::GET, Method::HEAD, Method::POST] {
            let answer = answer(&method, &uri, &HeaderMap::new());
            for (name, value) in [
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
                (super::super::CROSS_ORIGIN_RESOURCE, "same-origin"),
            ] {
                assert_eq!(header(&answer, name), value, "{method}");
            }
            let policy = header(&answer, header::CONTENT_SECURITY_POLICY);
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert_eq!(method == Method::POST, answer.status() == 405, "{method}");
        }
    }
}
