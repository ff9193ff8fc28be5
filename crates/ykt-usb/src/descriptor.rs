//! What the token says of itself: device, configuration with the CCID functional descriptor, strings (USB 2.0,
//! chapter 9; USB CCID rev 1.1, 5.1). And what a host finds in the configuration of a token of any maker.

use crate::ccid::message::MESSAGE_LEN_MAX;

/// Vendor id 1209 and product id 0001: pid.codes keeps the pair for private tests. It is no device on sale.
pub const VENDOR_ID: u16 = 0x1209;
/// See [`VENDOR_ID`].
pub const PRODUCT_ID: u16 = 0x0001;
/// Release of the device, BCD.
pub const DEVICE_RELEASE: u16 = 0x0100;
/// The only configuration.
pub const CONFIGURATION: u8 = 1;
/// Longest packet of the control and bulk pipes at full speed, in bytes.
pub const PACKET_LEN: usize = 64;
/// Longest packet of the interrupt pipe, in bytes.
pub const NOTICE_PACKET_LEN: usize = 8;
/// Class of the interface: smart card devices.
pub const INTERFACE_CLASS: u8 = 0x0B;
/// Address of the bulk-out pipe.
pub const BULK_OUT: u8 = 0x01;
/// Address of the bulk-in pipe.
pub const BULK_IN: u8 = 0x81;
/// Address of the interrupt pipe.
pub const INTERRUPT_IN: u8 = 0x82;
/// Clock of the chip in kHz, the only one.
pub const CLOCK_KHZ: u32 = 4_000;
/// Data rate of the chip in bits per second, the only one: the clock over 372.
pub const DATA_RATE: u32 = 10_752;

/// Language of the strings: English (United States).
const LANGUAGE: u16 = 0x0409;
const MANUFACTURER: &str = "Yikatong";
const PRODUCT: &str = "Yikatong purse token";

const TYPE_DEVICE: u8 = 1;
const TYPE_CONFIGURATION: u8 = 2;
const TYPE_STRING: u8 = 3;
const TYPE_INTERFACE: u8 = 4;
const TYPE_ENDPOINT: u8 = 5;
const TYPE_FUNCTIONAL: u8 = 0x21;
/// Bytes of the CCID functional descriptor.
const FUNCTIONAL_LEN: u8 = 54;
/// 9 configuration, 9 interface, 54 functional, 3 × 7 endpoints.
const CONFIGURATION_LEN: u16 = 93;
/// `dwFeatures`: parameters from the ATR, voltage, clock and rate chosen by the token, its own PPS; short APDUs.
const FEATURES: u32 = 0x0002_00BA;
/// The bit of [`FEATURES`] that says short APDU.
const FEATURE_SHORT_APDU: u32 = 0x0002_0000;
/// Longest information field of a T=1 block in bytes (`dwMaxIFSD`).
const INFORMATION_FIELD_LEN_MAX: u32 = 254;

/// The device descriptor. It has no serial number: the card's number is for those who select its application.
#[must_use]
pub fn device() -> [u8; 18] {
    let [usb, vendor, product, release] =
        [0x0200, VENDOR_ID, PRODUCT_ID, DEVICE_RELEASE].map(u16::to_le_bytes);
    [
        18,
        TYPE_DEVICE,
        usb[0],
        usb[1],
        0,
        0,
        0,
        64,
        vendor[0],
        vendor[1],
        product[0],
        product[1],
        release[0],
        release[1],
        1,
        2,
        0,
        1,
    ]
}

/// The configuration with everything below it: interface, functional descriptor, three endpoints.
#[must_use]
pub fn configuration() -> Vec<u8> {
    let mut bytes = vec![9, TYPE_CONFIGURATION];
    bytes.extend(CONFIGURATION_LEN.to_le_bytes());
    // One interface; powered by the bus, with at most 100 mA.
    bytes.extend([1, CONFIGURATION, 0, 0x80, 50]);
    bytes.extend([9, TYPE_INTERFACE, 0, 0, 3, INTERFACE_CLASS, 0, 0, 2]);
    bytes.extend(functional());
    for (address, kind, len, interval_ms) in
        [(BULK_OUT, 2, PACKET_LEN, 0), (BULK_IN, 2, PACKET_LEN, 0), (INTERRUPT_IN, 3, NOTICE_PACKET_LEN, 255)]
    {
        bytes.extend([7, TYPE_ENDPOINT, address, kind]);
        bytes.extend(u16::try_from(len).unwrap_or_default().to_le_bytes());
        bytes.push(interval_ms);
    }
    bytes
}

