//! The papers of the service and its lines, made by openssl in a folder: an authority, the service's certificate for
//! `localhost`, and client certificates.

use std::path::{Path, PathBuf};
use std::process::Command;
use ykt_crypto::chain::Hash32;
use ykt_kmc::download::client::{Identity, certificates};
use ykt_kmc::download::fingerprint;

const CONFIG: &str = "[req]\ndistinguished_name = name\n[name]\n[ca]\nbasicConstraints = critical, CA:TRUE\n\
    [end]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:localhost, IP:127.0.0.1\n";

pub struct Papers(pub tempfile::TempDir);

impl Papers {
    /// An authority for lines, another that nobody trusts, and the service's own certificate.
    pub fn new() -> Papers {
        let papers = Papers(tempfile::tempdir().unwrap());
        std::fs::write(papers.path("openssl.cnf"), CONFIG).unwrap();
        for ca in ["ca", "strangers"] {
            papers
                .openssl(&format!("req -x509 -extensions ca -subj /CN={ca} -keyout {ca}.key -out {ca}.pem"));
        }
        papers.issue("server", "ca");
        papers
    }

    /// A certificate and key of this name, by this authority.
    pub fn issue(&self, name: &str, ca: &str) {
        let by = format!("-CA {ca}.pem -CAkey {ca}.key");
        self.openssl(&format!(
            "req -x509 {by} -extensions end -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn identity(&self, name: &str) -> Identity {
        let [certificate, key] = ["pem", "key"].map(|end| self.path(&format!("{name}.{end}")));
        Identity { ca: self.path("ca.pem"), certificate, key }
    }

    pub fn fingerprint(&self, name: &str) -> Hash32 {
        fingerprint(&certificates("certificate", &self.path(&format!("{name}.pem"))).unwrap()[0])
    }

    fn openssl(&self, arguments: &str) {
        let curve = "-config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365";
        run(self.0.path(), "openssl", arguments.split(' ').chain(curve.split(' ')));
    }
}

/// Runs a program in a folder; its output comes back, and its status and error output.
pub fn run<'a>(folder: &Path, program: &str, arguments: impl Iterator<Item = &'a str>) -> String {
    let done = Command::new(program).current_dir(folder).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
