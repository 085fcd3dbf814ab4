//! Paths that users write: relative, `/`-separated, and never out of the folder they are relative to.

/// The normal form of a path inside a folder: no `.` segments, no doubled or trailing `/`; `.` for the folder itself.
///
/// The error says what is wrong with it, to be put after the path's name.
pub fn inside(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.starts_with('/') {
        return Err("is absolute, but has to be relative");
    }
    if text.contains('\\') || text.chars().any(char::is_control) {
        return Err("has a backslash or a control character in it");
    }
    let mut segments = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => return Err("leads out of its folder with `..`"),
            _ => segments.push(segment),
        }
    }
    Ok(if segments.is_empty() { ".".to_owned() } else { segments.join("/") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_or_refused() {
        for (text, normal) in [
            (".", "."),
            ("./", "."),
            ("plugins/todo", "plugins/todo"),
            ("./plugins//todo/", "plugins/todo"),
            ("..a/b..", "..a/b.."),
            ("a b", "a b"),
        ] {
            assert_eq!(inside(text).as_deref(), Ok(normal), "{text}");
        }
        for text in ["", "/", "/etc", "..", "a/..", "a/../b", "a\\b", "a\0", "a\nb"] {
            assert!(inside(text).is_err(), "{text:?}");
        }
    }
}
