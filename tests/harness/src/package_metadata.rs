//! Package metadata as an export repository has it, of the made-up releases and of any package.

use std::fs;
use std::path::Path;

/// What is written of a package.
#[derive(Clone, Copy, Default)]
pub struct PackageMetadata<'a> {
    pub package: &'a str,
    pub title: &'a str,
    pub version: &'a str,
    pub support: &'a str,
    pub lifecycle: &'a str,
    pub backstage: &'a str,
    pub artifact: &'a str,
}

impl PackageMetadata<'_> {
    /// Writes `<dir>/<workspace>/metadata/<name>.yaml`. Values are quoted as JSON, which is YAML.
    pub fn write(&self, dir: &Path, workspace: &str) {
        let name = self.package.trim_start_matches('@').replace(['/', '|', '<', '\n'], "-");
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let text = format!(
            "apiVersion: extensions.backstage.io/v1alpha1\nkind: Package\nmetadata:\n  name: x\n  title: {}\nspec:\n  \
             packageName: {}\n  dynamicArtifact: {}\n  version: {}\n  backstage:\n    supportedVersions: {}\n  \
             support: {}\n  lifecycle: {}\n",
            quoted(self.title),
            quoted(self.package),
            quoted(self.artifact),
            quoted(self.version),
            quoted(self.backstage),
            quoted(self.support),
            quoted(self.lifecycle),
        );
        let folder = dir.join(workspace).join("metadata");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
    }
}

/// Writes the metadata of the release that was (`false`) or is (`true`) beside its lock.
pub fn write(dir: &Path, is_new: bool) {
    let pick = |old: &'static str, new: &'static str| if is_new { new } else { old };
    let backstage = pick("1.45.3", "1.49.4");
    let todo = PackageMetadata {
        package: "@x/plugin-todo",
        title: "To do",
        version: "0.10.0",
        support: pick("production", "generally-available"),
        lifecycle: "active",
        backstage,
        artifact: pick("./dynamic-plugins/dist/x-plugin-todo", "oci://r.example/todo:1.49.4__0.10.0!x-plugin-todo"),
    };
    let backend = PackageMetadata {
        package: "@x/plugin-todo-backend",
        title: "To do backend",
        version: "0.14.2",
        support: "tech-preview",
        ..todo
    };
    todo.write(dir, "todo");
    backend.write(dir, "todo");
    let community = PackageMetadata { support: "community", version: "1.0.0", artifact: "oci://r.example/x", ..todo };
    for name in ["acr", "quay"] {
        let package = format!("@x/plugin-{name}");
        PackageMetadata { package: &package, title: name, backstage: "1.45.3", ..community }.write(dir, name);
    }
    if is_new {
        let ecs = PackageMetadata {
            package: "@aws/ecs-backend",
            title: "Amazon ECS",
            version: "0.1.0",
            support: "dev-preview",
            lifecycle: "experimental",
            ..community
        };
        ecs.write(dir, "backstage-plugins-for-aws");
    } else {
        let ocm = PackageMetadata {
            package: "@x/plugin-ocm",
            title: "OCM",
            version: "5.0.0",
            lifecycle: "deprecated",
            ..community
        };
        ocm.write(dir, "ocm");
    }
}
