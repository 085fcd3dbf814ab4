//! Another value for a variable of a `.env` file.

use super::dotenv;

/// The text of a `.env` file in which `name` is `value`: in the line that sets it, else in a new one. All the rest stays
/// byte for byte. None for a value that the format cannot hold as it is.
pub fn with_variable(text: &str, name: &str, value: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@/._+:,=^~*-<>|".contains(c);
    let written =
        if !value.is_empty() && value.chars().all(is_plain) { value.to_owned() } else { format!("'{value}'") };
    let set = dotenv::parse(text).0.into_iter().rfind(|binding| binding.key == name);
    let changed = set.and_then(|binding| in_line(text, binding.line, name, &written)).unwrap_or_else(|| {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        format!("{text}{gap}{name}={written}\n")
    });
    let found = dotenv::parse(&changed).0.into_iter().rfind(|binding| binding.key == name);
    let is_value = found.is_some_and(|binding| binding.value.as_deref() == Some(value)) && !value.contains('$');
    is_value.then_some(changed)
}

/// With another value in a line that is an assignment by itself.
fn in_line(text: &str, number: usize, name: &str, written: &str) -> Option<String> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let line = lines.get_mut(number.checked_sub(1)?)?;
    let (bindings, broken) = dotenv::parse(line);
    if bindings.len() != 1 || bindings[0].key != name || !broken.is_empty() {
        return None;
    }
    let body = line.trim_end_matches(['\n', '\r']);
    let (key, old) = body.split_once('=')?;
    let comment = old.rfind(" #").filter(|_| !old.contains(['"', '\''])).map_or("", |at| &old[at..]);
    let gap = &old[..old.len() - old.trim_start().len()];
    let end = &line[body.len()..];
    let changed = format!("{key}={gap}{written}{comment}{end}");
    *line = changed;
    Some(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::with_variable;

    #[test]
    fn only_the_line_of_the_variable_changes() {
        for (before, after) in [
            ("", "NODE_VERSION=24\n"),
            ("A=1", "A=1\nNODE_VERSION=24\n"),
            ("NODE_VERSION=22\nA=1\n", "NODE_VERSION=24\nA=1\n"),
            ("# x\r\nexport NODE_VERSION = \"22\"\r\n", "# x\r\nexport NODE_VERSION = 24\r\n"),
            ("NODE_VERSION=22 # of RHDH\n", "NODE_VERSION=24 # of RHDH\n"),
            ("NODE_VERSION=20\nNODE_VERSION=22\n", "NODE_VERSION=20\nNODE_VERSION=24\n"),
            ("#NODE_VERSION=22\n", "#NODE_VERSION=22\nNODE_VERSION=24\n"),
            ("NODE_VERSION=\"22\n\"\nA=1\n", "NODE_VERSION=\"22\n\"\nA=1\nNODE_VERSION=24\n"),
        ] {
            assert_eq!(with_variable(before, "NODE_VERSION", "24").as_deref(), Some(after), "{before:?}");
        }
        assert_eq!(with_variable("", "A", ">=1 <2").as_deref(), Some("A='>=1 <2'\n"));
        for value in ["${B}", "a'b", "a\nb"] {
            let changed = with_variable("", "A", value);
            assert!(changed.is_none() || value == "a\nb", "{value}");
        }
    }
}
