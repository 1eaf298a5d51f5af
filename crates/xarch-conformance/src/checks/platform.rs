//! The embedder's side.

use crate::host::Threads;
use crate::platform::{Embedder, Woken};
use crate::report::{Checked, Ended, broken, ensure};
use crate::stage::offset;
use xarch_abi::{DeviceAccess, DeviceAnswer, DeviceOperation, GuestPa, GuestRange, HostPa, Slot, Unreadable};

const CANNOT_WAIT: Ended = Ended::NotApplicable("waiting cannot be tried");

/// Addresses of a range at which something may go wrong: ends, and pages within.
fn places(range: GuestRange, page: u64) -> [GuestPa; 5] {
    let (start, last) = (range.start(), range.last());
    let middle = offset(start, range.bytes() / 2);
    [start, offset(start, page.saturating_sub(1).min(range.bytes().saturating_sub(1))), middle, middle, last]
}

fn slot_at(embedder: &dyn Embedder, address: GuestPa) -> Result<Slot, Ended> {
    match embedder.platform().slot(address) {
        Some(slot) if slot.guest.contains(address) => Ok(slot),
        Some(slot) => broken!("for {address} the slot {:?} is named, which does not hold it", slot.guest),
        None => broken!("{address} is memory, and no slot is named"),
    }
}

pub(crate) fn slot_holds(embedder: &dyn Embedder) -> Checked {
    let machine = embedder.machine();
    for range in machine.memory {
        for address in places(*range, machine.page_bytes) {
            let slot = slot_at(embedder, address)?;
            for other in [slot.guest.start(), slot.guest.last()] {
                let named = slot_at(embedder, other)?;
                ensure!(
                    named == slot,
                    "{address} and {other} are in {:?}, and {:?} is named",
                    slot.guest,
                    named.guest
                );
            }
        }
    }
    Ok(())
}

pub(crate) fn slot_is_aligned(embedder: &dyn Embedder) -> Checked {
    let machine = embedder.machine();
    for range in machine.memory {
        let slot = slot_at(embedder, range.start())?;
        let parts = slot.guest.start().value() | slot.guest.bytes() | slot.host.value();
        let is_aligned = parts & machine.page_bytes.wrapping_sub(1) == 0;
        ensure!(is_aligned, "{slot:?} is not aligned to {:#x}", machine.page_bytes);
        ensure!(slot.host.checked_add(slot.guest.bytes()).is_some(), "{slot:?} ends behind all addresses");
    }
    Ok(())
}

pub(crate) fn nowhere_else(embedder: &dyn Embedder) -> Checked {
    for hole in embedder.machine().holes {
        let named = embedder.platform().slot(*hole);
        ensure!(named.is_none(), "{hole} is no memory, and {named:?} is named");
    }
    Ok(())
}

pub(crate) fn reads_slots(embedder: &dyn Embedder) -> Checked {
    let machine = embedder.machine();
    let mut buffer = [0; 64];
    for range in machine.memory {
        // Where a slot ends in the midst of memory another one goes on.
        let end = slot_at(embedder, range.start())?.guest.last();
        let seam = [GuestPa::new(end.value().saturating_sub(4))].into_iter().filter(|at| range.contains(*at));
        for address in places(*range, machine.page_bytes).into_iter().chain(seam) {
            for bytes in [1_u64, 2, 3, 4, 7, 8, 16, 31, 64] {
                let left = range.last().value().wrapping_sub(address.value()).saturating_add(1);
                let length = usize::try_from(bytes.min(left)).unwrap_or(1);
                let Some(into) = buffer.get_mut(..length) else { continue };
                match embedder.platform().read_memory(address, into) {
                    Ok(()) => {}
                    Err(_) if is_deaf(embedder, range.start()) => {
                        return Err(Ended::NotApplicable("the platform gives no memory away"));
                    }
                    Err(Unreadable(at)) => {
                        broken!("{length} bytes at {address} are memory, and {at} cannot be read")
                    }
                }
                compare(embedder, address, into)?;
            }
        }
    }
    Ok(())
}

/// Whether the platform reads nothing, as the default does.
fn is_deaf(embedder: &dyn Embedder, address: GuestPa) -> bool {
    embedder.platform().read_memory(address, &mut [0]).is_err()
}

