//! Group commit: what waits at the same moment is committed together, with one sync of the disk, and nobody is
//! answered before it.
//!
//! Actors: callers hand in jobs and wait (or leave a callback); one thread drains the queue into a batch, gives
//! it to `apply` inside one write transaction, commits, and answers each caller. `apply` decides each job on
//! its own: what it refuses is an answer too, so one bad job fails none of its neighbours. Only a fault of the
//! store itself (disk full, failed sync) undoes a batch, and then every job of it gets that error.

use crate::error::StoreError;
use crate::sqlite::Tx;
use crate::store::{Store, held};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use thiserror::Error;

/// How much may wait and how much goes into one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupLimits {
    /// Jobs that may wait; [`GroupWriter::submit`] refuses more, [`GroupWriter::call`] waits for room.
    pub queue_len_max: usize,
    /// Jobs of one transaction.
    pub batch_len_max: usize,
}

impl Default for GroupLimits {
    fn default() -> GroupLimits {
        GroupLimits { queue_len_max: 8_192, batch_len_max: 1_024 }
    }
}

/// What a writer did so far, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCounts {
    /// Batches committed.
    pub batches: u64,
    /// Jobs of those batches.
    pub jobs: u64,
    /// Jobs that wait now.
    pub queue_len: usize,
}

/// Why a job has no answer. Nothing of it is kept, unless a power cut right after a failed sync brings a commit back
/// that was reported as failed: so give jobs ids, and repeat them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GroupError {
    /// Too many jobs wait already.
    #[error("{queue_len_max} jobs wait already: try again later")]
    QueueFull {
        /// The limit.
        queue_len_max: usize,
    },
    /// The writer was stopped, or ended on a fault of the program, before this job's turn.
    #[error("the writer has stopped; nothing of this job was kept")]
    Stopped,
    /// The batch of this job could not be committed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Answer<R> = Result<R, GroupError>;

/// A thread that commits waiting jobs in groups. Dropping it finishes what waits and ends the thread.
pub struct GroupWriter<J, R> {
    shared: Arc<Shared<J, R>>,
    thread: Option<JoinHandle<()>>,
}

/// An answer to come.
pub struct Ticket<R> {
    slot: Arc<Slot<R>>,
}

struct Slot<R> {
    answer: Mutex<Option<Answer<R>>>,
    filled: Condvar,
}

struct Shared<J, R> {
    limits: GroupLimits,
    queue: Mutex<Queue<J, R>>,
    /// Signalled when a job arrives or the writer is to stop.
    arrived: Condvar,
    /// Signalled when a batch left the queue.
    room: Condvar,
}

struct Queue<J, R> {
    waiting: VecDeque<(J, Reply<R>)>,
    batches: u64,
    jobs: u64,
    stopped: bool,
}

