//! `/metrics`: one registry for the whole server. Every name begins with `campanile_`; each part registers its own, and those that count in
//! plain numbers of their own (the relay's threads share nothing) are read when somebody asks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{IntGauge, Opts, Registry, TextEncoder};

/// The text format's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The registry, with what the process itself has to show. Clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// A registry with `campanile_build_info` and `campanile_process_…`.
    ///
    /// # Errors
    /// None in practice: the names are distinct.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let build =
            Opts::new("campanile_build_info", "Always 1; the labels say what runs.").const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(build)?;
        build.set(1);
        registry.register(Box::new(build))?;
        let pid = i32::try_from(std::process::id()).map_err(|_| prometheus::Error::Msg("the process id is out of range".to_owned()))?;
        registry.register(Box::new(ProcessCollector::new(pid, "campanile")))?;
        Ok(Self { registry })
    }

    /// Where the other parts register theirs.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Shows numbers that a part counts by itself: `read` is called at every scrape and yields the same families each time.
    ///
    /// # Errors
    /// A name that is taken or not valid.
    pub fn numbers(&self, read: impl Fn() -> Vec<Family> + Send + Sync + 'static) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(Numbers::new(Arc::new(read))?))
    }

    /// Everything, in the text format.
    ///
    /// # Errors
    /// A part that shows inconsistent families.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// One name with its numbers.
#[derive(Clone, Debug)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<Metric>,
}

impl Family {
    /// A number that only grows; its name ends in `_total`.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        debug_assert!(name.ends_with("_total"), "{name}");
        Self { name, help, kind: MetricType::COUNTER, samples: Vec::new() }
    }

    /// A number that rises and falls.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::GAUGE, samples: Vec::new() }
    }

    /// Adds a number with its labels, `&[("transport", "udp")]`; those of one family have the same label names.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the text format holds doubles; past 2^53 the last digits do not matter")]
    pub fn with(self, labels: &[(&'static str, &str)], value: u64) -> Self {
        self.sample(labels, value as f64)
    }

    /// The same with a time, whose name says seconds.
    #[must_use]
    pub fn with_time(self, labels: &[(&'static str, &str)], value: Duration) -> Self {
        debug_assert!(self.name.contains("_seconds"), "{}", self.name);
        self.sample(labels, value.as_secs_f64())
    }

    fn sample(mut self, labels: &[(&'static str, &str)], value: f64) -> Self {
        let mut metric = labelled(labels);
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.samples.push(metric);
        self
    }

    /// How often something had which size: of each class that ends at a bound, and last of what is larger than all; `sum` is all sizes together.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "as in `with`")]
    pub fn histogram(name: &'static str, help: &'static str, bounds: &[u64], counts: &[u64], sum: u64) -> Self {
        debug_assert_eq!(counts.len(), bounds.len() + 1, "{name}");
        let mut histogram = Histogram::default();
        let mut so_far = 0;
        let mut buckets = Vec::with_capacity(bounds.len());
        for (bound, count) in bounds.iter().zip(counts) {
            so_far += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound as f64);
            bucket.set_cumulative_count(so_far);
            buckets.push(bucket);
        }
        histogram.set_bucket(buckets);
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(sum as f64);
        let mut metric = labelled(&[]);
        metric.set_histogram(histogram);
        Self { name, help, kind: MetricType::HISTOGRAM, samples: vec![metric] }
    }

    fn into_proto(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(self.samples);
        family
    }
}

fn labelled(labels: &[(&'static str, &str)]) -> Metric {
    let labels = labels.iter().map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    });
    Metric::from_label(labels.collect())
}

/// The collector behind [`Metrics::numbers`].
struct Numbers {
    descriptions: Vec<Desc>,
    read: Arc<dyn Fn() -> Vec<Family> + Send + Sync>,
}

impl Numbers {
    fn new(read: Arc<dyn Fn() -> Vec<Family> + Send + Sync>) -> Result<Self, prometheus::Error> {
        let describe = |family: Family| {
            let labels = family.samples.first().map(|metric| metric.get_label().iter().map(|label| label.name().to_owned()).collect());
            Desc::new(family.name.to_owned(), family.help.to_owned(), labels.unwrap_or_default(), Default::default())
        };
        let descriptions = read().into_iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self { descriptions, read })
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbers").field("descriptions", &self.descriptions).finish_non_exhaustive()
    }
}

impl Collector for Numbers {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.read)().into_iter().map(Family::into_proto).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn every_name_begins_with_campanile() {
        let metrics = Metrics::new().unwrap();
        let text = metrics.text().unwrap();
        assert!(text.contains("campanile_build_info{version=\""), "{text}");
        for name in ["campanile_process_resident_memory_bytes ", "campanile_process_open_fds "] {
            assert!(text.contains(name), "{name}: {text}");
        }
        for family in metrics.registry().gather() {
            assert!(family.name().starts_with("campanile_"), "{}", family.name());
        }
    }

    #[test]
    fn numbers_are_read_at_each_scrape() {
        let metrics = Metrics::new().unwrap();
        let count = Arc::new(AtomicU64::new(1));
        let shared = Arc::clone(&count);
        metrics
            .numbers(move || {
                let value = shared.load(Ordering::Relaxed);
                vec![
                    Family::counter("campanile_test_packets_total", "Packets.")
                        .with(&[("way", "in")], value)
                        .with(&[("way", "out")], value * 2),
                    Family::gauge("campanile_test_allocations", "Live.").with(&[], value + 5),
                ]
            })
            .unwrap();
        let first = metrics.text().unwrap();
        assert!(first.contains("# TYPE campanile_test_packets_total counter\ncampanile_test_packets_total{way=\"in\"} 1\n"), "{first}");
        assert!(first.contains("campanile_test_packets_total{way=\"out\"} 2\n"), "{first}");
        count.store(7, Ordering::Relaxed);
        let second = metrics.text().unwrap();
        assert!(second.contains("# TYPE campanile_test_allocations gauge\ncampanile_test_allocations 12\n"), "{second}");
    }

    #[test]
    fn a_histogram_counts_up_to_each_bound() {
        let metrics = Metrics::new().unwrap();
        metrics.numbers(|| vec![Family::histogram("campanile_test_sizes", "Sizes.", &[1, 4], &[5, 0, 2], 30)]).unwrap();
        let text = metrics.text().unwrap();
        for line in ["_bucket{le=\"1\"} 5", "_bucket{le=\"4\"} 5", "_bucket{le=\"+Inf\"} 7", "_sum 30", "_count 7"] {
            assert!(text.contains(&format!("campanile_test_sizes{line}\n")), "{line}: {text}");
        }
    }

    #[test]
    fn a_name_is_registered_once() {
        let metrics = Metrics::new().unwrap();
        let family = || vec![Family::gauge("campanile_test_twice", "Twice.").with(&[], 1)];
        metrics.numbers(family).unwrap();
        assert!(metrics.numbers(family).is_err());
    }
}
