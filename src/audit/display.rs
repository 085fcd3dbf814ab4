//! Values as people read them, the same in all renderers.

pub use crate::html::printable;
use crate::lock::is_commit;

/// An address with the commits in it cut to what their hosts still understand.
pub fn shortened(link: &str) -> String {
    let mut out = String::with_capacity(link.len());
    let mut digits = String::new();
    for c in link.chars().chain([' ']) {
        if c.is_ascii_digit() || matches!(c, 'a'..='f') {
            digits.push(c);
            continue;
        }
        out.push_str(if is_commit(&digits) { &digits[..8] } else { &digits });
        digits.clear();
        out.push(c);
    }
    out.trim_end().to_owned()
}

/// A commit cut to ten digits, a branch or tag as it is.
pub fn short_ref(reference: &str) -> &str {
    match reference {
        "" => "the default branch",
        commit if is_commit(commit) => &commit[..10],
        other => other,
    }
}

/// `YYYY-MM-DD` in UTC of seconds since 1970; none past the year 9999.
pub fn day(epoch: u64) -> Option<String> {
    let date = time::OffsetDateTime::from_unix_timestamp(i64::try_from(epoch).ok()?).ok()?.date();
    Some(format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_utc() {
        assert_eq!(day(1_763_000_000).as_deref(), Some("2025-11-13"));
        assert_eq!(day(0).as_deref(), Some("1970-01-01"));
        assert_eq!(day(u64::MAX), None);
    }

    #[test]
    fn commits_in_addresses_are_cut() {
        let commit = "1".repeat(40);
        assert_eq!(shortened(&format!("https://x/compare/{commit}...abc")), "https://x/compare/11111111...abc");
        assert_eq!((short_ref(&commit), short_ref("v1"), short_ref("")), ("1111111111", "v1", "the default branch"));
    }
}
