//! One log line, as text or JSON.

use std::fmt::Write as _;
use std::time::SystemTime;

use serde::Serialize;

use crate::time::rfc3339;

/// The fields of a log line; the optional ones are for `--debug`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Line<'a> {
    pub(super) level: &'a str,
    pub(super) msg: &'a str,
    pub(super) time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) syscall: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pointer: Option<&'a str>,
}

pub(super) fn line<'a>(level: &'a str, msg: &'a str) -> Line<'a> {
    Line { level, msg, time: rfc3339(SystemTime::now()), ..Line::default() }
}

impl Line<'_> {
    pub(super) fn json(&self) -> String {
        // Strings and numbers always have a JSON form.
        serde_json::to_string(self).map(|text| text + "\n").unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        let head = format!("time=\"{}\" level={} msg={}", self.time, self.level, quoted(self.msg));
        head + &self.details() + "\n"
    }

    /// What `--debug` adds to a text line.
    pub(super) fn details(&self) -> String {
        let fields = [
            ("kind", self.kind.clone()),
            ("syscall", self.syscall.map(str::to_owned)),
            ("errno", self.errno.map(|errno| errno.to_string())),
            ("pointer", self.pointer.map(str::to_owned)),
        ];
        let known = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known.map(|(name, value)| format!(" {name}={}", quoted(&value))).collect()
    }
}

/// `text` as a value of a text line: in quotes unless it is one plain word, and
/// never more than one line.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let escaped: String = text.chars().fold(String::with_capacity(text.len()), |mut result, c| {
        if let '"' | '\\' = c {
            result.push('\\');
        }
        push_on_one_line(&mut result, c);
        result
    });
    format!("\"{escaped}\"")
}

/// `text` without what would end a line or steer a terminal.
pub(super) fn on_one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut result, c| {
        push_on_one_line(&mut result, c);
        result
    })
}

fn push_on_one_line(text: &mut String, c: char) {
    match c {
        '\n' => *text += "\\n",
        '\r' => *text += "\\r",
        '\t' => *text += "\\t",
        // Writing to a String cannot fail.
        c if c.is_control() => drop(write!(text, "\\u{:04x}", u32::from(c))),
        c => text.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_line_is_quoted_like_the_lines_of_runc() {
        let line = Line { time: "T".into(), ..line("error", "runc: \"state\" requires\n1") };
        assert_eq!(
            line.text(),
            "time=\"T\" level=error msg=\"runc: \\\"state\\\" requires\\n1\"\n"
        );
    }

    #[test]
    fn a_plain_word_needs_no_quotes_and_an_empty_one_does() {
        assert_eq!(quoted("a-b/c.d"), "a-b/c.d");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("\u{1b}[31m"), "\"\\u001b[31m\"");
    }

    #[test]
    fn a_json_line_has_the_fields_that_engines_decode_and_no_others() {
        let line = Line { time: "T".into(), ..line("error", "a \"b\"\nc") };
        assert_eq!(
            line.json(),
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\nc\",\"time\":\"T\"}\n"
        );
    }

    #[test]
    fn every_line_ends_once_whatever_the_message_holds() {
        let line = line("error", "one\ntwo\r\n\u{2028}three");
        assert_eq!(line.text().matches('\n').count(), 1);
        assert_eq!(line.json().matches('\n').count(), 1);
    }
}
