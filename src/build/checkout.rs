//! placeholder until merged
use crate::build::Shared;
use crate::lock::Workspace;
/// x
pub async fn checkout(_s: &Shared, _w: &Workspace, _d: &std::path::Path) -> crate::Result<()> {
    Ok(())
}
