//! A token bucket per caller: guessing passwords and tokens gets slow long before it gets anywhere.
//!
//! The memory is bounded: when it is full, buckets that have filled up again are forgotten, and if none has,
//! strangers share one bucket.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets kept at once.
const BUCKETS_LEN_MAX: usize = 10_000;

/// How many attempts, and how fast they come back.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Attempts that may follow each other at once.
    pub burst: u32,
    /// Time in which one attempt comes back.
    pub refill: Duration,
}

/// Attempts per address.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    /// Per network: when the bucket will be full again.
    buckets: Mutex<BTreeMap<IpAddr, Instant>>,
}

impl Limiter {
    /// A limiter with all buckets full.
    #[must_use]
    pub fn new(rate: Rate) -> Limiter {
        Limiter { rate, buckets: Mutex::new(BTreeMap::new()) }
    }

    /// Takes one attempt of `from` at `now`.
    ///
    /// # Errors
    /// How long to wait until the next one.
    pub fn take(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let key = network_of(from);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_LEN_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, full_at| *full_at > now);
        }
        let key = if buckets.len() >= BUCKETS_LEN_MAX && !buckets.contains_key(&key) {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            key
        };
        let full_at = buckets.get(&key).copied().unwrap_or(now).max(now) + self.rate.refill;
        let room = self.rate.refill * self.rate.burst;
        match full_at.duration_since(now).checked_sub(room) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                buckets.insert(key, full_at);
                Ok(())
            }
        }
    }
}

/// One subscriber: an IPv4 address, or the /64 of an IPv6 address.
fn network_of(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_by_one() {
        let limiter = Limiter::new(Rate { burst: 3, refill: Duration::from_secs(10) });
        let start = Instant::now();
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..3 {
            limiter.take(from, start).unwrap();
        }
        assert_eq!(limiter.take(from, start), Err(Duration::from_secs(10)));
        limiter.take("192.0.2.2".parse().unwrap(), start).unwrap();
        limiter.take(from, start + Duration::from_secs(10)).unwrap();
        assert!(limiter.take(from, start + Duration::from_secs(11)).is_err());
    }

    #[test]
    fn one_subscriber_has_one_bucket() {
        let limiter = Limiter::new(Rate { burst: 1, refill: Duration::from_secs(1) });
        let now = Instant::now();
        limiter.take("2001:db8:1:2::1".parse().unwrap(), now).unwrap();
        assert!(limiter.take("2001:db8:1:2:ffff::9".parse().unwrap(), now).is_err());
        limiter.take("2001:db8:1:3::1".parse().unwrap(), now).unwrap();
        limiter.take("::ffff:192.0.2.1".parse().unwrap(), now).unwrap();
        assert!(limiter.take("192.0.2.1".parse().unwrap(), now).is_err());
    }

    #[test]
    fn the_memory_is_bounded() {
        let limiter = Limiter::new(Rate { burst: 2, refill: Duration::from_secs(60) });
        let now = Instant::now();
        for n in 0..u32::try_from(BUCKETS_LEN_MAX).unwrap() + 2 {
            limiter.take(IpAddr::V4((0x0A00_0000 + n).into()), now).unwrap();
        }
        assert!(limiter.take("203.0.113.9".parse().unwrap(), now).is_err(), "strangers share one bucket");
        assert!(limiter.buckets.lock().unwrap().len() <= BUCKETS_LEN_MAX + 1);
        limiter.take("203.0.113.9".parse().unwrap(), now + Duration::from_secs(61)).unwrap();
    }
}
