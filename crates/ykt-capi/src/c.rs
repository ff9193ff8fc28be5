//! The C functions. What is common to all: `comm` is the number `opencomm` gave; `sw` takes the card's status word
//! and may be null; `answer` with `answer_len` takes the answer's data (`*answer_len` bytes of room in, bytes written
//! out; 256 are always enough), and both may be null when the data do not matter.
#![allow(non_snake_case, reason = "the names are those of the issuing interface")]
#![allow(unsafe_code, reason = "a C caller hands over pointers")]

use crate::reader::{Answer, Class, OpenError, Reader};
use crate::{Code, handles};
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{ptr, slice};
use ykt_base::ChannelError;
use ykt_purse::command::ChallengeLen;

/// Longest data field of a command, in bytes.
const DATA_LEN_MAX: usize = 255;

/// Where an answer goes.
struct Out {
    answer: *mut u8,
    answer_len: *mut usize,
    sw: *mut u16,
}

impl Out {
    /// Of a command whose answer is its status word.
    const fn status(sw: *mut u16) -> Out {
        Out { answer: ptr::null_mut(), answer_len: ptr::null_mut(), sw }
    }

    /// Writes status word and data.
    ///
    /// # Safety
    /// Each pointer is null, or valid for writes; `answer` for `*answer_len` bytes.
    unsafe fn put(&self, given: &Answer) -> Code {
        if !self.sw.is_null() {
            // SAFETY: not null, so valid for a write by the contract of this function.
            unsafe { self.sw.write(given.sw.0) };
        }
        if !self.answer_len.is_null() {
            // SAFETY: as above, and initialised by the caller with the room behind `answer`.
            let room = unsafe { self.answer_len.read() };
            // SAFETY: as above.
            unsafe { self.answer_len.write(given.data.len()) };
            if !self.answer.is_null() {
                if given.data.len() > room {
                    return Code::Buffer;
                }
                // SAFETY: `answer` is valid for `room` bytes, which the data fit; the data are our own.
                unsafe { ptr::copy_nonoverlapping(given.data.as_ptr(), self.answer, given.data.len()) };
            }
        }
        let [class, _] = given.sw.0.to_be_bytes();
        if given.sw.is_ok() || class == 0x61 { Code::Ok } else { Code::Refused }
    }
}

/// The caller's bytes; `None` for a null pointer with a length, or more than a command takes.
///
/// # Safety
/// `data` is null, or valid for reads of `len` bytes.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> Option<&'a [u8]> {
    if len == 0 {
        return Some(&[]);
    }
    if data.is_null() || len > DATA_LEN_MAX {
        return None;
    }
    // SAFETY: not null, so valid for `len` bytes by the contract of this function.
    Some(unsafe { slice::from_raw_parts(data, len) })
}

/// Runs a step on an open reader and puts its answer out.
///
/// # Safety
/// As [`Out::put`].
unsafe fn step(
    comm: i32,
    out: &Out,
    work: impl FnOnce(&mut Reader) -> Option<Result<Answer, ChannelError>>,
) -> Code {
    let done = catch_unwind(AssertUnwindSafe(|| handles::with(comm, work)));
    match done {
        Ok(Some(Some(Ok(given)))) => {
            // SAFETY: the caller's promise is passed on.
            unsafe { out.put(&given) }
        }
        Ok(Some(Some(Err(ChannelError::NoCard | ChannelError::Removed)))) => Code::NoCard,
        Ok(Some(Some(Err(_)))) => Code::Transport,
        Ok(Some(None)) => Code::Argument,
        Ok(None) => Code::NotOpen,
        Err(_) => Code::Internal,
    }
}

/// As [`step`], for a command that takes the caller's bytes along.
///
/// # Safety
/// As [`bytes`] for `data` and `len`, and as [`Out::put`].
unsafe fn send(
    comm: i32,
    (data, len): (*const u8, usize),
    out: &Out,
    work: impl FnOnce(&mut Reader, &[u8]) -> Result<Answer, ChannelError>,
) -> Code {
    // SAFETY: the caller's promise is passed on.
    unsafe { step(comm, out, |reader| bytes(data, len).map(|data| work(reader, data))) }
}

