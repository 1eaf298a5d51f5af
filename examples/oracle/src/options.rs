//! The command line.

use crate::arm::{pte, translate};
use crate::input::{Given, WordSize, number, number64};
use crate::memory::Rest;
use crate::names::{
    TableLevel, access, access_kind, at_operation, dat_access, exception_level, granule, implementation, pic,
    regime, remove_facility, security, set_feature, stage, table_level,
};
use crate::z::{dat, entry};
use crate::{Answer, Error};
use arm_arch::{ExceptionLevel, Granule};
use clap::{Args, Parser, Subcommand, ValueEnum};
use mmu_xlate::dat::Facilities;
use mmu_xlate::vmsa::{AccessKind, AtOperation, Implementation, Regime, Space, Stage};
use std::ffi::OsString;
use std::path::PathBuf;

/// Explains page tables, traps and instructions of Arm and z/Architecture.
#[derive(Debug, Parser)]
#[command(name = "oracle", version, max_term_width = 110)]
#[command(
    after_help = "Numbers are hexadecimal with 0x, binary with 0b, else decimal. Exit status 2 says what is wrong, and where."
)]
pub struct Options {
    /// Answers as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What is asked.
    #[command(subcommand)]
    pub command: Command,
}

/// The questions.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Translates an address of an Arm processing element, and says why.
    Translate(Translate),
    /// Translates an address of a z/Architecture CPU, and says why.
    Dat(Dat),
    /// Explains one table entry of either.
    Pte(Pte),
    /// Explains an exception syndrome, ESR_ELx.
    Esr(Value64),
    /// Explains PAR_EL1.
    Par(Value128),
    /// Explains a translation-exception identification.
    Teid(TeidValue),
    /// Explains a system register.
    Sysreg(Sysreg),
    /// Explains, compares and combines models of processing elements.
    Cpu(Cpu),
    /// Lays out an SAE control block.
    SaeBlock(BlockFile),
    /// Says what instruction words are.
    Insn(Insn),
    /// Checks a file of test vectors.
    Check(Check),
    /// Answers questions on standard input, a line of JSON each (docs/oracle.md).
    Serve,
}

/// A value of 64 bits.
#[derive(Debug, Args)]
pub struct Value64 {
    /// The value.
    #[arg(value_parser = number64)]
    pub value: u64,
}

/// A value of 128 bits.
#[derive(Debug, Args)]
pub struct Value128 {
    /// The value.
    #[arg(value_parser = number)]
    pub value: u128,
}

/// A TEID and what came with it.
#[derive(Debug, Args)]
pub struct TeidValue {
    /// The value.
    #[arg(value_parser = number64)]
    pub value: u64,
    /// The program-interruption code that was stored with it.
    #[arg(long, value_parser = pic)]
    pub pic: Option<u16>,
}

/// A register's value.
#[derive(Debug, Args)]
pub struct Sysreg {
    /// Its name, or its encoding as S3_0_C1_C0_0.
    pub name: String,
    /// The value.
    #[arg(value_parser = number)]
    pub value: u128,
}

/// Models of processing elements.
#[derive(Debug, Args)]
pub struct Cpu {
    /// A model, as neoverse-n1; of several, the most that all of them have. Without one, all are listed.
    #[arg(value_name = "MODEL")]
    pub names: Vec<String>,
    /// Whether a guest that was told this runs on HOST; exit status 1, and each field that asks for too much, if not.
    #[arg(long, value_name = "HOST", requires = "names", conflicts_with = "diff")]
    pub on: Option<String>,
    /// The fields in which another model differs.
    #[arg(long, value_name = "MODEL", requires = "names")]
    pub diff: Option<String>,
}

/// A file with a control block.
#[derive(Debug, Args)]
pub struct BlockFile {
    /// 4096 bytes.
    pub file: PathBuf,
}

/// Words, in arguments or files.
#[derive(Debug, Args)]
pub struct Insn {
    /// Files with a hexadecimal word on each line; `-` is standard input.
    #[arg(value_name = "FILE", required_unless_present = "words")]
    pub files: Vec<PathBuf>,
    /// A word.
    #[arg(short = 'w', long = "word", value_name = "WORD")]
    pub words: Vec<String>,
    /// The files hold little-endian words.
    #[arg(long)]
    pub binary: bool,
}

/// A file of vectors.
#[derive(Debug, Args)]
pub struct Check {
    /// `.jsonl`, `.jsonl.gz` (Arm) or `.json` (z/Architecture).
    pub file: PathBuf,
    /// Explains each failure beside what was expected.
    #[arg(short, long)]
    pub verbose: bool,
}

