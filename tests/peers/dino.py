"""Dino 0.4 on a screen of its own: a client that answers, told by its database and by keys; see foreign_clients.rs for what it does and says.

Called with FOLDER CA JID PASSWORD [COLOUR], as the first process of a process namespace (all that it started ends with it) and in a mount namespace.
Trust: GnuTLS's, /etc/ssl/certs/ca-certificates.crt. It looks for SRV records, so that a resolver that refuses at once stands in
/etc/resolv.conf; then it takes the JID's domain and port 5222. Accounts are rows in dino.db, which it makes at its first start."""

import hashlib
import itertools
import json
import mmap
import os
import sqlite3
import struct
import subprocess
import sys
import time

folder, ca, jid, password = sys.argv[1:5]
colour = bytes.fromhex(sys.argv[5]) if len(sys.argv) > 5 else None
home = f"{folder}/dino"
database = f"{home}/.local/share/dino/dino.db"
PATIENCE = 60


def say(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


def wait(what, condition):
    """Neither SQLite nor X tells another program that something has happened: looks until it has."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.05)
    return found


def rows(statement, *values):
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=PATIENCE) as connection:
            return connection.execute(statement, values).fetchall()
    except sqlite3.OperationalError:  # not there yet
        return []


def bind(path, text):
    name = f"{folder}/{os.path.basename(path)}"
    with open(name, "w") as file:
        file.write(text)
    subprocess.run(["mount", "--bind", name, os.path.realpath(path)], check=True)


def start(*command, **options):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)


def first_line(*command):
    """Starts a program that prints where it can be found."""
    read, write = os.pipe()
    start(*[part.format(fd=write) for part in command], pass_fds=[write], stdout=sys.stderr)
    os.close(write)
    return os.fdopen(read).readline().strip()


def dino():
    return start("dino-im", stdout=sys.stderr)


def call(method, *arguments):
    subprocess.run(["gdbus", "call", "--session", "--dest", "im.dino.Dino", "--object-path", "/im/dino/Dino", "--method", method, *arguments],
                   check=True, stdout=subprocess.DEVNULL)


def write(line, to):
    """Opens the conversation, as a click on an `xmpp:` link does, and types; the keys go to the window, which has the focus alone."""
    call("org.gtk.Application.Open", f"['xmpp:{to}?message']", "", "{}")
    window = wait("a window", lambda: subprocess.run(["xdotool", "search", "--onlyvisible", "--class", "dino"], capture_output=True, text=True).stdout.split())[-1]
    subprocess.run(["xdotool", "windowfocus", "--sync", window], check=True)
    subprocess.run(["xdotool", "type", "--delay", "20", line], check=True)
    subprocess.run(["xdotool", "key", "Return"], check=True)


def press(x, y):
    subprocess.run(["xdotool", "mousemove", str(x), str(y), "sleep", "0.5", "click", "1", "sleep", "1"], check=True)


with open(ca) as file:
    bind("/etc/ssl/certs/ca-certificates.crt", file.read())
bind("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
os.makedirs(f"{home}/runtime", mode=0o700)
environment = {"PATH": os.environ["PATH"], "HOME": home, "XDG_RUNTIME_DIR": f"{home}/runtime", "LC_ALL": "C.UTF-8", "GDK_BACKEND": "x11", "GSK_RENDERER": "cairo",
               "GTK_A11Y": "none", "GTK_USE_PORTAL": "0", "GSETTINGS_BACKEND": "memory"}
if "PULSE_SERVER" in os.environ:  # without a microphone and a loudspeaker it takes no calls
    environment["PULSE_SERVER"] = os.environ["PULSE_SERVER"]
os.environ.clear()
os.environ.update(environment)
os.environ["DISPLAY"] = ":" + first_line("Xvfb", "-displayfd", "{fd}", "-screen", "0", "1024x768x24", "-fbdir", home, "-nolisten", "tcp")
os.environ["DBUS_SESSION_BUS_ADDRESS"] = first_line("dbus-daemon", "--session", "--nofork", "--print-address={fd}")

first = dino()
wait("Dino's tables", lambda: rows("SELECT name FROM sqlite_master WHERE name = 'call_counterpart'"))
first.terminate()
first.wait()
with sqlite3.connect(database, timeout=PATIENCE) as connection:
    connection.execute("INSERT INTO account (bare_jid, resourcepart, password, enabled) VALUES (?, ?, ?, 1)", (*jid.split("/"), password))

client = dino()
say("started")
known = set()


def pixels():
    """How many pixels of the screen have the colour. Xvfb keeps the screen in a file, in the format of xwd: a header, the colours, 32 bits a pixel."""
    with open(f"{home}/Xvfb_screen0", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as screen:
        header, colours = struct.unpack(">I", screen[:4])[0], struct.unpack(">I", screen[76:80])[0]
        data = memoryview(screen[header + 12 * colours:]).cast("I").tolist()
    red, green, blue = colour
    return sum(data.count(unused << 24 | red << 16 | green << 8 | blue) for unused in (0, 255))


def look():
    """The next message. On the way, who has been seen with which capabilities (XEP-0115), all that it keeps of presence; whose picture it has got;
    which rooms it is in; and once that the colour is on the screen."""
    for bare, resource, caps in rows("SELECT bare_jid, resource, caps_hash FROM entity JOIN jid ON jid.id = jid_id WHERE caps_hash IS NOT NULL"):
        if (bare, resource, caps) not in known:
            known.add((bare, resource, caps))
            say("presence", caps=caps, **{"from": f"{bare}/{resource}"})
    for bare, hash in rows("SELECT bare_jid, hash FROM contact_avatar JOIN jid ON jid.id = jid_id WHERE type = 0"):
        path = f"{home}/.local/share/dino/avatars/{hash}"
        if (bare, hash) not in known and os.path.exists(path):
            known.add((bare, hash))
            with open(path, "rb") as file:
                say("avatar", hash=hash, is_it=hashlib.sha1(file.read()).hexdigest() == hash, **{"from": bare})
    for bare, in rows("SELECT bare_jid FROM conversation JOIN jid ON jid.id = jid_id WHERE conversation.type = 1 AND active = 1"):
        if bare not in known:
            known.add(bare)
            say("room", jid=bare)
    if colour and "colour" not in known and pixels() > 200:
        known.add("colour")
        say("shown")
    return rows("SELECT body, bare_jid FROM message JOIN jid ON jid.id = counterpart_id WHERE direction = 0 ORDER BY message.id LIMIT 1 OFFSET ?", number)


for number in itertools.count():
    [(body, sender)] = wait("a message", look)
    say("message", body=body, **{"from": sender})
    if body == "bye":
        break
    if body in ("call audio", "call video"):
        call("org.gtk.Application.Open", f"['xmpp:{sender}?message']", "", "{}")
        time.sleep(3)  # the button comes once it knows what the contact can do; then a menu of two
        press(689, 28)
        press(689, 80 if body == "call audio" else 111)
        continue
    if body.startswith("answer "):  # the call that rings, in the conversation that it came in
        [(conversation, ringing)] = rows("SELECT conversation.id, call.id FROM call, conversation WHERE conversation.jid_id = call.counterpart_id ORDER BY call.id DESC LIMIT 1")
        call("org.gtk.Actions.Activate", "accept-call", f"[<({conversation}, {ringing})>]", "{}")
        continue
    write(f"echo {body}", sender)
call("org.gtk.Actions.Activate", "quit", "[]", "{}")
client.wait(PATIENCE)
say("done")
