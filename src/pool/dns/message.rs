//! Messages of the DNS, as far as host names and serial numbers of zones need them.
//! <https://www.rfc-editor.org/rfc/rfc1035#section-4>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses: <https://www.rfc-editor.org/rfc/rfc3596>.
    Aaaa,
    /// The start of a zone, for its serial number.
    Soa,
}

impl Kind {
    fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Soa => 6,
        }
    }
}

/// What an answer holds.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Records {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) serial: Option<u32>,
}

/// Why there is nothing to be learned from a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    /// It is not the answer to this question, or no answer at all.
    #[error("not an answer to what was asked")]
    Other,
    /// There is no such name.
    #[error("there is no such name")]
    NoSuchName,
    /// The server could not or would not answer.
    #[error("the name server failed with code {0}")]
    Server(u8),
}

/// A question to a server that looks further by itself. `None`: this can be no name.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    let mut message = Vec::with_capacity(HEADER + name.len() + 6);
    message.extend(id.to_be_bytes());
    message.extend(RECURSION_DESIRED.to_be_bytes());
    for count in [1_u16, 0, 0, 0] {
        message.extend(count.to_be_bytes());
    }
    for label in name.split('.') {
        let len = u8::try_from(label.len()).ok()?;
        if len == 0 || len > MAX_LABEL {
            return None;
        }
        message.push(len);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.code().to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    Some(message)
}

/// Reads the answer to a question.
pub(super) fn answer(message: &[u8], question: &[u8]) -> Result<Records, Fault> {
    let mut rest = Reader { message, at: 0 };
    let id = rest.bytes(2)?;
    let flags = rest.int16()?;
    let counts = [rest.int16()?, rest.int16()?, rest.int16()?, rest.int16()?];
    let asked = question.get(HEADER..).ok_or(Fault::Other)?;
    let is_ours = question.get(..2) == Some(id)
        && flags & IS_ANSWER != 0
        && counts[0] == 1
        && rest.bytes(asked.len())?.eq_ignore_ascii_case(asked);
    if !is_ours {
        return Err(Fault::Other);
    }
    match u8::try_from(flags & RESPONSE_CODE).unwrap_or_default() {
        0 => {}
        NO_SUCH_NAME => return Err(Fault::NoSuchName),
        code => return Err(Fault::Server(code)),
    }
    let mut records = Records::default();
    // Answers, and the authority: who has no such record names the zone's start there.
    for number in 0..u32::from(counts[1]) + u32::from(counts[2]) {
        // What did not fit was cut off.
        let Ok(record) = rest.record() else {
            break;
        };
        records.note(message, &record, number < u32::from(counts[1]));
    }
    Ok(records)
}

impl Records {
    fn note(&mut self, message: &[u8], record: &Record<'_>, is_answer: bool) {
        if record.class != INTERNET {
            return;
        }
        if record.kind == Kind::Soa.code() {
            let mut start = Reader {
                message,
                at: record.at,
            };
            let serial = start
                .skip_name()
                .and_then(|()| start.skip_name())
                .and_then(|()| start.int32());
            self.serial = self.serial.or(serial.ok());
        } else if is_answer && record.kind == Kind::A.code() {
            let address = <[u8; 4]>::try_from(record.data).map(Ipv4Addr::from);
            self.addresses.extend(address.map(IpAddr::V4));
        } else if is_answer && record.kind == Kind::Aaaa.code() {
            let address = <[u8; 16]>::try_from(record.data).map(Ipv6Addr::from);
            self.addresses.extend(address.map(IpAddr::V6));
        }
    }
}

