//! What the tests of the checks share.

use super::*;

pub use super::library::tests::needs_glibc;

/// A package of these files.
pub(super) fn package(is_backend: bool, files: &[(&str, &[u8])]) -> Contents {
    let mut contents = Contents::new(is_backend);
    for (path, bytes) in files {
        contents.add(path, bytes.len() as u64, || Ok(Cow::Borrowed(*bytes))).unwrap();
    }
    contents
}

fn checked_as(is_backend: bool, files: &[(&str, &str)]) -> Findings {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    check(&package(is_backend, &files), false, GlibcVersion::UBI_9)
}

/// The findings of a backend of these files.
pub(super) fn checked(files: &[(&str, &str)]) -> Findings {
    checked_as(true, files)
}

/// The findings of a frontend of these files.
pub(super) fn checked_frontend(files: &[(&str, &str)]) -> Findings {
    checked_as(false, files)
}

pub(super) fn errors(findings: &Findings) -> Vec<String> {
    findings.errors.iter().map(ToString::to_string).collect()
}

pub(super) fn warnings(findings: &Findings) -> Vec<String> {
    findings.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_frontend_is_not_checked_as_a_backend_nor_the_reverse() {
    let files = [("package.json", "{}"), ("dist/a.js", "require('nowhere')"), ("dist/a.node", "no library")];
    let frontend = checked_frontend(&files);
    assert_eq!((frontend.errors.len(), frontend.warnings.len()), (1, 0));
    let backend = checked(&files);
    assert_eq!((backend.errors.len(), backend.warnings.len()), (0, 2));
}

#[test]
fn a_file_that_is_too_large_for_a_package_is_not_read() {
    let mut contents = Contents::new(true);
    contents.add("dist/a.js", MAX_FILE + 1, || unreachable!("it is read")).unwrap();
    contents.add("dist/a.txt", 1, || unreachable!("it is read")).unwrap();
    assert_eq!(check(&contents, false, GlibcVersion::UBI_9), Findings::default());
}