/// Registers and memory.
#[derive(Debug, Args)]
pub struct Source {
    /// A file of NAME=VALUE and ADDRESS=VALUE, one a line; `#` starts a comment.
    #[arg(long, visible_alias = "words", value_name = "FILE")]
    pub registers: Vec<PathBuf>,
    /// A dump of memory, and the address of its first byte.
    #[arg(long, value_name = "FILE@BASE")]
    pub memory: Vec<String>,
    /// Bytes of the values in ADDRESS=VALUE.
    #[arg(long, value_name = "BYTES", value_enum, default_value = "8")]
    pub word_size: WordBytes,
    /// What memory holds that is not given.
    #[arg(long, value_enum, default_value = "unknown")]
    pub rest: RestOption,
}

/// Bytes of a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WordBytes {
    /// 64-bit descriptors.
    #[value(name = "8")]
    Eight,
    /// 128-bit descriptors.
    #[value(name = "16")]
    Sixteen,
}

/// What lies where nothing is given.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RestOption {
    /// The walk stops there, and says what it needs.
    Unknown,
    /// Zeros.
    Zero,
    /// No memory.
    Absent,
}

impl From<RestOption> for Rest {
    fn from(option: RestOption) -> Self {
        match option {
            RestOption::Unknown => Self::Unknown,
            RestOption::Zero => Self::Zero,
            RestOption::Absent => Self::Absent,
        }
    }
}

impl Source {
    /// Reads it all, and the address among the words.
    fn given(&self, words: &[String]) -> Result<(u64, Given), Error> {
        let size = match self.word_size {
            WordBytes::Eight => WordSize::Double,
            WordBytes::Sixteen => WordSize::Quad,
        };
        let mut given = Given::default();
        let mut address = None;
        for word in words {
            if word.contains('=') {
                given.word(word, size)?;
            } else if address.is_some() {
                return Err(Error::new(format!("'{word}': there is an address already")));
            } else {
                address = Some(number64(word)?);
            }
        }
        for path in &self.registers {
            given.file(path, size)?;
        }
        for dump in &self.memory {
            given.dump(dump)?;
        }
        given.memory.rest = self.rest.into();
        let address = address.ok_or_else(|| Error::new("no address is given"))?;
        Ok((address, given))
    }
}

/// Options of `translate`.
#[derive(Debug, Args)]
pub struct Translate {
    /// The virtual address, registers as NAME=VALUE, memory as ADDRESS=VALUE.
    #[arg(required = true, value_name = "ADDRESS|NAME=VALUE|ADDRESS=VALUE")]
    pub words: Vec<String>,
    #[command(flatten)]
    source: Source,
    /// The access: read, write, rmw, ifetch, dc_ivac, dc_cvac, dc_civac, gcs_read, gcs_write.
    #[arg(long, value_name = "KIND", default_value = "read", value_parser = access_kind)]
    access: AccessKind,
    /// The exception level of the access.
    #[arg(long, default_value = "1", value_parser = exception_level)]
    el: ExceptionLevel,
    /// LDTR, STTR: checked as EL0.
    #[arg(long)]
    unprivileged: bool,
    /// PSTATE.PAN.
    #[arg(long)]
    pan: bool,
    /// The address is not a multiple of the access size.
    #[arg(long)]
    unaligned: bool,
    /// An AT instruction instead of an access, as S1E1R, executed at --el.
    #[arg(
        long,
        value_name = "OPERATION",
        value_parser = at_operation,
        conflicts_with_all = ["access", "regime", "unprivileged", "unaligned"]
    )]
    at: Option<AtOperation>,
    /// The regime, where it is not that of --el: el10, el20, el2, el3.
    #[arg(long, value_parser = regime)]
    regime: Option<Regime>,
    /// The security state, where SCR_EL3 is not given: non-secure, secure, realm.
    #[arg(long, value_name = "STATE", default_value = "non-secure", value_parser = security)]
    security: Space,
    #[command(flatten)]
    machine: Machine,
    /// Descriptors without their bits.
    #[arg(long)]
    brief: bool,
}

/// What is implemented.
#[derive(Debug, Args)]
pub struct Machine {
    /// What is implemented, before --feature: armv8.0, all.
    #[arg(long, value_name = "NAME", default_value = "all", value_parser = implementation)]
    implementation: Implementation,
    /// A feature that is implemented, or with `no-` is not, as lpa2 or no-vhe.
    #[arg(long, value_name = "NAME")]
    feature: Vec<String>,
    /// Physical address bits.
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(32..=56))]
    pa_bits: Option<u8>,
}

impl Machine {
    fn implementation(&self) -> Result<Implementation, Error> {
        let mut all = self.implementation;
        for name in &self.feature {
            set_feature(&mut all, name)?;
        }
        if let Some(bits) = self.pa_bits {
            all.pa_bits = bits;
        }
        Ok(all)
    }
}

impl Translate {
    /// Puts the question together.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn question(&self) -> Result<translate::Question, Error> {
        let (va, given) = self.source.given(&self.words)?;
        Ok(translate::Question {
            va,
            given,
            regime: self.regime,
            el: self.el,
            access: access(self.access, self.el, self.unprivileged, self.pan, self.unaligned),
            at: self.at,
            implementation: self.machine.implementation()?,
            security: self.security,
            brief: self.brief,
        })
    }
}

