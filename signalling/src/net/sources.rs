//! How many connections there may be, in all and from one source (XEP-0205 §3.1).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections by source; a plain table behind a lock that is held for one look-up.
#[derive(Debug, Clone)]
pub struct Sources(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    /// Only sources with a connection have a row, so the table is bounded by the connections.
    counts: HashMap<Source, u32>,
    total: u32,
    per_source_max: u32,
    total_max: u32,
}

/// Which bound a new connection would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Too many connections from this source.
    Source,
    /// Too many connections in all.
    Total,
}

impl Full {
    /// Every bound.
    pub const ALL: [Self; 2] = [Self::Source, Self::Total];

    /// Label for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "per_source",
            Self::Total => "total",
        }
    }
}

/// Whoever holds one IPv6 address usually holds its /64, so that is one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let mut network = [0; 8];
                network.copy_from_slice(&v6.octets()[..8]);
                Self::V6(network)
            }
        }
    }
}

/// One counted connection; dropping it gives the place back.
#[derive(Debug)]
pub struct Place {
    sources: Sources,
    source: Option<Source>,
}

impl Sources {
    /// Bounds for all listeners together; 0 means no bound.
    pub fn new(per_source_max: u32, total_max: u32) -> Self {
        Self(Arc::new(Mutex::new(Table { counts: HashMap::new(), total: 0, per_source_max, total_max })))
    }

    /// Takes a place for a connection from `address`.
    ///
    /// # Errors
    /// The bound that is reached.
    pub fn enter(&self, address: IpAddr) -> Result<Place, Full> {
        self.place(Some(address.into()))
    }

    /// Takes a place for a connection from a trusted proxy, which stands for many sources and is counted in the total only.
    ///
    /// # Errors
    /// The total bound is reached.
    pub fn enter_proxy(&self) -> Result<Place, Full> {
        self.place(None)
    }

    /// Connections now.
    pub fn total(&self) -> u32 {
        self.table().total
    }

    fn place(&self, source: Option<Source>) -> Result<Place, Full> {
        let mut table = self.table();
        if table.total_max != 0 && table.total >= table.total_max {
            return Err(Full::Total);
        }
        if let Some(source) = source {
            let max = table.per_source_max;
            let count = table.counts.entry(source).or_default();
            if max != 0 && *count >= max {
                return Err(Full::Source);
            }
            *count += 1;
        }
        table.total += 1;
        Ok(Place { sources: self.clone(), source })
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        // Every change below is complete before anything can panic, so a poisoned table is still right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts a connection through a trusted proxy under the address that the proxy names, from now on.
    ///
    /// # Errors
    /// That source is full; the place stays as it was.
    pub fn move_to(&mut self, address: IpAddr) -> Result<(), Full> {
        let moved = {
            let mut table = self.sources.table();
            let source = Source::from(address);
            let max = table.per_source_max;
            let count = table.counts.entry(source).or_default();
            if max != 0 && *count >= max {
                return Err(Full::Source);
            }
            *count += 1;
            self.source.replace(source)
        };
        if let Some(old) = moved {
            self.sources.table().leave(old);
        }
        Ok(())
    }
}

impl Table {
    fn leave(&mut self, source: Source) {
        if let Some(count) = self.counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&source);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.sources.table();
        table.total -= 1;
        if let Some(source) = self.source {
            table.leave(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn bounds_hold_and_places_come_back() {
        let sources = Sources::new(2, 3);
        let first = sources.enter(ip("192.0.2.1")).unwrap();
        let _second = sources.enter(ip("::ffff:192.0.2.1")).unwrap();
        assert_eq!(sources.enter(ip("192.0.2.1")).unwrap_err(), Full::Source);
        let _third = sources.enter(ip("192.0.2.2")).unwrap();
        assert_eq!(sources.enter(ip("192.0.2.3")).unwrap_err(), Full::Total);
        drop(first);
        drop(sources.enter(ip("192.0.2.1")).unwrap());
        assert_eq!(sources.total(), 2);
    }

    #[test]
    fn a_v6_source_is_its_64() {
        let sources = Sources::new(1, 0);
        let _one = sources.enter(ip("2001:db8::1")).unwrap();
        assert_eq!(sources.enter(ip("2001:db8::2:3")).unwrap_err(), Full::Source);
        assert!(sources.enter(ip("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn a_proxy_is_counted_by_whom_it_names() {
        let sources = Sources::new(1, 0);
        let mut one = sources.enter_proxy().unwrap();
        let mut two = sources.enter_proxy().unwrap();
        one.move_to(ip("192.0.2.1")).unwrap();
        assert_eq!(two.move_to(ip("192.0.2.1")), Err(Full::Source));
        drop(one);
        two.move_to(ip("192.0.2.1")).unwrap();
        drop(two);
        assert!(sources.table().counts.is_empty());
        assert_eq!(sources.total(), 0);
    }
}
