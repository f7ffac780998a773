//! Answers that are remembered for a while, and no more of them than there is room for.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A memory of `most` answers at a time: a newer one drives out the oldest.
pub struct TtlCache<K, V> {
    most: usize,
    lasts: Duration,
    answers: Mutex<Answers<K, V>>,
}

struct Answers<K, V> {
    by_key: HashMap<K, (Instant, V)>,
    /// The oldest first. One that was given anew is there twice.
    order: VecDeque<(Instant, K)>,
}

impl<K: Clone + Eq + Hash, V: Clone> TtlCache<K, V> {
    /// An empty one, in which an answer is good for as long as `lasts`.
    pub fn new(most: usize, lasts: Duration) -> Self {
        Self { most, lasts, answers: Mutex::new(Answers { by_key: HashMap::new(), order: VecDeque::new() }) }
    }

    /// An answer that is still good.
    pub fn get(&self, key: &K) -> Option<V> {
        let answers = self.lock();
        let (at, value) = answers.by_key.get(key)?;
        (at.elapsed() < self.lasts).then(|| value.clone())
    }

    /// Remembers an answer, and forgets those that are old or too many.
    pub fn put(&self, key: K, value: V) {
        let now = Instant::now();
        let Answers { by_key, order } = &mut *self.lock();
        order.push_back((now, key.clone()));
        by_key.insert(key, (now, value));
        let is_over = |order: &VecDeque<(Instant, K)>| {
            let oldest = order.front().is_some_and(|(at, _)| now.duration_since(*at) >= self.lasts);
            oldest || order.len() > self.most
        };
        while is_over(order) {
            let Some((at, key)) = order.pop_front() else { break };
            if by_key.get(&key).is_some_and(|(newest, _)| *newest == at) {
                by_key.remove(&key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Answers<K, V>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn a_memory_that_is_full_forgets_the_oldest() {
        let memory = TtlCache::new(3, LONG);
        for number in 0..100 {
            memory.put(number, number * 2);
            assert!(memory.lock().by_key.len() <= 3 && memory.lock().order.len() <= 3);
        }
        assert_eq!(
            [96, 97, 98, 99].map(|number| memory.get(&number)),
            [None, Some(194), Some(196), Some(198)]
        );
    }

    #[test]
    fn an_answer_given_anew_is_the_one_that_counts() {
        let memory = TtlCache::new(3, LONG);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            memory.put(key, value);
        }
        assert_eq!(["a", "b", "c"].map(|key| memory.get(&key)), [Some(3), Some(2), Some(4)]);
        memory.put("d", 5);
        assert_eq!((memory.get(&"a"), memory.get(&"b")), (Some(3), None));
    }

    #[test]
    fn an_answer_that_is_old_is_neither_given_nor_kept() {
        let memory = TtlCache::new(100, Duration::ZERO);
        memory.put("a", 1);
        memory.put("b", 2);
        assert_eq!(memory.get(&"a"), None);
        assert!(memory.lock().by_key.is_empty() && memory.lock().order.is_empty());
    }
}
