//! `factory schema`: the JSON schemas of the files that factory reads and writes.

use clap::ValueEnum;

use crate::error::{Error, Result};

/// A file, or a document on stdout, that has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Described {
    /// A configuration's source.json
    #[value(name = "source.json")]
    SourceJson,
    /// A configuration's plugins-list.yaml
    #[value(name = "plugins-list.yaml")]
    PluginsList,
    /// factory.lock
    #[value(name = "factory.lock")]
    Lock,
    /// build-report.json
    #[value(name = "build-report.json")]
    BuildReport,
    /// shard-<n>.json, which `factory build --shard` writes
    #[value(name = "shard")]
    Shard,
    /// What `factory plan --format json` prints
    #[value(name = "plan")]
    Plan,
    /// What `factory diff --format json` prints
    #[value(name = "diff")]
    Diff,
    /// What `factory doctor --json` prints
    #[value(name = "doctor")]
    Doctor,
    /// What `factory status --json` prints
    #[value(name = "status")]
    Status,
    /// What `factory verify --report` writes
    #[value(name = "verify")]
    Verify,
    /// What `factory outdated --json` prints
    #[value(name = "outdated")]
    Outdated,
    /// What `factory why PACKAGE --format json` prints
    #[value(name = "why")]
    Why,
    /// What `factory check-refs --format json` prints
    #[value(name = "check-refs")]
    CheckRefs,
    /// What `factory audit --format json` prints
    #[value(name = "audit")]
    Audit,
    /// What `factory audit-patch PATCH --format json` prints
    #[value(name = "audit-patch")]
    AuditPatch,
}

impl Described {
    fn text(self) -> &'static str {
        match self {
            Self::SourceJson => include_str!("../../schema/source.schema.json"),
            Self::PluginsList => include_str!("../../schema/plugins-list.schema.json"),
            Self::Lock => include_str!("../../schema/factory.lock.schema.json"),
            Self::BuildReport => include_str!("../../schema/build-report.schema.json"),
            Self::Shard => include_str!("../../schema/factory.shard.schema.json"),
            Self::Plan => include_str!("../../schema/factory.plan.schema.json"),
            Self::Status => include_str!("../../schema/factory.status.schema.json"),
            Self::Verify => include_str!("../../schema/factory.verify.schema.json"),
            Self::Doctor => include_str!("../../schema/factory.doctor.schema.json"),
            Self::Diff => include_str!("../../schema/factory.diff.schema.json"),
            Self::Outdated => include_str!("../../schema/factory.outdated.schema.json"),
            Self::Audit => include_str!("../../schema/factory.audit.schema.json"),
            Self::Why => include_str!("../../schema/factory.why.schema.json"),
            Self::CheckRefs => include_str!("../../schema/factory.check-refs.schema.json"),
            Self::AuditPatch => include_str!("../../schema/factory.audit-patch.schema.json"),
        }
    }
}

/// Prints the schema, or the names of all.
pub fn run(described: Option<Described>) -> Result<()> {
    let names = || {
        let values = Described::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
        names.join("\n") + "\n"
    };
    let text = described.map_or_else(names, |described| described.text().to_owned());
    crate::ui::data(text).map_err(Error::io("write", "stdout"))
}
