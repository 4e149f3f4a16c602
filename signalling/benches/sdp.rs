//! What the conversion between SDP and Jingle costs: an offer of Chromium with audio and video to a `<jingle/>` as text and back to SDP as text,
//! beside quick-xml reading that `<jingle/>` into a flat tree, ours and a bare one. Allocations are counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use campanile_signalling::jingle::{Action, Party};
use campanile_signalling::sdp::{self, convert};
use campanile_signalling::xml::{Bindings, Element};
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

/// Its name or text, where its attributes are, how deep it stands.
type FlatNode<'x> = (&'x str, std::ops::Range<usize>, usize);

/// quick-xml lends its parts for as long as an event lives; the tree wants them for as long as the text does.
fn part<'x>(xml: &'x str, part: &str) -> &'x str {
    let start = part.as_ptr() as usize - xml.as_ptr() as usize;
    &xml[start..start + part.len()]
}

fn flat_tree(xml: &str) -> FlatTree<'_> {
    fn push<'x>(tree: &mut FlatTree<'x>, tag: &BytesStart<'x>, xml: &'x str, depth: usize) {
        let first = tree.attributes.len();
        for attribute in tag.attributes() {
            let attribute = attribute.expect("we wrote it");
            tree.attributes.push((part(xml, attribute.key.as_ref()), part(xml, &attribute.value)));
        }
        tree.nodes.push((part(xml, tag.name().as_ref()), first..tree.attributes.len(), depth));
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
            Event::Text(text) => tree.nodes.push((part(xml, &text), 0..0, depth)),
            Event::End(_) => depth -= 1,
            Event::Eof => return tree,
            _ => {}
        }
    }
}

#[expect(clippy::print_stdout, reason = "what the benchmark is for")]
fn conversion(c: &mut Criterion) {
    let jingle = to_jingle(OFFER);
    let mut group = c.benchmark_group("sdp");
    group.bench_function("parse", |b| b.iter(|| sdp::parse(black_box(OFFER))));
    group.bench_function("to jingle", |b| b.iter(|| to_jingle(black_box(OFFER))));
    group.bench_function("to sdp", |b| b.iter(|| to_sdp(black_box(&jingle))));
    group.bench_function("there and back", |b| b.iter(|| to_sdp(&to_jingle(black_box(OFFER)))));
    group.bench_function("our tree", |b| b.iter(|| element(&jingle)));
    group.bench_function("quick-xml, flat tree", |b| b.iter(|| flat_tree(black_box(&jingle)).nodes.len()));
    group.finish();

    let tree = flat_tree(&jingle);
    let (nodes, attributes) = (tree.nodes.len(), tree.attributes.len());
    println!("offer {} bytes, jingle {} bytes: {nodes} nodes, {attributes} attributes", OFFER.len(), jingle.len());
    println!("allocations: {} to jingle, {} to sdp", allocations(|| to_jingle(OFFER)), allocations(|| to_sdp(&jingle)));
    let beside = [("our tree of it by quick-xml", ratio(|| element(&jingle))), ("a bare one by quick-xml", ratio(|| flat_tree(&jingle)))];
    for (what, ratio) in beside {
        println!("there and back is {ratio:.2} of {what} (wanted: 3 at most)");
    }
}

fn allocations<T>(run: impl FnOnce() -> T) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    black_box(run());
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// The tree that every handler of a stanza reads: split by quick-xml, with namespaces and references resolved, after the checks that foreign XML
/// needs.
fn element(xml: &str) -> Element {
    Element::parse(black_box(xml).as_bytes(), &Bindings::client()).expect("we wrote it")
}

/// There and back beside another way, in turns, so that the machine's moods fall on both: the median of the ratios.
fn ratio<T>(other: impl Fn() -> T) -> f64 {
    fn time<T>(run: impl Fn() -> T) -> Duration {
        let start = Instant::now();
        (0..200).for_each(|_| {
            black_box(run());
        });
        start.elapsed()
    }
    let mut ratios: Vec<f64> = (0..51)
        .map(|_| {
            let ours = time(|| to_sdp(&to_jingle(black_box(OFFER))));
            ours.as_secs_f64() / time(&other).as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

criterion_group!(benches, conversion);
criterion_main!(benches);
