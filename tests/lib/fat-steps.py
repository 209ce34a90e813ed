# SPDX-License-Identifier: Apache-2.0
"""A log of writes, as tests/lib/crash-states reads it, of what is done to a FAT by mtools:

	fat-steps.py BASE LOG <STEPS		copy FILE NAME | move FROM TO | remove NAME | sync | mark

Each sector of 512 bytes that a step changed is a write of its own, so that the parts of one directory entry that lie
in two sectors come or do not come each by itself; "sync" is a flush, "mark" prints how many entries there are.
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

SECTOR, CHUNK, FLUSH, MAGIC = 512, 1 << 16, 1, 0x6A736677736872
COMMANDS = {"copy": ["mcopy", "-o"], "move": ["mren"], "remove": ["mdeltree"]}


def sectors(before, after):
    for chunk in range(0, len(after), CHUNK):
        if before[chunk : chunk + CHUNK] == after[chunk : chunk + CHUNK]:
            continue
        for at in range(chunk, min(chunk + CHUNK, len(after)), SECTOR):
            if before[at : at + SECTOR] != after[at : at + SECTOR]:
                yield at // SECTOR, after[at : at + SECTOR]


def entry(sector, data, flags):
    return struct.pack("<QQQQ", sector, len(data) // SECTOR, flags, 0).ljust(SECTOR, b"\0") + data


def main():
    base, log = sys.argv[1:]
    out = []
    with tempfile.TemporaryDirectory() as directory:
        image = os.path.join(directory, "image")
        shutil.copyfile(base, image)
        before = open(image, "rb").read()
        for line in sys.stdin:
            verb, *names = line.split()
            if verb == "sync":
                out.append(entry(0, b"", FLUSH))
                continue
            if verb == "mark":
                print(len(out))
                continue
            names = [names[0] if verb == "copy" and i == 0 else "::" + name for i, name in enumerate(names)]
            command = COMMANDS[verb]
            subprocess.run([command[0], "-i", image, *command[1:], *names], check=True)
            after = open(image, "rb").read()
            out += [entry(sector, data, 0) for sector, data in sectors(before, after)]
            before = after
    with open(log, "wb") as file:
        file.write(struct.pack("<QQQQ", MAGIC, 1, len(out), SECTOR).ljust(SECTOR, b"\0"))
        file.write(b"".join(out))


main()
