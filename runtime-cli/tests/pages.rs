//! The completions that are shipped, in the shells they are for, and the manual pages in groff. A
//! shell that is not here is told of.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// A directory with a program `tare` that lists two containers, first in the path.
struct Stage(PathBuf);

impl Stage {
    fn new(test: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("tare-pages-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let program = dir.join("tare");
        let text = "#!/bin/sh\n[ \"$1\" = --root ] && echo \"from$(basename \"$2\")\"\necho one\necho two\n";
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir_all(dir.join("folder")).unwrap();
        std::fs::write(dir.join("file"), "").unwrap();
        Self(dir)
    }

    /// What `shell` prints for `script`; `None` where it is not installed.
    fn run(&self, shell: &str, args: &[&str]) -> Option<String> {
        let path = format!("{}:{}", self.0.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(shell);
        command.args(args).current_dir(&self.0).env("PATH", path).env("HOME", &self.0);
        let Ok(output) = command.stdin(Stdio::null()).output() else {
            eprintln!("SKIPPED: {shell} is not installed");
            return None;
        };
        Some(checked(&output))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn checked(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What is typed, what is offered among others, and what is not.
const CASES: &[(&str, &[&str], &[&str])] = &[
    ("tare ex", &["exec"], &["run", "events"]),
    ("tare --log-format ", &["text", "json"], &["exec"]),
    ("tare --root folder --de", &["--debug"], &["--bundle"]),
    ("tare --trace file st", &["start", "state"], &["file"]),
    ("tare run --no-p", &["--no-pivot"], &["--no-subreaper", "--preserve-fds"]),
    ("tare run --bundle f", &["folder"], &["file"]),
    ("tare exec --process f", &["file"], &["one"]),
    ("tare start ", &["one", "two"], &["file", "start", "folder"]),
    ("tare --root /x/box start f", &["frombox"], &["one"]),
    ("tare kill one K", &["KILL"], &["USR1", "one"]),
    ("tare ps --format ", &["table", "json"], &["one"]),
    ("tare events --format p", &["prometheus"], &["json"]),
    ("tare help st", &["start", "state"], &["one"]),
];

fn check(offer: impl Fn(&str) -> Option<String>) {
    for (typed, wanted, unwanted) in CASES {
        let Some(offered) = offer(typed) else { return };
        let words: Vec<&str> = offered
            .lines()
            .filter_map(|line| line.split('\t').next())
            .map(|word| word.trim_end_matches(['/', ' ']))
            .collect();
        for word in *wanted {
            assert!(words.contains(word), "{typed:?} offers {words:?}, not {word}");
        }
        for word in *unwanted {
            assert!(!words.contains(word), "{typed:?} offers {word}");
        }
    }
}

#[test]
fn bash_completes_commands_options_values_and_containers() {
    let stage = Stage::new("bash");
    check(|typed| {
        let words: Vec<String> = typed.split(' ').map(|word| format!("'{word}'")).collect();
        let script = format!(
            "source {PACKAGE}/completions/tare.bash\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_tare\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1
        );
        stage.run("bash", &["-c", &script])
    });
}

#[test]
fn fish_completes_commands_options_values_and_containers() {
    let stage = Stage::new("fish");
    check(|typed| {
        let script = format!("source {PACKAGE}/completions/tare.fish\ncomplete -C '{typed}'");
        stage.run("fish", &["--no-config", "-c", &script])
    });
}

#[test]
fn zsh_completes_commands_options_values_and_containers() {
    let stage = Stage::new("zsh");
    check(|typed| {
        stage.run("zsh", &["-f", "-c", ZSH, "zsh", &format!("{PACKAGE}/completions"), typed])
    });
}

/// Types $2 into a shell on a terminal of its own, and prints what is offered, a word a line.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT= RPS1= ; stty -echo; unsetopt zle_bracketed_paste beep; fpath=($1 \$fpath)"
zpty -w shell "autoload -Uz compinit && compinit -u -d $PWD/dump"
zpty -w shell 'offered() {
    compadd() {
        local -a hits
        [[ ${@[1,(i)(-|--)]} == *-(O|A|D)* ]] && { builtin compadd "$@"; return }
        builtin compadd -O hits "$@"
        (( $#hits )) && print -rl -- "MATCH:"${^hits}
        builtin compadd "$@"
    }
    _main_complete
    print END
}'
zpty -w shell 'zle -C offered complete-word offered; bindkey "^X" offered; print READY'
zpty -r shell line '*READY*READY*' || exit 1
zpty -n -w shell "$2"$'\x18'
zpty -r shell line '*END*'
print -r -- "$line" | tr -d '\r' | sed -n 's/.*MATCH://p' | sort -u
zpty -d shell
"#;

#[test]
fn groff_has_nothing_against_the_manual_pages() {
    for entry in std::fs::read_dir(Path::new(PACKAGE).join("man")).unwrap() {
        let page = entry.unwrap().path();
        let ran = Command::new("groff").args(["-man", "-ww", "-Tutf8", "-z"]).arg(&page).output();
        let Ok(output) = ran else {
            eprintln!("SKIPPED: groff is not installed");
            return;
        };
        checked(&output);
    }
}