struct Record<'a> {
    kind: u16,
    class: u16,
    data: &'a [u8],
    /// Where the data begins in the message.
    at: usize,
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(len).ok_or(Fault::Other)?;
        let bytes = self.message.get(self.at..end).ok_or(Fault::Other)?;
        self.at = end;
        Ok(bytes)
    }

    fn int16(&mut self) -> Result<u16, Fault> {
        let bytes = self.bytes(2)?.try_into().map_err(|_| Fault::Other)?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn int32(&mut self) -> Result<u32, Fault> {
        let bytes = self.bytes(4)?.try_into().map_err(|_| Fault::Other)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// Passes over a name, which ends with an empty label or with a pointer to the rest of it.
    fn skip_name(&mut self) -> Result<(), Fault> {
        loop {
            let [len] = *self.bytes(1)? else {
                return Err(Fault::Other);
            };
            match len {
                0 => return Ok(()),
                1..=MAX_LABEL => drop(self.bytes(usize::from(len))?),
                POINTER.. => return self.bytes(1).map(drop),
                _ => return Err(Fault::Other),
            }
        }
    }

    fn record(&mut self) -> Result<Record<'a>, Fault> {
        self.skip_name()?;
        let (kind, class) = (self.int16()?, self.int16()?);
        self.int32()?; // its time to live: ours is the operator's
        let len = self.int16()?;
        let at = self.at;
        let data = self.bytes(usize::from(len))?;
        Ok(Record {
            kind,
            class,
            data,
            at,
        })
    }
}

const HEADER: usize = 12;
const MAX_NAME: usize = 253;
const MAX_LABEL: u8 = 63;
const POINTER: u8 = 0b1100_0000;
const INTERNET: u16 = 1;
const RECURSION_DESIRED: u16 = 0x0100;
const IS_ANSWER: u16 = 0x8000;
const RESPONSE_CODE: u16 = 0x000f;
const NO_SUCH_NAME: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a question with these records: type and data, the name being the asked one.
    fn answer_to(question: &[u8], code: u16, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2..4].copy_from_slice(&(IS_ANSWER | code).to_be_bytes());
        let count = u16::try_from(records.len()).unwrap();
        message[6..8].copy_from_slice(&count.to_be_bytes());
        for (kind, data) in records {
            message.extend([POINTER, 12]);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 9]);
            message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend(*data);
        }
        message
    }

    #[test]
    fn addresses_and_serial_numbers_are_read() {
        let asked = question(7, "db.example.com.", Kind::A).unwrap();
        assert_eq!(&asked[12..], b"\x02db\x07example\x03com\0\0\x01\0\x01");
        let message = answer_to(
            &asked,
            0,
            &[(5, b"\x01x\0"), (1, &[10, 0, 0, 1]), (1, &[9])],
        );
        let found = answer(&message, &asked).unwrap();
        assert_eq!(found.addresses, [IpAddr::from([10, 0, 0, 1])]);
        let asked = question(7, "example.com", Kind::Soa).unwrap();
        let start = b"\x02ns\xc0\x0c\xc0\x0c\0\0\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let message = answer_to(&asked, 0, &[(6, start)]);
        assert_eq!(answer(&message, &asked).unwrap().serial, Some(0x102));
    }

    #[test]
    fn another_answer_is_none_to_this_question() {
        let asked = question(7, "db.example.com", Kind::A).unwrap();
        let good = answer_to(&asked, 0, &[(1, &[10, 0, 0, 1])]);
        for (at, byte) in [(0, 1), (2, 0), (5, 2), (13, b'x'), (asked.len() - 3, 28)] {
            let mut other = good.clone();
            other[at] = byte;
            assert_eq!(answer(&other, &asked), Err(Fault::Other), "{at}");
        }
        let refused = answer_to(&asked, 5, &[]);
        assert_eq!(answer(&refused, &asked), Err(Fault::Server(5)));
        let unknown = answer_to(&asked, 3, &[]);
        assert_eq!(answer(&unknown, &asked), Err(Fault::NoSuchName));
    }

    #[test]
    fn a_message_cut_anywhere_gives_no_address_that_is_not_in_it() {
        let asked = question(7, "db.example.com", Kind::Aaaa).unwrap();
        let message = answer_to(&asked, 0, &[(28, &[1; 16]), (28, &[2; 16])]);
        for end in 0..message.len() {
            match answer(&message[..end], &asked) {
                Ok(records) => assert!(records.addresses.len() < 2),
                Err(fault) => assert_eq!(fault, Fault::Other),
            }
        }
        // A name that points to itself is passed over like any other.
        let mut loops = asked.clone();
        loops[2] = 0x80;
        loops[7] = 1;
        loops.extend([POINTER, u8::try_from(asked.len()).unwrap()]);
        assert_eq!(answer(&loops, &asked), Ok(Records::default()));
    }

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        for name in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(128)] {
            assert_eq!(question(7, name, Kind::A), None, "{name}");
        }
    }
}
