use object::elf;

use super::super::library::tests::{library, of_x64};
use super::super::tests::{errors, package, warnings};
use super::*;

/// The findings of libraries in a package of a build for linux-x64 and glibc 2.34.
fn check(files: &[(&str, &[u8])]) -> Findings {
    let mut findings = Findings::default();
    super::check(&package(true, files), &Platform::default(), GlibcVersion::UBI_9, &mut findings);
    findings
}

const X: &str = "node_modules/x/build/Release/x.node";
const LEAVE_OUT: &str = "leave it out with `--suppress-native-package x` if the plugin works without it";

#[test]
fn a_library_that_rhdh_can_load_is_fine() {
    let good = of_x64("GLIBC_2.34");
    let findings = check(&[(X, &good), ("dist/x.node", &good), ("node_modules/x/prebuilds/linux-x64/x.node", &good)]);
    assert_eq!(findings, Findings::default());
}

#[test]
fn another_architecture_or_system_is_an_error() {
    let build = "build where packages are installed for linux-x64, or";
    let arm = library(elf::EM_AARCH64, &[], &[]);
    let said = "is a library for arm64, and the plugin is built for linux-x64";
    assert_eq!(errors(&check(&[(X, &arm)])), [format!("`{X}` {said}: {build} {LEAVE_OUT}")]);
    let own = format!("`dist/x.node` {said}: {build} leave the file out of the package");
    assert_eq!(errors(&check(&[("dist/x.node", &arm)])), [own]);
    // The folder says linux-x64, the file is another.
    let prebuilt = "node_modules/@y/z/prebuilds/linux-x64/z.node";
    let leave_out = "leave it out with `--suppress-native-package @y/z` if the plugin works without it";
    assert_eq!(errors(&check(&[(prebuilt, &arm)])), [format!("`{prebuilt}` {said}: {build} {leave_out}")]);
    for (magic, system) in [(b"\xcf\xfa\xed\xfe", "macOS"), (b"\xca\xfe\xba\xbe", "macOS")] {
        let file = [magic, [0; 60].as_slice()].concat();
        assert_eq!(check(&[("node_modules/x-macos/dist/x64/x.node", &file)]), Findings::default());
        assert_eq!(check(&[("node_modules/x-windows/x.node", &file)]).errors.len(), 1);
        let said = format!("`{X}` is a library for {system}, and the plugin is built for linux-x64");
        assert_eq!(errors(&check(&[(X, &file)])), [format!("{said}: {build} {LEAVE_OUT}")]);
    }
}

#[test]
fn a_newer_glibc_than_the_target_has_is_an_error_and_so_is_musl() {
    let newer = of_x64("GLIBC_2.38");
    let said = format!(
        "`{X}` needs glibc 2.38, and RHDH's has 2.34: build on a system with glibc 2.34, such as UBI 9, give \
         `--target-glibc` if RHDH's is newer, or {LEAVE_OUT}"
    );
    assert_eq!(errors(&check(&[(X, &newer)])), [said]);
    let mut findings = Findings::default();
    let contents = package(true, &[(X, &newer)]);
    super::check(&contents, &Platform::default(), "2.38".parse().unwrap(), &mut findings);
    assert_eq!(findings, Findings::default());
    let musl = library(elf::EM_X86_64, &["libc.musl-x86_64.so.1"], &[]);
    let said = format!(
        "`{X}` is linked with musl (`libc.musl-x86_64.so.1`), and RHDH has glibc: build on a system with glibc, or \
         {LEAVE_OUT}"
    );
    assert_eq!(errors(&check(&[(X, &musl)])), [said]);
}

#[test]
fn what_is_no_library_is_a_warning() {
    let why = "Could not read file magic";
    let said = format!("`{X}` is not a library that can be loaded ({why}): {LEAVE_OUT}");
    let findings = check(&[(X, b"no library")]);
    assert_eq!((errors(&findings), warnings(&findings)), (vec![], vec![said]));
    let whole = of_x64("GLIBC_2.38");
    for length in 0..whole.len() {
        NativeLibrary::read(&whole[..length]);
        let mut flipped = whole.clone();
        flipped[length] ^= 0xff;
        NativeLibrary::read(&flipped);
    }
}

#[test]
fn libraries_that_are_for_other_platforms_by_design_are_fine() {
    let other = library(elf::EM_AARCH64, &["libc.musl-aarch64.so.1"], &["GLIBC_2.99"]);
    for path in [
        "node_modules/x/prebuilds/darwin-x64+arm64/x.node",
        "node_modules/x/prebuilds/linux-arm64/x.node",
        "node_modules/x/prebuilds/linux-x64/x.musl.node",
        "node_modules/x/lib/binding/napi-v3-win32-ia32/x.node",
        "node_modules/x/compiled/22/linux/arm64/x.node",
        "node_modules/@x/y-linuxmusl-x64/lib/y.node",
        "node_modules/x/x.linux-arm64-gnu.node",
        "dist/x-darwin-universal.node",
    ] {
        assert_eq!(check(&[(path, &other)]), Findings::default(), "{path}");
    }
    for path in ["node_modules/linux/x.node", "node_modules/x/arm64/x.node", "node_modules/darwin-tools/build/x.node"] {
        assert_eq!(check(&[(path, &other)]).errors.len(), 1, "{path}");
    }
}

#[test]
fn a_package_says_which_platforms_it_is_for() {
    let other = library(elf::EM_AARCH64, &[], &[]);
    for (manifest, findings) in [
        (r#"{"os":["darwin"]}"#, 0),
        (r#"{"os":"darwin"}"#, 0),
        (r#"{"os":["!linux"]}"#, 0),
        (r#"{"os":["linux"],"cpu":["arm64"]}"#, 0),
        (r#"{"libc":["musl"]}"#, 0),
        (r#"{"os":["linux"],"cpu":["x64","arm64"],"libc":["glibc"]}"#, 1),
        (r#"{"os":["!win32"]}"#, 1),
        (r#"{"os":[]}"#, 1),
        (r#"{"os":["any"]}"#, 1),
        (r#"{"os":["#, 1),
        ("{}", 1),
    ] {
        let files = [(X, other.as_slice()), ("node_modules/x/package.json", manifest.as_bytes())];
        assert_eq!(check(&files).errors.len(), findings, "{manifest}");
    }
}
