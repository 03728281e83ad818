//! Several workers on the same captures: each walks all packets and keeps the flows whose hash
//! falls to it, so that a flow lives with one worker and the result is that of one alone.
//!
//! Each input is read once, in blocks that the workers share.

use super::container::{CaptureError, CaptureSummary, Input, read_captures, read_share};
use super::flow::Audience;
use super::key::Seed;
use super::table::{FlowLimits, Share};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes that are read at a time.
const BLOCK: usize = 512 * 1024;
/// Blocks that one worker may be behind the reader.
const AHEAD: usize = 4;

type Block = Result<Arc<[u8]>, String>;

/// Reads captures with one worker for each audience; an input that is no capture is told by its
/// number, and does not hide the others.
pub fn read_in_parallel<A: Audience + Send>(
    inputs: Vec<Box<dyn Read + Send + '_>>,
    limits: FlowLimits,
    audiences: &mut [A],
) -> (CaptureSummary, Vec<(usize, CaptureError)>) {
    if let [only] = audiences {
        let (inputs, errors) = opened(inputs);
        return (read_captures(inputs, limits, only), errors);
    }
    let (of, seed) = (audiences.len(), Seed::random());
    thread::scope(|scope| {
        let mut ends: Vec<Vec<Box<dyn Read + Send>>> = (0..of).map(|_| Vec::new()).collect();
        for input in inputs {
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..of).map(|_| sync_channel(AHEAD)).unzip();
            scope.spawn(move || share_out(input, &senders));
            for (end, receiver) in ends.iter_mut().zip(receivers) {
                end.push(Box::new(Blocks { receiver, block: Arc::from([]), at: 0 }));
            }
        }
        let workers = audiences.iter_mut().zip(ends).enumerate();
        let running: Vec<_> = workers
            .map(|(number, (audience, inputs))| {
                scope.spawn(move || {
                    let (inputs, errors) = opened(inputs);
                    (read_share(inputs, limits, Share { number, of, seed }, audience), errors)
                })
            })
            .collect();
        let mut results = running.into_iter().map(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        // Every worker saw every packet; what each knows alone is added up.
        let (mut summary, errors) = results.next().unwrap_or_default();
        for (other, _) in results {
            summary.copies += other.copies;
            for (what, count) in other.oddities {
                let known = summary.oddities.entry(what.clone()).or_default();
                *known = if is_own(&what) { *known + count } else { (*known).max(count) };
            }
        }
        (summary, errors)
    })
}

/// Whether a worker counts this for its own flows alone.
fn is_own(oddity: &str) -> bool {
    super::table::OWN_ODDITIES.contains(&oddity)
}

fn opened(inputs: Vec<Box<dyn Read + Send + '_>>) -> (Vec<Input<'_>>, Vec<(usize, CaptureError)>) {
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for (number, input) in inputs.into_iter().enumerate() {
        match Input::open(input) {
            Ok(input) => good.push(input),
            Err(error) => bad.push((number, error)),
        }
    }
    (good, bad)
}

/// Reads an input to its end, or until nobody listens.
fn share_out(mut input: Box<dyn Read + Send + '_>, workers: &[SyncSender<Block>]) {
    let mut buffer = vec![0; BLOCK];
    loop {
        let block: Block = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(Arc::from(&buffer[..count])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error.to_string()),
        };
        let failed = block.is_err();
        let listening = workers.iter().filter(|worker| worker.send(block.clone()).is_ok()).count();
        if listening == 0 || failed {
            return;
        }
    }
}

/// A worker's end of a shared input.
struct Blocks {
    receiver: Receiver<Block>,
    block: Arc<[u8]>,
    at: usize,
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            match self.receiver.recv() {
                Ok(Ok(block)) => (self.block, self.at) = (block, 0),
                Ok(Err(error)) => return Err(io::Error::other(error)),
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
