//! What the conversion between SDP and Jingle costs: an offer of Chromium with audio and video to a `<jingle/>` as text and back to SDP as text,
//! beside quick-xml alone reading that `<jingle/>` into a flat tree. Allocations of each step are counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use campanile_signalling::jingle::{Action, Party};
use campanile_signalling::sdp::{self, convert};
use criterion::{Criterion, criterion_group, criterion_main};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// As Chromium wrote it: two sections in a bundle, all codecs.
const OFFER: &str = include_str!("../../tests/corpus/sdp/chromium/audio-video/01-initiator-offer.sdp");

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// The one way to count what a library allocates.
#[allow(unsafe_code)]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn request() -> convert::Request<'static> {
    convert::Request { party: Party::Initiator, action: Some(Action::SessionInitiate), before: None }
}

fn to_jingle(offer: &str) -> String {
    let (stanzas, _) = convert::to_jingle(offer, &request()).expect("a browser wrote it");
    convert::to_xml(&stanzas[0])
}

fn to_sdp(jingle: &str) -> String {
    convert::to_sdp(jingle, &request()).expect("we wrote it").0
}

/// Elements, attributes and texts one after the other, as references into the text: what any reader of the `<jingle/>` needs at least.
#[derive(Default)]
struct FlatTree<'x> {
    nodes: Vec<FlatNode<'x>>,
    attributes: Vec<(&'x str, &'x str)>,
}

#[expect(dead_code, reason = "nobody looks at it: what is measured is how it comes about")]
struct FlatNode<'x> {
    /// Of a text; else the name.
    text: &'x str,
    attributes: std::ops::Range<usize>,
    depth: usize,
}

fn flat_tree(xml: &str) -> FlatTree<'_> {
    fn push<'x>(tree: &mut FlatTree<'x>, tag: &BytesStart<'_>, xml: &'x str, depth: usize) {
        let first = tree.attributes.len();
        for attribute in tag.attributes() {
            let attribute = attribute.expect("we wrote it");
            tree.attributes.push((at(attribute.key.as_ref(), xml), at(&attribute.value, xml)));
        }
        tree.nodes.push(FlatNode { text: at(tag.name().as_ref(), xml), attributes: first..tree.attributes.len(), depth });
    }
    // quick-xml lends its slices for as long as the event lives; the tree wants them for as long as the text does.
    fn at<'x>(slice: &str, xml: &'x str) -> &'x str {
        let start = slice.as_ptr() as usize - xml.as_ptr() as usize;
        &xml[start..start + slice.len()]
    }
    let mut reader = Reader::from_str(xml);
    let (mut tree, mut depth) = (FlatTree::default(), 0);
    loop {
        match reader.read_event().expect("we wrote it") {
            Event::Start(tag) => {
                push(&mut tree, &tag, xml, depth);
                depth += 1;
            }
            Event::Empty(tag) => push(&mut tree, &tag, xml, depth),
            Event::Text(text) => tree.nodes.push(FlatNode { text: at(&text, xml), attributes: 0..0, depth }),
            Event::End(_) => depth -= 1,
            Event::Eof => return tree,
            _ => {}
        }
    }
}

fn conversion(c: &mut Criterion) {
    let jingle = to_jingle(OFFER);
    let mut group = c.benchmark_group("sdp");
    group.bench_function("parse", |b| b.iter(|| sdp::parse(black_box(OFFER))));
    group.bench_function("to jingle", |b| b.iter(|| to_jingle(black_box(OFFER))));
    group.bench_function("to sdp", |b| b.iter(|| to_sdp(black_box(&jingle))));
    group.bench_function("there and back", |b| b.iter(|| to_sdp(&to_jingle(black_box(OFFER)))));
    group.bench_function("quick-xml, flat tree", |b| b.iter(|| flat_tree(black_box(&jingle))));
    group.finish();

    let tree = flat_tree(&jingle);
    println!(
        "offer {} bytes, jingle {} bytes: {} nodes, {} attributes",
        OFFER.len(),
        jingle.len(),
        tree.nodes.len(),
        tree.attributes.len()
    );
    for (what, run) in [
        ("to jingle", &(|| drop(black_box(to_jingle(OFFER)))) as &dyn Fn()),
        ("to sdp", &|| drop(black_box(to_sdp(&jingle)))),
        ("quick-xml, flat tree", &|| drop(black_box(flat_tree(&jingle)))),
    ] {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        run();
        println!("{what}: {} allocations", ALLOCATIONS.load(Ordering::Relaxed) - before);
    }
    println!("there and back is {:.2} of quick-xml's flat tree (wanted: 3 at most)", ratio(&jingle));
}

/// Both in turns, so that the machine's moods fall on both: the median of the ratios.
fn ratio(jingle: &str) -> f64 {
    fn time(mut run: impl FnMut()) -> Duration {
        let start = Instant::now();
        (0..200).for_each(|_| run());
        start.elapsed()
    }
    let mut ratios: Vec<f64> = (0..51)
        .map(|_| {
            let ours = time(|| drop(black_box(to_sdp(&to_jingle(black_box(OFFER))))));
            let tree = time(|| drop(black_box(flat_tree(black_box(jingle)))));
            ours.as_secs_f64() / tree.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

criterion_group!(benches, conversion);
criterion_main!(benches);
