//! What images cost at the most.
//! The main type is [`Cost`].

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use kiln_plugin::aws::ec2::{Image, Snapshot};

const GIB: f64 = 1_073_741_824.0;

/// Dollars a month, at the most: snapshots share blocks, and what is shared is paid once.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub(crate) struct Cost(f64);

impl Cost {
    /// Of a snapshot, by all that it holds; where EC2 does not tell, by its volume's size.
    pub(crate) fn of(snapshot: &Snapshot, price: f64) -> Self {
        let gib = snapshot.full_size.map_or_else(|| f64::from(snapshot.size), |bytes| bytes as f64 / GIB);
        Self(gib * price)
    }

    /// Of all snapshots that an image is made of. What is not known of is taken by the volume's size.
    pub(crate) fn of_image(image: &Image, snapshots: &[Snapshot], price: f64) -> Self {
        let devices = image.devices.iter().filter(|device| device.snapshot.is_some());
        devices
            .map(|device| {
                let known = snapshots.iter().find(|snapshot| Some(&snapshot.id) == device.snapshot.as_ref());
                let by_volume = || Self(f64::from(device.size.unwrap_or_default()) * price);
                known.map_or_else(by_volume, |snapshot| Self::of(snapshot, price))
            })
            .sum()
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}

/// Rounded up to the cent: it is an upper bound.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a sum of floats is too much by is no cent.
        let cents = (self.0 * 100.0 - 1e-6).ceil().max(0.0).abs();
        write!(f, "at most ${:.2} a month", cents / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::{image, of_snapshots, snapshot};

    #[test]
    fn an_image_costs_what_its_snapshots_hold_at_the_most() {
        let known = [
            Snapshot { full_size: Some(3 << 30), size: 8, ..snapshot("snap-1", 1) },
            Snapshot { full_size: None, size: 20, ..snapshot("snap-2", 1) },
        ];
        let of = |ids: &[&str]| Cost::of_image(&of_snapshots(image("ami-1", "web", 1), ids), &known, 0.05).to_string();
        assert_eq!(of(&["snap-1"]), "at most $0.15 a month");
        assert_eq!(of(&["snap-1", "snap-2"]), "at most $1.15 a month");
        assert_eq!(of(&["snap-9"]), "at most $0.40 a month", "of an unknown one the volume counts");
        assert_eq!(Cost::of(&known[0], 0.001).to_string(), "at most $0.01 a month");
        assert_eq!(Cost::default().to_string(), "at most $0.00 a month");
    }
}
