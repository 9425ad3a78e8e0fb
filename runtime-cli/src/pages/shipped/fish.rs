//! Completion for fish.

use super::{Kind, Opt, Page, SIGNALS, kind};

pub(super) fn script(pages: &[Page]) -> String {
    let (program, commands) = pages.split_first().expect("the page of the program");
    let with_value = program.options.iter().filter(|option| option.value.is_some());
    let with_value: Vec<String> = with_value.map(|option| format!("--{}", option.long)).collect();
    let names: Vec<&str> = program.commands.iter().map(|(name, _)| *name).collect();
    let text = HEAD.replace("WITH_VALUE", &with_value.join(" "));
    let mut text = text.replace("COMMANDS", &names.join(" "));
    for option in &program.options {
        text += &format!("complete -c tare -n '__tare_command \"\"' {}\n", spec(option));
    }
    for (command, about) in &program.commands {
        let about = quoted(about);
        text += &format!("complete -c tare -n '__tare_command \"\"' -a {command} -d {about}\n");
    }
    for page in commands {
        let condition = format!("-n '__tare_command {}'", page.command);
        for option in &page.options {
            text += &format!("complete -c tare {condition} {}\n", spec(option));
        }
        for operand in &page.operands {
            if let Some(action) = action(&operand.name) {
                text += &format!("complete -c tare {condition} {action}\n");
            }
        }
    }
    text
}

fn spec(option: &Opt) -> String {
    let short = option.short.map(|short| format!("-s {short} ")).unwrap_or_default();
    let value = option.value.as_ref().map(|name| match action(name) {
        Some(action) => format!("-r {action} "),
        None => "-x ".to_owned(),
    });
    let value = value.unwrap_or_default();
    format!("-l {} {short}{value}-d {}", option.long, quoted(&option.text()))
}

fn action(name: &str) -> Option<String> {
    match kind(name) {
        Kind::Files => Some("-F".to_owned()),
        Kind::Directories => Some("-f -a '(__fish_complete_directories)'".to_owned()),
        Kind::Words(words) => Some(format!("-f -a '{}'", words.join(" "))),
        Kind::Containers => Some("-f -a '(tare $__tare_root list --quiet 2>/dev/null)'".to_owned()),
        Kind::Signals => Some(format!("-f -a '{SIGNALS}'")),
        Kind::Commands => Some("-f -a \"$__tare_commands\"".to_owned()),
        Kind::Nothing => None,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

const HEAD: &str = r#"# Completion of tare for fish, made from the options of the commands: UPDATE_PAGES=1 cargo test

# Whether the command is $argv[1]; "" while there is none. Remembers --root for the list of containers.
function __tare_command
    set -l words (commandline -opc)
    set -l skip ""
    set -l command ""
    set -g __tare_root
    for word in $words[2..-1]
        if test -n "$skip"
            test "$skip" = --root; and set -g __tare_root --root $word
            set skip ""
        else if contains -- $word WITH_VALUE
            set skip $word
        else if not string match -q -- '-*' $word
            set command $word
            break
        end
    end
    test "$command" = "$argv[1]"
end

set -g __tare_commands "COMMANDS"
complete -c tare -f
"#;
