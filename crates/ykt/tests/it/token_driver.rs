//! The driver of real tokens as the referee: pcscd with libccid talks CCID to ours.
//!
//! A machine of tests has no kernel module to attach a token with, so the driver's libusb is replaced by one that
//! speaks USB/IP (`libusb_over_usbip.c`). Everything above it is as on any desk.

use crate::image_cards::{KEYS, desk, ok};
use crate::pcsc_desk::{pcscd, run, tool, wait_for_card};
use crate::token::Server;
use std::path::Path;
use std::process::Command;

const BUNDLE: &str = "/usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents";
const SHIM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/libusb_over_usbip.c");

/// A copy of the driver's bundle that knows our vendor and product: those of its first reader become ours.
fn driver(folder: &Path) -> String {
    let contents = folder.join("drivers/ifd-ccid.bundle/Contents");
    std::fs::create_dir_all(contents.join("Linux")).unwrap();
    let library = contents.join("Linux/libccid.so");
    std::os::unix::fs::symlink(format!("{BUNDLE}/Linux/libccid.so"), &library).unwrap();
    let list = std::fs::read_to_string(format!("{BUNDLE}/Info.plist")).expect("install libccid");
    let first = |key: &str| {
        let array = list.split_once(&format!("<key>{key}</key>")).unwrap().1;
        array.split_once("<string>").unwrap().1.split_once("</string>").unwrap().0.to_owned()
    };
    let ours = [("ifdVendorID", "0x1209"), ("ifdProductID", "0x0001"), ("ifdFriendlyName", "Yikatong token")];
    let renamed = ours.iter().fold(list.clone(), |list, (key, value)| {
        list.replacen(&format!("<string>{}</string>", first(key)), &format!("<string>{value}</string>"), 1)
    });
    std::fs::write(contents.join("Info.plist"), renamed).unwrap();
    library.display().to_string()
}

#[test]
fn the_driver_of_real_tokens_loads_and_pays() {
    let folder = desk();
    let at = folder.path();
    std::fs::rename(at.join("card.img"), at.join("token.img")).unwrap();
    let shim = at.join("libusb.so").display().to_string();
    let compiler = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o", &shim, SHIM];
    run(Command::new("cc").args(compiler));
    let reader = format!(
        "FRIENDLYNAME \"Yikatong token\"\nDEVICENAME usb:1209/0001:libusb-1.0:1:2:0\nLIBPATH {}\nCHANNELID 1\n",
        driver(at)
    );
    let server = Server::start(at, "127.0.0.1:0");
    let environment = [
        ("LD_PRELOAD", shim),
        ("YKT_USBIP", server.address.clone()),
        ("PCSCLITE_HP_DROPDIR", at.join("drivers").display().to_string()),
    ];
    let daemon = pcscd(at, &reader, &environment);
    wait_for_card(at, 0);

    let atr = run(tool("opensc-tool", at).args(["-r", "0", "-a"]));
    assert_eq!(atr, "3b:88:80:01:59:4b:54:2d:43:41:52:44:76\n");
    let ykt = |args: &[&str]| run(tool(env!("CARGO_BIN_EXE_ykt"), at).current_dir(at).args(args));
    let said = ykt(&["pos", "load", "--card", "0", "--keys", KEYS, "--amount", "20"]);
    assert!(said.contains("20.00 yuan loaded, balance 70.00 yuan"), "{said}");
    let said = ykt(&["pos", "purchase", "--card", "0", "--psam", "psam.img", "--amount", "2.50"]);
    assert!(said.contains("paid: 2.50 yuan, balance 67.50 yuan"), "{said}");

    drop(daemon);
    drop(server);
    assert!(ok(at, &["pos", "balance", "--card", "token.img"]).ends_with("67.50 yuan\n"));
}
