//! Rooms as clients enter and use them, and what comes of it.

use super::{Client, World};

/// The service of the domain that [`World`] serves.
pub const HOST: &str = "conference.localhost";
/// A room there.
pub const ROOM: &str = "coven@conference.localhost";

/// Enters a room that is there; what came of it is forgotten.
pub async fn join(world: &World, client: &Client, room: &str, nick: &str) {
    client.send(&format!("<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")).await;
    world.settled().await;
    let received = client.received();
    assert!(received.iter().any(|stanza| stanza.contains("code='110'")), "{nick} is not in {room}: {received:#?}");
}

/// Makes an instant room (§10.1.2), or one with this configuration (§10.1.3).
pub async fn create(world: &World, client: &Client, room: &str, nick: &str, config: &[(&str, &str)]) {
    join(world, client, room, nick).await;
    let answer = configure(world, client, room, config).await;
    assert!(answer.contains("type='result'"), "{answer}");
}

/// Submits a configuration and gives the answer.
pub async fn configure(world: &World, client: &Client, room: &str, config: &[(&str, &str)]) -> String {
    let fields: String =
        config.iter().map(|(var, value)| format!("<field var='muc#roomconfig_{var}'><value>{value}</value></field>")).collect();
    let form_type = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>";
    let form = if config.is_empty() { String::new() } else { format!("{form_type}{fields}") };
    let query = format!("<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>{form}</x></query>");
    answer(world, client, &format!("<iq to='{room}' type='set' id='config'>{query}</iq>")).await
}

/// Sends a request and gives the answer; what else came is forgotten.
pub async fn answer(world: &World, client: &Client, request: &str) -> String {
    client.send(request).await;
    world.settled().await;
    let received = client.received();
    received.iter().find(|stanza| stanza.starts_with("<iq ")).unwrap_or_else(|| panic!("{request}: {received:#?}")).clone()
}

/// Says something to all.
pub async fn say(client: &Client, room: &str, text: &str) {
    client.send(&format!("<message to='{room}' type='groupchat'><body>{text}</body></message>")).await;
}

/// What was said to all, as far as this client has heard it, in order.
pub fn heard(client: &Client) -> Vec<String> {
    let body = |stanza: String| stanza.split("<body>").nth(1).and_then(|rest| rest.split('<').next()).map(str::to_owned);
    client.received().into_iter().filter_map(body).collect()
}
