//! That codes and words are one each, and that what is published is what is written.

use super::*;
use crate::ConnectionId;
use std::collections::BTreeSet;

#[test]
fn no_code_and_no_word_means_two_things() {
    let codes: BTreeSet<_> = Audited::EVENTS.iter().map(|event| event.code).collect();
    let words: BTreeSet<_> = Audited::EVENTS.iter().map(|event| event.word).collect();
    assert_eq!((codes.len(), words.len()), (Audited::EVENTS.len(), Audited::EVENTS.len()));
}

#[test]
fn no_field_has_the_name_of_one_that_every_event_has_or_that_a_row_of_the_ledger_adds() {
    const TAKEN: [&str; 11] = [
        "time",
        "user",
        "address",
        "node",
        "login",
        "connection",
        "session",
        "via",
        "event",
        "number",
        "code",
    ];
    for event in Audited::EVENTS {
        for field in event.fields {
            assert!(!TAKEN.contains(&field.name), "{}: {}", event.word, field.name);
        }
    }
}

#[test]
fn an_event_is_one_flat_json_object_and_is_read_back() {
    let exec = Audited::Exec { command: "ls".into() };
    let event = AuditEvent { user: "alice".parse().ok(), ..AuditEvent::at(Time(1), exec) };
    let text = serde_json::to_string(&event).unwrap_or_default();
    assert_eq!(text, r#"{"time":1,"user":"alice","event":"session.exec","command":"ls"}"#);
    assert_eq!(serde_json::from_str::<AuditEvent>(&text).ok(), Some(event));
}

#[test]
fn the_published_form_is_that_of_the_event() {
    let event = AuditEvent {
        time: Time(1),
        user: "alice".parse().ok(),
        address: Some("::1".into()),
        node: "web-01".parse().ok(),
        login: "root".parse().ok(),
        connection: Some(ConnectionId::from_random([1; 16])),
        session: Some(SessionId::from_random([2; 16])),
        via: "proxy".parse().ok(),
        what: Audited::Denied { action: "a".into(), why: "b".into() },
    };
    let value = serde_json::to_value(&event).unwrap_or_default();
    let written: BTreeSet<_> = value.as_object().into_iter().flat_map(|o| o.keys()).collect();
    let form = Audited::EVENTS.iter().find(|form| form.word == "access.denied");
    let names: BTreeSet<_> = form::ENVELOPE
        .iter()
        .chain(form.into_iter().flat_map(|form| form.fields))
        .map(|field| field.name.to_owned())
        .filter(|name| name != "number" && name != "code")
        .collect();
    assert_eq!(written, names.iter().collect());
}
