//! Sequences are thought through each for itself, so all processors can think.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What `work` makes of each task, in the order of the tasks, whoever did it and when.
pub fn in_parallel<T: Copy + Sync, R: Send>(tasks: &[T], work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        while let Some((index, task)) = take(tasks, &next) {
            done.push((index, work(task)));
        }
        done
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(tasks.len());
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(share)).collect();
        let own = share();
        // A panic of one is a panic of all.
        let theirs = others.into_iter().flat_map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        own.into_iter().chain(theirs).collect()
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The next task that nobody has taken.
fn take<T: Copy>(tasks: &[T], next: &AtomicUsize) -> Option<(usize, T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, *tasks.get(index)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_tasks() {
        let tasks: Vec<u32> = (0..1_000).collect();
        assert_eq!(in_parallel(&tasks, |task| task * 2), tasks.iter().map(|task| task * 2).collect::<Vec<_>>());
        assert!(in_parallel(&[], |task: u32| task).is_empty());
    }

    #[test]
    #[should_panic(expected = "task 700")]
    fn a_panic_is_not_swallowed() {
        let tasks: Vec<u32> = (0..1_000).collect();
        in_parallel(&tasks, |task| assert!(task != 700, "task {task}"));
    }
}
