//! D-Bus messages, as far as talking to systemd needs them (D-Bus Specification,
//! "Message Protocol"): any value can be written; of an answer the strings are read.

use crate::plan::cgroup::systemd::Value;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    Return,
    Error,
    Signal,
}

/// A call to be sent.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) arguments: &'a [Value],
}

/// The codes of header fields.
mod field {
    pub(super) const PATH: u8 = 1;
    pub(super) const INTERFACE: u8 = 2;
    pub(super) const MEMBER: u8 = 3;
    pub(super) const ERROR_NAME: u8 = 4;
    pub(super) const REPLY_SERIAL: u8 = 5;
    pub(super) const DESTINATION: u8 = 6;
    pub(super) const SIGNATURE: u8 = 8;
}

/// Bytes before the array of header fields: four of one byte, then the lengths of
/// the body and of the array with the serial between.
const FIXED: usize = 16;
/// No message of systemd comes near; whatever claims to be longer is none.
const LONGEST: usize = 1 << 24;

impl Call<'_> {
    /// The bytes of the message with number `serial`.
    pub(super) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Writer::default();
        self.arguments.iter().for_each(|argument| body.value(argument));
        let signature: String = self.arguments.iter().map(Value::signature).collect();
        let mut fields = vec![
            header(field::PATH, Value::ObjectPath(self.path.to_owned())),
            header(field::INTERFACE, Value::text(self.interface)),
            header(field::MEMBER, Value::text(self.member)),
            header(field::DESTINATION, Value::text(self.destination)),
        ];
        if !signature.is_empty() {
            fields.push(header(field::SIGNATURE, Value::Signature(signature)));
        }
        let mut out = Writer::default();
        const CALL: u8 = 1;
        const VERSION: u8 = 1;
        out.bytes.extend([b'l', CALL, 0, VERSION]);
        out.value(&Value::U32(length(body.bytes.len())));
        out.value(&Value::U32(serial));
        out.value(&Value::Array("(yv)".to_owned(), fields));
        out.align(8);
        out.bytes.extend(body.bytes);
        out.bytes
    }
}

fn header(code: u8, value: Value) -> Value {
    Value::Struct(vec![Value::Byte(code), Value::Variant(Box::new(value))])
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Little-endian, every value aligned to its size.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn fixed<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N);
        self.bytes.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        self.fixed(length(text.len()).to_le_bytes());
        self.bytes.extend(text.bytes());
        self.bytes.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.bytes.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.bytes.extend(signature.bytes());
        self.bytes.push(0);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Byte(number) => self.fixed([*number]),
            Value::Bool(truth) => self.fixed(u32::from(*truth).to_le_bytes()),
            Value::I16(number) => self.fixed(number.to_le_bytes()),
            Value::U16(number) => self.fixed(number.to_le_bytes()),
            Value::I32(number) => self.fixed(number.to_le_bytes()),
            Value::U32(number) => self.fixed(number.to_le_bytes()),
            Value::I64(number) => self.fixed(number.to_le_bytes()),
            Value::U64(number) => self.fixed(number.to_le_bytes()),
            Value::Double(number) => self.fixed(number.to_le_bytes()),
            Value::Text(text) | Value::ObjectPath(text) => self.text(text),
            Value::Signature(signature) => self.signature(signature),
            Value::Array(element, items) => self.array(element, items),
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().for_each(|field| self.value(field));
            }
            Value::Variant(value) => {
                self.signature(&value.signature());
                self.value(value);
            }
        }
    }

    /// Its length counts from the first element, without the padding before that.
    fn array(&mut self, element: &str, items: &[Value]) {
        self.fixed(0u32.to_le_bytes());
        let place = self.bytes.len() - 4;
        self.align(alignment(element));
        let start = self.bytes.len();
        items.iter().for_each(|item| self.value(item));
        let size = length(self.bytes.len() - start).to_le_bytes();
        self.bytes[place..place + 4].copy_from_slice(&size);
    }
}

fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'n' | b'q') => 2,
        Some(b'b' | b'i' | b'u' | b's' | b'o' | b'a') => 4,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 1,
    }
}

/// A message that was received.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) kind: Kind,
    /// Of an answer: the number of the call.
    pub(super) answers: Option<u32>,
    /// Of a signal.
    pub(super) member: String,
    /// Of an error.
    pub(super) error: String,
    /// The strings and object paths at the body's top, in order; numbers left out.
    pub(super) texts: Vec<String>,
}