/// Options of `dat`.
#[derive(Debug, Args)]
pub struct Dat {
    /// The address, registers as NAME=VALUE (PSW, CR0 to CR15, ASCE, PREFIX, ALET), storage as ADDRESS=VALUE.
    #[arg(required = true, value_name = "ADDRESS|NAME=VALUE|ADDRESS=VALUE")]
    pub words: Vec<String>,
    #[command(flatten)]
    source: Source,
    /// The access: load, store, ifetch.
    #[arg(long, value_name = "KIND", default_value = "load", value_parser = dat_access)]
    access: mmu_xlate::dat::Access,
    /// The access key; else that of the PSW.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=15))]
    key: Option<u8>,
    /// A storage key, ADDRESS=KEY; all others are 0.
    #[arg(long, value_name = "ADDRESS=KEY")]
    storage_key: Vec<String>,
    /// Bytes of storage; else it has no end.
    #[arg(long, value_name = "BYTES", value_parser = number64)]
    size: Option<u64>,
    /// A facility that is not installed: edat1, edat2, iep, fsi, esop2.
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// Bytes of the operand in its page.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=4096))]
    bytes: u16,
    /// LOAD REAL ADDRESS instead of the access.
    #[arg(long)]
    lra: bool,
    /// TEST PROTECTION instead of the access; --key is the second operand's, else 0.
    #[arg(long, conflicts_with_all = ["lra", "access", "bytes"])]
    tprot: bool,
}

impl Dat {
    /// Puts the question together.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn question(&self) -> Result<dat::Question, Error> {
        let (address, mut given) = self.source.given(&self.words)?;
        given.memory.size = self.size;
        for text in &self.storage_key {
            let wrong = || Error::new(format!("--storage-key {text}: is not of the form ADDRESS=KEY"));
            let (block, key) = text.split_once('=').ok_or_else(wrong)?;
            let key = u8::try_from(number64(key)?).map_err(|_| wrong())?;
            given.memory.set_key(number64(block)?, key);
        }
        let mut facilities = Facilities::ALL;
        for name in &self.without {
            remove_facility(&mut facilities, name)?;
        }
        Ok(dat::Question {
            address,
            given,
            access: self.access,
            key: self.key,
            facilities,
            bytes: self.bytes,
            asks: dat::Asks::of(self.lra, self.tprot)?,
        })
    }
}

/// Options of `pte`.
#[derive(Debug, Args)]
pub struct Pte {
    /// The entry, and registers that are known as NAME=VALUE.
    #[arg(required = true, value_name = "ENTRY|NAME=VALUE")]
    pub words: Vec<String>,
    /// Its level: -2 to 3 for Arm; region1, region2, region3, segment, page for z/Architecture.
    #[arg(long, allow_hyphen_values = true)]
    pub level: String,
    /// The stage, of Arm.
    #[arg(long, default_value = "1", value_parser = stage)]
    pub stage: Stage,
    /// The granule, of Arm: 4k, 16k, 64k.
    #[arg(long, default_value = "4k", value_parser = granule)]
    pub granule: Granule,
    /// TCR_ELx.DS is 1, of Arm: 52-bit addresses.
    #[arg(long)]
    pub lpa2: bool,
    /// Descriptors have 128 bits, of Arm.
    #[arg(long)]
    pub d128: bool,
}

impl Pte {
    /// Answers.
    pub(crate) fn answer(&self) -> Result<Answer, Error> {
        let mut given = Given::default();
        let mut entry = None;
        for word in &self.words {
            if word.contains('=') {
                given.word(word, WordSize::Double)?;
            } else if entry.is_some() {
                return Err(Error::new(format!("'{word}': there is an entry already")));
            } else {
                entry = Some(number(word)?);
            }
        }
        let value = entry.ok_or_else(|| Error::new("no entry is given"))?;
        match table_level(&self.level)? {
            TableLevel::Arm(level) => pte::answer(&pte::Question {
                value,
                level,
                stage: self.stage,
                granule: self.granule,
                lpa2: self.lpa2,
                d128: self.d128,
                registers: given.registers,
            }),
            TableLevel::Dat(level) => {
                let bits = u64::try_from(value).map_err(|_| Error::new("the entry has more than 64 bits"))?;
                Ok(entry::answer(bits, level, mmu_xlate::dat::Features::ALL))
            }
        }
    }
}

/// Takes the command line apart.
///
/// # Errors
///
/// What is wrong, or the help that was asked for.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Options, clap::Error> {
    Options::try_parse_from(arguments)
}

/// Says what is wrong with a command line in one line, without the usage.
#[must_use]
pub fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    // The message ends at an empty line; after it come tips and usage.
    let message = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect::<Vec<_>>();
    let message = message.join(" ");
    format!("{} (--help tells more)", message.strip_prefix("error: ").unwrap_or(&message))
}
