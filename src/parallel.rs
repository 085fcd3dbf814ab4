//! Work on many items over a few threads: bounded, interruptible, with the results in the order of the items.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::{Error, Result};

/// The number of processors, at most `most`: for work where more threads only wait for the disk.
pub fn cores(most: usize) -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(most)
}

/// More threads than this only wait for the disk.
pub const DISK_THREADS: usize = 4;

/// How many threads share the work, and what interrupts them.
#[derive(Clone, Copy, Debug)]
pub struct Workers<'a> {
    threads: usize,
    interrupt: &'a AtomicBool,
}

impl<'a> Workers<'a> {
    /// At most `threads` at once, and never more than there are items. Once `interrupt` is set, no item is started.
    pub fn new(threads: usize, interrupt: &'a AtomicBool) -> Self {
        Self { threads, interrupt }
    }

    /// For work that reads and writes files.
    pub fn of_disk(interrupt: &'a AtomicBool) -> Self {
        Self::new(cores(DISK_THREADS), interrupt)
    }

    /// The results of all items. After the first error no further item is started; the error returned is the one a
    /// loop on one thread would have returned.
    pub fn try_map<T, R>(
        self,
        items: impl IntoIterator<Item = T>,
        work: impl Fn(T) -> Result<R> + Sync,
    ) -> Result<Vec<R>>
    where
        T: Send,
        R: Send,
    {
        self.try_map_with(items, || (), |(), item| work(item))
    }

    /// As [`Workers::try_map`], with a state per thread that lives from item to item, such as a buffer.
    pub fn try_map_with<T, S, R>(
        self,
        items: impl IntoIterator<Item = T>,
        state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, T) -> Result<R> + Sync,
    ) -> Result<Vec<R>>
    where
        T: Send,
        R: Send,
    {
        let stop = AtomicBool::new(false);
        let results = self.run(items, &stop, state, |state, item| {
            let result = work(state, item);
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            result
        });
        // Items are started in order, so all before the first error have a result.
        results.into_iter().map(|result| result.unwrap_or(Err(Error::Interrupted))).collect()
    }

    /// One result per item: an error of one does not stop the others. Items that were not started before the
    /// interrupt are [`Error::Interrupted`].
    pub fn map<T, R>(self, items: impl IntoIterator<Item = T>, work: impl Fn(T) -> Result<R> + Sync) -> Vec<Result<R>>
    where
        T: Send,
        R: Send,
    {
        let results = self.run(items, &AtomicBool::new(false), || (), |(), item| work(item));
        results.into_iter().map(|result| result.unwrap_or(Err(Error::Interrupted))).collect()
    }

    /// None for items that were not started. A panic of `work` stops the other threads and goes on in the caller.
    fn run<T, S, R>(
        self,
        items: impl IntoIterator<Item = T>,
        stop: &AtomicBool,
        state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, T) -> R + Sync,
    ) -> Vec<Option<R>>
    where
        T: Send,
        R: Send,
    {
        let items: Vec<T> = items.into_iter().collect();
        let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
        let threads = self.threads.clamp(1, items.len().max(1));
        let todo = Mutex::new(items.into_iter().enumerate());
        let next = || {
            let stopped = stop.load(Ordering::Relaxed) || self.interrupt.load(Ordering::Relaxed);
            if stopped { None } else { locked(&todo).next() }
        };
        let worker = || {
            let _guard = StopOnPanic(stop);
            let mut own = Vec::new();
            let mut state = state();
            while let Some((index, item)) = next() {
                own.push((index, work(&mut state, item)));
            }
            own
        };
        let finished = thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            handles.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        for (index, result) in finished.into_iter().flat_map(|own| own.unwrap_or_else(|panic| resume_unwind(panic))) {
            results[index] = Some(result);
        }
        results
    }
}

/// Runs both at once, `b` on this thread. A panic of either goes on in the caller.
pub fn join<A: Send, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let a = scope.spawn(a);
        let b = b();
        (a.join().unwrap_or_else(|panic| resume_unwind(panic)), b)
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    static GO: AtomicBool = AtomicBool::new(false);

    fn error(number: usize) -> Error {
        Error::usage(number.to_string(), "")
    }

    #[test]
    fn results_keep_the_order_of_the_items_and_threads_are_bounded() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // Each third waits until all three threads are at work.
        let barrier = Barrier::new(3);
        let doubled = Workers::new(3, &GO).try_map(0..30, |number| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            barrier.wait();
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(number * 2)
        });
        assert_eq!(doubled.unwrap(), (0..30).map(|number| number * 2).collect::<Vec<_>>());
        assert_eq!(most.into_inner(), 3);
        assert_eq!(Workers::new(3, &GO).try_map(Vec::<u8>::new(), Ok).unwrap(), [0; 0]);
        assert_eq!(Workers::new(0, &GO).try_map([1], Ok).unwrap(), [1]);
    }

    #[test]
    fn the_first_error_in_order_wins_and_nothing_is_started_after_it() {
        let started = AtomicUsize::new(0);
        let barrier = Barrier::new(2);
        let failed = Workers::new(2, &GO).try_map(0..1000, |number| {
            started.fetch_add(1, Ordering::SeqCst);
            if number < 2 {
                // Both are at work when both fail.
                barrier.wait();
                return Err(error(number));
            }
            Ok(())
        });
        assert_eq!(failed.unwrap_err().to_string(), "0");
        assert_eq!(started.into_inner(), 2);
        // The error of one item leaves the others alone, if they are to stand by themselves.
        let each = Workers::new(2, &GO).map(0..4, |number| if number == 1 { Err(error(1)) } else { Ok(number) });
        assert_eq!(
            each.iter().map(|one| one.as_ref().ok().copied()).collect::<Vec<_>>(),
            [Some(0), None, Some(2), Some(3)]
        );
    }

    #[test]
    fn an_interrupt_ends_the_work_and_what_was_not_started_says_so() {
        let interrupt = AtomicBool::new(false);
        let work = |number: usize| {
            if number == 1 {
                interrupt.store(true, Ordering::Relaxed);
            }
            Ok(number)
        };
        let each = Workers::new(1, &interrupt).map(0..3, work);
        assert!(matches!(each[..], [Ok(0), Ok(1), Err(Error::Interrupted)]));
        let all = Workers::new(1, &interrupt).try_map(0..3, work);
        assert!(matches!(all, Err(Error::Interrupted)));
    }

    #[test]
    fn each_thread_keeps_its_state_from_item_to_item() {
        let states = AtomicUsize::new(0);
        let state = || {
            states.fetch_add(1, Ordering::SeqCst);
            0
        };
        let counted = Workers::new(1, &GO).try_map_with(0..3, state, |seen, _| {
            *seen += 1;
            Ok(*seen)
        });
        assert_eq!(counted.unwrap(), [1, 2, 3]);
        assert_eq!(states.into_inner(), 1);
    }

    #[test]
    fn a_panic_goes_on_in_the_caller() {
        let started = AtomicUsize::new(0);
        let message = |panic: Box<dyn std::any::Any + Send>| *panic.downcast::<&str>().unwrap();
        let mapped = catch_unwind(AssertUnwindSafe(|| {
            Workers::new(1, &GO).map(0..3, |_| -> Result<()> {
                started.fetch_add(1, Ordering::SeqCst);
                panic!("one")
            })
        }));
        assert_eq!(message(mapped.unwrap_err()), "one");
        assert_eq!(started.into_inner(), 1);
        assert_eq!(message(catch_unwind(|| join(|| panic!("two"), || ())).unwrap_err()), "two");
        assert_eq!(join(|| 1, || 2), (1, 2));
    }
}
