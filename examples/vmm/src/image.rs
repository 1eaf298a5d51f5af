//! The arm64 Image and what goes into memory with it.
//!
//! `linux-loader` has a loader for this format, but builds it on Arm and RISC-V hosts only; the header is read here.
//! Source: the kernel's arm64 boot protocol.

use crate::layout::RAM;
use std::fs;
use std::io::Read;
use std::path::Path;

const ALIGN: u64 = 2 << 20;
/// "ARM\x64", at offset 56.
const MAGIC: [u8; 4] = *b"ARM\x64";
/// Room for the device tree; the protocol allows 2 MiB.
pub const DTB_BYTES: u64 = 2 << 20;

/// What the header of an Image says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    text_offset: u64,
    /// Bytes of memory that the kernel needs from its start, file and uninitialised data.
    image_bytes: u64,
    big_endian: bool,
}

/// Where everything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// First instruction of the kernel.
    pub kernel: u64,
    /// First byte and one past the last of the initial RAM disk; equal if there is none.
    pub initrd: (u64, u64),
    /// The device tree.
    pub dtb: u64,
}

/// A kernel and its RAM disk, read and placed, not yet in guest memory.
#[derive(Debug)]
pub struct Image {
    /// The kernel file.
    pub kernel: Vec<u8>,
    /// The RAM disk file; empty if there is none.
    pub initrd: Vec<u8>,
    /// Where they go.
    pub placement: Placement,
}

/// Reads the files and finds them places in `memory` bytes of RAM.
///
/// # Errors
/// In words, with the file's name.
pub fn read(kernel: &Path, initrd: Option<&Path>, memory: u64) -> Result<Image, String> {
    let bytes = file(kernel, memory)?;
    let header = header(&bytes).map_err(|what| format!("{}: {what}", kernel.display()))?;
    let disk = initrd.map_or(Ok(Vec::new()), |initrd| file(initrd, memory))?;
    let placement = place(header, bytes.len(), disk.len(), memory)
        .map_err(|what| format!("{}: {what}", kernel.display()))?;
    Ok(Image { kernel: bytes, initrd: disk, placement })
}

/// Reads a whole file, which need not be a regular one, of at most `limit` bytes.
///
/// # Errors
/// In words, with its name.
pub fn file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(named)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(named)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        Ok(bytes)
    } else {
        Err(format!("{}: is larger than {} MiB", path.display(), limit >> 20))
    }
}

/// What people pass instead of an Image, by its first bytes.
const OTHERS: [(&[u8], &str); 7] = [
    (b"\x1f\x8b", "is compressed by gzip: decompress it first"),
    (b"\xfd7zXZ", "is compressed by xz: decompress it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd: decompress it first"),
    (b"\x02\x21\x4c\x18", "is compressed by lz4: decompress it first"),
    (b"BZh", "is compressed by bzip2: decompress it first"),
    (b"MZ\0\0zimg", "is a compressed EFI image: take the Image inside it"),
    (b"\x7fELF", "is an ELF file: this program takes the Image that is made from it"),
];

fn header(bytes: &[u8]) -> Result<Header, String> {
    let word = |at: usize| -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err((*what).into());
    }
    if bytes.is_empty() {
        return Err("is empty".into());
    }
    if bytes.get(56..60) != Some(&MAGIC) {
        return Err("is not an arm64 Image (no ARM\\x64 at offset 56)".into());
    }
    let (Some(text_offset), Some(image_bytes), Some(flags), Some(_)) =
        (word(8), word(16), word(24), word(56))
    else {
        return Err("ends inside the header".into());
    };
    if let Some(whole) = executable_bytes(bytes)
        && u64::try_from(bytes.len()).is_ok_and(|length| length < whole)
    {
        return Err(format!("is truncated: {} bytes of {whole}", bytes.len()));
    }
    // An image_size of 0 is a kernel before 3.17, whose text_offset is fixed.
    let text_offset = if image_bytes == 0 { 0x8_0000 } else { text_offset };
    if text_offset >= ALIGN {
        return Err(format!("has a text offset of {text_offset:#x}, 2 MiB or more"));
    }
    if text_offset % 4 != 0 {
        return Err(format!("has a text offset of {text_offset:#x}, where no instruction can lie"));
    }
    Ok(Header { text_offset, image_bytes, big_endian: flags & 1 != 0 })
}

/// Returns how long the file is by its own account. The header of an Image counts memory, not the file; but nearly all
/// kernels are also EFI executables, whose section table says which bytes they have. `None` for the others.
/// Source: Microsoft's PE format.
fn executable_bytes(bytes: &[u8]) -> Option<u64> {
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let start = usize::try_from(word(0x3c)?).ok()?;
    if !bytes.starts_with(b"MZ") || start == 0 {
        return None;
    }
    let header_end = start.checked_add(24)?;
    let shortest = u64::try_from(header_end).ok();
    if bytes.len() < header_end {
        return shortest;
    }
    if !bytes.get(start..)?.starts_with(b"PE\0\0") {
        return None;
    }
    // NumberOfSections, SizeOfOptionalHeader; each section has SizeOfRawData and PointerToRawData.
    let (sections, optional) = (half(start.checked_add(6)?)?, half(start.checked_add(20)?)?);
    let table = header_end.checked_add(usize::from(optional))?;
    (0..usize::from(sections)).try_fold(0, |end, section| {
        let at = table.checked_add(section.checked_mul(40)?)?;
        let raw = match (word(at.checked_add(16)?), word(at.checked_add(20)?)) {
            (Some(size), Some(start)) => u64::from(size).checked_add(u64::from(start))?,
            // The table itself is cut off.
            _ => u64::try_from(at.checked_add(40)?).ok()?,
        };
        Some(raw.max(end))
    })
}

