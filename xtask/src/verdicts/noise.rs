//! Other requests through the same servers while a scene is played.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tracer_tests::{Request, RunningStage, Stage};

/// Threads that send.
const THREADS: u32 = 4;
/// Between two requests of a thread: with [`THREADS`], 200 requests a second.
const EVERY: Duration = Duration::from_millis(20);
/// How long there is noise before the scene and after it.
const AROUND: Duration = Duration::from_millis(250);
/// The longest a request may need to serve as noise: the rate has to be kept.
const QUICK: Duration = Duration::from_millis(500);

/// The requests of a stage, by what becomes of them.
pub(crate) struct Noise {
    /// Alternately answered well and refused, as far as there are both.
    requests: Vec<Request>,
}

impl Noise {
    /// Tries every request of the stage once.
    pub(crate) fn prepare(running: &RunningStage, stage: &Stage) -> Self {
        let (mut good, mut refused) = (Vec::new(), Vec::new());
        for scene in stage.scenes.iter().filter(|scene| scene.noise) {
            for request in scene.before.iter().chain([&scene.request]) {
                let mut request = request.clone();
                request.repeat = 1;
                let start = Instant::now();
                let answer = running.call(&request, 0);
                match answer.map(|answer| answer.status) {
                    _ if start.elapsed() > QUICK => {}
                    Ok(200..=299) => good.push(request),
                    Ok(403) => refused.push(request),
                    _ => {}
                }
            }
        }
        Self {
            requests: alternate(good, refused),
        }
    }

    /// Does `work` amid the noise.
    pub(crate) fn around<T>(
        &self,
        running: &RunningStage,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for number in 0..THREADS {
                let stop = &stop;
                scope.spawn(move || self.send_until(stop, number, running));
            }
            thread::sleep(AROUND);
            let done = work();
            thread::sleep(AROUND);
            stop.store(true, Ordering::Relaxed);
            done
        })
    }

    fn send_until(&self, stop: &AtomicBool, number: u32, running: &RunningStage) {
        let first = usize::try_from(number).unwrap_or_default();
        let mut requests = self.requests.iter().cycle().skip(first * 7);
        let mut next = Instant::now() + EVERY / THREADS * number;
        while !stop.load(Ordering::Relaxed)
            && let Some(request) = requests.next()
        {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            next = (next + EVERY).max(Instant::now());
            // What becomes of it is not what is judged.
            drop(running.call(request, 0));
        }
    }
}

/// One of each in turn; the shorter list is repeated.
fn alternate(good: Vec<Request>, refused: Vec<Request>) -> Vec<Request> {
    if good.is_empty() || refused.is_empty() {
        return good.into_iter().chain(refused).collect();
    }
    let length = good.len().max(refused.len());
    let good = good.into_iter().cycle().take(length);
    let refused = refused.into_iter().cycle();
    good.zip(refused).flat_map(|(a, b)| [a, b]).collect()
}

#[cfg(test)]
mod tests {
    use tracer_tests::Request;

    use super::alternate;

    #[test]
    fn half_of_the_noise_is_answered_well() {
        let paths = |good: &[&str], refused: &[&str]| -> Vec<String> {
            alternate(requests(good), requests(refused))
                .into_iter()
                .map(|request| request.path)
                .collect()
        };
        assert_eq!(paths(&["a"], &["x", "y"]), ["a", "x", "a", "y"]);
        assert_eq!(paths(&[], &["x", "y"]), ["x", "y"]);
        assert_eq!(paths(&["a"], &[]), ["a"]);
    }

    fn requests(paths: &[&str]) -> Vec<Request> {
        let request = |path: &&str| Request {
            to: "edge".to_owned(),
            method: "POST".to_owned(),
            path: (*path).to_owned(),
            headers: Vec::new(),
            body: String::new(),
            expect_continue: false,
            delay_body_ms: 0,
            repeat: 1,
            keep_alive: false,
        };
        paths.iter().map(request).collect()
    }
}
