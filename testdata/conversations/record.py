#!/usr/bin/env python3
"""Records what goes over the pipes of a server: record.py FILE COMMAND…

Stands in the place of the server's command. Writes each line into FILE as it passes, after `> ` (from the
client) or `< ` (from the server), in the order in which it passed; nothing is changed.
"""

import subprocess
import sys
import threading

recording = open(sys.argv[1], "ab", buffering=0)
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
lock = threading.Lock()


def pass_on(mark, source, target):
    for line in iter(source.readline, b""):
        with lock:
            recording.write(mark + line)
            try:
                target.write(line)
                target.flush()
            except BrokenPipeError:
                break
    if target is server.stdin:
        target.close()


threading.Thread(target=pass_on, args=(b"> ", sys.stdin.buffer, server.stdin), daemon=True).start()
pass_on(b"< ", server.stdout, sys.stdout.buffer)
sys.exit(server.wait())