impl<J: Send + 'static, R: Send + 'static> GroupWriter<J, R> {
    /// Starts the thread. `apply` gets the jobs of a batch in their order of arrival and returns one answer per
    /// job in that order; an error of it undoes the whole batch. It never sees an empty batch.
    ///
    /// # Errors
    /// [`StoreError::Thread`] when the system gives none.
    pub fn start(
        store: Store,
        limits: GroupLimits,
        apply: impl FnMut(&Tx<'_>, &[J]) -> Result<Vec<R>, StoreError> + Send + 'static,
    ) -> Result<GroupWriter<J, R>, StoreError> {
        let limits = GroupLimits {
            queue_len_max: limits.queue_len_max.max(1),
            batch_len_max: limits.batch_len_max.max(1),
        };
        let shared = Arc::new(Shared {
            limits,
            queue: Mutex::new(Queue { waiting: VecDeque::new(), batches: 0, jobs: 0, stopped: false }),
            arrived: Condvar::new(),
            room: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("group-writer".to_owned())
            .spawn(move || for_thread.run(&store, apply))
            .map_err(|error| StoreError::Thread { detail: error.to_string() })?;
        Ok(GroupWriter { shared, thread: Some(thread) })
    }

    /// Hands in a job and waits for its commit. Waits for room in the queue too.
    ///
    /// # Errors
    /// [`GroupError::Store`] when the batch could not be committed, [`GroupError::Stopped`].
    pub fn call(&self, job: J) -> Answer<R> {
        let (ticket, reply) = Ticket::new();
        let mut queue = held(&self.shared.queue);
        while queue.waiting.len() >= self.shared.limits.queue_len_max && !queue.stopped {
            queue = self.shared.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.stopped {
            return Err(GroupError::Stopped);
        }
        self.enqueue(queue, job, reply);
        ticket.wait()
    }

    /// Hands in a job; the ticket waits for its answer.
    ///
    /// # Errors
    /// [`GroupError::QueueFull`] or [`GroupError::Stopped`], at once.
    pub fn submit(&self, job: J) -> Result<Ticket<R>, GroupError> {
        let (ticket, reply) = Ticket::new();
        self.push(job, reply)?;
        Ok(ticket)
    }

    /// Hands in a job; `then` gets its answer on the writer's thread after the commit, so it must be short:
    /// wake a task, fill a channel. For callers that do not block, as servers.
    ///
    /// # Errors
    /// As [`GroupWriter::submit`]; `then` is not called then.
    pub fn submit_then(
        &self,
        job: J,
        then: impl FnOnce(Answer<R>) + Send + 'static,
    ) -> Result<(), GroupError> {
        self.push(job, Reply(Some(To::Call(Box::new(then)))))
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> GroupCounts {
        let queue = held(&self.shared.queue);
        GroupCounts { batches: queue.batches, jobs: queue.jobs, queue_len: queue.waiting.len() }
    }

    fn push(&self, job: J, mut reply: Reply<R>) -> Result<(), GroupError> {
        let queue = held(&self.shared.queue);
        let refused = if queue.stopped {
            Some(GroupError::Stopped)
        } else if queue.waiting.len() >= self.shared.limits.queue_len_max {
            Some(GroupError::QueueFull { queue_len_max: self.shared.limits.queue_len_max })
        } else {
            None
        };
        if let Some(error) = refused {
            reply.0 = None;
            return Err(error);
        }
        self.enqueue(queue, job, reply);
        Ok(())
    }

    fn enqueue(&self, mut queue: MutexGuard<'_, Queue<J, R>>, job: J, reply: Reply<R>) {
        // The writer waits only when the queue is empty: waking it more often costs a system call per job.
        let is_first = queue.waiting.is_empty();
        queue.waiting.push_back((job, reply));
        drop(queue);
        if is_first {
            self.shared.arrived.notify_one();
        }
    }
}

impl<J, R> Drop for GroupWriter<J, R> {
    fn drop(&mut self) {
        held(&self.shared.queue).stopped = true;
        self.shared.arrived.notify_all();
        self.shared.room.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of `apply` was shown by the thread itself, and its jobs were answered `Stopped`.
            let _ = thread.join();
        }
    }
}

impl<J, R> Shared<J, R> {
    fn run(&self, store: &Store, mut apply: impl FnMut(&Tx<'_>, &[J]) -> Result<Vec<R>, StoreError>) {
        // When `apply` panics, nobody may wait for a thread that is gone.
        let _stop = StopOnExit(self);
        let (mut jobs, mut replies) = (Vec::new(), Vec::new());
        while self.next_batch(&mut jobs, &mut replies) {
            let outcome = store.write(|tx| {
                let answers = apply(tx, &jobs)?;
                if answers.len() == jobs.len() {
                    Ok(answers)
                } else {
                    Err(StoreError::Answers { expected: jobs.len(), found: answers.len() })
                }
            });
            jobs.clear();
            match outcome {
                Ok(answers) => {
                    self.count(answers.len());
                    for (reply, answer) in replies.drain(..).zip(answers) {
                        reply.send(Ok(answer));
                    }
                }
                Err(error) => {
                    for reply in replies.drain(..) {
                        reply.send(Err(GroupError::Store(error.clone())));
                    }
                }
            }
        }
    }

    fn count(&self, jobs: usize) {
        let mut queue = held(&self.queue);
        queue.batches = queue.batches.saturating_add(1);
        queue.jobs = queue.jobs.saturating_add(u64::try_from(jobs).unwrap_or(u64::MAX));
    }

    /// Waits for jobs and moves up to a batch of them over; `false` when stopped and nothing waits.
    fn next_batch(&self, jobs: &mut Vec<J>, replies: &mut Vec<Reply<R>>) -> bool {
        let mut queue = held(&self.queue);
        while queue.waiting.is_empty() {
            if queue.stopped {
                return false;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let len = queue.waiting.len().min(self.limits.batch_len_max);
        for (job, reply) in queue.waiting.drain(..len) {
            jobs.push(job);
            replies.push(reply);
        }
        drop(queue);
        self.room.notify_all();
        true
    }
}

struct StopOnExit<'a, J, R>(&'a Shared<J, R>);

impl<J, R> Drop for StopOnExit<'_, J, R> {
    fn drop(&mut self) {
        let mut queue = held(&self.0.queue);
        queue.stopped = true;
        // Answers run callers' code: not under the lock.
        let left = std::mem::take(&mut queue.waiting);
        drop(queue);
        drop(left);
        self.0.room.notify_all();
    }
}

/// Where an answer goes. Dropped without one, it tells its caller that the writer stopped.
struct Reply<R>(Option<To<R>>);

enum To<R> {
    Ticket(Arc<Slot<R>>),
    Call(Box<dyn FnOnce(Answer<R>) + Send>),
}

impl<R> Reply<R> {
    fn send(mut self, answer: Answer<R>) {
        self.deliver(answer);
    }

    fn deliver(&mut self, answer: Answer<R>) {
        match self.0.take() {
            Some(To::Ticket(slot)) => {
                *held(&slot.answer) = Some(answer);
                slot.filled.notify_one();
            }
            Some(To::Call(then)) => then(answer),
            None => {}
        }
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        self.deliver(Err(GroupError::Stopped));
    }
}

impl<R> Ticket<R> {
    fn new() -> (Ticket<R>, Reply<R>) {
        let slot = Arc::new(Slot { answer: Mutex::new(None), filled: Condvar::new() });
        (Ticket { slot: Arc::clone(&slot) }, Reply(Some(To::Ticket(slot))))
    }

    /// Waits until the job's batch is committed, or cannot be.
    ///
    /// # Errors
    /// [`GroupError`]; nothing of the job was kept then.
    pub fn wait(self) -> Answer<R> {
        let mut answer = held(&self.slot.answer);
        loop {
            if let Some(answer) = answer.take() {
                return answer;
            }
            answer = self.slot.filled.wait(answer).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the answer is there, so that [`Ticket::wait`] returns at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        held(&self.slot.answer).is_some()
    }
}
