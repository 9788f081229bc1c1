//! The table: for a terminal, as Markdown, as JSON.

use super::figures::{Row, Value};
use std::fmt::Write as _;

/// Columns of the table.
const HEAD: [&str; 8] = ["what", "unit", "peer", "its value", "side", "its value", "ratio", "bar"];

/// For a terminal: columns under each other, a tick or a cross where there is a bar.
pub fn plain(rows: &[Row]) -> String {
    let cells: Vec<[String; 8]> =
        core::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(cells)).collect();
    let mut widths = [0; 8];
    for line in &cells {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &cells {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(shown, "{cell:width$}  ");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// As Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&HEAD.map(str::to_owned));
    text.push_str(&line(&HEAD.map(|_| "---".to_owned())));
    for row in rows {
        text.push_str(&line(&cells(row)));
    }
    text
}

/// As JSON: an array of objects.
pub fn json(rows: &[Row]) -> serde_json::Value {
    let value = |value: Value| {
        let (least, most) = value.spread;
        serde_json::json!({ "value": value.value, "least": least, "most": most, "samples": value.count })
    };
    let rows = rows.iter().map(|row| {
        serde_json::json!({
            "bench": row.bench,
            "what": row.what,
            "unit": row.unit,
            "peer": row.peer,
            "side": row.side,
            "ours": value(row.ours),
            "theirs": row.theirs.map(value),
            "ratio": row.ratio(),
            "bar": row.bar.map(|bar| bar.words()),
            "holds": row.holds(),
        })
    });
    rows.collect()
}

fn cells(row: &Row) -> [String; 8] {
    let bar = match (row.bar, row.holds()) {
        (None, _) => String::new(),
        (Some(bar), true) => format!("✓ {}", bar.words()),
        (Some(bar), false) => format!("✗ {}", bar.words()),
    };
    [
        row.what.clone(),
        row.unit.to_owned(),
        row.peer.clone(),
        row.theirs.map(value).unwrap_or_default(),
        row.side.clone(),
        value(row.ours),
        row.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
        bar,
    ]
}

fn value(value: Value) -> String {
    let (least, most) = value.spread;
    if value.count == 1 {
        return short(value.value);
    }
    format!("{} ({}–{})", short(value.value), short(least), short(most))
}

/// Three digits or a little more.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        small if small >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Bar;
    use super::*;

    #[test]
    fn a_row_shows_both_values_the_ratio_and_whether_its_bar_holds() {
        let row = Row {
            bench: "echo",
            what: "echo".to_owned(),
            unit: "µs",
            peer: "sshd".to_owned(),
            side: "scry".to_owned(),
            ours: Value { value: 120.0, spread: (110.0, 130.0), count: 9 },
            theirs: Some(Value { value: 100.0, spread: (90.0, 110.0), count: 9 }),
            bar: Some(Bar::RatioAtMost(1.1)),
        };
        let line =
            "| echo | µs | sshd | 100 (90.0–110) | scry | 120 (110–130) | 1.20 | ✗ ≤ 1.1 × |";
        assert_eq!(markdown(std::slice::from_ref(&row)).lines().last(), Some(line));
        assert!(plain(std::slice::from_ref(&row)).contains("✗ ≤ 1.1 ×"));
        assert_eq!(json(&[row])[0]["holds"], false);
    }
}
