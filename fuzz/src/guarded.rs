//! Memory behind granule protection, for `vmsa_walk`: one that refuses a question by its number.

use crate::memory::{Failed, View, key};
use mmu_xlate::TableMemory;
use mmu_xlate::vmsa::{
    GranuleCheck, GranuleExtent, GranuleFault, GranuleLevel, GranuleReason, GranuleReport, Located,
};
use std::cell::RefCell;

/// Notes what a walk asks, and refuses one question.
pub struct Refusing<'v> {
    /// Memory itself.
    pub view: &'v View<'v>,
    /// Which question, from 0.
    pub refused: usize,
    /// All of them: the place, and how many loads there were before.
    pub asked: RefCell<Vec<(Located, usize)>>,
}

impl<'v> Refusing<'v> {
    /// Returns memory that refuses a question.
    #[must_use]
    pub fn new(view: &'v View<'v>, refused: usize) -> Self {
        Self { view, refused, asked: RefCell::default() }
    }
}

/// The fault of the question that is refused.
pub const FAULT: GranuleFault = GranuleFault { reason: GranuleReason::Denied, level: GranuleLevel::L1 };

impl TableMemory<Located> for Refusing<'_> {
    type Error = Failed;

    fn load(&self, at: Located) -> Result<Option<[u8; 8]>, Failed> {
        self.was_asked(at);
        self.view.load(at)
    }

    fn load_pair(&self, at: Located, second: Located) -> Result<Option<[[u8; 8]; 2]>, Failed> {
        self.was_asked(at);
        self.view.load_pair(at, second)
    }

    fn granule(&self, at: Located) -> Result<Option<GranuleReport>, Failed> {
        let number = self.asked.borrow().len();
        self.asked.borrow_mut().push((at, self.view.log.borrow().len()));
        let check = if number == self.refused {
            GranuleCheck::Fault(FAULT)
        } else {
            GranuleCheck::Passed(GranuleExtent::Entry { size_log2: 12 })
        };
        Ok(Some(GranuleReport { at, entries: [None; 2], check }))
    }
}

impl Refusing<'_> {
    /// Asserts that the last question was about what is read now, and was not refused.
    fn was_asked(&self, at: Located) {
        let asked = self.asked.borrow();
        let last = asked.last().map(|(place, _)| key(*place));
        assert_eq!(last, Some(key(at)), "read without a question");
        assert!(asked.len() != self.refused.wrapping_add(1), "read in spite of a refusal");
    }
}
