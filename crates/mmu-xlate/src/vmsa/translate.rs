//! Both stages: what an access of any regime meets. Arm ARM, AArch64.FullTranslate.

use super::cache::{Details, Keeper, Key, Known, TableCache};
use super::explain::{Recorder, decided};
use super::fault::{Fault, Stage};
use super::implementation::Implementation;
use super::mapping::{Mapping, OutputAddress, Translation};
use super::params::Params;
use super::perm::{Access, Permissions};
use super::quick;
use super::registers::{Regime, Registers, Space};
use super::rule::Rule;
use super::source::{Bits, Fetched, Hardware, HardwareError, Place, Probe, Source, Stop, Writer, load, swap};
use super::stage1;
use super::stage2::{self, Answer, OnBehalf, Question};
use super::stage2_params::Stage2;
use crate::memory::{TableMemory, TableUpdate};
use arm_arch::bits::mask;
use arm_arch::{Ipa, Level, Va};

/// A translation regime whole: stage 1, and stage 2 where it has one. Arm ARM, AArch64.FullTranslate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translator {
    /// Stage 1.
    pub stage1: Params,
    /// Stage 2, of the EL1&0 regime with `HCR_EL2.VM` or `DC`.
    pub stage2: Option<Stage2>,
}

impl Translator {
    /// Reads the parameters of a regime. Arm ARM, AArch64.GetS1TTWParams, AArch64.GetS2TTWParams.
    #[must_use]
    pub fn new(regime: Regime, registers: &Registers, implementation: &Implementation) -> Self {
        let stage2 = match regime {
            Regime::El1And0 => Stage2::new(registers, implementation),
            Regime::El2And0 | Regime::El2 | Regime::El3 => None,
        };
        Self { stage1: Params::new(regime, registers, implementation), stage2 }
    }

    /// Translates an access, and writes nothing: what hardware would write goes to the recorder.
    /// Arm ARM, AArch64.FullTranslate.
    ///
    /// # Errors
    ///
    /// Only the memory's own: then there is neither a mapping nor a fault to report.
    #[inline]
    pub fn translate<A: OutputAddress, M: TableMemory<A>, R: Recorder>(
        &self,
        va: Va,
        access: Access,
        memory: &M,
        recorder: &mut R,
    ) -> Result<Translation<A>, M::Error> {
        if let Some(found) = self.quick::<A, M, R, _>(va, access, memory, &mut ())? {
            return Ok(found);
        }
        let mut hardware = Probe::<A, M, R>::new(memory, recorder);
        let found = self.run_in_full(va, access, Extent::Whole, &mut hardware, &mut ())?;
        stage1::checked(found, access, memory, recorder)
    }

    /// Translates as [`Self::translate`] does, and keeps what stage 2 says about the tables of stage 1 for the
    /// next time.
    ///
    /// # Errors
    ///
    /// As [`Self::translate`].
    #[inline]
    pub fn translate_cached<A: OutputAddress, M: TableMemory<A>, R: Recorder, const N: usize>(
        &self,
        va: Va,
        access: Access,
        memory: &M,
        recorder: &mut R,
        cache: &mut TableCache<N>,
    ) -> Result<Translation<A>, M::Error> {
        if let Some(found) = self.quick::<A, M, R, _>(va, access, memory, cache)? {
            return Ok(found);
        }
        let mut hardware = Probe::<A, M, R>::new(memory, recorder);
        let found = self.run_in_full(va, access, Extent::Whole, &mut hardware, cache)?;
        stage1::checked(found, access, memory, recorder)
    }

    /// Translates an access, and writes what hardware writes: access flags and dirty state.
    /// Arm ARM, AArch64.FullTranslate, AArch64.MemSwapTableDesc.
    ///
    /// # Errors
    ///
    /// As [`Self::translate`].
    #[inline]
    pub fn translate_updating<A: OutputAddress, M: TableUpdate<A>, R: Recorder>(
        &self,
        va: Va,
        access: Access,
        memory: &M,
        recorder: &mut R,
    ) -> Result<Translation<A>, M::Error> {
        if let Some(found) = self.quick::<A, M, R, _>(va, access, memory, &mut ())? {
            return Ok(found);
        }
        let mut hardware = Writer::<A, M, R>::new(memory, recorder);
        let found = self.run_in_full(va, access, Extent::Whole, &mut hardware, &mut ())?;
        stage1::checked(found, access, memory, recorder)
    }