/// Opens `place`: `image:FILE`, a card image of this house, or `pcsc:READER`, the number or a part of the name of a
/// reader of this machine. Writes the number of the open reader to `comm`.
///
/// # Safety
/// `place` is null or a string that ends with 0; `comm` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opencomm(place: *const c_char, comm: *mut i32) -> Code {
    if place.is_null() || comm.is_null() {
        return Code::Argument;
    }
    // SAFETY: not null, so a string that ends with 0.
    let Ok(place) = (unsafe { CStr::from_ptr(place) }).to_str() else {
        return Code::Argument;
    };
    let opened = catch_unwind(|| Reader::open(place));
    match opened {
        Ok(Ok(reader)) => match handles::keep(reader) {
            Some(number) => {
                // SAFETY: not null, so valid for a write.
                unsafe { comm.write(number) };
                Code::Ok
            }
            None => Code::Internal,
        },
        Ok(Err(OpenError::Place { .. })) => Code::Argument,
        Ok(Err(_)) => Code::NoReader,
        Err(_) => Code::Internal,
    }
}

/// Closes a reader; the card loses its power.
#[unsafe(no_mangle)]
pub extern "C" fn closecomm(comm: i32) -> Code {
    if handles::release(comm) { Code::Ok } else { Code::NotOpen }
}

/// WRITE HARD INFO: `data` is cryptogram and MAC of a preset, made by the key centre under the card's challenge.
///
/// # Safety
/// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn WriteHardInfo(comm: i32, data: *const u8, len: usize, sw: *mut u16) -> Code {
    let out = Out::status(sw);
    // SAFETY: the caller's promise is passed on.
    unsafe { send(comm, (data, len), &out, |reader, data| reader.write_hard_info(data)) }
}

/// GET HARD INFO: serial (8), operator (2), card system (2), kind (1), life cycle (1), memory (2), free (2), tries of
/// the transport key (1), right to create (1), switches (2).
///
/// # Safety
/// As all: see the top of the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn GetHardInfo(
    comm: i32,
    answer: *mut u8,
    answer_len: *mut usize,
    sw: *mut u16,
) -> Code {
    let out = Out { answer, answer_len, sw };
    // SAFETY: the caller's promise is passed on.
    unsafe { step(comm, &out, |reader| Some(reader.hard_info())) }
}

/// CREATE FILE: `data` is type, size and rights of the MF's, DF's or EF's file `fid`.
///
/// # Safety
/// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn CreateFile(comm: i32, fid: u16, data: *const u8, len: usize, sw: *mut u16) -> Code {
    let out = Out::status(sw);
    // SAFETY: the caller's promise is passed on.
    unsafe { send(comm, (data, len), &out, |reader, data| reader.create_file(fid, data)) }
}

/// WRITE KEY: `cla` 84h with cryptogram and MAC of the key centre, or 80h where the card takes a key in clear.
///
/// # Safety
/// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn WriteKey(
    comm: i32,
    cla: u8,
    p1: u8,
    p2: u8,
    data: *const u8,
    len: usize,
    sw: *mut u16,
) -> Code {
    let out = Out::status(sw);
    // SAFETY: the caller's promise is passed on.
    unsafe { send(comm, (data, len), &out, |reader, data| reader.write_key(Class(cla), p1, p2, data)) }
}

/// GET CHALLENGE: `len` is 4 or 8.
///
/// # Safety
/// As all: see the top of the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn GetChallenge(
    comm: i32,
    len: u8,
    answer: *mut u8,
    answer_len: *mut usize,
    sw: *mut u16,
) -> Code {
    let len = match len {
        4 => ChallengeLen::Four,
        8 => ChallengeLen::Eight,
        _ => return Code::Argument,
    };
    let out = Out { answer, answer_len, sw };
    // SAFETY: the caller's promise is passed on.
    unsafe { step(comm, &out, |reader| Some(reader.challenge(len))) }
}

