//! How walks reach descriptors: memory with or without the right to write, and a stage in between.

use super::explain::{Recorder, Step};
use super::fault::Fault;
use super::gpc::GranuleRefusal;
use super::mapping::{OutputAddress, Update};
use super::registers::Space;
use crate::memory::{Swap, TableMemory, TableUpdate};
use arm_arch::{FaultStatus, Level};
use core::marker::PhantomData;

/// Why a walk does not go on.
#[derive(Debug)]
pub(super) enum Stop<E> {
    /// A fault of the stage that walks; it knows the rest.
    Status(FaultStatus),
    /// A fault, complete.
    Fault(Fault),
    /// The host failed.
    Host(E),
    /// Granule protection keeps a descriptor of this level from the walk.
    Granule(Level, GranuleRefusal),
    /// A descriptor changed under a hardware update: the stage starts again.
    Lost,
}

/// Memory as the walks of both stages share it, and the recorder.
pub(super) trait Hardware {
    /// A failure of the host.
    type Error;
    /// Who listens.
    type Recorder: Recorder;
    /// Updates reach memory.
    const WRITES: bool;

    fn load(&mut self, at: u64, space: Space) -> Result<Option<[u8; 8]>, Self::Error>;
    fn load_pair(&mut self, at: u64, space: Space) -> Result<Option<[[u8; 8]; 2]>, Self::Error>;
    fn swap(&mut self, at: u64, space: Space, old: [u8; 8], new: [u8; 8]) -> Result<Swap, Self::Error>;
    fn swap_pair(
        &mut self,
        at: u64,
        space: Space,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Self::Error>;
    /// Asks for the right to access a place.
    fn granule(&mut self, at: u64, space: Space) -> Result<Option<GranuleRefusal>, Self::Error>;
    fn recorder(&mut self) -> &mut Self::Recorder;
}

/// Asks memory for the right to access a place; tells the recorder. Arm ARM, GranuleProtectionCheck.
#[inline]
pub(super) fn granule<A, M: TableMemory<A>, R: Recorder>(
    at: A,
    memory: &M,
    recorder: &mut R,
) -> Result<Option<GranuleRefusal>, M::Error> {
    let Some(report) = memory.granule(at)? else { return Ok(None) };
    if R::ACTIVE {
        recorder.record(Step::Granule(report));
    }
    Ok(report.refusal())
}

/// Memory that a walk only reads: updates are recorded, and count as done.
#[derive(Debug)]
pub(super) struct Probe<'a, A, M, R> {
    memory: &'a M,
    recorder: &'a mut R,
    address: PhantomData<A>,
}

impl<'a, A, M, R> Probe<'a, A, M, R> {
    #[inline]
    pub(super) const fn new(memory: &'a M, recorder: &'a mut R) -> Self {
        Self { memory, recorder, address: PhantomData }
    }
}

/// Returns the second half of a 16-byte entry.
#[inline]
fn second<A: OutputAddress>(at: u64, space: Space) -> A {
    A::located(at.wrapping_add(8), space)
}

impl<A: OutputAddress, M: TableMemory<A>, R: Recorder> Hardware for Probe<'_, A, M, R> {
    type Error = M::Error;
    type Recorder = R;
    const WRITES: bool = false;

    #[inline]
    fn load(&mut self, at: u64, space: Space) -> Result<Option<[u8; 8]>, M::Error> {
        self.memory.load(A::located(at, space))
    }

    #[inline]
    fn load_pair(&mut self, at: u64, space: Space) -> Result<Option<[[u8; 8]; 2]>, M::Error> {
        self.memory.load_pair(A::located(at, space), second(at, space))
    }

    #[inline]
    fn swap(&mut self, _: u64, _: Space, _: [u8; 8], _: [u8; 8]) -> Result<Swap, M::Error> {
        Ok(Swap::Done)
    }

    #[inline]
    fn swap_pair(&mut self, _: u64, _: Space, _: [[u8; 8]; 2], _: [[u8; 8]; 2]) -> Result<Swap, Self::Error> {
        Ok(Swap::Done)
    }

    #[inline]
    fn granule(&mut self, at: u64, space: Space) -> Result<Option<GranuleRefusal>, M::Error> {
        granule(A::located(at, space), self.memory, self.recorder)
    }

    #[inline]
    fn recorder(&mut self) -> &mut R {
        self.recorder
    }
}

/// Memory that a walk updates.
#[derive(Debug)]
pub(super) struct Writer<'a, A, M, R> {
    memory: &'a M,
    recorder: &'a mut R,
    address: PhantomData<A>,
}

