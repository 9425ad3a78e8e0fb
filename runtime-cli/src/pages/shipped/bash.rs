//! Completion for bash.

use super::{Kind, Page, SIGNALS, kind, names};

pub(super) fn script(pages: &[Page]) -> String {
    let commands: Vec<&str> = pages[0].commands.iter().map(|(name, _)| *name).collect();
    let mut text = HEAD.replace("COMMANDS", &commands.join(" ")).replace("SIGNALS", SIGNALS);
    text += "# What is completed after option $2 of command $1; fails if it takes no value.\n";
    text += "_tare_value() {\n    case \"$1 $2\" in\n";
    for page in pages {
        for option in &page.options {
            let Some(value) = &option.value else { continue };
            let patterns =
                names(option).into_iter().map(|name| format!("\"{} {name}\"", page.command));
            text += &arm(&patterns.collect::<Vec<_>>().join(" | "), value);
        }
    }
    text += "    *) return 1 ;;\n    esac\n}\n\n";
    text += "# What is completed in the place $2 of command $1.\n";
    text += "_tare_operand() {\n    case \"$1 $2\" in\n";
    for page in pages {
        for (place, operand) in page.operands.iter().enumerate() {
            let place = if operand.many { "*".to_owned() } else { format!("{}", place + 1) };
            text += &arm(&format!("\"{} \"{place}", page.command), &operand.name);
        }
    }
    text += "    esac\n}\n\n";
    text += "# The options of command $1.\n_tare_options() {\n    case \"$1\" in\n";
    for page in pages {
        let all: Vec<String> = page.options.iter().flat_map(names).collect();
        text += &format!("    \"{}\") _tare_words \"{}\" ;;\n", page.command, all.join(" "));
    }
    text + "    esac\n}\n\ncomplete -F _tare tare\n"
}

fn arm(pattern: &str, name: &str) -> String {
    let action = match kind(name) {
        Kind::Files => "_tare_files".to_owned(),
        Kind::Directories => "_tare_directories".to_owned(),
        Kind::Words(words) => format!("_tare_words \"{}\"", words.join(" ")),
        Kind::Containers => "_tare_containers".to_owned(),
        Kind::Signals => "_tare_words \"$_tare_signals\"".to_owned(),
        Kind::Commands => "_tare_words \"$_tare_commands\"".to_owned(),
        Kind::Nothing => ":".to_owned(),
    };
    format!("    {pattern}) {action} ;;\n")
}

const HEAD: &str = r#"# Completion of tare for bash, made from the options of the commands: UPDATE_PAGES=1 cargo test
# shellcheck shell=bash

_tare_commands="COMMANDS"
_tare_signals="SIGNALS"

_tare() {
    local word command="" root=() skip="" places=0 i
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    # --option=value comes as three words.
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $previous == "=" ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $skip ]]; then
            [[ $word == "=" ]] && continue
            [[ $skip == --root ]] && root=(--root "$word")
            skip=""
        elif [[ $word == -* ]]; then
            current="" _tare_value "$command" "$word" && skip=$word
            COMPREPLY=()
        elif [[ $word == "=" ]]; then
            :
        elif [[ -z $command ]]; then
            command=$word
        else
            places=$((places + 1))
        fi
    done
    if [[ $previous == -* ]] && _tare_value "$command" "$previous"; then
        return
    fi
    if [[ $current == -* ]]; then
        _tare_options "$command"
    elif [[ -z $command ]]; then
        _tare_words "$_tare_commands"
    else
        _tare_operand "$command" $((places + 1))
    fi
}

_tare_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}

_tare_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
}

_tare_directories() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
}

_tare_containers() {
    _tare_words "$("${COMP_WORDS[0]}" "${root[@]}" list --quiet 2>/dev/null)"
}

"#;
