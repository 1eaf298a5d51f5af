//! Mistakes on demand: each makes a program check of this program, which has to be reported for what it is.

use crate::fail;
use crate::hw::mistakes;

/// Makes mistake `number`; does not come back from one.
pub fn run(number: u64) -> ! {
    match number {
        1 => mistakes::operation(),
        2 => mistakes::privileged(),
        3 => mistakes::execute(),
        4 => mistakes::store_to_text(),
        5 => mistakes::store_low(),
        6 => mistakes::jump_to_data(),
        7 => mistakes::beyond_storage(),
        8 => mistakes::alignment(),
        9 => mistakes::data(),
        10 => mistakes::divide(),
        // No segment, a page that is never given back, no region, and more than tables can translate.
        11 => mistakes::load_from(0x7000_0000),
        12 => {
            mistakes::overflow(0);
        }
        13 => mistakes::load_from(3 << 31),
        14 => mistakes::load_from(1 << 60),
        // Instructions of the facility: where it is not, and where it is but does not like what it is given.
        15 => mistakes::sae(),
        16 => mistakes::sasr(),
        17 => panic!("on purpose"),
        _ => {}
    }
    fail(format_args!("mistake {number} has had no consequence"))
}
