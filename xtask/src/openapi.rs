//! The published description of what browsers may ask (OpenAPI 3.1): made from `wire::route` and the types of its calls.

use anyhow::{Context as _, Result};
use model::limit::{REQUEST_BYTES_OF_NOBODY, WEB_FILE_BYTES};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use wire::route::{Answer, BESIDE, Beside, Door, FAILURE, Field, Form, OPEN, OpenCall, Who};

const PAGE: &str = "docs/openapi.json";

const BEGINNING: &str = "\
What the pages of a proxy ask, and whatever else comes with a web session. The server is the proxy's own address. \
A web session is a cookie, which `web/sign-in` sets and no script can read. \
Whatever changes something, and every WebSocket, needs an `Origin` that is the proxy's own, beside the cookie; what is only read must not have another. \
Times are milliseconds since 1970, UTC, unless something else is said. \
New versions add routes, fields of answers and optional fields of requests; whoever reads passes over what they do not know.";

/// Compares the file with the code.
pub fn check(root: &Path, faults: &mut Vec<String>) {
    if fs::read_to_string(root.join(PAGE)).ok().as_deref() != Some(page().as_str()) {
        faults.push(format!("{PAGE}: it is not what wire::route says; `cargo xtask tidy --write`"));
    }
}

/// Writes the file.
pub fn write(root: &Path) -> Result<()> {
    fs::write(root.join(PAGE), page()).with_context(|| format!("{PAGE} cannot be written"))
}

fn page() -> String {
    format!("{:#}\n", document())
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let failure = schema(&mut generator, FAILURE);
    let mut paths = Map::new();
    for call in OPEN {
        let path = format!("/v1/{}", call.path);
        paths.insert(path, json!({ "post": operation_of_call(&mut generator, call) }));
    }
    for route in BESIDE {
        let operation = operation_beside(&mut generator, route);
        let place = paths.entry(route.path).or_insert_with(|| json!({}));
        place[route.method.word().to_lowercase()] = operation;
    }
    let schemas = generator.take_definitions(true);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "scry",
            "version": wire::VERSION,
            "description": BEGINNING,
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The proxy that serves the pages." }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Failure": {
                    "description": "Whose fault it is, and one sentence for the person who asked.",
                    "content": { "application/json": { "schema": failure } },
                },
            },
            "securitySchemes": {
                "session": {
                    "type": "apiKey", "in": "cookie", "name": wire::web::COOKIE,
                    "description": "The secret of a web session; `web/sign-in` sets it.",
                },
            },
        },
    });
    plain_words(&mut document);
    document
}

fn schema(generator: &mut SchemaGenerator, form: Form) -> Value {
    form(generator).to_value()
}

fn operation_of_call(generator: &mut SchemaGenerator, call: &OpenCall) -> Value {
    let request = schema(generator, call.request);
    let answer = schema(generator, call.answer);
    let says = described(generator, &request);
    let mut operation = operation(&format!("/v1/{}", call.path), "post", &says, call.who);
    operation["requestBody"] = json!({
        "required": true,
        "description": format!("At most {REQUEST_BYTES_OF_NOBODY} bytes."),
        "content": { "application/json": { "schema": request } },
    });
    let good = json!({ "description": "It was done.", "content": { "application/json": { "schema": answer } } });
    operation["responses"] = responses("200", good, call.who, &["413", "415", "429"]);
    operation["parameters"] = json!([origin()]);
    operation
}

