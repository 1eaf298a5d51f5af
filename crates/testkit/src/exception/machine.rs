//! The reference's processing element, as its ID registers announce it.

use arm_arch::debug::DebugUnit;
use arm_arch::feature::{Feature, Features, IdRegisters};
use arm_arch::pstate::PStateMask;
use arm_arch::sysreg::SysRegId;

/// Words that the reference writes about itself: 32 ID registers, and whether its interrupts have superpriority.
pub const MACHINE_WORDS: usize = 33;

/// What decides about exceptions and does not change.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The words it was made from.
    pub words: [u64; MACHINE_WORDS],
    /// What it announces.
    pub features: Features,
    /// The bits of PSTATE it has.
    pub mask: PStateMask,
    /// Its debug unit.
    pub unit: DebugUnit,
    /// How many breakpoints there are.
    pub breakpoints: usize,
    /// How many watchpoints there are.
    pub watchpoints: usize,
    /// It has the double lock. FEAT_DoubleLock.
    pub double_lock: bool,
}

impl Machine {
    /// Reads what the reference says of itself.
    #[must_use]
    pub fn of(words: [u64; MACHINE_WORDS]) -> Self {
        let mut ids = IdRegisters::default();
        for (at, &value) in words[..32].iter().enumerate() {
            let _ = ids.set(SysRegId::new(3, 0, 0, 4 + at as u8 / 8, at as u8 % 8), value);
        }
        let features = Features::of(&ids);
        let dfr0 = ids.dfr0();
        let has = |feature| features.has(feature);
        Self {
            words,
            mask: features.pstate_mask(),
            unit: DebugUnit {
                context_aware: usize::from(dfr0.ctx_cmps()) + 1,
                // FEAT_ABLE has ranges too.
                ranges: has(Feature::BWE) || has(Feature::ABLE),
                linked_addresses: has(Feature::ABLE),
                el2_contexts: has(Feature::VHE),
                aarch32_el0: has(Feature::AA32EL0),
                address_top: if has(Feature::LVA) { 52 } else { 48 },
                has_el2: true,
                has_el3: true,
                secure_el2: has(Feature::SEL2),
            },
            breakpoints: usize::from(dfr0.brps()) + 1,
            watchpoints: usize::from(dfr0.wrps()) + 1,
            double_lock: dfr0.doublelock() == 0,
            features,
        }
    }

    /// Whether the machine has a feature.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }
}
