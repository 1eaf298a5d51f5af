//! `oracle cpu`: models of processing elements, and what a guest may rely on that is to run on them.

use crate::Error;
use crate::answer::{Answer, hex};
use arm_arch::feature::cpu::NamedModel;
use arm_arch::feature::{CpuModel, models::MODELS};
use arm_arch::sysreg::Register;
use serde_json::{Value, json};
use std::fmt::Write;

/// What is asked about models.
#[derive(Debug, Default)]
pub struct Question<'a> {
    /// The model; of several, the most that all of them have.
    pub names: &'a [String],
    /// A host on which a guest of the model is to run.
    pub on: Option<&'a str>,
    /// A model to compare with.
    pub diff: Option<&'a str>,
}

/// Answers, and says whether what was asked about holds.
///
/// # Errors
///
/// There is no model of a name.
pub fn answer(question: &Question<'_>) -> Result<(Answer, bool), Error> {
    let Some((first, rest)) = question.names.split_first() else { return Ok((all(), true)) };
    let named = find(first)?;
    let mut model = named.model;
    let mut source = named.source.to_string();
    for name in rest {
        model.lower_to(&find(name)?.model);
        source = "the meet of the models".into();
    }
    let name = question.names.join(" and ");
    match (question.on, question.diff) {
        (Some(host), _) => {
            let misfits: Vec<String> =
                model.misfits(&find(host)?.model).map(|error| error.to_string()).collect();
            Ok((fit(&name, host, &misfits), misfits.is_empty()))
        }
        (None, Some(other)) => Ok((difference(&name, &model, other, &find(other)?.model), true)),
        (None, None) => Ok((explained(&name, &model, &source), true)),
    }
}

/// A line of which the first column takes the longest name of a register.
fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "  {name:<18}{value}");
}

fn find(name: &str) -> Result<&'static NamedModel, Error> {
    NamedModel::find(name).ok_or_else(|| {
        let names: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
        Error::new(format!("'{name}' is no CPU model; there are {}", names.join(", ")))
    })
}

/// Lists the models.
fn all() -> Answer {
    let mut text = String::from("CPU models\n");
    for named in MODELS {
        line(&mut text, named.name, format_args!("{}; {}", named.model.explain(), named.source));
    }
    let json = MODELS.iter().map(|named| described(named.name, &named.model, named.source)).collect();
    Answer { text, json, unfinished: None }
}

fn version(model: &CpuModel) -> Value {
    model.version().map_or(Value::Null, |version| version.to_string().into())
}

/// The identification registers that are not 0.
fn registers(model: &CpuModel) -> impl Iterator<Item = (&'static str, u64)> {
    let ids = *model.ids();
    Register::all().filter_map(move |register| {
        ids.get(register.id()).filter(|value| *value != 0).map(|value| (register.name(), value))
    })
}

fn described(name: &str, model: &CpuModel, source: &str) -> Value {
    let features: Vec<String> = model.features().iter().map(|feature| feature.to_string()).collect();
    let registers: serde_json::Map<String, Value> =
        registers(model).map(|(name, value)| (name.into(), hex(value).into())).collect();
    let amiss: Vec<String> = model.unmet().map(|requirement| requirement.to_string()).collect();
    json!({
        "model": name,
        "version": version(model),
        "features": features,
        "registers": registers,
        "amiss": amiss,
        "source": source,
    })
}

fn explained(name: &str, model: &CpuModel, source: &str) -> Answer {
    let mut text = format!("{name}: {}\n", model.explain());
    let features: Vec<String> = model.features().iter().map(|feature| feature.to_string()).collect();
    for (at, names) in features.chunks(7).enumerate() {
        line(&mut text, if at == 0 { "features" } else { "" }, names.join(" "));
    }
    for (name, value) in registers(model) {
        line(&mut text, name, format_args!("{value:#018x}"));
    }
    for requirement in model.unmet() {
        line(&mut text, "amiss", requirement);
    }
    line(&mut text, "source", source);
    Answer { text, json: described(name, model, source), unfinished: None }
}

fn fit(name: &str, host: &str, misfits: &[String]) -> Answer {
    let mut text = String::new();
    if misfits.is_empty() {
        let _ = writeln!(text, "a guest that was told {name} runs on {host}");
    } else {
        let _ = writeln!(text, "a guest that was told {name} does not run on {host}");
        for misfit in misfits {
            let _ = writeln!(text, "  {misfit}");
        }
    }
    let json = json!({ "model": name, "on": host, "fits": misfits.is_empty(), "misfits": misfits });
    Answer { text, json, unfinished: None }
}

fn difference(name: &str, model: &CpuModel, other: &str, others: &CpuModel) -> Answer {
    let mut text = format!("{name} and {other}\n");
    let mut list = Vec::new();
    for difference in model.diff(others) {
        let _ = writeln!(text, "  {difference}");
        list.push(difference.to_string());
    }
    if list.is_empty() {
        text.push_str("  no field differs\n");
    }
    Answer { text, json: json!({ "model": name, "other": other, "differences": list }), unfinished: None }
}
