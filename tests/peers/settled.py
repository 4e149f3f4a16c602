"""When everybody has been told of what has happened at nodes: the server brings notifications out by itself, after it has answered the publisher."""

import asyncio
import re
import urllib.request

PATIENCE = 30


def tasks(admin):
    """How many tasks bring notifications out, by the server's metrics."""
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=PATIENCE) as answer:
        return int(re.search(r"^campanile_pubsub_tasks (\d+)$", answer.read().decode(), re.MULTILINE)[1])


async def settled(admin):
    """Waits until none does."""
    async with asyncio.timeout(PATIENCE):
        while await asyncio.to_thread(tasks, admin):
            pass