/// The CCID functional descriptor (5.1, table 5.1-1).
fn functional() -> Vec<u8> {
    let mut bytes = vec![FUNCTIONAL_LEN, TYPE_FUNCTIONAL];
    // bcdCCID 1.10; the last slot is 0; 5 V, 3 V and 1.8 V.
    bytes.extend([0x10, 0x01, 0, 0x07]);
    // Protocols T=0 and T=1.
    bytes.extend(3u32.to_le_bytes());
    // Default and highest clock, and how many; the same for data rates.
    bytes.extend(CLOCK_KHZ.to_le_bytes());
    bytes.extend(CLOCK_KHZ.to_le_bytes());
    bytes.push(1);
    bytes.extend(DATA_RATE.to_le_bytes());
    bytes.extend(DATA_RATE.to_le_bytes());
    bytes.push(1);
    bytes.extend(INFORMATION_FIELD_LEN_MAX.to_le_bytes());
    // No synchronous protocols, nothing mechanical.
    bytes.extend([0; 8]);
    bytes.extend(FEATURES.to_le_bytes());
    bytes.extend(u32::try_from(MESSAGE_LEN_MAX).unwrap_or_default().to_le_bytes());
    // Classes of GET RESPONSE and ENVELOPE: those of the command. No display, no PIN pad, one busy slot.
    bytes.extend([0xFF, 0xFF, 0, 0, 0, 1]);
    bytes
}

/// The string of an index: 0 the languages, 1 the maker, 2 the product.
#[must_use]
pub fn string(index: u8) -> Option<Vec<u8>> {
    let units: Vec<u16> = match index {
        0 => vec![LANGUAGE],
        1 => MANUFACTURER.encode_utf16().collect(),
        2 => PRODUCT.encode_utf16().collect(),
        _ => return None,
    };
    let len = u8::try_from(units.len().checked_mul(2)?.checked_add(2)?).ok()?;
    Some([len, TYPE_STRING].into_iter().chain(units.into_iter().flat_map(u16::to_le_bytes)).collect())
}

/// What a standard GET_DESCRIPTOR of the device answers; `None` for a descriptor the token does not have.
#[must_use]
pub fn of(kind: u8, index: u8) -> Option<Vec<u8>> {
    match (kind, index) {
        (TYPE_DEVICE, 0) => Some(device().to_vec()),
        (TYPE_CONFIGURATION, 0) => Some(configuration()),
        (TYPE_STRING, index) => string(index),
        _ => None,
    }
}

/// The pipes of a token, as its configuration tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pipes {
    /// Value for SET_CONFIGURATION.
    pub configuration: u8,
    /// Number of the bulk-out endpoint.
    pub bulk_out: u8,
    /// Number of the bulk-in endpoint.
    pub bulk_in: u8,
    /// Longest message in bytes.
    pub message_len_max: usize,
}

/// Why a device cannot be used as a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// The descriptors do not hang together.
    #[error("its configuration descriptor is broken at byte {at}")]
    Broken {
        /// Where.
        at: usize,
    },
    /// It has no interface of the class.
    #[error("it has no smart card interface (class 0B)")]
    NoInterface,
    /// It takes no short APDUs.
    #[error(
        "it takes no short APDUs (features {features:08X}); only tokens of the short APDU level can be used"
    )]
    Level {
        /// Its `dwFeatures`.
        features: u32,
    },
    /// A pipe or the functional descriptor is missing.
    #[error("its smart card interface lacks {missing}")]
    Incomplete {
        /// What is missing.
        missing: &'static str,
    },
}