fn place(header: Header, kernel: usize, initrd: usize, memory: u64) -> Result<Placement, String> {
    if header.big_endian {
        return Err("is a big-endian kernel, which this machine does not start".into());
    }
    let length = |bytes: usize| u64::try_from(bytes).map_err(|_| String::from("is too large"));
    let (kernel_bytes, initrd_bytes) = (length(kernel)?, length(initrd)?);
    if header.image_bytes != 0 && kernel_bytes > header.image_bytes {
        return Err("is longer than its header says".into());
    }
    let needs = kernel_bytes.max(header.image_bytes);
    let ram_end = RAM.checked_add(memory).ok_or("memory ends past the address space")?;
    let up = |address: u64| address.checked_next_multiple_of(ALIGN).unwrap_or(u64::MAX);
    let start = RAM.saturating_add(header.text_offset);
    let kernel_end = start.saturating_add(needs);
    if kernel_end > ram_end {
        return Err(format!("needs {} MiB, more than the guest's memory", needs.div_ceil(1 << 20)));
    }
    // The disk well behind the kernel, as QEMU does: kernels before 4.x decompress beside themselves.
    let disk = up(kernel_end.max(RAM.saturating_add((memory / 2).min(128 << 20))));
    let disk = if disk.saturating_add(initrd_bytes) > ram_end { up(kernel_end) } else { disk };
    let disk_end = disk.saturating_add(initrd_bytes);
    let dtb = up(disk_end);
    if dtb.saturating_add(DTB_BYTES) > ram_end {
        return Err(format!(
            "kernel, initrd ({} MiB) and device tree do not fit into {} MiB of memory without overlap",
            initrd_bytes.div_ceil(1 << 20),
            memory >> 20
        ));
    }
    Ok(Placement { kernel: start, initrd: (disk, disk_end), dtb })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(text_offset: u64, image_bytes: u64, flags: u64) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[8..16].copy_from_slice(&text_offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&image_bytes.to_le_bytes());
        bytes[24..32].copy_from_slice(&flags.to_le_bytes());
        bytes[56..60].copy_from_slice(&MAGIC);
        bytes
    }

    #[test]
    fn headers_that_are_none_are_named() {
        for (bytes, part) in [
            (vec![], "empty"),
            (b"\x7fELF\x02".to_vec(), "ELF"),
            (b"\xfd7zXZ\0".to_vec(), "xz"),
            (vec![0; 4096], "not an arm64 Image"),
            (vec![0x1f, 0x8b, 8, 0], "gzip"),
            (image(0x80_0000, 0x100_0000, 0), "text offset"),
            (image(0x8_0002, 0x100_0000, 0), "no instruction"),
        ] {
            let error = header(&bytes).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn truncated_kernels_are_no_kernels() {
        let whole = image(0, 0x10_0000, 0);
        assert!(header(&whole).is_ok());
        for length in 0..64 {
            assert!(header(&whole[..length]).is_err(), "{length} bytes");
        }
    }

    /// An EFI executable with a section table at 64 + 24 and one section of 0x200 bytes at 0x1000.
    fn executable() -> Vec<u8> {
        let mut bytes = image(0, 0x10_0000, 0xa);
        bytes.resize(0x1200, 0);
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 64;
        bytes[64..68].copy_from_slice(b"PE\0\0");
        bytes[70] = 1;
        bytes[88 + 16..88 + 20].copy_from_slice(&0x200_u32.to_le_bytes());
        bytes[88 + 20..88 + 24].copy_from_slice(&0x1000_u32.to_le_bytes());
        bytes
    }

    #[test]
    fn a_kernel_that_lost_its_end_says_so_itself() {
        let whole = executable();
        assert!(header(&whole).is_ok());
        for length in [64, 67, 87, 90, 110, 127, 128, 0x1000, 0x11ff] {
            let error = header(&whole[..length]).unwrap_err();
            assert!(error.contains("truncated"), "{length} bytes: {error}");
        }
    }

    #[test]
    fn section_tables_of_nonsense_do_not_matter_more_than_their_numbers() {
        for (at, value) in [(0x3c, 0xffff_ffff_u32), (0x3c, 0x1190), (84, 0xffff_ffff), (70, 0xffff_ffff)] {
            let mut bytes = executable();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            // Whatever it is taken for, it is answered.
            let _ = header(&bytes);
        }
    }

    #[test]
    fn everything_is_placed_without_overlap() {
        let header = header(&image(0, 0x200_0000, 0xa)).unwrap();
        let placement = place(header, 0x1f0_0000, 40 << 20, 512 << 20).unwrap();
        assert_eq!(placement.kernel, 0x4000_0000);
        assert_eq!(placement.initrd, (0x4800_0000, 0x4a80_0000));
        assert_eq!(placement.dtb, 0x4a80_0000);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let small = header(&image(0, 0x200_0000, 0)).unwrap();
        for (kernel, initrd, memory, part) in [
            (0x100_0000, 0, 16 << 20, "more than the guest's memory"),
            (0x100_0000, 200 << 20, 64 << 20, "without overlap"),
            (0x300_0000, 0, 512 << 20, "longer than its header"),
        ] {
            let error = place(small, kernel, initrd, memory).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let big = header(&image(0, 0x200_0000, 1)).unwrap();
        assert!(place(big, 1, 0, 512 << 20).unwrap_err().contains("big-endian"));
    }

    #[test]
    fn a_kernel_without_size_is_one_of_the_first() {
        let header = header(&image(0x1234, 0, 0)).unwrap();
        assert_eq!(place(header, 100, 0, 512 << 20).unwrap().kernel, 0x4008_0000);
    }
}
