//! Delta debugging: few items with which something still shows.

/// Finds few of the items with which `test` still succeeds, given that it succeeds with all of them. No single one of the
/// found items can be left out, as far as `test` tells.
///
/// Later items are tried first: what a deviation depends on most often lies just before it.
pub async fn minimise<T: Clone>(mut items: Vec<T>, mut test: impl AsyncFnMut(&[T]) -> bool) -> Vec<T> {
    if items.is_empty() || test(&[]).await {
        return Vec::new();
    }
    let mut parts = 2;
    'smaller: while items.len() > 1 {
        let size = items.len().div_ceil(parts);
        let chunks: Vec<Vec<T>> = items.chunks(size).map(<[T]>::to_vec).collect();
        for chunk in chunks.iter().rev() {
            if test(chunk).await {
                (items, parts) = (chunk.clone(), 2);
                continue 'smaller;
            }
        }
        for left_out in (0..chunks.len()).filter(|_| chunks.len() > 2) {
            let rest: Vec<T> =
                chunks.iter().enumerate().filter(|(index, _)| *index != left_out).flat_map(|(_, part)| part.clone()).collect();
            if test(&rest).await {
                (items, parts) = (rest, (chunks.len() - 1).max(2));
                continue 'smaller;
            }
        }
        if size == 1 {
            break;
        }
        parts = (parts * 2).min(items.len());
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tries(all: usize, needed: &[usize]) -> (Vec<usize>, usize) {
        let mut tries = 0;
        let found = minimise((0..all).collect(), async |kept: &[usize]| {
            tries += 1;
            needed.iter().all(|item| kept.contains(item))
        })
        .await;
        (found, tries)
    }

    #[tokio::test]
    async fn exactly_what_is_needed_is_left() {
        for needed in [&[][..], &[0], &[39], &[7, 8], &[0, 20, 39], &[3, 4, 5, 6, 30]] {
            assert_eq!(tries(40, needed).await.0, needed);
        }
        assert_eq!(tries(1, &[0]).await.0, [0]);
        assert_eq!(tries(0, &[]).await, (vec![], 0));
    }

    #[tokio::test]
    async fn the_cheapest_and_the_likeliest_come_first() {
        assert_eq!(tries(40, &[]).await.1, 1);
        assert!(tries(40, &[39]).await.1 <= 8);
        assert!(tries(40, &[0]).await.1 <= 16);
    }
}
