//! A release in parts, for several machines: which workspaces belong to which part. It depends on the lock alone, and on
//! seconds where they are given, so that every machine finds the same.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Lock, Workspace};

/// The most parts: as many jobs as a matrix of GitHub Actions has.
pub const MOST_SHARDS: usize = 256;

/// Seconds that a workspace takes before its plugins, where that is not known.
const WORKSPACE_SECONDS: u32 = 60;
/// Seconds that a frontend plugin takes, where that is not known.
const FRONTEND_SECONDS: u32 = 30;
/// The same of a backend plugin: its private dependencies are installed.
const BACKEND_SECONDS: u32 = 45;

/// A part and how many there are: `2/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// Its number, from 1.
    pub number: usize,
    /// How many parts there are.
    pub count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("write a shard and their number, such as `1/3`, at most {MOST_SHARDS}");
        let (number, count) = text.split_once('/').ok_or_else(wrong)?;
        let read = |text: &str| text.parse::<usize>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let (number, count) = read(number).zip(read(count)).ok_or_else(wrong)?;
        let is_one = (1..=count).contains(&number) && count <= MOST_SHARDS;
        if is_one { Ok(Self { number, count }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

/// What a build of the workspace takes, where no build of it is known, in seconds.
pub fn expected_seconds(workspace: &Workspace) -> f64 {
    let of_plugin = |is_backend| f64::from(if is_backend { BACKEND_SECONDS } else { FRONTEND_SECONDS });
    let plugins = workspace.plugin.iter().map(|plugin| of_plugin(plugin.role.is_backend()));
    f64::from(WORKSPACE_SECONDS) + plugins.sum::<f64>()
}

/// The names of the workspaces of each of `count` parts, sorted; the parts take about the same time. `seconds` are those of
/// workspaces of which they are known. A workspace is never torn apart, and no part is empty as long as there are enough
/// workspaces.
pub fn balanced(lock: &Lock, seconds: &BTreeMap<String, f64>, count: usize) -> Vec<Vec<String>> {
    let milliseconds = |workspace: &Workspace| {
        let seconds = seconds.get(&workspace.name).copied().unwrap_or_else(|| expected_seconds(workspace));
        // At least something: the workspaces that take no time are spread as well. The cast saturates.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let milliseconds = (seconds * 1000.0).max(1.0) as u64;
        milliseconds.min(u64::from(u32::MAX))
    };
    let mut workspaces: Vec<(u64, &str)> =
        lock.workspace.iter().map(|workspace| (milliseconds(workspace), workspace.name.as_str())).collect();
    // The longest first, each to the part that is the shortest so far.
    workspaces.sort_by(|(a, a_name), (b, b_name)| b.cmp(a).then(a_name.cmp(b_name)));
    let mut parts: Vec<(u64, Vec<String>)> = vec![(0, Vec::new()); count];
    for (milliseconds, name) in workspaces {
        if let Some((sum, names)) = parts.iter_mut().min_by_key(|(sum, _)| *sum) {
            *sum += milliseconds;
            names.push(name.to_owned());
        }
    }
    let sorted = |(_, mut names): (u64, Vec<String>)| {
        names.sort();
        names
    };
    parts.into_iter().map(sorted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::text::tests::sample;

    #[test]
    fn a_shard_is_one_of_so_many() {
        assert_eq!("2/5".parse::<Shard>().map(|shard| shard.to_string()).as_deref(), Ok("2/5"));
        assert!("256/256".parse::<Shard>().is_ok());
        for text in ["", "1", "0/3", "4/3", "1/0", "+1/3", "1/+3", " 1/3", "1/257", "1/3/3", "-1/3", "a/b"] {
            let error = text.parse::<Shard>().unwrap_err();
            assert_eq!(error, "write a shard and their number, such as `1/3`, at most 256", "{text}");
        }
    }

    fn of(names: &[&str]) -> Lock {
        let mut lock = sample();
        let workspace = lock.workspace.remove(0);
        lock.workspace = names.iter().map(|name| Workspace { name: (*name).to_owned(), ..workspace.clone() }).collect();
        lock
    }

    #[test]
    fn parts_take_about_the_same_time_and_have_each_workspace_once() {
        let lock = of(&["a", "b", "c", "d", "e"]);
        let seconds = |of: &[(&str, f64)]| of.iter().map(|(name, of)| ((*name).to_owned(), *of)).collect();
        let known = seconds(&[("a", 10.0), ("b", 600.0), ("c", 20.0), ("d", 30.0), ("e", 40.0)]);
        assert_eq!(balanced(&lock, &known, 2), [vec!["b"], vec!["a", "c", "d", "e"]]);
        assert_eq!(balanced(&lock, &known, 1), [["a", "b", "c", "d", "e"]]);
        // What takes no time, or what nobody could have measured, is spread as well.
        let odd = seconds(&[("a", 0.0), ("b", -1.0), ("c", f64::NAN), ("d", f64::INFINITY), ("e", 0.0)]);
        let parts = balanced(&lock, &odd, 5);
        assert!(parts.iter().all(|part| part.len() == 1), "{parts:?}");
        // Nothing is known: the order in the lock does not count.
        let turned = of(&["e", "d", "c", "b", "a"]);
        let none = BTreeMap::new();
        assert_eq!(balanced(&lock, &none, 3), balanced(&turned, &none, 3));
        assert_eq!(balanced(&lock, &none, 3), [vec!["a", "d"], vec!["b", "e"], vec!["c"]]);
    }
}
