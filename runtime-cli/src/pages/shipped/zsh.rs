//! Completion for zsh.

use super::{Kind, Opt, Page, SIGNALS, kind, names};

pub(super) fn script(pages: &[Page]) -> String {
    let (program, commands) = pages.split_first().expect("the page of the program");
    let mut text = HEAD.to_owned();
    text +=
        &list("commands", program.commands.iter().map(|(name, about)| format!("{name}:{about}")));
    text += "    _arguments -C \\\n";
    text.extend(program.options.iter().map(|option| format!("        {} \\\n", spec(option))));
    text +=
        "        '1:command:{_describe command commands}' \\\n        '*:: :->rest' && return\n";
    text += "    [[ $state == rest ]] || return 1\n";
    text += "    [[ -n ${opt_args[--root]} ]] && root=(--root ${(Q)opt_args[--root]})\n";
    text += "    case $words[1] in\n";
    for page in commands {
        text += &format!("    {})\n        _arguments \\\n", page.command);
        let options = page.options.iter().map(spec);
        let operands = page.operands.iter().enumerate().map(|(place, operand)| {
            let place = if operand.many { "*".to_owned() } else { (place + 1).to_string() };
            quoted(&format!("{place}:{}:{}", operand.name, action(&operand.name)))
        });
        let all: Vec<String> = options.chain(operands).collect();
        text += &format!("            {}\n        ;;\n", all.join(" \\\n            "));
    }
    text + TAIL
}

/// What `_arguments` wants to know of an option.
fn spec(option: &Opt) -> String {
    let about = option.text().replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
    let value =
        option.value.as_ref().map(|name| format!(":{}:{}", name.replace(':', "\\:"), action(name)));
    let value = value.unwrap_or_default();
    let names = names(option);
    let all = match (option.repeated, names.len()) {
        (true, _) => "*".to_owned(),
        (false, 1) => String::new(),
        (false, _) => format!("({})", names.join(" ")),
    };
    let specs = names.iter().map(|name| quoted(&format!("{all}{name}[{about}]{value}")));
    specs.collect::<Vec<_>>().join(" ")
}

fn action(name: &str) -> String {
    match kind(name) {
        Kind::Files => "_files".to_owned(),
        Kind::Directories => "_files -/".to_owned(),
        Kind::Words(words) => format!("({})", words.join(" ")),
        Kind::Containers => "_tare_containers".to_owned(),
        Kind::Signals => format!("({SIGNALS})"),
        Kind::Commands => "{_describe command commands}".to_owned(),
        Kind::Nothing => " ".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn list(name: &str, items: impl Iterator<Item = String>) -> String {
    let items: String = items.map(|item| format!("        {}\n", quoted(&item))).collect();
    format!("    local -a {name}=(\n{items}    )\n")
}

const HEAD: &str = r#"#compdef tare
# Completion of tare for zsh, made from the options of the commands: UPDATE_PAGES=1 cargo test

_tare() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    local -a root
"#;

const TAIL: &str = r#"    esac
}

_tare_containers() {
    local -a containers=(${(f)"$(tare $root list --quiet 2>/dev/null)"})
    compadd -a containers
}

_tare "$@"
"#;
