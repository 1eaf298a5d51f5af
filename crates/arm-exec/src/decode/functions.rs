//! The functions of SIMD instructions, by number.

use crate::simd::SimdOp;

/// A function that executes SIMD instructions, known by its place in a table of the caller's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Function(Option<SimdOp>);

/// Where functions of SIMD instructions are kept, so that an operation can name one by number.
#[derive(Debug)]
pub(crate) struct Functions<'m>(&'m mut [Function]);

impl<'m> Functions<'m> {
    pub(crate) fn new(memory: &'m mut [Function]) -> Self {
        memory.fill(Function(None));
        Self(memory)
    }

    /// Returns the function of that number.
    #[inline(always)]
    pub(crate) fn get(&self, number: usize) -> Option<SimdOp> {
        self.0.get(number)?.0
    }

    /// Returns the number of a function, remembering it; a number that names none when there is no
    /// place left.
    pub(super) fn number(&mut self, function: SimdOp) -> usize {
        let length = self.0.len();
        let first = address(function).wrapping_mul(0x9e37_79b1) >> 8;
        for step in 0..length {
            let number = first.wrapping_add(step) % length;
            match &mut self.0[number].0 {
                free @ None => {
                    *free = Some(function);
                    return number;
                }
                Some(known) if address(*known) == address(function) => return number,
                Some(_) => {}
            }
        }
        length
    }
}

fn address(function: SimdOp) -> usize {
    match function {
        SimdOp::Data(f) => f as usize,
        SimdOp::Flags(f) => f as usize,
    }
}
