//! The kernel's own user program `usbip` (Debian package of that name) lists what we export.

use crate::bench::{Bench, chip};
use std::process::Command;
use ykt_usb::usbip::server::Event;

/// Where Debian puts it; ordinary users do not have the folder in their path.
const USBIP: &str = "/usr/sbin/usbip";

#[test]
fn usbip_sees_the_token() {
    let bench = Bench::new(chip());
    let port = bench.address.port().to_string();
    let output = Command::new(USBIP).args(["--tcp-port", &port, "list", "-r", "127.0.0.1"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for expected in [" - 127.0.0.1", "1-1: ", "(1209:0001)", "/sys/devices/yikatong/usb1/1-1", "(0b/00/00)"] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    assert!(matches!(bench.event(), Event::Listed));
    bench.take();
}
