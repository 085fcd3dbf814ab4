//! `factory build`

use clap::Args;

use super::session::Session;
use crate::error::Result;

/// Options of `factory build`.
#[derive(Clone, Debug, Default, Args)]
pub struct BuildArgs {
    /// Only these workspaces; the others stay as they are locked
    #[arg(value_name = "WORKSPACE")]
    pub workspaces: Vec<String>,
}

pub(super) async fn run(_session: &Session<'_>, _args: &BuildArgs) -> Result<()> {
    Ok(())
}
