//! Which stored sets are read again: those that were not looked at for longest, up to a share of what is stored.

use jiff::Timestamp;

/// A set that can be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbable {
    /// Its name.
    pub id: String,
    /// Its stored bytes.
    pub size_bytes: u64,
    /// When it was checked last.
    pub checked: Timestamp,
}

/// Chooses the sets to read, the one checked longest ago first: so many that together they have at least `share` percent
/// of all bytes, and at least one where there is any. With the same share at each run every set has its turn.
pub fn choose(mut sets: Vec<Scrubbable>, share: u8) -> Vec<String> {
    sets.sort_by(|a, b| (a.checked, &a.id).cmp(&(b.checked, &b.id)));
    let total: u128 = sets.iter().map(|set| u128::from(set.size_bytes)).sum();
    let wanted = (total * u128::from(share.min(100))).div_ceil(100);
    let mut taken = 0;
    let mut chosen = Vec::new();
    for set in sets {
        if !chosen.is_empty() && taken >= wanted {
            break;
        }
        taken += u128::from(set.size_bytes);
        chosen.push(set.id);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(sizes_and_checks: &[(u64, i64)]) -> Vec<Scrubbable> {
        let set = |(n, (size, second)): (usize, &(u64, i64))| Scrubbable {
            id: format!("s{n}"),
            size_bytes: *size,
            checked: Timestamp::from_second(*second).unwrap(),
        };
        sizes_and_checks.iter().enumerate().map(set).collect()
    }

    #[test]
    fn those_checked_longest_ago_come_first_up_to_the_share() {
        let all = [(100, 30), (100, 10), (100, 20), (100, 40)];
        assert_eq!(choose(sets(&all), 1), ["s1"]);
        assert_eq!(choose(sets(&all), 25), ["s1"]);
        assert_eq!(choose(sets(&all), 26), ["s1", "s2"]);
        assert_eq!(choose(sets(&all), 100), ["s1", "s2", "s0", "s3"]);
        assert_eq!(choose(vec![], 100), Vec::<String>::new());
        assert_eq!(choose(sets(&[(0, 2), (0, 1)]), 10), ["s1"], "a set of nothing is one");
    }

    #[test]
    fn every_set_has_its_turn() {
        let mut all = sets(&[(1000, 1), (1, 2), (50, 3), (7, 4), (900, 5)]);
        let mut seen = std::collections::BTreeSet::new();
        for now in 100..110 {
            for id in choose(all.clone(), 10) {
                all.iter_mut().find(|set| set.id == id).unwrap().checked =
                    Timestamp::from_second(now).unwrap();
                seen.insert(id);
            }
        }
        assert_eq!(seen.len(), 5, "{seen:?}");
    }
}
