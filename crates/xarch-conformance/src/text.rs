//! What was seen, in words, without an allocator.

use core::fmt;

/// A text of at most so many bytes. What does not fit is cut off.
#[derive(Clone, Copy)]
pub struct Text<const ROOM: usize = 160> {
    bytes: [u8; ROOM],
    used: usize,
}

impl<const ROOM: usize> Text<ROOM> {
    /// Returns the text that `arguments` make.
    #[must_use]
    pub fn new(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self { bytes: [0; ROOM], used: 0 };
        // The only error is that of a value which cannot be shown; what there is then is shown.
        let _ = fmt::write(&mut text, arguments);
        text
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.used).unwrap_or_default();
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => bytes
                .get(..error.valid_up_to())
                .and_then(|valid| core::str::from_utf8(valid).ok())
                .unwrap_or_default(),
        }
    }
}

impl<const ROOM: usize> fmt::Write for Text<ROOM> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.used) {
                *place = byte;
                self.used = self.used.saturating_add(1);
            }
        }
        Ok(())
    }
}

impl<const ROOM: usize> fmt::Display for Text<ROOM> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const ROOM: usize> fmt::Debug for Text<ROOM> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    const ROOM: usize = 160;

    #[test]
    fn a_long_text_is_cut_where_a_character_ends() {
        let text = Text::<ROOM>::new(format_args!("{}ä", "a".repeat(ROOM - 1)));
        assert_eq!(text.as_str(), "a".repeat(ROOM - 1));
        assert_eq!(Text::<ROOM>::new(format_args!("{}", "ä".repeat(ROOM))).as_str(), "ä".repeat(ROOM / 2));
        assert_eq!(Text::<8>::new(format_args!("seen {:#x}", 16)).as_str(), "seen 0x1");
    }
}