    /// Translates as [`Self::translate_updating`] does, and keeps what stage 2 says about the tables of stage 1
    /// for the next time.
    ///
    /// # Errors
    ///
    /// As [`Self::translate`].
    #[inline]
    pub fn translate_updating_cached<A: OutputAddress, M: TableUpdate<A>, R: Recorder, const N: usize>(
        &self,
        va: Va,
        access: Access,
        memory: &M,
        recorder: &mut R,
        cache: &mut TableCache<N>,
    ) -> Result<Translation<A>, M::Error> {
        if let Some(found) = self.quick::<A, M, R, _>(va, access, memory, cache)? {
            return Ok(found);
        }
        let mut hardware = Writer::<A, M, R>::new(memory, recorder);
        let found = self.run_in_full(va, access, Extent::Whole, &mut hardware, cache)?;
        stage1::checked(found, access, memory, recorder)
    }

    /// Translates by stage 1 alone; stage 2 translates only the addresses of descriptors. The output
    /// address is an intermediate one. This is what AT S1* asks. Arm ARM, AArch64.AT.
    ///
    /// # Errors
    ///
    /// As [`Self::translate`].
    #[inline]
    pub fn translate_stage_1<A: OutputAddress, M: TableMemory<A>, R: Recorder>(
        &self,
        va: Va,
        access: Access,
        memory: &M,
        recorder: &mut R,
    ) -> Result<Translation<A>, M::Error> {
        if self.stage2.is_none() {
            return self.translate(va, access, memory, recorder);
        }
        self.run_in_full(va, access, Extent::Stage1, &mut Probe::<A, M, R>::new(memory, recorder), &mut ())
    }

    /// Translates the short way; `None` where the full walk must, above all where a recorder listens.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what it returns is large, and is to be made where it is wanted"
    )]
    fn quick<A: OutputAddress, M: TableMemory<A>, R: Recorder, K: Keeper>(
        &self,
        va: Va,
        access: Access,
        memory: &M,
        keeper: &mut K,
    ) -> Result<Option<Translation<A>>, M::Error> {
        if R::ACTIVE {
            return Ok(None);
        }
        match &self.stage2 {
            Some(stage2) => quick::both((&self.stage1, stage2), va.bits(), access, memory, keeper),
            None => quick::stage_1(&self.stage1, va.bits(), access, memory),
        }
    }

    /// Translates the long way.
    #[cold]
    #[inline(never)]
    fn run_in_full<A: OutputAddress, H: Hardware, K: Keeper>(
        &self,
        va: Va,
        access: Access,
        extent: Extent,
        hardware: &mut H,
        keeper: &mut K,
    ) -> Result<Translation<A>, H::Error> {
        let found = match (&self.stage2, extent) {
            (Some(stage2), Extent::Whole) => self.both(stage2, va, access, hardware, keeper),
            (Some(_), Extent::Stage1) | (None, _) => self.first(va, access, hardware, keeper),
        };
        match found {
            Ok(mapping) => Ok(Translation::Mapped(mapping)),
            Err(stop) => fault(stop, access, hardware.recorder()).map(Translation::Fault),
        }
    }

    fn first<A: OutputAddress, H: Hardware, K: Keeper>(
        &self,
        va: Va,
        access: Access,
        hardware: &mut H,
        keeper: &mut K,
    ) -> Result<Mapping<A>, Stop<H::Error>> {
        let mut source = Nested {
            stage2: self.stage2.as_ref(),
            hardware,
            keeper,
            big_endian: self.stage1.big_endian,
            access,
            high: va.bits() & 1 << 55 != 0,
        };
        stage1::resolve(&self.stage1, va, access, &mut source)
    }

    fn both<A: OutputAddress, H: Hardware, K: Keeper>(
        &self,
        stage2: &Stage2,
        va: Va,
        access: Access,
        hardware: &mut H,
        keeper: &mut K,
    ) -> Result<Mapping<A>, Stop<H::Error>> {
        let first: Mapping<Ipa> = self.first(va, access, hardware, keeper)?;
        let question = Question {
            ipa: first.output.bits(),
            space: first.space,
            access,
            on_behalf: OnBehalf::Access { attributes: first.attributes, assured: first.assured },
        };
        let second = stage2::resolve(stage2, question, hardware)?;
        Ok(combine(&first, &second))
    }
}

/// How far a translation goes.
#[derive(Clone, Copy)]
enum Extent {
    Stage1,
    Whole,
}

