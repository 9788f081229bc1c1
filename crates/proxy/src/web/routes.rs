//! Which route a request is for. They stand in [`wire::route`]; what is not there is a page, or nothing.

use http::Method;
use model::SessionId;
use wire::route::{BESIDE, Beside, Door, Way, open_call};

/// A route as it is served.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) door: Door,
    pub(crate) way: Way,
}

/// What a path is.
#[derive(Debug)]
pub(crate) enum Found {
    Route(Route),
    /// There is something, but it is asked so.
    OtherMethod(&'static str),
    Nothing,
    /// It does not begin with `/v1/`.
    Page,
}

impl From<&Beside> for Route {
    fn from(beside: &Beside) -> Self {
        let method = match beside.method {
            wire::route::Method::Get => Method::GET,
            wire::route::Method::Post => Method::POST,
        };
        Self { method, door: beside.door, way: beside.way }
    }
}

impl Route {
    /// That of every typed call.
    pub(crate) fn of_calls() -> Self {
        Self { method: Method::POST, door: Door::Change, way: Way::Call }
    }
}

/// The route of a request.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let Some(name) = path.strip_prefix("/v1/") else {
        return if path == "/v1" { Found::Nothing } else { Found::Page };
    };
    let beside = BESIDE.iter().filter(|beside| is(beside.path, path)).map(Route::from);
    let mut here = beside.chain(open_call(name).map(|_| Route::of_calls()));
    // What is answered to GET is answered to HEAD, without the body (RFC 9110 §9.3.2).
    let head = |route: &Route| method == Method::HEAD && route.method == Method::GET;
    match here.clone().find(|route| route.method == method || head(route)) {
        Some(route) => Found::Route(route),
        None => match here.next() {
            Some(route) if route.method == Method::POST => Found::OtherMethod("POST"),
            Some(_) => Found::OtherMethod("GET, HEAD"),
            None => Found::Nothing,
        },
    }
}

/// Whether a path is one of a route.
fn is(route: &str, path: &str) -> bool {
    let (mut ours, mut theirs) = (route.split('/'), path.split('/'));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return true,
            (Some("{id}"), Some(id)) if id.parse::<SessionId>().is_ok() => {}
            (Some(our), Some(their)) if our == their => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_route_a_page_or_nothing() {
        let check = |method: Method, path: &str, expected: &str| {
            let found = match find(&method, path) {
                Found::Route(route) => format!("{:?}", route.way),
                Found::OtherMethod(allowed) => allowed.to_owned(),
                Found::Nothing => "nothing".to_owned(),
                Found::Page => "page".to_owned(),
            };
            assert_eq!(found, expected, "{method} {path}");
        };
        check(Method::GET, "/", "page");
        check(Method::POST, "/nodes", "page");
        check(Method::GET, "/v1x", "page");
        check(Method::GET, "/v1", "nothing");
        check(Method::GET, "/v1/", "nothing");
        check(Method::GET, "/v1/ping", "Ping");
        check(Method::GET, "/v1/openapi.json", "Description");
        check(Method::HEAD, "/v1/ping", "Ping");
        check(Method::GET, "/v1/ping/", "nothing");
        check(Method::GET, "/v1//ping", "nothing");
        check(Method::POST, "/v1/ping", "GET, HEAD");
        check(Method::POST, "/v1/sign-up", "Call");
        check(Method::GET, "/v1/sign-up", "POST");
        check(Method::POST, "/v1/node/report", "nothing");
        let id = "abababab-abab-4bab-abab-abababababab";
        check(Method::GET, &format!("/v1/recordings/{id}/film"), "Stream");
        for odd in ["..", "%2e%2e", ".", "1", &format!(".%2f{id}"), &format!("{id}%2f..")] {
            check(Method::GET, &format!("/v1/recordings/{odd}/film"), "nothing");
        }
        check(Method::GET, "/v1/recordings//film", "nothing");
        check(Method::GET, &format!("/v1/recordings/{id}/film/"), "nothing");
        check(Method::GET, &format!("/v1/recordings/{id}/bytes"), "nothing");
        check(Method::GET, "/v1/node/news", "nothing");
    }
}
