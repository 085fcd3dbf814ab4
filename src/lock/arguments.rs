//! Arguments as the lock has them: one `--flag value` an element.

/// Flags of `rhdh-cli plugin export` that take several values: each value becomes an element of its own.
pub const VARIADIC: [&str; 5] = [
    "--embed-package",
    "--shared-package",
    "--suppress-native-package",
    "--allow-native-package",
    "--ignore-version-check",
];

/// Split arguments → elements. What is not understood (a misspelt flag) stays as it is, in one element with its values.
pub fn elements(args: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut index = 0;
    while index < args.len() {
        let flag = &args[index];
        index += 1;
        let start = index;
        while index < args.len() && !args[index].starts_with('-') {
            index += 1;
        }
        let values = &args[start..index];
        if VARIADIC.contains(&flag.as_str()) && !values.is_empty() {
            out.extend(values.iter().map(|value| format!("{flag} {}", quoted(value))));
        } else {
            let all: Vec<_> = std::iter::once(flag).chain(values).map(|word| quoted(word)).collect();
            out.push(all.join(" "));
        }
    }
    out
}

/// A word that a shell-like split gives back as it is.
fn quoted(word: &str) -> String {
    if shlex::split(word).is_some_and(|split| split == [word]) {
        return word.to_owned();
    }
    shlex::try_quote(word).map_or_else(|_| String::from("''"), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<String> {
        elements(&shlex::split(line).unwrap())
    }

    #[test]
    fn one_value_an_element() {
        assert_eq!(
            of("--embed-package @a/b @c/d --shared-package '!@a/b' --suppress-native-package x"),
            ["--embed-package @a/b", "--embed-package @c/d", "--shared-package !@a/b", "--suppress-native-package x"]
        );
    }

    #[test]
    fn what_is_misspelt_stays_as_it_is() {
        assert_eq!(of("-embed-package @a/b --no-build"), ["-embed-package @a/b", "--no-build"]);
    }

    #[test]
    fn elements_split_back_into_the_same_words() {
        let words = vec!["--shared-package".to_owned(), "/^@x y$/".to_owned(), "it's".to_owned()];
        let back: Vec<_> = elements(&words).iter().flat_map(|element| shlex::split(element).unwrap()).collect();
        assert_eq!(back, ["--shared-package", "/^@x y$/", "--shared-package", "it's"]);
    }
}
