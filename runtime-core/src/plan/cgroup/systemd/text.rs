//! Values as text, the way annotations give them: the text format of GVariant,
//! as far as unit properties need it.

use super::value::Value;

/// Reads a whole text; `None` if it is no value.
///
/// Numbers are 32-bit integers unless a type stands before them (`uint64 5`,
/// `@t 5`) or they have a point.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    let value = reader.value(None)?;
    reader.skip_blanks();
    reader.rest.is_empty().then_some(value)
}

/// The names of types that may stand before a value, and their signatures.
const TYPES: [(&str, &str); 12] = [
    ("boolean", "b"),
    ("byte", "y"),
    ("double", "d"),
    ("int16", "n"),
    ("int32", "i"),
    ("int64", "x"),
    ("objectpath", "o"),
    ("signature", "g"),
    ("string", "s"),
    ("uint16", "q"),
    ("uint32", "u"),
    ("uint64", "t"),
];

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, prefix: &str) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The longest start of the rest whose characters are `wanted`.
    fn word(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        self.skip_blanks();
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A value of the type `wanted`, or of the type that it shows.
    fn value(&mut self, wanted: Option<&str>) -> Option<Value> {
        self.skip_blanks();
        match self.rest.chars().next()? {
            '@' => {
                self.take("@");
                let signature = self.word(|c| !c.is_whitespace());
                self.value(Some(signature))
            }
            '\'' | '"' => text(self.quoted()?, wanted),
            '[' => self.array(wanted),
            '(' => self.structure(),
            '<' => {
                self.take("<");
                let value = self.value(None)?;
                self.take(">").then(|| Value::Variant(Box::new(value)))
            }
            c if c.is_ascii_digit() || c == '-' || c == '+' || c == '.' => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
                number(self.word(is_part), wanted)
            }
            c if c.is_ascii_alphabetic() => {
                let word = self.word(|c| c.is_ascii_alphanumeric());
                match word {
                    "true" => Some(Value::Bool(true)),
                    "false" => Some(Value::Bool(false)),
                    name => {
                        let (_, signature) = TYPES.iter().find(|(known, _)| *known == name)?;
                        self.value(Some(signature))
                    }
                }
            }
            _ => None,
        }
    }

    /// Between quotes of either kind, with the escapes of C.
    fn quoted(&mut self) -> Option<String> {
        let mut chars = self.rest.char_indices();
        let (_, quote) = chars.next()?;
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[at + c.len_utf8()..];
                return Some(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            text.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                plain @ ('\\' | '\'' | '"') => plain,
                _ => return None,
            });
        }
        None
    }

    fn array(&mut self, wanted: Option<&str>) -> Option<Value> {
        self.take("[");
        let element = match wanted {
            Some(signature) => Some(signature.strip_prefix('a')?),
            None => None,
        };
        let mut items: Vec<Value> = Vec::new();
        while !self.take("]") {
            if !items.is_empty() && !self.take(",") {
                return None;
            }
            items.push(self.value(element)?);
        }
        let signature = match (element, items.first()) {
            (Some(element), _) => element.to_owned(),
            (None, Some(first)) => first.signature(),
            // Nothing tells what an empty list is a list of.
            (None, None) => return None,
        };
        let same = items.iter().all(|item| item.signature() == signature);
        same.then_some(Value::Array(signature, items))
    }

    fn structure(&mut self) -> Option<Value> {
        self.take("(");
        let mut fields = Vec::new();
        while !self.take(")") {
            if !fields.is_empty() && !self.take(",") {
                return None;
            }
            fields.push(self.value(None)?);
        }
        (!fields.is_empty()).then_some(Value::Struct(fields))
    }
}

fn text(text: String, wanted: Option<&str>) -> Option<Value> {
    match wanted {
        None | Some("s") => Some(Value::Text(text)),
        Some("o") => Some(Value::ObjectPath(text)),
        Some("g") => Some(Value::Signature(text)),
        Some(_) => None,
    }
}

fn number(word: &str, wanted: Option<&str>) -> Option<Value> {
    let signature = match wanted {
        Some(signature) => signature,
        None if word.contains(['.', 'e', 'E']) && !word.starts_with("0x") => "d",
        None => "i",
    };
    if signature == "d" {
        return word.parse().ok().map(Value::Double);
    }
    let (digits, negative) = match word.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (word.strip_prefix('+').unwrap_or(word), false),
    };
    let magnitude = match digits.strip_prefix("0x") {
        Some(hexadecimal) => i128::from(u64::from_str_radix(hexadecimal, 16).ok()?),
        None => i128::from(digits.parse::<u64>().ok()?),
    };
    let number = if negative { -magnitude } else { magnitude };
    Some(match signature {
        "y" => Value::Byte(number.try_into().ok()?),
        "n" => Value::I16(number.try_into().ok()?),
        "q" => Value::U16(number.try_into().ok()?),
        "i" => Value::I32(number.try_into().ok()?),
        "u" => Value::U32(number.try_into().ok()?),
        "x" => Value::I64(number.try_into().ok()?),
        "t" => Value::U64(number.try_into().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_have_the_type_they_show() {
        assert_eq!(parse("true"), Some(Value::Bool(true)));
        assert_eq!(parse(" 12 "), Some(Value::I32(12)));
        assert_eq!(parse("1.5"), Some(Value::Double(1.5)));
        assert_eq!(parse("'inactive-or-failed'"), Some(Value::text("inactive-or-failed")));
        assert_eq!(parse(r#""it\'s \"x\"""#), Some(Value::text("it's \"x\"")));
    }

    #[test]
    fn a_type_before_a_value_decides() {
        assert_eq!(parse("uint64 123456789"), Some(Value::U64(123_456_789)));
        assert_eq!(parse("@t 5"), Some(Value::U64(5)));
        assert_eq!(parse("int64 -5"), Some(Value::I64(-5)));
        assert_eq!(parse("byte 0xff"), Some(Value::Byte(255)));
        assert_eq!(parse("@as []"), Some(Value::Array("s".to_owned(), Vec::new())));
        assert_eq!(parse("@ay [1, 2]"), Some(Value::bytes([1, 2])));
    }

    #[test]
    fn lists_and_tuples_are_read() {
        assert_eq!(parse("['a', 'b']"), Some(Value::texts(["a".to_owned(), "b".to_owned()])));
        let pair = Value::Struct(vec![Value::text("/dev/null"), Value::text("rw")]);
        let list = parse("[('/dev/null', 'rw')]").unwrap();
        assert_eq!(list, Value::Array("(ss)".to_owned(), vec![pair]));
        assert_eq!(list.signature(), "a(ss)");
        assert_eq!(list.to_string(), r#"[("/dev/null", "rw")]"#);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for bad in
            ["", "yes", "'open", "[1, 'a']", "[1 2]", "[]", "byte 256", "5 6", "()", "@i 'a'"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