impl<'a, A, M, R> Writer<'a, A, M, R> {
    #[inline]
    pub(super) const fn new(memory: &'a M, recorder: &'a mut R) -> Self {
        Self { memory, recorder, address: PhantomData }
    }
}

impl<A: OutputAddress, M: TableUpdate<A>, R: Recorder> Hardware for Writer<'_, A, M, R> {
    type Error = M::Error;
    type Recorder = R;
    const WRITES: bool = true;

    #[inline]
    fn load(&mut self, at: u64, space: Space) -> Result<Option<[u8; 8]>, M::Error> {
        self.memory.load(A::located(at, space))
    }

    #[inline]
    fn load_pair(&mut self, at: u64, space: Space) -> Result<Option<[[u8; 8]; 2]>, M::Error> {
        self.memory.load_pair(A::located(at, space), second(at, space))
    }

    #[inline]
    fn swap(&mut self, at: u64, space: Space, old: [u8; 8], new: [u8; 8]) -> Result<Swap, M::Error> {
        self.memory.compare_exchange(A::located(at, space), old, new)
    }

    #[inline]
    fn swap_pair(
        &mut self,
        at: u64,
        space: Space,
        old: [[u8; 8]; 2],
        new: [[u8; 8]; 2],
    ) -> Result<Swap, Self::Error> {
        self.memory.compare_exchange_pair(A::located(at, space), old, new)
    }

    #[inline]
    fn granule(&mut self, at: u64, space: Space) -> Result<Option<GranuleRefusal>, M::Error> {
        granule(A::located(at, space), self.memory, self.recorder)
    }

    #[inline]
    fn recorder(&mut self) -> &mut R {
        self.recorder
    }
}

/// One descriptor, 64 or 128 bits.
pub(super) trait Bits: Copy {
    /// Binary logarithm of its bytes.
    const LOG2: u32;

    fn load<H: Hardware>(
        hardware: &mut H,
        at: u64,
        space: Space,
        big_endian: bool,
    ) -> Result<Option<Self>, H::Error>;

    fn swap<H: Hardware>(hardware: &mut H, place: Place, old: Self, new: Self) -> Result<Swap, H::Error>;

    /// Returns the low 64 bits.
    fn low(self) -> u64;

    /// Returns it as the recorder has it.
    fn wide(self) -> u128;

    /// Returns the address of the doubleword with the low 64 bits.
    fn low_at(at: u64, big_endian: bool) -> u64;
}

/// Where a descriptor lies, in the address space that memory is asked in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) space: Space,
    pub(super) big_endian: bool,
}

#[inline]
fn ordered(bytes: [u8; 8], big_endian: bool) -> u64 {
    if big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) }
}

#[inline]
fn stored(value: u64, big_endian: bool) -> [u8; 8] {
    if big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
}

/// Returns the halves of a 16-byte entry as they lie in memory.
fn halves(value: u128, big_endian: bool) -> [[u8; 8]; 2] {
    let low = stored(arm_arch::bits::trunc64(value), big_endian);
    let high = stored(arm_arch::bits::trunc64(value >> 64), big_endian);
    if big_endian { [high, low] } else { [low, high] }
}

impl Bits for u64 {
    const LOG2: u32 = 3;

    #[inline]
    fn load<H: Hardware>(
        hardware: &mut H,
        at: u64,
        space: Space,
        big_endian: bool,
    ) -> Result<Option<Self>, H::Error> {
        Ok(hardware.load(at, space)?.map(|bytes| ordered(bytes, big_endian)))
    }

    #[inline]
    fn swap<H: Hardware>(hardware: &mut H, place: Place, old: Self, new: Self) -> Result<Swap, H::Error> {
        let Place { at, space, big_endian } = place;
        hardware.swap(at, space, stored(old, big_endian), stored(new, big_endian))
    }

    #[inline]
    fn low(self) -> u64 {
        self
    }

    fn wide(self) -> u128 {
        self.into()
    }

    #[inline]
    fn low_at(at: u64, _: bool) -> u64 {
        at
    }
}

impl Bits for u128 {
    const LOG2: u32 = 4;

    #[inline]
    fn load<H: Hardware>(
        hardware: &mut H,
        at: u64,
        space: Space,
        big_endian: bool,
    ) -> Result<Option<Self>, H::Error> {
        let Some([first, second]) = hardware.load_pair(at, space)? else { return Ok(None) };
        let (low, high) = if big_endian { (second, first) } else { (first, second) };
        let high = Self::from(ordered(high, big_endian));
        Ok(Some(Self::from(ordered(low, big_endian)) | high << 64))
    }

