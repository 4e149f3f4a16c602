// Three Chromium pages with Converse.js, as people use it: they enter rooms, write, read and are moderated, with the keyboard and the buttons of its page; see muc_clients.rs.
// Argument: {"websocket": URL, "users": [[jid, password], …], "service": the rooms' domain, "steps": those to do, all if there are none}
import assert from 'node:assert/strict';
import { Browser, say } from './browser.mjs';
import { serveConverse } from './converse_site.mjs';

const { websocket, users, service = 'conference.localhost', steps: wanted } = JSON.parse(process.argv[2]);
const site = await serveConverse();
// the page has pictures from elsewhere
const browser = await Browser.start(['--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost']);

/** A page with its user in it. */
class Person {
  static async enter([jid, password]) {
    const person = new Person();
    person.jid = jid;
    person.page = await browser.open(site.url);
    await person.page.run(options => { window.logIn(options); }, { websocket, jid, password, service });
    await person.page.until('it is online', () => window.api?.connection.connected() && window.api.connection.authenticated());
    say('online', { jid });
    return person;
  }

  /** The part of the page that shows this room. */
  at(room, selector = '') { return `converse-muc[jid="${room}"] ${selector}`; }

  /** Goes to the door of a room. */
  async knock(room, nick) {
    await this.page.run((jid, nickname) => { window.api.rooms.open(jid, { nick: nickname }, true); }, room, nick);
  }

  async join(room, nick) {
    await this.knock(room, nick);
    await this.page.until(`${nick} can write in ${room}`, selector => document.querySelector(selector)?.checkVisibility(), this.at(room, '.chat-textarea'));
  }

  async write(room, text) {
    await this.page.type(this.at(room, '.chat-textarea'), text);
    await this.page.key('Enter');
  }

  /** Waits until the room shows a message with just this text, by this author if one is named. */
  read(room, text, author) {
    return this.page.until(`${author ?? 'somebody'} says ${text} in ${room}`, (selector, wantedText, wantedAuthor) => [...document.querySelectorAll(selector)].some(message => {
      const from = message.dataset.from?.split('/').slice(1).join('/');
      return message.querySelector('.chat-msg__text')?.textContent === wantedText && (!wantedAuthor || from === wantedAuthor);
    }), this.at(room, '.chat-msg'), text, author);
  }

  /** All texts that the room shows. */
  texts(room) {
    return this.page.run(selector => [...document.querySelectorAll(selector)].map(text => text.textContent), this.at(room, '.chat-msg__text'));
  }

  /** Waits until the room's part of the page has this text where the selector says. */
  sees(room, text, selector = '') {
    return this.page.until(`${room} shows ${text}`, (where, part) => [...document.querySelectorAll(where)].some(element => element.textContent.includes(part)),
      this.at(room, selector), text);
  }

  /** Waits until these are who is there, each with the letters of its badges. */
  occupants(room, list) {
    return this.page.until(`${JSON.stringify(list)} are in ${room}`, (selector, expected) => {
      const there = [...document.querySelectorAll(selector)].map(one =>
        [one.querySelector('.occupant-nick')?.textContent.trim(), [...one.querySelectorAll('.badge')].map(badge => badge.title.trim()).sort().join(' ')]);
      return JSON.stringify(there.sort()) === JSON.stringify(expected.sort());
    }, this.at(room, '.occupant-list .occupant'), list);
  }

  /** Takes one of the actions of the message with this text, and says yes with this reason. */
  async act(room, text, action, reason) {
    await this.page.run((selector, wantedText, name) => {
      const message = [...document.querySelectorAll(selector)].find(one => one.querySelector('.chat-msg__text')?.textContent === wantedText);
      message.querySelector(`.chat-msg__action-${name}`).click();
    }, this.at(room, '.chat-msg'), text, action);
    await this.answer(reason ? { reason } : {});
  }

  /** Fills in what the page asks in its dialog, and agrees. */
  async answer(fields) {
    await this.page.until('a question', () => document.querySelector('.modal.show') !== null);
    for (const [name, value] of Object.entries(fields)) await this.page.type(`.modal.show input[name="${name}"]`, value);
    await this.page.click('.modal.show [type="submit"]');
    await this.page.until('the question is gone', () => !document.querySelector('.modal.show'));
  }
}

const [alice, bob, carol] = await Promise.all(users.slice(0, 3).map(Person.enter)).catch(trouble);
const address = name => `${name}@${service}`;
const BODIES = ["Harpier cries: 'tis time", '<b>&amp; "quotes" ]]></b>', 'Zürich · 日本語 · 🔔'];

