//! What a `.node` file is: a library of ELF with what it needs, one for another operating system, or none.

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::FileHeader;
use object::{Endianness, FileKind};

use super::glibc::GlibcVersion;

/// Entries of one table that are read at most; real libraries have some dozens.
const MOST_ENTRIES: usize = 1024;

/// What a `.node` file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NativeLibrary {
    Elf {
        /// As Node.js calls it.
        cpu: String,
        /// The newest that it needs.
        glibc: Option<GlibcVersion>,
        /// The library of musl that it is linked against.
        musl: Option<String>,
    },
    /// For another operating system, as people call that.
    Foreign(&'static str),
    /// Nothing that Node.js loads, and why.
    Unreadable(String),
}

impl NativeLibrary {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let read = match FileKind::parse(bytes) {
            Ok(FileKind::Elf32) => read_elf::<FileHeader32<Endianness>>(bytes),
            Ok(FileKind::Elf64) => read_elf::<FileHeader64<Endianness>>(bytes),
            Ok(FileKind::MachO32 | FileKind::MachO64 | FileKind::MachOFat32 | FileKind::MachOFat64) => {
                Ok(Self::Foreign("macOS"))
            }
            Ok(FileKind::Pe32 | FileKind::Pe64) => Ok(Self::Foreign("Windows")),
            Ok(_) => return Self::Unreadable("it has another format".into()),
            Err(error) => Err(error),
        };
        read.unwrap_or_else(|error| Self::Unreadable(error.to_string()))
    }
}

fn read_elf<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::read::Result<NativeLibrary> {
    let header = H::parse(bytes)?;
    let endian = header.endian()?;
    let cpu = match header.e_machine(endian) {
        elf::EM_X86_64 => "x64",
        elf::EM_AARCH64 => "arm64",
        elf::EM_386 => "ia32",
        elf::EM_ARM => "arm",
        elf::EM_PPC64 => "ppc64",
        elf::EM_S390 => "s390x",
        elf::EM_RISCV => "riscv64",
        elf::EM_LOONGARCH => "loong64",
        _ => "another architecture",
    };
    let sections = header.sections(endian, bytes)?;
    let dynamic = sections.dynamic_table(endian, bytes)?;
    let mut musl = None;
    for entry in dynamic.iter().take(MOST_ENTRIES).filter(|entry| entry.tag == elf::DT_NEEDED) {
        let name = dynamic.string(entry)?;
        if name.starts_with(b"libc.musl") {
            musl = Some(String::from_utf8_lossy(name).into_owned());
        }
    }
    let mut glibc = None;
    if let Some((needed, link)) = sections.gnu_verneed(endian, bytes)? {
        let strings = sections.strings(endian, bytes, link)?;
        let mut left = MOST_ENTRIES;
        for library in needed {
            for version in library?.1 {
                glibc = glibc.max(GlibcVersion::of_symbol(version?.name(endian, strings)?));
                left = left.saturating_sub(1);
            }
            left = left.saturating_sub(1);
            if left == 0 {
                break;
            }
        }
    }
    Ok(NativeLibrary::Elf { cpu: cpu.into(), glibc, musl })
}

#[cfg(test)]
pub(in crate::build) mod tests;
