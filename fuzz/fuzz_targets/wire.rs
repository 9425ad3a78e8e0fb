//! Whatever init could read as an operation is written back as the same one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_core::plan::ops::{Fact, Message, Op};
use runtime_core::plan::wire::{Reader, Writer};

fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new(data);
    while let Some((place, op)) = Op::decode(&mut reader) {
        let mut writer = Writer::default();
        op.encode(place, &mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(Op::decode(&mut Reader::new(&bytes)), Some((place, op)));
    }
    if let Some(message) = Message::from_bytes(data) {
        assert_eq!(message.to_bytes(), data[..Message::SIZE]);
        let _ = Fact::from_number(message.fact);
    }
});