/// The size of the message that `bytes` start with; `None` while that cannot be told,
/// `Some(Err(()))` when they are no message.
pub(super) fn size(bytes: &[u8]) -> Option<Result<usize, ()>> {
    let fixed = bytes.get(..FIXED)?;
    let reader = Reader { bytes: fixed, at: 0, big: fixed[0] == b'B' };
    let (body, fields) = (reader.number_at(4)?, reader.number_at(12)?);
    let size = (FIXED + fields).next_multiple_of(8).checked_add(body);
    let fits = matches!(fixed[0], b'l' | b'B');
    Some(size.filter(|size| fits && *size <= LONGEST).ok_or(()))
}

impl Received {
    /// Reads one whole message; `None` when it is none that is understood.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let big = *bytes.first()? == b'B';
        let kind = match bytes.get(1)? {
            1 => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => return None,
        };
        let mut reader = Reader { bytes, at: 12, big };
        let end = FIXED + reader.number()?;
        let mut message = Self {
            kind,
            answers: None,
            member: String::new(),
            error: String::new(),
            texts: Vec::new(),
        };
        let mut body = String::new();
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            let signature = reader.signature()?;
            match (code, signature.as_str()) {
                (field::REPLY_SERIAL, "u") => {
                    message.answers = u32::try_from(reader.number()?).ok();
                }
                (field::SIGNATURE, "g") => body = reader.signature()?,
                (field::MEMBER, "s") => message.member = reader.text()?,
                (field::ERROR_NAME, "s") => message.error = reader.text()?,
                (_, "s" | "o") => drop(reader.text()?),
                (_, "g") => drop(reader.signature()?),
                (_, "u") => drop(reader.number()?),
                _ => return None,
            }
        }
        reader.align(8);
        for typ in body.chars() {
            match typ {
                's' | 'o' => message.texts.push(reader.text()?),
                'u' | 'i' | 'b' => drop(reader.number()?),
                'v' if reader.variant(&mut message.texts).is_some() => {}
                // Nothing that is asked of systemd has its answer behind such a value.
                _ => break,
            }
        }
        Some(message)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number_at(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..)?.first_chunk::<4>()?;
        let number = if self.big { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) };
        usize::try_from(number).ok()
    }

    fn number(&mut self) -> Option<usize> {
        self.align(4);
        let number = self.number_at(self.at)?;
        self.at += 4;
        Some(number)
    }

    fn text_of(&mut self, length: usize) -> Option<String> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length + 1;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        self.text_of(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?);
        self.text_of(length)
    }

    /// A variant that holds a string.
    fn variant(&mut self, texts: &mut Vec<String>) -> Option<()> {
        match self.signature()?.as_str() {
            "s" | "o" => texts.push(self.text()?),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &[Value]) -> Vec<u8> {
        let call = Call {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.systemd1.Manager",
            member: "StopUnit",
            arguments,
        };
        call.encode(7)
    }

    #[test]
    fn a_call_is_read_back_and_has_the_size_it_says() {
        let bytes = call(&[Value::text("a.scope"), Value::text("replace")]);
        assert_eq!(size(&bytes), Some(Ok(bytes.len())));
        let read = Received::decode(&bytes).unwrap();
        assert_eq!((read.kind, read.member.as_str()), (Kind::Call, "StopUnit"));
        assert_eq!(read.texts, ["a.scope", "replace"]);
    }

    #[test]
    fn values_are_aligned_as_the_specification_says() {
        let mut writer = Writer::default();
        writer.value(&Value::Byte(1));
        let pair = Value::Struct(vec![Value::text("ab"), Value::U64(5)]);
        writer.value(&Value::Array("(st)".to_owned(), vec![pair]));
        let expected: Vec<u8> = [
            &[1, 0, 0, 0][..],
            &[16, 0, 0, 0],
            &[2, 0, 0, 0, b'a', b'b', 0, 0],
            &[5, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(writer.bytes, expected);
    }

    #[test]
    fn an_empty_array_is_aligned_for_its_elements() {
        let mut writer = Writer::default();
        writer.value(&Value::Array("t".to_owned(), Vec::new()));
        assert_eq!(writer.bytes, [0; 8]);
    }

    #[test]
    fn a_message_cut_short_is_none_and_nothing_panics() {
        let bytes = call(&[Value::text("a.scope")]);
        assert_eq!(size(&bytes[..15]), None);
        for end in 0..bytes.len() {
            let _ = Received::decode(&bytes[..end]);
        }
        assert_eq!(size(&[0xff; 16]), Some(Err(())));
    }
}
