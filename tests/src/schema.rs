//! The part of JSON Schema that the ledger's published schema uses, and a check against it.

use serde_json::{Map, Value};

/// Says what is wrong with `value`, if anything is.
///
/// # Errors
/// The first fault that was found, in words.
pub fn check(schema: &Value, value: &Value) -> Result<(), String> {
    for keyword in schema.as_object().into_iter().flat_map(Map::keys) {
        let known = [
            "$schema",
            "title",
            "description",
            "oneOf",
            "const",
            "type",
            "minimum",
            "properties",
            "required",
            "additionalProperties",
            "items",
        ];
        assert!(known.contains(&keyword.as_str()), "this checker does not know {keyword}");
    }
    if let Some(options) = schema["oneOf"].as_array() {
        let faults: Vec<_> = options.iter().map(|one| check(one, value)).collect();
        // The fault of the one that it says it is, or that it is none.
        let meant = options.iter().position(|one| one["title"] == value["event"]);
        let meant = meant.ok_or_else(|| format!("there is no such event: {value}"))?;
        let fitting = faults.iter().filter(|fault| fault.is_ok()).count();
        assert_eq!(fitting, usize::from(faults[meant].is_ok()), "exactly one fits");
        return faults[meant].clone();
    }
    if let Some(only) = schema.get("const") {
        return if value == only { Ok(()) } else { Err(format!("{value} is not {only}")) };
    }
    let fits = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.as_u64().is_some_and(|n| Some(n) >= schema["minimum"].as_u64()),
        Some("array") => {
            let items = value.as_array().ok_or_else(|| format!("{value} is no list"))?;
            return items.iter().try_for_each(|item| check(&schema["items"], item));
        }
        Some("object") => return object(schema, value),
        other => panic!("this checker does not know the type {other:?}"),
    };
    if fits { Ok(()) } else { Err(format!("{value} is no {}", schema["type"])) }
}

fn object(schema: &Value, value: &Value) -> Result<(), String> {
    let object = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    for name in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(name.as_str().unwrap_or_default()) {
            return Err(format!("{name} is missing in {value}"));
        }
    }
    for (name, inner) in object {
        let expected = match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => {
                return Err(format!("{name} is not published: {value}"));
            }
            (Value::Null, others) => others,
            (expected, _) => expected,
        };
        check(expected, inner).map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(())
}
