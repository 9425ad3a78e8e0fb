//! The flag rules of Go's `flag` package, as runc has them: one dash or two
//! before any name, `--name value` or `--name=value`, whatever follows a valued
//! flag is its value even with a dash in front, `--` ends the flags. Errors have
//! Go's words, because podman looks for "flag needs an argument".

/// A flag that a command knows.
#[derive(Clone, Debug)]
pub(crate) struct Flag<'a> {
    pub(crate) long: &'a str,
    pub(crate) short: Option<char>,
    pub(crate) kind: Kind,
}

/// What follows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing, or `=true`, or `=false`.
    Switch,
    Text,
    /// A `u32`.
    Number,
}

/// Where flags may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Anywhere,
    /// Before the first operand; what follows belongs to another program.
    BeforeOperands,
}

/// A command line in one shape only.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Normalised<'a> {
    /// The long names of the flags given, with their values if they take one.
    /// An empty value counts as not given: engines pass unset settings so.
    pub(crate) flags: Vec<(&'a str, Option<String>)>,
    /// What is not a flag.
    pub(crate) operands: Vec<String>,
    /// `--help` was among the flags.
    pub(crate) help: bool,
}

const HELP: Flag<'static> = Flag { long: "help", short: Some('h'), kind: Kind::Switch };

/// Sorts `args` into flags and operands.
///
/// # Errors
/// One line in Go's words about the first argument that breaks the rules.
pub(crate) fn normalise<'a>(
    known: &[Flag<'a>],
    args: impl Iterator<Item = String>,
    order: Order,
) -> Result<Normalised<'a>, String> {
    let mut args = args;
    let mut result = Normalised::default();
    while let Some(arg) = args.next() {
        let Some(body) = flag_body(&arg) else {
            result.operands.push(arg);
            if order == Order::BeforeOperands {
                break;
            }
            continue;
        };
        if body == "-" {
            break;
        }
        let name_and_value = body.strip_prefix('-').unwrap_or(body);
        let (name, value) = split(name_and_value).ok_or_else(|| bad_syntax(&arg))?;
        if let Some(flag) = find(known, name) {
            give(&mut result, flag, name, value, &mut args)?;
        } else if let Some(switches) = cluster(known, body) {
            result.flags.extend(switches.iter().map(|flag| (flag.long, None)));
        } else {
            return Err(format!("flag provided but not defined: -{name}"));
        }
    }
    result.operands.extend(args);
    Ok(result)
}

/// What follows the first dash of a flag; `None` for operands, of which "-" is one.
fn flag_body(arg: &str) -> Option<&str> {
    arg.strip_prefix('-').filter(|body| !body.is_empty())
}

/// "name" or "name=value" in its parts; `None` when it is neither.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    (!name.is_empty() && !name.starts_with('-')).then_some((name, value))
}

fn bad_syntax(arg: &str) -> String {
    format!("bad flag syntax: {arg}")
}

fn find<'a>(known: &[Flag<'a>], name: &str) -> Option<Flag<'a>> {
    let is_short = |flag: &Flag<'_>| flag.short.is_some_and(|short| name.chars().eq([short]));
    known.iter().chain([&HELP]).find(|flag| flag.long == name || is_short(flag)).cloned()
}

/// The switches that `-abc` stands for, when all its letters are some.
fn cluster<'a>(known: &[Flag<'a>], body: &str) -> Option<Vec<Flag<'a>>> {
    let switch = |letter: char| {
        known.iter().find(|flag| flag.short == Some(letter) && flag.kind == Kind::Switch).cloned()
    };
    body.chars().map(switch).collect()
}

fn give<'a>(
    result: &mut Normalised<'a>,
    flag: Flag<'a>,
    name: &str,
    value: Option<&str>,
    rest: &mut impl Iterator<Item = String>,
) -> Result<(), String> {
    if flag.kind == Kind::Switch {
        let on = switch_value(name, value.unwrap_or("true"))?;
        set_switch(result, flag.long, on);
        return Ok(());
    }
    let value = match value {
        Some(value) => value.to_owned(),
        None => rest.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?,
    };
    if flag.kind == Kind::Number && value.parse::<u32>().is_err() {
        return Err(format!("invalid value \"{value}\" for flag -{name}: parse error"));
    }
    if !value.is_empty() {
        result.flags.push((flag.long, Some(value)));
    }
    Ok(())
}