/// GET RESPONSE: fetches `len` bytes (0: all) that a status word 61xx said are waiting.
///
/// # Safety
/// As all: see the top of the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn GetResponse(
    comm: i32,
    len: u8,
    answer: *mut u8,
    answer_len: *mut usize,
    sw: *mut u16,
) -> Code {
    let out = Out { answer, answer_len, sw };
    // SAFETY: the caller's promise is passed on.
    unsafe { step(comm, &out, |reader| Some(reader.response(len))) }
}

/// EXTERNAL AUTHENTICATE with key `key`: `cryptogram` is the enciphered challenge, 8 bytes.
///
/// # Safety
/// `cryptogram` is null or valid for `len` bytes; `sw` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn External_Authentication(
    comm: i32,
    key: u8,
    cryptogram: *const u8,
    len: usize,
    sw: *mut u16,
) -> Code {
    let out = Out::status(sw);
    // SAFETY: the caller's promise is passed on.
    unsafe {
        step(comm, &out, |reader| {
            let cryptogram = bytes(cryptogram, len)?.try_into().ok()?;
            Some(reader.external_authentication(key, cryptogram))
        })
    }
}

/// SELECT: `p1` 00 with an FID (or nothing: the MF), 04 with a name; the answer is the FCI.
///
/// # Safety
/// `file` is null or valid for `len` bytes; the rest as all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SelectFile(
    comm: i32,
    p1: u8,
    p2: u8,
    file: *const u8,
    len: usize,
    answer: *mut u8,
    answer_len: *mut usize,
    sw: *mut u16,
) -> Code {
    let out = Out { answer, answer_len, sw };
    // SAFETY: the caller's promise is passed on.
    unsafe { send(comm, (file, len), &out, |reader, file| reader.select_file(p1, p2, file)) }
}

/// READ RECORD: `p2` is short file id × 8 + 4; `cla` 00h, or 04h with a MAC of 4 bytes.
///
/// # Safety
/// `mac` is null or valid for `mac_len` bytes; the rest as all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ReadRecord(
    comm: i32,
    cla: u8,
    record: u8,
    p2: u8,
    mac: *const u8,
    mac_len: usize,
    answer: *mut u8,
    answer_len: *mut usize,
    sw: *mut u16,
) -> Code {
    let out = Out { answer, answer_len, sw };
    // SAFETY: the caller's promise is passed on.
    unsafe { send(comm, (mac, mac_len), &out, |reader, mac| reader.read_record(Class(cla), record, p2, mac)) }
}

/// READ BINARY: `wanted` bytes (0: to the end) at the place `p1` `p2` names; `cla` 00h, or 04h with a MAC of 4 bytes.
///
/// # Safety
/// `mac` is null or valid for `mac_len` bytes; the rest as all.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ReadBinary(
    comm: i32,
    cla: u8,
    p1: u8,
    p2: u8,
    wanted: u8,
    mac: *const u8,
    mac_len: usize,
    answer: *mut u8,
    answer_len: *mut usize,
    sw: *mut u16,
) -> Code {
    let out = Out { answer, answer_len, sw };
    // SAFETY: the caller's promise is passed on.
    unsafe {
        send(comm, (mac, mac_len), &out, |reader, mac| reader.read_binary(Class(cla), (p1, p2), wanted, mac))
    }
}

/// UPDATE BINARY: `cla` 00h in clear, 04h with a MAC, 84h enciphered with a MAC.
///
/// # Safety
/// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn UpdateBinary(
    comm: i32,
    cla: u8,
    p1: u8,
    p2: u8,
    data: *const u8,
    len: usize,
    sw: *mut u16,
) -> Code {
    let out = Out::status(sw);
    // SAFETY: the caller's promise is passed on.
    unsafe { send(comm, (data, len), &out, |reader, data| reader.update_binary(Class(cla), p1, p2, data)) }
}

/// UPDATE RECORD: `cla` 00h in clear, 04h with a MAC, 84h enciphered with a MAC.
///
/// # Safety
/// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn UpdateRecord(
    comm: i32,
    cla: u8,
    record: u8,
    p2: u8,
    data: *const u8,
    len: usize,
    sw: *mut u16,
) -> Code {
    let out = Out::status(sw);
    // SAFETY: the caller's promise is passed on.
    unsafe {
        send(comm, (data, len), &out, |reader, data| reader.update_record(Class(cla), record, p2, data))
    }
}
