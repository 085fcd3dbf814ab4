//! Times and identifiers of documents: equal content has equal ones.

use serde_json::Value;

use crate::lock::Sha256;

/// `2025-11-13T02:13:20Z` of seconds since 1970; its start for what no calendar has.
pub fn time(epoch: u64) -> String {
    let moment = i64::try_from(epoch).ok().and_then(|epoch| time::OffsetDateTime::from_unix_timestamp(epoch).ok());
    let moment = moment.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    moment.format(&time::format_description::well_known::Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".into())
}

/// A UUID (RFC 9562, version 8) made of what a document says: equal documents have equal identifiers.
pub fn uuid(content: &Value) -> String {
    let digest = Sha256::of(content.to_string()).hex();
    let variant = ["8", "9", "a", "b"][usize::from(digest.as_bytes()[16] % 4)];
    format!("{}-{}-8{}-{variant}{}-{}", &digest[..8], &digest[8..12], &digest[13..16], &digest[17..20], &digest[20..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_made_of_the_content() {
        let uuid = |text: &str| uuid(&Value::String(text.into()));
        assert_eq!(uuid("a"), uuid("a"));
        assert_ne!(uuid("a"), uuid("b"));
        let id = uuid("a");
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "8");
        assert!("89ab".contains(&id[19..20]), "{id}");
    }

    #[test]
    fn times_are_those_of_commits() {
        assert_eq!(time(1_763_000_000), "2025-11-13T02:13:20Z");
        assert_eq!(time(u64::MAX), "1970-01-01T00:00:00Z");
    }
}
