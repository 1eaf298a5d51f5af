//! `--cpu-model`: what the guest is told it runs on.

use arm_arch::feature::CpuModel;
use arm_arch::feature::cpu::NamedModel;
use arm_arch::feature::models::MODELS;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Takes the name of a model; help and errors list the names, and help says where each one's registers come from.
#[must_use]
pub fn parser() -> impl TypedValueParser<Value = NamedModel> {
    let names = MODELS.iter().map(|named| PossibleValue::new(named.name).help(named.source));
    PossibleValuesParser::new(names)
        .try_map(|name| NamedModel::find(&name).copied().ok_or("there is no such CPU model"))
}

/// Tells the guest that it runs on a model: exactly that, or `lowered` to what the machine can do. Its vCPUs have been
/// reset once, and have to be again.
///
/// # Errors
/// In words: the register and field that ask for more than there is, and what there is.
pub fn tell(core: &vcpu_core::Vm<8>, named: &NamedModel, lowered: bool) -> Result<(), String> {
    let limit = core.limit().unwrap_or_default();
    let model = as_shown(if lowered { named.model.meet(&limit) } else { named.model }, &limit);
    let hint = if lowered { "" } else { "; --lower-cpu-model tells the guest less" };
    core.set_model(&model).map_err(|error| format!("--cpu-model {}: {error}{hint}", named.name))
}

/// Returns the model with what the machine shows whatever the model: the description of the caches, and DCZID_EL0, which
/// a guest reads from the processing element itself.
fn as_shown(model: CpuModel, limit: &CpuModel) -> CpuModel {
    let (mut ids, own) = (*model.ids(), limit.ids());
    (ids.clidr, ids.ccsidr_l1, ids.ccsidr_l1i, ids.ccsidr_l2) =
        (own.clidr, own.ccsidr_l1, own.ccsidr_l1i, own.ccsidr_l2);
    ids.dczid = own.dczid;
    CpuModel::new(ids)
}
