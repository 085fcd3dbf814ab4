//! The text of a repository without what is nobody's business: user names, passwords, tokens.

/// `repo` without userinfo, and without the query and fragment of a URL. The user of an ssh address stays, since the
/// address is wrong without it.
///
/// It is written for whatever people write, so it rather takes too much: where a password is not encoded and its end
/// cannot be told for sure, everything up to the last `@` goes.
pub fn repository(repo: &str) -> String {
    let Some((scheme, rest)) = repo.split_once("//").filter(|(scheme, _)| is_scheme(scheme)) else {
        return address(repo);
    };
    // What stands before an `@` is no part of any scheme.
    let scheme = scheme.rsplit('@').next().unwrap_or(scheme);
    let is_file = scheme.eq_ignore_ascii_case("file:");
    if is_file && rest.starts_with('/') {
        return repo.to_owned();
    }
    let (user, rest) = without_userinfo(rest);
    let user = user.filter(|_| scheme.to_ascii_lowercase().contains("ssh"));
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let end = rest.find(['?', '#']).filter(|_| !is_file).unwrap_or(rest.len());
    format!("{scheme}//{user}{}", &rest[..end])
}

/// What is wrong with the text of a repository whose secrets git would not recognise as such.
pub fn oddity(repo: &str) -> Option<&'static str> {
    if is_scheme_alone(repo) {
        return Some("has no `//` after its scheme");
    }
    let (scheme, rest) = repo.split_once("://")?;
    if scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    if authority.is_empty() {
        return Some("names no host");
    }
    let at = authority.rfind('@');
    if at.is_none() && !is_host(authority) || is_ambiguous(rest) {
        return Some(
            "has a character in its user name or password that has to be encoded (`%2F` for `/`, `%40` for `@`)",
        );
    }
    // Without its user name it would look like one whose end cannot be told.
    at.filter(|at| !is_host(&authority[at + 1..])).map(|_| "has no host and port behind its user name")
}

/// `https:` that is not followed by `//`.
fn is_scheme_alone(repo: &str) -> bool {
    let lower = repo.to_ascii_lowercase();
    let rest = ["http:", "https:", "ssh:"].into_iter().find_map(|scheme| lower.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.starts_with("//"))
}

fn is_scheme(text: &str) -> bool {
    text.is_empty() || text.strip_suffix(':').is_some_and(|name| !name.contains('/'))
}

/// The user, if there is one, and what follows the userinfo.
fn without_userinfo(rest: &str) -> (Option<&str>, String) {
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    let at = authority.rfind('@');
    let host = &authority[at.map_or(0, |at| at + 1)..];
    let is_sure = is_host(host) && !is_ambiguous(rest);
    match if is_sure { at } else { rest.rfind('@') } {
        Some(at) => (Some(user_of(&rest[..at])), rest[at + 1..].to_owned()),
        None if is_sure || authority.is_empty() => (None, rest.to_owned()),
        // Userinfo without an end.
        None => (None, format!("***{}", &rest[authority.len()..])),
    }
}

/// True where `@` stands in the path behind something like a port, which may be the beginning of a password.
fn is_ambiguous(rest: &str) -> bool {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    !authority.contains('@') && !authority.starts_with('[') && authority.contains(':') && path.contains('@')
}

