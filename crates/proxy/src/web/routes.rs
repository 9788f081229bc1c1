//! Every route of the proxy's web side. What is not here is a page, or not there.

use http::Method;
use wire::web::OPEN;

/// From where a route may be asked. Whoever asks, auth or a node decides what they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// From anywhere: nothing is changed, and nothing is shown of anybody.
    Open,
    /// To read, from the own pages.
    Read,
    /// To change something, from the own pages, which say so in `Origin`.
    Change,
}

/// What is done at a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is said that there is a proxy.
    Ping,
    /// A typed call is passed on to auth.
    Call,
    /// What auth tells is passed on as it comes.
    Stream,
    /// A WebSocket becomes a terminal.
    Terminal,
    /// A folder of a node is listed.
    Folder,
    /// A file comes from a node.
    Download,
    /// A file goes to a node.
    Upload,
}

/// A route; parameters stand in braces.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
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

/// Routes that are no calls.
const ROUTES: &[Route] = &[
    route(Method::GET, "/v1/ping", Door::Open, Way::Ping),
    route(Method::GET, "/v1/recordings/{id}/film", Door::Read, Way::Stream),
    route(Method::GET, "/v1/recordings/{id}/reel", Door::Read, Way::Stream),
    route(Method::GET, "/v1/recordings/{id}/transcript", Door::Read, Way::Stream),
    route(Method::GET, "/v1/recordings/{id}/events", Door::Read, Way::Stream),
    route(Method::GET, "/v1/recordings/{id}/search", Door::Read, Way::Stream),
    route(Method::GET, "/v1/recordings/{id}/cast", Door::Read, Way::Stream),
    route(Method::GET, "/v1/recordings/{id}/text", Door::Read, Way::Stream),
    route(Method::GET, "/v1/audit/follow", Door::Read, Way::Stream),
    route(Method::GET, "/v1/web/terminal", Door::Change, Way::Terminal),
    route(Method::GET, "/v1/web/folder", Door::Read, Way::Folder),
    route(Method::GET, "/v1/web/files", Door::Read, Way::Download),
    route(Method::POST, "/v1/web/files", Door::Change, Way::Upload),
];

const fn route(method: Method, path: &'static str, door: Door, way: Way) -> Route {
    Route { method, path, door, way }
}

impl Route {
    /// Whether it is a typed call.
    #[cfg(test)]
    pub(crate) fn is_call(&self) -> bool {
        self.way == Way::Call
    }
}

/// All of them, whole paths for calls, too.
#[cfg(test)]
pub(crate) fn all() -> Vec<Route> {
    let call = |name: &&str| {
        let path: &'static str = Box::leak(format!("/v1/{name}").into_boxed_str());
        route(Method::POST, path, Door::Change, Way::Call)
    };
    ROUTES.iter().cloned().chain(OPEN.iter().map(call)).collect()
}

/// The route of a request.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let Some(name) = path.strip_prefix("/v1/") else {
        return if path == "/v1" { Found::Nothing } else { Found::Page };
    };
    let call = OPEN.iter().find(|open| **open == name);
    let call = call.map(|open| route(Method::POST, open, Door::Change, Way::Call));
    let mut here = ROUTES.iter().filter(|route| is(route.path, path)).cloned().chain(call);
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
            (Some("{id}"), Some(id)) if !id.is_empty() => {}
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
        check(Method::HEAD, "/v1/ping", "Ping");
        check(Method::GET, "/v1/ping/", "nothing");
        check(Method::GET, "/v1//ping", "nothing");
        check(Method::POST, "/v1/ping", "GET, HEAD");
        check(Method::POST, "/v1/sign-up", "Call");
        check(Method::GET, "/v1/sign-up", "POST");
        check(Method::POST, "/v1/node/report", "nothing");
        check(Method::GET, "/v1/recordings/1/film", "Stream");
        check(Method::GET, "/v1/recordings//film", "nothing");
        check(Method::GET, "/v1/recordings/1/film/", "nothing");
        check(Method::GET, "/v1/recordings/1/bytes", "nothing");
        check(Method::GET, "/v1/node/news", "nothing");
    }
}
