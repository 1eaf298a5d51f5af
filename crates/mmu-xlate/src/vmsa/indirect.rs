//! Stage 1 permissions beyond the direct ones of two privileges: indirection, overlays, WXN with them.

use super::format::{Descriptor, nibble};
use super::params::Params;
use super::perm::{self, Permissions};

/// What a location permits and why: an access needs both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    /// Base permissions.
    pub(super) base: Permissions,
    /// What the overlay leaves.
    pub(super) overlay: Permissions,
}

impl Rights {
    /// Returns what is permitted in the end.
    #[inline]
    pub(super) const fn held(self) -> Permissions {
        self.base.intersection(self.overlay.union(Permissions::UNDER_PAN))
    }
}

/// The permissions of one privilege, whichever it is.
#[derive(Clone, Copy)]
struct One {
    read: bool,
    write: bool,
    execute: bool,
    gcs: bool,
    /// The overlay counts.
    overlay: bool,
    /// Of writing and executing, one must go.
    wxn: bool,
}

impl One {
    /// Takes all access away; what the overlay does stays, so that it is blamed where it applies.
    const fn without_access(self) -> Self {
        Self { read: false, write: false, execute: false, gcs: false, ..self }
    }

    /// Returns what a field of `PIR_ELx` or `PIRE0_ELx` means. Arm ARM, PIR_EL1.
    const fn indirect(value: u8) -> Self {
        let (read, write, execute, gcs, overlay) = match value {
            0b0001 => (true, false, false, false, true),
            0b0010 => (false, false, true, false, true),
            0b0011 => (true, false, true, false, true),
            0b0101 => (true, true, false, false, true),
            0b0110 | 0b0111 => (true, true, true, false, true),
            0b1000 => (true, false, false, false, false),
            0b1001 => (true, false, false, true, false),
            0b1010 => (true, false, true, false, false),
            0b1100 => (true, true, false, false, false),
            0b1110 => (true, true, true, false, false),
            0b0000 | 0b0100 => (false, false, false, false, true),
            // Reserved: no access.
            _ => (false, false, false, false, false),
        };
        Self { read, write, execute, gcs, overlay, wxn: value == 0b0110 }
    }

    /// Takes the bits of one privilege out of a set.
    const fn direct(held: Permissions, of: &Names, wxn: bool) -> Self {
        let write = held.contains(of.write);
        let execute = held.contains(of.execute);
        Self {
            read: held.contains(of.read),
            write,
            execute,
            gcs: false,
            overlay: true,
            wxn: wxn && write && execute,
        }
    }

    /// Applies an overlay, `None` where it is not enabled, and what WXN takes. Arm ARM,
    /// AArch64.S1ComputePermissions.
    const fn overlaid(self, overlay: Option<u8>, of: &Names) -> Rights {
        let mut execute = self.execute;
        let overlay = match overlay {
            Some(value) if self.overlay => {
                let one = value & 8 == 0;
                let (o_read, o_execute, o_write) =
                    (one && value & 1 != 0, one && value & 2 != 0, one && value & 4 != 0);
                let kept = o_write && !(self.wxn && o_execute);
                if self.wxn && !o_execute {
                    execute = false;
                }
                of.set(o_read, kept, o_execute, true)
            }
            Some(_) | None => {
                if self.wxn {
                    execute = false;
                }
                of.set(true, true, true, true)
            }
        };
        Rights { base: of.set(self.read, self.write, execute, self.gcs), overlay }
    }
}

/// How one privilege's permissions are called.
struct Names {
    read: Permissions,
    write: Permissions,
    execute: Permissions,
    gcs: Permissions,
}

impl Names {
    const PRIVILEGED: Self = Self {
        read: Permissions::PRIV_READ,
        write: Permissions::PRIV_WRITE,
        execute: Permissions::PRIV_EXECUTE,
        gcs: Permissions::PRIV_GCS,
    };
    const UNPRIVILEGED: Self = Self {
        read: Permissions::USER_READ,
        write: Permissions::USER_WRITE,
        execute: Permissions::USER_EXECUTE,
        gcs: Permissions::USER_GCS,
    };

    const fn set(&self, read: bool, write: bool, execute: bool, gcs: bool) -> Permissions {
        self.read
            .when(read)
            .union(self.write.when(write))
            .union(self.execute.when(execute))
            .union(self.gcs.when(gcs))
    }
}

/// Returns the permissions of a leaf. `low` are its low 64 bits as they count, `hierarchy` what tables
/// passed on. Arm ARM, AArch64.S1ComputePermissions.
pub(super) fn rights<E: Descriptor>(params: &Params, leaf: E, low: u64, hierarchy: u64) -> Rights {
    let (mut privileged, mut user, under_pan);
    if params.pie {
        let index = leaf.pi_index();
        let of_user = if params.unprivileged && !params.nv1 { nibble(params.pire0, index) } else { 0 };
        privileged = One::indirect(nibble(params.pir, index));
        user = One::indirect(of_user);
        under_pan = of_user != 0;
        // What EL0 can change is never executed at EL1. Arm ARM, AArch64.S1IndirectBasePermissions.
        if (privileged.execute || privileged.gcs) && (user.write || user.gcs) {
            privileged = privileged.without_access();
            user = user.without_access();
        }
    } else {
        let held = perm::direct_base(params, low, hierarchy);
        privileged = One::direct(held, &Names::PRIVILEGED, params.wxn);
        user = One::direct(held, &Names::UNPRIVILEGED, params.wxn);
        under_pan = held.contains(Permissions::UNDER_PAN);
    }
    let index = leaf.po_index();
    let privileged = privileged.overlaid(params.poe.then(|| nibble(params.por, index)), &Names::PRIVILEGED);
    let user = user.overlaid(params.e0poe.then(|| nibble(params.por_el0, index)), &Names::UNPRIVILEGED);
    Rights {
        base: privileged.base.union(user.base).union(Permissions::UNDER_PAN.when(under_pan)),
        overlay: privileged.overlay.union(user.overlay),
    }
}
