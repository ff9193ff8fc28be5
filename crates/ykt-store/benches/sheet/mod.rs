//! The sheet that benches of stores print: what was done, how often, how long one took by the clock, and how long a
//! processor worked on it, which says more on a machine that does other things meanwhile.
#![allow(dead_code, reason = "each bench needs part of it")]

use std::path::Path;
use std::time::{Duration, Instant};

/// A directory beside the program, so that the disk is the one the build is on; temporary folders may lie in memory.
pub fn home() -> tempfile::TempDir {
    let program = std::env::current_exe().unwrap();
    tempfile::Builder::new().prefix("bench-").tempdir_in(program.parent().unwrap()).unwrap()
}

/// A size that the environment may set.
pub fn size(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// The head of the sheet.
pub fn begin(title: &str) {
    let processors = std::thread::available_parallelism().unwrap();
    println!("{title}; {processors} processors, load average {}", load());
}

/// The heads of the columns, below the name of a part.
pub fn part(name: &str) {
    println!();
    println!("{name:<66} {:>10} {:>11} {:>11} {:>11}", "times", "clock, ms", "of CPU, ms", "per second");
}

/// The load average of the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// Does `count` things at once: the times are those of all of them.
pub fn once<T>(what: &str, count: u64, work: impl FnOnce() -> T) -> T {
    let (began, worked) = (Instant::now(), worked());
    let done = work();
    let (clock, worked) = (began.elapsed(), self::worked().saturating_sub(worked));
    line(what, count, clock, worked, count as f64 / clock.as_secs_f64());
    done
}

/// Does the same `times` times: the median by the clock and the mean of the processor, of one.
pub fn often<T>(what: &str, times: u32, mut work: impl FnMut() -> T) -> T {
    let worked = worked();
    let mut clocks = Vec::new();
    let mut last = None;
    for _ in 0..times {
        let began = Instant::now();
        last = Some(work());
        clocks.push(began.elapsed());
    }
    let worked = self::worked().saturating_sub(worked) / times;
    clocks.sort_unstable();
    let median = clocks[clocks.len() / 2];
    line(what, times.into(), median, worked, 1.0 / median.as_secs_f64());
    last.unwrap()
}

fn line(what: &str, count: u64, clock: Duration, worked: Duration, rate: f64) {
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    println!("{what:<66} {count:>10} {:>11.2} {:>11.2} {rate:>11.0}", ms(clock), ms(worked));
}

/// What a processor has worked for this thread, where the system states it.
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0))
}
