//! The module as the platform that the library asks: its slots, its device, its kicks, and how its vCPUs wait.

use crate::c::{self, Functions, VmHandle};
use crate::{PATIENCE, RAM, a64};
use xarch_abi::{
    AccessSize, DeviceAccess, DeviceAnswer, DeviceOperation, GuestPa, GuestRange, HostPa, PAGE_BYTES,
    Platform, Slot, VcpuIndex, Writable,
};
use xarch_conformance::{Embedder, Machine, Threads, Woken};

const PAGE: u64 = PAGE_BYTES;
/// Guest address, bytes and place of each region: two that touch, the other way round in the client's memory, and one alone.
const REGIONS: [(u64, u64, u64); 3] =
    [(RAM, 4 * PAGE, 4 * PAGE), (RAM + 4 * PAGE, 2 * PAGE, 0), (2 * RAM, PAGE, 9 * PAGE)];

#[expect(clippy::panic, reason = "in constants, where it is an error of the compiler's")]
const fn range(start: u64, bytes: u64) -> GuestRange {
    match GuestRange::new(GuestPa::new(start), bytes) {
        Some(range) => range,
        None => panic!("the ranges here are some"),
    }
}

const MEMORY: [GuestRange; 2] = [const { range(RAM, 6 * PAGE) }, const { range(2 * RAM, PAGE) }];
const HOLES: [GuestPa; 4] =
    [GuestPa::new(0), GuestPa::new(RAM - 1), GuestPa::new(RAM + 6 * PAGE), GuestPa::new(2 * RAM + PAGE)];
const DEVICES: [(GuestPa, AccessSize); 2] =
    [(GuestPa::new(0x0900_0000), AccessSize::Word), (GuestPa::new(0x0900_0ff8), AccessSize::Double)];

/// Makes a VM with regions and a guest that waits for ever, and shows the module to `then`. `None` if it cannot be made.
pub(crate) fn with<R>(kernel: &Functions, then: impl FnOnce(&dyn Embedder) -> R) -> Option<R> {
    let vm = kernel.make_vm(1)?;
    let made =
        REGIONS.iter().all(|(guest, bytes, place)| kernel.add_region(&vm, *guest, *bytes, *place, 0) == 0);
    let mut code = [0; 8];
    for (place, word) in code.chunks_exact_mut(4).zip([a64::WFI, a64::b(-1)]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    // The first region's place.
    kernel.stored(&vm, 4 * PAGE, &code);
    let is_ready = made && kernel.started(&vm, 0, RAM) == 0;
    let result = is_ready.then(|| then(&Module { kernel, vm: &vm }));
    kernel.end_vm(vm);
    result
}

/// The module, and one of its VMs.
struct Module<'k> {
    kernel: &'k Functions,
    vm: &'k VmHandle,
}

impl Platform for Module<'_> {
    fn slot(&self, address: GuestPa) -> Option<Slot> {
        let found = self.kernel.slot_of(self.vm, address.value())?;
        let guest = GuestRange::new(GuestPa::new(found.guest), found.bytes)?;
        let writable = if found.read_only == 0 { Writable::Yes } else { Writable::No };
        Some(Slot { guest, host: HostPa::new(found.host), writable })
    }

    fn device(&self, vcpu: VcpuIndex, access: &DeviceAccess) -> Option<DeviceAnswer> {
        let (is_write, value) = match access.operation {
            DeviceOperation::Read => (0, 0),
            DeviceOperation::Write(value) => (1, value),
        };
        let bytes = u32::try_from(access.size.bytes()).unwrap_or(8);
        let said =
            self.kernel.device(self.vm, u32::from(vcpu.0), access.address.value(), bytes, is_write, value);
        match said {
            c::LATER => None,
            0 if is_write != 0 => Some(DeviceAnswer::Done),
            0 => Some(DeviceAnswer::Value(0)),
            _ => Some(DeviceAnswer::Absent),
        }
    }

    fn kick(&self, vcpu: VcpuIndex) {
        self.kernel.kicked(self.vm, u32::from(vcpu.0));
    }
}

impl Embedder for Module<'_> {
    fn machine(&self) -> Machine<'_> {
        Machine {
            page_bytes: PAGE,
            memory: &MEMORY,
            holes: &HOLES,
            devices: &DEVICES,
            absent: None,
            vcpu: VcpuIndex(0),
            patience: PATIENCE,
        }
    }

    fn platform(&self) -> &dyn Platform {
        self
    }

    fn load(&self, _: HostPa, _: &mut [u8]) -> bool {
        // Nobody asks: the module gives no memory away, and the library reads it itself.
        false
    }

    fn wait(&self, vcpu: VcpuIndex, nanoseconds: u64) -> Option<Woken> {
        let is_kicked = self.kernel.waited(self.vm, u32::from(vcpu.0), nanoseconds) != 0;
        Some(if is_kicked { Woken::Kicked } else { Woken::TooLate })
    }

    fn exit_requests(&self, vcpu: VcpuIndex) -> Option<u64> {
        // The guest waits at once; a run that is interrupted before had been asked to end.
        Some(u64::from(self.kernel.slices(self.vm, u32::from(vcpu.0))))
    }

    fn nanoseconds(&self) -> u64 {
        self.kernel.nanoseconds()
    }

    fn at_once(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) -> Threads {
        self.kernel.at_once(first, second)
    }
}
