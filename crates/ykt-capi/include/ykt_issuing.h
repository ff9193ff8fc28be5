/* The issuing interface (发卡接口) of Yikatong, for C. Written from the source by a test; do not edit.
 *
 * Common to all functions: `comm` is the number opencomm gave. `sw` takes the card's status word and may be null.
 * `answer` with `answer_len` takes the answer's data: *answer_len bytes of room in, bytes written out; 256 are always
 * enough; both may be null. Data go to the card as they are: cryptograms are made by the key centre.
 *
 * Link with -lykt_issuing. Functions may be called from several threads; one reader does one command at a time. */

#ifndef YKT_ISSUING_H
#define YKT_ISSUING_H

#include <stddef.h>
#include <stdint.h>

// What a function of the C interface returns.
enum ykt_code
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The card answered 9000, or 61xx: more is to be fetched with GetResponse.
  YKT_CODE_OK = 0,
  // The card answered another status word.
  YKT_CODE_REFUSED = 1,
  // No reader is open under this number.
  YKT_CODE_NOT_OPEN = 2,
  // An argument cannot be: a null pointer with a length, a length no command has, text that is not UTF-8.
  YKT_CODE_ARGUMENT = 3,
  // The answer is longer than the buffer; its length was written. The command was carried out.
  YKT_CODE_BUFFER = 4,
  // There is no such reader, or no such card image.
  YKT_CODE_NO_READER = 5,
  // No card is in the reader, or it left before its answer came.
  YKT_CODE_NO_CARD = 6,
  // The reader, or the way to it, failed.
  YKT_CODE_TRANSPORT = 7,
  // A fault of this library; the reader should be closed.
  YKT_CODE_INTERNAL = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ykt_code ykt_code;
#else
typedef int32_t ykt_code;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Opens `place`: `image:FILE`, a card image of this house, or `pcsc:READER`, the number or a part of the name of a
// reader of this machine. Writes the number of the open reader to `comm`.
//
// Pointers:
// `place` is null or a string that ends with 0; `comm` is null or valid for a write.
ykt_code opencomm(const char *place,
                  int32_t *comm);

// Closes a reader; the card loses its power.
ykt_code closecomm(int32_t comm);

// WRITE HARD INFO: `data` is cryptogram and MAC of a preset, made by the key centre under the card's challenge.
//
// Pointers:
// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
ykt_code WriteHardInfo(int32_t comm,
                       const uint8_t *data,
                       size_t len,
                       uint16_t *sw);

// GET HARD INFO: serial (8), operator (2), card system (2), kind (1), life cycle (1), memory (2), free (2), tries of
// the transport key (1), right to create (1), switches (2).
//
// Pointers:
// As all: see the top of the header.
ykt_code GetHardInfo(int32_t comm,
                     uint8_t *answer,
                     size_t *answer_len,
                     uint16_t *sw);

// CREATE FILE: `data` is type, size and rights of the MF's, DF's or EF's file `fid`.
//
// Pointers:
// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
ykt_code CreateFile(int32_t comm, uint16_t fid, const uint8_t *data, size_t len, uint16_t *sw);

// WRITE KEY: `cla` 84h with cryptogram and MAC of the key centre, or 80h where the card takes a key in clear.
//
// Pointers:
// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
ykt_code WriteKey(int32_t comm,
                  uint8_t cla,
                  uint8_t p1,
                  uint8_t p2,
                  const uint8_t *data,
                  size_t len,
                  uint16_t *sw);

// GET CHALLENGE: `len` is 4 or 8.
//
// Pointers:
// As all: see the top of the header.
ykt_code GetChallenge(int32_t comm, uint8_t len, uint8_t *answer, size_t *answer_len, uint16_t *sw);

// GET RESPONSE: fetches `len` bytes (0: all) that a status word 61xx said are waiting.
//
// Pointers:
// As all: see the top of the header.
ykt_code GetResponse(int32_t comm, uint8_t len, uint8_t *answer, size_t *answer_len, uint16_t *sw);

// EXTERNAL AUTHENTICATE with key `key`: `cryptogram` is the enciphered challenge, 8 bytes.
//
// Pointers:
// `cryptogram` is null or valid for `len` bytes; `sw` is null or valid for a write.
ykt_code External_Authentication(int32_t comm,
                                 uint8_t key,
                                 const uint8_t *cryptogram,
                                 size_t len,
                                 uint16_t *sw);

// SELECT: `p1` 00 with an FID (or nothing: the MF), 04 with a name; the answer is the FCI.
//
// Pointers:
// `file` is null or valid for `len` bytes; the rest as all.
ykt_code SelectFile(int32_t comm,
                    uint8_t p1,
                    uint8_t p2,
                    const uint8_t *file,
                    size_t len,
                    uint8_t *answer,
                    size_t *answer_len,
                    uint16_t *sw);

// READ RECORD: `p2` is short file id × 8 + 4; `cla` 00h, or 04h with a MAC of 4 bytes.
//
// Pointers:
// `mac` is null or valid for `mac_len` bytes; the rest as all.
ykt_code ReadRecord(int32_t comm,
                    uint8_t cla,
                    uint8_t record,
                    uint8_t p2,
                    const uint8_t *mac,
                    size_t mac_len,
                    uint8_t *answer,
                    size_t *answer_len,
                    uint16_t *sw);

// READ BINARY: `wanted` bytes (0: to the end) at the place `p1` `p2` names; `cla` 00h, or 04h with a MAC of 4 bytes.
//
// Pointers:
// `mac` is null or valid for `mac_len` bytes; the rest as all.
ykt_code ReadBinary(int32_t comm,
                    uint8_t cla,
                    uint8_t p1,
                    uint8_t p2,
                    uint8_t wanted,
                    const uint8_t *mac,
                    size_t mac_len,
                    uint8_t *answer,
                    size_t *answer_len,
                    uint16_t *sw);

// UPDATE BINARY: `cla` 00h in clear, 04h with a MAC, 84h enciphered with a MAC.
//
// Pointers:
// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
ykt_code UpdateBinary(int32_t comm,
                      uint8_t cla,
                      uint8_t p1,
                      uint8_t p2,
                      const uint8_t *data,
                      size_t len,
                      uint16_t *sw);

// UPDATE RECORD: `cla` 00h in clear, 04h with a MAC, 84h enciphered with a MAC.
//
// Pointers:
// `data` is null or valid for `len` bytes; `sw` is null or valid for a write.
ykt_code UpdateRecord(int32_t comm,
                      uint8_t cla,
                      uint8_t record,
                      uint8_t p2,
                      const uint8_t *data,
                      size_t len,
                      uint16_t *sw);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* YKT_ISSUING_H */
