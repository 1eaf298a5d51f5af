//! Memory services under a guest that runs.

use crate::bench::Bench;
use crate::program::Step;
use crate::report::{Checked, ensure};
use crate::stage::{Stage, refused};
use xarch_abi::Writable;

const FLAG: u64 = 1;
const TOTAL: u64 = 3;

/// A guest that counts at `counter` until its flag is set.
fn counting(stage: &Stage<'_>, counter: xarch_abi::GuestPa) -> [Step; 2] {
    let (flag, total) = (stage.word(FLAG), stage.word(TOTAL));
    [Step::Count { counter, flag, total, limit: 0x7fff_ffff_ffff }, Step::PowerOff]
}

pub(crate) fn unmap(stage: &Stage<'_>) -> Checked {
    let counter = stage.data(0);
    stage.with_vm(1, &Bench::default(), &counting(stage, counter), |scene| {
        scene.race(FLAG, |race| {
            let services = scene.vm.services();
            race.see_progress(counter)?;
            for round in 0..stage.facts.rounds {
                let range = if round & 2 == 0 { stage.data_range() } else { stage.page_of(counter) };
                let said = if round & 1 == 0 { services.unmap(range) } else { services.protect(range) };
                said.map_err(|error| refused("unmap or protect", &error))?;
                if round & 15 == 0 {
                    race.see_progress(counter)?;
                }
            }
            Ok(())
        })?;
        let (counted, total) = (scene.peek(counter), scene.peek(stage.word(TOTAL)));
        ensure!(counted == total, "the guest stored {total} times, and {counted} arrived");
        ensure!(total > 0, "the guest never counted");
        Ok(())
    })
}

pub(crate) fn dirty(stage: &Stage<'_>) -> Checked {
    // The last page of the slot: its neighbours on the host are nobody's.
    let counter = stage.data(stage.data_bytes().saturating_sub(stage.page()));
    let page = stage.page_of(counter);
    stage.with_vm(1, &Bench::default(), &counting(stage, counter), |scene| {
        scene.race(FLAG, |race| {
            race.see_progress(counter)?;
            let mut after = None;
            for round in 0..stage.facts.rounds {
                let before = scene.peek(counter);
                let mut is_named = false;
                let said = scene.vm.services().collect_dirty(stage.data_range(), &mut |named| {
                    is_named |= named == page.start();
                });
                said.map_err(|error| refused("collect_dirty", &error))?;
                if let Some(after) = after {
                    let is_missed = before != after && !is_named;
                    ensure!(
                        !is_missed,
                        "the guest counted from {after} to {before}, and its page is not named"
                    );
                }
                after = Some(scene.peek(counter));
                if round & 15 == 0 {
                    race.see_progress(counter)?;
                }
            }
            Ok(())
        })
    })
}

pub(crate) fn remove(stage: &Stage<'_>) -> Checked {
    let counter = stage.free(0);
    stage.with_vm(1, &Bench::default(), &counting(stage, counter), |scene| {
        let slot = stage.spare_slot(counter, stage.page(), 0, Writable::Yes);
        scene.poke_host(slot.host, 0);
        scene.add(&slot)?;
        scene.race(FLAG, |race| {
            let counts = || scene.peek_host(slot.host) != 0 || race.has_ended();
            ensure!(stage.wait_for(counts), "the guest does not go on");
            scene.remove(slot.guest)?;
            let then = scene.peek_host(slot.host);
            stage.sleep(300_000);
            let now = scene.peek_host(slot.host);
            ensure!(then == now, "the guest counted from {then} to {now} in a slot that was removed");
            Ok(())
        })
    })
}