fn set_switch<'a>(result: &mut Normalised<'a>, long: &'a str, on: bool) {
    if long == HELP.long {
        result.help = on;
        return;
    }
    result.flags.retain(|(name, _)| *name != long);
    if on {
        result.flags.push((long, None));
    }
}

fn switch_value(name: &str, value: &str) -> Result<bool, String> {
    boolean(value)
        .ok_or_else(|| format!("invalid boolean value \"{value}\" for -{name}: parse error"))
}

/// The texts that Go takes for a boolean.
pub(crate) fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Flag<'static>] = &[
        Flag { long: "bundle", short: Some('b'), kind: Kind::Text },
        Flag { long: "detach", short: Some('d'), kind: Kind::Switch },
        Flag { long: "tty", short: Some('t'), kind: Kind::Switch },
        Flag { long: "no-subreaper", short: None, kind: Kind::Switch },
        Flag { long: "preserve-fds", short: None, kind: Kind::Number },
    ];

    fn read(line: &str, order: Order) -> Result<Normalised<'static>, String> {
        normalise(KNOWN, line.split_whitespace().map(str::to_owned), order)
    }

    fn shape(line: &str) -> String {
        let read = read(line, Order::Anywhere).unwrap();
        let flags: Vec<String> = read
            .flags
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{name}={value}"),
                None => (*name).to_owned(),
            })
            .collect();
        format!("{} | {}", flags.join(" "), read.operands.join(" "))
    }

    fn error(line: &str) -> String {
        read(line, Order::Anywhere).unwrap_err()
    }

    #[test]
    fn one_dash_or_two_and_either_form_of_value_mean_the_same() {
        for line in ["--bundle x id", "-bundle x id", "--bundle=x id", "-b x id", "--b=x id"] {
            assert_eq!(shape(line), "bundle=x | id", "{line}");
        }
        assert_eq!(shape("-no-subreaper id"), "no-subreaper | id");
    }

    #[test]
    fn the_value_of_a_flag_may_begin_with_a_dash_and_hold_equals_signs() {
        assert_eq!(shape("--bundle --detach id"), "bundle=--detach | id");
        assert_eq!(shape("--bundle=a=b id"), "bundle=a=b | id");
    }

    #[test]
    fn a_switch_can_be_turned_off_again_and_the_last_word_counts() {
        assert_eq!(shape("--detach=false id"), " | id");
        assert_eq!(shape("--detach --detach=0 id"), " | id");
        assert_eq!(shape("--detach=F -d=T id"), "detach | id");
    }

    #[test]
    fn flags_after_operands_count_unless_they_belong_to_another_program() {
        assert_eq!(shape("id -d"), "detach | id");
        let stopped = read("-t id ls -d", Order::BeforeOperands).unwrap();
        assert_eq!(stopped.flags, [("tty", None)]);
        assert_eq!(stopped.operands, ["id", "ls", "-d"]);
    }

    #[test]
    fn two_dashes_alone_end_the_flags_and_one_dash_alone_is_an_operand() {
        assert_eq!(shape("-d -- -t --"), "detach | -t --");
        assert_eq!(shape("- -d"), "detach | -");
    }

    #[test]
    fn an_empty_value_counts_as_not_given() {
        assert_eq!(shape("--bundle= id"), " | id");
    }

    #[test]
    fn letters_of_switches_may_stand_together() {
        assert_eq!(shape("-td id"), "tty detach | id");
        assert_eq!(error("-tb id"), "flag provided but not defined: -tb");
        assert_eq!(error("--td id"), "flag provided but not defined: -td");
    }

    #[test]
    fn help_is_seen_among_the_flags_only() {
        assert!(read("id --help", Order::Anywhere).unwrap().help);
        assert!(read("-h", Order::BeforeOperands).unwrap().help);
        assert!(!read("id --help", Order::BeforeOperands).unwrap().help);
    }

    #[test]
    fn errors_have_the_words_of_go() {
        assert_eq!(error("--bundle"), "flag needs an argument: -bundle");
        assert_eq!(error("-b"), "flag needs an argument: -b");
        assert_eq!(error("--nope id"), "flag provided but not defined: -nope");
        assert_eq!(error("--=x"), "bad flag syntax: --=x");
        assert_eq!(error("---x"), "bad flag syntax: ---x");
        assert_eq!(error("--detach=x"), "invalid boolean value \"x\" for -detach: parse error");
        assert_eq!(
            error("--preserve-fds x"),
            "invalid value \"x\" for flag -preserve-fds: parse error"
        );
    }
}
