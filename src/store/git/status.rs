//! What a local work tree has that its commit has not: a build does not see it, which people forget.

use gix::bstr::BString;
use gix::status::UntrackedFiles;

use super::repository::Repository;

/// Takes out the filters (`filter.x.clean`, `filter.x.process`) of the repository's own configuration: they are commands
/// of whoever made it. Those of the user's configuration stay.
fn without_own_filters(repo: &mut gix::Repository) {
    let mut config = repo.config_snapshot_mut();
    let is_own = |source: gix::config::Source| {
        !matches!(
            source,
            gix::config::Source::GitInstallation
                | gix::config::Source::System
                | gix::config::Source::Git
                | gix::config::Source::User
                | gix::config::Source::Env
        )
    };
    let own: Vec<_> = config
        .sections_and_ids_by_name("filter")
        .into_iter()
        .flatten()
        .filter(|(section, _)| is_own(section.meta().source))
        .map(|(_, id)| id)
        .collect();
    for id in own {
        config.remove_section_by_id(id);
    }
    let _ = config.commit();
}

/// Enough names for any message.
const MOST: usize = 1000;

impl Repository {
    /// The changed, staged, removed and new files below the folder `path` (`.` for all) of a local work tree that is at
    /// `commit`, sorted; folders that are new as a whole by their own name. Ignored files do not count.
    ///
    /// Nothing for a remote or bare repository, or where another commit is checked out. It only serves a warning, so
    /// whatever goes wrong, the answer is nothing.
    pub fn uncommitted(&self, commit: &str, path: &str) -> Vec<String> {
        if self.is_remote() {
            return Vec::new();
        }
        self.read_status(commit, path).unwrap_or_else(|error| {
            tracing::debug!("no status of `{}`: {error}", self.url);
            Vec::new()
        })
    }

    fn read_status(&self, commit: &str, path: &str) -> gix::Result<Vec<String>> {
        let mut permissions = gix::open::Permissions::all();
        permissions.env.objects = gix::sec::Permission::Deny;
        let mut repo = gix::open_opts(&self.dir, gix::open::Options::default().permissions(permissions))?;
        without_own_filters(&mut repo);
        let is_checked_out =
            gix::ObjectId::from_hex(commit.as_bytes()).is_ok_and(|id| repo.head_id().is_ok_and(|head| head == id));
        if repo.workdir().is_none() || !is_checked_out {
            return Ok(Vec::new());
        }
        let folder = path.trim_matches('/').trim_start_matches("./");
        // `top`: from the root, wherever we are; `literal`: a folder's name is no pattern.
        let pattern = (!matches!(folder, "" | ".")).then(|| BString::from(format!(":(top,literal){folder}")));
        let status = repo
            .status(gix::progress::Discard)?
            .untracked_files(UntrackedFiles::Collapsed)
            .index_worktree_rewrites(None)
            .index_worktree_submodules(None);
        let mut names = Vec::new();
        for item in status.into_iter(pattern)? {
            names.push(item?.location().to_string());
            if names.len() == MOST {
                break;
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}
