//! `docs/reference.md`, made from the command line's definition; and the fields of the lock, from its schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};
use factory::config::variables::{self, EnvFileScope};
use serde_json::Value;

/// An option with the commands that have it.
#[derive(Clone, PartialEq)]
pub struct OptionOf {
    pub long: String,
    short: Option<char>,
    value: String,
    variable: String,
    default: String,
    values: Vec<String>,
    about: String,
    heading: String,
    commands: Vec<String>,
}

/// All options, in the order of the commands.
pub fn options() -> Vec<OptionOf> {
    let mut all: Vec<OptionOf> = Vec::new();
    let factory = factory::cli::command();
    let commands: Vec<(String, &Command)> = factory.get_subcommands().flat_map(|own| with_children("", own)).collect();
    let run = factory.get_arguments().map(|arg| ("run".to_owned(), arg));
    let rest = commands.iter().flat_map(|(name, command)| command.get_arguments().map(|arg| (name.clone(), arg)));
    for (command, arg) in rest.chain(run) {
        let Some(option) = option(arg) else { continue };
        let known = all.iter_mut().find(|known| (&known.long, &known.about) == (&option.long, &option.about));
        match known {
            Some(known) if !known.commands.contains(&command) => known.commands.push(command),
            Some(_) => {}
            None => all.push(OptionOf { commands: vec![command], ..option }),
        }
    }
    all
}

/// A command with its own commands, by the words that call them.
fn with_children<'c>(before: &str, command: &'c Command) -> Vec<(String, &'c Command)> {
    let name = format!("{before}{}", command.get_name());
    let children = command.get_subcommands().flat_map(|child| with_children(&format!("{name} "), child));
    let children: Vec<_> = children.collect();
    std::iter::once((name, command)).chain(children).collect()
}

fn option(arg: &Arg) -> Option<OptionOf> {
    let long = arg.get_long().filter(|long| *long != "help")?;
    let takes_value = !matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse | ArgAction::Version);
    let value = arg.get_value_names().map(|names| names.join(" ")).filter(|_| takes_value);
    let values = arg.get_possible_values();
    Some(OptionOf {
        long: long.to_owned(),
        short: arg.get_short(),
        value: value.unwrap_or_default(),
        variable: arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        default: if takes_value {
            arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(",")
        } else {
            String::new()
        },
        values: if takes_value { values.iter().map(|value| value.get_name().to_owned()).collect() } else { vec![] },
        about: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        heading: arg.get_help_heading().unwrap_or("Other options").to_owned(),
        commands: Vec::new(),
    })
}

/// The names of all variables that `factory` reads.
pub fn variables() -> Vec<String> {
    variables::all().map(|variable| variable.name.to_owned()).collect()
}

/// The page.
pub fn text() -> String {
    let mut text = String::from(
        "# Reference\n\n<!-- Made from the code: FACTORY_GOLDEN=write cargo test --test it docs -->\n\n\
         [Exit codes](../README.md#exit-codes) and [commands](../README.md#commands) are in the README.\n\n\
         On the command line an option wins over its variable. A variable that is empty counts as not set. Flags are set by\n\
         `true`, `1`, `yes` and `on`.\n",
    );
    let options = options();
    let mut headings: Vec<&str> = Vec::new();
    for heading in ["Global options"].into_iter().chain(options.iter().map(|option| option.heading.as_str())) {
        if !headings.contains(&heading) && heading != "Other options" {
            headings.push(heading);
        }
    }
    headings.push("Other options");
    for heading in headings {
        let _ = write!(text, "\n## {heading}\n\n| option | variable | default | commands | |\n|---|---|---|---|---|\n");
        for option in options.iter().filter(|option| option.heading == heading) {
            text.push_str(&row(option, heading == "Global options"));
        }
    }
    let head = "| variable | default | read by | |\n|---|---|---|---|\n";
    let _ = write!(
        text,
        "\n## Variables\n\nBesides those of options. These can also be set in `.env` files, for each workspace:\n\n{head}"
    );
    variable_rows(&mut text, variables::WORKSPACE.iter());
    let of = |scopes: &'static [EnvFileScope]| {
        variables::AMBIENT.iter().filter(move |variable| scopes.contains(&variable.env_file))
    };
    let _ = write!(
        text,
        "\nThese hold for a whole run; they are read from the environment and from the `.env` file of the configuration\n\
         directory (proxies in either case of their names), as is every `NPM_CONFIG_…`, and `NPM_TOKEN` and\n\
         `NODE_AUTH_TOKEN` for `.npmrc`. A push reads those that are for it from the `.env` file of its workspace too:\n\n{head}"
    );
    variable_rows(&mut text, of(&[EnvFileScope::Run, EnvFileScope::RunAndPush]));
    let _ = write!(text, "\nThese are read from the environment; a push reads them from `.env` files too:\n\n{head}");
    variable_rows(&mut text, of(&[EnvFileScope::Push]));
    let _ = write!(text, "\nThese, and those of options, are read from the environment alone:\n\n{head}");
    variable_rows(&mut text, of(&[EnvFileScope::Nothing]));
    text
}

fn row(option: &OptionOf, global: bool) -> String {
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let short = option.short.map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let value = if option.value.is_empty() { String::new() } else { format!(" {}", option.value) };
    let values = match &option.values[..] {
        [] => String::new(),
        values => format!(": {}", values.iter().map(|value| code(value)).collect::<Vec<_>>().join(", ")),
    };
    let commands = if global { "all".to_owned() } else { option.commands.join(", ") };
    let cells = [
        format!("{short}`--{}{value}`", option.long),
        code(&option.variable),
        code(&option.default),
        commands,
        format!("{}{values}", option.about.replace('|', "\\|").replace('<', "&lt;")),
    ];
    format!("| {} |\n", cells.join(" | ").replace(" |  |", " | |").replace(" |  |", " | |"))
}

fn variable_rows<'a>(text: &mut String, variables: impl Iterator<Item = &'a variables::Variable>) {
    for variable in variables {
        let default = if variable.default.is_empty() { String::new() } else { format!("`{}`", variable.default) };
        let cells = [format!("`{}`", variable.name), default, variable.used_by.to_owned(), variable.about.to_owned()];
        let _ = writeln!(text, "| {} |", cells.join(" | ").replace(" |  |", " | |"));
    }
}

/// The fields of a schema as dotted paths; those of a type that is met again are not repeated.
pub fn fields(schema: &Value) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut seen = BTreeSet::new();
    walk(schema, schema, "", &mut seen, &mut out);
    out
}

fn walk(root: &Value, at: &Value, path: &str, seen: &mut BTreeSet<String>, out: &mut BTreeSet<String>) -> bool {
    let all = ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| at.get(*key)?.as_array()).flatten();
    let inner: Vec<&Value> = all.chain(at.get("items")).collect();
    if let Some(name) = at.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        return if target.get("properties").is_some() && !seen.insert(name.to_owned()) {
            false
        } else {
            walk(root, target, path, seen, out)
        };
    }
    if let Some(properties) = at.get("properties").and_then(Value::as_object) {
        for (name, field) in properties {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if !walk(root, field, &path, seen, out) {
                out.insert(path);
            }
        }
        return true;
    }
    let found: Vec<bool> = inner.into_iter().map(|one| walk(root, one, path, seen, out)).collect();
    found.contains(&true)
}
