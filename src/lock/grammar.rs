//! What paths, names and commits of a lock may look like.

/// True for `.` and for `a/b/c` of plain segments: a path that cannot leave the folder it is joined to.
pub fn is_relative(path: &str) -> bool {
    path == "." || (!path.contains('\\') && path.split('/').all(is_segment))
}

/// A path below a folder, both relative and without `..`; either may be `.`.
pub fn at(folder: &str, path: &str) -> String {
    match (folder, path) {
        (".", path) => path.to_owned(),
        (folder, ".") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

/// True where `path` is `folder` or lies below it; all lies in `.`.
pub fn lies_in(path: &str, folder: &str) -> bool {
    folder == "." || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// True for one plain segment of a path.
pub(super) fn is_segment(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/') && !name.chars().any(char::is_control)
}

/// A full lower-case SHA-1, or SHA-256 for repositories that use it.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// npm's grammar, as far as paths and references made from a name need it: `name` or `@scope/name`.
pub fn is_package_name(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.len() <= 214
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
    };
    match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| plain(scope) && plain(name)),
        None => plain(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_cannot_leave_its_folder() {
        for path in [".", "a", "a/b.c/d", "..a", "a..", "...", "a b"] {
            assert!(is_relative(path), "{path:?}");
        }
        for path in ["", "/", "/a", "a/", "a//b", "..", "../a", "a/..", "a/../b", "a/.", "./a", "a\\b", "a\nb", "a/\0"]
        {
            assert!(!is_relative(path), "{path:?}");
        }
    }

    #[test]
    fn a_package_name_makes_a_plain_path() {
        let long = "a".repeat(214);
        for name in ["a", "@a/b", "a-b_c.d~1", &long, &format!("@a/{long}")] {
            assert!(is_package_name(name), "{name:?}");
        }
        for name in
            ["", "@", "@a", "@/b", "@a/", "@.a/b", "@a/.b", "@a/b/c", "a/b", ".a", "a b", "a\\b", &format!("{long}a")]
        {
            assert!(!is_package_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_commit_is_full_and_in_lower_case() {
        assert!(is_commit(&"a0".repeat(20)) && is_commit(&"9f".repeat(32)));
        for text in ["", "a0", &"A0".repeat(20), &"g0".repeat(20), &"a0".repeat(24)] {
            assert!(!is_commit(text), "{text}");
        }
    }

    #[test]
    fn joining_knows_the_folder_itself() {
        assert_eq!(at(".", "overlay"), "overlay");
        assert_eq!(at("plugins/a", "overlay"), "plugins/a/overlay");
        assert_eq!(at("plugins/a", "."), "plugins/a");
        assert_eq!(at(".", "."), ".");
    }
}