impl Pipes {
    /// Finds the first smart card interface in a configuration.
    ///
    /// # Errors
    /// [`DescriptorError`] when there is none that takes short APDUs.
    pub fn find(configuration: &[u8]) -> Result<Pipes, DescriptorError> {
        let (mut number, mut is_ours, mut was_ours) = (0, false, false);
        let (mut bulk_out, mut bulk_in, mut functional) = (None, None, None);
        let mut rest = configuration;
        while let [len, kind, ..] = *rest {
            let at = configuration.len().saturating_sub(rest.len());
            let whole = rest.split_at_checked(usize::from(len)).filter(|_| len >= 2);
            let (descriptor, behind) = whole.ok_or(DescriptorError::Broken { at })?;
            match (kind, descriptor) {
                (TYPE_CONFIGURATION, [_, _, _, _, _, value, ..]) => number = *value,
                (TYPE_INTERFACE, [_, _, _, _, _, class, ..]) => {
                    is_ours = !was_ours && *class == INTERFACE_CLASS;
                    was_ours |= is_ours;
                }
                (TYPE_FUNCTIONAL, bytes) if is_ours => functional = functional.or(levels(bytes)),
                (TYPE_ENDPOINT, [_, _, address, 2, ..]) if is_ours => {
                    let pipe = if address & 0x80 == 0 { &mut bulk_out } else { &mut bulk_in };
                    *pipe = pipe.or(Some(address & 0x0F));
                }
                _ => {}
            }
            rest = behind;
        }
        if !was_ours {
            return Err(DescriptorError::NoInterface);
        }
        let (features, message_len_max) =
            functional.ok_or(DescriptorError::Incomplete { missing: "its functional descriptor" })?;
        if features & FEATURE_SHORT_APDU == 0 {
            return Err(DescriptorError::Level { features });
        }
        Ok(Pipes {
            configuration: number,
            bulk_out: bulk_out.ok_or(DescriptorError::Incomplete { missing: "a bulk-out pipe" })?,
            bulk_in: bulk_in.ok_or(DescriptorError::Incomplete { missing: "a bulk-in pipe" })?,
            message_len_max,
        })
    }
}

/// `dwFeatures` and `dwMaxCCIDMessageLength` of a functional descriptor.
fn levels(functional: &[u8]) -> Option<(u32, usize)> {
    let word = |at: usize| -> Option<u32> {
        let bytes = functional.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    Some((word(40)?, usize::try_from(word(44)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths and offsets as libccid reads them (`ccid_usb.c`): slots at 4, voltages at 5, protocols at 6, clock at
    /// 10, rate at 23, IFSD at 28, features at 40, message length at 44, display at 50, PIN at 52, busy slots at 53.
    #[test]
    fn the_functional_descriptor_stands_where_drivers_look() {
        let bytes = functional();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!((bytes.len(), usize::from(bytes[0]), bytes[1]), (54, 54, 0x21));
        assert_eq!((bytes[4], bytes[5], word(6)), (0, 7, 3));
        assert_eq!((word(10), word(14), bytes[18]), (4_000, 4_000, 1));
        assert_eq!((word(19), word(23), bytes[27]), (10_752, 10_752, 1));
        assert_eq!((word(28), word(32), word(36)), (254, 0, 0));
        assert_eq!((word(40), word(44)), (0x0002_00BA, 271));
        assert_eq!(bytes[48..], [0xFF, 0xFF, 0, 0, 0, 1]);
    }

    #[test]
    fn the_configuration_hangs_together() {
        let bytes = configuration();
        assert_eq!(usize::from(u16::from_le_bytes([bytes[2], bytes[3]])), bytes.len());
        let pipes = Pipes::find(&bytes).unwrap();
        assert_eq!(pipes, Pipes { configuration: 1, bulk_out: 1, bulk_in: 1, message_len_max: 271 });
        assert_eq!(usize::from(device()[0]), device().len());
        assert_eq!(string(0).unwrap(), [4, 3, 0x09, 0x04]);
        assert_eq!(string(1).unwrap()[..6], [18, 3, b'Y', 0, b'i', 0]);
        assert_eq!((string(3), of(6, 0), of(1, 1)), (None, None, None));
    }

    #[test]
    fn a_host_refuses_what_it_cannot_use() {
        let right = configuration();
        let find = |at: usize, byte: u8| {
            let mut wrong = right.clone();
            wrong[at] = byte;
            Pipes::find(&wrong)
        };
        assert_eq!(find(14, 0x03), Err(DescriptorError::NoInterface));
        assert_eq!(find(18 + 42, 0x01), Err(DescriptorError::Level { features: 0x0001_00BA }));
        assert_eq!(
            find(18 + 1, 0x24),
            Err(DescriptorError::Incomplete { missing: "its functional descriptor" })
        );
        assert_eq!(find(72 + 2, 0x83), Err(DescriptorError::Incomplete { missing: "a bulk-out pipe" }));
        assert_eq!(find(9, 0), Err(DescriptorError::Broken { at: 9 }));
        assert_eq!(find(9, 200), Err(DescriptorError::Broken { at: 9 }));
        assert_eq!(Pipes::find(&[]), Err(DescriptorError::NoInterface));
    }
}
