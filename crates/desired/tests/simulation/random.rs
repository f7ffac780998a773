//! Reproducible random numbers: splitmix64.

/// A random number generator. Equal seeds result in equal simulations.
pub struct Random(u64);

impl Random {
    /// Creates the generator of one of many simulated worlds.
    pub fn of(seed: u64, world: u64) -> Self {
        let mut random = Self(seed ^ world.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number of at least `low` and below `high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high - low).expect("a range should not be backwards").max(1);
        low + i64::try_from(self.next() % width).expect("a remainder should be small")
    }

    /// Returns true in `share` percent of the calls.
    pub fn percent(&mut self, share: i64) -> bool {
        self.between(0, 100) < share
    }

    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        let last = i64::try_from(all.len()).expect("a list should be short");
        all[usize::try_from(self.between(0, last)).expect("an index should not be negative")]
    }
}
