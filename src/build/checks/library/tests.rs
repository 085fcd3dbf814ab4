use super::*;
use crate::yarn::platform::Platform;

/// A library in ELF: 64 bits, little endian, with the sections that say what it needs, and nothing else.
pub fn library(machine: elf::Machine, needed: &[&str], versions: &[&str]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut text = |text: &str| {
        let at = u32::try_from(strings.len()).unwrap();
        strings.extend([text.as_bytes(), &[0]].concat());
        at
    };
    let mut dynamic = Vec::new();
    for name in needed {
        dynamic.extend(1u64.to_le_bytes());
        dynamic.extend(u64::from(text(name)).to_le_bytes());
    }
    dynamic.extend([0; 16]);
    let mut verneed = Vec::new();
    verneed.extend([1u16, u16::try_from(versions.len()).unwrap()].map(u16::to_le_bytes).concat());
    verneed.extend([text("libc.so.6"), 16, 0].map(u32::to_le_bytes).concat());
    for (index, version) in versions.iter().enumerate() {
        let next = if index + 1 == versions.len() { 0 } else { 16 };
        verneed.extend([0, 0, text(version), next].map(u32::to_le_bytes).concat());
    }
    // The file's header, the tables, and the headers of four sections: none, strings, dynamic, versions.
    let tables: [(u32, u32, Vec<u8>); 3] = [(3, 0, strings), (6, 1, dynamic), (0x6fff_fffe, 1, verneed)];
    let end: usize = 64 + tables.iter().map(|(_, _, bytes)| bytes.len()).sum::<usize>();
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
    file.extend(machine.0.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend([0, 0, end as u64].map(u64::to_le_bytes).concat());
    file.extend(0u32.to_le_bytes());
    file.extend([64u16, 56, 0, 64, 4, 1].map(u16::to_le_bytes).concat());
    let mut headers = vec![0; 64];
    for (kind, link, bytes) in &tables {
        headers.extend([0, *kind].map(u32::to_le_bytes).concat());
        headers.extend([0, 0, file.len() as u64, bytes.len() as u64].map(u64::to_le_bytes).concat());
        headers.extend([*link, 1].map(u32::to_le_bytes).concat());
        headers.extend([1u64, 0].map(u64::to_le_bytes).concat());
        file.extend(bytes);
    }
    file.extend(headers);
    file
}

/// A library of this machine that needs this version of glibc, and an older one.
pub fn needs_glibc(version: &str) -> Vec<u8> {
    let own = if cfg!(target_arch = "aarch64") { elf::EM_AARCH64 } else { elf::EM_X86_64 };
    library(own, &["libc.so.6"], &["GLIBC_2.2.5", version, "GLIBC_PRIVATE"])
}

/// One of x64.
pub fn of_x64(version: &str) -> Vec<u8> {
    library(elf::EM_X86_64, &["libc.so.6"], &["GLIBC_2.2.5", version, "GLIBC_PRIVATE"])
}

#[test]
fn a_library_says_what_it_needs() {
    let read = |bytes: &[u8]| NativeLibrary::read(bytes);
    let glibc = Some("2.38".parse().unwrap());
    let wanted = NativeLibrary::Elf { cpu: "x64".into(), glibc, musl: None };
    assert_eq!(read(&of_x64("GLIBC_2.38")), wanted);
    let musl = library(elf::EM_AARCH64, &["libstdc++.so.6", "libc.musl-aarch64.so.1"], &[]);
    let of_arm = NativeLibrary::Elf { cpu: "arm64".into(), glibc: None, musl: Some("libc.musl-aarch64.so.1".into()) };
    assert_eq!(read(&musl), of_arm);
    // The program of this test is one, made by a real linker.
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let NativeLibrary::Elf { cpu, .. } = read(&own) else { panic!("{:?}", read(&own)) };
    assert_eq!(cpu, Platform::of_machine().cpu);
}
