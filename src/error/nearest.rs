//! "Did you mean": the names that are nearest to one that does not exist.

/// How many names an error suggests.
const SUGGESTIONS: usize = 3;

/// Up to three of `others`, the nearest first. `origin/` before the name is what people copy from a clone.
pub fn nearest<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Vec<String> {
    let name = name.strip_prefix("origin/").unwrap_or(name);
    let mut near: Vec<(usize, usize, &str)> =
        others.map(|other| (distance(name, other), letters_apart(name, other), other)).collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(SUGGESTIONS).map(|(.., name)| name.to_owned()).collect()
}

/// The one of `others` that `name` was probably meant to be: no more than a third of its letters differ.
pub fn misspelt<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (apart, other) = others.map(|other| (letters_apart(name, other), other)).min()?;
    (apart <= name.chars().count() / 3).then_some(other)
}

/// Like [`letters_apart`], but a name that contains the other is near: `1.9` and `release-1.9`. One that is the same
/// version is the nearest: `1.2.3`, `v1.2.3` and `@scope/name@1.2.3`.
fn distance(a: &str, b: &str) -> usize {
    if version(a).is_some_and(|version_of_a| version(b) == Some(version_of_a)) {
        return 0;
    }
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    if !short.is_empty() && long.to_lowercase().contains(&short.to_lowercase()) {
        return 1.min(long.len() - short.len());
    }
    letters_apart(a, b)
}

/// The version at the end of a ref's name: behind the last `@` or `/`, without a `v`. It has a digit first and a dot.
fn version(name: &str) -> Option<&str> {
    let last = name.rsplit(['@', '/']).next().unwrap_or(name);
    let version = last.strip_prefix(['v', 'V']).unwrap_or(last);
    (version.starts_with(|first: char| first.is_ascii_digit()) && version.contains('.')).then_some(version)
}

/// The optimal string alignment distance without regard to case. Of long names the beginning is enough.
fn letters_apart(a: &str, b: &str) -> usize {
    let start = |text: &str| text.to_lowercase().chars().take(200).collect::<String>();
    strsim::osa_distance(&start(a), &start(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("main", "main"), 0);
        assert_eq!(distance("mian", "main"), 1);
        assert_eq!(distance("1.9", "release-1.9"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn the_same_version_is_the_nearest() {
        let tags = || ["0.15.0", "0.15.1", "v0.15.4", "v0.15.5", "@t/plugin@1.2.3", "1.2.0", "release/2.0"].into_iter();
        assert_eq!(nearest("0.15.5", tags())[0], "v0.15.5");
        assert_eq!(nearest("1.2.3", tags())[0], "@t/plugin@1.2.3");
        assert_eq!(nearest("v1.2.0", tags())[0], "1.2.0");
        assert_eq!(nearest("v2.0", tags())[0], "release/2.0");
    }

    #[test]
    fn of_names_that_contain_each_other_the_likest_is_first() {
        let plugins = ["plugins/todo", "plugins/todo-backend", "plugins/quay", "plugins/todo"].into_iter();
        assert_eq!(nearest("plugins/todo-backnd", plugins), ["plugins/todo-backend", "plugins/todo", "plugins/quay"]);
    }

    #[test]
    fn what_is_far_from_all_is_not_misspelt() {
        let commands = || ["resolve", "build", "run"].into_iter();
        assert_eq!(misspelt("reslove", commands()), Some("resolve"));
        assert_eq!(misspelt("biuld", commands()), Some("build"));
        assert_eq!(misspelt("todo", commands()), None);
        assert_eq!(misspelt("ru", commands()), None);
    }
}