    fn swap<H: Hardware>(hardware: &mut H, place: Place, old: Self, new: Self) -> Result<Swap, H::Error> {
        let Place { at, space, big_endian } = place;
        hardware.swap_pair(at, space, halves(old, big_endian), halves(new, big_endian))
    }

    #[inline]
    fn low(self) -> u64 {
        arm_arch::bits::trunc64(self)
    }

    fn wide(self) -> u128 {
        self
    }

    fn low_at(at: u64, big_endian: bool) -> u64 {
        if big_endian { at.wrapping_add(8) } else { at }
    }
}

/// What a source gives for an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetched<E> {
    /// The descriptor; `None` where there is no memory, or no right to it.
    pub(super) entry: Option<E>,
    /// Granule protection refuses it.
    pub(super) refusal: Option<GranuleRefusal>,
    /// Stage 2 lets only walks write it ("mostly read-only"). FEAT_THE.
    pub(super) mostly_read_only: bool,
}

/// Where the descriptors of a stage come from.
pub(super) trait Source {
    /// What is behind it.
    type Hardware: Hardware;
    /// Another stage is in between.
    const NESTED: bool;

    /// Reads the descriptor at an address of the stage's output space.
    fn fetch<E: Bits>(
        &mut self,
        at: u64,
        space: Space,
        first: bool,
    ) -> Result<Fetched<E>, Stop<HardwareError<Self>>>;

    /// Writes a descriptor, of a level, if it still is what was read.
    fn swap<E: Bits>(
        &mut self,
        at: (u64, Space),
        level: Level,
        old: E,
        new: E,
    ) -> Result<(), Stop<HardwareError<Self>>>;

    fn recorder(&mut self) -> &mut <Self::Hardware as Hardware>::Recorder;
}

/// The host's error behind a source.
pub(super) type HardwareError<S> = <<S as Source>::Hardware as Hardware>::Error;

/// The output space is what memory is asked in.
#[derive(Debug)]
pub(super) struct Direct<'h, H> {
    pub(super) hardware: &'h mut H,
    pub(super) big_endian: bool,
}

impl<H: Hardware> Source for Direct<'_, H> {
    type Hardware = H;
    const NESTED: bool = false;

    #[inline]
    fn fetch<E: Bits>(&mut self, at: u64, space: Space, _: bool) -> Result<Fetched<E>, Stop<H::Error>> {
        load(self.hardware, at, space, self.big_endian, false)
    }

    #[inline]
    fn swap<E: Bits>(
        &mut self,
        (at, space): (u64, Space),
        level: Level,
        old: E,
        new: E,
    ) -> Result<(), Stop<H::Error>> {
        swap(self.hardware, Place { at, space, big_endian: self.big_endian }, level, old, new)
    }

    #[inline]
    fn recorder(&mut self) -> &mut H::Recorder {
        self.hardware.recorder()
    }
}

/// Reads a descriptor from memory, where granule protection lets it.
#[inline]
pub(super) fn load<H: Hardware, E: Bits>(
    hardware: &mut H,
    at: u64,
    space: Space,
    big_endian: bool,
    mostly_read_only: bool,
) -> Result<Fetched<E>, Stop<H::Error>> {
    if let Some(refusal) = hardware.granule(at, space).map_err(Stop::Host)? {
        return Ok(Fetched { entry: None, refusal: Some(refusal), mostly_read_only });
    }
    let entry = E::load(hardware, at, space, big_endian).map_err(Stop::Host)?;
    Ok(Fetched { entry, refusal: None, mostly_read_only })
}

/// Writes a descriptor in memory. Arm ARM, AArch64.MemSwapTableDesc.
#[inline]
pub(super) fn swap<H: Hardware, E: Bits>(
    hardware: &mut H,
    place: Place,
    level: Level,
    old: E,
    new: E,
) -> Result<(), Stop<H::Error>> {
    if let Some(refusal) = hardware.granule(place.at, place.space).map_err(Stop::Host)? {
        return Err(Stop::Granule(level, refusal));
    }
    match E::swap(hardware, place, old, new).map_err(Stop::Host)? {
        Swap::Done => {}
        Swap::Lost => return Err(Stop::Lost),
        Swap::Unsupported => return Err(Stop::Status(FaultStatus::UnsupportedAtomicUpdate)),
    }
    if H::Recorder::ACTIVE {
        let Place { at, big_endian, .. } = place;
        let (at, old, new) = (E::low_at(at, big_endian), old.low(), new.low());
        hardware.recorder().record(Step::Update(Update { at, old, new, big_endian }));
    }
    Ok(())
}
