//! Protocol parameters of a chip (USB CCID rev 1.1, 6.1.7 and 6.2.3): what its ATR offers, what the host has set.
//!
//! At the APDU level they only tell: no byte of a T=0 or T=1 block passes this token.

/// A transmission protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// T=0.
    T0,
    /// T=1.
    T1,
}

impl Protocol {
    /// `bProtocolNum`.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Protocol::T0 => 0,
            Protocol::T1 => 1,
        }
    }

    /// The protocol of a byte.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Protocol> {
        match code {
            0 => Some(Protocol::T0),
            1 => Some(Protocol::T1),
            _ => None,
        }
    }
}

/// The parameters in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// The protocol.
    pub protocol: Protocol,
    /// Its data structure: 5 bytes for T=0, 7 for T=1.
    pub data: Vec<u8>,
}

impl Parameters {
    /// The first protocol the ATR offers, with the values of a chip that says nothing else: Fi 372, Di 1, no extra
    /// guard time, waiting time 10; for T=1 the waiting integers 4 and 5 and an information field of 254 bytes.
    #[must_use]
    pub fn of_atr(atr: &[u8]) -> Parameters {
        match offered(atr).first() {
            Some(Protocol::T1) => {
                Parameters { protocol: Protocol::T1, data: vec![0x11, 0x10, 0x00, 0x45, 0x00, 0xFE, 0x00] }
            }
            Some(Protocol::T0) | None => {
                Parameters { protocol: Protocol::T0, data: vec![0x11, 0x00, 0x00, 0x0A, 0x00] }
            }
        }
    }

    /// The data length of a protocol, in bytes.
    #[must_use]
    pub const fn data_len(protocol: Protocol) -> usize {
        match protocol {
            Protocol::T0 => 5,
            Protocol::T1 => 7,
        }
    }
}

/// The protocols of an ATR in their order: the low halves of its TD bytes; T=0 where it has none (ISO 7816-3, 8.2.3).
pub(crate) fn offered(atr: &[u8]) -> Vec<Protocol> {
    let mut protocols = Vec::new();
    let mut rest = atr.iter().skip(1);
    let mut next = rest.next().copied().map(|format| format & 0xF0);
    while let Some(present) = next.filter(|present| *present != 0) {
        let before_td = (present & 0x70).count_ones();
        for _ in 0..before_td {
            rest.next();
        }
        let td = if present & 0x80 == 0 { None } else { rest.next().copied() };
        if let Some(protocol) = td.and_then(|td| Protocol::from_code(td & 0x0F))
            && !protocols.contains(&protocol)
        {
            protocols.push(protocol);
        }
        next = td.map(|td| td & 0xF0);
    }
    if protocols.is_empty() {
        protocols.push(Protocol::T0);
    }
    protocols
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_of_an_atr() {
        let cases: [(&[u8], &[Protocol]); 6] = [
            (&[0x3B, 0x02, 0x14, 0x50], &[Protocol::T0]),
            (&[0x3B, 0x88, 0x80, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[Protocol::T0, Protocol::T1]),
            (&[0x3B, 0xF0, 0x11, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x45, 0x00], &[Protocol::T1]),
            (&[0x3B, 0x80, 0x1F], &[Protocol::T0]),
            (&[0x3B, 0xF0], &[Protocol::T0]),
            (&[], &[Protocol::T0]),
        ];
        for (atr, expected) in cases {
            assert_eq!(offered(atr), expected, "{atr:02X?}");
            let parameters = Parameters::of_atr(atr);
            assert_eq!(parameters.data.len(), Parameters::data_len(parameters.protocol));
        }
    }
}
