//! How a package's bytes are made from what it is built from.

/// The recipe that new seals are made with. A change of factory that makes other bytes from the same inputs counts it
/// up, so that images say so and the cache does not take the one for the other. What was sealed with an earlier recipe
/// is built with that recipe.
///
/// | recipe | what it makes |
/// |---|---|
/// | 1 | the files that `npm pack` lists, with Module Federation's type archives normalised; times are the commit's, and the input digest holds the commit |
/// | 2 | the same with [`TIME`] for all times; the input digest holds the content of a plugin's [sources](super::SourcePart) |
pub const RECIPE: u32 = 2;

/// 1985-10-26T08:15:00Z, in seconds since 1970: the time of every file that `npm pack` writes (npm-packlist's and
/// pacote's `fixedTime`), and here of every file of an archive and layer, whatever commit it is from.
pub const TIME: u64 = 499_162_500;

/// The first recipe, which locks do not write down: it had no number.
pub const FIRST: u32 = 1;

/// serde's default of `workspace.recipe`.
pub(super) fn first() -> u32 {
    FIRST
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(super) fn is_first(recipe: &u32) -> bool {
    *recipe == FIRST
}
