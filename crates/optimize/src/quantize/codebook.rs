//! Weight sharing: the means of clusters of weights.

/// Rounds of Lloyd's algorithm; it ends when nothing moves any more.
const ROUNDS: usize = 50;

/// Takes each weight to the nearest of at most `count` means, and gives these in ascending order. Zeros stay zero: a mean is
/// reserved for them, so that pruned weights stay pruned. The means start evenly between the least and the greatest weight
/// (linear initialisation, the best of those in Han et al. 2016).
pub(super) fn share(values: &mut [f32], count: usize) -> Vec<f32> {
    let mut sorted: Vec<f32> = values.iter().copied().filter(|&value| value != 0.0).collect();
    let zeros = sorted.len() < values.len();
    sorted.sort_unstable_by(f32::total_cmp);
    let count = count - usize::from(zeros && count > 1);
    let mut means = lloyd(&sorted, count);
    if zeros {
        means.push(0.0);
    }
    means.sort_unstable_by(f32::total_cmp);
    means.dedup();
    for value in values.iter_mut() {
        *value = if *value == 0.0 {
            0.0
        } else {
            nearest(&means, *value)
        };
    }
    means
}

/// The nearest of ascending means; the lower one of two that are as near.
fn nearest(means: &[f32], value: f32) -> f32 {
    let above = means.partition_point(|&mean| mean < value);
    match (above.checked_sub(1).map(|i| means[i]), means.get(above)) {
        (Some(low), Some(&high)) if value - low <= high - value => low,
        (_, Some(&high)) => high,
        (Some(low), None) => low,
        (None, None) => value,
    }
}

/// Lloyd's algorithm in one dimension: clusters are runs of the sorted numbers.
fn lloyd(sorted: &[f32], count: usize) -> Vec<f32> {
    let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(sorted.iter().scan(0f64, |sum, &value| {
            *sum += f64::from(value);
            Some(*sum)
        }))
        .collect();
    let span = f64::from(most) - f64::from(least);
    let place = |i: usize| f64::from(least) + span * i as f64 / (count.max(2) - 1) as f64;
    let mut means: Vec<f64> = (0..count).map(place).collect();
    for _ in 0..ROUNDS {
        let mut start = 0;
        let mut next = Vec::with_capacity(means.len());
        for (i, &mean) in means.iter().enumerate() {
            let end = match means.get(i + 1) {
                Some(&after) => sorted.partition_point(|&value| f64::from(value) <= (mean + after) / 2.0),
                None => sorted.len(),
            };
            let end = end.max(start);
            // A cluster of nothing stays where it is.
            next.push(match end - start {
                0 => mean,
                members => (sums[end] - sums[start]) / members as f64,
            });
            start = end;
        }
        let moved = next != means;
        means = next;
        if !moved {
            break;
        }
    }
    let mut means: Vec<f32> = means
        .into_iter()
        .map(|mean| mean as f32)
        .filter(|&mean| mean != 0.0)
        .collect();
    means.sort_unstable_by(f32::total_cmp);
    means.dedup();
    means
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn every_weight_becomes_the_nearest_mean_and_zeros_stay() {
        let mut values = [-1.0, -0.9, 0.0, 0.5, 0.52, 0.48, 2.0, 0.0];
        let means = share(&mut values, 4);
        assert!(means.len() <= 4, "{means:?}");
        assert!(values.iter().all(|value| means.contains(value)));
        assert_eq!((values[2], values[7]), (0.0, 0.0));
        assert_eq!(values[0], values[1]);
        assert_eq!(values[3], values[5]);
    }

    #[test]
    fn fewer_numbers_than_means_stay_as_they_are() {
        let mut values = [3.0, 1.0, 3.0];
        share(&mut values, 16);
        assert_eq!(values, [3.0, 1.0, 3.0]);
    }
}
