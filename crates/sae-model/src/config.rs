//! Everything about the facility that its sources leave open, in one place, and how the model may misbehave. CHOICE: each row.
//!
//! | choice | settings | default, and why |
//! | --- | --- | --- |
//! | form of `msl` | last address, its low 20 bits ignored; or a size | last address: what SIE does |
//! | base of the QAAF words | block start, or after the 16-byte header | block start: index 0x1ff is then the last word |
//! | code for a guest address past `msl` | 0x06 with the payload of 0x02; or 0x02 with program interruption 0x05 | 0x06: it has the name for it |
//! | timer interception | on the rising edge of ENABLE ∧ ¬IMASK ∧ ISTATUS; or, while it holds, after the first block of every SAE | edge: a level ends every SAE until masked, and no mask is known |
//! | write of ICC_SGI1R_EL1 | code 0x03, exception class 0x18 | the only trap block that has room for it |
//! | ending SAE from another CPU | code 0x00 | the driver of the series re-enters on it |
//! | inner-shareable domain | all CPUs of the machine | invalidating more than asked is allowed |
//! | VALID of a save area | LASRM takes it away, STIASRM gives it back | an area is loaded at one place; more is refused |
//! | instructions that the host stores over ones that were executed | executed once IPTE, IDTE or the guest's IC has dropped what was decoded; or from the next SAE on | the former: whoever relies on less works with both |
//! | page of the TEID | `mso` + the guest's address | the address that the host's tables were given |
//! | bits of `ic`, `ec`, `irq_ctl` | any set is a validity interception | none is published |
//! | registers of features that are not there | kept in the save area, without effect | the series accesses them unasked |

use s390_arch::sae::{InterceptionCode, QmcBase, ValidityReason};

/// How the model reads a control block's main-storage limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitForm {
    /// `msl` names the last 1 MiB block: its low 20 bits are ignored.
    #[default]
    LastBlock,
    /// `msl` is the number of bytes.
    Size,
}

/// What a guest access past `msl` is reported as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PastLimit {
    /// Code 0x06 with the payload of code 0x02.
    #[default]
    GuestAddressSize,
    /// Code 0x02 with program interruption 0x05, addressing.
    HostAccess,
}

/// When a timer whose output is high ends SAE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimerForm {
    /// Once, when the output rises.
    #[default]
    Edge,
    /// In every SAE as long as the output is high. The guest gets one block on, so that it can do something
    /// about it.
    Level,
}

/// When a guest executes what the host has stored over instructions that it has executed before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostStores {
    /// Once IPTE for their page, IDTE for an entry that leads to it, or the guest's own IC has dropped what was decoded.
    #[default]
    AfterInvalidation,
    /// From the next SAE on.
    AtEntry,
}

/// Something that a machine might do and a driver has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// Ends SAE at once with code 0x00.
    Spurious,
    /// Ends SAE at once with code 0x01 and this reason.
    Validity(ValidityReason),
    /// Ends SAE at once with this code and data of all ones.
    Code(InterceptionCode),
    /// Returns from SAE without having written anything to the block.
    Nothing,
    /// Ends SAE at once with the code of the last interception on this CPU and whatever data lies in the block.
    Stale,
}

/// Decides before each SAE, by the number of entries so far on this CPU, whether to misbehave.
pub type Misbehaviour = fn(u64) -> Option<Mischief>;

/// Settings of the model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// Form of the main-storage limit.
    pub limit: LimitForm,
    /// Where the words of QAAF function 1 start.
    pub qmc_base: QmcBase,
    /// Code for an access past the limit.
    pub past_limit: PastLimit,
    /// When a timer ends SAE.
    pub timer: TimerForm,
    /// When instructions that the host stores are executed.
    pub host_stores: HostStores,
    /// Misbehaviour on demand.
    pub misbehaviour: Option<Misbehaviour>,
}