/// `host` or `host:port`.
fn is_host(authority: &str) -> bool {
    let authority = &authority[..authority.find(['?', '#']).unwrap_or(authority.len())];
    if authority.starts_with('[') {
        return true;
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let is_plain = |c: char| !c.is_whitespace() && c != '%';
    !host.is_empty() && host.chars().all(is_plain) && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// The part before the password, which a colon begins in every spelling.
fn user_of(userinfo: &str) -> &str {
    let lower = userinfo.to_ascii_lowercase();
    let end = [lower.find(':'), lower.find("%3a")].into_iter().flatten().min();
    &userinfo[..end.unwrap_or(userinfo.len())]
}

/// `user:password@host:path` without the password; a path as it is.
fn address(repo: &str) -> String {
    let is_address = repo.find(':').is_some_and(|colon| !repo[..colon].contains('/'));
    if !is_address {
        return repo.to_owned();
    }
    let head = &repo[..repo.find('/').unwrap_or(repo.len())];
    // Behind the last `@` stands the host, and its colon.
    let is_bare = |at: &usize| is_scheme_alone(repo) || repo[*at..].contains(':');
    let at = head.rfind('@').or_else(|| repo.rfind('@').filter(is_bare));
    at.map_or_else(|| repo.to_owned(), |at| format!("{}@{}", user_of(&repo[..at]), &repo[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_left_however_odd_the_text() {
        for (repo, shown, is_odd) in [
            ("https://example.com/a/b.git", "https://example.com/a/b.git", false),
            ("https://user:s3cret@example.com/a", "https://example.com/a", false),
            ("https://s3cret@example.com/a", "https://example.com/a", false),
            ("https://u:s3@cret@example.com/a", "https://example.com/a", false),
            ("https://u%3As3cret@example.com/a", "https://example.com/a", false),
            ("https://u:s3%40cret@example.com:8443/a", "https://example.com:8443/a", false),
            ("HTTPS://u:s3cret@Example.com/a", "HTTPS://Example.com/a", false),
            ("https://u:s3 cret@example.com/a", "https://example.com/a", false),
            ("https://u:s3?cret@example.com/a", "https://example.com/a", false),
            ("https://u:s3#cret@example.com/a", "https://example.com/a", false),
            ("https://u:s3/cret@example.com/a", "https://example.com/a", true),
            ("https://u:3/s3cret@example.com/a", "https://example.com/a", true),
            ("https://u:s3cret%40example.com/a", "https://***/a", true),
            ("https://u:s3cret", "https://***", true),
            ("https:///u:s3cret@example.com/a", "https://example.com/a", true),
            ("https:u:s3cret@example.com/a", "https@example.com/a", true),
            ("https:/u:s3cret@example.com/a", "https@example.com/a", true),
            ("//u:s3cret@example.com/a", "//example.com/a", false),
            (":://u:s3cret@example.com/a", ":://example.com/a", false),
            ("@://s3cret@", "://", true),
            ("u:s3cret@example.com://a", "example.com://a", false),
            ("https://example.com/a?private_token=s3cret", "https://example.com/a", false),
            ("https://example.com/a#s3cret", "https://example.com/a", false),
            ("https://example.com?token=s3cret", "https://example.com", false),
            ("https://example.com/@scope/a", "https://example.com/@scope/a", false),
            ("https://[::1]:8443/a", "https://[::1]:8443/a", false),
            ("https://bücher.example/a", "https://bücher.example/a", false),
            ("ssh://git:s3cret@example.com:22/a", "ssh://git@example.com:22/a", false),
            ("SSH://git:s3@cret@example.com/a", "SSH://git@example.com/a", false),
            ("git+ssh://git%3As3cret@example.com/a", "git+ssh://git@example.com/a", false),
            ("ssh://git@example.com/a", "ssh://git@example.com/a", false),
            ("git@example.com:a/b.git", "git@example.com:a/b.git", false),
            ("git:s3cret@example.com:a/b", "git@example.com:a/b", false),
            ("git:s3@cret@example.com:a/b", "git@example.com:a/b", false),
            ("git:s3/cret@example.com:a/b", "git@example.com:a/b", false),
            ("git%3As3cret@example.com:a/b", "git@example.com:a/b", false),
            ("example.com:a/@b/c", "example.com:a/@b/c", false),
            ("file:///srv/a@b/c?d", "file:///srv/a@b/c?d", false),
            ("../a@b/c", "../a@b/c", false),
            ("://s3cret@", "://", true),
            ("https://@/s3cret@", "https://", true),
            ("https://a@b:/s3cret@c", "https://c", true),
            ("", "", false),
        ] {
            assert_eq!(repository(repo), shown, "{repo}");
            assert_eq!(repository(shown), shown, "{repo}");
            assert_eq!(oddity(repo).is_some(), is_odd, "{repo}");
        }
        let no_port = "https://user@example.com:port/a";
        assert_eq!(repository(no_port), "https://example.com:port/a");
        assert_eq!(oddity(no_port), Some("has no host and port behind its user name"));
    }
}