fn operation_beside(generator: &mut SchemaGenerator, route: &Beside) -> Value {
    let method = route.method.word().to_lowercase();
    let mut operation = operation(route.path, &method, route.says, route.who);
    let mut parameters: Vec<_> = route.query.iter().map(parameter).collect();
    if route.path.contains("{id}") {
        parameters.insert(
            0,
            json!({
                "name": "id", "in": "path", "required": true, "description": "The recording.",
                "schema": { "type": "string", "format": "uuid" },
            }),
        );
    }
    if route.door == Door::Change {
        parameters.push(origin());
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    let body = |kind: &str, schema: Value| json!({ "description": "It is there.", "content": { kind: { "schema": schema } } });
    let (status, good, further): (_, _, &[&str]) = match route.answer {
        Answer::Json(form) => ("200", body("application/json", schema(generator, form)), &["429"]),
        Answer::Lines(form) => {
            let mut good = body("application/x-ndjson", schema(generator, form));
            good["description"] = "Lines, each of this form, as they come.".into();
            ("200", good, &["429"])
        }
        Answer::Bytes(kind) => ("200", body(kind, json!({})), &["429"]),
        Answer::Socket(protocol) => {
            let text = format!(
                "A WebSocket of the subprotocol `{protocol}`; its messages stand in docs/design/0003-web.md or docs/embed.md."
            );
            ("101", json!({ "description": text }), &["426", "429"])
        }
    };
    if method == "post" {
        operation["requestBody"] = json!({
            "required": true,
            "description": format!("The file; at most {WEB_FILE_BYTES} bytes."),
            "content": { "application/octet-stream": { "schema": {} } },
        });
    }
    operation["responses"] = responses(status, good, route.who, further);
    operation
}

fn operation(path: &str, method: &str, says: &str, who: Who) -> Value {
    let name = path.trim_start_matches("/v1/").replace(['{', '}'], "");
    let (tag, _) = name.split_once(['/', '.']).unwrap_or(("web", ""));
    let tag = if TAGS.iter().any(|(known, _)| *known == tag) { tag } else { "web" };
    let (summary, rest) = says.split_once(". ").map_or((says, ""), |(first, rest)| (first, rest));
    let security = match who {
        Who::Anybody => json!([]),
        _ => json!([{ "session": [] }]),
    };
    let description = format!("{} {rest}", words(who));
    json!({
        "operationId": format!("{method} {name}").replace(['/', ' ', '.'], "-"),
        "tags": [tag],
        "summary": summary.trim_end_matches('.'),
        "description": description.trim(),
        "security": security,
    })
}

const TAGS: &[(&str, &str)] = &[
    ("access", "What roles allow."),
    ("audit", "The ledger."),
    ("factors", "Second factors."),
    ("locks", "Locks."),
    ("nodes", "Machines."),
    ("recordings", "Recordings; what a player reads of one needs the ticket of `recordings/view`."),
    ("roles", "Roles."),
    ("sessions", "Sessions that go on."),
    ("share", "Links into sessions."),
    ("users", "People."),
    ("web", "Signing up, in and out; terminals and files."),
];

fn tags() -> Value {
    TAGS.iter().map(|(name, says)| json!({ "name": name, "description": says })).collect()
}

fn words(who: Who) -> String {
    match who {
        Who::Anybody => "For anybody.".to_owned(),
        Who::SignedIn => {
            "For whoever is signed in, be it only to add the second factor that their roles demand."
                .to_owned()
        }
        Who::Member => {
            "For whoever is signed in; what they may do and see, their roles say.".to_owned()
        }
        Who::Admin(right) => {
            let right = serde_json::to_value(right).unwrap_or_default();
            format!(
                "For those whose roles give them the right over {}.",
                right.as_str().unwrap_or_default()
            )
        }
    }
}

fn origin() -> Value {
    json!({
        "name": "Origin", "in": "header", "required": true, "schema": { "type": "string" },
        "description": "The proxy's own, as `https://HOST:PORT`; browsers say it by themselves.",
    })
}

fn parameter(field: &Field) -> Value {
    let (name, required, schema, says) = match field {
        Field::Name(name, says) => (name, true, json!({ "type": "string" }), says),
        Field::Text(name, says) => (name, false, json!({ "type": "string" }), says),
        Field::Number(name, says) => {
            (name, false, json!({ "type": "integer", "minimum": 0 }), says)
        }
        Field::Flag(name, says) => (name, false, json!({ "const": "1" }), says),
        Field::Choice(name, all, says) => (name, false, json!({ "enum": all }), says),
    };
    json!({ "name": name, "in": "query", "required": required, "schema": schema, "description": says })
}

/// The answers of a route. Any call may be refused because it makes no sense, or because there is no such thing.
fn responses(status: &str, good: Value, who: Who, further: &[&str]) -> Value {
    let mut all = json!({ status: good });
    let shut: &[&str] = match who {
        Who::Anybody => &["401", "403"],
        Who::SignedIn | Who::Member | Who::Admin(_) => &["401", "403", "409"],
    };
    for status in ["400", "404", "421", "500", "503"].iter().chain(shut).chain(further) {
        all[*status] = json!({ "$ref": "#/components/responses/Failure" });
    }
    all
}

/// What a request's type says of itself.
fn described(generator: &SchemaGenerator, schema: &Value) -> String {
    let name = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next());
    let full = name.and_then(|name| generator.definitions().get(name));
    let text = full.and_then(|full| full["description"].as_str());
    text.unwrap_or_default().replace('\n', " ")
}

/// Takes the marks of Rust's pages out of every description: what stands there as [`a::B`] is `B`.
fn plain_words(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "description" || key == "summary" => {
                        *text = plain(text);
                    }
                    value => plain_words(value),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(plain_words),
        _ => {}
    }
}

fn plain(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once("[`") {
        let Some((name, after)) = behind.split_once("`]") else { break };
        shown.push_str(before);
        shown.push_str(&format!("`{}`", name.rsplit("::").next().unwrap_or(name)));
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_stands_in_the_description_and_every_reference_leads_somewhere() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        for call in OPEN {
            assert!(paths[&format!("/v1/{}", call.path)]["post"].is_object(), "{}", call.path);
        }
        for route in BESIDE {
            let method = route.method.word().to_lowercase();
            assert!(paths[route.path][method].is_object(), "{}", route.path);
        }
        let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(operations, OPEN.len() + BESIDE.len());
        let text = document.to_string();
        for place in text.split("\"$ref\":\"#").skip(1) {
            let place = place.split('"').next().unwrap();
            assert!(document.pointer(place).is_some(), "{place} leads nowhere");
        }
        for (path, all) in paths {
            for (method, operation) in all.as_object().unwrap() {
                for field in ["summary", "description", "operationId"] {
                    assert!(
                        !operation[field].as_str().unwrap().is_empty(),
                        "{method} {path}: {field}"
                    );
                }
            }
        }
    }

    #[test]
    fn words_that_lead_to_other_pages_are_plain_words() {
        for (text, shown) in [
            ("At most [`model::limit::PREVIEWS`].", "At most `PREVIEWS`."),
            ("From [`Wants`], and [`Me`]", "From `Wants`, and `Me`"),
            ("[`open", "[`open"),
            ("", ""),
        ] {
            assert_eq!(plain(text), shown);
        }
    }
}
