//! Structures that start with their size, and objects in memory of the caller.

use super::types::*;
use crate::status::Status;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// A structure whose first field is its size, as `u32`.
///
/// # Safety
/// `repr(C)`, starting with a `u32` that is its size; every pattern of bytes, zeros among them, is a value (function
/// pointers are in `Option`, and what stands there is one where it is not null).
pub(super) unsafe trait Sized32: Copy {
    /// Bytes that the first version had: less is a mistake.
    const LEAST: usize;
    /// Whether content that this version does not know is passed over: so for tables of functions, which are not
    /// called; settings that cannot be followed are refused.
    const IS_TABLE: bool;
}

macro_rules! sized {
    ($($name:ident, $least:literal, $table:literal;)*) => {$(
        // SAFETY: each is `repr(C)`, starts with `size: u32`, and has numbers, raw pointers, arrays of numbers and
        // optional function pointers only.
        unsafe impl Sized32 for $name {
            const LEAST: usize = $least;
            const IS_TABLE: bool = $table;
        }
        const _: () = assert!($least <= size_of::<$name>() && (cfg!(feature = "next") || $least == size_of::<$name>()));
    )*};
}

// The sizes of version 1.0, which never change: a structure that grows only says so here.
sized! {
    xarch_guest_info, 48, false;
    xarch_backend_info, 56, false;
    xarch_slot, 32, false;
    xarch_access, 32, false;
    xarch_platform, 80, true;
    xarch_exit, 40, false;
    xarch_backend_ops, 96, true;
    xarch_backend_config, 80, false;
    xarch_vm_config, 56, false;
    xarch_irq, 24, false;
    xarch_outcome, 64, false;
}

/// The longest structure that is looked at: a page, so that a wild size does not make the library read far.
const LONGEST: usize = 4096;

/// Copies a structure in. What the caller's version lacks is zero.
///
/// # Safety
/// `at` is null or valid for reading the bytes that its first field says, which are not written meanwhile.
pub(super) unsafe fn read<T: Sized32>(at: *const T) -> Result<T, Status> {
    let size = unsafe_size(at)?;
    let mut value = MaybeUninit::<T>::zeroed();
    let known = size.min(size_of::<T>());
    // SAFETY: `at` is valid for `size` bytes by the caller's promise, `value` for `size_of::<T>()`; `known` is neither's
    // more, and a local does not overlap with the caller's memory.
    unsafe { core::ptr::copy_nonoverlapping(at.cast::<u8>(), value.as_mut_ptr().cast::<u8>(), known) };
    let rest = size.saturating_sub(known);
    if !T::IS_TABLE && rest != 0 {
        // SAFETY: `known + rest` is `size`, for which the caller promises.
        let rest = unsafe { core::slice::from_raw_parts(at.cast::<u8>().add(known), rest) };
        if rest.iter().any(|byte| *byte != 0) {
            return Err(Status(XARCH_E_2BIG));
        }
    }
    // SAFETY: every pattern of bytes is a `T`: `Sized32`.
    Ok(unsafe { value.assume_init() })
}

/// Copies a structure out, over one of the caller's that says how long it is. What this version lacks becomes zero.
///
/// # Safety
/// `at` is null or valid for reading and writing the bytes that its first field says, which nobody else uses meanwhile.
pub(super) unsafe fn write<T: Sized32>(at: *mut T, value: &T) -> Result<(), Status> {
    let size = unsafe_size(at)?;
    let known = size.min(size_of::<T>());
    let to = at.cast::<u8>();
    let head = size_of::<u32>();
    // SAFETY: both are valid for `known` bytes, which is at least `head`; a reference of ours does not overlap with
    // the caller's memory.
    unsafe {
        core::ptr::copy_nonoverlapping(
            core::ptr::from_ref(value).cast::<u8>().add(head),
            to.add(head),
            known.saturating_sub(head),
        );
    };
    // SAFETY: `at` is valid for `size` bytes.
    unsafe { core::ptr::write_bytes(to.add(known), 0, size.saturating_sub(known)) };
    Ok(())
}

/// Returns the size that a structure claims.
fn unsafe_size<T: Sized32>(at: *const T) -> Result<usize, Status> {
    if at.is_null() || !at.is_aligned() {
        return Err(Status(XARCH_E_INVAL));
    }
    // SAFETY: not null and aligned; `read` and `write` have their callers' promise that the first field is there.
    let size = unsafe { at.cast::<u32>().read() };
    let size = usize::try_from(size).map_err(|_| Status(XARCH_E_2BIG))?;
    if size < T::LEAST {
        return Err(Status(XARCH_E_INVAL));
    }
    if size > LONGEST { Err(Status(XARCH_E_2BIG)) } else { Ok(size) }
}

/// Objects that are to lie in one piece of memory, one behind the other. The same plan tells the size and is then
/// carried out, so the two cannot differ.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    bytes: usize,
    align: usize,
}

/// A place in a plan for `count` of `T`. Not `Clone`: it is filled once.
#[derive(Debug)]
pub(crate) struct Spot<T> {
    offset: usize,
    count: usize,
    what: core::marker::PhantomData<T>,
}

