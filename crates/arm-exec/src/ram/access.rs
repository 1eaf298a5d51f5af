//! One guest access as one machine instruction.

/// Loads from and stores to guest memory; `at` must be valid for the size, alignment is not needed.
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod imp {
    use core::arch::asm;

    macro_rules! pair {
        ($($load:ident $store:ident $ty:ty, $ld:literal, $st:literal, $class:ident;)*) => {$(
            /// # Safety
            /// `at` is valid for a load of the size for as long as the call lasts.
            #[inline(always)]
            pub unsafe fn $load(at: *const u8) -> $ty {
                let value: u64;
                // SAFETY: a plain load from memory that the caller says is valid.
                unsafe { asm!($ld, out = lateout(reg) value, at = in(reg) at, options(nostack, preserves_flags, readonly)) };
                value as $ty
            }

            /// # Safety
            /// `at` is valid for a store of the size for as long as the call lasts.
            #[inline(always)]
            pub unsafe fn $store(at: *mut u8, value: $ty) {
                // SAFETY: a plain store to memory that the caller says is valid and shared.
                unsafe { asm!($st, value = in($class) value, at = in(reg) at, options(nostack, preserves_flags)) };
            }
        )*};
    }
    pair! {
        load8 store8 u8, "movzx {out:e}, byte ptr [{at}]", "mov byte ptr [{at}], {value}", reg_byte;
        load16 store16 u16, "movzx {out:e}, word ptr [{at}]", "mov word ptr [{at}], {value:x}", reg;
        load32 store32 u32, "mov {out:e}, dword ptr [{at}]", "mov dword ptr [{at}], {value:e}", reg;
        load64 store64 u64, "mov {out}, qword ptr [{at}]", "mov qword ptr [{at}], {value}", reg;
    }
}

#[cfg(all(target_arch = "s390x", not(miri)))]
mod imp {
    use core::arch::asm;

    macro_rules! pair {
        ($($load:ident $store:ident $ty:ty, $ld:literal, $st:literal;)*) => {$(
            /// # Safety
            /// `at` is valid for a load of the size for as long as the call lasts.
            #[inline(always)]
            pub unsafe fn $load(at: *const u8) -> $ty {
                let value: u64;
                // SAFETY: a plain load from memory that the caller says is valid.
                unsafe { asm!($ld, out = lateout(reg) value, at = in(reg_addr) at, options(nostack, preserves_flags, readonly)) };
                value as $ty
            }

            /// # Safety
            /// `at` is valid for a store of the size for as long as the call lasts.
            #[inline(always)]
            pub unsafe fn $store(at: *mut u8, value: $ty) {
                // SAFETY: a plain store to memory that the caller says is valid and shared.
                unsafe { asm!($st, value = in(reg) u64::from(value), at = in(reg_addr) at, options(nostack, preserves_flags)) };
            }
        )*};
    }
    pair! {
        load8 store8 u8, "llgc {out}, 0({at})", "stc {value}, 0({at})";
        load16 store16 u16, "lrvh {out}, 0({at})", "strvh {value}, 0({at})";
        load32 store32 u32, "lrv {out}, 0({at})", "strv {value}, 0({at})";
        load64 store64 u64, "lrvg {out}, 0({at})", "strvg {value}, 0({at})";
    }
}

#[cfg(all(target_arch = "aarch64", target_endian = "little", not(miri)))]
mod imp {
    use core::arch::asm;

    macro_rules! pair {
        ($($load:ident $store:ident $ty:ty, $ld:literal, $st:literal;)*) => {$(
            /// # Safety
            /// `at` is valid for a load of the size for as long as the call lasts.
            #[inline(always)]
            pub unsafe fn $load(at: *const u8) -> $ty {
                let value: u64;
                // SAFETY: a plain load from memory that the caller says is valid.
                unsafe { asm!($ld, out = lateout(reg) value, at = in(reg) at, options(nostack, preserves_flags, readonly)) };
                value as $ty
            }

            /// # Safety
            /// `at` is valid for a store of the size for as long as the call lasts.
            #[inline(always)]
            pub unsafe fn $store(at: *mut u8, value: $ty) {
                // SAFETY: a plain store to memory that the caller says is valid and shared.
                unsafe { asm!($st, value = in(reg) u64::from(value), at = in(reg) at, options(nostack, preserves_flags)) };
            }
        )*};
    }
    pair! {
        load8 store8 u8, "ldrb {out:w}, [{at}]", "strb {value:w}, [{at}]";
        load16 store16 u16, "ldrh {out:w}, [{at}]", "strh {value:w}, [{at}]";
        load32 store32 u32, "ldr {out:w}, [{at}]", "str {value:w}, [{at}]";
        load64 store64 u64, "ldr {out}, [{at}]", "str {value}, [{at}]";
    }
}

#[cfg(not(any(
    all(target_arch = "x86_64", not(miri)),
    all(target_arch = "s390x", not(miri)),
    all(target_arch = "aarch64", target_endian = "little", not(miri))
)))]
mod imp {
    use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

    macro_rules! pair {
        ($($load:ident $store:ident $ty:ty, $atomic:ty, $bytes:literal;)*) => {$(
            /// # Safety
            /// `at` is valid for a load of the size for as long as the call lasts.
            #[inline]
            pub unsafe fn $load(at: *const u8) -> $ty {
                if at.addr() % $bytes == 0 {
                    // SAFETY: valid by the caller, aligned as just checked, accessed atomically.
                    return <$ty>::from_le(unsafe { &*at.cast::<$atomic>() }.load(Relaxed));
                }
                let mut bytes = [0; $bytes];
                for (n, byte) in bytes.iter_mut().enumerate() {
                    // SAFETY: inside the range that the caller says is valid.
                    *byte = unsafe { &*at.wrapping_add(n).cast::<AtomicU8>() }.load(Relaxed);
                }
                <$ty>::from_le_bytes(bytes)
            }

            /// # Safety
            /// `at` is valid for a store of the size for as long as the call lasts.
            #[inline]
            pub unsafe fn $store(at: *mut u8, value: $ty) {
                if at.addr() % $bytes == 0 {
                    // SAFETY: valid by the caller, aligned as just checked, accessed atomically.
                    return unsafe { &*at.cast::<$atomic>() }.store(value.to_le(), Relaxed);
                }
                for (n, byte) in value.to_le_bytes().into_iter().enumerate() {
                    // SAFETY: inside the range that the caller says is valid.
                    unsafe { &*at.wrapping_add(n).cast::<AtomicU8>() }.store(byte, Relaxed);
                }
            }
        )*};
    }
    pair! {
        load8 store8 u8, AtomicU8, 1;
        load16 store16 u16, AtomicU16, 2;
        load32 store32 u32, AtomicU32, 4;
        load64 store64 u64, AtomicU64, 8;
    }
}

pub use imp::*;
