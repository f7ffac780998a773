//! Measures one run of a command: its wall time, the CPU time of its processes, and its memory.

use std::{
    fs,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// The figures of one run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The time from the start to the end of the command.
    pub wall: Duration,
    /// The user and system time of all processes that the command waited for; without the server's.
    pub cpu: Duration,
    /// The peak of the resident memory of the first process alone (VmHWM), in bytes.
    pub memory: u64,
    /// The number of bytes that the run left in the store.
    pub stored: u64,
}

/// Runs a command to its end. If it fails, returns an error with its last lines of standard error.
pub fn run(command: &mut Command) -> Result<Run> {
    let before = cpu_of_children()?;
    let started = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let status = format!("/proc/{}/status", child.id());
    let (memory, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                if let Some(peak) = peak_memory(&status) {
                    memory.fetch_max(peak, Ordering::Relaxed);
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let output = child.wait_with_output();
        ended.store(true, Ordering::Relaxed);
        output
    })?;
    let wall = started.elapsed();
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = words.lines().rev().take(5).collect();
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            last.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    Ok(Run { wall, cpu: cpu_of_children()?.saturating_sub(before), memory: memory.into_inner(), stored: 0 })
}

/// Returns the peak memory of a process, in bytes. The kernel keeps the maximum, so the last reading is the
/// result.
fn peak_memory(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Returns the CPU time of the children that were waited for, including their children: fields 16 and 17 of
/// proc_pid_stat(5), in ticks of 10 ms (USER_HZ is 100 on all supported architectures).
fn cpu_of_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(") ").context("/proc/self/stat")?.1;
    let ticks: u64 = after_name
        .split(' ')
        .skip(13)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()
        .context("/proc/self/stat")?;
    Ok(Duration::from_millis(ticks * 10))
}
