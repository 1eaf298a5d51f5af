//! Guests that behave.

use crate::guest::{Program, a64::*, numbers, taken};
use crate::session::{Session, boot};

#[test]
fn a_guest_says_hello_and_powers_off() {
    let mut guest = Program::new();
    guest.say("hello\n");
    guest.power_off();
    assert_eq!(boot(&guest.image(), &[]).out, "hello\n");
}
