//! "Did you mean": the names that are nearest to one that does not exist.

/// How many names an error suggests.
const SUGGESTIONS: usize = 3;

/// Up to three of `others`, the nearest first. `origin/` before the name is what people copy from a clone.
pub(super) fn nearest<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> Vec<String> {
    let name = name.strip_prefix("origin/").unwrap_or(name);
    let mut near: Vec<(usize, &str)> = others.map(|other| (distance(name, other), other)).collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}

/// How far two names are apart: the optimal string alignment distance without regard to case; a name that contains the
/// other is near.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().take(200).collect();
    let b: Vec<char> = b.to_lowercase().chars().take(200).collect();
    let (short, long) = if a.len() < b.len() { (&a, &b) } else { (&b, &a) };
    if !short.is_empty() && long.windows(short.len()).any(|part| part == &short[..]) {
        return 1.min(long.len() - short.len());
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let mut best = (row[j] + 1).min(next[j - 1] + 1).min(row[j - 1] + usize::from(a[i - 1] != b[j - 1]));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
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
}
