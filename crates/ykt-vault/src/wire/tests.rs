//! Every message there and back; any bytes are a message or an error.

use super::*;

#[test]
fn a_frame_of_another_version_or_too_long_is_refused() {
    let frame = Frame::of(&Message::Begin);
    let mut bytes = frame.as_bytes().to_vec();
    assert!(matches!(read::<Message<'_>>(&mut bytes.as_slice(), 1), Ok(Some(Message::Begin))));
    assert!(matches!(
        read::<Message<'_>>(&mut bytes.as_slice(), 0),
        Err(FrameError::Length { found: 1, max: 0 })
    ));
    bytes[4] = VERSION + 1;
    let refused = read::<Message<'_>>(&mut bytes.as_slice(), 1);
    assert!(matches!(refused, Err(FrameError::Version { found }) if found == VERSION + 1));
    assert!(matches!(read::<Message<'_>>(&mut [].as_slice(), 1), Ok(None)));
}
