//! How an input is laid out: each one says its fields once, to whoever reads or writes them.

use arbitrary::Unstructured;

/// Whoever goes over the fields of an input, in order.
pub trait Codec {
    /// A byte.
    fn byte(&mut self, value: &mut u8);

    /// Whether anything may follow.
    fn more(&mut self, left: usize) -> bool;

    /// Bytes of a number, the least significant first.
    fn word(&mut self, value: &mut u64) {
        let mut bytes = value.to_le_bytes();
        bytes.iter_mut().for_each(|byte| self.byte(byte));
        *value = u64::from_le_bytes(bytes);
    }

    /// The same of 32 bits.
    fn half(&mut self, value: &mut u32) {
        let mut bytes = value.to_le_bytes();
        bytes.iter_mut().for_each(|byte| self.byte(byte));
        *value = u32::from_le_bytes(bytes);
    }

    /// The same of 128 bits.
    fn wide(&mut self, value: &mut u128) {
        let mut bytes = value.to_le_bytes();
        bytes.iter_mut().for_each(|byte| self.byte(byte));
        *value = u128::from_le_bytes(bytes);
    }

    /// Elements to the end of the input.
    fn rest<T: Default>(&mut self, list: &mut Vec<T>, limit: usize, each: impl Fn(&mut Self, &mut T))
    where
        Self: Sized,
    {
        let mut at = 0;
        while at < limit && self.more(list.len() - at.min(list.len())) {
            if at == list.len() {
                list.push(T::default());
            }
            each(self, &mut list[at]);
            at += 1;
        }
    }
}

/// Reads what a fuzzer made up; zeros beyond its end.
struct Reader<'u, 'd>(&'u mut Unstructured<'d>);

impl Codec for Reader<'_, '_> {
    fn byte(&mut self, value: &mut u8) {
        *value = self.0.arbitrary().unwrap_or(0);
    }

    fn word(&mut self, value: &mut u64) {
        *value = self.0.arbitrary().unwrap_or(0);
    }

    fn wide(&mut self, value: &mut u128) {
        *value = self.0.arbitrary().unwrap_or(0);
    }

    fn more(&mut self, _: usize) -> bool {
        !self.0.is_empty()
    }
}

/// Writes seeds.
struct Writer(Vec<u8>);

impl Codec for Writer {
    fn byte(&mut self, value: &mut u8) {
        self.0.push(*value);
    }

    fn more(&mut self, left: usize) -> bool {
        left > 0
    }
}

/// What a target gets.
pub trait Input: Default + Clone {
    /// Goes over the fields.
    fn fields<C: Codec>(&mut self, codec: &mut C);

    /// Reads an input.
    fn read(input: &mut Unstructured<'_>) -> Self {
        let mut new = Self::default();
        new.fields(&mut Reader(input));
        new
    }

    /// Writes an input, as [`Self::read`] reads it.
    fn write(&self) -> Vec<u8> {
        let mut writer = Writer(Vec::new());
        self.clone().fields(&mut writer);
        writer.0
    }
}

/// Makes an input one of `arbitrary`'s.
macro_rules! arbitrary_input {
    ($name:ty) => {
        impl<'a> arbitrary::Arbitrary<'a> for $name {
            fn arbitrary(input: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
                Ok($crate::codec::Input::read(input))
            }
        }
    };
}
pub(crate) use arbitrary_input;
