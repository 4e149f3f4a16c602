//! Reading an archive, whoever's it is: XEP-0313 §4 and §5.

use bytes::Bytes;

use super::query::Query;
use crate::ns;
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::store::{Page, Stored, Whose};
use crate::time;
use crate::xml::XmlWriter;

/// §4: what a query finds, and `<fin/>`. `waiting`: bytes that wait for whoever asks, who gets small pages if it does not read them.
pub(crate) async fn page(
    router: &Router,
    whose: impl Into<Whose<'_>>,
    query: &Query,
    waiting: usize,
) -> Result<(Page, Bytes), StanzaError> {
    let whose = whose.into();
    let archive = router.store().archive();
    let internal = router.internal("read an archive");
    if !archive.has(whose, &query.named()?).await.map_err(&internal)? {
        return Err(StanzaError::item_not_found().with_text("the archive has no such message"));
    }
    let (range, backwards) = query.range()?;
    let bytes_max = router.limits().archive_page_bytes.saturating_sub(waiting / 2);
    let page = match query.max {
        0 => Page::default(),
        max => archive.page(whose, &range, backwards, max, bytes_max).await.map_err(&internal)?,
    };
    let count = match query.max {
        // XEP-0059 §2.7: the count alone.
        0 if query.ids.is_none() => Some(archive.count(whose, &query.whole()?).await.map_err(&internal)?),
        _ => query.count_of(&page),
    };
    let fin = query.fin(&page, count);
    Ok((page, fin))
}

/// §4.2: the content of each result, in chronological order or, flipped, against it (§4.3.4).
pub(crate) fn results<'a>(query: &'a Query, page: &'a Page) -> impl Iterator<Item = Bytes> + 'a {
    let count = page.messages.len();
    (0..count)
        .map(move |place| &page.messages[if query.flip { count - 1 - place } else { place }])
        .map(|message| result(query, message, &message.stanza))
}

/// One of them, with this as the stanza that was kept.
pub(crate) fn result(query: &Query, message: &Stored, stanza: &[u8]) -> Bytes {
    let mut xml = XmlWriter::with_capacity(stanza.len() + 256);
    xml.open("result").ns(ns::MAM).attr_opt("queryid", query.queryid.as_deref()).attr("id", &message.id.to_string());
    xml.open("forwarded").ns(ns::FORWARD);
    xml.open("delay").ns(ns::DELAY).attr("stamp", &time::xep0082_ms(message.id.time())).close();
    xml.raw(stanza).close().close();
    xml.finish()
}

/// §5: the ends of an archive.
pub(crate) async fn metadata(router: &Router, whose: impl Into<Whose<'_>>) -> Result<Bytes, StanzaError> {
    let ends = router.store().archive().ends(whose).await.map_err(router.internal("read an archive"))?;
    let mut xml = XmlWriter::new();
    xml.open("metadata").ns(ns::MAM);
    if let Some((first, last)) = ends {
        for (name, id) in [("start", first), ("end", last)] {
            xml.open(name).attr("id", &id.to_string()).attr("timestamp", &time::xep0082_ms(id.time())).close();
        }
    }
    xml.close();
    Ok(xml.finish())
}
