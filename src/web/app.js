// The call page: what is on the screen, and what its buttons do.
import { bare, Connection, kid, Problem, x } from './xmpp.js';
import { Roster } from './roster.js';
import { Calls, FEATURES } from './jingle.js';

const $ = id => document.getElementById(id);
/** Makes an element: `make('li', { className: 'mine' }, 'text', child)`. */
const make = (tag, properties = {}, ...children) => { const e = Object.assign(document.createElement(tag), properties); e.append(...children); return e; };
const show = (id, on) => { $(id).hidden = !on; };

const query = new URLSearchParams(location.search);
const url = new URL('xmpp-websocket', location.href.replace(/^http/, 'ws')).href.split('?')[0];
const talks = new Map();            // bare JID → { lines, unread }
const calls = new Calls(showCall, query.has('relay'));
let connection, roster, peer, shown, credentials;

const talk = jid => { if (!talks.has(jid)) talks.set(jid, { lines: [], unread: 0 }); return talks.get(jid); };
const name = jid => roster?.contacts.get(jid)?.name || jid;

// Logging in, and again when the connection is lost.

$('jid').value = query.get('jid') ?? localStorage.getItem('jid') ?? '';
$(($('jid').value && 'password') || 'jid').focus();

$('login').onsubmit = async event => {
  event.preventDefault();
  const button = event.submitter ?? $('login').querySelector('button');
  $('login-problem').textContent = '';
  button.disabled = true;
  try {
    credentials = [$('jid').value.trim().toLowerCase(), $('password').value];
    await connect();
    localStorage.setItem('jid', credentials[0]);
    $('password').value = '';
    document.body.dataset.view = 'app';
    $('add-jid').focus();
  } catch (problem) {
    $('login-problem').textContent = problem.message;
  }
  button.disabled = false;
};

async function connect(resource = `page-${crypto.randomUUID().slice(0, 8)}`) {
  connection = await Connection.open(url, ...credentials, resource);
  connection.addEventListener('closed', event => lost(event.detail, connection.jid.split('/')[1]));
  connection.addEventListener('message', event => receive(event.detail));
  roster = new Roster(connection, FEATURES, showPeople);
  calls.attach(connection, roster);
  await roster.start();
  $('me').textContent = bare(connection.jid);
  $('connection').textContent = '';
}

async function lost(problem, resource) {
  for (let wait = 1; credentials; wait = Math.min(2 * wait, 30)) {
    $('connection').textContent = `${problem.message} Trying again in ${wait} s …`;
    await new Promise(resolve => setTimeout(resolve, 1000 * wait));
    if (!credentials) return;
    if (problem.code === 'conflict') resource = undefined;
    try { return await connect(resource); } catch (error) { problem = error instanceof Problem ? error : new Problem('protocol', error.message); }
  }
}

$('log-out').onclick = () => {
  calls.current?.end();
  credentials = undefined;
  connection.close();
  location.reload();
};

// Contacts.

const LOOKS = { away: 'away', xa: 'away for long', dnd: 'does not want to be disturbed', chat: 'wants to chat' };

function state(jid) {
  const contact = roster.contacts.get(jid), best = [...contact?.resources.values() ?? []].sort((a, b) => b.priority - a.priority)[0];
  if (best) return best.status || LOOKS[best.show] || 'online';
  if (contact?.ask) return 'asked, no answer yet';
  return ['to', 'both'].includes(contact?.subscription) ? 'offline' : 'does not share presence';
}

function showPeople() {
  const online = jid => Boolean(roster.contacts.get(jid)?.resources.size);
  const all = [...new Set([...roster.contacts.keys(), ...talks.keys()])].sort((a, b) => online(b) - online(a) || name(a).localeCompare(name(b)));
  const focused = document.activeElement?.closest('#contacts button')?.dataset.jid;
  $('contacts').replaceChildren(...all.map(jid => {
    const button = make('button', { onclick: () => choose(jid) }, make('span', { className: `dot ${online(jid) ? 'online' : ''}` }),
      make('span', { className: 'name' }, name(jid)), make('span', { className: 'quiet' }, state(jid)));
    if (talks.get(jid)?.unread) button.children[1].after(make('span', { className: 'unread', ariaLabel: 'unread' }, talks.get(jid).unread));
    button.dataset.jid = jid;
    button.ariaCurrent = jid === peer;
    return make('li', {}, button);
  }));
  if (focused) $('contacts').querySelector(`[data-jid="${CSS.escape(focused)}"]`)?.focus();
  $('requests').replaceChildren(...[...roster.requests].map(jid => make('li', {}, make('span', {}, `${jid} wants to be your contact.`),
    make('div', { className: 'row' }, make('button', { className: 'main', onclick: () => roster.accept(jid) }, 'Accept'), make('button', { onclick: () => roster.decline(jid) }, 'Decline')))));
  show('nobody', !all.length);
  if (peer) $('peer-state').textContent = state(peer);
}

