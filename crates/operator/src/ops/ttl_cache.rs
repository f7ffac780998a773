//! A cache with a limited number of values, each valid for the same time.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A cache with a limited number of values. Above the limit, the oldest value is removed.
pub struct TtlCache<K, V> {
    max: usize,
    ttl: Duration,
    values: Mutex<Values<K, V>>,
}

struct Values<K, V> {
    by_key: HashMap<K, (Instant, V)>,
    /// The keys with the times at which they were added, oldest first. A key that was added twice is
    /// contained twice.
    order: VecDeque<(Instant, K)>,
}

impl<K: Clone + Eq + Hash, V: Clone> TtlCache<K, V> {
    pub fn new(max: usize, ttl: Duration) -> Self {
        Self { max, ttl, values: Mutex::new(Values { by_key: HashMap::new(), order: VecDeque::new() }) }
    }

    /// Returns the value, unless it has expired.
    pub fn get(&self, key: &K) -> Option<V> {
        let values = self.lock();
        let (at, value) = values.by_key.get(key)?;
        (at.elapsed() < self.ttl).then(|| value.clone())
    }

    /// Adds a value. Removes expired values, and the oldest values above the limit.
    pub fn put(&self, key: K, value: V) {
        let now = Instant::now();
        let Values { by_key, order } = &mut *self.lock();
        order.push_back((now, key.clone()));
        by_key.insert(key, (now, value));
        let must_shrink = |order: &VecDeque<(Instant, K)>| {
            let has_expired = order.front().is_some_and(|(at, _)| now.duration_since(*at) >= self.ttl);
            has_expired || order.len() > self.max
        };
        while must_shrink(order) {
            let Some((at, key)) = order.pop_front() else { break };
            if by_key.get(&key).is_some_and(|(newest, _)| *newest == at) {
                by_key.remove(&key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Values<K, V>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn full_cache_drops_the_oldest_value() {
        let cache = TtlCache::new(3, LONG);
        for number in 0..100 {
            cache.put(number, number * 2);
            assert!(cache.lock().by_key.len() <= 3 && cache.lock().order.len() <= 3);
        }
        assert_eq!(
            [96, 97, 98, 99].map(|number| cache.get(&number)),
            [None, Some(194), Some(196), Some(198)]
        );
    }

    #[test]
    fn cached_value_is_replaced_by_a_newer_one_of_its_key() {
        let cache = TtlCache::new(3, LONG);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            cache.put(key, value);
        }
        assert_eq!(["a", "b", "c"].map(|key| cache.get(&key)), [Some(3), Some(2), Some(4)]);
        cache.put("d", 5);
        assert_eq!((cache.get(&"a"), cache.get(&"b")), (Some(3), None));
    }

    #[test]
    fn expired_value_is_removed_from_the_cache() {
        let cache = TtlCache::new(100, Duration::ZERO);
        cache.put("a", 1);
        cache.put("b", 2);
        assert_eq!(cache.get(&"a"), None);
        assert!(cache.lock().by_key.is_empty() && cache.lock().order.is_empty());
    }
}
