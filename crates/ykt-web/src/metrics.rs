//! Counts and latencies of requests, in the text format Prometheus reads. Labels are route patterns, never
//! paths: a card number does not become a metric.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the latency buckets, milliseconds.
const BOUNDS_MS: [u64; 8] = [5, 10, 25, 50, 100, 250, 1_000, 5_000];

/// What was seen of requests so far.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<Label, Series>>,
}

/// Method, route pattern, status.
type Label = (String, String, u16);

#[derive(Debug, Default, Clone)]
struct Series {
    count: u64,
    sum_us: u64,
    buckets: [u64; BOUNDS_MS.len()],
}

/// A value read at the moment of the question.
#[derive(Debug, Clone)]
pub struct Gauge {
    /// Name with the prefix `ykt_`.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Its value.
    pub value: i64,
}

impl Metrics {
    /// Counts one request.
    pub fn observe(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let series = requests.entry((method.to_owned(), route.to_owned(), status)).or_default();
        series.count = series.count.saturating_add(1);
        series.sum_us = series.sum_us.saturating_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        for (bucket, bound_ms) in series.buckets.iter_mut().zip(BOUNDS_MS) {
            if took <= Duration::from_millis(bound_ms) {
                *bucket = bucket.saturating_add(1);
            }
        }
    }

    /// The text for Prometheus, with `gauges` behind the requests.
    #[must_use]
    pub fn render(&self, gauges: &[Gauge]) -> String {
        let mut out = String::from(
            "# HELP ykt_http_request_seconds Time to answer a request.\n\
             # TYPE ykt_http_request_seconds histogram\n",
        );
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ((method, route, status), series) in &requests {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            for (count, bound_ms) in series.buckets.iter().zip(BOUNDS_MS) {
                let le = seconds(bound_ms.saturating_mul(1_000));
                let _ = writeln!(out, "ykt_http_request_seconds_bucket{{{labels},le=\"{le}\"}} {count}");
            }
            let (count, sum) = (series.count, seconds(series.sum_us));
            let _ = writeln!(out, "ykt_http_request_seconds_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "ykt_http_request_seconds_sum{{{labels}}} {sum}");
            let _ = writeln!(out, "ykt_http_request_seconds_count{{{labels}}} {count}");
        }
        for Gauge { name, help, value } in gauges {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        }
        out
    }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_as_prometheus_reads_it() {
        let metrics = Metrics::default();
        metrics.observe("GET", "/cards/{asn}", 200, Duration::from_millis(7));
        metrics.observe("GET", "/cards/{asn}", 200, Duration::from_millis(70));
        let text =
            metrics.render(&[Gauge { name: "ykt_open_day", help: "The open day.", value: 20_261_122 }]);
        let labels = "method=\"GET\",route=\"/cards/{asn}\",status=\"200\"";
        for line in [
            format!("ykt_http_request_seconds_bucket{{{labels},le=\"0.005000\"}} 0"),
            format!("ykt_http_request_seconds_bucket{{{labels},le=\"0.010000\"}} 1"),
            format!("ykt_http_request_seconds_bucket{{{labels},le=\"+Inf\"}} 2"),
            format!("ykt_http_request_seconds_sum{{{labels}}} 0.077000"),
            format!("ykt_http_request_seconds_count{{{labels}}} 2"),
            "ykt_open_day 20261122".to_owned(),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
    }
}
