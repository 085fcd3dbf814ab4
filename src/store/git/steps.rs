//! Steps from a name to another commit, as git writes them: `main~2`, `HEAD^`, `v1^{commit}`.

use super::repository::Repository;
use crate::{Error, Result};

/// The longest number of a step.
const MOST_DIGITS: usize = 6;

/// Splits `main~2` into the name and the steps that follow it. What is not steps to the end stays with the name.
pub fn split_steps(revision: &str) -> (&str, &str) {
    let at = revision.find(['~', '^']).unwrap_or(revision.len());
    let (name, steps) = revision.split_at(at);
    if name.is_empty() || each_step(steps).is_none() { (revision, "") } else { (name, steps) }
}

/// The steps one by one; none where something else is among them.
fn each_step(mut steps: &str) -> Option<Vec<&str>> {
    let mut each = Vec::new();
    while !steps.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let len = match steps.as_bytes()[0] {
            b'^' if steps.starts_with("^{commit}") => "^{commit}".len(),
            b'^' if steps.starts_with("^{}") => "^{}".len(),
            b'^' | b'~' if digits(&steps[1..]) <= MOST_DIGITS => 1 + digits(&steps[1..]),
            _ => return None,
        };
        let (step, rest) = steps.split_at(len);
        each.push(step);
        steps = rest;
    }
    Some(each)
}

impl Repository {
    /// The commit that is `steps` away from `commit`, which `revision` asks for. Steps that only say "the commit behind a
    /// tag" need no history; others need a local repository.
    pub(crate) fn follow_steps(&self, commit: &str, steps: &str, revision: &str) -> Result<String> {
        let stays = |step: &&str| matches!(*step, "^{commit}" | "^{}" | "^0" | "~0");
        if each_step(steps).is_some_and(|steps| steps.iter().all(stays)) {
            return Ok(commit.to_owned());
        }
        if self.is_remote() {
            return Err(Error::usage(
                format!("`{revision}` of `{}` cannot be found without its history, which is not fetched", self.url),
                format!("write the commit itself: `git rev-parse {revision}` prints it in a clone"),
            ));
        }
        let repo = self.open_isolated()?;
        let found = repo.rev_parse_single(format!("{commit}{steps}").as_str());
        found.map(|id| id.to_string()).map_err(|_| {
            Error::usage(
                format!("the history of `{}` has no `{revision}`", self.url),
                if repo.is_shallow().unwrap_or(false) {
                    "it is a shallow clone: fetch the rest of its history (`git fetch --unshallow`), or name another commit"
                } else {
                    "name a commit that `git log` shows"
                },
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_a_name_to_the_end() {
        for (revision, name, steps) in [
            ("main", "main", ""),
            ("main~1", "main", "~1"),
            ("HEAD^", "HEAD", "^"),
            ("v1^{commit}", "v1", "^{commit}"),
            ("v1^{}~2^2^^~", "v1", "^{}~2^2^^~"),
            ("a~1b", "a~1b", ""),
            ("a^{tree}", "a^{tree}", ""),
            ("a^{/x}", "a^{/x}", ""),
            ("a~1:b", "a~1:b", ""),
            ("a~1234567", "a~1234567", ""),
            ("~1", "~1", ""),
            ("^", "^", ""),
            ("", "", ""),
            ("é^~", "é", "^~"),
        ] {
            assert_eq!(split_steps(revision), (name, steps), "{revision}");
        }
    }
}