$('add').onsubmit = async event => {
  event.preventDefault();
  const jid = $('add-jid').value.trim().toLowerCase();
  $('connection').textContent = '';
  try {
    if (!/^[^@/\s]+@[^@/\s]+$/.test(jid)) throw new Error('an address looks like name@example.org');
    await roster.add(jid);
    $('add-jid').value = '';
    choose(jid);
  } catch (error) {
    $('connection').textContent = `${jid} was not added: ${error.message}.`;
  }
};

function choose(jid) {
  peer = jid;
  document.body.toggleAttribute('data-talking', Boolean(jid));
  for (const id of ['talk-head', 'messages', 'write']) show(id, jid);
  for (const id of ['hint', 'call-ended']) show(id, id === 'hint' && !jid);
  if (!jid) return showPeople();
  talk(jid).unread = 0;
  $('peer').textContent = name(jid);
  showPeople();
  showLines();
  $('text').focus();
}
$('back').onclick = () => choose(undefined);

// Lines of text.

function receive(stanza) {
  const [from, type, id] = ['from', 'type', 'id'].map(a => stanza.getAttribute(a));
  const text = kid(stanza, 'body')?.textContent, lines = talk(bare(from ?? '')).lines;
  if (type === 'error') lines.filter(line => line.id === id).forEach(line => { line.failed = true; });
  else if (text !== undefined && type !== 'groupchat') {
    lines.push({ text, at: new Date() });
    if (bare(from) !== peer) talk(bare(from)).unread += 1;
  } else if (!lines.length) talks.delete(bare(from ?? ''));
  showPeople();
  showLines();
}

$('write').onsubmit = event => {
  event.preventDefault();
  const text = $('text').value, id = crypto.randomUUID();
  connection.send(x('message', { to: peer, type: 'chat', id }, x('body', {}, text)));
  talk(peer).lines.push({ text, id, mine: true, at: new Date() });
  $('text').value = '';
  showLines();
};

function showLines() {
  $('messages').replaceChildren(...(peer ? talk(peer).lines : []).map(({ text, mine, failed, at }) => make('li', { className: `${mine ? 'mine' : ''} ${failed ? 'failed' : ''}` },
    text, make('time', {}, failed ? 'could not be delivered' : at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })))));
  $('messages').scrollTop = $('messages').scrollHeight;
}

// Calls.

for (const kind of ['audio', 'video']) {
  $(`call-${kind}`).onclick = () => { if (!calls.current) calls.place(peer, kind === 'video'); };
  $(`answer-${kind}`).onclick = () => calls.current?.accept(kind === 'video');
}
$('hang-up').onclick = $('decline').onclick = () => calls.current?.end();
$('ring').oncancel = () => calls.current?.end();
for (const [id, kind] of [['mute', 'audio'], ['camera', 'video']]) {
  $(id).onclick = () => {
    const off = $(id).ariaPressed !== 'true';
    $(id).ariaPressed = off;
    calls.current?.enable(kind, !off);
  };
}

/** `call.state` changed, or its words or streams. */
function showCall(call) {
  if (call.state === 'ended' && shown !== call) return;
  if (shown !== call) $('mute').ariaPressed = $('camera').ariaPressed = false;
  shown = call;
  const { state, text, notice, local, remote } = call, ringing = state === 'incoming', live = !ringing && state !== 'ended';
  if (ringing && !$('ring').open) $('ring').showModal();
  if (!ringing) $('ring').close();
  $('ring-text').textContent = text + (call.video ? ' (video)' : '');
  show('answer-video', call.video);
  if ((state === 'connecting' && peer !== call.peer) || (state === 'ended' && !peer)) choose(call.peer);
  show('call', live);
  show('call-ended', state === 'ended');
  $('call-ended').textContent = text;
  for (const kind of ['audio', 'video']) $(`call-${kind}`).disabled = state !== 'ended';
  Object.assign($('call').dataset, { state, sid: call.sid });
  $('call').classList.toggle('picture', live && remote.getVideoTracks().length > 0);
  $('call').classList.toggle('camera', live && Boolean(local?.getVideoTracks().length));
  show('camera', local?.getVideoTracks().length);
  for (const [id, stream] of [['remote', remote], ['local', local]]) if ($(id).srcObject !== (live ? stream ?? null : null)) $(id).srcObject = live ? stream ?? null : null;
  $('face').textContent = call.peer[0];
  $('call-text').textContent = text;
  $('call-notice').textContent = notice;
  $('call-path').textContent = '';
}

setInterval(async () => { if (calls.current) $('call-path').textContent = await calls.current.path(); }, 1000);
addEventListener('pagehide', () => calls.current?.end('gone'));