impl Plan {
    /// Adds room for `count` of `T`.
    pub(crate) fn add<T>(&mut self, count: usize) -> Spot<T> {
        let align = align_of::<T>();
        self.align = self.align.max(align);
        let offset = self.bytes.saturating_add(align.wrapping_sub(1)) & !align.wrapping_sub(1);
        self.bytes = offset.saturating_add(size_of::<T>().saturating_mul(count));
        Spot { offset, count, what: core::marker::PhantomData }
    }

    /// Returns what the caller has to provide.
    #[expect(clippy::as_conversions, reason = "usize has at most 64 bits wherever this compiles")]
    pub(crate) fn layout(&self) -> xarch_layout {
        xarch_layout { size: self.bytes as u64, align: self.align as u64 }
    }
}

/// Memory of the caller in which a plan is carried out.
#[derive(Debug)]
pub(crate) struct Memory(NonNull<u8>);

impl Memory {
    /// Takes memory for a plan.
    ///
    /// # Safety
    /// `memory` is null or valid for `bytes` bytes, and nobody else uses it until its object is destroyed.
    pub(super) unsafe fn new(memory: *mut c_void, bytes: u64, plan: &Plan) -> Result<Self, Status> {
        let start = NonNull::new(memory.cast::<u8>()).ok_or(Status(XARCH_E_INVAL))?;
        if start.as_ptr().align_offset(plan.align.max(1)) != 0 {
            return Err(Status(XARCH_E_INVAL));
        }
        if bytes < plan.layout().size { Err(Status(XARCH_E_NOMEM)) } else { Ok(Self(start)) }
    }

    /// Returns the memory of a spot.
    ///
    /// # Safety
    /// The spot is of the plan that this memory was taken for.
    pub(crate) unsafe fn at<T>(&self, spot: Spot<T>) -> &'static mut [MaybeUninit<T>] {
        // SAFETY: the offset is inside the memory, which `new` has compared with the whole plan.
        let start = unsafe { self.0.add(spot.offset) };
        // SAFETY: `count` of `T` lie inside, aligned as `new` and `add` saw to; spots do not overlap and each is given
        // away once; until its object is destroyed, which is the end of what `'static` stands for here, nobody else
        // uses the memory.
        unsafe { core::slice::from_raw_parts_mut(start.cast().as_ptr(), spot.count) }
    }
}

/// Fills memory with values.
pub(crate) fn fill<T>(memory: &'static mut [MaybeUninit<T>], value: impl Fn() -> T) -> &'static mut [T] {
    for place in memory.iter_mut() {
        place.write(value());
    }
    // SAFETY: each element was just written, and `MaybeUninit<T>` is laid out as `T`.
    unsafe { core::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<T>(), memory.len()) }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Plan, Sized32, read, write};
    use crate::c::*;
    use crate::status::Status;

    const IRQ: xarch_irq = xarch_irq { size: 24, kind: 1, action: 2, number: 3, vcpu: 4, reserved: 0 };

    /// A structure of a later version, longer by two words.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Longer {
        base: xarch_irq,
        more: [u32; 2],
    }

    #[test]
    fn a_longer_setting_is_taken_only_if_the_rest_is_zero() {
        let mut longer = Longer { base: xarch_irq { size: 32, ..IRQ }, more: [0; 2] };
        // SAFETY: the structure has the 32 bytes that it says.
        let taken = unsafe { read((&raw const longer).cast::<xarch_irq>()) };
        assert_eq!(taken.map(|irq| (irq.kind, irq.vcpu)), Ok((1, 4)));
        longer.more[1] = 1;
        // SAFETY: as above.
        let refused = unsafe { read((&raw const longer).cast::<xarch_irq>()) };
        assert_eq!(refused.err(), Some(Status(XARCH_E_2BIG)));
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for (size, want) in [
            (0, XARCH_E_INVAL),
            (xarch_irq::LEAST - 1, XARCH_E_INVAL),
            (LONGEST + 1, XARCH_E_2BIG),
            (0xffff_fff0, XARCH_E_2BIG),
        ] {
            let irq = xarch_irq { size: u32::try_from(size).unwrap(), ..IRQ };
            // SAFETY: what is refused is not read any further.
            assert_eq!(unsafe { read(&raw const irq) }.err(), Some(Status(want)), "{size}");
        }
        // SAFETY: null is allowed.
        assert_eq!(unsafe { read::<xarch_irq>(core::ptr::null()) }.err(), Some(Status(XARCH_E_INVAL)));
    }

    #[test]
    fn what_the_library_does_not_know_becomes_zero_and_the_size_stays() {
        let mut longer = Longer { base: xarch_irq { size: 32, ..IRQ }, more: [7; 2] };
        let to = (&raw mut longer).cast::<xarch_irq>();
        // SAFETY: the structure has the 32 bytes that it says.
        let written = unsafe { write(to, &xarch_irq { number: 9, ..IRQ }) };
        assert_eq!((written, longer.base.size, longer.base.number, longer.more), (Ok(()), 32, 9, [0; 2]));
    }

    #[test]
    fn a_plan_aligns_each_thing_and_tells_the_whole() {
        let mut plan = Plan::default();
        plan.add::<u8>(3);
        plan.add::<u64>(2);
        plan.add::<u16>(1);
        let layout = plan.layout();
        assert_eq!((layout.size, layout.align), (26, 8));
    }
}
