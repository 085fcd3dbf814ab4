//! The committed schemas are those of the Rust types, and real files fit them.
//!
//! After a change of the types: `FACTORY_UPDATE_SCHEMAS=1 cargo test --test it schema`.

use std::fs;
use std::path::PathBuf;

use factory::audit::advisories::AuditReport;
use factory::audit::outdated::Outdated;
use factory::audit::patch_audit::PatchAudit;
use factory::audit::plan::Plan;
use factory::audit::refs::RefsReport;
use factory::audit::status::Status;
use factory::audit::why::Why;
use factory::build::report::Report;
use factory::build::shard::ShardRecord;
use factory::cli::{DoctorReport, VerifyReport};
use factory::lock::Lock;
use harness::schema::errors;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

fn file(name: &str) -> PathBuf {
    harness::project().join(name)
}

/// Draft 7: what editors' TOML and YAML plugins understand.
fn generated<T: JsonSchema>(title: &str) -> String {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    schema.insert("$id".into(), format!("urn:factory:schema:{title}").into());
    schema.insert("title".into(), title.into());
    format!("{:#}\n", schema.to_value())
}

#[track_caller]
fn is_current(name: &str, expected: &str) {
    let path = file(name);
    if std::env::var_os("FACTORY_UPDATE_SCHEMAS").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == expected, "{name} is not that of the types: FACTORY_UPDATE_SCHEMAS=1 cargo test --test it schema");
}

fn example() -> (PathBuf, String) {
    let path = file("factory.lock.example");
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

#[harness::test]
fn schemas_are_those_of_the_types() {
    is_current("schema/factory.lock.schema.json", &generated::<Lock>("factory.lock"));
    is_current("schema/build-report.schema.json", &generated::<Report>("build-report.json"));
    is_current("schema/factory.shard.schema.json", &generated::<ShardRecord>("shard"));
    is_current("schema/factory.plan.schema.json", &generated::<Plan>("plan"));
    is_current("schema/factory.doctor.schema.json", &generated::<DoctorReport>("doctor"));
    is_current("schema/factory.status.schema.json", &generated::<Status>("status"));
    is_current("schema/factory.verify.schema.json", &generated::<VerifyReport>("verify"));
    is_current("schema/factory.outdated.schema.json", &generated::<Outdated>("outdated"));
    is_current("schema/factory.why.schema.json", &generated::<Why>("why"));
    is_current("schema/factory.check-refs.schema.json", &generated::<RefsReport>("check-refs"));
    is_current("schema/factory.audit.schema.json", &generated::<AuditReport>("audit"));
    is_current("schema/factory.audit-patch.schema.json", &generated::<PatchAudit>("audit-patch"));
}

#[harness::test]
fn the_example_lock_is_canonical_and_fits_its_schema() {
    let (path, text) = example();
    let (schema, lock) = text.split_once('\n').unwrap();
    assert_eq!(schema, "#:schema ./schema/factory.lock.schema.json");
    let read = Lock::from_text(&text, &path).unwrap();
    assert_eq!(read.to_text(), lock);
    assert!(read.workspace[0].plugin.iter().all(|plugin| plugin.sealed.is_some()));
    assert_eq!(errors("schema/factory.lock.schema.json", &toml::from_str(&text).unwrap()), [""; 0]);
}

#[harness::test]
fn the_schema_refuses_what_the_reader_refuses() {
    let (path, text) = example();
    for (from, to) in [
        ("role = \"frontend-plugin\"", "role = \"frontend\""),
        ("requested = \"22\"", "requested = 22"),
        ("dir = \".\"", "directory = \".\""),
        ("tree = \"sha256:", "tree = \"md5:"),
    ] {
        assert!(text.contains(from), "{from}");
        let broken = text.replacen(from, to, 1);
        assert!(Lock::from_text(&broken, &path).is_err(), "{to}");
        let errors = errors("schema/factory.lock.schema.json", &toml::from_str(&broken).unwrap());
        assert!(!errors.is_empty(), "{to}");
    }
}