const steps = {
  /** §7.2, §10.1: a room is made by entering it. */
  async joined() {
    const room = address('hall');
    await alice.join(room, 'Alice');
    await alice.sees(room, 'A new groupchat has been created');
    await bob.join(room, 'Bob');
    for (const person of [alice, bob]) await person.occupants(room, [['Alice', 'Moderator Owner'], ['Bob', '']]);
  },

  /** §7.4, §8.1, §7.6. */
  async chatted() {
    const room = address('hall');
    for (const [writer, nick] of [[alice, 'Alice'], [bob, 'Bob']]) {
      for (const body of BODIES) {
        await writer.write(room, `${body} (${nick})`);
        for (const reader of [alice, bob]) await reader.read(room, `${body} (${nick})`, nick);
      }
    }
    const said = ['Alice', 'Bob'].flatMap(nick => BODIES.map(body => `${body} (${nick})`));
    for (const reader of [alice, bob]) assert.deepEqual(await reader.texts(room), said);
    await alice.write(room, '/topic Fire Burn & <Bubble>');
    for (const person of [alice, bob]) await person.sees(room, 'Fire Burn & <Bubble>', '.chat-head__desc');
    await bob.write(room, '/nick Robert');
    for (const person of [alice, bob]) await person.occupants(room, [['Alice', 'Moderator Owner'], ['Robert', '']]);
    await bob.write(room, 'Robert now');
    await alice.read(room, 'Robert now', 'Robert');
  },

  /** XEP-0313, §7.2.13: who comes later reads what was said, once. */
  async history() {
    const room = address('hall');
    await carol.join(room, 'Carol');
    await carol.read(room, 'Robert now', 'Robert');
    assert.deepEqual(await carol.texts(room), await alice.texts(room));
    await carol.sees(room, 'Fire Burn & <Bubble>', '.chat-head__desc');
    await carol.occupants(room, [['Alice', 'Moderator Owner'], ['Robert', ''], ['Carol', '']]);
  },

  /** §8.2 to §8.4, §9.3. */
  async managed() {
    const room = address('hall');
    await alice.write(room, '/mute Robert');
    await carol.occupants(room, [['Alice', 'Moderator Owner'], ['Robert', 'Visitor'], ['Carol', '']]);
    await bob.write(room, 'may I?');
    await bob.sees(room, 'Message delivery failed', '.chat-msg');
    await alice.write(room, '/voice Robert');
    await carol.occupants(room, [['Alice', 'Moderator Owner'], ['Robert', ''], ['Carol', '']]);
    await bob.write(room, 'I am heard again');
    await carol.read(room, 'I am heard again', 'Robert');
    await alice.write(room, '/member Robert');
    await carol.occupants(room, [['Alice', 'Moderator Owner'], ['Robert', 'Member'], ['Carol', '']]);
    await alice.write(room, '/kick Carol too loud & late');
    await carol.sees(room, 'You have been kicked from this groupchat');
    await carol.sees(room, 'too loud & late');
    for (const person of [alice, bob]) await person.occupants(room, [['Alice', 'Moderator Owner'], ['Robert', 'Member']]);
  },

  /** XEP-0424, XEP-0425: one's own message is taken back, somebody else's by a moderator. */
  async retracted() {
    const room = address('hall');
    for (const text of ['I did not say that', 'nor this']) {
      await bob.write(room, text);
      await alice.read(room, text, 'Robert');
    }
    await bob.act(room, 'I did not say that', 'retract');
    await alice.sees(room, 'Robert has removed a message', '.chat-msg');
    await alice.act(room, 'nor this', 'retract', 'nor that');
    for (const person of [alice, bob]) await person.sees(room, 'nor that', '.chat-msg');
    for (const person of [alice, bob]) {
      const texts = await person.texts(room);
      assert.ok(!texts.includes('I did not say that') && !texts.includes('nor this'), texts);
    }
  },

  /** §9.1, XEP-0249: who is invited comes in, who is banned stays outside. */
  async doors() {
    const room = address('parlour');
    await alice.join(room, 'Alice');
    await alice.page.run((jid, guest) => { window.api.rooms.get(jid).then(muc => muc.directInvite(guest, 'come & see')); }, room, carol.jid);
    await carol.page.until('an invitation', () => document.querySelector('.modal.show')?.textContent.includes('come & see'));
    await carol.answer({});
    // a nickname that is taken, and one that is not
    for (const nick of ['Alice', 'Carol']) {
      await carol.page.type(carol.at(room, 'input[name="nick"]'), nick);
      await carol.page.click(carol.at(room, '.muc-nickname-form input[type="submit"]'));
      if (nick === 'Alice') await carol.sees(room, 'The nickname you chose is reserved or currently in use');
    }
    await alice.occupants(room, [['Alice', 'Moderator Owner'], ['Carol', '']]);
    await alice.write(room, '/ban Carol for good');
    await carol.sees(room, 'You have been banned from this groupchat');
    await carol.sees(room, 'for good');
    await alice.occupants(room, [['Alice', 'Moderator Owner']]);
  },

  /** §10.9. Converse shows its owner that the room is gone; to others it shows nothing, so it is the next to enter who finds a new one. */
  async destroyed() {
    const room = address('cellar');
    await alice.join(room, 'Alice');
    await bob.join(room, 'Bob');
    await alice.occupants(room, [['Alice', 'Moderator Owner'], ['Bob', '']]);
    await alice.write(room, '/destroy');
    await alice.answer({ challenge: room, reason: 'Macbeth doth come.', newjid: address('lawn') });
    await alice.page.until('the room is gone', selector => !document.querySelector(selector), alice.at(room));
    await carol.join(room, 'Carol');
    await carol.sees(room, 'A new groupchat has been created');
    await carol.occupants(room, [['Carol', 'Moderator Owner']]);
  },
};

async function trouble(error) {
  say('failed', { why: error.message });
  process.exitCode = 1;
  await browser.stop();
  site.stop();
  process.exit();
}

try {
  for (const [name, step] of Object.entries(steps)) {
    if (wanted?.length && !wanted.includes(name)) continue;
    await step();
    say(name);
  }
  say('done');
} catch (error) {
  say('failed', { why: error.message });
  for (const person of [alice, bob, carol]) say('page', { jid: person.jid, page: await person.page.describe() });
  process.exitCode = 1;
} finally {
  await browser.stop();
  site.stop();
}