fn compare(embedder: &dyn Embedder, address: GuestPa, seen: &[u8]) -> Checked {
    for (byte, place) in seen.iter().zip(0..) {
        let at = offset(address, place);
        let slot = slot_at(embedder, at)?;
        let from = at.offset_from(slot.guest.start()).and_then(|within| slot.host.checked_add(within));
        let mut there = [0];
        if !embedder.load(from.unwrap_or(HostPa::new(0)), &mut there) {
            return Err(Ended::NotApplicable("the memory of slots is out of reach"));
        }
        ensure!(there == [*byte], "read_memory says {byte:#x} for {at}, where {:#x} lies", there[0]);
    }
    Ok(())
}

pub(crate) fn names_the_hole(embedder: &dyn Embedder) -> Checked {
    let machine = embedder.machine();
    let readable = machine.memory.first().is_some_and(|range| !is_deaf(embedder, range.start()));
    if !readable {
        return Err(Ended::NotApplicable("the platform gives no memory away"));
    }
    for hole in machine.holes {
        let said = embedder.platform().read_memory(*hole, &mut [0; 8]);
        ensure!(said == Err(Unreadable(*hole)), "{hole} is no memory, and read_memory says {said:?}");
    }
    for range in machine.memory {
        let Some(behind) = range.last().checked_add(1) else { continue };
        if embedder.platform().slot(behind).is_some() {
            continue;
        }
        let start = GuestPa::new(behind.value().saturating_sub(8));
        let said = embedder.platform().read_memory(start, &mut [0; 16]);
        ensure!(
            said == Err(Unreadable(behind)),
            "memory ends before {behind}, and read_memory says {said:?}"
        );
    }
    Ok(())
}

pub(crate) fn in_kind(embedder: &dyn Embedder) -> Checked {
    let machine = embedder.machine();
    let ask = |address, size, operation| {
        embedder.platform().device(machine.vcpu, &DeviceAccess { address, size, operation })
    };
    for (address, size) in machine.devices {
        let read = ask(*address, *size, DeviceOperation::Read);
        let fits = matches!(read, None | Some(DeviceAnswer::Value(_)));
        ensure!(fits, "a read of the device at {address} is answered with {read:?}");
        let write = ask(*address, *size, DeviceOperation::Write(0));
        let fits = matches!(write, None | Some(DeviceAnswer::Done));
        ensure!(fits, "a write to the device at {address} is answered with {write:?}");
    }
    let Some(address) = machine.absent else { return Ok(()) };
    for operation in [DeviceOperation::Read, DeviceOperation::Write(0)] {
        let said = ask(address, xarch_abi::AccessSize::Word, operation);
        let fits = matches!(said, None | Some(DeviceAnswer::Absent));
        ensure!(fits, "there is no device at {address}, and {operation:?} is answered with {said:?}");
    }
    Ok(())
}

pub(crate) fn ends_a_wait(embedder: &dyn Embedder) -> Checked {
    let machine = embedder.machine();
    for _ in 0..8 {
        let mut woken = None;
        let threads =
            embedder.at_once(&mut || woken = embedder.wait(machine.vcpu, machine.patience), &mut || {
                let start = embedder.nanoseconds();
                // Long enough that the wait has begun, most of the time; before it begins a kick is as good.
                while embedder.nanoseconds().wrapping_sub(start) < 2_000_000 {
                    core::hint::spin_loop();
                }
                embedder.platform().kick(machine.vcpu);
            });
        match (threads, woken) {
            (Threads::One, _) => return Err(Ended::NotApplicable("the embedder under test has one thread")),
            (Threads::Two, None) => return Err(CANNOT_WAIT),
            (Threads::Two, Some(Woken::Kicked)) => {}
            (Threads::Two, Some(Woken::TooLate)) => {
                broken!("a kick did not end the wait of vCPU {}", machine.vcpu.0)
            }
        }
    }
    Ok(())
}

pub(crate) fn before_a_wait(embedder: &dyn Embedder) -> Checked {
    let machine = embedder.machine();
    embedder.platform().kick(machine.vcpu);
    match embedder.wait(machine.vcpu, machine.patience).ok_or(CANNOT_WAIT)? {
        Woken::Kicked => Ok(()),
        Woken::TooLate => {
            broken!("a kick came before the wait of vCPU {}, which it did not end", machine.vcpu.0)
        }
    }
}

pub(crate) fn requests_exit(embedder: &dyn Embedder) -> Checked {
    let vcpu = embedder.machine().vcpu;
    let cannot = || Ended::NotApplicable("requests to the back end cannot be seen");
    let before = embedder.exit_requests(vcpu).ok_or_else(cannot)?;
    embedder.platform().kick(vcpu);
    let after = embedder.exit_requests(vcpu).ok_or_else(cannot)?;
    ensure!(after > before, "a kick of vCPU {} asked the back end for nothing", vcpu.0);
    Ok(())
}
