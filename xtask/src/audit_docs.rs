//! The published form of the ledger's events: a page for people and a JSON Schema for programs, both made from `model::audit`.

use anyhow::{Context as _, Result};
use model::audit::Audited;
use model::audit::form::{ENVELOPE, EventForm, FieldForm, Form};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const PAGE: &str = "docs/audit.md";
const SCHEMA: &str = "docs/audit.schema.json";

const BEGINNING: &str = "\
# What stands in the ledger

This page and [audit.schema.json](audit.schema.json) are written by `cargo xtask tidy --write` from `model::audit`; a test compares.

`scry audit ls --json` and `scry audit follow --json` give one flat object an event: the fields of every event, and those of its own.
A field that is not known is left out.
A code never changes its meaning and is never used again; the letter behind it says whether the event informs (`I`) or warns (`W`).
New versions add events and optional fields; whoever reads the ledger passes over what they do not know.
The tests check what `scry audit --json` prints against the schema.

Nodes keep what they report in a file until auth has it, proxies in memory; what could not be kept is counted: `audit.events_lost`, at a proxy an `access.denied` with the count.
Of refusals that strangers can bring about as often as they like, 120 a minute are told one by one on each node and proxy; the rest is one event with their count.
";

/// Compares both files with the code.
pub fn check(root: &Path, faults: &mut Vec<String>) {
    for (path, wanted) in pages() {
        if fs::read_to_string(root.join(path)).ok().as_deref() != Some(wanted.as_str()) {
            faults.push(format!(
                "{path}: it is not what model::audit says; `cargo xtask tidy --write`"
            ));
        }
    }
}

/// Writes both files.
pub fn write(root: &Path) -> Result<()> {
    for (path, text) in pages() {
        fs::write(root.join(path), text).with_context(|| format!("{path} cannot be written"))?;
    }
    Ok(())
}

fn pages() -> [(&'static str, String); 2] {
    [(PAGE, page()), (SCHEMA, format!("{:#}\n", schema()))]
}

/// All events, by their codes.
fn events() -> Vec<&'static EventForm> {
    let mut events: Vec<_> = Audited::EVENTS.iter().collect();
    events.sort_by_key(|event| event.code);
    events
}

fn says(lines: &[&str]) -> String {
    let words: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    words.join(" ")
}

fn page() -> String {
    let mut page =
        format!("{BEGINNING}\n## Fields of every event\n\n{}\n## Events\n", table(ENVELOPE));
    for event in events() {
        let text = says(event.says);
        let _ = write!(page, "\n### {} `{}`\n\n{text}\n", event.code, event.word);
        if !event.fields.is_empty() {
            let _ = write!(page, "\n{}", table(event.fields));
        }
    }
    page
}

fn table(fields: &[FieldForm]) -> String {
    let mut table = "| field | what | meaning |\n|---|---|---|\n".to_owned();
    for field in fields {
        let text = says(field.says).replace('|', "\\|");
        let _ = writeln!(table, "| `{}` | {} | {text} |", field.name, words(&field.form));
    }
    table
}

fn words(form: &Form) -> String {
    match form {
        Form::Text => "text".to_owned(),
        Form::Count => "number".to_owned(),
        Form::Flag => "true or false".to_owned(),
        Form::Moment => "milliseconds since 1970, UTC".to_owned(),
        Form::Labels => "labels".to_owned(),
        Form::List(of) => format!("list of {}", words(of)),
        Form::Optional(of) => format!("{}, if known", words(of)),
    }
}

/// JSON Schema, draft 2020-12: an event is exactly one of those listed.
fn schema() -> Value {
    let events: Vec<_> = events().into_iter().map(event).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An event of scry's ledger",
        "oneOf": events,
    })
}

fn event(event: &EventForm) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in ENVELOPE.iter().chain(event.fields) {
        let mut shape = shape(&field.form);
        match field.name {
            "event" => shape = json!({ "const": event.word }),
            "code" => shape = json!({ "const": event.code }),
            _ => {}
        }
        shape["description"] = says(field.says).into();
        properties.insert(field.name.to_owned(), shape);
        if !matches!(field.form, Form::Optional(_)) {
            required.push(field.name);
        }
    }
    json!({
        "title": event.word,
        "description": says(event.says),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn shape(form: &Form) -> Value {
    match form {
        Form::Text => json!({ "type": "string" }),
        Form::Count | Form::Moment => json!({ "type": "integer", "minimum": 0 }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Labels => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Form::List(of) => json!({ "type": "array", "items": shape(of) }),
        Form::Optional(of) => shape(of),
    }
}
