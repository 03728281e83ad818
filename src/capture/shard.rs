//! Several workers on the same captures. Whoever finds few blocks in stock reads the next one and
//! decodes it for all; each takes from every block, in their order, the packets of the flows whose
//! keys fall to it, so that a flow lives with one worker and the result is that of one alone.

use super::block::Block;
use super::container::{CaptureError, CaptureSummary, read_captures};
use super::decode::{Counts, Decoder};
use super::flow::Audience;
use super::key::Seed;
use super::limits::FlowLimits;
use super::reader::{Filled, Input, Reader};
use super::table::Share;
use super::worker::{self, Worker};
use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Blocks that are on their way, for each worker.
const AHEAD: usize = 3;
/// Blocks that a worker likes to have before it takes one, those among them that others decode: who
/// finds somebody else reading then has something to take, and need not sleep.
const IN_STOCK: usize = 3;

/// Reads captures with one worker for each audience; an input that is no capture is told by its
/// number, and does not hide the others.
pub fn read_in_parallel<A: Audience + Send>(
    inputs: Vec<Box<dyn Read + Send + '_>>,
    limits: FlowLimits,
    audiences: &mut [A],
) -> (CaptureSummary, Vec<(usize, CaptureError)>) {
    let (inputs, errors) = opened(inputs);
    if let [only] = audiences {
        return (read_captures(inputs, limits, only), errors);
    }
    let (of, seed) = (audiences.len(), Seed::random());
    let desk = Desk::new(Reader::new(inputs), of);
    let (counts, told): (Vec<Counts>, Vec<_>) = thread::scope(|scope| {
        let shares = audiences.iter_mut().enumerate();
        let running: Vec<_> = shares
            .map(|(number, audience)| {
                let (desk, share) = (&desk, Share { number, of, seed });
                scope.spawn(move || {
                    let _absence = Absence(desk);
                    let mut worker = Worker::new(limits, share, audience);
                    let mut decoder = Decoder::new(number, of, seed);
                    desk.work(&mut decoder, &mut worker);
                    (decoder.counts, worker.finish())
                })
            })
            .collect();
        let results = running.into_iter().map(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.unzip()
    });
    let inputs = desk.state().reader.as_ref().map(|reader| reader.summaries()).unwrap_or_default();
    (worker::summary(inputs, counts, &told), errors)
}

fn opened<R: Read>(inputs: Vec<R>) -> (Vec<Input<R>>, Vec<(usize, CaptureError)>) {
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

/// Where workers find the reader and each other's blocks.
struct Desk<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
    workers: usize,
}

struct State<R> {
    /// Not here while somebody reads.
    reader: Option<Box<Reader<R>>>,
    progress: Progress,
    /// The number of the first block in `blocks`.
    first: u64,
    /// Blocks that are on their way, in the order of time.
    blocks: VecDeque<Slot>,
    spare: Vec<Block>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Reading,
    /// There is nothing left to read.
    AtTheEnd,
    /// A worker is gone: nobody must wait for it.
    Broken,
}

struct Slot {
    /// None while it is read and decoded.
    block: Option<Arc<Block>>,
    /// Workers that have not taken their packets yet.
    left: usize,
}

/// What a worker may do next.
enum Task<R> {
    /// Take its packets from a block.
    Take(Arc<Block>),
    /// Read and decode the block of this number.
    Read(Box<Reader<R>>, Box<Block>, u64),
    Stop,
}

impl<R: Read> Desk<R> {
    fn new(reader: Reader<R>, workers: usize) -> Desk<R> {
        let state = State {
            reader: Some(Box::new(reader)),
            progress: Progress::Reading,
            first: 0,
            blocks: VecDeque::new(),
            spare: Vec::new(),
        };
        Desk { state: Mutex::new(state), changed: Condvar::new(), workers }
    }

    /// Works until all blocks are read, decoded and taken.
    fn work(&self, decoder: &mut Decoder, worker: &mut Worker<'_>) {
        let mut next = 0;
        loop {
            match self.task(next) {
                Task::Take(block) => {
                    worker.take(&block);
                    self.taken(next, block);
                    next += 1;
                }
                Task::Read(mut reader, mut block, number) => {
                    let filled = reader.fill(&mut block);
                    self.bring_back(reader, number, filled);
                    if filled == Filled::Block {
                        decoder.decode(&mut block);
                        self.show(*block, number);
                    }
                }
                Task::Stop => return,
            }
        }
    }

    /// What comes next for a worker: as long as few blocks are in stock, and nobody else reads, to
    /// read another, then to take the next one.
    fn task(&self, next: u64) -> Task<R> {
        let mut state = self.state();
        loop {
            if state.progress == Progress::Broken {
                return Task::Stop;
            }
            let at = (next - state.first) as usize;
            let ready = state.blocks.get(at).and_then(|slot| slot.block.as_ref()).map(Arc::clone);
            if state.progress == Progress::AtTheEnd && at >= state.blocks.len() {
                return Task::Stop;
            }
            let enough = ready.is_some() && state.blocks.len() - at >= IN_STOCK;
            if !enough
                && state.progress == Progress::Reading
                && state.blocks.len() < AHEAD * self.workers
                && let Some(reader) = state.reader.take()
            {
                let number = state.first + state.blocks.len() as u64;
                state.blocks.push_back(Slot { block: None, left: self.workers });
                let block = state.spare.pop().unwrap_or_default();
                return Task::Read(reader, Box::new(block), number);
            }
            if let Some(block) = ready {
                return Task::Take(block);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Somebody else may read; a block that was not there is not on its way any more.
    fn bring_back(&self, reader: Box<Reader<R>>, number: u64, filled: Filled) {
        let mut state = self.state();
        state.reader = Some(reader);
        if filled == Filled::AtTheEnd {
            let at = (number - state.first) as usize;
            state.blocks.truncate(at);
            if state.progress == Progress::Reading {
                state.progress = Progress::AtTheEnd;
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Shows a decoded block to all workers.
    fn show(&self, block: Block, number: u64) {
        let mut state = self.state();
        let at = (number - state.first) as usize;
        if let Some(slot) = state.blocks.get_mut(at) {
            slot.block = Some(Arc::new(block));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Notes that a worker has taken its packets; what nobody waits for is used again.
    fn taken(&self, number: u64, block: Arc<Block>) {
        drop(block);
        let mut state = self.state();
        let at = (number - state.first) as usize;
        if let Some(slot) = state.blocks.get_mut(at) {
            slot.left -= 1;
        }
        let mut gone = false;
        while state.blocks.front().is_some_and(|slot| slot.left == 0) {
            let block = state.blocks.pop_front().and_then(|slot| slot.block);
            state.first += 1;
            state.spare.extend(block.and_then(Arc::into_inner));
            gone = true;
        }
        drop(state);
        if gone {
            self.changed.notify_all();
        }
    }
}

impl<R> Desk<R> {
    fn state(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the others when a worker is gone before the end.
struct Absence<'a, R>(&'a Desk<R>);

impl<R> Drop for Absence<'_, R> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.state().progress = Progress::Broken;
            self.0.changed.notify_all();
        }
    }
}
