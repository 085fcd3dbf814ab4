//! Native libraries (`.node`) that RHDH loads are for its platform, and need no newer glibc than it has.
//!
//! Packages may hold libraries for several platforms by design: `prebuilds/<platform>/`, or a package for some platforms
//! only (`os`, `cpu`, `libc` in its package.json). Those that are not for the platform of the build are no findings.

use super::contents::Contents;
use super::findings::Findings;
use super::glibc::GlibcVersion;
use super::library::NativeLibrary;
use super::platforms::{names_another_platform, names_system};
use crate::yarn::platform::Platform;

pub(super) fn check(contents: &Contents, platform: &Platform, target: GlibcVersion, findings: &mut Findings) {
    let here = format!("{}-{}", platform.os, platform.cpu);
    for (path, library) in &contents.natives {
        let package = path.rsplit_once("node_modules/").map_or("", |(_, rest)| {
            let names = if rest.starts_with('@') { 2 } else { 1 };
            rest.match_indices('/').nth(names - 1).map_or("", |(at, _)| &rest[..at])
        });
        let folder = path.rfind("node_modules/").map_or("", |at| &path[..at + "node_modules/".len() + package.len()]);
        let is_of_others = contents.platforms.get(folder).is_some_and(|platforms| !platforms.include(platform));
        if is_of_others || names_another_platform(path, platform) {
            continue;
        }
        let leave_out = match package {
            "" => "leave the file out of the package".to_owned(),
            name => format!("leave it out with `--suppress-native-package {name}` if the plugin works without it"),
        };
        let rebuild = format!("build where packages are installed for {here}, or {leave_out}");
        match library {
            // Such as `ctrlc-windows`: it is what it says.
            NativeLibrary::Foreign(system) if names_system(path, system) => {}
            NativeLibrary::Foreign(system) => {
                findings.error(format!("`{path}` is a library for {system}, and the plugin is built for {here}"), rebuild);
            }
            NativeLibrary::Elf { cpu, .. } if *cpu != platform.cpu => {
                findings.error(format!("`{path}` is a library for {cpu}, and the plugin is built for {here}"), rebuild);
            }
            NativeLibrary::Elf { musl: Some(musl), .. } => findings.error(
                format!("`{path}` is linked with musl (`{musl}`), and RHDH has glibc"),
                format!("build on a system with glibc, or {leave_out}"),
            ),
            NativeLibrary::Elf { glibc: Some(needed), .. } if *needed > target => findings.error(
                format!("`{path}` needs glibc {needed}, and RHDH's has {target}"),
                format!(
                    "build on a system with glibc {target}, such as UBI 9, give `--target-glibc` if RHDH's is newer, or \
                     {leave_out}"
                ),
            ),
            NativeLibrary::Unreadable(why) => {
                findings.warning(format!("`{path}` is not a library that can be loaded ({why})"), leave_out);
            }
            NativeLibrary::Elf { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
