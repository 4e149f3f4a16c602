//! The call page, `src/web/`, as routes of the clients' HTTP listener. The files are part of the binary.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse as _;
use axum::routing::get;

/// Path, media type, content.
const FILES: &[(&str, &str, &[u8])] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("web/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_bytes!("web/style.css")),
    ("/icon.svg", "image/svg+xml", include_bytes!("web/icon.svg")),
    ("/app.js", "text/javascript; charset=utf-8", include_bytes!("web/app.js")),
    ("/jingle.js", "text/javascript; charset=utf-8", include_bytes!("web/jingle.js")),
    ("/media.js", "text/javascript; charset=utf-8", include_bytes!("web/media.js")),
    ("/roster.js", "text/javascript; charset=utf-8", include_bytes!("web/roster.js")),
    ("/sasl.js", "text/javascript; charset=utf-8", include_bytes!("web/sasl.js")),
    ("/sdp.js", "text/javascript; charset=utf-8", include_bytes!("web/sdp.js")),
    ("/xmpp.js", "text/javascript; charset=utf-8", include_bytes!("web/xmpp.js")),
];

/// Scripts, styles and connections of the page's own origin only: what a contact sends can become none of them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; \
                      connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One route for each file.
pub fn routes() -> Router {
    FILES.iter().fold(Router::new(), |router, (path, kind, content)| {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        router.route(path, get(move || async move { (headers, *content).into_response() }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_no_other() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| format!("/{}", entry.expect("readable").file_name().to_string_lossy()))
            .map(|path| path.replace("/index.html", "/"))
            .collect();
        let mut served: Vec<_> = FILES.iter().map(|(path, ..)| (*path).to_owned()).collect();
        files.sort();
        served.sort();
        assert_eq!(files, served);
    }
}
