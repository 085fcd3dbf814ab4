//! Versions of glibc.

use std::fmt;
use std::str::FromStr;

/// A version of glibc, such as `2.34`. Symbols also have ones such as `2.2.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion([u16; 3]);

impl GlibcVersion {
    /// The one of RHEL 9, and so of UBI 9, which RHDH's images are made from.
    pub const UBI_9: Self = Self([2, 34, 0]);

    /// The version that a symbol needs: `GLIBC_2.34`. Others, as `GLIBC_PRIVATE`, say none.
    pub fn of_symbol(version: &[u8]) -> Option<Self> {
        std::str::from_utf8(version.strip_prefix(b"GLIBC_")?).ok()?.parse().ok()
    }
}

impl FromStr for GlibcVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = [0; 3];
        let mut count = 0;
        for part in text.split('.') {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let number = part.parse().ok().filter(|_| is_number);
            let (Some(number), Some(place)) = (number, numbers.get_mut(count)) else { return Err(no_version()) };
            *place = number;
            count += 1;
        }
        if count < 2 { Err(no_version()) } else { Ok(Self(numbers)) }
    }
}

fn no_version() -> String {
    "not a version of glibc like `2.34`".into()
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [major, minor, 0] => write!(f, "{major}.{minor}"),
            [major, minor, patch] => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let read = |text: &str| text.parse::<GlibcVersion>().unwrap();
        assert!(read("2.9") < read("2.10") && read("2.2.5") < read("2.3") && read("2.34") == GlibcVersion::UBI_9);
        for text in ["2.34", "2.2.5"] {
            assert_eq!(read(text).to_string(), text);
        }
        for text in ["", "2", "2.", "2.x", "2.34.1.2", "+2.34", "2.-1", "2.99999", " 2.34"] {
            assert_eq!(text.parse::<GlibcVersion>().unwrap_err(), "not a version of glibc like `2.34`", "{text}");
        }
    }

    #[test]
    fn symbols_say_the_version_that_they_need() {
        assert_eq!(GlibcVersion::of_symbol(b"GLIBC_2.38").unwrap().to_string(), "2.38");
        for other in ["GLIBC_PRIVATE", "GLIBC_ABI_DT_RELR", "GLIBCXX_3.4.30", "CXXABI_1.3", ""] {
            assert_eq!(GlibcVersion::of_symbol(other.as_bytes()), None, "{other}");
        }
    }
}
