// The call page: what is on the screen, and what its buttons do.
import { attributes, bare, Connection, kid, x } from './xmpp.js';
import { Roster } from './roster.js';
import { Calls, FEATURES } from './jingle.js';

const $ = id => document.getElementById(id);
/** Makes an element: `make('li', { className: 'mine' }, 'text', child)`. */
function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
const show = (id, on) => { $(id).hidden = !on; };
const onSubmit = (id, action) => { $(id).onsubmit = event => { event.preventDefault(); action(); }; };

const url = new URL('xmpp-websocket', location.origin.replace(/^http/, 'ws') + location.pathname).href;
const talks = new Map();            // bare JID → { lines, unread }
let connection, roster, calls, peer, shown;

const talk = jid => talks.get(jid) ?? talks.set(jid, { lines: [], unread: 0 }).get(jid);
const name = jid => roster.contacts.get(jid)?.name || jid;

// Logging in, and out.

$('jid').value = localStorage.getItem('jid') ?? '';
$($('jid').value ? 'password' : 'jid').focus();

onSubmit('login', async () => {
  const [jid, button] = [$('jid').value.trim().toLowerCase(), $('login').querySelector('button')];
  $('login-problem').textContent = '';
  button.disabled = true;
  try {
    connection = await Connection.open(url, jid, $('password').value);
    connection.addEventListener('closed', ({ detail }) => {
      calls.current?.end('gone');
      $('login-problem').textContent = detail.message;
      document.body.dataset.view = 'login';
    });
    connection.addEventListener('message', ({ detail }) => receive(detail, ...attributes(detail, 'from', 'type', 'id')));
    roster = new Roster(connection, FEATURES, showPeople);
    calls = new Calls(connection, roster, showCall, location.search === '?relay');
    await roster.start();
    localStorage.setItem('jid', jid);
    $('me').textContent = bare(connection.jid);
    document.body.dataset.view = 'app';
    $('add-jid').focus();
  } catch (problem) {
    $('login-problem').textContent = problem.message;
  }
  button.disabled = false;
});

$('log-out').onclick = () => {
  calls.current?.end();
  connection.close();
  location.reload();
};

// Contacts.

function state(jid) {
  const contact = roster.contacts.get(jid), [best] = roster.online(jid);
  return best?.words ?? (roster.sees(jid) ? 'offline' : contact?.ask ? 'asked, no answer yet' : 'does not share presence');
}

function showPeople() {
  const online = jid => roster.online(jid).length > 0;
  const all = [...new Set([...roster.contacts.keys(), ...talks.keys()])];
  all.sort((a, b) => online(b) - online(a) || name(a).localeCompare(name(b)));
  $('contacts').replaceChildren(...all.map(jid => {
    const button = make('button', { onclick: () => choose(jid), ariaCurrent: jid === peer },
      make('span', { className: `dot ${online(jid) ? 'online' : ''}` }), make('span', { className: 'name' }, name(jid)),
      make('span', { className: 'unread' }, talks.get(jid)?.unread || ''), make('span', { className: 'quiet' }, state(jid)));
    button.dataset.jid = jid;
    return make('li', {}, button);
  }));
  $('requests').replaceChildren(...[...roster.requests].map(jid => make('li', { className: 'row' }, `${jid} wants to be your contact.`,
    make('button', { className: 'main', onclick: () => roster.answer(jid, true) }, 'Accept'),
    make('button', { onclick: () => roster.answer(jid, false) }, 'Decline'))));
  show('nobody', !all.length);
  if (peer) $('peer-state').textContent = state(peer);
}

onSubmit('add', () => {
  const jid = $('add-jid').value.trim().toLowerCase();
  $('problem').textContent = '';
  roster.add(jid).then(() => {
    $('add-jid').value = '';
    choose(jid);
  }, error => { $('problem').textContent = `${jid} was not added (${error.message}).`; });
});

function choose(jid) {
  peer = jid;
  document.body.toggleAttribute('data-talking', Boolean(jid));
  show('call-ended', false);
  if (jid) {
    talk(jid).unread = 0;
    $('peer').textContent = name(jid);
    showLines();
    $('text').focus();
  }
  showPeople();
}
$('back').onclick = () => choose(undefined);

// Lines of text.

function receive(stanza, from, type, id) {
  const text = kid(stanza, 'body')?.textContent, jid = bare(from ?? '');
  if (type === 'error') talks.get(jid)?.lines.filter(line => line.id === id).forEach(line => { line.failed = true; });
  else if (text && type !== 'groupchat') {
    talk(jid).lines.push({ text, at: new Date() });
    if (jid !== peer) talk(jid).unread += 1;
  }
  showPeople();
  showLines();
}

onSubmit('write', () => {
  const text = $('text').value, id = crypto.randomUUID();
  connection.send(x('message', { to: peer, type: 'chat', id }, x('body', {}, text)));
  talk(peer).lines.push({ text, id, mine: true, at: new Date() });
  $('text').value = '';
  showLines();
});

function showLines() {
  $('messages').replaceChildren(...(peer ? talk(peer).lines : []).map(({ text, mine, failed, at }) =>
    make('li', { className: `${mine ? 'mine' : ''} ${failed ? 'failed' : ''}` }, text, make('time', {},
      failed ? 'could not be delivered' : at.toLocaleTimeString([], { timeStyle: 'short' })))));
  $('messages').scrollTop = $('messages').scrollHeight;
}

// Calls.

for (const kind of ['audio', 'video']) {
  $(`call-${kind}`).onclick = () => calls.place(peer, kind === 'video');
  $(`answer-${kind}`).onclick = () => calls.current?.accept(kind === 'video');
  $(`off-${kind}`).onclick = ({ target }) => {
    const tracks = shown.local?.getTracks().filter(t => t.kind === kind) ?? [];
    tracks.forEach(track => { track.enabled = !track.enabled; });
    target.ariaPressed = tracks.some(track => !track.enabled);
  };
}
$('hang-up').onclick = $('decline').onclick = $('ring').oncancel = () => calls.current?.end();
addEventListener('pagehide', () => calls?.current?.end('gone'));

/** Something about the call changed: its state, its words or its streams. */
function showCall(call) {
  const { state, text, notice, local, remote } = call, ended = state === 'ended', ringing = state === 'incoming', live = !ringing && !ended;
  if (shown !== call) $('off-audio').ariaPressed = $('off-video').ariaPressed = false;
  shown = call;
  if (ringing) $('ring').showModal();
  else $('ring').close();
  $('ring-text').textContent = text + (call.video ? ' (video)' : '');
  show('answer-video', call.video);
  if ((state === 'connecting' && peer !== call.peer) || (ended && !peer)) choose(call.peer);
  show('call', live);
  show('call-ended', ended);
  $('call-ended').textContent = $('call-text').textContent = text;
  $('call-notice').textContent = notice;
  for (const kind of ['audio', 'video']) $(`call-${kind}`).disabled = !ended;
  Object.assign($('call').dataset, { state, sid: call.sid });
  for (const [id, stream] of Object.entries({ remote, local })) {
    const wanted = live && stream ? stream : null, video = $(id);
    if (video.srcObject !== wanted) video.srcObject = wanted;
    video.classList.toggle('picture', Boolean(wanted?.getVideoTracks().length));
  }
  show('off-video', local?.getVideoTracks().length);
}