/// Makes a fault of what stopped a translation.
fn fault<E, R: Recorder>(stop: Stop<E>, access: Access, recorder: &mut R) -> Result<Fault, E> {
    stage1::finish(stop, access, recorder)
}

/// Returns the mapping of both stages: the meet of permissions, the smaller size.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what it takes and returns is large")]
pub(super) fn combine<A: OutputAddress>(first: &Mapping<Ipa>, second: &Answer) -> Mapping<A> {
    let flat = first.level.is_none();
    let second_held = second.permissions.union(Permissions::UNDER_PAN);
    Mapping {
        output: A::located(second.output, second.space),
        level: first.level.or(Some(second.level)),
        size_log2: if flat { second.size_log2 } else { first.size_log2.min(second.size_log2) },
        contiguous: second.contiguous && (flat || first.contiguous),
        attributes: second.attributes,
        permissions: first.permissions.intersection(second_held),
        not_global: first.not_global,
        guarded: first.guarded,
        clean: first.clean || second.clean,
        assured: first.assured,
        space: second.space,
        ipa: Some(first.output),
        update: None,
    }
}

/// Descriptors of stage 1 behind stage 2.
struct Nested<'p, 'h, H, K> {
    stage2: Option<&'p Stage2>,
    hardware: &'h mut H,
    keeper: &'h mut K,
    big_endian: bool,
    access: Access,
    /// The upper range of stage 1 is walked.
    high: bool,
}

impl<H: Hardware, K: Keeper> Nested<'_, '_, H, K> {
    /// Translates the address of a descriptor.
    #[inline]
    fn locate(&mut self, at: u64, space: Space, on_behalf: OnBehalf) -> Result<Located, Stop<H::Error>> {
        let Some(stage2) = self.stage2 else {
            return Ok(Located { at, space, mostly_read_only: false });
        };
        let question = Question { ipa: at, space, access: self.access, on_behalf };
        let key = match on_behalf {
            OnBehalf::Read { top } if K::ON => {
                let top = if stage2.tl0 || stage2.tl1 { top } else { None };
                Some(Key::new(at, stage2.vmid, top, (stage2.state, space)))
            }
            OnBehalf::Read { .. } | OnBehalf::Write | OnBehalf::Access { .. } => None,
        };
        if let Some(known) = key.and_then(|key| self.keeper.find(key)) {
            decided(self.hardware.recorder(), Stage::Two, None, Rule::FromCache);
            let Known { output, details: Details { space, mostly_read_only, .. } } = known;
            return Ok(Located { at: output | at & mask(12), space, mostly_read_only });
        }
        let answer = stage2::resolve(stage2, question, self.hardware)?;
        if let (Some(key), true) = (key, answer.settled) {
            self.keeper.keep(
                key,
                Known {
                    output: answer.output & !mask(12),
                    details: Details {
                        space: answer.space,
                        mostly_read_only: answer.mostly_read_only,
                        state: stage2.state,
                        ipa_space: space,
                        size_log2: answer.size_log2,
                        level: answer.level,
                        granule: stage2.tables(space).range.granule,
                    },
                },
            );
        }
        Ok(Located { at: answer.output, space: answer.space, mostly_read_only: answer.mostly_read_only })
    }
}

struct Located {
    at: u64,
    space: Space,
    mostly_read_only: bool,
}

impl<H: Hardware, K: Keeper> Source for Nested<'_, '_, H, K> {
    type Hardware = H;
    const NESTED: bool = true;

    #[inline]
    fn fetch<E: Bits>(
        &mut self,
        at: u64,
        space: Space,
        first: bool,
    ) -> Result<Fetched<E>, Stop<HardwareError<Self>>> {
        let top = first.then_some(self.high);
        let Located { at, space, mostly_read_only } = self.locate(at, space, OnBehalf::Read { top })?;
        load(self.hardware, at, space, self.big_endian, mostly_read_only)
    }

    #[inline]
    fn swap<E: Bits>(
        &mut self,
        (at, space): (u64, Space),
        level: Level,
        old: E,
        new: E,
    ) -> Result<(), Stop<HardwareError<Self>>> {
        let Located { at, space, .. } = self.locate(at, space, OnBehalf::Write)?;
        swap(self.hardware, Place { at, space, big_endian: self.big_endian }, level, old, new)
    }

    #[inline]
    fn recorder(&mut self) -> &mut H::Recorder {
        self.hardware.recorder()
    }
}
