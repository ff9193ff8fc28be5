//! Shamir's secret sharing over GF(256): any m of n shares give the secret back, fewer say nothing about it.
//!
//! Field and layout (x^8 + x^4 + x^3 + x^2 + 1; share k is the polynomial at x = k, byte by byte) are those of the
//! crate `blahaj`, so that a seed can be recovered without this program, too; its shares are the vectors below. Ours,
//! because randomness comes in as a parameter and no table is read at a secret place.

use ykt_base::Rng;
use zeroize::Zeroizing;

/// The polynomial of degree m - 1 for one byte, at every x: Horner's rule from the highest coefficient.
fn evaluate(secret: u8, coefficients: &[u8], x: u8) -> u8 {
    coefficients.iter().chain([&secret]).fold(0, |sum, coefficient| multiply(sum, x) ^ coefficient)
}

/// Splits `secret` into `n` shares, x = 1 to `n`, any `m` of which give it back.
pub(super) fn split(secret: &[u8], m: u8, n: u8, rng: &mut dyn Rng) -> Vec<Zeroizing<Vec<u8>>> {
    let mut shares: Vec<_> = (1..=n).map(|_| Zeroizing::new(Vec::with_capacity(secret.len()))).collect();
    let mut coefficients = Zeroizing::new(vec![0; usize::from(m.saturating_sub(1))]);
    for byte in secret {
        rng.fill(&mut coefficients);
        for (share, x) in shares.iter_mut().zip(1..=n) {
            share.push(evaluate(*byte, &coefficients, x));
        }
    }
    shares
}

/// The value at x = 0 of the polynomial through the points: the secret, when they are shares of one and enough.
/// The xs differ and are not zero.
pub(super) fn join(points: &[(u8, &[u8])], len: usize) -> Zeroizing<Vec<u8>> {
    let mut secret = Zeroizing::new(vec![0; len]);
    for (x, share) in points {
        let weight = points
            .iter()
            .filter(|(other, _)| other != x)
            .fold(1, |weight, (other, _)| multiply(weight, multiply(*other, invert(other ^ x))));
        for (sum, byte) in secret.iter_mut().zip(*share) {
            *sum ^= multiply(*byte, weight);
        }
    }
    secret
}

/// Product in the field, in a time that does not depend on the factors.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut product, mut a, mut b) = (0, a, b);
    for _ in 0..8 {
        product ^= a & (b & 1).wrapping_neg();
        a = (a << 1) ^ (0x1D & (a >> 7).wrapping_neg());
        b >>= 1;
    }
    product
}

/// 1 / a = a^254; of zero it is zero.
fn invert(a: u8) -> u8 {
    // a^2 · a^4 · … · a^128 = a^254.
    let (mut square, mut product) = (a, 1);
    for _ in 0..7 {
        square = multiply(square, square);
        product = multiply(product, square);
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const SECRET: [u8; 16] = hex!("101D2A3744515E6B7885929FACB9C6D3");

    struct Counting(u8);

    impl Rng for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                self.0 = self.0.wrapping_mul(5).wrapping_add(73);
                *byte = self.0;
            }
        }
    }

    /// Every element against the definition: shift and reduce.
    #[test]
    fn the_field() {
        assert_eq!(multiply(0x80, 2), 0x1D);
        for a in 0..=255 {
            assert_eq!((multiply(a, 1), multiply(1, a), multiply(a, 0)), (a, a, 0));
            assert_eq!(multiply(a, invert(a)), u8::from(a != 0));
            assert_eq!(multiply(a, multiply(7, 11)), multiply(multiply(a, 7), 11));
            assert_eq!(multiply(a, 7 ^ 90), multiply(a, 7) ^ multiply(a, 90));
        }
    }

    /// Shares that `blahaj` 0.7 made of [`SECRET`]: 3 of n and 5 of n.
    #[test]
    fn shares_of_another_program() {
        let three = [
            (1, hex!("432DE4521A635D722C7A0FA6840FAB92")),
            (3, hex!("C077F8267FF1F817DE647E4BC7D731E2")),
            (8, hex!("7922E34C5A1B6379B42DC885089DDA56")),
        ];
        let five = [
            (1, hex!("5CDFBBB6DD523036AA63B7E3C929728C")),
            (2, hex!("9E2D83B04D7446497B496A17C591297E")),
            (4, hex!("B325FD27881FF5909AA3CA8828141BA0")),
            (6, hex!("05AF518A56395DBB802129B932D8B0CE")),
            (7, hex!("5CC029D8A89651853FBDA9C4D191B175")),
        ];
        let points = |shares: &[(u8, [u8; 16])]| {
            let points: Vec<(u8, &[u8])> = shares.iter().map(|(x, share)| (*x, &share[..])).collect();
            join(&points, 16).to_vec()
        };
        assert_eq!(points(&three), SECRET);
        assert_eq!(points(&five), SECRET);
        assert_ne!(points(&five[..4]), SECRET);
    }

    /// Every m of every n: every choice of at least m shares gives the secret, no choice of fewer does.
    #[test]
    fn every_choice_of_shares() {
        for n in 2..=8_u8 {
            for m in 2..=n {
                let shares = split(&SECRET, m, n, &mut Counting(m));
                for choice in 1_u32..1 << n {
                    let chosen = (1..=n).zip(&shares).filter(|(x, _)| choice >> (x - 1) & 1 == 1);
                    let points: Vec<(u8, &[u8])> = chosen.map(|(x, share)| (x, share.as_slice())).collect();
                    let is_secret = *join(&points, 16) == SECRET;
                    assert_eq!(is_secret, points.len() >= usize::from(m), "{m} of {n}, choice {choice:b}");
                }
            }
        }
    }
}
