//! From addresses to decoded blocks, and the links between those.

use super::{Exit, JUMPS, Pe, half};
use crate::block::{Code, Jump, MAX_OPS, Operation};
use crate::decode::{Decoder, NO_BRANCHES};
use crate::flow::Host;
use crate::ram::PagePtr;
use crate::syndrome;

impl<'m> Pe<'m> {
    /// Finds the block at `state.pc`, decoding it if need be, and links what waits for it. On failure
    /// an exception has been taken, or it is one to EL2.
    pub(super) fn find(&mut self, env: &dyn Host<'m>, alone: bool) -> Result<u32, Option<Exit>> {
        let link = self.link.take();
        if alone {
            return self.decode(env, true);
        }
        let pc = self.state.pc;
        let key = self.keys[half(pc)];
        let jump = &self.jumps()[(pc >> 2) as usize & (JUMPS - 1)];
        let known = jump.get();
        let start = if known.va == pc && known.key == key {
            known.start
        } else {
            let evictions = self.statistics.evictions;
            let start = self.decode(env, false)?;
            // It may have been a tagged address.
            let pc = self.state.pc;
            let jump = &self.jumps()[(pc >> 2) as usize & (JUMPS - 1)];
            jump.set(Jump { va: pc, start, key: self.keys[half(pc)] });
            if evictions != self.statistics.evictions {
                return Ok(start);
            }
            start
        };
        if let Some(at) = link {
            self.connect(at, start);
        }
        Ok(start)
    }

    /// Makes a stub, or the branch it belongs to, name the block that it leads to.
    fn connect(&mut self, at: usize, start: u32) {
        let ops = self.store.ops();
        let Some(stub) = ops.get(at) else { return };
        let op = stub.get();
        if op.code == Code::Stub && op.b == 1 {
            if let Some(branch) = ops.get(at.wrapping_sub(usize::from(op.off))) {
                let op = branch.get();
                branch.set(Operation { imm: op.imm & !0xffff_ffff | u64::from(start), ..op });
            }
        } else {
            let key = self.keys[usize::from(op.a & 1)];
            stub.set(Operation { code: Code::Cross, imm: u64::from(key) << 32 | u64::from(start), ..op });
        }
    }

    /// Finds the block at `state.pc` by its absolute page, or decodes it; `alone`: one instruction,
    /// not kept.
    fn decode(&mut self, env: &dyn Host<'m>, alone: bool) -> Result<u32, Option<Exit>> {
        let tcr = self.state.sys.tcr_el1;
        self.state.pc =
            arm_arch::exception::branch_address(self.state.pc, arm_arch::sysreg::TcrEl1::from_bits(tcr));
        let pc = self.state.pc;
        if pc & 3 != 0 {
            self.exception(syndrome::PC_ALIGNMENT, Some(pc));
            return Err(None);
        }
        let Some((page, absolute)) = self.fetch(env, pc) else {
            return Err(self.abort.take().and_then(|abort| self.report(abort)));
        };
        let (absolute, context) = (absolute.bits(), self.context.0);
        if !alone {
            if let Some(start) = self.store.find(absolute, pc, context) {
                return Ok(start);
            }
        }
        if !self.store.has_room() {
            self.drop_blocks();
            self.statistics.evictions += 1;
        }
        self.decode_page(page, absolute, pc, alone).ok_or(None)
    }

    /// Decodes a block that was fetched. Not part of its caller: the decoder's state is large, and need not lie on the
    /// stack while the page is looked for.
    #[inline(never)]
    fn decode_page(&mut self, page: PagePtr<'_>, absolute: u64, pc: u64, alone: bool) -> Option<u32> {
        let context = self.context.0;
        let free = self.store.free();
        let first = free as u32 + 1;
        let ops = self.store.ops().get(free..).unwrap_or_default();
        let mut branches = NO_BRANCHES;
        let decoder = Decoder::new(ops, &mut self.functions, &mut branches, pc, self.context)?;
        let store = &self.store;
        let limit = if alone { 1 } else { MAX_OPS };
        let known = |va| if alone { None } else { store.find(absolute, va, context) };
        let used = decoder.decode(page, limit, first, known);
        if !alone {
            self.statistics.decoded += 1;
            self.store.add(absolute, pc, context, free + used);
        }
        Some(first)
    }

    /// Drops every decoded block, and with them everything that names one.
    pub(super) fn drop_blocks(&mut self) {
        self.store.clear();
        self.link = None;
        for jump in self.jumps() {
            jump.set(Jump::default());
        }
    }
}
