//! What is taken of a remote repository, how long it may take, and who looks after it: the pack on disk is watched,
//! whoever receives it (`pack_watch`), and `metered` counts what comes over http.

use std::time::Duration;

use crate::answer::Pace;

/// The most bytes of a listing of refs, and of all else that is in memory: half a million refs.
const ANSWER: u64 = 32 << 20;
/// The most bytes of a commit with all its files, compressed.
const PACK: u64 = 4 << 30;
/// The most bytes of one file, or of what else git allocates at once for what it is sent. Of a file that is stored as
/// a difference, that, the other file and their outcome are in memory at once. GitHub warns of files over 50 MiB.
pub(super) const LARGEST_OBJECT: u64 = 64 << 20;
/// The most memory of the `git` program with what it starts, in bytes, while it fetches: it keeps a record of each
/// object, of which a whole history has millions.
pub(super) const MEMORY: u64 = 1 << 30;
/// The same while it lists refs: it keeps all that a server sends, half a million of them in 180 MB.
pub(super) const LISTING_MEMORY: u64 = 192 << 20;
/// The slowest server, in bytes a second. It may think for some minutes before it sends a pack, and sends a few bytes now
/// and then in that time.
const SLOWEST: u64 = 1 << 10;
/// Over how long that is measured.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// The limits of one repository.
#[derive(Clone, Copy, Debug)]
pub struct GitLimits {
    /// The most bytes of an answer that is kept in memory: refs.
    pub answer: u64,
    /// The most bytes of a pack.
    pub pack: u64,
    /// The most bytes of one object in it.
    pub object: u64,
    /// How slowly they may come, over http.
    pub pace: Pace,
}

impl GitLimits {
    /// With `total` for each request.
    pub(super) fn within(total: Duration) -> Self {
        Self {
            answer: ANSWER,
            pack: PACK,
            object: LARGEST_OBJECT,
            pace: Pace { slowest: SLOWEST, window: WINDOW, total },
        }
    }
}
